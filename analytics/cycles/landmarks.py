"""Landmarks of a cycle: the instants at which a channel crosses a level on one of its large rises or falls."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEG = 0.25
"""A rise or fall is a leg if it covers this share of the channel's range."""
LEVELS = (0.5, 0.1, 0.85)
"""Shares of a leg at which its crossing is timed; the half-rise comes first because it aligns the curves."""
REACH = 0.15
"""A crossing is looked for this share of the cycle's length before and after its usual time."""


@dataclass(frozen=True)
class Landmark:
    """Channel `channel` crosses `level` upwards (or downwards) about `at` seconds after the start of the cycle."""

    channel: int
    level: float
    rising: bool
    at: float
    half: bool


def smooth(values: Floats) -> Floats:
    """Moving mean along the last axis over about 1/150 of the cycle; the ends repeat their value."""
    half = max(values.shape[-1] // 300, 1)
    edges = [(0, 0)] * (values.ndim - 1) + [(half + 1, half)]
    total = np.cumsum(np.pad(values, edges, mode="edge"), axis=-1)
    width = 2 * half + 1
    mean: Floats = (total[..., width:] - total[..., :-width]) / width
    return mean


def turning_points(curve: Floats, threshold: float) -> list[int]:
    """Rows where the curve turns round by more than `threshold`, the first and last extreme included."""
    low = high = 0
    points: list[int] = []
    rising: bool | None = None
    for row, value in enumerate(curve):
        low = row if value < curve[low] else low
        high = row if value > curve[high] else high
        if rising is not True and value - curve[low] > threshold:
            points.append(low)
            rising, high = True, row
        elif rising is not False and curve[high] - value > threshold:
            points.append(high)
            rising, low = False, row
        if rising is True:
            low = high
        elif rising is False:
            high = low
    if rising is not None:
        points.append(high if rising else low)
    return points


def find_landmarks(seconds: Floats, curves: Floats) -> list[Landmark]:
    """The landmarks of a golden curve: `curves` [channels × points] over `seconds` [points]."""
    found: list[Landmark] = []
    for channel, curve in enumerate(smooth(curves)):
        points = turning_points(curve, LEG * float(np.ptp(curve)))
        for first, last in itertools.pairwise(points):
            low, high = sorted((float(curve[first]), float(curve[last])))
            rising = bool(curve[last] > curve[first])
            for share in LEVELS:
                level = low + share * (high - low)
                piece = curve[first : last + 1]
                row = first + int(np.argmax(piece >= level if rising else piece <= level))
                found.append(Landmark(channel, level, rising, float(seconds[row]), share == 0.5))
    return found


def crossing(seconds: Floats, curve: Floats, mark: Landmark, reach: float) -> float:
    """When `curve` crosses the landmark's level: the crossing nearest to its usual time, in seconds.

    Without one within `reach` seconds the answer is the late end of the search: as late as it can be. Where the cycle
    ended before that, nothing is known but that it comes later than the end: the answer is the end, or the usual time.
    """
    above = curve >= mark.level if mark.rising else curve <= mark.level
    rows = np.flatnonzero(above[1:] & ~above[:-1])
    if not rows.size:
        return min(max(mark.at, float(seconds[-1])), mark.at + reach)
    before, after = curve[rows], curve[rows + 1]
    at = seconds[rows] + (mark.level - before) / (after - before) * (seconds[rows + 1] - seconds[rows])
    nearest = float(at[np.argmin(np.abs(at - mark.at))])
    return min(max(nearest, mark.at - reach), mark.at + reach)
