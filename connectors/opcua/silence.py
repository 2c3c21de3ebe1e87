"""Which tags of a subscription have been silent for so long that it must be asked why. Pure.

A monitored item speaks when its value changes, so silence is no fault; but a server may also have forgotten the item
while the others go on, and then the hub's last value looks fresh for ever. So a tag that said nothing for a while is
read (see `Subscription.question`), and less and less often as long as the answer is what is known already.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

SHORTEST: Final = 5.0
"""Seconds of silence before a question, at least."""
INTERVALS: Final = 10
"""The same in intervals of the tag."""
LONGEST: Final = 60.0
"""Seconds between two questions, at most, unless the first came later: within this time a forgotten item is found."""
SOON: Final = 1.0
"""Seconds after which a strange answer is looked at again, at least, and two intervals: the change may have been on its
way."""

Handles = npt.NDArray[np.intp]


class Silence:
    """One link's. Times are monotonic seconds; tags are known by their handles."""

    def __init__(self, intervals: npt.NDArray[np.float64], now: float) -> None:
        """`intervals[handle]`: seconds within which a change is told."""
        self.heard = np.full(len(intervals), now)
        """When each said something last."""
        self._first = np.maximum(INTERVALS * intervals, SHORTEST)
        self._longest = np.maximum(self._first, LONGEST)
        self._soon = np.maximum(2 * intervals, SOON)
        self._asked = np.full(len(intervals), -np.inf)
        self._wait = self._first.copy()
        self._strange = np.zeros(len(intervals), np.bool_)

    def due(self, now: float, most: int) -> Handles:
        """Whom to ask now: at most so many, the longest silent first."""
        spoke = self.heard > self._asked
        late = now - np.where(spoke, self.heard + self._first, self._asked + self._wait)
        found = np.flatnonzero(late >= 0)
        return found if len(found) <= most else found[np.argsort(-late[found], kind="stable")[:most]]

    def asked(self, handles: Handles, now: float) -> None:
        """They were asked at `now`."""
        again = self.heard[handles] <= self._asked[handles]
        self._wait[handles] = np.where(
            again, np.minimum(2 * self._wait[handles], self._longest[handles]), self._first[handles]
        )
        self._strange[handles] &= again
        self._asked[handles] = now

    def judged(self, handles: Handles, strange: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Whose answers were strange twice in a row with nothing said in between; the others get their second look."""
        still_silent = self.heard[handles] <= self._asked[handles]
        sure = strange & still_silent & self._strange[handles]
        first = strange & still_silent & ~sure
        self._strange[handles] = first
        self._wait[handles[first]] = self._soon[handles[first]]
        self._wait[handles[sure]] = self._first[handles[sure]]
        return sure
