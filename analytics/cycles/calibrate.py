"""From a distance to −log10 p with few golden cycles: conformal rank inside, exponential tail outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.cycles.landmarks import Floats

TAIL = 0.1
"""Share of the golden distances, at least 8 of them, that the tail is fitted on."""


@dataclass(frozen=True)
class Calibration:
    """Golden distances in ascending order, none of them from a model that was fitted on its own cycle."""

    golden: Floats
    start: float
    scale: float
    share: float

    def score(self, distance: Floats) -> Floats:
        """−log10 of the probability that a good cycle lies at least so far; 0 for the nearest."""
        beyond = len(self.golden) - np.searchsorted(self.golden, distance, "left")
        rank = np.maximum(beyond + 1, 1) / (len(self.golden) + 1)
        tail = np.log10(1 / self.share) + (distance - self.start) / self.scale / np.log(10)
        score: Floats = np.where(distance > self.start, tail, -np.log10(rank))
        return score


def calibrate(distances: Floats) -> Calibration:
    """Fits the tail on the largest distances of the golden cycles .

    The exponential's scale is their median excess over ln 2: a few odd golden cycles do not flatten the tail.
    """
    golden = np.sort(distances)
    count = min(max(int(TAIL * len(golden)), 8), len(golden) - 1)
    start = float(golden[-count - 1])
    scale = float(np.median(golden[-count:]) - start) / float(np.log(2))
    return Calibration(golden, start, max(scale, 1e-3 * (1 + abs(start))), (count + 1) / (len(golden) + 1))
