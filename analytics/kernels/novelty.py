"""Novelty of one tag: how unlike anything of its own past a row is, in prose and as one row.

For chosen tags: 130 kB and 3.5 µs a row each. It learns while it judges, in one pass, and needs neither a model nor a
fault to learn from. A row is told first and remembered afterwards; what is no number changes nothing and scores 0.

State is one row of `WIDTH` 64-bit words a tag, words read as int64 (`I_…`) or float64 (`F_…`).

1. *Three distances.* How far the value lies outside all that it ever was; how far it is from its `NEIGHBOURS`-th
   nearest among the last `HISTORY` values; and the same of the mean of `MEAN` rows, among means that share no row with
   it. The nearest-neighbour distance is that of Ramaswamy, Rastogi & Shim (2000), here of single numbers, kept in
   order: a row costs two binary searches and two moves.
2. *Calibration.* Each distance becomes −log10 p by `tail`, at most `MOST_EACH`: so much and no more can be known from a
   history of this length.
3. *Together.* The sum S of the three is judged by Fisher's method (1932): −log10 of the chance that the sum of three
   independent ones is at least S, P(χ²₆ ≥ 2 S ln 10). So the score of the three means again what it says.
4. *Two outputs.* `score` is that, fading to its half in `HALF_LIFE` rows: what is odd stays in sight. `alarm_score` is
   the score of a row that exceeds all of the last `FORGET` rows (at least half of them: two halves take turns), else 0.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from analytics.kernels import tail
from analytics.kernels.layout import Float64, Int64, aligned

HISTORY: Final = 4000
NEIGHBOURS: Final = 3
LEAST: Final = 51
"""Remembered rows from which a neighbour says something."""
MEAN: Final = 24
MOST_EACH: Final = 6.0
HALF_LIFE: Final = 150
FORGET: Final = 200
FADE: Final = 0.5 ** (1.0 / HALF_LIFE)
LN10: Final = math.log(10.0)

I_ROWS: Final = 0
I_VALUES: Final = 1
"""Values ever remembered; the ring holds the last HISTORY of them."""
I_MEANS: Final = 2
F_LOW: Final = 3
F_HIGH: Final = 4
F_HELD: Final = 5
F_RECORD: Final = 6
F_BEFORE: Final = 7
F_TAILS: Final = 8
"""Three calibrations."""
F_RECENT: Final = F_TAILS + 3 * tail.WIDTH
"""Ring of the last MEAN values."""
F_LATE: Final = F_RECENT + MEAN
"""Ring of the last MEAN means, which share rows with the next one."""
F_VALUES: Final = F_LATE + MEAN
F_SORTED: Final = F_VALUES + HISTORY
F_MEANS: Final = F_SORTED + HISTORY
F_SORTED_MEANS: Final = F_MEANS + HISTORY
WIDTH: Final = F_SORTED_MEANS + HISTORY

PARAMETERS: Final = np.array([0.0, float(FORGET)])
"""Of the three calibrations."""

Step = Callable[[Any, Any, Any, Any, float], tuple[float, float]]


def new_novelties(count: int) -> Int64:
    """State of `count` tags of which nothing is known: int64 [count, WIDTH]."""
    return aligned(count, WIDTH).view(np.int64)


def build(inner: Callable[[Any], Any]) -> Step:
    """The arithmetic of one row, `inner` around each of its functions: numba's compiler, or nothing.

    The step takes a row of state as float64 and as int64, PARAMETERS, a scratch of tail.RING words and the value. It
    answers score and alarm score.
    """
    calibrated = tail.build(inner)

    @inner
    def place_of(ordered: Float64, x: float) -> int:
        low, high = 0, len(ordered)
        while low < high:
            middle = (low + high) // 2
            if ordered[middle] < x:
                low = middle + 1
            else:
                high = middle
        return low

    @inner
    def distance(ordered: Float64, x: float) -> float:
        above = place_of(ordered, x)
        below = above - 1
        far = 0.0
        for _ in range(NEIGHBOURS):
            up = ordered[above] - x if above < len(ordered) else math.inf
            down = x - ordered[below] if below >= 0 else math.inf
            if up < down:
                far = up
                above += 1
            else:
                far = down
                below -= 1
        return far

    @inner
    def remember(ring: Float64, ordered: Float64, count: int, x: float) -> None:
        at = count % HISTORY
        if count < HISTORY:
            place = place_of(ordered[:count], x)
            ordered[place + 1 : count + 1] = ordered[place:count].copy()
        else:
            gone, place = place_of(ordered, ring[at]), place_of(ordered, x)
            if gone < place:
                place -= 1
                ordered[gone:place] = ordered[gone + 1 : place + 1].copy()
            else:
                ordered[place + 1 : gone + 1] = ordered[place:gone].copy()
        ordered[place] = x
        ring[at] = x

    @inner
    def outside(f: Float64, i: Int64, x: float) -> float:
        if i[I_ROWS] == 0:
            f[F_LOW] = x
            f[F_HIGH] = x
        out = max(x - f[F_HIGH], f[F_LOW] - x, 0.0)
        f[F_LOW] = min(f[F_LOW], x)
        f[F_HIGH] = max(f[F_HIGH], x)
        return float(out)

    @inner
    def from_values(f: Float64, i: Int64, x: float) -> float:
        count = i[I_VALUES]
        ordered = f[F_SORTED : F_SORTED + HISTORY]
        far = distance(ordered[: min(count, HISTORY)], x) if count >= LEAST else math.nan
        remember(f[F_VALUES : F_VALUES + HISTORY], ordered, count, x)
        i[I_VALUES] = count + 1
        return float(far)

    @inner
    def mean_of(f: Float64, i: Int64, x: float) -> float:
        rows = i[I_ROWS]
        f[F_RECENT + rows % MEAN] = x
        total, some = 0.0, min(rows + 1, MEAN)
        for k in range(some):
            total += f[F_RECENT + k]
        return float(total / some)

    @inner
    def from_means(f: Float64, i: Int64, x: float) -> float:
        rows, mean = i[I_ROWS], mean_of(f, i, x)
        late = F_LATE + rows % MEAN
        if rows >= MEAN:
            ring, ordered = f[F_MEANS : F_MEANS + HISTORY], f[F_SORTED_MEANS : F_SORTED_MEANS + HISTORY]
            remember(ring, ordered, i[I_MEANS], f[late])
            i[I_MEANS] += 1
        f[late] = mean
        count = i[I_MEANS]
        if count < LEAST:
            return math.nan
        return float(distance(f[F_SORTED_MEANS : F_SORTED_MEANS + min(count, HISTORY)], mean))

    @inner
    def told(f: Float64, i: Int64, p: Float64, scratch: Float64, number: int, far: float) -> float:
        start = F_TAILS + number * tail.WIDTH
        end = start + tail.WIDTH
        return float(min(calibrated(f[start:end], i[start:end], p, scratch, far)[0], MOST_EACH))

    @inner
    def record(f: Float64, i: Int64, score: float) -> float:
        if i[I_ROWS] % (FORGET // 2) == 0:
            f[F_BEFORE] = f[F_RECORD]
            f[F_RECORD] = 0.0
        known = max(f[F_RECORD], f[F_BEFORE])
        f[F_RECORD] = max(f[F_RECORD], score)
        return float(score if score > known else 0.0)

    @inner
    def step(f: Float64, i: Int64, p: Float64, scratch: Float64, x: float) -> tuple[float, float]:
        if not math.isfinite(x):
            return 0.0, 0.0
        total = told(f, i, p, scratch, 0, outside(f, i, x))
        total += told(f, i, p, scratch, 1, from_values(f, i, x))
        total += told(f, i, p, scratch, 2, from_means(f, i, x))
        half = total * LN10
        score = max((half - math.log1p(half + 0.5 * half * half)) / LN10, 0.0)
        alarm = record(f, i, score)
        i[I_ROWS] += 1
        f[F_HELD] = max(score, f[F_HELD] * FADE)
        return f[F_HELD], alarm

    done: Step = step
    return done
