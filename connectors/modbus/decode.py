"""A device's image -> columns, all tags at once: numpy gathers grouped by type, no Python step per number. Pure.

Rows come in a fixed order (numbers by type, bits, texts), so the columns that don't change from scan to scan (tag,
kind) are made once, and a group's values are one slice of the `bits` column.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from connectors.modbus.address import WHOLE
from connectors.modbus.number import DTYPES, Bits, Bytes, Faults, Indices, Numbers, Words, place_of
from connectors.modbus.plan import Plan
from connectors.modbus.point import BOOL, TEXT, Point, spans_of
from connectors.modbus.scan import OK
from edge_agent.api import Kind, Status

StatusColumn = npt.NDArray[np.uint32]

_KINDS: Final = {"i": Kind.INT64, "u": Kind.UINT64, "f": Kind.FLOAT64}


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """What one image says, a row per point in the decoder's order. `status` is None where all rows are good.

    Rows with a bad status have bits 0. `texts` are what `bits` of text rows count into.
    """

    bits: Bits
    status: StatusColumn | None
    texts: tuple[str, ...]


class Decoder:
    """Turns images laid out by `plan` into columns. Points that the plan does not read are left out.

    `row` (index into `points`), `tag` (int32), `kind` (uint8) and `block` (index into the plan's blocks) have one row
    per point read.
    """

    def __init__(self, points: Sequence[Point], plan: Plan) -> None:
        """`points` of one device, in any order; more than one may share registers."""
        refused = set(plan.refused)
        blocks = {span: plan.block_of(span) for span in spans_of(points) - refused}
        read = [i for i, point in enumerate(points) if refused.isdisjoint(point.spans)]
        order = sorted(read, key=lambda i: _group(points[i]))
        rows = [points[i] for i in order]
        self.row = np.array(order, np.intp)
        self.tag = np.array([p.number for p in rows], np.int32)
        self.kind = np.array([kind_of(p) for p in rows], np.uint8)
        self.block = np.array([blocks[p.span] for p in rows], np.intp)
        asides = [(row, blocks[span]) for row, p in enumerate(rows) for span in p.spans[1:]]
        self._asides = np.array(asides, np.intp).reshape(-1, 2)
        self._steps: list[Numbers | _Bits | _Texts] = []
        at = 0
        for key, group in groupby(rows, _group):
            members = list(group)
            where = slice(at, at + len(members))
            at = where.stop
            self._steps.append(_step(key[0], members, where, plan))
        self._conditions = _Conditions(rows, plan) if any(p.conditions for p in rows) else None

    def outcomes(self, outcome: Sequence[int]) -> npt.NDArray[np.int64]:
        """What became of each row, from what became of each block (as in Scan): all that a row hangs on must be OK."""
        by_block = np.array(outcome, np.int64)
        found = by_block[self.block]
        if len(self._asides):
            aside = by_block[self._asides[:, 1]]
            found[self._asides[aside != OK, 0]] = aside[aside != OK]
        return found

    def decode(self, image: Bytes) -> Values:
        """The values of one image (uint8, `plan.size` bytes)."""
        bits = np.empty(len(self.tag), np.uint64)
        faults: Faults = []
        texts: tuple[str, ...] = ()
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and what overflows get a bad status below
            for step in self._steps:
                texts += step.fill(image, bits, faults)
        if self._conditions is not None:
            self._conditions.find(image, faults)
        if not faults:
            return Values(bits, None, texts)
        status = np.zeros(len(bits), np.uint32)
        for rows, code in faults:
            status[rows] = code
            bits[rows] = 0
        return Values(bits, status, texts)


def kind_of(point: Point) -> Kind:
    """The kind of a good row of this point."""
    if point.type == BOOL:
        return Kind.BOOL
    if point.type == TEXT:
        return Kind.TEXT
    if point.scaled:
        return Kind.FLOAT64
    if point.type in ("float32", "float16"):
        return Kind.FLOAT32
    return Kind.UINT64 if point.mask else _KINDS[DTYPES[point.type][1]]


def _group(point: Point) -> tuple[int, str, bool, bool, bool]:
    """Numbers first, then bits, then texts; numbers by type and by what is done with them."""
    step = 2 if point.type == TEXT else 1 if point.type == BOOL else 0
    return step, point.type, point.scaled, point.scale_from is not None, point.mask != 0


def _step(group: int, points: list[Point], where: slice, plan: Plan) -> "Numbers | _Bits | _Texts":
    maker: Callable[[list[Point], slice, Plan], Numbers | _Bits | _Texts] = (Numbers, _Bits, _Texts)[group]
    return maker(points, where, plan)


class _Conditions:
    """What other registers say of rows: that their values are none."""

    def __init__(self, rows: list[Point], plan: Plan) -> None:
        found = [(row, p.order, c) for row, p in enumerate(rows) for c in p.conditions]
        self._row = np.array([row for row, _, _ in found], np.intp)
        self._words = Words([place_of(c.span, plan) for _, _, c in found], [order for _, order, _ in found])
        self._mask = np.array([c.mask for _, _, c in found], np.uint16)
        self._value = np.array([c.value for _, _, c in found], np.uint16)
        self._unless = np.array([c.unless for _, _, c in found], np.bool_)
        self._status = np.array([c.status for _, _, c in found], np.uint32)

    def find(self, image: Bytes, faults: Faults) -> None:
        """Adds the rows whose condition holds; of several the last one counts."""
        hits = np.flatnonzero(((self._words.read(image) & self._mask) == self._value) != self._unless)
        faults.extend((self._row[hit : hit + 1], int(self._status[hit])) for hit in hits)


class _Bits:
    """Coils, discrete inputs and bits of registers."""

    def __init__(self, points: list[Point], where: slice, plan: Plan) -> None:
        self._where = where
        found = [_bit_place(p, place_of(p.span, plan)) for p in points]
        self._byte = np.array([at // 8 for at in found], np.intp)
        self._shift = np.array([at % 8 for at in found], np.uint8)

    def fill(self, image: Bytes, bits: Bits, _faults: Faults) -> tuple[str, ...]:
        bits[self._where] = (image[self._byte] >> self._shift) & 1
        return ()


def _bit_place(point: Point, place: int) -> int:
    if point.address.bit == WHOLE:
        return place
    high = point.address.bit >= 8
    swapped = point.order in ("BADC", "DCBA")
    return 8 * (place + (high == swapped)) + point.address.bit % 8


class _Texts:
    """Texts end at their first NUL; blanks behind them are filling. The only values that need a Python step each."""

    def __init__(self, points: list[Point], where: slice, plan: Plan) -> None:
        self._where = where
        self._texts = [(_text_bytes(p, place_of(p.span, plan)), p.encoding) for p in points]

    def fill(self, image: Bytes, bits: Bits, faults: Faults) -> tuple[str, ...]:
        bits[self._where] = np.arange(len(self._texts), dtype=np.uint64)
        return tuple(self._text(image, row, faults) for row in range(len(self._texts)))

    def _text(self, image: Bytes, row: int, faults: Faults) -> str:
        index, encoding = self._texts[row]
        raw = image[index].tobytes().partition(b"\0")[0]
        try:
            return raw.decode(encoding).rstrip(" ")
        except UnicodeDecodeError:
            faults.append((np.array([self._where.start + row]), Status.BAD_TYPE_MISMATCH))
            return ""


def _text_bytes(point: Point, place: int) -> Indices:
    swap = 1 if point.order in ("BADC", "DCBA") else 0
    return np.array([place + (at ^ swap) for at in range(point.size)], np.intp)
