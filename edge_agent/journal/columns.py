"""Columns to bytes and back, exactly: what repeats is stored once, what counts up as small steps, the rest by bytes.

A packed column is a form byte and what the form needs; all numbers little-endian, integers modulo 2**64:

| form    | then | a row's value |
|---------|------|---------------|
| CONST   | value u64 | value |
| RAW     | the items | as they are (short columns) |
| OFFSET  | base u64, scale u64, planes(offset) | base + scale * offset |
| DELTA   | base u64, scale u64, first u64, planes(step) | base + scale * offset; a step is zigzag |
| BITS    | planes(bits) | bits |
| DECIMAL | exponent u8, single u8, packed integers | integer / 10**exponent; float32 where single is 1 |

`planes` cuts n 64-bit words into 8 byte planes: the first word as a template (8 bytes), a mask of the planes that vary
(u8), and each of these as length u32 and n bytes, or fewer if zstd made them fewer. A plane of noise stays as it is and
costs no time; sign and exponent, which hardly move, shrink apart from it.

A decimal form is used only when every row comes back bit by bit; that is checked when packing.
"""

import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zstandard

from edge_agent.model.frame import Float64, Kind, UInt8, UInt64

Column = npt.NDArray[Any]

CONST: Final = 0
RAW: Final = 1
OFFSET: Final = 2
DELTA: Final = 3
BITS: Final = 4
DECIMAL: Final = 5

TIME_SCALES: Final = (1_000_000, 1_000, 100)
"""Times are often whole ms, µs or OPC UA ticks of 100 ns."""
_SHORT: Final = 24
"""Up to this many rows a column is stored as it is: looking for patterns costs more than it saves."""
_WORTH: Final = 64
_EXPONENTS: Final = 7
_SAMPLE: Final = 16
_WORD: Final = struct.Struct("<Q")
_LENGTH: Final = struct.Struct("<I")
_MASK: Final = (1 << 64) - 1
_EXACT: Final = float(1 << 53)
_DECIMAL_KINDS: Final[dict[frozenset[int], int]] = {frozenset({Kind.FLOAT64}): 0, frozenset({Kind.FLOAT32}): 1}

_codecs = threading.local()


def compress(data: bytes | memoryview) -> bytes:
    """zstd level 1; safe from any thread."""
    if not hasattr(_codecs, "compressor"):
        _codecs.compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)
    packed: bytes = _codecs.compressor.compress(data)
    return packed


def decompress(data: bytes | memoryview) -> bytes:
    """The opposite; raises ValueError where `data` is not what `compress` wrote."""
    if not hasattr(_codecs, "decompressor"):
        _codecs.decompressor = zstandard.ZstdDecompressor()
    try:
        plain: bytes = _codecs.decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return plain


def is_constant(column: Column) -> bool:
    """All rows alike; a broadcast column is known without looking."""
    return column.strides == (0,) or bool(column[0] == column[-1] and (column == column[0]).all())


def pack_integers(column: Column, scales: Sequence[int] = ()) -> bytes:
    """An integer column of any width; at least one row. `scales`: common divisors worth trying, largest first."""
    if is_constant(column):
        return bytes((CONST,)) + _word(int(column[0]))
    if len(column) <= _SHORT:
        return bytes((RAW,)) + column.tobytes()
    wide = _words(column)
    base = int(wide.view(np.int64).min())
    offsets = wide - np.uint64(base & _MASK)
    scale = next((s for s in scales if _divides(s, offsets)), 1)
    if scale > 1:
        offsets //= np.uint64(scale)
    return _pack_offsets(base, scale, offsets)


def _pack_offsets(base: int, scale: int, offsets: UInt64) -> bytes:
    steps = np.diff(offsets).view(np.int64)
    zigzag = ((steps << 1) ^ (steps >> 63)).view(np.uint64)
    head = _word(base) + _word(scale)
    if int(zigzag.max()) < int(offsets.max()):
        return b"".join((bytes((DELTA,)), head, _word(int(offsets[0])), *_planes(zigzag)))
    return b"".join((bytes((OFFSET,)), head, *_planes(offsets)))


def pack_bits(bits: UInt64, kind: UInt8) -> bytes:
    """The value column; how to look at it says `kind`. Any bit pattern comes back."""
    if is_constant(bits):
        return bytes((CONST,)) + _word(int(bits[0]))
    if len(bits) <= _SHORT:
        return bytes((RAW,)) + bits.tobytes()
    kinds = frozenset(int(k) for k in (kind[:1] if is_constant(kind) else np.unique(kind))) - {Kind.NONE}
    single = _DECIMAL_KINDS.get(kinds)
    if single is not None:
        return _pack_decimal(bits, single) or _pack_words(bits)
    if kinds & {Kind.FLOAT64, Kind.FLOAT32}:
        return _pack_words(bits)
    return pack_integers(bits)


def _pack_words(bits: UInt64) -> bytes:
    return b"".join((bytes((BITS,)), *_planes(_words(bits))))


def _pack_decimal(bits: UInt64, single: int) -> bytes | None:
    values = np.ascontiguousarray(bits).view(np.float64)
    least = _exponent(values[:: max(1, len(values) // _SAMPLE)].tolist(), single)
    for exponent in range(least, _EXPONENTS):
        whole = _as_decimal(values, exponent, single)
        if whole is not None:
            return bytes((DECIMAL, exponent, single)) + pack_integers(whole)
    return None


def _exponent(values: list[float], single: int) -> int:
    """The least exponent that could do for all; _EXPONENTS where none does. Noise is known by its first value."""
    exponent = 0
    for value in values:
        while exponent < _EXPONENTS and not _is_decimal(value, exponent, single):
            exponent += 1
    return exponent


def _is_decimal(value: float, exponent: int, single: int) -> bool:
    scaled = value * 10.0**exponent
    if not -_EXACT < scaled < _EXACT:
        return False
    back = round(scaled) / 10.0**exponent
    return value == (float(np.float32(back)) if single else back)


def _as_decimal(values: Float64, exponent: int, single: int) -> npt.NDArray[np.int64] | None:
    with np.errstate(all="ignore"):
        scaled = np.rint(values * 10.0**exponent)
        if not np.abs(scaled).max() < _EXACT:
            return None
        whole = scaled.astype(np.int64)
        back = _from_decimal(whole, exponent, single)
    return whole if np.array_equal(back.view(np.uint64), values.view(np.uint64)) else None


def _from_decimal(whole: npt.NDArray[np.int64], exponent: int, single: int) -> Float64:
    values = whole / 10.0**exponent
    return values.astype(np.float32).astype(np.float64) if single else values


def unpack(data: memoryview, at: int, rows: int, dtype: npt.DTypeLike) -> tuple[Column, int]:
    """The column that starts at `data[at]`, and where the next begins. Raises ValueError where it can't be one."""
    if at >= len(data):
        raise ValueError("column beyond the end")
    reader = _FORMS.get(data[at])
    if reader is None:
        raise ValueError(f"column form {data[at]}")
    try:
        return reader(data, at + 1, rows, np.dtype(dtype))
    except (struct.error, IndexError) as error:
        raise ValueError("column cut short") from error


def _read_const(data: memoryview, at: int, rows: int, dtype: np.dtype[Any]) -> tuple[Column, int]:
    word = np.frombuffer(data, np.uint64, 1, at)
    return np.ndarray((rows,), dtype, _narrow(word, dtype), 0, (0,)), at + 8  # as broadcast_to, without its cost


def _read_raw(data: memoryview, at: int, rows: int, dtype: np.dtype[Any]) -> tuple[Column, int]:
    return np.frombuffer(data, dtype, rows, at), at + rows * dtype.itemsize


def _read_offset(data: memoryview, at: int, rows: int, dtype: np.dtype[Any]) -> tuple[Column, int]:
    base, scale = _WORD.unpack_from(data, at)[0], _WORD.unpack_from(data, at + 8)[0]
    offsets, at = _read_planes(data, at + 16, rows)
    return _narrow(_scaled(base, scale, offsets), dtype), at


def _read_delta(data: memoryview, at: int, rows: int, dtype: np.dtype[Any]) -> tuple[Column, int]:
    base, scale, first = (_WORD.unpack_from(data, at + 8 * i)[0] for i in range(3))
    zigzag, at = _read_planes(data, at + 24, rows - 1)
    offsets = np.empty(rows, np.uint64)
    offsets[0] = first
    offsets[1:] = (zigzag >> np.uint64(1)) ^ (~(zigzag & np.uint64(1)) + np.uint64(1))
    return _narrow(_scaled(base, scale, np.cumsum(offsets)), dtype), at


def _read_bits(data: memoryview, at: int, rows: int, dtype: np.dtype[Any]) -> tuple[Column, int]:
    words, at = _read_planes(data, at, rows)
    return _narrow(words, dtype), at


def _read_decimal(data: memoryview, at: int, rows: int, dtype: np.dtype[Any]) -> tuple[Column, int]:
    exponent, single = data[at], data[at + 1]
    whole, at = unpack(data, at + 2, rows, np.int64)
    return _narrow(_from_decimal(whole, exponent, single).view(np.uint64), dtype), at


_FORMS: Final[dict[int, Callable[[memoryview, int, int, np.dtype[Any]], tuple[Column, int]]]] = {
    CONST: _read_const,
    RAW: _read_raw,
    OFFSET: _read_offset,
    DELTA: _read_delta,
    BITS: _read_bits,
    DECIMAL: _read_decimal,
}


def _planes(words: UInt64) -> list[bytes]:
    varies = int(np.bitwise_or.reduce(words ^ words[0]))
    mask = sum(1 << byte for byte in range(8) if varies >> (8 * byte) & 0xFF)
    parts = [_word(int(words[0])), bytes((mask,))]
    octets = words.view(np.uint8).reshape(-1, 8)
    for byte in range(8):
        if mask >> byte & 1:
            plane = _pack_plane(octets[:, byte].tobytes())
            parts += (_LENGTH.pack(len(plane)), plane)
    return parts


def _pack_plane(plane: bytes) -> bytes:
    packed = compress(plane) if len(plane) >= _WORTH else plane
    return packed if len(packed) < len(plane) else plane


def _read_planes(data: memoryview, at: int, rows: int) -> tuple[UInt64, int]:
    words = np.full(rows, _WORD.unpack_from(data, at)[0], np.uint64)
    octets = words.view(np.uint8).reshape(-1, 8)
    mask, at = data[at + 8], at + 9
    for byte in range(8):
        if mask >> byte & 1:
            size, at = _LENGTH.unpack_from(data, at)[0], at + 4
            octets[:, byte] = np.frombuffer(_read_plane(data[at : at + size], rows), np.uint8)
            at += size
    return words, at


def _read_plane(plane: memoryview, rows: int) -> bytes | memoryview:
    plain = plane if len(plane) == rows else decompress(plane)
    if len(plain) != rows:
        raise ValueError("plane of a wrong length")
    return plain


def _scaled(base: int, scale: int, offsets: UInt64) -> UInt64:
    return np.uint64(base) + (offsets if scale == 1 else offsets * np.uint64(scale))


def _narrow(words: UInt64, dtype: np.dtype[Any]) -> Column:
    return words.view(dtype) if dtype.itemsize == 8 else words.astype(dtype)


def _words(column: Column) -> UInt64:
    if column.dtype.itemsize == 8:
        return np.ascontiguousarray(column).view(np.uint64)
    return column.astype(np.int64).view(np.uint64)


def _divides(scale: int, offsets: UInt64) -> bool:
    step = max(1, len(offsets) // _SAMPLE)
    return not (offsets[::step] % np.uint64(scale)).any() and not (offsets % np.uint64(scale)).any()


def _word(value: int) -> bytes:
    return _WORD.pack(value & _MASK)
