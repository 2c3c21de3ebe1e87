"""What a deviation from the golden curve is looked at through: sums over timing, curve and noise, each one distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.cycles.landmarks import Floats
from analytics.cycles.template import BINS, Features, Template

SPANS = (1, 2, 4, 8)
"""Lengths, in bins, of the stretches a deviation is summed over."""
EXPLAINED = 0.9
"""Share of the normal variance that the multiway PCA's components explain."""
SHRINK = 0.01
"""Weight of the identity in the correlation of the timings."""
NAMES = ("timing", "order", "level", "shape", "residual", "stretch", "noise", "extreme")
"""The distances, in order: one landmark's time; its time given the other landmarks; a phase's level; Hotelling's T²
inside the components; SPE outside them; a stretch of the curve outside them; its noise; a bin's lowest or highest."""


@dataclass(frozen=True)
class Layout:
    """How a cycle's features stand in one row: timing, then mean, noise, low and high, each [channels × bins]."""

    timing: int
    channels: int
    phases: tuple[tuple[int, ...], ...]

    @property
    def curve(self) -> int:
        return self.channels * BINS

    def cut(self, rows: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Rows [… × features] as timing, mean, noise and extremes (low, then high)."""
        ends = np.cumsum([self.timing, self.curve, self.curve])
        return rows[..., : ends[0]], rows[..., ends[0] : ends[1]], rows[..., ends[1] : ends[2]], rows[..., ends[2] :]


def make_layout(template: Template) -> Layout:
    """The layout of a template's features; `phases[c]` are the first bins of channel c's phases."""
    phases = []
    for edges, anchors in zip(template.edges, template.anchors, strict=True):
        limits = [template.marks[k].at for k in anchors]
        phases.append((0, *(int(np.argmin(np.abs(edges - at))) for at in limits)))
    return Layout(len(template.marks) + 1, len(template.edges), tuple(phases))


def row_of(features: Features) -> Floats:
    """The features of a cycle as one row."""
    parts = (features.timing, features.mean, features.noise, features.low, features.high)
    return np.concatenate([part.ravel() for part in parts])


@dataclass(frozen=True)
class View:
    """A fitted view: spread of each feature, correlation of the timings, components of timing and curve."""

    layout: Layout
    spread: Floats
    precision: Floats
    components: Floats
    strength: Floats

    def look(self, rows: Floats) -> tuple[Floats, ...]:
        """Deviations [cycles × features] → one array [cycles × looks] for each of NAMES, not yet standardised."""
        scaled = rows / self.spread
        timing, mean, noise, extreme = self.layout.cut(scaled)
        both = np.concatenate([timing, mean], axis=1)
        inside = both @ self.components.T
        outside = both - inside @ self.components
        hotelling = np.sum((inside / self.strength) ** 2, axis=1, keepdims=True)
        squared = np.sum(outside**2, axis=1, keepdims=True)
        left = outside[:, self.layout.timing :]
        return (
            timing,
            self._order(timing, rows[:, : self.layout.timing]),
            self._levels(mean),
            np.sqrt(hotelling),
            np.sqrt(squared),
            self._stretches(left),
            self._noises(noise),
            extreme,
        )

    def _order(self, timing: Floats, seconds: Floats) -> Floats:
        """Each landmark given all the others, and the time between every two of them."""
        first, second = np.triu_indices(self.layout.timing, 1)
        return np.concatenate([timing @ self.precision, seconds[:, second] - seconds[:, first]], axis=1)

    def _levels(self, mean: Floats) -> Floats:
        """Mean deviation of every phase of every channel."""
        curves = mean.reshape(len(mean), self.layout.channels, BINS)
        starts = self.layout.phases
        return np.concatenate([_phases(curves[:, c], starts[c]) for c in range(len(starts))], axis=1)

    def _stretches(self, left: Floats) -> Floats:
        curves = left.reshape(len(left), self.layout.channels, BINS)
        return np.concatenate([_sums(curves, span) for span in SPANS], axis=1)

    def _noises(self, noise: Floats) -> Floats:
        curves = noise.reshape(len(noise), self.layout.channels, BINS)
        whole = np.concatenate([curves, curves.sum(axis=1, keepdims=True)], axis=1)
        return np.concatenate([_sums(whole, span) for span in SPANS], axis=1)


def _phases(curve: Floats, starts: tuple[int, ...]) -> Floats:
    limits = np.unique(np.array(starts))
    sums: Floats = np.add.reduceat(curve, limits, axis=1)
    return sums


def _sums(curves: Floats, span: int) -> Floats:
    """Sums over every stretch of `span` bins: [cycles × channels × bins] → [cycles × stretches]."""
    total = np.cumsum(np.concatenate([np.zeros((*curves.shape[:2], 1)), curves], axis=2), axis=2)
    sums: Floats = (total[..., span:] - total[..., :-span]).reshape(len(curves), -1)
    return sums


def fit(layout: Layout, rows: Floats) -> View:
    """The view of normal deviations [cycles × features] (already free of their drifting centre)."""
    spread = np.sqrt(np.mean(rows**2, axis=0)) + 1e-9 * (1 + np.abs(rows).max(axis=0))
    timing, mean, _, _ = layout.cut(rows / spread)
    correlation = timing.T @ timing / len(rows)
    shrunk = (1 - SHRINK) * correlation + SHRINK * np.eye(layout.timing)
    both = np.concatenate([timing, mean], axis=1)
    _, singular, right = np.linalg.svd(both, full_matrices=False)
    power = np.cumsum(singular**2) / np.sum(singular**2)
    kept = min(int(np.searchsorted(power, EXPLAINED)) + 1, max(len(rows) // 5, 1))
    strength: Floats = singular[:kept] / np.sqrt(len(rows)) + 1e-12
    precision = np.asarray(np.linalg.inv(shrunk), dtype=np.float64)
    return View(layout, spread, precision, right[:kept], strength)
