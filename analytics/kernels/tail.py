"""Calibration shared by all detectors: a distance becomes −log10 p by peaks over threshold, in prose and as one row.

A detector's distance d ≥ 0 has a unit of its own; p is the share of normal rows at which something at least as far
begins, so 3.0 means the same for every detector and tag. NaN says nothing (bad quality, still learning, settling): it
changes nothing and scores 0. A row is told first and learned afterwards, so a limit never comes from the row it judges,
nor from rows that its detector was fitted on.

State is one row of `WIDTH` 64-bit words a tag and detector (576 bytes), words read as int64 (`I_…`) or float64 (`F_…`).

1. *Begin.* The first `RING` distances only fill the ring; their highest tenth gives the first threshold.
2. *Tell.* Up to the threshold t the score is `BODY` · d / t (a line: only the tail is calibrated). Beyond it
   −log10 p = `BODY` + log1p(ξ (d − t) / σ) / (ξ ln 10), the generalised Pareto tail (Pickands 1975, theorem 7).
3. *Threshold.* t follows the `QUANTILE` of what is normal by stochastic approximation (Robbins & Monro 1951) with the
   best gain for an exponential tail, 1 / (n · density): up at the first row of an excursion, down at quiet rows.
4. *Excursions.* Rows over t with fewer than `APART` quiet rows between them are one excursion. Only its highest excess
   enters the ring, at most `CUT` σ: noise that has a memory, or an anomaly however long, counts once.
5. *Tail.* ξ by probability-weighted moments of the ring (Hosking & Wallis 1987), averaged over many rings; σ is the
   mean excess times 1 − ξ. ξ stays in [0, `SHAPE_MOST`]: noise with lighter tails alarms less often than promised.
6. *New times.* An excursion of more than `LONG` rows is no excursion: the calibration begins anew.

The record rule makes the sparse `alarm_score`: the score where it exceeds every score of the last `P_FORGET` rows (at
least half of them: two halves take turns), else 0. So a deviation is told when it begins and when it becomes worse.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from analytics.kernels.layout import Float64, Int64, aligned

I_ROWS: Final = 0
I_SPAN: Final = 1
"""Rows of the excursion under way, 0: none."""
I_QUIET: Final = 2
"""Rows since its last one over the threshold."""
I_POS: Final = 3
I_FILL: Final = 4
I_COUNT: Final = 5
"""Excursions seen."""
F_LIMIT: Final = 6
F_MEAN: Final = 7
F_SHAPE: Final = 8
F_PEAK: Final = 9
F_RECORD: Final = 10
"""Highest score of this half."""
F_BEFORE: Final = 11
"""And of the half before."""
F_RING: Final = 12
RING: Final = 60
WIDTH: Final = 72

P_FLOOR: Final = 0
"""Least σ, in the distance's unit."""
P_FORGET: Final = 1
PARAMETERS: Final = 2

QUANTILE: Final = 0.98
BODY: Final = -math.log10(1.0 - QUANTILE)
"""The score at the threshold."""
UP: Final = QUANTILE / (1.0 - QUANTILE)
FIRST: Final = RING * 9 // 10
FIRST_STEP: Final = math.log(0.1 / (1.0 - QUANTILE))
"""From the first ring's upper tenth to the quantile, in mean excesses."""
MEMORY: Final = 5000
EXCURSIONS: Final = 300
PRIOR: Final = RING - FIRST
"""The first ring's mean excess weighs as much as so many excursions."""
SHAPE: Final = 0.1
SHAPE_MOST: Final = 0.5
SHAPE_RING: Final = 20
"""Excursions in the ring that say something of its shape."""
CUT: Final = 20.0
APART: Final = 4
LONG: Final = 500
MOST: Final = 300.0
TINY: Final = 1e-300
LOG10: Final = 1.0 / math.log(10.0)
WEEK: Final = 7 * 24 * 3600.0

Step = Callable[[Any, Any, Any, Any, float], tuple[float, float]]


def new_tails(count: int) -> Int64:
    """State of `count` calibrations that have seen nothing: int64 [count, WIDTH]."""
    return aligned(count, WIDTH).view(np.int64)


def alarm_limit(per_week: float, interval: float) -> float:
    """The score from which a row of a tag is an alarm: `per_week` false ones, at a row each `interval` seconds."""
    return max(-math.log10(per_week * interval / WEEK), 0.0)


def build(inner: Callable[[Any], Any]) -> Step:
    """The arithmetic of one row, `inner` around each of its functions: numba's compiler, or nothing.

    The step takes a row of state as float64 and as int64, parameters, a scratch of RING words and the distance. It
    answers score and alarm score.
    """

    @inner
    def spread(f: Float64, p: Float64) -> float:
        shape = min(max(f[F_SHAPE], 0.0), SHAPE_MOST)
        return float(max(max(f[F_MEAN] * (1.0 - shape), p[P_FLOOR]), TINY))

    @inner
    def told(f: Float64, p: Float64, d: float) -> float:
        limit = f[F_LIMIT]
        if d <= limit:
            return float(BODY * d / limit) if limit > 0.0 else 0.0
        shape = min(max(f[F_SHAPE], 0.0), SHAPE_MOST)
        far = (d - limit) / spread(f, p)
        if shape > 1e-9:
            far = math.log1p(shape * far) / shape
        return float(min(BODY + far * LOG10, MOST))

    @inner
    def sort(f: Float64, scratch: Float64, count: int) -> None:
        for k in range(count):
            x, at = f[F_RING + k], k
            while at > 0 and scratch[at - 1] > x:
                scratch[at] = scratch[at - 1]
                at -= 1
            scratch[at] = x

    @inner
    def begin(f: Float64, i: Int64, scratch: Float64) -> None:
        sort(f, scratch, RING)
        total = 0.0
        for k in range(FIRST, RING):
            total += scratch[k] - scratch[FIRST - 1]
        f[F_MEAN] = total / (RING - FIRST)
        f[F_LIMIT] = scratch[FIRST - 1] + f[F_MEAN] * FIRST_STEP
        f[F_SHAPE] = SHAPE
        i[I_POS] = 0
        i[I_FILL] = 0
        i[I_COUNT] = 0

    @inner
    def shape_of(f: Float64, scratch: Float64, fill: int) -> float:
        sort(f, scratch, fill)
        total, lesser = 0.0, 0.0
        for k in range(fill):
            total += scratch[k]
            lesser += scratch[k] * (fill - 1 - k)
        mean = total / fill
        rest = mean - 2.0 * lesser / (fill * (fill - 1.0))
        if rest <= 0.0:
            return -0.5
        return min(max(2.0 - mean / rest, -0.5), 1.0)

    @inner
    def learn_excursion(f: Float64, i: Int64, scratch: Float64) -> None:
        x, pos, count = f[F_PEAK], i[I_POS], i[I_COUNT] + 1
        f[F_RING + pos] = x
        i[I_POS] = pos + 1 if pos + 1 < RING else 0
        i[I_FILL] = min(i[I_FILL] + 1, RING)
        i[I_COUNT] = count
        f[F_MEAN] += (x - f[F_MEAN]) / min(count + PRIOR, EXCURSIONS)
        if i[I_FILL] >= SHAPE_RING:
            f[F_SHAPE] += (shape_of(f, scratch, i[I_FILL]) - f[F_SHAPE]) / min(count, EXCURSIONS)

    @inner
    def begin_anew(i: Int64) -> None:
        i[I_ROWS] = 0
        i[I_SPAN] = 0

    @inner
    def in_excursion(f: Float64, i: Int64, p: Float64, scratch: Float64, d: float) -> None:
        i[I_SPAN] += 1
        if d > f[F_LIMIT]:
            f[F_PEAK] = max(f[F_PEAK], min(d - f[F_LIMIT], CUT * spread(f, p)))
            i[I_QUIET] = 0
            if i[I_SPAN] > LONG:
                begin_anew(i)
            return
        i[I_QUIET] += 1
        if i[I_QUIET] >= APART:
            i[I_SPAN] = 0
            learn_excursion(f, i, scratch)

    @inner
    def learn(f: Float64, i: Int64, p: Float64, scratch: Float64, d: float) -> None:
        if i[I_SPAN] > 0:
            in_excursion(f, i, p, scratch, d)
            return
        step = spread(f, p) / min(i[I_ROWS], MEMORY)
        if d > f[F_LIMIT]:
            f[F_PEAK] = min(d - f[F_LIMIT], CUT * spread(f, p))
            f[F_LIMIT] += step * UP
            i[I_SPAN] = 1
            i[I_QUIET] = 0
        else:
            f[F_LIMIT] = max(f[F_LIMIT] - step, 0.0)

    @inner
    def record(f: Float64, i: Int64, p: Float64, score: float) -> float:
        if i[I_ROWS] % max(int(p[P_FORGET]) // 2, 1) == 0:
            f[F_BEFORE] = f[F_RECORD]
            f[F_RECORD] = 0.0
        known = max(f[F_RECORD], f[F_BEFORE])
        f[F_RECORD] = max(f[F_RECORD], score)
        return score if score > known else 0.0

    @inner
    def step(f: Float64, i: Int64, p: Float64, scratch: Float64, d: float) -> tuple[float, float]:
        if d != d:
            return 0.0, 0.0
        n = i[I_ROWS]
        i[I_ROWS] = n + 1
        if n < RING:
            f[F_RING + n] = d
            if n + 1 == RING:
                begin(f, i, scratch)
            return 0.0, 0.0
        score = told(f, p, d)
        learn(f, i, p, scratch, d)
        return score, record(f, i, p, score)

    done: Step = step
    return done
