"""The golden curve's skeleton: which landmarks align a cycle, and the bins its aligned curves are measured in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.cycles.landmarks import REACH, Floats, Landmark, crossing, find_landmarks, smooth

Truths = NDArray[np.bool_]

POINTS = 512
"""Points of the first, unaligned golden curve."""
BINS = 32
"""Bins of an aligned curve, shared out over its phases by their length."""
FINE = 16
"""Points a bin's mean is taken over."""
APART = 0.012
"""Landmarks that align a curve are at least this share of the cycle apart."""
STEADY = 0.01
"""Landmarks that align a curve scatter over the golden cycles by no more than this share of the cycle."""


@dataclass(frozen=True)
class Cycle:
    """One cycle: seconds since its start [rows], ascending, and its channels [channels × rows], all finite."""

    seconds: Floats
    channels: Floats


@dataclass(frozen=True)
class Features:
    """What is kept of a cycle. `timing` [landmarks + 1] in seconds, the length last; the rest [channels × bins].

    Bins that the cycle ended before are NaN.
    """

    timing: Floats
    mean: Floats
    noise: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Template:
    """`anchors[c]` are the landmarks that align channel c, in order of time; `edges[c]` [BINS + 1] its bins' limits.

    `ends`: whether the end aligns the curves too, since it keeps its distance from the start or from a landmark. Else
    the record just ends sometime, and time goes on as it is until then.
    """

    length: float
    marks: tuple[Landmark, ...]
    anchors: tuple[tuple[int, ...], ...]
    edges: tuple[Floats, ...]
    ends: bool

    def measure(self, cycle: Cycle) -> Features:
        """Times the landmarks, aligns every channel on its anchors and measures each bin."""
        timing = self._timing(cycle)
        rows = [self._channel(cycle, c, timing) for c in range(len(cycle.channels))]
        mean, noise, low, high = (np.array(column) for column in zip(*rows, strict=True))
        return Features(timing, mean, noise, low, high)

    def _timing(self, cycle: Cycle) -> Floats:
        curves, reach = smooth(cycle.channels), REACH * self.length
        found = [crossing(cycle.seconds, curves[mark.channel], mark, reach) for mark in self.marks]
        return np.array([*found, cycle.seconds[-1]])

    def _channel(self, cycle: Cycle, channel: int, timing: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        end = float(cycle.seconds[-1])
        own = [(timing[k], self.marks[k].at) for k in self.anchors[channel] if 0 < timing[k] < end]
        here, golden = _ascending([(0.0, 0.0), *sorted(own)], (end, self.length if self.ends else math.inf))
        edges, rows = self.edges[channel], np.interp(cycle.seconds, here, golden)
        fine = edges[:-1, None] + (np.arange(FINE) + 0.5) / FINE * np.diff(edges)[:, None]
        values = cycle.channels[channel]
        curve = np.interp(np.interp(fine, golden, here), cycle.seconds, values)
        inside = rows <= edges[-1]
        which = np.clip(np.searchsorted(edges, rows, "right") - 1, 0, BINS - 1)
        low, high = curve.min(axis=1), curve.max(axis=1)
        np.minimum.at(low, which[inside], values[inside])
        np.maximum.at(high, which[inside], values[inside])
        measured = curve.mean(axis=1), _noise(cycle.seconds[inside], values[inside], which[inside]), low, high
        unseen = (edges[:-1] + edges[1:]) / 2 > golden[-1]
        for column in measured:
            column[unseen] = np.nan
        return measured


def _ascending(pairs: list[tuple[float, float]], end: tuple[float, float]) -> tuple[Floats, Floats]:
    """The alignment as two ascending columns; landmarks that changed places are left out of it.

    Where the end has no golden time (inf), time goes on as it is after the last landmark.
    """
    kept = pairs[:1]
    for pair in pairs[1:]:
        if kept[-1][0] < pair[0] < end[0] and kept[-1][1] < pair[1] < end[1]:
            kept.append(pair)
    free = kept[-1][1] + end[0] - kept[-1][0]
    kept.append((end[0], free if math.isinf(end[1]) else end[1]))
    here, golden = zip(*kept, strict=True)
    return np.array(here), np.array(golden)


def _noise(seconds: Floats, values: Floats, which: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    """Logarithm of the mean square deviation of a row from the middle of its neighbours, per bin.

    Rows beside a missing row are left out: on an edge they would look like noise.
    """
    wide = seconds[2:] - seconds[:-2]
    near = wide < 2.5 * np.median(wide) / 2
    square = ((values[1:-1] - (values[:-2] + values[2:]) / 2) ** 2)[near]
    which = which[1:-1][near]
    count = np.bincount(which, minlength=BINS)
    floor = 1e-6 * float(np.ptp(values)) ** 2 + 1e-300
    overall = float(square.mean()) if square.size else 0.0
    total = np.bincount(which, square, minlength=BINS)
    level: Floats = np.log((total + overall) / (count + 1) + floor)
    return level


def make_template(golden: Sequence[Cycle]) -> Template:
    """The template of the golden cycles: median curve, its landmarks at their median times, bins between them.

    A landmark that is missing in one golden cycle is no landmark.
    """
    length = float(np.median([cycle.seconds[-1] for cycle in golden]))
    grid = np.linspace(0, length, POINTS)
    curves = np.median([[np.interp(grid, c.seconds, row) for row in c.channels] for c in golden], axis=0)
    bare = Template(length, tuple(find_landmarks(grid, curves)), (), (), True)
    timings = np.array([bare._timing(cycle) for cycle in golden])
    first = np.array([*(mark.at for mark in bare.marks), length])
    found = np.all(np.abs(timings - first) < REACH * length, axis=0)
    usual, scatter = np.median(timings, axis=0), np.std(timings, axis=0)
    kept = [k for k in range(len(bare.marks)) if found[k]]
    marks, steady = tuple(replace(bare.marks[k], at=float(usual[k])) for k in kept), scatter[kept] <= STEADY * length
    anchors = tuple(_anchors(marks, c, length, steady) for c in range(len(curves)))
    edges = tuple(_edges([marks[k].at for k in chosen], length) for chosen in anchors)
    return Template(length, marks, anchors, edges, _ends_steadily(timings[:, [*kept, -1]], length))


def _ends_steadily(timings: Floats, length: float) -> bool:
    """Whether the end, last of `timings` [cycles × landmarks + 1], keeps its distance from the start or a landmark."""
    tails = timings[:, -1:] - np.concatenate([np.zeros((len(timings), 1)), timings[:, :-1]], axis=1)
    return bool(np.std(tails, axis=0).min() <= STEADY * length)


def _anchors(marks: Sequence[Landmark], channel: int, length: float, steady: Truths) -> tuple[int, ...]:
    """A channel's own half-rises first, then its other landmarks, then the half-rises of the other channels."""
    own = [k for k, mark in enumerate(marks) if mark.channel == channel]
    others = [k for k, mark in enumerate(marks) if mark.channel != channel and mark.half]
    taken: list[int] = []
    for k in sorted(own, key=lambda k: not marks[k].half) + others:
        near = [0.0, length, *(marks[j].at for j in taken)]
        if len(taken) < BINS // 2 - 1 and steady[k] and min(abs(marks[k].at - at) for at in near) >= APART * length:
            taken.append(k)
    return tuple(sorted(taken, key=lambda k: marks[k].at))


def _edges(anchors: Sequence[float], length: float) -> Floats:
    """BINS bins whose limits include the anchors: each phase gets bins by its length, at least two."""
    limits = np.array([0.0, *anchors, length])
    spans = np.diff(limits)
    counts = np.full(len(spans), 2)
    for _ in range(BINS - counts.sum()):
        counts[np.argmax(spans / counts)] += 1
    pieces = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(limits, limits[1:], counts, strict=False)]
    return np.concatenate([*pieces, [length]])
