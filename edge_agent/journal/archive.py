"""Archive: a store's segments as anyone may read them: another process, a copy, while the agent writes and deletes.

Nothing is written and no lock is taken. What is there when a reading begins is read; segments that retention takes
meanwhile are passed over, as if the reading had begun a moment later. Every chunk is checked by its own checksums, so
bytes that are just being written, or were torn, are never taken for a chunk. Files are read, not mapped: a file that is
cut while it is mapped, or a sector that can't be read, would kill the process.

Order is that of the log, which is the order in which rows were accepted. Clocks jump and sources come late, so that is
not always the order of time: a chunk's own first and last time decide whether it is wanted, nothing else.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from isal.isal_zlib import crc32

from edge_agent.journal import disk
from edge_agent.journal.chunk import HEAD_BYTES, HEAD_DTYPE, ChunkKind
from edge_agent.journal.front import following, read_front
from edge_agent.journal.index import Index, read_index
from edge_agent.journal.payload import pack_plain
from edge_agent.journal.segment import SUFFIX, Segment, read_segment, read_table
from edge_agent.journal.table import unpack_table
from edge_agent.model import TagTable
from edge_agent.model.frame import Int64

Span = tuple[int, int]
"""First and last time, ns since 1970 UTC, both included."""
EVER: Final[Span] = (-(1 << 63), (1 << 63) - 1)
_MAX_INDEXES: Final = 64
"""Indexes kept, of segments that are closed; about 0.5 MB each where chunks are of 4,000 slow values."""


_MAX_SPANS: Final = 10_000
_FRONT: Final = "front"
_Identity = tuple[int, int]
"""A segment's number, and when it was made: a store that was moved aside has the same numbers."""


@dataclass(slots=True)
class Skipped:
    """What a reading could not read. Grows while it goes on."""

    segments: int = 0
    """Files without a legible header or tag table."""
    stretches: int = 0
    """Stretches of bytes, mostly single chunks, that don't check."""
    rows: int = 0
    """Rows that were in them, as far as their own heads or the chunks around say."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Sound chunks of one segment that one read covers, in the order asked for. Payloads are parts of `data`."""

    segment: Segment
    tags: TagTable
    data: bytes
    offsets: Int64
    """Of each payload in `data`."""
    heads: npt.NDArray[Any]
    """HEAD_DTYPE."""

    def __len__(self) -> int:
        return len(self.offsets)

    def payload(self, place: int) -> memoryview:
        """One of them."""
        at = int(self.offsets[place])
        return memoryview(self.data)[at : at + int(self.heads["payload_bytes"][place])]

    def payloads(self) -> Iterator[memoryview]:
        """All of them."""
        return map(self.payload, range(len(self)))


@dataclass(frozen=True, slots=True)
class Want:
    """Which chunks: of these kinds, with any time in `span`, in the log's order or the opposite."""

    kinds: tuple[ChunkKind, ...]
    span: Span = EVER
    newest_first: bool = False

    def places(self, heads: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """Places of the wanted ones among these heads, ascending."""
        kind = np.isin(heads["kind"], self.kinds) & (heads["stream"] == 0)
        return np.flatnonzero(kind & (heads["last"] >= self.span[0]) & (heads["first"] <= self.span[1]))

    def may_be_in(self, rows: Span | None) -> bool:
        """A segment whose rows have these times, if they are known, may have something that is wanted."""
        if rows is None or self.kinds != (ChunkKind.FRAME,):
            return True
        return rows[1] >= self.span[0] and rows[0] <= self.span[1]


class Archive:
    """Readings of one store directory; for one thread. Keeps what closed segments say: a second reading is faster."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet; the directory need not be there."""
        self.path = path
        self._segments: dict[tuple[str, int], Segment | None] = {}
        self._tables: dict[str, TagTable] = {}
        self._indexes: OrderedDict[_Identity, Index] = OrderedDict()
        self._spans: OrderedDict[_Identity, Span | None] = OrderedDict()

    def segments(self, skipped: Skipped | None = None) -> list[Segment]:
        """What is there now, oldest first; none where there is no directory. Raises OSError."""
        before, self._segments = self._segments, {}
        for name, inode in _names(self.path):
            key = name, inode
            segment = before[key] if before.get(key) else _segment(self.path / name)
            self._segments[key] = segment
            if segment is None and skipped is not None and (self.path / name).exists():
                skipped.segments += 1
        return [segment for segment in self._segments.values() if segment is not None]

    def table(self, segment: Segment) -> TagTable | None:
        """A segment's tag table, None where it can't be read."""
        key = segment.header.table
        if key not in self._tables:
            try:
                packed = read_table(segment.path)
                if packed is None:
                    return None
                self._tables[key] = unpack_table(packed)
            except (OSError, ValueError):
                return None
        return self._tables[key]

    def stretches(self, want: Want, skipped: Skipped) -> Iterator[Stretch]:
        """What is wanted, a few MB at a time. Raises OSError where the disk refuses."""
        segments = self.segments(skipped)
        for segment in reversed(segments) if want.newest_first else segments:
            yield from self._stretches(segment, segment is segments[-1], want, skipped)

    def _stretches(self, segment: Segment, growing: bool, want: Want, skipped: Skipped) -> Iterator[Stretch]:
        """`growing`: it is the last, which the agent may be writing to."""
        if not growing and not want.may_be_in(self._spans.get(_identity(segment))):
            return
        try:
            fd = disk.open_for_reading(segment.path)
        except FileNotFoundError:
            return
        try:
            index = self._index(fd, segment, growing, skipped)
            yield from self._chosen(fd, index, segment, growing, want, skipped)
        finally:
            os.close(fd)

    def _chosen(
        self, fd: int, index: Index, segment: Segment, growing: bool, want: Want, skipped: Skipped
    ) -> Iterator[Stretch]:
        runs = list(index.windows(want.places(index.heads)))
        front = read_front(self.path / _FRONT) if growing else b""
        tags = self.table(segment) if runs or front else None
        if tags is None:
            skipped.segments += bool(runs)
            return
        waiting = _waiting(front, index, (segment, tags), want)
        if want.newest_first and waiting is not None:
            yield _backwards(waiting)
        for run in reversed(runs) if want.newest_first else runs:
            stretch = _read(fd, index, run, (segment, tags), skipped)
            yield _backwards(stretch) if want.newest_first else stretch
        if not want.newest_first and waiting is not None:
            yield waiting

    def _index(self, fd: int, segment: Segment, growing: bool, skipped: Skipped) -> Index:
        key = _identity(segment)
        index = self._indexes.get(key)
        if index is None:
            index = read_index(fd, segment, growing=growing)
            if not growing:
                self._keep(key, index)
        skipped.stretches += index.holes
        skipped.rows += index.missing
        return index

    def _keep(self, key: _Identity, index: Index) -> None:
        self._indexes[key] = index
        while len(self._indexes) > _MAX_INDEXES:
            self._indexes.popitem(last=False)
        if not index.holes:
            self._spans[key] = _span_of(index)
            while len(self._spans) > _MAX_SPANS:
                self._spans.popitem(last=False)


def _identity(segment: Segment) -> _Identity:
    return segment.number, segment.header.created


def _span_of(index: Index) -> Span:
    """First and last time of its rows; where there are none, a span that meets no other."""
    rows = index.heads[index.heads["rows"] > 0]
    return (int(rows["first"].min()), int(rows["last"].max())) if len(rows) else (EVER[1], EVER[0])


def _waiting(front: bytes, index: Index, of: tuple[Segment, TagTable], want: Want) -> Stretch | None:
    """The rows that stand in the front, as chunks; None where there are none that are wanted.

    Read after the index: if the agent has written them to the segment meanwhile, what is in the front no longer follows
    the index, and it is as if the reading had begun before they came.
    """
    header, last = of[0].header, index.heads[-1:]
    sequence = int(last["sequence"][0]) + 1 if len(last) else header.sequence
    row = int(last["rows_before"][0]) + int(last["rows"][0]) if len(last) else header.rows
    frames = [gathered.frame for gathered in following(front, header.table, sequence, row)]
    payloads = [pack_plain(frame) for frame in frames]
    heads = np.zeros(len(frames), HEAD_DTYPE)
    heads["rows"], heads["payload_bytes"] = [len(frame) for frame in frames], [len(payload) for payload in payloads]
    heads["first"] = [frame.time.min() for frame in frames]
    heads["last"] = [frame.time.max() for frame in frames]
    places = want.places(heads)
    offsets = np.cumsum(heads["payload_bytes"], dtype=np.int64) - heads["payload_bytes"]
    return Stretch(*of, b"".join(payloads), offsets[places], heads[places]) if len(places) else None


def _names(path: Path) -> list[tuple[str, int]]:
    try:
        with os.scandir(path) as entries:
            return sorted((entry.name, entry.inode()) for entry in entries if entry.name.endswith(SUFFIX))
    except FileNotFoundError:
        return []


def _segment(path: Path) -> Segment | None:
    try:
        return read_segment(path)
    except OSError:
        return None


def _read(
    fd: int, index: Index, places: npt.NDArray[np.intp], of: tuple[Segment, TagTable], skipped: Skipped
) -> Stretch:
    """One read, and the chunks of it that check."""
    start = int(index.offsets[places[0]])
    data = disk.read(fd, int(index.ends[places[-1]]) - start, start)
    heads = index.heads[places]
    offsets = index.offsets[places] + (HEAD_BYTES - start)
    salt, view = of[0].number & 0xFFFF_FFFF, memoryview(data)
    sound = [
        crc32(view[at : at + size], salt) == crc
        for at, size, crc in zip(
            offsets.tolist(), heads["payload_bytes"].tolist(), heads["payload_crc"].tolist(), strict=True
        )
    ]
    if not all(sound):
        keep = np.array(sound)
        skipped.stretches += len(sound) - int(keep.sum())
        skipped.rows += int(heads["rows"][~keep].sum())
        heads, offsets = heads[keep], offsets[keep]
    return Stretch(*of, data, offsets, heads)


def _backwards(stretch: Stretch) -> Stretch:
    return Stretch(stretch.segment, stretch.tags, stretch.data, stretch.offsets[::-1], stretch.heads[::-1])
