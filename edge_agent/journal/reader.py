"""Reader: the chunks of the log in order, from any of them on; from memory where they are recent, else from disk."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Final, Protocol

from edge_agent.journal import disk
from edge_agent.journal.chunk import HEAD_BYTES, Chunk, ChunkKind, Head, is_sound, unpack_events
from edge_agent.journal.layout import unpack_frame
from edge_agent.journal.report import Damage
from edge_agent.journal.segment import Segment
from edge_agent.journal.view import View
from edge_agent.journal.walk import Piece, walk
from edge_agent.model import Frame, TagTable

_NOTHING: Final = Frame.empty()


class Source(Protocol):
    """What a reader needs of the journal. All of it may be called from any thread."""

    def recent(self, sequence: int) -> Chunk | None:
        """The chunk, if it is in memory."""
        ...

    def table(self, segment: Segment) -> TagTable | None:
        """The segment's tag table, None where it can't be read any more."""
        ...

    def found_damage(self, damage: Damage, data: bytes) -> None:
        """A reader came upon bytes that don't check. The same ones may be told again."""
        ...


class Reader:
    """For one thread. Keeps one segment open and one chunk unpacked."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file: _File | None = None
        self._last: Chunk | None = None

    def next(self, view: View, sequence: int) -> Chunk | None:
        """The first legible chunk from `sequence` on, None where there is none before the end of `view`.

        Raises OSError where the disk refuses to open a file that is there.
        """
        if sequence >= view.sequence:
            return None
        chunk = self._source.recent(sequence)
        if chunk is None and self._last is not None and self._last.head.sequence == sequence:
            chunk = self._last
        if chunk is None:
            chunk = self._last = self._from_disk(view, sequence)
        if chunk is None:
            chunk = next((each for each in view.front if each.head.sequence >= sequence), None)
        return chunk

    def _from_disk(self, view: View, sequence: int) -> Chunk | None:
        for segment in view.segments[view.place(sequence) :]:
            file = self._open(segment)
            chunk = file.find(sequence, view) if file is not None else None
            if chunk is not None:
                return chunk
        return None

    def _open(self, segment: Segment) -> "_File | None":
        if self._file is not None and self._file.segment.path == segment.path:
            return self._file
        self.close()
        try:
            self._file = _File(self._source, segment)
        except FileNotFoundError:
            return None
        return self._file

    def close(self) -> None:
        """Lets go of the file; the reader may be used again."""
        if self._file is not None:
            self._file.close()
        self._file = None


class _File:
    """One segment being read forwards."""

    def __init__(self, source: Source, segment: Segment) -> None:
        self.segment = segment
        self._source = source
        self._fd = disk.open_for_reading(segment.path)
        self._at = self._sequence = self._rows = self._time = 0
        self._rewind()

    def close(self) -> None:
        os.close(self._fd)

    def find(self, sequence: int, view: View) -> Chunk | None:
        """The first legible chunk from `sequence` on in this segment."""
        if sequence < self._sequence:
            self._rewind()
        hole: Piece | None = None
        for piece in self._pieces(view):
            self._at = piece.offset + piece.size
            head = piece.head
            if head is None:
                hole = piece
                continue
            if hole is not None:
                self._report(hole, head.rows_before - self._rows, head.first)
                hole = None
            chunk = self._take(piece, head, sequence)
            if chunk is not None:
                return chunk
        if hole is not None:
            self._report(hole, self._rows_after(view) - self._rows, 0)
        return None

    def _rewind(self) -> None:
        self._at, self._sequence = self.segment.body, self.segment.header.sequence
        self._rows, self._time = self.segment.header.rows, 0

    def _rows_after(self, view: View) -> int:
        """Number of the row that follows this segment."""
        following = (s.header.rows for s in view.segments if s.number > self.segment.number)
        return next(following, view.settled_rows)

    def _pieces(self, view: View) -> Iterator[Piece]:
        is_tail = self.segment.path == view.segments[-1].path
        end = view.end if is_tail else os.fstat(self._fd).st_size
        read = partial(_read, self._fd)
        return walk(read, self.segment.number, self._at, end, self._sequence, verify=False)

    def _take(self, piece: Piece, head: Head, sequence: int) -> Chunk | None:
        """Goes past the piece; its chunk where it is wanted and legible."""
        self._sequence, self._rows, self._time = head.sequence + 1, head.rows_after, head.last
        if head.sequence < sequence:
            return None
        payload = disk.read(self._fd, head.payload_bytes, piece.offset + HEAD_BYTES)
        tags = self._source.table(self.segment)
        chunk = None if tags is None else unpack(head, payload, self.segment.number, tags)
        if chunk is None:
            self._tell(Damage(self.segment.number, piece.offset, piece.size, head.rows, head.first, head.last))
        return chunk

    def _report(self, hole: Piece, rows: int, until: int) -> None:
        self._tell(Damage(self.segment.number, hole.offset, hole.size, max(rows, 0), self._time, until))

    def _tell(self, damage: Damage) -> None:
        self._source.found_damage(damage, disk.read(self._fd, damage.size, damage.offset))


def unpack(head: Head, payload: bytes, segment: int, tags: TagTable) -> Chunk | None:
    """The chunk with its contents, None where the payload does not check. Kinds of later versions are empty."""
    if not is_sound(head, payload, segment):
        return None
    try:
        if head.kind == ChunkKind.FRAME and head.stream == 0:
            return Chunk(head, tags, unpack_frame(payload, head.rows))
        if head.kind == ChunkKind.EVENTS and head.stream == 0:
            return Chunk(head, tags, _NOTHING, unpack_events(payload))
    except ValueError:
        return None
    return Chunk(head, tags, _NOTHING)


def _read(fd: int, at: int, size: int) -> bytes:
    return disk.read(fd, size, at)
