"""How long to wait for a unit's answer: learned from its own trips, never longer than configured.

Trips are counted in buckets that grow by a quarter from 0.1 ms on, old ones forgotten slowly. The time-out is three
times the trip that 99.9 % of them do not exceed, and some room for our own machine's hiccups. A wire that answers in
30 ms then costs its neighbours 0.3 s when it goes dead, where the usual setting of 1 s costs them three times that.
Whenever the learned time-out strikes, the configured one holds for a while: a device that has become slower is heard.
"""

from collections.abc import Mapping
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

QUANTILE: Final = 0.999
_TIMES: Final = 3.0
_ROOM: Final = 0.2
"""Seconds for stalls of our own process or of the network."""
_ENOUGH: Final = 200
"""Trips before they are believed."""
_CAREFUL: Final = 50
"""Answers that the configured time-out holds for after a time-out."""
_MEMORY: Final = 20_000.0
"""Trips after which old ones count half."""
_FIRST: Final = 1e-4
_STEP: Final = log(1.25)
BUCKETS: Final = 64
"""0.1 ms * 1.25^63 is 127 s."""


class Patience:
    """One unit's. All times are seconds."""

    def __init__(self, configured: float, kept: Mapping[int, float] | None = None) -> None:
        """`kept`: the `buckets` of an earlier one."""
        self._configured = configured
        self._counts = np.zeros(BUCKETS)
        for bucket, count in (kept or {}).items():
            self._counts[bucket] = count
        self._careful = 0
        self._timeout = self._learned()

    @property
    def timeout(self) -> float:
        """How long the next requests may take."""
        return self._configured if self._careful else self._timeout

    @property
    def buckets(self) -> dict[int, float]:
        """What to keep, to go on later."""
        return {int(i): round(float(self._counts[i]), 1) for i in np.flatnonzero(self._counts >= 0.05)}

    @property
    def slowest(self) -> float | None:
        """The trip that 99.9 % do not exceed; None before any."""
        total = self._counts.sum()
        if total == 0:
            return None
        return float(_FIRST * 1.25 ** int(np.searchsorted(np.cumsum(self._counts), QUANTILE * total)))

    def answered(self, trips: npt.NDArray[np.float64]) -> None:
        """Trips of answers that came, in time or late."""
        if not len(trips):
            return
        at = np.ceil(np.log(np.maximum(trips, _FIRST) / _FIRST) / _STEP).astype(np.intp)
        self._counts += np.bincount(np.minimum(at, BUCKETS - 1), minlength=BUCKETS)
        if self._counts.sum() > _MEMORY:
            self._counts /= 2
        self._careful = max(0, self._careful - len(trips))
        self._timeout = self._learned()

    def expired(self) -> None:
        """A request got no answer in time."""
        self._careful = _CAREFUL

    def _learned(self) -> float:
        slowest = self.slowest
        if slowest is None or self._counts.sum() < _ENOUGH:
            return self._configured
        return min(self._configured, _TIMES * slowest + _ROOM)
