"""A golden set: the cycles a person called good, the model learned from them, and the score of every later cycle.

The centre follows slow drift (tool wear, a warming hall) as an exponential mean over accepted cycles; everything else
is learned from deviations from that centre. Every distance is calibrated on cycles its model was not fitted on. The
model is fitted anew from the memory of accepted cycles after every REFIT of them: a cycle that scores beyond the limit
never enters it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.cycles.calibrate import Calibration, calibrate
from analytics.cycles.landmarks import Floats
from analytics.cycles.template import Cycle, Template, make_template
from analytics.cycles.views import NAMES, Layout, View, fit, make_layout, row_of

WARM_UP = 30
"""Golden cycles a model needs at least."""
MEMORY = 800
"""Accepted cycles the model is fitted on."""
REFIT = 25
FOLDS = 5
HEAVY = 5.0
"""A look whose largest golden value is so many sigmas is not trusted: it jumps in good cycles too."""
FOLLOW = 0.05
"""Weight of an accepted cycle in the centre: a memory of about 20 cycles."""


@dataclass(frozen=True)
class Judgement:
    """What is known about one cycle: `score` is −log10 p of the whole, `parts` that of each of views.NAMES."""

    score: float
    parts: dict[str, float]


@dataclass(frozen=True)
class _Fitted:
    view: View
    scales: tuple[Floats, ...]
    parts: tuple[Calibration, ...]
    whole: Calibration


class Golden:
    """The model of one machine and recipe. `version` counts the golden sets a person has chosen for it."""

    def __init__(self, cycles: Sequence[Cycle], version: int = 1) -> None:
        """Learns from `cycles`, the oldest first. Raises ValueError for fewer than WARM_UP."""
        if len(cycles) < WARM_UP:
            raise ValueError(f"{len(cycles)} golden cycles; at least {WARM_UP} are needed")
        self.version = version
        self.template: Template = make_template(cycles)
        self._layout: Layout = make_layout(self.template)
        rows = np.array([row_of(self.template.measure(cycle)) for cycle in cycles])
        self._centre: Floats = np.nan_to_num(np.nanmedian(rows[: WARM_UP // 2], axis=0))
        self._memory: list[Floats] = []
        for row in rows:
            self._accept(row)
        self._fitted = _fit(self._layout, np.array(self._memory))

    def score(self, cycle: Cycle, limit: float) -> Judgement:
        """Scores a cycle against what came before it, then learns from it if its score is below `limit`."""
        row = row_of(self.template.measure(cycle))
        judged = _judge(self._fitted, self._deviation(row))
        if judged.score < limit:
            self._accept(row)
            self._since += 1
            if self._since >= REFIT:
                self._fitted = _fit(self._layout, np.array(self._memory))
                self._since = 0
        return judged

    _since = 0

    def _deviation(self, row: Floats) -> Floats:
        """What a cycle did not show deviates from nothing."""
        deviation: Floats = np.nan_to_num(row - self._centre)
        return deviation

    def _accept(self, row: Floats) -> None:
        deviation = self._deviation(row)
        self._memory.append(deviation)
        del self._memory[:-MEMORY]
        self._centre = self._centre + FOLLOW * deviation


def _fit(layout: Layout, rows: Floats) -> _Fitted:
    """Fits on all rows; scales and calibration come from folds that each left their own rows out."""
    fold = np.arange(len(rows)) * FOLDS // len(rows)
    looks = [fit(layout, rows[fold != k]).look(rows[fold == k]) for k in range(FOLDS)]
    pooled = [np.concatenate(part) for part in zip(*looks, strict=True)]
    scales = tuple(_scale(part) for part in pooled)
    distances = [np.abs(part / scale).max(axis=1) for part, scale in zip(pooled, scales, strict=True)]
    parts = tuple(calibrate(distance) for distance in distances)
    scored = np.array([part.score(distance) for part, distance in zip(parts, distances, strict=True)])
    return _Fitted(fit(layout, rows), scales, parts, calibrate(_combine(scored)))


def _scale(looks: Floats) -> Floats:
    """One unit of each look [cycles × looks]: its deviation, infinite for a look that is not to be trusted."""
    deviation = np.sqrt(np.mean(looks**2, axis=0)) + 1e-12
    scale: Floats = np.where(np.abs(looks).max(axis=0) < HEAVY * deviation, deviation, np.inf)
    return scale


def _combine(scores: Floats) -> Floats:
    """[distances × cycles] → [cycles]: the strongest sign, helped a little by the others."""
    combined: Floats = scores.max(axis=0) + 0.2 * scores.sum(axis=0)
    return combined


def _judge(fitted: _Fitted, deviation: Floats) -> Judgement:
    looks = fitted.view.look(deviation[None])
    distances = [np.abs(look / scale).max(axis=1) for look, scale in zip(looks, fitted.scales, strict=True)]
    parts = np.array([part.score(d) for part, d in zip(fitted.parts, distances, strict=True)])
    whole = float(fitted.whole.score(_combine(parts))[0])
    return Judgement(whole, dict(zip(NAMES, parts[:, 0].tolist(), strict=True)))
