"""The quiet that a unit needs between its answer and the next question, where it loses what comes too soon.

A request is lost for that reason when it followed an answer at once, no answer came even late, and the unit is well:
it answers the next question, and never loses the first of a reading. Two such losses and the pause is made longer,
from 2 ms by doubling; after long without any, half of it is tried.
"""

from typing import Final

FIRST: Final = 0.002
LONGEST: Final = 0.256
_SUSPICIONS: Final = 2
_FORGOTTEN: Final = 500
"""Requests without loss after which earlier losses are forgotten."""
_TRIAL: Final = 5000
"""Requests without loss after which half the pause is tried; ten times as many after each trial that failed."""


class Pace:
    """One unit's."""

    def __init__(self, pause: float = 0.0) -> None:
        """`pause` (s): what was learned before."""
        self.pause = pause
        self._suspicions = 0
        self._clean = 0
        self._trial = _TRIAL
        self._before: float | None = None

    def answered(self, followers: int) -> None:
        """So many requests that followed an answer at once were answered."""
        self._clean += followers
        if self._clean >= _FORGOTTEN:
            self._suspicions, self._before = 0, None
        if self.pause and self._clean >= self._trial:
            self._before, self._clean = self.pause, 0
            self.pause = self.pause / 2 if self.pause > FIRST else 0.0

    def lost(self, followers: int) -> None:
        """So many were lost, though the unit is well."""
        self._clean = 0
        if self._before is not None:
            self.pause, self._before = self._before, None
            self._trial *= 10
            self._suspicions = 0
            return
        self._suspicions += followers
        if self._suspicions >= _SUSPICIONS:
            self.pause = min(LONGEST, max(FIRST, 2 * self.pause))
            self._suspicions = 0
