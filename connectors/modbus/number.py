"""Numbers of one type -> values: gathered from the image, masked, turned from BCD, scaled, clamped; by column. Pure.

Scaled values are (raw * p + q) / d with d a power of ten where scale and offset are short decimals: one correctly
rounded division, so that 235 * 0.1 is 23.5 and not 23.500000000000004. A decimal point that stands in another register
moves p, q and d by powers of ten, so 235 with one place is the same 23.5.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from connectors.modbus.address import HOLDING_REGISTERS
from connectors.modbus.plan import Plan
from connectors.modbus.point import WORDS, Order, Point, ScaleFrom, Span
from edge_agent.api import Status

Bytes = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Faults = list[tuple[Indices, int]]
"""Rows, and the status of their value; of several for one row the last one counts."""
Raw = npt.NDArray[Any]

DTYPES: Final = {
    "int8": "<i1",
    "uint8": "<u1",
    "int16": "<i2",
    "uint16": "<u2",
    "float16": "<f2",
    "int32": "<i4",
    "uint32": "<u4",
    "float32": "<f4",
    "int64": "<i8",
    "uint64": "<u8",
    "float64": "<f8",
    "bcd16": "<u2",
    "bcd32": "<u4",
    "bcd64": "<u8",
}
_MOST_PLACES: Final = 9
_PLACES: Final = {"decimal_point": (0, _MOST_PLACES), "exponent": (-_MOST_PLACES, _MOST_PLACES)}
_TENS: Final = np.array([10.0**places for places in range(_MOST_PLACES + 1)], np.float64)


def place_of(span: Span, plan: Plan) -> int:
    """Where a span begins in the plan's image: a byte for registers, a bit for coils and discrete inputs.

    Raises KeyError where the plan does not read it.
    """
    block = plan.blocks[plan.block_of(span)]
    at = span.start - block.span.start
    return block.offset + 2 * at if span.function >= HOLDING_REGISTERS else 8 * block.offset + at


def byte_order(order: Order, words: int) -> list[int]:
    """Offsets of a value's bytes in the image, the value's lowest byte first."""
    low_first = [2 * word + byte for word in reversed(range(words)) for byte in (1, 0)]
    if order in ("CDAB", "DCBA"):
        low_first = [2 * (words - 1 - at // 2) + at % 2 for at in low_first]
    return [at ^ 1 for at in low_first] if order in ("BADC", "DCBA") else low_first


class Words:
    """Single registers, read as uint16."""

    def __init__(self, places: Sequence[int], orders: Sequence[Order]) -> None:
        index = [byte_order(order, 1) for order in orders]
        self._index = np.array(places, np.intp)[:, None] + np.array(index, np.intp).reshape(-1, 2)

    def read(self, image: Bytes) -> npt.NDArray[np.uint16]:
        """Their values in one image."""
        return cast(npt.NDArray[np.uint16], image[self._index].view("<u2")[:, 0])


class Numbers:
    """Points of one numeric type, all scaled or none, all masked or none, all with a `scale_from` or none."""

    def __init__(self, points: list[Point], where: slice, plan: Plan) -> None:
        """`where`: the rows that they fill."""
        first = points[0]
        self._where = where
        self._bcd = first.type.startswith("bcd")
        dtype = np.dtype(DTYPES[first.type])
        self._dtype = np.dtype(dtype.str.replace("i", "u")) if first.mask else dtype
        words = WORDS[first.type]
        orders = [byte_order(p.order, words)[: dtype.itemsize] for p in points]
        self._index = np.array([place_of(p.span, plan) for p in points], np.intp)[:, None] + np.array(orders, np.intp)
        self._field = _Field(points, self._dtype) if first.mask else None
        self._scaling = _Scaling(points, plan) if first.scaled else None
        self._sentinels = _Sentinels(points, self._dtype) if any(p.sentinels for p in points) else None

    def fill(self, image: Bytes, bits: Bits, faults: Faults) -> tuple[str, ...]:
        """Puts the rows' values into `bits`, and what is no value into `faults`; there are no texts."""
        raw: Raw = image[self._index].view(self._dtype)[:, 0]
        if self._field is not None:
            raw = self._field.of(raw)
        values = self._digits(raw, faults) if self._bcd else raw
        out = bits[self._where]
        if self._dtype.kind == "f" or self._scaling is not None:
            floats = out.view(np.float64)
            floats[:] = values
            if self._scaling is not None:
                self._scaling.apply(floats, image, self._where.start, faults)
            if not np.isfinite(floats).all():
                self._refuse(floats, faults)
            if self._scaling is not None:
                self._scaling.clamp(floats)
        elif self._dtype.kind == "i":
            out.view(np.int64)[:] = values
        else:
            out[:] = values
        if self._sentinels is not None:
            self._sentinels.find(raw, self._where.start, faults)
        return ()

    def _refuse(self, floats: Floats, faults: Faults) -> None:
        faults.append((np.flatnonzero(np.isnan(floats)) + self._where.start, Status.BAD_NO_DATA))
        faults.append((np.flatnonzero(np.isinf(floats)) + self._where.start, Status.BAD_OUT_OF_RANGE))

    def _digits(self, raw: Raw, faults: Faults) -> Bits:
        """The number that the decimal digits make; four bits above 9 are none."""
        values, none = np.zeros(len(raw), np.uint64), np.zeros(len(raw), np.bool_)
        rest = raw.astype(np.uint64)
        for place in range(2 * self._dtype.itemsize):
            digit = (rest >> np.uint64(4 * place)) & np.uint64(15)
            none |= digit > 9
            values += digit * np.uint64(10**place)
        if none.any():
            faults.append((np.flatnonzero(none) + self._where.start, Status.BAD_TYPE_MISMATCH))
        return values


class _Field:
    """Some bits of each value, moved down to the lowest."""

    def __init__(self, points: list[Point], dtype: np.dtype[Any]) -> None:
        self._mask = np.array([p.mask for p in points], dtype)
        self._shift = np.array([(p.mask & -p.mask).bit_length() - 1 for p in points], dtype)

    def of(self, raw: Raw) -> Raw:
        return cast(Raw, (raw & self._mask) >> self._shift)


class _Scaling:
    """Scale, offset and clamp of a group; where its points have one, by what another register says."""

    def __init__(self, points: list[Point], plan: Plan) -> None:
        columns = np.array([terms(p.scale, p.offset) for p in points], np.float64).T
        self._p, self._q, self._d = (column.copy() for column in columns)
        rules = [p.scale_from for p in points if p.scale_from is not None]
        self._rule = _Rule(rules, [p.order for p in points], plan) if rules else None
        clamps = np.array([p.clamp or (-np.inf, np.inf) for p in points], np.float64)
        self._clamp = (clamps[:, 0].copy(), clamps[:, 1].copy()) if np.isfinite(clamps).any() else None

    def apply(self, floats: Floats, image: Bytes, first: int, faults: Faults) -> None:
        if self._rule is None:
            _calculate(floats, self._p, self._q, self._d)
            return
        up, down, none = self._rule.powers(image)
        _calculate(floats, self._p * up, self._q * down, self._d * down)
        if none.any():
            faults.append((np.flatnonzero(none) + first, Status.BAD_CONFIGURATION_ERROR))

    def clamp(self, floats: Floats) -> None:
        if self._clamp is not None:
            np.clip(floats, *self._clamp, out=floats)


class _Rule:
    """The registers that say how values are scaled, one a row."""

    def __init__(self, rules: Sequence[ScaleFrom], orders: Sequence[Order], plan: Plan) -> None:
        self._words = Words([place_of(rule.span, plan) for rule in rules], orders)
        self._factor = np.array([rule.kind == "factor" for rule in rules], np.bool_)
        self._sign = np.array([1 if rule.kind == "exponent" else -1 for rule in rules], np.int64)
        self._ends = np.array([_PLACES.get(rule.kind, (0, 0xFFFF)) for rule in rules], np.int64).T

    def powers(self, image: Bytes) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """(up, down, none): a value is raw * up / down, and none where the register makes no sense."""
        words = self._words.read(image)
        said = np.where(self._sign > 0, words.view("<i2").astype(np.int64), words.astype(np.int64))
        none = (said < self._ends[0]) | (said > self._ends[1])
        power = np.where(none | self._factor, 0, self._sign * said)
        up: Floats = np.where(self._factor, said.astype(np.float64), _TENS[np.maximum(power, 0)])
        down: Floats = _TENS[np.maximum(-power, 0)]
        return up, down, cast(npt.NDArray[np.bool_], none)


def _calculate(floats: Floats, p: Floats, q: Floats, d: Floats) -> None:
    np.multiply(floats, p, out=floats)
    np.add(floats, q, out=floats)
    np.divide(floats, d, out=floats)


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

    def __init__(self, points: list[Point], dtype: np.dtype[Any]) -> None:
        found = [(row, s.raw, s.status) for row, p in enumerate(points) for s in p.sentinels]
        bits = 8 * dtype.itemsize
        self._row = np.array([row for row, _, _ in found], np.intp)
        self._raw = np.array([_in_type(raw, dtype.kind, bits) for _, raw, _ in found], dtype)
        self._status = np.array([status for _, _, status in found], np.uint32)

    def find(self, raw: Raw, first: int, faults: Faults) -> None:
        hits = np.flatnonzero(raw[self._row] == self._raw)
        faults.extend((self._row[hit : hit + 1] + first, int(self._status[hit])) for hit in hits)


def _in_type(raw: int, kind: str, bits: int) -> int:
    """A sentinel as a value of the type: manuals write 0x8002 for what an int16 calls -32766, and the reverse."""
    if kind == "i" and raw >= 1 << (bits - 1):
        return raw - (1 << bits)
    return raw + (1 << bits) if kind == "u" and raw < 0 else raw
