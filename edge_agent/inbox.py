"""The bounded queue between the links and the journal. Carries frames and events; its limit counts values."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Condition

import anyio

from edge_agent.model import Event, Frame
from edge_agent.model.frame import Int32


@dataclass(frozen=True, slots=True)
class Door:
    """Values of this run, by where they are. Replaced whole, so that the sum always agrees."""

    collected: int = 0
    """Every value that came to the door: where the ledger begins to count."""
    waiting: int = 0
    """In the inbox."""
    losing: int = 0
    """Lost before they became rows, and not yet counted in the journal."""
    pending: int = 0
    """Taken from the inbox, and not yet accepted by the journal."""
    accepted: int = 0
    given_up: int = 0
    """Counted in the journal's ledger as lost at the door."""

    @property
    def on_the_way(self) -> int:
        """Values that the journal does not know of yet."""
        return self.waiting + self.losing + self.pending

    @property
    def balanced(self) -> bool:
        """Whether every value is somewhere."""
        return self.collected == self.on_the_way + self.accepted + self.given_up


class Inbox:
    """First in, first out. Filled by the event loop's thread, emptied by the store's. Full means wait: back-pressure
    before any loss.

    `limit` is the most values that wait at once; a frame larger than the whole limit is let in when the inbox is empty.
    Events are few and are always let in.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: deque[Frame] = deque()
        self._events: list[Event] = []
        self._some = Condition()
        """Also the lock of all that is here."""
        self._room: tuple[asyncio.AbstractEventLoop, anyio.Event] | None = None
        """Who is to be told when there is room; None where nobody waits for it."""
        self._lost: list[tuple[str, int, Sequence[int] | Int32]] = []
        self.closed = False
        self.door = Door()

    def lose(self, reason: str, count: int, tags: Sequence[int] | Int32 = ()) -> None:
        """Counts values that came to the door and never became rows; `tags` as in `api.Outlet.lost`."""
        if count > 0:
            with self._some:
                self._lost.append((reason, count, tags))
                self.move(collected=count, losing=count)

    def take_losses(self) -> list[tuple[str, int, Sequence[int] | Int32]]:
        """All losses since the last call, which is to come often; they are `losing` until they are moved."""
        with self._some:
            lost, self._lost = self._lost, []
        return lost

    def move(self, **counts: int) -> None:
        """Adds to the counts of the door, all at once."""
        with self._some:
            door = self.door
            self.door = replace(door, **{name: getattr(door, name) + count for name, count in counts.items()})

    async def put(self, frame: Frame) -> None:
        """Queues a frame; waits while it does not fit."""
        while (room := self._let_in(frame)) is not None:
            await room.wait()

    def _let_in(self, frame: Frame) -> anyio.Event | None:
        """None, or what is set when there is room."""
        count = len(frame)
        with self._some:
            if self.door.waiting and self.door.waiting + count > self._limit:
                if self._room is None:
                    self._room = asyncio.get_running_loop(), anyio.Event()
                return self._room[1]
            self._frames.append(frame)
            self.move(collected=count, waiting=count)
            self._some.notify()
        return None

    def put_events(self, events: Sequence[Event]) -> None:
        """Queues events; never waits. For any thread."""
        if events:
            with self._some:
                self._events += events
                self._some.notify()

    def take(self, wait: float) -> tuple[list[Frame], list[Event]]:
        """Everything that waits, in order, which is `pending` now; empty after `wait` seconds without anything. Blocks;
        for the store's thread.
        """
        with self._some:
            if not (self._frames or self._events or self.closed):
                self._some.wait(wait)
            frames, events = list(self._frames), self._events
            self._frames.clear()
            self._events = []
            count = self.door.waiting
            if count:
                self.move(waiting=-count, pending=count)
            room, self._room = self._room, None
        if room is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                room[0].call_soon_threadsafe(room[1].set)
        return frames, events

    def close(self) -> None:
        """No more will be put: `take` no longer waits."""
        with self._some:
            self.closed = True
            self._some.notify()
