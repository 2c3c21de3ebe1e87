"""Verifying: every byte of a store read, every checksum and count checked, without a lock and without repairing.

A write that a kill came into leaves a torn tail, which the next start cuts off: that is told, and is no damage. Beside
a running agent the tail may be a write that has just begun.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from edge_agent.journal import disk
from edge_agent.journal.chunk import HEAD_BYTES, ChunkKind, Head, unpack_events, unpack_facts
from edge_agent.journal.layout import unpack_frame
from edge_agent.journal.long import long_path
from edge_agent.journal.rollup_layout import unpack_rollups
from edge_agent.journal.segment import SUFFIX, Segment, read_segment, read_table
from edge_agent.journal.slots import read_state
from edge_agent.journal.table import unpack_table
from edge_agent.journal.walk import Piece, walk
from edge_agent.model import TagTable

MAX_TAGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was written. `rows` -1 and times 0 where nobody can say."""

    file: str
    kind: str
    """header, table, chunk, contents, count, rows, cursor, quarantine."""
    offset: int = 0
    size: int = 0
    rows: int = -1
    first: int = 0
    last: int = 0
    tags: tuple[str, ...] = ()
    """Tags that were in it: those of the chunk before it, or after it, since its own can't be read."""


@dataclass(slots=True)
class Verdict:
    """What was read, and what was wrong with it."""

    segments: int = 0
    chunks: int = 0
    rows: int = 0
    events: int = 0
    rollups: int = 0
    bytes: int = 0
    torn_bytes: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing was wrong."""
        return not self.faults


def verify(path: Path) -> Verdict:
    """The store in this directory, raw and long. Raises OSError where it can't be read."""
    verdict = Verdict()
    for directory in (path, long_path(path)):
        _verify_log(directory, verdict)
        for file in sorted((directory / "cursors").glob("*.cursor")):
            verdict.faults += _cursor_faults(file)
    return verdict


def _verify_log(directory: Path, verdict: Verdict) -> None:
    files = sorted(directory.glob(f"*{SUFFIX}"))
    rows: int | None = None
    for file in files:
        try:
            segment = read_segment(file)
            if segment is None:
                verdict.faults.append(Fault(file.name, "header", size=file.stat().st_size))
                continue
            rows = _Segment(segment, verdict, growing=file == files[-1]).verify(rows)
        except FileNotFoundError:  # retention has just taken it, and perhaps others
            rows = None


class _Segment:
    """One segment, read from one end to the other."""

    def __init__(self, segment: Segment, verdict: Verdict, *, growing: bool) -> None:
        self._segment, self._verdict, self._growing = segment, verdict, growing
        self._tags: tuple[str, ...] = ()
        self._table = self._read_table()
        self._waiting: list[Fault] = []
        """Damage whose tags and rows the next chunk may tell."""

    def _read_table(self) -> TagTable | None:
        packed = read_table(self._segment.path)
        try:
            table = None if packed is None else unpack_table(packed)
        except ValueError:
            table = None
        if table is None:
            self._fault("table")
        return table

    def _fault(self, kind: str, piece: Piece | None = None, rows: int = -1) -> None:
        name = self._segment.path.name
        if self._segment.path.parent.name == long_path(Path()).name:
            name = f"{self._segment.path.parent.name}/{name}"
        if piece is None:
            self._verdict.faults.append(Fault(name, kind, rows=rows))
            return
        head = piece.head
        times = (0, 0) if head is None else (head.first, head.last)
        rows = rows if head is None else head.rows
        self._waiting.append(Fault(name, kind, piece.offset, piece.size, rows, *times, self._tags))

    def verify(self, rows: int | None) -> int:
        """`rows`: the row that should come first, None where nobody knows. Gives the one that should follow."""
        header = self._segment.header
        if rows is not None and header.rows > rows:
            self._fault("rows", rows=header.rows - rows)
        fd = disk.open_for_reading(self._segment.path)
        try:
            end = os.fstat(fd).st_size
            rows = self._walk(partial(_read, fd), end)
        finally:
            os.close(fd)
        self._verdict.segments += 1
        return rows

    def _walk(self, read: "partial[bytes]", end: int) -> int:
        segment, rows = self._segment, self._segment.header.rows
        written = segment.body
        holes: list[Piece] = []
        for piece in walk(read, segment.number, segment.body, end, segment.header.sequence, verify=True):
            if not piece.sound or piece.head is None:
                holes.append(piece)
                continue
            for hole in holes:
                self._fault("chunk", hole, piece.head.rows_before - rows if len(holes) == 1 else -1)
            missing = piece.head.rows_before - rows
            if missing > 0 and not holes:
                self._fault("rows", rows=missing)
            holes = []
            self._take(piece, piece.head, read)
            rows, written = piece.head.rows_after, piece.offset + piece.size
        if holes and self._growing:
            self._verdict.torn_bytes += holes[-1].offset + holes[-1].size - holes[0].offset
        for hole in holes if not self._growing else ():
            self._fault("chunk", hole)
        self._verdict.faults += self._waiting
        self._verdict.bytes += written
        return rows

    def _take(self, piece: Piece, head: Head, read: "partial[bytes]") -> None:
        verdict = self._verdict
        verdict.chunks += 1
        try:
            tags = self._unpack(head, read(piece.offset + HEAD_BYTES, head.payload_bytes))
        except (ValueError, IndexError, KeyError):
            self._fault("contents", piece)
            tags = ()
        self._tags = tags or self._tags
        waiting = [replace(fault, tags=fault.tags or self._tags) for fault in self._waiting]
        verdict.faults += waiting
        self._waiting = []

    def _unpack(self, head: Head, payload: bytes) -> tuple[str, ...]:
        """Counts what is in it, and gives the paths of the tags. Raises ValueError where it is not what it says."""
        verdict = self._verdict
        rows = events = 0
        numbers: list[int] = []
        if head.kind == ChunkKind.FRAME:
            frame = unpack_frame(payload, head.rows)
            rows, numbers = len(frame), sorted(set(frame.tag.tolist()))
            verdict.rows += rows
            if rows and (int(frame.time.min()), int(frame.time.max())) != (head.first, head.last):
                raise ValueError("times are not those of the head")
        elif head.kind == ChunkKind.EVENTS:
            events = len(unpack_events(payload))
        elif head.kind == ChunkKind.ROLLUP:
            rollups, told, _ = unpack_rollups(payload)
            rows, events, numbers = len(rollups), len(told), sorted(set(rollups.tag.tolist()))
            verdict.rollups += rows
        elif head.kind in (ChunkKind.LOSS, ChunkKind.MARK):
            unpack_facts(payload)
        verdict.events += events
        if (rows, events) != (head.rows, head.events):
            raise ValueError("counts are not those of the head")
        table = self._table
        return tuple(table.paths[number] for number in numbers[:MAX_TAGS]) if table is not None else ()


def _read(fd: int, at: int, size: int) -> bytes:
    return disk.read(fd, size, at)


def _cursor_faults(file: Path) -> Iterator[Fault]:
    state = read_state(file)
    if state is None:
        yield Fault(f"cursors/{file.name}", "cursor", size=file.stat().st_size)
        return
    quarantine = file.with_suffix(".quarantine")
    data = quarantine.read_bytes()[: state.quarantine_bytes] if quarantine.exists() else b""
    lines = data.splitlines()
    if len(data) < state.quarantine_bytes or not all(map(_is_line, lines)):
        yield Fault(f"cursors/{quarantine.name}", "quarantine", size=len(data), rows=state.quarantined.total)


def _is_line(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
