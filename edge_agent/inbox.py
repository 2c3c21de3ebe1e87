"""The bounded queue between the links and the journal. Carries frames and events; its limit counts values."""

from collections import deque
from collections.abc import Sequence

import anyio

from edge_agent.model import Event, Frame
from edge_agent.model.frame import Int32


class Inbox:
    """First in, first out, for the event loop's thread only. Full means wait: back-pressure before any loss.

    `limit` is the most values that wait at once; a frame larger than the whole limit is let in when the inbox is empty.
    Events are few and are always let in.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: deque[Frame] = deque()
        self._events: list[Event] = []
        self._some = anyio.Event()
        self._room = anyio.Event()
        self.values = 0
        """Values waiting now."""
        self.collected = 0
        """Values ever put: the door at which the ledger begins to count."""
        self.closed = False
        self._lost: list[tuple[str, int, Sequence[int] | Int32]] = []
        self.losing = 0
        """Values lost before they became rows, and not yet counted in the journal."""

    def lose(self, reason: str, count: int, tags: Sequence[int] | Int32 = ()) -> None:
        """Counts values that came to the door and never became rows; `tags` as in `api.Outlet.lost`."""
        if count > 0:
            self._lost.append((reason, count, tags))
            self.losing += count
            self.collected += count

    def take_losses(self) -> list[tuple[str, int, Sequence[int] | Int32]]:
        """All losses since the last call, which is to come often."""
        lost, self._lost, self.losing = self._lost, [], 0
        return lost

    async def put(self, frame: Frame) -> None:
        """Queues a frame; waits while it does not fit."""
        while self.values and self.values + len(frame) > self._limit:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()
        self.values += len(frame)
        self.collected += len(frame)
        self._frames.append(frame)
        self._some.set()

    def put_events(self, events: Sequence[Event]) -> None:
        """Queues events; never waits."""
        self._events += events
        self._some.set()

    async def take(self, wait: float) -> tuple[list[Frame], list[Event]]:
        """Everything that waits, in order; empty after `wait` seconds without anything."""
        if not self._frames and not self._events and not self.closed:
            with anyio.move_on_after(wait):
                await self._some.wait()
        frames, events = list(self._frames), self._events
        self._frames.clear()
        self._events, self.values = [], 0
        self._room.set()
        if not self.closed:
            self._some = anyio.Event()
        return frames, events

    def close(self) -> None:
        """No more will be put: `take` no longer waits."""
        self.closed = True
        self._some.set()
