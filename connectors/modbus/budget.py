"""The share of a line's time that may be lost on units that do not answer: the others keep theirs.

While one request waits for an answer that never comes, nobody else on the line is read. The time so lost is counted,
and whoever lost some waits until it is no more than the share of all time. A little is saved up in good times, so that
a single lost frame costs its unit no wait. Units that answer never wait.
"""

from typing import Final

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
        self.lost = 0.0
        """Seconds lost so far."""

    def book(self, seconds: float, earliest: float) -> float:
        """When (monotonic s, not before `earliest`) `seconds` may be put at risk; they count as lost until `settle`."""
        start = max(earliest, self._free_at)
        self._spend(seconds)
        return start

    def settle(self, booked: float, lost: float) -> None:
        """What was really lost of what was booked; 0 was booked where nothing was feared."""
        self.lost += lost
        self._spend(lost - booked)

    def _spend(self, seconds: float) -> None:
        earliest = self._clock.monotonic() - _SAVED / self._share
        self._free_at = max(self._free_at, earliest) + seconds / self._share
