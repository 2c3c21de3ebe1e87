"""Vectors: 64-bit words to bytes and back, of one chunk or of many of the same layout at a time.

A packed vector is in three places, so that chunks which differ only in their values can be read together: what it is
goes to the *plan* (bytes), what is alike in all its rows to the *numbers* (u64 each), what differs from row to row to
the *planes* (bytes each, told apart by their lengths). How many words it has is known from elsewhere. Arithmetic is
modulo 2**64.

| form   | plan                   | numbers | planes      | a word |
|--------|------------------------|---------|-------------|--------|
| SMALL  | value u8               |         |             | value |
| CONST  |                        | value   |             | value |
| RAW    | width u8               |         | one         | as it is, `width` bytes |
| OFFSET | scale number u8, mask  | base    | one per bit | base + scale * plane word |
| ZIGZAG | mask                   |         | one per bit | zigzag of the plane word |
| DELTA  | a vector of the steps  | first   |             | the one before + step |
| PERIOD | period u32, a vector of the first period |  | | that of one period before |

Byte i of a plane word is in the plane of mask bit i, 0 where the bit is not set. A plane that zstd did not make
much shorter is as it is: noise costs no time, and what hardly moves shrinks apart from it.
"""

import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.journal.sheet import Pick, Sheet
from edge_agent.journal.zstd import compress
from edge_agent.model.frame import Int64, UInt64

SMALL: Final = 0
CONST: Final = 1
RAW: Final = 2
OFFSET: Final = 3
ZIGZAG: Final = 4
DELTA: Final = 5
PERIOD: Final = 6

SCALES: Final = (1, 100, 1_000, 1_000_000, 1_000_000_000)
"""Times are often whole seconds, ms, µs or OPC UA ticks of 100 ns. The numbers are on disk: never change one."""
SHORT: Final = 24
"""Up to this many words they are stored as they are: looking for patterns costs more than it saves."""
_WORTH: Final = 64
_LEAST_GAIN: Final = 16
"""A plane that zstd makes shorter by less than this part stays as it is: it would cost each reading 3 µs, and bytes of
single tags can't be taken out of it."""
_SAMPLE: Final = 16
_MASK: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63
_PERIOD: Final = struct.Struct("<I")


@dataclass(slots=True)
class Parts:
    """Packed vectors, one after the other."""

    plan: bytearray
    numbers: list[int]
    planes: list[bytes]

    @classmethod
    def none(cls) -> "Parts":
        """Of no vector yet."""
        return cls(bytearray(), [], [])

    def add(self, more: "Parts") -> None:
        """Those of `more` follow."""
        self.plan += more.plan
        self.numbers += more.numbers
        self.planes += more.planes

    @property
    def size(self) -> int:
        """Bytes of all."""
        return len(self.plan) + 8 * len(self.numbers) + 4 * len(self.planes) + sum(map(len, self.planes))


def words_of(column: npt.NDArray[Any]) -> UInt64:
    """An integer column of any width as words; signed ones keep their sign."""
    if column.dtype.itemsize == 8:
        return np.ascontiguousarray(column).view(np.uint64)
    return column.astype(np.int64).view(np.uint64)


def is_constant(column: npt.NDArray[Any]) -> bool:
    """All rows alike; a broadcast column is known without looking."""
    return column.strides == (0,) or bool(column[0] == column[-1] and np.logical_and.reduce(column == column[0]))


def limits(column: Int64) -> tuple[int, int]:
    """The least and the greatest."""
    return int(np.minimum.reduce(column)), int(np.maximum.reduce(column))


def pack_constant(word: int) -> Parts:
    """Any number of the same word."""
    if 0 <= word < 256:
        return Parts(bytearray((SMALL, word)), [], [])
    return Parts(bytearray((CONST,)), [word & _MASK], [])


def pack_vector(words: UInt64, *, time: bool = False, steps: bool = False, period: int = 0) -> Parts:
    """Packs. `time`: common divisors are likely. `steps`: may count up. `period`: after which it may begin anew."""
    if not len(words):
        return Parts.none()
    if is_constant(words):
        return pack_constant(int(words[0]))
    if len(words) <= SHORT:
        return _pack_raw(words)
    if 0 < period < len(words) and np.array_equal(words[period:], words[:-period]):
        inner = pack_vector(words[:period], time=time, steps=steps)
        return Parts(bytearray((PERIOD,)) + _PERIOD.pack(period) + inner.plan, inner.numbers, inner.planes)
    signed = words.view(np.int64)
    least, most = limits(signed)
    if steps:
        diffs = signed[1:] - signed[:-1]
        low, high = limits(diffs)
        if min(high - low, _zigzag_of(low, high)) < most - least:
            inner = _pack_range(diffs, low, high, time)
            return Parts(bytearray((DELTA,)) + inner.plan, [int(words[0]), *inner.numbers], inner.planes)
    return _pack_range(signed, least, most, time)


def _pack_raw(words: UInt64) -> Parts:
    most = int(words.max())
    width = next(width for width in (1, 2, 4, 8) if most < 1 << 8 * width)
    return Parts(bytearray((RAW, width)), [], [words.astype(f"<u{width}").tobytes()])


def _zigzag_of(low: int, high: int) -> int:
    return max(2 * high, -2 * low - 1)


def _pack_range(signed: Int64, low: int, high: int, time: bool) -> Parts:
    """Words between `low` and `high`, from zero to both sides or from the least up: whichever needs fewer bytes."""
    if low == high:
        return pack_constant(low)
    zigzag = _zigzag_of(low, high)
    if not time and zigzag <= _MASK and zigzag.bit_length() + 7 >> 3 <= (high - low).bit_length() + 7 >> 3:
        mask, planes = _planes(((signed << 1) ^ (signed >> 63)).view(np.uint64))
        return Parts(bytearray((ZIGZAG, mask)), [], planes)
    offsets = signed.view(np.uint64) - np.uint64(low & _MASK)
    scale = _scale(offsets) if time else 0
    if scale:
        offsets //= np.uint64(SCALES[scale])
    mask, planes = _planes(offsets)
    return Parts(bytearray((OFFSET, scale, mask)), [low & _MASK], planes)


def _scale(offsets: UInt64) -> int:
    sample = offsets[:: max(1, len(offsets) // _SAMPLE)]
    for number in range(len(SCALES) - 1, 0, -1):
        scale = np.uint64(SCALES[number])
        if not (sample % scale).any() and not (offsets % scale).any():
            return number
    return 0


def _planes(words: UInt64) -> tuple[int, list[bytes]]:
    used = int(np.bitwise_or.reduce(words))
    mask = sum(1 << byte for byte in range(8) if used >> (8 * byte) & 0xFF)
    octets = words.view(np.uint8).reshape(-1, 8)
    return mask, [_pack_plane(octets[:, byte].tobytes()) for byte in range(8) if mask >> byte & 1]


def _pack_plane(plane: bytes) -> bytes:
    packed = compress(plane) if len(plane) >= _WORTH else plane
    return packed if len(packed) < len(plane) - len(plane) // _LEAST_GAIN else plane


class Vector(Protocol):
    """A packed vector, as its plan says it is."""

    @property
    def is_narrow(self) -> bool:
        """All words of a chunk are one: `read` gives it alone."""
        ...

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        """The picked words, a row a chunk. Raises ValueError where the planes are none of this vector."""
        ...


@dataclass(slots=True)
class PlanReader:
    """Takes vectors off a plan, and keeps account of the numbers and planes that they need."""

    plan: bytes
    at: int = 0
    numbers: int = 0
    planes: int = 0

    def byte(self) -> int:
        """The next byte of the plan; raises ValueError at its end."""
        if self.at >= len(self.plan):
            raise ValueError("plan cut short")
        self.at += 1
        return self.plan[self.at - 1]

    def vector(self, size: int) -> Vector:
        """The next vector, of `size` words. Raises ValueError where it is none."""
        if not size:
            return _Small(0)
        form = self.byte()
        match form:
            case 0:
                return _Small(self.byte())
            case 1:
                return _Const(self._number())
            case 2:
                return _Raw(size, self.byte(), self._plane())
            case 3:
                scale = self.byte()
                if scale >= len(SCALES):
                    raise ValueError(f"scale {scale}")
                return _Offset(self._number(), SCALES[scale], self._planes_of(size))
            case 4:
                return _Zigzag(self._planes_of(size))
            case 5:
                return _Delta(self._number(), self.vector(size - 1), size)
            case 6:
                return self._period(size)
        raise ValueError(f"vector form {form}")

    def _period(self, size: int) -> Vector:
        if self.at + _PERIOD.size > len(self.plan):
            raise ValueError("plan cut short")
        period: int = _PERIOD.unpack_from(self.plan, self.at)[0]
        self.at += _PERIOD.size
        if not 0 < period < size:
            raise ValueError(f"period {period}")
        return _Period(period, self.vector(period), size)

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers - 1

    def _plane(self) -> int:
        self.planes += 1
        return self.planes - 1

    def _planes_of(self, size: int) -> "_Planes":
        mask = self.byte()
        return _Planes(size, tuple((byte, self._plane()) for byte in range(8) if mask >> byte & 1))


@dataclass(frozen=True, slots=True)
class _Small:
    is_narrow: ClassVar = True
    value: int

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        return np.full((sheet.chunks, 1), self.value, np.uint64)


@dataclass(frozen=True, slots=True)
class _Const:
    is_narrow: ClassVar = True
    number: int

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        return sheet.number(self.number)


@dataclass(frozen=True, slots=True)
class _Raw:
    is_narrow: ClassVar = False
    size: int
    width: int
    plane: int

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        if self.width not in (1, 2, 4, 8):
            raise ValueError(f"width {self.width}")
        octets = sheet.plane(self.plane, self.size * self.width, Pick.all(self.size * self.width))
        words = np.ascontiguousarray(octets).view(f"<u{self.width}")
        return pick.of(words).astype(np.uint64)


@dataclass(frozen=True, slots=True)
class _Planes:
    size: int
    planes: tuple[tuple[int, int], ...]
    """Byte of the word, number of the plane."""

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        words = np.zeros((sheet.chunks, pick.count), np.uint64)
        octets = words.view(np.uint8).reshape(sheet.chunks, pick.count, 8)
        for byte, plane in self.planes:
            octets[:, :, byte] = sheet.plane(plane, self.size, pick)
        return words


@dataclass(frozen=True, slots=True)
class _Offset:
    is_narrow: ClassVar = False
    base: int
    scale: int
    planes: _Planes

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        words = self.planes.read(sheet, pick)
        if self.scale != 1:
            words *= np.uint64(self.scale)
        words += sheet.number(self.base)
        return words


@dataclass(frozen=True, slots=True)
class _Zigzag:
    is_narrow: ClassVar = False
    planes: _Planes

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        words = self.planes.read(sheet, pick)
        one = np.uint64(1)
        return (words >> one) ^ (~(words & one) + one)


@dataclass(frozen=True, slots=True)
class _Delta:
    is_narrow: ClassVar = False
    first: int
    steps: Vector
    size: int

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        words = np.empty((sheet.chunks, self.size), np.uint64)
        words[:, :1] = sheet.number(self.first)
        words[:, 1:] = self.steps.read(sheet, Pick.all(self.size - 1))
        return pick.of(np.cumsum(words, axis=1, dtype=np.uint64))


@dataclass(frozen=True, slots=True)
class _Period:
    is_narrow: ClassVar = False
    period: int
    inner: Vector
    size: int

    def read(self, sheet: Sheet, pick: Pick) -> UInt64:
        words = self.inner.read(sheet, Pick.all(self.period))
        if self.inner.is_narrow:
            return np.repeat(words, pick.count, axis=1)
        places = np.arange(self.size) if pick.places is None else pick.places
        return words[:, places % self.period]
