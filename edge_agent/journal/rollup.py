"""Rollup: what is kept of a tag's minute when its rows are long gone, as columns, and as the payload of a chunk.

A minute is a minute of source time (`Frame.time`), numbered since 1970 UTC. One row a tag and minute:

| column  | type    | meaning |
|---------|---------|---------|
| tag     | int32   | number in the tag table |
| minute  | int64   | minutes since 1970 UTC |
| count   | int64   | all rows, whatever their status; rows that the agent made are rows too |
| good    | int64   | of these: good status, and a value that is a finite number, a boolean or a text |
| numbers | int64   | of these: numbers and booleans (as 0 and 1); min, mean, max and last are of these only |
| mean    | float64 | to 32 significant bits (1 part in 4·10⁹): more is noise, and noise is what costs bytes |
| low, high, last | float64 | exact; NaN, as is mean, where `numbers` is 0 |
| last_ms | int64   | when in the minute `last` was, ms; -1 where `numbers` is 0 |

Uncertain and bad values count, and nothing else: what they say is not to be trusted in a mean. NaN and infinity are
not good, whatever their status says. Texts are good but no numbers. 64-bit integers are rounded to float64. `last` has
the greatest source time, to the millisecond; of equal ones it is the one accepted last. Good share = good / count.

Rows of one tag and minute may be many: a minute cut in two by a restart, rows that came late, a clock that was set
back. `merged` makes one of them. Count, good, numbers, low, high and last come out as if there had been one; the mean
does within the rounding of its parts.

## Payload of a ROLLUP chunk

    meta length u32, events length u32, groups u32, meta crc u32
    meta    JSON: position in the raw log (edge_agent/journal/roller.py)
    groups  an entry each: first tag i32, last tag i32, rows u32, length u32, crc u32
    the groups, one after the other; a few tags each, sorted by tag and minute: packed as a frame's columns are
            (edge_agent/journal/payload.py), minute, count, count - good, good - numbers, last_ms, low, high, mean, last
    events  crc u32, then zstd(JSON) as in an events chunk; nothing where there are none

One chunk is all that was rolled up since the one before, so that it is there whole or not at all. Entries and groups
can be read without the rest, and each has a checksum of its own: one tag's month is read in fractions of a second, and
a damaged byte costs one group. A chunk counts, whatever became of its groups, if its entries check.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from edge_agent.journal.chunk import ChunkKind, Head, crc, pack_events, unpack_events
from edge_agent.journal.entry import Entry
from edge_agent.journal.payload import pack_beside
from edge_agent.journal.view import View
from edge_agent.model import Event, Kind
from edge_agent.model.frame import Float64, Int32, Int64, UInt64

MINUTE_NS: Final = 60_000_000_000
GROUP_TAGS: Final = 16
_GROUP_ROWS: Final = 500
"""A group is of more tags where so few minutes are written that it would have fewer rows."""
_HEAD: Final = struct.Struct("<IIII")
_CHECKED: Final = 12
_GROUP: Final = np.dtype([("first", "<i4"), ("last", "<i4"), ("rows", "<u4"), ("length", "<u4"), ("crc", "<u4")])
_NOISE: Final = np.uint64((1 << 20) - 1)
_HALF: Final = np.uint64(1 << 19)
_LEAST_NS: Final = -(1 << 63)
_MOST_NS: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Rollups:
    """Columns of one length; see the module's head."""

    tag: Int32
    minute: Int64
    count: Int64
    good: Int64
    numbers: Int64
    low: Float64
    high: Float64
    mean: Float64
    last: Float64
    last_ms: Int64

    def __len__(self) -> int:
        return len(self.tag)

    @property
    def good_share(self) -> Float64:
        """0 … 1."""
        return self.good / self.count

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        ints, floats = np.empty(0, np.int64), np.empty(0)
        return cls(np.empty(0, np.int32), ints, ints, ints, ints, floats, floats, floats, floats, ints)

    @classmethod
    def concat(cls, parts: Sequence["Rollups"]) -> "Rollups":
        """All rows, in order."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES))

    def rows(self, which: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Rollups":
        """The rows chosen by a slice, a mask or indices."""
        return Rollups(*(getattr(self, name)[which] for name in _NAMES))


_NAMES: Final = tuple(field.name for field in fields(Rollups))


def merged(rollups: Rollups) -> Rollups:
    """One row a tag and minute, sorted by both. Rows must come in the order in which they were written."""
    if not len(rollups):
        return rollups
    rollups = rollups.rows(np.lexsort((rollups.last_ms, rollups.minute, rollups.tag)))
    fresh = np.empty(len(rollups), np.bool_)
    fresh[0] = True
    fresh[1:] = (rollups.tag[1:] != rollups.tag[:-1]) | (rollups.minute[1:] != rollups.minute[:-1])
    if fresh.all():
        return rollups
    starts = np.flatnonzero(fresh)
    return _joined(rollups, starts, np.append(starts[1:], len(rollups)) - 1)


def _joined(rows: Rollups, starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]) -> Rollups:
    """Each stretch from a start to an end becomes one row; its newest value stands at its end."""
    numbers = np.add.reduceat(rows.numbers, starts)
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.add.reduceat(np.where(rows.numbers > 0, rows.mean * rows.numbers, 0.0), starts)
    low, high = np.fmin.reduceat(rows.low, starts), np.fmax.reduceat(rows.high, starts)
    return Rollups(
        rows.tag[starts],
        rows.minute[starts],
        np.add.reduceat(rows.count, starts),
        np.add.reduceat(rows.good, starts),
        numbers,
        low,
        high,
        mean_of(total, numbers, low, high),
        rows.last[ends],
        rows.last_ms[ends],
    )


def mean_of(total: Float64, numbers: Int64, low: Float64, high: Float64) -> Float64:
    """The rounded mean, never outside low and high; NaN where there are no numbers."""
    with np.errstate(invalid="ignore", over="ignore"):
        mean = total / np.maximum(numbers, 1)
        bits = (mean.view(np.uint64) + _HALF) & ~_NOISE
        return np.where(numbers > 0, np.fmin(np.fmax(bits.view(np.float64), low), high), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class RollupEntry(Entry):
    """A ROLLUP chunk that is not in the log yet."""

    count: int = 0
    first: int = 0
    last: int = 0

    def head(self, view: View, written: int, lost: int) -> Head:
        """As `Entry.head`; rows are rollups, times are the first minute's or event's start and the last one's end."""
        size = len(self.payload)
        events = len(self.events)
        return Head(self.kind, view.sequence, self.count, events, self.first, self.last, view.rows, lost, written, size)


def rollup_entry(rollups: Rollups, events: Sequence[Event], meta: dict[str, Any]) -> RollupEntry:
    """Rows sorted by tag and minute, and events, as a chunk to be written."""
    times = [time for event in events for time in (event.start, event.end or event.start)]
    if len(rollups):
        times += [int(rollups.minute.min()) * MINUTE_NS, (int(rollups.minute.max()) + 1) * MINUTE_NS - 1]
    first, last = max(min(times, default=0), _LEAST_NS), min(max(times, default=0), _MOST_NS)
    payload = pack_rollups(rollups, events, meta)
    return RollupEntry(ChunkKind.ROLLUP, payload, events=tuple(events), count=len(rollups), first=first, last=last)


def pack_rollups(rollups: Rollups, events: Sequence[Event], meta: dict[str, Any]) -> bytes:
    """The payload; see the module's head."""
    groups, parts = [], []
    for piece in _groups(rollups):
        packed = _pack_group(piece)
        groups.append((piece.tag[0], piece.tag[-1], len(piece), len(packed), crc(packed, 0)))
        parts.append(packed)
    said = json.dumps(meta, separators=(",", ":")).encode() + np.array(groups, _GROUP).tobytes()
    told = _pack_events(events) if events else b""
    head = _HEAD.pack(len(said) - len(groups) * _GROUP.itemsize, len(told), len(groups), 0)[:_CHECKED]
    return b"".join((head, crc(head + said, 0).to_bytes(4, "little"), said, *parts, told))


def _pack_events(events: Sequence[Event]) -> bytes:
    packed = pack_events(events)
    return crc(packed, 0).to_bytes(4, "little") + packed


def unpack_told(data: bytes) -> tuple[Event, ...]:
    """The events at the end of a payload. Raises ValueError where they do not check."""
    if crc(data[4:], 0) != int.from_bytes(data[:4], "little"):
        raise ValueError("events of rollups do not check")
    return unpack_events(data[4:])


def _groups(rollups: Rollups) -> Iterator[Rollups]:
    if not len(rollups):
        return
    tags = 1 + int(np.count_nonzero(rollups.tag[1:] != rollups.tag[:-1]))
    group = rollups.tag // max(GROUP_TAGS, _GROUP_ROWS * tags // len(rollups))
    cuts = np.flatnonzero(group[1:] != group[:-1]) + 1
    for start, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(rollups)], strict=True):
        yield rollups.rows(slice(start, end))


def _pack_group(rows: Rollups) -> bytes:
    integers = (rows.minute, rows.count, rows.count - rows.good, rows.good - rows.numbers, rows.last_ms)
    return pack_beside(rows.tag, integers, [_bits(column) for column in (rows.low, rows.high, rows.mean, rows.last)])


INTEGERS: Final = 5
VALUES: Final = 4
"""Columns of a group, in this order."""


def _bits(values: Float64) -> tuple[UInt64, Kind]:
    with np.errstate(over="ignore"):
        single = np.array_equal(values.astype(np.float32).astype(np.float64), values, equal_nan=True)
    return np.ascontiguousarray(values).view(np.uint64), Kind.FLOAT32 if single else Kind.FLOAT64


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """The beginning of a payload: its meta, and where its groups are."""

    said: bytes
    groups: npt.NDArray[Any]
    ends: Int64
    """Offset in the payload where each group ends."""
    end: int
    """Offset after the last group, where the events begin."""
    events_bytes: int

    @property
    def meta(self) -> dict[str, Any]:
        """What it says of its place in the raw log."""
        meta: dict[str, Any] = json.loads(self.said)
        return meta


CONTENTS_BYTES: Final = _HEAD.size


def contents_size(data: bytes) -> int:
    """Length of the beginning, from its first CONTENTS_BYTES. Raises ValueError where they are too few."""
    if len(data) < _HEAD.size:
        raise ValueError("no rollups")
    meta, _, groups, _ = _HEAD.unpack_from(data)
    return _HEAD.size + int(meta) + int(groups) * _GROUP.itemsize


def unpack_contents(data: bytes) -> Contents:
    """From the beginning of a payload. Raises ValueError where it does not check."""
    size = contents_size(data)
    meta, events, _, check = _HEAD.unpack_from(data)
    if len(data) < size or crc(data[:_CHECKED] + data[_HEAD.size : size], 0) != check:
        raise ValueError("contents of rollups do not check")
    groups = np.frombuffer(data[_HEAD.size + meta : size], _GROUP)
    ends = size + np.cumsum(groups["length"], dtype=np.int64)
    end = int(ends[-1]) if len(ends) else size
    return Contents(data[_HEAD.size : _HEAD.size + meta], groups, ends, end, events)
