"""A device's image -> columns, all tags at once: numpy gathers grouped by type, no Python step per number. Pure.

Rows come in a fixed order (numbers by type, bits, texts), so the columns that don't change from scan to scan (tag,
kind) are made once, and a group's values are one slice of the `bits` column.

Scaled values are (raw * p + q) / d with d a power of ten where scale and offset are short decimals: one correctly
rounded division, so that 235 * 0.1 is 23.5 and not 23.500000000000004.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from connectors.modbus.address import WHOLE
from connectors.modbus.plan import Plan
from connectors.modbus.point import BOOL, TEXT, WORDS, Order, Point
from edge_agent.api import Kind, Status

Bytes = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint64]
StatusColumn = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DTYPES: Final = {
    "int8": "<i1",
    "uint8": "<u1",
    "int16": "<i2",
    "uint16": "<u2",
    "int32": "<i4",
    "uint32": "<u4",
    "float32": "<f4",
    "int64": "<i8",
    "uint64": "<u8",
    "float64": "<f8",
}
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
        blocks = {point.span: -1 for point in points}
        for span in blocks.keys() - set(plan.refused):
            blocks[span] = plan.block_of(span)
        order = sorted((i for i, p in enumerate(points) if blocks[p.span] >= 0), key=lambda i: _group(points[i]))
        rows = [points[i] for i in order]
        self.row = np.array(order, np.intp)
        self.tag = np.array([p.number for p in rows], np.int32)
        self.kind = np.array([kind_of(p) for p in rows], np.uint8)
        self.block = np.array([blocks[p.span] for p in rows], np.intp)
        self._steps: list[_Numbers | _Bits | _Texts] = []
        at = 0
        for key, group in groupby(rows, _group):
            members = list(group)
            where = slice(at, at + len(members))
            at = where.stop
            self._steps.append(_step(key[0], members, where, [_place(p, plan, blocks[p.span]) for p in members]))

    def decode(self, image: Bytes) -> Values:
        """The values of one image (uint8, `plan.size` bytes)."""
        bits = np.empty(len(self.tag), np.uint64)
        faults: list[tuple[Indices, int]] = []
        texts: tuple[str, ...] = ()
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and what overflows get a bad status below
            for step in self._steps:
                texts += step.fill(image, bits, faults)
        if not faults:
            return Values(bits, None, texts)
        status = np.zeros(len(bits), np.uint32)
        for rows, code in faults:
            status[rows] = code
            bits[rows] = 0
        return Values(bits, status, texts)


Faults = list[tuple[Indices, int]]


def kind_of(point: Point) -> Kind:
    """The kind of a good row of this point."""
    if point.type == BOOL:
        return Kind.BOOL
    if point.type == TEXT:
        return Kind.TEXT
    if point.type == "float32" and not point.scaled:
        return Kind.FLOAT32
    return Kind.FLOAT64 if point.scaled else _KINDS[DTYPES[point.type][1]]


def _group(point: Point) -> tuple[int, str, bool]:
    """Numbers first, then bits, then texts; numbers by type and by whether they are calculated."""
    return (2 if point.type == TEXT else 1 if point.type == BOOL else 0, point.type, point.scaled)


def _place(point: Point, plan: Plan, block: int) -> int:
    """Where the point begins in the image: a byte for registers, a bit for coils and discrete inputs."""
    at = point.address.wire - plan.blocks[block].span.start
    offset = plan.blocks[block].offset
    return offset + 2 * at if point.address.is_register else 8 * offset + at


def _step(group: int, points: list[Point], where: slice, places: list[int]) -> "_Numbers | _Bits | _Texts":
    maker: Callable[[list[Point], slice, list[int]], _Numbers | _Bits | _Texts] = (_Numbers, _Bits, _Texts)[group]
    return maker(points, where, places)


def _byte_order(order: Order, words: int) -> list[int]:
    """Offsets of a value's bytes in the image, the value's lowest byte first."""
    low_first = [2 * word + byte for word in reversed(range(words)) for byte in (1, 0)]
    if order in ("CDAB", "DCBA"):
        low_first = [2 * (words - 1 - at // 2) + at % 2 for at in low_first]
    return [at ^ 1 for at in low_first] if order in ("BADC", "DCBA") else low_first


class _Numbers:
    """Points of one numeric type."""

    def __init__(self, points: list[Point], where: slice, places: list[int]) -> None:
        self._where = where
        self._dtype = np.dtype(DTYPES[points[0].type])
        words = WORDS[points[0].type]
        orders = [_byte_order(p.order, words)[: self._dtype.itemsize] for p in points]
        self._index = np.array(places, np.intp)[:, None] + np.array(orders, np.intp)
        self._terms = _terms(points) if points[0].scaled else None
        self._sentinels = _Sentinels(points, self._dtype) if any(p.sentinels for p in points) else None

    def fill(self, image: Bytes, bits: Bits, faults: Faults) -> tuple[str, ...]:
        raw = image[self._index].view(self._dtype)[:, 0]
        out = bits[self._where]
        if self._dtype.kind == "f" or self._terms is not None:
            floats = out.view(np.float64)
            floats[:] = raw
            if self._terms is not None:
                _calculate(floats, *self._terms)
            if not np.isfinite(floats).all():
                self._refuse(floats, faults)
        elif self._dtype.kind == "i":
            out.view(np.int64)[:] = raw
        else:
            out[:] = raw
        if self._sentinels is not None:
            self._sentinels.find(raw, self._where.start, faults)
        return ()

    def _refuse(self, floats: Floats, faults: Faults) -> None:
        faults.append((np.flatnonzero(np.isnan(floats)) + self._where.start, Status.BAD_NO_DATA))
        faults.append((np.flatnonzero(np.isinf(floats)) + self._where.start, Status.BAD_OUT_OF_RANGE))


def _calculate(floats: Floats, p: Floats, q: Floats, d: Floats) -> None:
    np.multiply(floats, p, out=floats)
    np.add(floats, q, out=floats)
    np.divide(floats, d, out=floats)


def _terms(points: list[Point]) -> tuple[Floats, Floats, Floats]:
    columns = np.array([terms(p.scale, p.offset) for p in points], np.float64).T
    return columns[0].copy(), columns[1].copy(), columns[2].copy()


def terms(scale: float, offset: float) -> tuple[float, float, float]:
    """(p, q, d) with (raw * p + q) / d = raw * scale + offset: whole numbers where both are short decimals."""
    places = max(_places(scale), _places(offset))
    p, q, d = Decimal(repr(scale)).scaleb(places), Decimal(repr(offset)).scaleb(places), 10.0**places
    if places > 15 or max(abs(p), abs(q)) >= 1 << 31:
        return scale, offset, 1.0
    return float(p), float(q), d


def _places(number: float) -> int:
    exponent = Decimal(repr(number)).normalize().as_tuple().exponent
    return max(-cast(int, exponent), 0)


class _Sentinels:
    """Raw values of a group that are no measurement."""

    def __init__(self, points: list[Point], dtype: np.dtype[np.generic]) -> None:
        found = [(row, s.raw, s.status) for row, p in enumerate(points) for s in p.sentinels]
        bits = 8 * dtype.itemsize
        self._row = np.array([row for row, _, _ in found], np.intp)
        self._raw = np.array([_in_type(raw, dtype.kind, bits) for _, raw, _ in found], dtype)
        self._status = np.array([status for _, _, status in found], np.uint32)

    def find(self, raw: npt.NDArray[np.generic], first: int, faults: Faults) -> None:
        hits = np.flatnonzero(raw[self._row] == self._raw)
        faults.extend((self._row[hit : hit + 1] + first, int(self._status[hit])) for hit in hits)


def _in_type(raw: int, kind: str, bits: int) -> int:
    """A sentinel as a value of the type: manuals write 0x8002 for what an int16 calls -32766, and the reverse."""
    if kind == "i" and raw >= 1 << (bits - 1):
        return raw - (1 << bits)
    return raw + (1 << bits) if kind == "u" and raw < 0 else raw


class _Bits:
    """Coils, discrete inputs and bits of registers."""

    def __init__(self, points: list[Point], where: slice, places: list[int]) -> None:
        self._where = where
        found = [_bit_place(p, at) for p, at in zip(points, places, strict=True)]
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

    def __init__(self, points: list[Point], where: slice, places: list[int]) -> None:
        self._where = where
        self._texts = [(_text_bytes(p, at), p.encoding) for p, at in zip(points, places, strict=True)]

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
