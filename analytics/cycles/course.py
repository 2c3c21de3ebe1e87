"""The course of figures that come once a cycle: how far each has gone from its own past, as multiples of a limit.

Each figure is looked at three times: as it is, and as two exponential averages (`WEIGHTS`), which see small shifts that
last (Roberts 1959). Each of the three is compared with its own mean and variance so far, so what a machine does anyway
(lots, coils, the weather, noise with a memory) widens its limit by itself. The limit is Student's quantile for the
chance of a false alarm that is bearable, at as many degrees of freedom as independent cycles were seen; and never less
than `MARGIN` times the farthest that was seen while all was well. So a young course says little, and an old one more.

*Learning.* A figure is told first and learned afterwards; where it is beyond its limit it is not learned. It is silent
for its first cycles, and one that would have spoken in them learns for twice as long, up to `LONGEST`. Afterwards what
is normal follows with a delay: cycles are summed up in blocks (a quarter of what is known, `longest` at most), and one
counts only when the next one is full. A fault that grows slowly is so compared with the time before it, and once it is
found the blocks that it may have begun in are thrown away. `MEMORY` blocks weigh in what is normal.

Excursions of at most `BRIEF` cycles that come again and again are the machine's nature: after `BRIEF_TIMES` of them
the limit grows beyond them. What stays beyond for `ACCEPT` times its learning is the new normal: the figure learns
anew, and `relearned` says so.

NaN says nothing and changes nothing. State is one row of `WIDTH` float64 words a figure: a restart goes on bit by bit.
"""

import math
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

WEIGHTS: Final = np.array([1.0, 0.2, 0.04])
SCALES: Final = len(WEIGHTS)
FREEDOM: Final = WEIGHTS / (2.0 - WEIGHTS)
"""Independent cycles in one, as far as the variance of an average tells (Roberts 1959)."""
LEAST: Final = 12.0
"""Degrees of freedom below which nothing is said."""
MEMORY: Final = 8.0
"""So many of the longest blocks weigh in what is known."""
MARGIN: Final = 1.25
BLOCK_LEAST: Final = 8.0
CALM: Final = 0.8
LONGEST: Final = 4000.0
STEADIEST: Final = 1e-4
"""No figure is steadier than this share of itself."""
TINY: Final = 1e-9
BRIEF: Final = 20
"""One odd cycle stays in the slowest average for so long."""
BRIEF_TIMES: Final = 3
ACCEPT: Final = 3.0
"""A deviation that has lasted so many times the learning is the new normal."""

BEYOND: Final = 0
"""Cycles on end beyond the limit."""
READY: Final = 1
"""Cycles after which the figure speaks."""
EXCURSIONS: Final = 2
WANDER: Final = 3
"""Square of the largest step that the mean of a block took from what was known; fades by `CALM` a block. Days, seasons
and drift that are normal move whole blocks: so much a figure may move again."""
LEVEL: Final = slice(4, 4 + SCALES)
KNOWN: Final = LEVEL.stop
"""Three summaries of cycles follow: what is known, the block that waits, the block under way. Of each: the number of
cycles, and of each average its mean, its variance, and its farthest distance from what was known."""
SUMMARY: Final = 1 + 3 * SCALES
WAITING: Final = KNOWN + SUMMARY
PRESENT: Final = WAITING + SUMMARY
WIDTH: Final = PRESENT + SUMMARY
_MEAN: Final = slice(1, 1 + SCALES)
_VARIANCE: Final = slice(1 + SCALES, 1 + 2 * SCALES)
_FARTHEST: Final = slice(1 + 2 * SCALES, 1 + 3 * SCALES)


class Course:
    """Figures of one kind of cycle. `state` [figures, WIDTH] is all there is to it."""

    def __init__(self, state: Float64, floor: Float64) -> None:
        """`floor`: least standard deviation of each figure, in its unit. A new course begins with zeros."""
        self.state, self._floor = state, floor
        self.relearned: Flags = np.zeros(len(state), bool)
        """Figures that the last cycle made to learn anew."""

        self._known, self._waiting, self._present = (state[:, at : at + SUMMARY] for at in (KNOWN, WAITING, PRESENT))

    @property
    def normal(self) -> Float64:
        """The mean of each figure."""
        return self._known[:, _MEAN][:, 0].copy()

    @property
    def spread(self) -> Float64:
        """The standard deviation of each figure."""
        out: Float64 = np.sqrt(self._known[:, _VARIANCE][:, 0])
        return out

    @property
    def speaks(self) -> bool:
        """Whether any figure has learned enough to speak."""
        count, ready = self._known[:, 0], self.state[:, READY]
        return bool(((ready > 0) & (count >= ready)).any())

    def judge(self, figure: Float64, chance: float, learn: float, longest: float, ease: Float64) -> Float64:
        """Score of each figure of a cycle, as a multiple of its limit (0: nothing to say), and learns from it.

        `chance`: of a false alarm of one figure in one cycle. `learn`: cycles before a figure speaks. `longest`: cycles
        of a block at most. `ease`: so many times wider is each figure's limit.
        """
        told = np.isfinite(figure)
        self._move(figure, told)
        score = np.where(told, self._scores(chance) / ease, 0.0)
        young = self._wait(score, learn)
        fires = score > 1.0
        natural = self._nature(told, fires)
        self._present[fires & ~natural] = self._waiting[fires & ~natural] = 0.0
        self._note(told & ~fires)
        self._commit(young, longest)
        self.relearned = (self.state[:, BEYOND] > 0) & (self.state[:, BEYOND] >= ACCEPT * self.state[:, READY])
        self.state[self.relearned] = 0.0
        return score

    def _move(self, figure: Float64, told: Flags) -> None:
        """Moves the averages; in the beginning they are plain means."""
        gain = np.maximum(WEIGHTS, 1.0 / (self._known[:, :1] + 1.0))
        level = self.state[:, LEVEL]
        level += np.where(told[:, None], gain * (np.where(told, figure, 0.0)[:, None] - level), 0.0)

    def _distance(self, more: Float64 | float) -> Float64:
        """Of the averages from their means; `more` widens the variance."""
        spread = np.sqrt(self._known[:, _VARIANCE] * more + self._floor[:, None] ** 2 + self.state[:, WANDER, None])
        mean = self._known[:, _MEAN]
        out: Float64 = np.abs(self.state[:, LEVEL] - mean) / np.maximum(spread, STEADIEST * np.abs(mean) + TINY)
        return out

    def _scores(self, chance: float) -> Float64:
        freedom = self._known[:, :1] * FREEDOM
        limit = np.maximum(student(chance / SCALES, freedom), MARGIN * self._known[:, _FARTHEST])
        distance = self._distance(1.0 + 1.0 / np.maximum(freedom, 1.0))
        out: Float64 = np.where(freedom >= LEAST, distance / limit, 0.0).max(axis=1)
        return out

    def _wait(self, score: Float64, learn: float) -> Flags:
        """Silences what is young, and lets it learn for longer where it would have spoken. Answers what is young."""
        count, ready = self._known[:, 0], self.state[:, READY]
        np.maximum(ready, learn, out=ready)
        young: Flags = count < ready
        early = young & (score > 1.0)
        ready[early] = np.minimum(np.maximum(ready, 2.0 * count), LONGEST)[early]
        score[young] = 0.0
        return young

    def _nature(self, told: Flags, fires: Flags) -> Flags:
        """Figures whose short excursion is one of many; counts the cycles beyond the limit and the excursions."""
        beyond, excursions = self.state[:, BEYOND], self.state[:, EXCURSIONS]
        excursions += told & ~fires & (beyond > 0) & (beyond <= BRIEF)
        beyond[:] = np.where(told, np.where(fires, beyond + 1.0, 0.0), beyond)
        out: Flags = fires & (excursions >= BRIEF_TIMES) & (beyond <= BRIEF)
        farthest = self._known[:, _FARTHEST]
        np.copyto(farthest, np.maximum(farthest, self._distance(1.0)), where=out[:, None])
        return out

    def _note(self, which: Flags) -> None:
        """Adds a cycle to the block under way."""
        far = np.where(self._known[:, :1] * FREEDOM >= LEAST, self._distance(1.0), 0.0)
        one = np.concatenate([which[:, None], self.state[:, LEVEL], np.zeros_like(far), far], axis=1)
        _merge(self._present, one, which, math.inf)

    def _commit(self, young: Flags, longest: float) -> None:
        """Moves full blocks on; what is young learns at once."""
        block = np.clip(0.25 * self._known[:, 0], BLOCK_LEAST, longest)
        full = (self._present[:, 0] >= block) | (young & (self._present[:, 0] > 0))
        old = full & (self._waiting[:, 0] > 0)
        step = self._waiting[:, _MEAN.start] - self._known[:, _MEAN.start]
        wander = self.state[:, WANDER]
        wander[old & ~young] = np.maximum(CALM * wander, step**2)[old & ~young]
        _merge(self._known, self._waiting, old, MEMORY * longest)
        self._waiting[full] = self._present[full]
        self._present[full] = 0.0
        at_once = young & (self._waiting[:, 0] > 0)
        _merge(self._known, self._waiting, at_once, MEMORY * longest)
        self._waiting[at_once] = 0.0


def _merge(into: Float64, other: Float64, which: Flags, most: float) -> None:
    """Adds the cycles of `other` (Chan, Golub & LeVeque 1979); no more than `most` count."""
    a, b = np.minimum(into[:, :1], most), other[:, :1]
    total = np.maximum(a + b, 1.0)
    apart = other[:, _MEAN] - into[:, _MEAN]
    variance = (a * into[:, _VARIANCE] + b * other[:, _VARIANCE]) / total + a * b * (apart / total) ** 2
    mean = into[:, _MEAN] + apart * b / total
    farthest = np.maximum(into[:, _FARTHEST], other[:, _FARTHEST])
    new = np.concatenate([a + b, mean, variance, farthest], axis=1)
    into[which] = new[which]


def student(chance: float, freedom: Float64) -> Float64:
    """Two-sided quantile of Student's distribution, to 3 % from 10 degrees of freedom on (Wallace 1959)."""
    z = NormalDist().inv_cdf(1.0 - 0.5 * chance)
    freedom = np.maximum(freedom, 2.0)
    power = z * z * (freedom - 1.5) / (freedom - 1.0) ** 2
    out: Float64 = np.sqrt(freedom * np.expm1(np.minimum(power, 30.0)))
    return out
