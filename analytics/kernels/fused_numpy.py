"""The pass in plain numpy, for machines without numba: the same arithmetic as `fused_numba`, equal to the last bit.

Round r takes the r-th row of each tag of the block, all tags at once. A `Lot` is the state of some tags beside one row
of each; parts of it that take another way are taken out, worked on and put back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.kernels import layout as at
from analytics.kernels.block import Block, Float64, Int64
from analytics.kernels.layout import Masks

NAME: Final = "numpy"
Where = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """State [tags, WIDTH] (`i` and `f` are two views of it), parameters, and one row of each tag."""

    i: Int64
    p: Float64
    t: Int64
    v: Float64
    dt: Float64
    prior: Int64
    mask: Int64
    score: Float64

    @property
    def f(self) -> Float64:
        """The state's words as float64."""
        return self.i.view(np.float64)

    def take(self, where: Where) -> "Lot":
        """A copy of the tags where `where` is true."""
        return Lot(
            self.i[where], self.p[where], self.t[where], self.v[where],
            self.dt[where], self.prior[where], self.mask[where], self.score[where],
        )  # fmt: skip  # one column a line hides the order

    def put(self, where: Where, part: "Lot") -> None:
        """Writes back what `take` gave."""
        self.i[where], self.mask[where], self.score[where] = part.i, part.mask, part.score


def _larger(a: npt.ArrayLike, b: npt.ArrayLike) -> Float64:
    return np.where(np.greater(a, b), a, b)


def _smaller(a: npt.ArrayLike, b: npt.ArrayLike) -> Float64:
    return np.where(np.less(a, b), a, b)


def _clip(a: Float64, bound: npt.ArrayLike) -> Float64:
    return np.where(np.greater(a, bound), bound, np.where(np.less(a, np.negative(bound)), np.negative(bound), a))


def _push(lot: Lot) -> None:
    pos, fill = lot.i[:, at.I_POS], lot.i[:, at.I_FILL]
    lot.f[np.arange(len(pos)), at.F_RING + pos] = lot.v
    lot.i[:, at.I_POS] = np.where(pos + 1 < at.WINDOW, pos + 1, 0)
    lot.i[:, at.I_FILL] = np.where(fill < at.WINDOW, fill + 1, fill)


def _hampel(f: Float64, fill: Int64, v: Float64, sigma: Float64) -> Float64:
    window = np.where(np.arange(at.WINDOW) < fill[:, None], f[:, at.F_RING : at.F_RING + at.WINDOW], np.inf)
    rows, half = np.arange(len(v)), fill // 2
    median = np.sort(window, axis=1)[rows, half]
    mad = np.sort(np.abs(window - median[:, None]), axis=1)[rows, half]
    return np.where(fill > at.WINDOW // 2, np.abs(v - median) / _larger(at.MAD_SIGMA * mad, sigma), 0.0)


def _rhythm(lot: Lot) -> Where:
    n = lot.i[:, at.I_SEEN].copy()
    lot.i[:, at.I_SEEN] += 1
    typical, interval, dt = lot.f[:, at.F_DT].copy(), lot.p[:, at.P_INTERVAL], lot.dt
    edge = _larger(at.GAP_INTERVALS * _larger(typical, interval), at.GAP_LEAST)
    known = (n >= at.RHYTHM_ROWS) & (interval > 0.0)
    far = dt > edge
    stale = lot.p[:, at.P_STALE] * _larger(interval, typical)
    stale = _larger(_larger(stale, at.STALE_LEAST), 3.0 * lot.f[:, at.F_GAP])
    fine = (n > 0) & (lot.prior & at.QUALITY_BITS == 0)
    bounded = np.where(known & far, edge, dt)
    mean = typical + (bounded - typical) * _larger(1.0 / n, 0.01)
    lot.f[:, at.F_DT] = np.where(fine, mean, typical)
    longest = lot.f[:, at.F_GAP]
    lot.f[:, at.F_GAP] = np.where(fine & (~known | (dt <= stale)), _larger(longest * 0.999, dt), longest)
    return (n > 0) & known & far


def _motion(lot: Lot) -> None:
    i, f, share = lot.i, lot.f, 1.0 / lot.i[:, at.I_ROWS]
    delta = lot.v - f[:, at.F_LAST]
    f[:, at.F_LAST] = lot.v
    moved = delta != 0.0
    longest, run = i[:, at.I_RUN_MAX], i[:, at.I_RUN]
    i[:, at.I_RUN_MAX] = np.where(moved & (run > longest) & (lot.prior & at.FLAT == 0), run, longest)
    i[:, at.I_RUN] = np.where(moved, 1, run + 1)
    i[:, at.I_RUN_TIME] = np.where(moved, lot.t, i[:, at.I_RUN_TIME])
    i[:, at.I_MOVES] += moved
    size = np.abs(delta)
    f[:, at.F_RES] = np.where(moved & (size < f[:, at.F_RES]), size, f[:, at.F_RES])
    f[:, at.F_MOVE] += (moved.astype(np.float64) - f[:, at.F_MOVE]) * _larger(share, 0.001)
    f[:, at.F_NOISE] += (delta * delta * 0.5 - f[:, at.F_NOISE]) * _larger(share, at.NOISE_GAIN)


def _flat(lot: Lot) -> Where:
    i, p, v, run = lot.i, lot.p, lot.v, lot.i[:, at.I_RUN]
    able = (run != 1) & (p[:, at.P_FLAT] != 0.0) & (i[:, at.I_PHASE] == at.READY)
    long = (run >= at.FLAT_ROWS) & (run >= at.FLAT_RUNS * i[:, at.I_RUN_MAX])
    long &= (lot.f[:, at.F_MOVE] >= at.FLAT_MOVE) & (lot.t - i[:, at.I_RUN_TIME] >= at.FLAT_NS)
    stop = (p[:, at.P_MV] != 0.0) & ((v == 1.0) | (v == 100.0))
    rests = (v == 0.0) | (v <= p[:, at.P_LOW]) | (v >= p[:, at.P_HIGH]) | stop
    latched = np.not_equal(lot.prior & at.FLAT, 0)
    flat: Where = able & (latched | (long & ~rests))
    return flat


def _follow(lot: Lot, which: Where, tau: Float64, sigma: Float64, r: Float64, q: Float64) -> None:
    f, dt, n = lot.f, lot.dt, lot.i[:, at.I_ROWS] - 1
    gain = _larger(1.0 / (n + 1.0), dt / (tau + dt))
    spread = _larger(1.0 / n, dt / (at.SPREAD * tau + dt))
    old = n > 30
    cut = np.where(old, _clip(r, at.FIT_CUT * sigma), r)
    most, square = at.FIT_CUT * at.FIT_CUT * f[:, at.F_RATE], q * q
    square = np.where(old & (most > 0.0), _smaller(square, most), square)
    for column, step in (
        (at.F_SLOW, gain * cut),
        (at.F_VAR, (cut * cut - f[:, at.F_VAR]) * spread),
        (at.F_RATE, (square - f[:, at.F_RATE]) * spread),
    ):
        f[:, column] = np.where(which, f[:, column] + step, f[:, column])


def _ground(lot: Lot, which: Where) -> None:
    f, slow = lot.f, lot.f[:, at.F_SLOW]
    f[:, at.F_LO] = np.where(which & (slow < f[:, at.F_LO]), slow, f[:, at.F_LO])
    f[:, at.F_HI] = np.where(which & (slow > f[:, at.F_HI]), slow, f[:, at.F_HI])


def _statistics(lot: Lot, sigma: Float64, r: Float64, q: Float64, jump: Float64, typical: Float64) -> list[Float64]:
    f, v = lot.f, lot.v
    lo, hi, fast, unit = f[:, at.F_LO], f[:, at.F_HI], f[:, at.F_FAST], 1.0 / sigma
    far = _larger(_larger(lo - v, v - hi), 0.0) * unit
    rate = q / _larger(_larger(np.sqrt(f[:, at.F_RATE]), 0.02 * sigma / typical), at.TINY)
    spike, asked = np.zeros(len(v)), np.abs(jump) > at.DOUBT * sigma
    spike[asked] = _hampel(f[asked], lot.i[asked, at.I_FILL], v[asked], sigma[asked])
    shift = np.abs(fast - f[:, at.F_SLOW]) * unit
    z, weight = _clip(r * unit, at.FIT_CUT), _smaller(lot.dt / typical, at.WEIGHT_CAP)
    f[:, at.F_UP] = _larger(f[:, at.F_UP] + (z - at.SLACK) * weight, 0.0)
    f[:, at.F_DOWN] = _larger(f[:, at.F_DOWN] - (z + at.SLACK) * weight, 0.0)
    level = _larger(_larger(lo - fast, fast - hi), 0.0) * unit
    capped = [_smaller(found, at.CAP) for found in (far, rate, spike, shift)]
    return [*capped, _larger(f[:, at.F_UP], f[:, at.F_DOWN]), level]


def _fitted(lot: Lot) -> None:
    i, f, p = lot.i, lot.f, lot.p
    n, elapsed = i[:, at.I_ROWS], lot.t - i[:, at.I_FIRST]
    done = (3 * n >= 2.0 * p[:, at.P_LEARN_ROWS]) & (elapsed * 3e-9 >= 2.0 * p[:, at.P_LEARN_TIME])
    done &= i[:, at.I_MOVES] >= at.MOVES
    i[done, at.I_PHASE] = at.CALIBRATE
    i[done, at.I_NEXT] = (n + n // 2)[done]
    i[done, at.I_NEXT_TIME] = (lot.t + elapsed // 2)[done]
    f[done, at.F_LO] = f[done, at.F_SLOW]
    f[done, at.F_HI] = f[done, at.F_SLOW]


def _calibrate(lot: Lot, found: list[Float64]) -> None:
    i, f, five = lot.i, lot.f, slice(at.F_MAX, at.F_MAX + 5)
    f[:, five] = _larger(f[:, five], np.stack(found[:5], axis=1))
    surprised = (f[:, five] > np.array(at.LEAST)).any(axis=1)
    due = (i[:, at.I_ROWS] >= i[:, at.I_NEXT]) & (lot.t >= i[:, at.I_NEXT_TIME])
    again = due & surprised & (i[:, at.I_DOUBLES] < at.DOUBLINGS)
    i[again, at.I_DOUBLES] += 1
    i[again, at.I_NEXT] = 2 * i[again, at.I_ROWS]
    i[again, at.I_NEXT_TIME] = (lot.t + (lot.t - i[:, at.I_FIRST]))[again]
    f[again, five] = 0.0
    done = due & ~again
    i[done, at.I_PHASE] = at.READY
    f[done, at.F_UP] = 0.0
    f[done, at.F_DOWN] = 0.0
    f[done, at.F_EASE : at.F_EASE + 5] = 1.0 / _larger(np.array(at.LEAST), at.MARGIN * f[done, five])


def _settling(lot: Lot, sigma: Float64, gain: Float64) -> None:
    i, f = lot.i, lot.f
    band = at.SETTLE_BAND * _larger(sigma, np.sqrt(f[:, at.F_NOISE]))
    seg = i[:, at.I_SEG].copy()
    anew = (seg == 0) | (np.abs(f[:, at.F_FAST] - f[:, at.F_SLOW]) > band)
    r = lot.v - f[:, at.F_SLOW]
    slow = f[:, at.F_SLOW] + r * _larger(1.0 / (seg + 1.0), gain)
    f[:, at.F_SLOW] = np.where(anew, f[:, at.F_FAST], slow)
    f[:, at.F_SEGVAR] = np.where(anew, 0.0, f[:, at.F_SEGVAR] + (r * r - f[:, at.F_SEGVAR]) / seg)
    i[:, at.I_SEG] = np.where(anew, 1, seg + 1)
    i[:, at.I_SEG_TIME] = np.where(anew, lot.t, i[:, at.I_SEG_TIME])
    stays = ~anew & (seg + 1 >= at.SETTLE_ROWS)
    stays &= (lot.t - i[:, at.I_SEG_TIME]) * 1e-9 >= at.SETTLE_TIMES * lot.p[:, at.P_TAU_SLOW]
    i[stays, at.I_SETTLE] = 0
    f[:, at.F_VAR] = np.where(stays, _larger(f[:, at.F_VAR], f[:, at.F_SEGVAR]), f[:, at.F_VAR])
    _ground(lot, stays)


def _judge(lot: Lot, found: list[Float64]) -> tuple[Int64, Float64]:
    f = lot.f
    ease = 1.0 / (1.0 + at.YOUNG * lot.p[:, at.P_LEARN_ROWS] / lot.i[:, at.I_ROWS])
    clear = np.where(found[0] > at.GROUND, 1.0, 1.0 / at.INSIDE)
    away = np.where(found[5] > at.GROUND, 1.0, 0.0)
    bits, parts = np.zeros(len(ease), np.int64), []
    for k, weight in enumerate((np.ones(len(ease)), clear, clear, away, away)):
        bit = at.LEARNED << k
        held = lot.prior & bit != 0
        part = found[k] * (f[:, at.F_EASE + k] * ease) * np.where(held, 1.0, weight)
        bits |= np.where((part > 1.0) | (held & (part > 0.5)), bit, 0)
        parts.append(part)
    most = at.SUM_CAP / (f[:, at.F_EASE + 4] * ease)
    over = found[4] * (f[:, at.F_EASE + 4] * ease) > at.SUM_CAP
    for column in (at.F_UP, at.F_DOWN):
        f[:, column] = np.where(over, _smaller(f[:, column], most), f[:, column])
    return bits, _larger(_larger(_larger(parts[0], parts[1]), _larger(parts[2], parts[3])), parts[4])


def _deviating(lot: Lot, bits: Int64, found: list[Float64]) -> Where:
    i, f, p, three = lot.i, lot.f, lot.p, slice(at.F_MAX, at.F_MAX + 3)
    some, first = bits != 0, (bits != 0) & (i[:, at.I_DEV] == 0)
    i[first, at.I_DEV_TIME] = lot.t[first]
    apart = i[:, at.I_ROWS] - i[:, at.I_BRIEF_ROW] > at.ACCEPT * p[:, at.P_LEARN_ROWS]
    i[first & apart, at.I_BRIEF] = 0
    f[first & (i[:, at.I_BRIEF] == 0), three] = 0.0
    i[some, at.I_DEV] += 1
    f[some, three] = _larger(f[some, three], np.stack(found[:3], axis=1)[some])
    long = (lot.t - i[:, at.I_DEV_TIME]) * 1e-9 >= at.ACCEPT * p[:, at.P_LEARN_TIME]
    accepted: Where = some & long & (i[:, at.I_DEV] >= at.ACCEPT * p[:, at.P_LEARN_ROWS])
    return accepted


def _recovered(lot: Lot, bits: Int64) -> None:
    i, f, three, ease = lot.i, lot.f, slice(at.F_MAX, at.F_MAX + 3), slice(at.F_EASE, at.F_EASE + 3)
    back = (bits == 0) & (i[:, at.I_DEV] > 0)
    i[back, at.I_BRIEF] = np.where(i[back, at.I_DEV] <= at.BRIEF_ROWS, i[back, at.I_BRIEF] + 1, 0)
    i[back, at.I_BRIEF_ROW] = i[back, at.I_ROWS]
    i[back, at.I_DEV] = 0
    usual = back & (i[:, at.I_BRIEF] >= at.BRIEF_TIMES)
    i[usual, at.I_BRIEF] = 0
    f[usual, ease] = _smaller(f[usual, ease], 1.0 / _larger(at.BRIEF_MARGIN * f[usual, three], at.TINY))


def _begin(lot: Lot) -> None:
    lot.i[:, at.I_ROWS] = 1
    lot.i[:, at.I_RUN] = 1
    lot.i[:, at.I_RUN_TIME] = lot.t
    lot.i[:, at.I_FIRST] = lot.t
    for column in (at.F_LAST, at.F_FAST, at.F_SLOW):
        lot.f[:, column] = lot.v


def _scored(lot: Lot, gap: Where) -> None:
    """Tags that have had a number before: levels, then each on the way of its phase."""
    i, f, p, v, dt = lot.i, lot.f, lot.p, lot.v, lot.dt
    at.settle(i, np.flatnonzero(gap))
    _motion(lot)
    i[:, at.I_ROWS] += 1
    phase = i[:, at.I_PHASE].copy()
    settling = i[:, at.I_SETTLE] != 0
    typical = _larger(f[:, at.F_DT], 1e-9)
    tau = _larger(at.SLOW_ROWS * typical, p[:, at.P_TAU_SLOW])
    resolution = np.where(f[:, at.F_RES] <= at.HUGE, f[:, at.F_RES], 0.0)
    sigma = _larger(_larger(_larger(np.sqrt(f[:, at.F_VAR]), p[:, at.P_FLOOR]), resolution), at.TINY)
    ready = (phase == at.READY) & ~settling
    r, before = v - f[:, at.F_SLOW], f[:, at.F_FAST].copy()
    cut = f[:, at.F_SLOW] + _clip(r, at.SPIKE_CUT * sigma)
    level = np.where(ready & (np.abs(r) > at.SPIKE_CUT * sigma), cut, v)
    f[:, at.F_FAST] = before + (level - before) * (dt / (_larger(at.FAST_ROWS * typical, p[:, at.P_TAU_FAST]) + dt))
    q = np.abs(f[:, at.F_FAST] - before) / _larger(dt, typical)
    lot.mask[:] |= np.where(_flat(lot), at.FLAT, 0)
    columns = (sigma, r, q, v - before, typical, tau)
    _part(lot, settling, _way_settling, columns)
    _part(lot, phase == at.FIT, _way_fit, columns)
    _part(lot, phase == at.CALIBRATE, _way_calibrate, columns)
    _part(lot, ready, _way_ready, columns)


def _way_settling(lot: Lot, sigma: Float64, _r: Float64, _q: Float64, _j: Float64, _y: Float64, tau: Float64) -> None:
    _settling(lot, sigma, lot.dt / (tau + lot.dt))


def _way_fit(lot: Lot, sigma: Float64, r: Float64, q: Float64, _j: Float64, _y: Float64, tau: Float64) -> None:
    _follow(lot, np.ones(len(r), bool), tau, sigma, r, q)
    _fitted(lot)


def _way_calibrate(
    lot: Lot, sigma: Float64, r: Float64, q: Float64, j: Float64, typical: Float64, tau: Float64
) -> None:
    found, every = _statistics(lot, sigma, r, q, j, typical), np.ones(len(r), bool)
    _follow(lot, every, tau, sigma, r, q)
    _ground(lot, every)
    _calibrate(lot, found)


def _way_ready(lot: Lot, sigma: Float64, r: Float64, q: Float64, j: Float64, typical: Float64, tau: Float64) -> None:
    found = _statistics(lot, sigma, r, q, j, typical)
    bits, worst = _judge(lot, found)
    accepted = _deviating(lot, bits, found)
    _recovered(lot, bits)
    at.settle(lot.i, np.flatnonzero(accepted))
    normal = (lot.mask == 0) & (bits == 0)
    _follow(lot, normal, tau, sigma, r, q)
    _ground(lot, normal)
    lot.mask[:] |= np.where(accepted, 0, bits)
    lot.score[:] = np.where(accepted, 0.0, worst)


def _part(lot: Lot, where: Where, way: Callable[..., None], columns: tuple[npt.NDArray[Any], ...]) -> None:
    if where.all():
        way(lot, *columns)
    elif where.any():
        part = lot.take(where)
        way(part, *(column[where] for column in columns))
        lot.put(where, part)


def _score(lot: Lot, gap: Where) -> None:
    first = lot.i[:, at.I_ROWS] == 0
    _push(lot)
    _part(lot, first, _begin, ())
    _part(lot, ~first, _scored, (gap,))


def _numbers(lot: Lot, gap: Where) -> None:
    lot.v[:] += 0.0
    v, p = lot.v, lot.p
    low, high, tolerance = p[:, at.P_LOW], p[:, at.P_HIGH], p[:, at.P_TOLERANCE]
    outside = (v > high + tolerance) | (v < low - tolerance)
    held = (lot.prior & at.RANGE != 0) & ~((low <= v) & (v <= high))
    lot.mask[:] = np.where(outside | held, at.RANGE, 0)
    lot.score[:] = 0.0
    _part(lot, p[:, at.P_STAT] != 0.0, _score, (gap,))
    lot.score[:] = np.where((lot.mask & at.RANGE != 0) & (lot.score < 1.0), 1.0, lot.score)


def _live(lot: Lot, number: Where, back: Where) -> None:
    lot.i[:, at.I_LATE] = 0
    lot.i[:, at.I_TIME] = lot.t
    gap = _rhythm(lot) | back
    lot.mask[:] = 0
    _part(lot, number, _numbers, (gap,))


def _round(lot: Lot, code: Int64) -> None:
    """One row of each tag of the lot: state, mask and score move on."""
    i, kind = lot.i, code & at.CODE_KIND
    skip, bad = code & at.CODE_SKIP != 0, kind == at.CODE_BAD
    number = kind == at.CODE_NUMBER
    invalid = number & ~(np.abs(lot.v) <= at.HUGE)
    lot.mask[:] = np.where(skip, lot.prior, np.where(bad, at.BAD, np.where(invalid, at.INVALID, lot.prior)))
    rest = ~(skip | bad | invalid)
    seen, older = i[:, at.I_SEEN] > 0, lot.t < i[:, at.I_TIME]
    own = rest & seen & older & (code & at.CODE_OWN_TIME != 0)
    late = rest & seen & older & ~own
    lot.dt[:] = np.where(rest & seen & ~older, (lot.t - i[:, at.I_TIME]) * 1e-9, 0.0)
    lot.t[:] = np.where(own, i[:, at.I_TIME], lot.t)
    i[late, at.I_LATE] += 1
    back = late & (i[:, at.I_LATE] >= at.LATE_ROWS)
    _part(lot, rest & (~late | back), _live, (number, back))


def _groups(mask: Int64) -> Int64:
    quality, flat, process = (np.not_equal(mask & bits, 0) for bits in (at.QUALITY_BITS, at.FLAT, at.PROCESS_BITS))
    groups: Int64 = quality + 2 * flat.astype(np.int64) + 4 * process
    return groups


def score_block(block: Block, state: Int64, parameters: Float64) -> tuple[Masks, Float64, Int64]:
    """As `fused_numba.score_block`, and equal to it."""
    rows = len(block)
    mask, score, changed = np.empty(rows, np.uint16), np.empty(rows), []
    sizes = np.diff(block.offsets)
    with np.errstate(all="ignore"):
        for step in range(int(sizes.max(initial=0))):
            group = np.flatnonzero(sizes > step)
            row, tag = block.offsets[group] + step, block.tags[group]
            i, zero = state[tag], np.zeros(len(row))
            prior = i[:, at.I_MASK].copy()
            lot = Lot(i, parameters[tag], block.time[row], block.value[row], zero, prior, prior.copy(), zero.copy())
            _round(lot, block.code[row].astype(np.int64))
            i[:, at.I_MASK] = lot.mask
            state[tag] = i
            mask[row], score[row] = lot.mask, lot.score
            changed.append(row[_groups(lot.mask) != _groups(prior)])
    return mask, score, np.sort(np.concatenate([np.empty(0, np.int64), *changed]))
