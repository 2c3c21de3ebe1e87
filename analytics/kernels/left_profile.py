"""Left matrix profile of one tag: how unlike all earlier courses the newest one is, in prose and as one row.

The distance of a row is that of the window of the last `WINDOW` rows to its nearest neighbour among all earlier windows
that share no row with it, of the last `HISTORY`: z-normalised, so levels and sizes do not matter, only the course does
(left matrix profile: Yeh et al. 2016; streamed as in STAMPI and DAMP, Lu et al. 2022). It lies between 0 (the same
course was there) and 2 √WINDOW. A row is told first and remembered afterwards.

State is one row of `WIDTH` 64-bit words a tag, words read as int64 (`I_…`) or float64 (`F_…`).

1. *Covariances.* The centred products c of the newest window with that `lag` rows before it follow from those of the
   row before: c += df · dg' + df' · dg (SCAMP, Zimmerman et al. 2019), where df, dg belong to the newest, df', dg' to
   the earlier window. No mean squared is ever taken off, so a level of 850 ± 0.5 costs no digits.
2. *No drift.* Each row calculates the next lag afresh, so no product is older than HISTORY rows, and the nearest
   neighbour is calculated afresh before it is told: what a spike has spoilt is found there and put right.
3. *Constant windows* (a spread below `CONSTANT` of the greatest value) are like constant ones and like nothing else:
   distance 0 where one is remembered, 2 √WINDOW / √2 where none is.
4. *Gaps.* A row that is no number begins a new window; windows with a gap inside are told NaN and never remembered.

Rings are written twice, newest first, so that a lag is an offset and all lags are one run of memory.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from analytics.kernels.layout import Float64, Int64, aligned

WINDOW: Final = 100
HISTORY: Final = 10_000
"""Windows that are remembered."""
LEAST: Final = 3 * WINDOW
"""Rows from which on a distance is told."""
CONSTANT: Final = 1e-10
WRONG: Final = 1e-7
"""A correlation that was off by more is put right, and the best one looked at again; after `AGAIN` times all are
calculated afresh."""
AGAIN: Final = 3
FAR: Final = math.sqrt(2.0 * WINDOW)
"""The distance of windows that have nothing in common."""

ROWS: Final = HISTORY + WINDOW
"""Rows of which the remembered windows are made."""
I_ROWS: Final = 0
I_RUN: Final = 1
"""Rows since the last gap."""
I_HEAD: Final = 2
"""Where the newest row and window stand in the rings."""
I_FRESH: Final = 3
"""The lag that was calculated afresh last."""
F_X: Final = 4
F_DF: Final = F_X + 2 * ROWS
F_DG: Final = F_DF + 2 * ROWS
F_INVERSE: Final = F_DG + 2 * ROWS
"""One over the norm of each centred window; 0 where it is constant or has a gap."""
F_FLAT: Final = F_INVERSE + 2 * ROWS
"""1 where a window is constant."""
F_PRODUCT: Final = F_FLAT + 2 * ROWS
"""c of each lag."""
WIDTH: Final = (F_PRODUCT + ROWS + 7) // 8 * 8

Step = Callable[[Any, Any, Any, float], float]
Scan = Callable[[Any, Any, Any, Any, Any, float, float], int]


def new_left_profiles(count: int) -> Int64:
    """State of `count` tags of which nothing is known: int64 [count, WIDTH]."""
    return aligned(count, WIDTH).view(np.int64)


def build(inner: Callable[[Any], Any], scan: Scan) -> Step:
    """The arithmetic of one row, `inner` around each of its functions: numba's compiler, or nothing.

    `scan(product, df, dg, inverse, out, new_df, new_dg)` moves the products of all lags on, writes the product over the
    earlier window's norm to `out`, and answers where the first of the greatest is. The step takes a row of state as
    float64 and as int64, a scratch of ROWS words and the value, and answers the distance.
    """

    @inner
    def put(ring: Float64, head: int, x: float) -> None:
        ring[head] = x
        ring[head + ROWS] = x

    @inner
    def afresh(f: Float64, head: int, lag: int) -> float:
        """The centred product of the newest window with that `lag` rows before it."""
        x = F_X + head
        mine, other = 0.0, 0.0
        for k in range(WINDOW):
            mine += f[x + k]
            other += f[x + lag + k]
        mine /= WINDOW
        other /= WINDOW
        total = 0.0
        for k in range(WINDOW):
            total += (f[x + k] - mine) * (f[x + lag + k] - other)
        return float(total)

    @inner
    def window(f: Float64, i: Int64, head: int) -> None:
        """What the rings hold of the newest window."""
        newest = f[F_X + head : F_X + head + WINDOW + 1]
        mean, greatest = 0.0, 0.0
        for k in range(WINDOW):
            mean += newest[k]
            greatest = max(greatest, abs(newest[k]))
        mean /= WINDOW
        before = mean + (newest[WINDOW] - newest[0]) / WINDOW
        norm = 0.0
        for k in range(WINDOW):
            apart = newest[k] - mean
            norm += apart * apart
        flat = norm <= WINDOW * (CONSTANT * greatest) ** 2
        whole = i[I_RUN] >= WINDOW
        put(f[F_DF : F_DF + 2 * ROWS], head, 0.5 * (newest[0] - newest[WINDOW]))
        put(f[F_DG : F_DG + 2 * ROWS], head, (newest[0] - mean) + (newest[WINDOW] - before))
        put(f[F_INVERSE : F_INVERSE + 2 * ROWS], head, 1.0 / math.sqrt(norm) if whole and not flat else 0.0)
        put(f[F_FLAT : F_FLAT + 2 * ROWS], head, 1.0 if whole and flat else 0.0)

    @inner
    def nearest(f: Float64, head: int, last: int, scratch: Float64, lag: int) -> float:
        """The greatest correlation of the newest window with one at lags WINDOW … `last`."""
        inverse = f[F_INVERSE + head]
        right = False
        for _ in range(AGAIN):
            product = afresh(f, head, lag)
            f[F_PRODUCT + lag] = product
            true = product * f[F_INVERSE + head + lag]
            right = abs(true - scratch[lag]) * inverse <= WRONG
            scratch[lag] = true
            if right:
                break
            lag = WINDOW + int(np.argmax(scratch[WINDOW : last + 1]))
        if not right:  # a spike that left the window took the digits of all products with it
            for k in range(WINDOW, last + 1):
                f[F_PRODUCT + k] = afresh(f, head, k)
                scratch[k] = f[F_PRODUCT + k] * f[F_INVERSE + head + k]
            lag = WINDOW + int(np.argmax(scratch[WINDOW : last + 1]))
        return float(scratch[lag] * inverse)

    @inner
    def told(f: Float64, head: int, last: int, scratch: Float64, lag: int) -> float:
        if f[F_FLAT + head] > 0.0:
            return 0.0 if f[F_FLAT + head + WINDOW : F_FLAT + head + last + 1].max() > 0.0 else FAR
        alike = min(max(nearest(f, head, last, scratch, lag), -1.0), 1.0)
        return math.sqrt(2.0 * WINDOW * (1.0 - alike))

    @inner
    def step(f: Float64, i: Int64, scratch: Float64, x: float) -> float:
        if not abs(x) < 1e100:
            i[I_RUN] = 0
            return math.nan
        head = (i[I_HEAD] + ROWS - 1) % ROWS
        put(f[F_X : F_X + 2 * ROWS], head, x)
        i[I_HEAD] = head
        rows = i[I_ROWS] + 1
        i[I_ROWS] = rows
        i[I_RUN] += 1
        if rows <= WINDOW:
            return math.nan
        window(f, i, head)
        last = min(rows - WINDOW - 1, HISTORY - 1)
        if last < WINDOW:
            return math.nan
        df, dg = F_DF + head, F_DG + head
        lag = WINDOW + scan(
            f[F_PRODUCT + WINDOW : F_PRODUCT + last + 1],
            f[df + WINDOW : df + last + 1],
            f[dg + WINDOW : dg + last + 1],
            f[F_INVERSE + head + WINDOW : F_INVERSE + head + last + 1],
            scratch[WINDOW : last + 1],
            f[df],
            f[dg],
        )
        growing = last > i[I_FRESH] and last < HISTORY - 1
        fresh = last if growing else WINDOW + (i[I_FRESH] + 1 - WINDOW) % (last + 1 - WINDOW)
        i[I_FRESH] = fresh
        f[F_PRODUCT + fresh] = afresh(f, head, fresh)
        if growing:
            scratch[fresh] = f[F_PRODUCT + fresh] * f[F_INVERSE + head + fresh]
            if scratch[fresh] > scratch[lag]:
                lag = fresh
        if i[I_RUN] < WINDOW or rows < LEAST:
            return math.nan
        return float(told(f, head, last, scratch, lag))

    done: Step = step
    return done
