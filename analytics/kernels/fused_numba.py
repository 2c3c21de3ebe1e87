"""The pass as numba machine code: one call scores a block. Importing this module compiles it, or reads the cache.

numba's cache looks only at the file, the byte code and the closure of the outermost function. A kernel from before an
upgrade would read the wrong words of the state, so the closure holds a digest of all other functions and constants.
The arithmetic is `layout`'s prose; `fused_numpy` is the same, round by round. Raises ImportError where numba can't
compile here.
"""

import inspect
import math
import zlib
from typing import Any, Final

import numpy as np
from numba import float64, int64, njit, types, uint8, uint16
from numba.core.errors import NumbaError

from analytics.kernels import layout as at
from analytics.kernels import memory
from analytics.kernels.block import Block, Codes, Float64, Int64
from analytics.kernels.layout import Masks
from analytics.kernels.memory import lent_row, prefetch

NAME: Final = "numba"
Statistics = tuple[float, float, float, float, float, float]
"""Range, rate, Hampel, EWMA, CUSUM, and the fast level's distance from known ground."""
_digested: Final[list[Any]] = [{k: v for k, v in vars(at).items() if k.isupper()}, inspect.getsource(memory)]
AHEAD: Final = 6
"""Tags whose state is asked for before its use: between two scans it leaves the cache."""
NEAR: Final = 3
"""The same for the place in the ring, which stands in the state itself."""
HOT_WORDS: Final = 48
"""Words of a tag's state, from the first, that most rows use."""
LINE_WORDS: Final = 8


def _inner(function: Any) -> Any:
    """Compiled into the outermost function, which alone has a signature and a place in the cache.

    Inlined: each call would hand over three arrays as 21 words. With `lent_row` a row costs 50 ns instead of 220.
    """
    code = function.__code__
    _digested.append((code.co_name, code.co_code, code.co_consts, code.co_names))
    return njit(nogil=True, error_model="numpy", forceinline=True)(function)


@_inner
def _larger(a: float, b: float) -> float:
    if a > b:
        return a
    return b


@_inner
def _smaller(a: float, b: float) -> float:
    if a < b:
        return a
    return b


@_inner
def _clip(a: float, bound: float) -> float:
    if a > bound:
        return bound
    if a < -bound:
        return -bound
    return a


@_inner
def _push(f: Float64, i: Int64, v: float) -> None:
    pos, fill = i[at.I_POS], i[at.I_FILL]
    f[at.F_RING + pos] = v
    i[at.I_POS] = pos + 1 if pos + 1 < at.WINDOW else 0
    i[at.I_FILL] = fill + 1 if fill < at.WINDOW else fill


@_inner
def _hampel(f: Float64, fill: int, window: Float64, v: float, sigma: float) -> float:
    """|v - median| over the larger of MAD and sigma; 0 while the window is less than half full."""
    if fill <= at.WINDOW // 2:
        return 0.0
    for k in range(fill):
        value, j = f[at.F_RING + k], k
        while j > 0 and window[j - 1] > value:
            window[j] = window[j - 1]
            j -= 1
        window[j] = value
    half = fill // 2
    median, low, high, mad = window[half], half - 1, half, 0.0
    for _ in range(half + 1):
        below = median - window[low] if low >= 0 else np.inf
        above = window[high] - median if high < fill else np.inf
        if above <= below:
            mad = above
            high += 1
        else:
            mad = below
            low -= 1
    return float(abs(v - median) / _larger(at.MAD_SIGMA * mad, sigma))


@_inner
def _settle(f: Float64, i: Int64) -> None:
    i[at.I_SETTLE] = 1
    i[at.I_SEG] = 0
    i[at.I_RUN] = at.NO_RUN
    i[at.I_DEV] = 0
    f[at.F_UP] = 0.0
    f[at.F_DOWN] = 0.0


@_inner
def _rhythm(f: Float64, i: Int64, p: Float64, dt: float) -> bool:
    """Learns the tag's interval; true where this row comes after a gap."""
    n = i[at.I_SEEN]
    i[at.I_SEEN] = n + 1
    if n == 0:
        return False
    typical, interval = f[at.F_DT], p[at.P_INTERVAL]
    edge = _larger(at.GAP_INTERVALS * _larger(typical, interval), at.GAP_LEAST)
    known = n >= at.RHYTHM_ROWS and interval > 0.0
    if i[at.I_MASK] & at.QUALITY_BITS == 0:
        stale = _larger(_larger(p[at.P_STALE] * _larger(interval, typical), at.STALE_LEAST), 3.0 * f[at.F_GAP])
        bounded = edge if known and dt > edge else dt
        f[at.F_DT] = typical + (bounded - typical) * (1.0 / n if n < 100 else 0.01)
        if not known or dt <= stale:
            f[at.F_GAP] = _larger(f[at.F_GAP] * 0.999, dt)
    return bool(known and dt > edge)


@_inner
def _motion(f: Float64, i: Int64, t: int, v: float) -> None:
    """Runs of equal values, resolution, short-term noise."""
    n = i[at.I_ROWS]
    delta = v - f[at.F_LAST]
    f[at.F_LAST] = v
    moved = 0.0
    if delta != 0.0:
        moved = 1.0
        if i[at.I_RUN] > i[at.I_RUN_MAX] and i[at.I_MASK] & at.FLAT == 0:
            i[at.I_RUN_MAX] = i[at.I_RUN]
        i[at.I_RUN] = 1
        i[at.I_RUN_TIME] = t
        i[at.I_MOVES] += 1
        if abs(delta) < f[at.F_RES]:
            f[at.F_RES] = abs(delta)
    else:
        i[at.I_RUN] += 1
    f[at.F_MOVE] += (moved - f[at.F_MOVE]) * (1.0 / n if n < 1000 else 0.001)
    f[at.F_NOISE] += (delta * delta * 0.5 - f[at.F_NOISE]) * (1.0 / n if n < 60 else at.NOISE_GAIN)


@_inner
def _flat(f: Float64, i: Int64, p: Float64, t: int, v: float) -> bool:
    if i[at.I_RUN] == 1 or p[at.P_FLAT] == 0.0 or i[at.I_PHASE] != at.READY:
        return False
    if i[at.I_MASK] & at.FLAT:
        return True
    if i[at.I_RUN] < at.FLAT_ROWS or i[at.I_RUN] < at.FLAT_RUNS * i[at.I_RUN_MAX]:
        return False
    if v == 0.0 or v <= p[at.P_LOW] or v >= p[at.P_HIGH] or (p[at.P_MV] != 0.0 and (v == 1.0 or v == 100.0)):
        return False
    return bool(f[at.F_MOVE] >= at.FLAT_MOVE and t - i[at.I_RUN_TIME] >= at.FLAT_NS)


@_inner
def _follow(f: Float64, n: int, tau: float, dt: float, sigma: float, r: float, q: float) -> None:
    """Lets slow level, sigma and rate noise follow one more normal row."""
    gain = _larger(1.0 / (n + 1.0), dt / (tau + dt))
    spread = _larger(1.0 / n, dt / (at.SPREAD * tau + dt))
    cut, square = r, q * q
    if n > 30:
        cut = _clip(r, at.FIT_CUT * sigma)
        most = at.FIT_CUT * at.FIT_CUT * f[at.F_RATE]
        if most > 0.0:
            square = _smaller(square, most)
    f[at.F_SLOW] += gain * cut
    f[at.F_VAR] += (cut * cut - f[at.F_VAR]) * spread
    f[at.F_RATE] += (square - f[at.F_RATE]) * spread


@_inner
def _ground(f: Float64) -> None:
    slow = f[at.F_SLOW]
    if slow < f[at.F_LO]:
        f[at.F_LO] = slow
    if slow > f[at.F_HI]:
        f[at.F_HI] = slow


@_inner
def _statistics(
    f: Float64, i: Int64, window: Float64, v: float, sigma: float, r: float, q: float, jump: float, dt: float,
    typical: float,
) -> Statistics:  # fmt: skip  # one argument a line hides the body
    lo, hi, fast, unit = f[at.F_LO], f[at.F_HI], f[at.F_FAST], 1.0 / sigma
    far = _larger(_larger(lo - v, v - hi), 0.0) * unit
    rate = q / _larger(_larger(math.sqrt(f[at.F_RATE]), 0.02 * sigma / typical), at.TINY)
    spike = _hampel(f, i[at.I_FILL], window, v, sigma) if abs(jump) > at.DOUBT * sigma else 0.0
    shift = abs(fast - f[at.F_SLOW]) * unit
    z = _clip(r * unit, at.FIT_CUT)
    weight = _smaller(dt / typical, at.WEIGHT_CAP)
    up = _larger(f[at.F_UP] + (z - at.SLACK) * weight, 0.0)
    down = _larger(f[at.F_DOWN] - (z + at.SLACK) * weight, 0.0)
    f[at.F_UP], f[at.F_DOWN] = up, down
    level = _larger(_larger(lo - fast, fast - hi), 0.0) * unit
    return (
        _smaller(far, at.CAP),
        _smaller(rate, at.CAP),
        _smaller(spike, at.CAP),
        _smaller(shift, at.CAP),
        _larger(up, down),
        level,
    )


@_inner
def _fitted(f: Float64, i: Int64, p: Float64, t: int) -> None:
    """Ends the fit when its rows, its time and the tag's movement suffice."""
    n, elapsed = i[at.I_ROWS], t - i[at.I_FIRST]
    if 3 * n < 2.0 * p[at.P_LEARN_ROWS] or elapsed * 3e-9 < 2.0 * p[at.P_LEARN_TIME] or i[at.I_MOVES] < at.MOVES:
        return
    i[at.I_PHASE] = at.CALIBRATE
    i[at.I_NEXT] = n + n // 2
    i[at.I_NEXT_TIME] = t + elapsed // 2
    f[at.F_LO] = f[at.F_SLOW]
    f[at.F_HI] = f[at.F_SLOW]


@_inner
def _calibrate(f: Float64, i: Int64, t: int, found: Statistics) -> None:
    """Notes the largest statistics, and ends the calibration when it has lasted long enough."""
    surprised = False
    for k in range(5):
        f[at.F_MAX + k] = _larger(f[at.F_MAX + k], found[k])
        surprised = surprised or f[at.F_MAX + k] > at.LEAST[k]
    if i[at.I_ROWS] < i[at.I_NEXT] or t < i[at.I_NEXT_TIME]:
        return
    if surprised and i[at.I_DOUBLES] < at.DOUBLINGS:
        i[at.I_DOUBLES] += 1
        i[at.I_NEXT] = 2 * i[at.I_ROWS]
        i[at.I_NEXT_TIME] = t + (t - i[at.I_FIRST])
        for k in range(5):
            f[at.F_MAX + k] = 0.0
        return
    i[at.I_PHASE] = at.READY
    f[at.F_UP] = 0.0
    f[at.F_DOWN] = 0.0
    for k in range(5):
        f[at.F_EASE + k] = 1.0 / _larger(at.LEAST[k], at.MARGIN * f[at.F_MAX + k])


@_inner
def _settling(f: Float64, i: Int64, p: Float64, t: int, v: float, sigma: float, gain: float) -> None:
    """Follows a tag that may be on its way to another level, until it stays."""
    band = at.SETTLE_BAND * _larger(sigma, math.sqrt(f[at.F_NOISE]))
    seg = i[at.I_SEG]
    if seg == 0 or abs(f[at.F_FAST] - f[at.F_SLOW]) > band:
        f[at.F_SLOW] = f[at.F_FAST]
        f[at.F_SEGVAR] = 0.0
        i[at.I_SEG] = 1
        i[at.I_SEG_TIME] = t
        return
    r = v - f[at.F_SLOW]
    f[at.F_SLOW] += r * _larger(1.0 / (seg + 1.0), gain)
    f[at.F_SEGVAR] += (r * r - f[at.F_SEGVAR]) / seg
    i[at.I_SEG] = seg + 1
    if seg + 1 >= at.SETTLE_ROWS and (t - i[at.I_SEG_TIME]) * 1e-9 >= at.SETTLE_TIMES * p[at.P_TAU_SLOW]:
        i[at.I_SETTLE] = 0
        f[at.F_VAR] = _larger(f[at.F_VAR], f[at.F_SEGVAR])
        _ground(f)


@_inner
def _part(prior: int, bit: int, found: float, ease: float, weight: float) -> tuple[int, float]:
    """A statistic over its limit, and its bit where it fires; `weight` is its say if it has not fired yet."""
    held = prior & bit != 0
    part = found * ease * (1.0 if held else weight)
    return (bit if part > 1.0 or (held and part > 0.5) else 0), part


@_inner
def _judge(f: Float64, i: Int64, p: Float64, found: Statistics) -> tuple[int, float]:
    """Which learned detectors fire, and the largest statistic over its limit."""
    far, rate, spike, shift, total, level = found
    prior = i[at.I_MASK]
    ease = 1.0 / (1.0 + at.YOUNG * p[at.P_LEARN_ROWS] / i[at.I_ROWS])
    clear = 1.0 if far > at.GROUND else 1.0 / at.INSIDE
    away = 1.0 if level > at.GROUND else 0.0
    bit0, part0 = _part(prior, at.LEARNED, far, f[at.F_EASE] * ease, 1.0)
    bit1, part1 = _part(prior, at.RATE, rate, f[at.F_EASE + 1] * ease, clear)
    bit2, part2 = _part(prior, at.HAMPEL, spike, f[at.F_EASE + 2] * ease, clear)
    bit3, part3 = _part(prior, at.EWMA, shift, f[at.F_EASE + 3] * ease, away)
    bit4, part4 = _part(prior, at.CUSUM, total, f[at.F_EASE + 4] * ease, away)
    if total * (f[at.F_EASE + 4] * ease) > at.SUM_CAP:
        most = at.SUM_CAP / (f[at.F_EASE + 4] * ease)
        f[at.F_UP] = _smaller(f[at.F_UP], most)
        f[at.F_DOWN] = _smaller(f[at.F_DOWN], most)
    worst = _larger(_larger(_larger(part0, part1), _larger(part2, part3)), part4)
    return bit0 | bit1 | bit2 | bit3 | bit4, worst


@_inner
def _deviating(f: Float64, i: Int64, p: Float64, t: int, found: Statistics) -> bool:
    """Counts a deviating row; true once the deviation has lasted so long that it is the new level."""
    if i[at.I_DEV] == 0:
        i[at.I_DEV_TIME] = t
        if i[at.I_ROWS] - i[at.I_BRIEF_ROW] > at.ACCEPT * p[at.P_LEARN_ROWS]:
            i[at.I_BRIEF] = 0
        if i[at.I_BRIEF] == 0:
            for k in range(3):
                f[at.F_MAX + k] = 0.0
    i[at.I_DEV] += 1
    for k in range(3):
        f[at.F_MAX + k] = _larger(f[at.F_MAX + k], found[k])
    long = (t - i[at.I_DEV_TIME]) * 1e-9 >= at.ACCEPT * p[at.P_LEARN_TIME]
    return bool(long and i[at.I_DEV] >= at.ACCEPT * p[at.P_LEARN_ROWS])


@_inner
def _recovered(f: Float64, i: Int64) -> None:
    """After an excursion: brief ones that come again and again raise the limits beyond them."""
    i[at.I_BRIEF] = i[at.I_BRIEF] + 1 if i[at.I_DEV] <= at.BRIEF_ROWS else 0
    i[at.I_BRIEF_ROW] = i[at.I_ROWS]
    i[at.I_DEV] = 0
    if i[at.I_BRIEF] < at.BRIEF_TIMES:
        return
    i[at.I_BRIEF] = 0
    for k in range(3):
        f[at.F_EASE + k] = _smaller(f[at.F_EASE + k], 1.0 / _larger(at.BRIEF_MARGIN * f[at.F_MAX + k], at.TINY))


@_inner
def _begin(f: Float64, i: Int64, t: int, v: float) -> None:
    i[at.I_ROWS] = 1
    i[at.I_RUN] = 1
    i[at.I_RUN_TIME] = t
    i[at.I_FIRST] = t
    f[at.F_LAST] = v
    f[at.F_FAST] = v
    f[at.F_SLOW] = v


@_inner
def _score(
    f: Float64, i: Int64, p: Float64, window: Float64, t: int, v: float, dt: float, gap: bool, mask: int
) -> tuple[int, float]:
    """The learned detectors on one number; `mask` has the instrument's range."""
    n = i[at.I_ROWS]
    _push(f, i, v)
    if n == 0:
        _begin(f, i, t, v)
        return mask, 0.0
    phase = i[at.I_PHASE]
    if gap and phase == at.READY:
        _settle(f, i)
    _motion(f, i, t, v)
    i[at.I_ROWS] = n + 1
    typical = _larger(f[at.F_DT], 1e-9)
    tau = _larger(at.SLOW_ROWS * typical, p[at.P_TAU_SLOW])
    resolution = f[at.F_RES] if f[at.F_RES] <= at.HUGE else 0.0
    sigma = _larger(_larger(_larger(math.sqrt(f[at.F_VAR]), p[at.P_FLOOR]), resolution), at.TINY)
    ready = phase == at.READY and i[at.I_SETTLE] == 0
    r, before, level = v - f[at.F_SLOW], f[at.F_FAST], v
    if ready and abs(r) > at.SPIKE_CUT * sigma:
        level = f[at.F_SLOW] + _clip(r, at.SPIKE_CUT * sigma)
    f[at.F_FAST] = before + (level - before) * (dt / (_larger(at.FAST_ROWS * typical, p[at.P_TAU_FAST]) + dt))
    q = abs(f[at.F_FAST] - before) / _larger(dt, typical)
    if _flat(f, i, p, t, v):
        mask |= at.FLAT
    if i[at.I_SETTLE] != 0:
        _settling(f, i, p, t, v, sigma, dt / (tau + dt))
        return mask, 0.0
    if phase == at.FIT:
        _follow(f, n, tau, dt, sigma, r, q)
        _fitted(f, i, p, t)
        return mask, 0.0
    found = _statistics(f, i, window, v, sigma, r, q, v - before, dt, typical)
    if phase == at.CALIBRATE:
        _follow(f, n, tau, dt, sigma, r, q)
        _ground(f)
        _calibrate(f, i, t, found)
        return mask, 0.0
    bits, worst = _judge(f, i, p, found)
    if bits != 0:
        if _deviating(f, i, p, t, found):
            _settle(f, i)
            return mask, 0.0
    elif i[at.I_DEV] > 0:
        _recovered(f, i)
    if mask | bits == 0:
        _follow(f, n, tau, dt, sigma, r, q)
        _ground(f)
    return mask | bits, worst


@_inner
def _step(f: Float64, i: Int64, p: Float64, window: Float64, t: int, v: float, code: int) -> tuple[int, float]:
    """One row of one tag: the new mask and the score."""
    prior, kind = i[at.I_MASK], code & at.CODE_KIND
    if code & at.CODE_SKIP:
        return prior, 0.0
    if kind == at.CODE_BAD:
        return at.BAD, 0.0
    if kind == at.CODE_NUMBER and not abs(v) <= at.HUGE:
        return at.INVALID, 0.0
    dt, back = 0.0, False
    if i[at.I_SEEN] > 0:
        if t >= i[at.I_TIME]:
            dt = (t - i[at.I_TIME]) * 1e-9
        elif code & at.CODE_OWN_TIME:
            t = i[at.I_TIME]
        else:
            i[at.I_LATE] += 1
            if i[at.I_LATE] < at.LATE_ROWS:
                return prior, 0.0
            back = True
    i[at.I_LATE] = 0
    i[at.I_TIME] = t
    gap = _rhythm(f, i, p, dt) or back
    if kind != at.CODE_NUMBER:
        return 0, 0.0
    v = v + 0.0
    high, low = p[at.P_HIGH], p[at.P_LOW]
    outside = v > high + p[at.P_TOLERANCE] or v < low - p[at.P_TOLERANCE]
    mask = at.RANGE if outside or (prior & at.RANGE and not low <= v <= high) else 0
    worst = 0.0
    if p[at.P_STAT] != 0.0:
        mask, worst = _score(f, i, p, window, t, v, dt, gap, mask)
    return mask, (1.0 if mask & at.RANGE and worst < 1.0 else worst)


@_inner
def _groups(mask: int) -> int:
    out = 1 if mask & at.QUALITY_BITS else 0
    out |= 2 if mask & at.FLAT else 0
    return out | (4 if mask & at.PROCESS_BITS else 0)


def _with_digest(digest: int) -> Any:
    def every_row(
        tags: Int64, offsets: Int64, time: Int64, value: Float64, code: Codes,
        floats: Float64, ints: Int64, parameters: Float64, windows: Float64,
        mask: Masks, score: Float64, changed: Int64,
    ) -> int:  # fmt: skip  # columns, then state, then results
        window = lent_row(windows, 0)
        changes = 0 if digest else -1  # never -1: makes the digest a part of the closure
        for g in range(len(tags)):
            tag = tags[g]
            if g + AHEAD < len(tags):
                coming = tags[g + AHEAD]
                for word in range(0, HOT_WORDS, LINE_WORDS):
                    prefetch(ints, coming, word)
                prefetch(parameters, coming, 0)
                prefetch(parameters, coming, LINE_WORDS)
                near = tags[g + NEAR]
                prefetch(ints, near, at.F_RING + ints[near, at.I_POS])
            f, i, p = lent_row(floats, tag), lent_row(ints, tag), lent_row(parameters, tag)
            for row in range(offsets[g], offsets[g + 1]):
                prior = i[at.I_MASK]
                new, worst = _step(f, i, p, window, time[row], value[row], code[row])
                i[at.I_MASK] = new
                mask[row] = new
                score[row] = worst
                if new != prior and _groups(new) != _groups(prior):
                    changed[changes] = row
                    changes += 1
        return changes

    return every_row


def _read_only(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C", readonly=True)


_SIGNATURE: Final = int64(
    _read_only(int64), _read_only(int64), _read_only(int64), _read_only(float64), _read_only(uint8),
    float64[:, ::1], int64[:, ::1], float64[:, ::1], float64[:, ::1], uint16[::1], float64[::1], int64[::1],
)  # fmt: skip  # columns, then state, then results
try:
    _digest: Final = zlib.crc32(repr(_digested).encode()) | 1 << 32
    _compiled: Final = njit(_SIGNATURE, nogil=True, cache=True, error_model="numpy")(_with_digest(_digest))
except NumbaError as error:
    raise ImportError(f"numba cannot compile the pass: {error}") from error


def score_block(block: Block, state: Int64, parameters: Float64) -> tuple[Masks, Float64, Int64]:
    """Scores every row of `block` and moves `state` on; see `layout`.

    Returns the mask of firing detectors and the score (largest statistic over its limit, 1 = at the limit) of each row,
    and the positions of rows where a group of detectors (quality, flat line, process) began or ceased to fire.
    """
    rows = len(block)
    mask, score, changed = np.empty(rows, np.uint16), np.empty(rows), np.empty(rows, np.int64)
    floats = state.view(np.float64)
    columns = block.tags, block.offsets, block.time, block.value, block.code
    count = _compiled(*columns, floats, state, parameters, np.empty((1, at.WINDOW)), mask, score, changed)
    return mask, score, changed[:count]
