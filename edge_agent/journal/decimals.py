"""Decimals: floats that are whole numbers over a power of ten, group by group; the others stay bits.

A form says how a group's words are to be read: WORD, they are the bits; else an exponent from 0 to 6, plus SINGLE where
the quotient is rounded to float32. A form is given only where every row of the group comes back bit by bit.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.grouping import Grouping
from edge_agent.model.frame import Float64, Int64, Kind, UInt8, UInt64

WORD: Final = 0xFF
SINGLE: Final = 8
_EXPONENTS: Final = 7
_POWERS: Final = 10.0 ** np.arange(16)
_EXACT: Final = float(1 << 53)
_SAMPLE: Final = 8
_EVERY: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Decimals:
    """Words, grouped, and the form of each group; or one form for all."""

    words: UInt64
    forms: UInt8 | int


def as_decimals(words: UInt64, kinds: UInt8, grouping: Grouping) -> Decimals | None:
    """Grouped bits as decimals, None where no group is. `kinds` grouped too, or one for all."""
    single = _single(kinds, grouping)
    if len(single) == 1 and single[0] < 0:
        return None
    least = _look(words, single, grouping)
    if least is None:
        return None
    if len(single) == 1 and least != _EVERY:
        whole, good = _exact(words.view(np.float64), least, single)
        if good.all():
            return Decimals(whole.view(np.uint64), least | SINGLE * int(single[0]))
    return _by_group(words, np.broadcast_to(single, grouping.groups), grouping, max(least, 0))


def _single(kinds: UInt8, grouping: Grouping) -> npt.NDArray[np.int8]:
    """For each group, or for all at once: 0 float64, 1 float32, -1 neither. Rows without a value go with any."""
    if len(kinds) == 1:
        return np.array([_SINGLE_OF.get(int(kinds[0]), -1)], np.int8)
    of_group = np.maximum.reduceat(kinds, grouping.starts)
    alike = (kinds == np.repeat(of_group, grouping.counts)) | (kinds == Kind.NONE)
    floats = (of_group == Kind.FLOAT64) | (of_group == Kind.FLOAT32)
    floats &= np.logical_and.reduceat(alike, grouping.starts)
    single = np.where(floats, of_group == Kind.FLOAT32, np.int8(-1)).astype(np.int8)
    return single[:1] if (single == single[0]).all() else single


_SINGLE_OF: Final[dict[int, int]] = {Kind.FLOAT64: 0, Kind.FLOAT32: 1}


def _look(words: UInt64, single: npt.NDArray[np.int8], grouping: Grouping) -> int | None:
    """From a few values: the exponent for all, _EVERY where each group should have its own, None for noise."""
    groups = range(0, grouping.groups, max(1, grouping.groups // _SAMPLE))
    sample = words[grouping.starts[groups.start : groups.stop : groups.step]].view(np.float64).tolist()
    of_group = single.tolist() * len(sample) if len(single) == 1 else single[:: groups.step].tolist()
    least = [_least(value, kind) for value, kind in zip(sample, of_group, strict=True) if kind >= 0]
    if not least:
        return _EVERY
    if min(least) == _EXPONENTS:
        return None
    most = max(least)
    alike = most < _EXPONENTS and (grouping.order is None or 2 * least.count(most) >= len(least))
    return most if alike else _EVERY


def _least(value: float, single: int) -> int:
    """The least exponent that gives it again, _EXPONENTS where none does."""
    for exponent in range(_EXPONENTS):
        scaled = value * 10.0**exponent
        if not -_EXACT < scaled < _EXACT:
            break
        back = round(scaled) / 10.0**exponent
        if value == (float(np.float32(back)) if single else back):
            return exponent
    return _EXPONENTS


def _by_group(words: UInt64, single: npt.NDArray[np.int8], grouping: Grouping, least: int) -> Decimals | None:
    """Each group's least exponent, as its first row says and all others confirm; where they don't, the next one."""
    guess = _guess(words[grouping.starts], single, least)
    out, forms = words.copy(), np.full(grouping.groups, WORD, np.uint8)
    left = np.flatnonzero(guess < _EXPONENTS)
    for _ in range(_EXPONENTS):
        if not len(left):
            break
        counts = grouping.counts[left]
        ends = np.cumsum(counts)
        starts = ends - counts
        rows = np.arange(int(ends[-1])) + np.repeat(grouping.starts[left] - starts, counts)
        whole, good = _exact(
            words[rows].view(np.float64), np.repeat(guess[left], counts), np.repeat(single[left], counts)
        )
        done = np.logical_and.reduceat(good, starts)
        done_rows = np.repeat(done, counts)
        out[rows[done_rows]] = whole[done_rows].view(np.uint64)
        forms[left[done]] = guess[left[done]] + SINGLE * single[left[done]]
        left = left[~done]
        guess[left] += 1
        left = left[guess[left] < _EXPONENTS]
    return Decimals(out, forms) if (forms != WORD).any() else None


def _guess(firsts: UInt64, single: npt.NDArray[np.int8], least: int) -> npt.NDArray[np.intp]:
    guess = np.full(len(firsts), _EXPONENTS, np.intp)
    left = np.flatnonzero(single >= 0)
    for exponent in range(least, _EXPONENTS):
        _, good = _exact(firsts[left].view(np.float64), exponent, single[left])
        guess[left[good]] = exponent
        left = left[~good]
        if not len(left):
            break
    return guess


def _exact(
    values: Float64, exponent: int | npt.NDArray[np.intp], single: npt.NDArray[np.int8]
) -> tuple[Int64, npt.NDArray[np.bool_]]:
    """Whole numbers over 10**exponent, and which of them give the value again to the last bit."""
    power = _POWERS[exponent]
    with np.errstate(all="ignore"):
        scaled = np.rint(values * power)
        small = np.abs(scaled) < _EXACT
        whole = scaled.astype(np.int64)
        back = whole / power
        if single.any():
            back = np.where(single, back.astype(np.float32).astype(np.float64), back)
    return whole, small & (back.view(np.uint64) == values.view(np.uint64))


def bits_of(words: UInt64, forms: UInt64) -> UInt64:
    """The opposite: bits of words (chunks, rows) whose forms are these, for each row or for each chunk."""
    first = int(forms.flat[0]) if forms.size else WORD
    return (
        _bits_of_one(words, first) if np.logical_and.reduce(forms == first, axis=None) else _bits_of_each(words, forms)
    )


def _bits_of_one(words: UInt64, form: int) -> UInt64:
    if form == WORD:
        return words
    values = words.view(np.int64) / _POWERS[form & 7]
    bits: UInt64 = (values.astype(np.float32).astype(np.float64) if form & SINGLE else values).view(np.uint64)
    return bits


def _bits_of_each(words: UInt64, forms: UInt64) -> UInt64:
    words = np.ascontiguousarray(words)
    with np.errstate(all="ignore"):
        values = words.view(np.int64) / _POWERS[(forms & np.uint64(7)).astype(np.intp)]
        single = (forms & np.uint64(SINGLE)).astype(np.bool_)
        values = np.where(single, values.astype(np.float32).astype(np.float64), values)
    return np.where(forms == WORD, words, np.ascontiguousarray(values).view(np.uint64))
