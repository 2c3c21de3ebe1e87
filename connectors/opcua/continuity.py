"""Continuity: what the agent has of each tag, over connections and restarts, for those whose gaps are to be filled."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
import numpy as np
import numpy.typing as npt

from connectors.opcua.config import OpcUaLink
from connectors.opcua.gaps import Gaps
from edge_agent.api import PLAUSIBLE_NS, Clock, Description, EdgeAgentError, Event, Frame, Memory, Notice, Outlet

KEEP_S: Final = 600.0
"""How often it is noted what there is: so much of the journal is looked through after a crash."""
SEARCH_S: Final = 20.0
"""How long a start may wait for the journal."""
PART: Final = "history"
IDENTITY: Final = "1"
Int32 = npt.NDArray[np.int32]


class Watched:
    """An outlet that tells `gaps` what passed through it live."""

    def __init__(self, outlet: Outlet, gaps: Gaps) -> None:
        self._outlet, self._gaps = outlet, gaps

    async def put(self, frame: Frame) -> None:
        """See `api.Outlet`."""
        await self._outlet.put(frame)
        self._gaps.see(frame)

    def alive(self) -> None:
        """See `api.Outlet`."""
        self._outlet.alive()

    def lost(self, reason: str, count: int, tags: Sequence[int] | Int32 = ()) -> None:
        """See `api.Outlet`."""
        self._outlet.lost(reason, count, tags)

    def describe(self, number: int, description: Description) -> None:
        """See `api.Outlet`."""
        self._outlet.describe(number, description)

    def notice(self, notices: Sequence[Notice]) -> None:
        """See `api.Outlet`."""
        self._outlet.notice(notices)

    def events(self, events: Sequence[Event]) -> None:
        """See `api.Outlet`."""
        self._outlet.events(events)

    def reconnected(self, error: EdgeAgentError) -> None:
        """See `api.Outlet`."""
        self._outlet.reconnected(error)


class Continuity:
    """One link's gaps, kept in its memory."""

    def __init__(self, link: OpcUaLink, numbers: Int32, clock: Clock, memory: Memory | None) -> None:
        self._wanted = np.array([link.fills(tag) for tag in link.tags], np.bool_)
        self.wanted = bool(self._wanted.any())
        """Whether there is anything to fill."""
        self.gaps = Gaps(numbers, self._wanted, link.history_limit)
        self._keys = [f"{tag.machine or ''}/{tag.tag} {tag.node} {tag.element or ''}" for tag in link.tags]
        self._numbers, self._clock, self._memory = numbers, clock, memory
        self._limit = int(link.history_limit * 1e9)

    async def recall(self) -> None:
        """Before the first connection: what was known when the last one ended, and at a start of the agent what the
        journal holds, which knows better after a crash. Where that can't be said, no gap before this moment is known.
        """
        if self._memory is None or not self.wanted:
            return
        learned = self._memory.recall(PART, IDENTITY)
        try:
            self.gaps.recall(learned.get("tags", {}), self._keys)
            kept = int(learned.get("at", 0))
        except (ValueError, TypeError, AttributeError) as error:
            self._memory.forget(PART, f"{type(error).__name__}: {error}")
            learned, kept = {}, 0
            self.gaps.reset()
        if learned.get("run") != self._memory.run and not await self._found(self._memory, kept):
            self.gaps.reset()

    async def _found(self, memory: Memory, kept: int) -> bool:
        """Looks into the journal from a little before what was kept; False where that takes too long or fails."""
        now, numbers = self._clock.wall(), self._numbers[self._wanted]
        since, begun = (
            max(min(kept, now) - PLAUSIBLE_NS, now - self._limit),
            min((g.after for g in self.gaps), default=now),
        )
        search = partial(memory.newest, numbers.tolist(), min(since, begun), past=begun < now)
        with anyio.move_on_after(SEARCH_S), suppress(OSError):
            live, filled = np.zeros((2, len(self._numbers)), np.int64)
            live[self._wanted], filled[self._wanted] = await anyio.to_thread.run_sync(search, abandon_on_cancel=True)
            self.gaps.found(live, filled)
            return True
        return False

    def keep(self, *, soon: bool = False) -> None:
        """Notes in the memory what is known now; `soon` as in `api.Memory`."""
        if self._memory is not None and self.wanted:
            learned = {"run": self._memory.run, "at": self._clock.wall(), "tags": self.gaps.kept(self._keys)}
            self._memory.keep(PART, IDENTITY, learned, soon=soon)

    async def tend(self) -> None:
        """`keep` now and then, for ever."""
        while True:
            await anyio.sleep(KEEP_S)
            self.keep()
