"""Frame: columns of one link's values. The only form in which values travel from the wire to the hub.

Columns have one row per value, all of the same length n:

| column   | type      | meaning |
|----------|-----------|---------|
| tag      | int32     | number in the site's TagTable |
| time     | int64     | the value's time, ns since 1970 UTC: source time where plausible, else receive time (flagged) |
| received | int64     | when the agent had it, ns since 1970 UTC (a broadcast column is welcome) |
| bits     | uint64    | the value's 64 bits; how to read them says `kind` |
| kind     | uint8     | `Kind` |
| status   | uint32    | OPC UA StatusCode |
| flags    | uint16    | `Flag` bits |

`bits` holds float64 and float32 (widened to float64: exact) as IEEE 754 bits, integers as 64-bit two's complement or
unsigned, booleans as 0/1, texts as an index into `texts`. So 64-bit integers, booleans and texts stay exact, and a
float32 is still known to be one (the hub gets 250.13, not 250.1300048828125).

A row with a bad status usually has kind NONE and bits 0. NaN is never a good value: connectors give it a bad status.
Columns are read-only by convention: whoever gets a frame must not write into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
UInt32 = npt.NDArray[np.uint32]
UInt16 = npt.NDArray[np.uint16]
UInt8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]

NO_TEXTS: Final[tuple[str, ...]] = ()


Places = slice | npt.NDArray[np.intp]


def places(numbers: npt.NDArray[np.integer[Any]]) -> Places:
    """Numbers as an index into a table: a slice where each is one more than the last (10 times as fast), else intp."""
    n = len(numbers)
    if n and int(numbers[-1]) - int(numbers[0]) == n - 1 and bool((numbers[1:] > numbers[:-1]).all()):
        return slice(int(numbers[0]), int(numbers[0]) + n)
    return numbers.astype(np.intp)


class Kind(IntEnum):
    """How to read a row's 64 bits. The numbers are on disk in the journal: never change one."""

    NONE = 0
    FLOAT64 = 1
    FLOAT32 = 2
    INT64 = 3
    UINT64 = 4
    BOOL = 5
    TEXT = 6


class Flag(IntFlag):
    """What else is known of a row. The bits are on disk in the journal: never change one."""

    RECEIVE_TIME = 1
    """`time` is the receive time: the source gave none, or one that cannot be right."""
    OVERFLOW = 2
    """The source threw away earlier values of this tag (counted in the ledger as lost at source)."""
    AGENT = 4
    """Made by the agent, not read from the source: a link that went down says so in each of its tags."""
    BACKFILL = 8
    """Older than the live stream: history read after a gap."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """See the module's head. Equality is not defined (columns); tests compare with `frames_equal`."""

    tag: Int32
    time: Int64
    received: Int64
    bits: UInt64
    kind: UInt8
    status: UInt32
    flags: UInt16
    texts: tuple[str, ...] = NO_TEXTS

    def __len__(self) -> int:
        return len(self.tag)

    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """tag, time, received, bits, kind, status, flags."""
        return self.tag, self.time, self.received, self.bits, self.kind, self.status, self.flags

    @classmethod
    def of_floats(
        cls,
        tag: npt.ArrayLike,
        time: npt.ArrayLike,
        values: npt.ArrayLike,
        *,
        received: npt.ArrayLike | None = None,
        status: npt.ArrayLike = 0,
        flags: npt.ArrayLike = 0,
        kind: Kind = Kind.FLOAT64,
    ) -> Self:
        """A frame of float64 (or widened float32) values; scalars are broadcast to the length of `tag`."""
        tags = np.asarray(tag, np.int32)
        n = tags.shape
        times = np.broadcast_to(np.asarray(time, np.int64), n)
        floats = np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.float64), n))
        return cls(
            tags,
            times,
            times if received is None else np.broadcast_to(np.asarray(received, np.int64), n),
            floats.view(np.uint64),
            np.broadcast_to(np.uint8(kind), n),
            np.broadcast_to(np.asarray(status, np.uint32), n),
            np.broadcast_to(np.asarray(flags, np.uint16), n),
        )

    @classmethod
    def of_status(cls, tag: npt.ArrayLike, time: int, status: int, flags: int = 0) -> Self:
        """A frame that says one status of many tags and has no values."""
        tags = np.asarray(tag, np.int32)
        n = tags.shape
        when = np.broadcast_to(np.int64(time), n)
        return cls(
            tags,
            when,
            when,
            np.broadcast_to(np.uint64(0), n),
            np.broadcast_to(np.uint8(Kind.NONE), n),
            np.broadcast_to(np.uint32(status), n),
            np.broadcast_to(np.uint16(flags), n),
        )

    @classmethod
    def empty(cls) -> Self:
        """A frame without rows."""
        return cls.of_floats(np.empty(0, np.int32), 0, np.empty(0))

    @classmethod
    def concat(cls, frames: Sequence["Frame"]) -> "Frame":
        """All rows of `frames`, in order; text indices are moved to the joint text table."""
        if len(frames) == 1:
            return frames[0]
        if not frames:
            return cls.empty()
        return cls(
            np.concatenate([f.tag for f in frames]),
            np.concatenate([f.time for f in frames]),
            np.concatenate([f.received for f in frames]),
            _joint_bits(frames),
            np.concatenate([f.kind for f in frames]),
            np.concatenate([f.status for f in frames]),
            np.concatenate([f.flags for f in frames]),
            tuple(text for f in frames for text in f.texts),
        )

    def rows(self, which: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Frame":
        """The rows chosen by a slice, a mask or indices; the text table is kept whole."""
        return Frame(
            self.tag[which],
            self.time[which],
            self.received[which],
            self.bits[which],
            self.kind[which],
            self.status[which],
            self.flags[which],
            self.texts,
        )

    def without(self, flag: Flag) -> "Frame":
        """The rows that do not have this flag; the frame itself where that is all of them."""
        if not self.flags.any():
            return self
        kept = (self.flags & np.uint16(flag)) == 0
        return self if kept.all() else self.rows(kept)

    def floats(self) -> Float64:
        """Values as float64: integers rounded to nearest, booleans 0/1, NaN for texts and rows without a value."""
        kind = self.kind
        if kind.size == 0:
            return np.empty(0)
        if kind.strides == (0,) or (kind == kind[0]).all():
            return _as_floats(self.bits, int(kind[0]))
        out = np.full(len(self), np.nan)
        for k in np.unique(kind):
            mask = kind == k
            out[mask] = _as_floats(self.bits[mask], int(k))
        return out

    def value(self, row: int) -> float | int | bool | str | None:
        """One row's value as a Python object: for people's eyes and tests, never on the hot path."""
        bits = self.bits[row : row + 1]
        match Kind(int(self.kind[row])):
            case Kind.FLOAT64 | Kind.FLOAT32:
                return float(np.ascontiguousarray(bits).view(np.float64)[0])
            case Kind.INT64:
                return int(np.ascontiguousarray(bits).view(np.int64)[0])
            case Kind.UINT64:
                return int(bits[0])
            case Kind.BOOL:
                return bool(bits[0])
            case Kind.TEXT:
                return self.texts[int(bits[0])]
            case Kind.NONE:
                return None


def _as_floats(bits: UInt64, kind: int) -> Float64:
    match kind:
        case Kind.FLOAT64 | Kind.FLOAT32:
            return np.ascontiguousarray(bits).view(np.float64)
        case Kind.INT64:
            return np.ascontiguousarray(bits).view(np.int64).astype(np.float64)
        case Kind.UINT64 | Kind.BOOL:
            return bits.astype(np.float64)
        case _:
            return np.full(bits.shape, np.nan)


def _joint_bits(frames: Sequence[Frame]) -> UInt64:
    if not any(f.texts for f in frames):
        return np.concatenate([f.bits for f in frames])
    parts, offset = [], 0
    for f in frames:
        parts.append(np.where(f.kind == Kind.TEXT, f.bits + np.uint64(offset), f.bits) if f.texts else f.bits)
        offset += len(f.texts)
    return np.concatenate(parts)


def frames_equal(a: Frame, b: Frame) -> bool:
    """Same rows in the same order, texts compared by what they say. Slow: for tests and `verify`."""
    columns = ("tag", "time", "received", "kind", "status", "flags")
    if len(a) != len(b) or any(not np.array_equal(getattr(a, c), getattr(b, c)) for c in columns):
        return False
    text = a.kind == Kind.TEXT
    return np.array_equal(a.bits[~text], b.bits[~text]) and all(
        a.texts[int(i)] == b.texts[int(j)] for i, j in zip(a.bits[text], b.bits[text], strict=True)
    )
