"""The share of a line's time that may be lost on units that do not answer: the others keep theirs.

While one request waits for an answer that never comes, nobody else on the line is read. The time so lost is counted,
and who may lose more waits until it is no more than the share of all time: of those that wait, whoever was silent least
goes first, for it may be well and have been held up by another's silence. A little is saved up in good times. Units
that answer never wait.
"""

from itertools import count
from math import inf
from typing import Final

import anyio

from edge_agent.api import Clock

SHARE: Final = 0.05
"""Half of the 10 % that is promised: the other half is what probes cost beside their own time, in readings skipped."""
_SAVED: Final = 2.0
"""Seconds of loss that may be saved up."""


class Budget:
    """One line's. A `share` of 1 is for lines on which nobody waits for another."""

    def __init__(self, clock: Clock, share: float = SHARE) -> None:
        self._clock = clock
        self._share = share
        self._free_at = clock.monotonic() - _SAVED / share
        self._waiting: list[tuple[float, int]] = []
        self._order = count()
        self._changed = anyio.Event()
        self.lost = 0.0
        """Seconds lost so far."""

    async def grant(self, seconds: float, doubt: float) -> None:
        """Waits until `seconds` may be put at risk; they count as lost until `settle`. Of those that wait, the one
        with the least `doubt` is first.
        """
        mine = doubt, next(self._order)
        self._waiting.append(mine)
        try:
            while (left := self._left(mine)) > 0:
                with anyio.move_on_after(None if left == inf else left):
                    await self._changed.wait()
            self.risk(seconds)
        finally:
            self._waiting.remove(mine)
            self._wake()

    def risk(self, seconds: float) -> None:
        """Counts `seconds` as lost until `settle`, for one that need not wait."""
        self._spend(seconds)

    def settle(self, risked: float, lost: float) -> None:
        """What was really lost of what was put at risk; that was 0 where nothing was feared."""
        self.lost += lost
        self._spend(lost - risked)
        self._wake()

    def _left(self, mine: tuple[float, int]) -> float:
        """Seconds to wait, as far as is known; for ever until somebody else's turn is over."""
        return self._free_at - self._clock.monotonic() if min(self._waiting) == mine else inf

    def _spend(self, seconds: float) -> None:
        earliest = self._clock.monotonic() - _SAVED / self._share
        self._free_at = max(self._free_at, earliest) + seconds / self._share

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
