"""Continuity: what the agent has of each tag, over connections and restarts, for those whose gaps are to be filled."""

from collections.abc import Sequence
from typing import Final

import anyio
import anyio.to_thread
import numpy as np
import numpy.typing as npt

from connectors.opcua.config import OpcUaLink
from connectors.opcua.gaps import Gaps
from edge_agent.api import Clock, Description, EdgeAgentError, Frame, Memory, Notice, Outlet

KEEP_S: Final = 600.0
"""How often it is noted what there is: so much of the journal is looked through after a crash."""
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

    def reconnected(self, error: EdgeAgentError) -> None:
        """See `api.Outlet`."""
        self._outlet.reconnected(error)


class Continuity:
    """One link's gaps, kept in its memory."""

    def __init__(self, link: OpcUaLink, numbers: Int32, clock: Clock, memory: Memory | None) -> None:
        wanted = np.array([link.fills(tag) for tag in link.tags], np.bool_)
        self.wanted = bool(wanted.any())
        """Whether there is anything to fill."""
        self.gaps = Gaps(numbers, wanted, link.history_limit)
        self._keys = [f"{tag.machine or ''}/{tag.tag} {tag.node} {tag.element or ''}" for tag in link.tags]
        self._numbers, self._clock, self._memory = numbers, clock, memory
        self._limit = int(link.history_limit * 1e9)

    async def recall(self) -> None:
        """Before the first connection: what was known when the last one ended."""
        if self._memory is None or not self.wanted:
            return
        learned = self._memory.recall(PART, IDENTITY)
        if learned.get("run") != self._memory.run:
            return
        try:
            self.gaps.recall(learned.get("tags", {}), self._keys)
        except (ValueError, TypeError, AttributeError) as error:
            self._memory.forget(PART, f"{type(error).__name__}: {error}")

    def keep(self) -> None:
        """Notes in the memory what is known now."""
        if self._memory is not None and self.wanted:
            learned = {"run": self._memory.run, "at": self._clock.wall(), "tags": self.gaps.kept(self._keys)}
            self._memory.keep(PART, IDENTITY, learned)

    async def tend(self) -> None:
        """`keep` now and then, for ever."""
        while True:
            await anyio.sleep(KEEP_S)
            self.keep()
