"""Recovery: where the last segment really ends, and what was found on the way there."""

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edge_agent.journal import disk
from edge_agent.journal.chunk import HEAD_BYTES, ChunkKind, Head, unpack_facts
from edge_agent.journal.front import Mark
from edge_agent.journal.layout import unpack_tags
from edge_agent.journal.report import Damage
from edge_agent.journal.segment import Segment, read_table
from edge_agent.journal.table import unpack_table
from edge_agent.journal.tally import Tally, tally, untold
from edge_agent.journal.walk import Piece, walk
from edge_agent.model import TagTable


@dataclass(slots=True)
class Tail:
    """The end of the log, as `find_tail` came upon it. Grows with each piece."""

    segment: Segment
    end: int
    sequence: int
    rows: int
    last_written: int
    lost: dict[str, int]
    lost_at: dict[str, dict[str, int]]
    groups: Tally
    stopped: int = 0
    """When the log was closed in order; 0 where it goes on after that, or was not."""
    torn_bytes: int = 0
    torn_rows: int = 0
    damaged: list[tuple[Damage, bytes]] = field(default_factory=list)
    """With the bytes, to be set aside."""
    lost_count: int = 0
    last_time: int = 0


def find_tail(segment: Segment, mark: Mark | None = None) -> Tail:
    """Checks every chunk of the last segment. `mark`: what is known to have been durable; what of it is not there is
    damage, whatever follows it a torn tail. Raises OSError.
    """
    header = segment.header
    tail = Tail(
        segment,
        segment.body,
        header.sequence,
        header.rows,
        header.last_written,
        dict(header.lost),
        {machine: dict(lost) for machine, lost in header.lost_at.items()},
        Tally.of(header.groups),
    )
    tags = segment_tags(segment.path)
    fd = disk.open_for_reading(segment.path)
    try:
        _find(tail, fd, tags)
        if mark is not None and mark.segment == segment.number and mark.after(tail.sequence, tail.rows):
            _miss_the_end(tail, mark, fd)
    finally:
        os.close(fd)
    unknown = tail.lost_count - sum(tail.lost.values())
    if unknown > 0:
        tail.lost["unknown"] = tail.lost.get("unknown", 0) + unknown
    return tail


def segment_tags(path: Path) -> TagTable | None:
    """The tag table of a segment, None where it can't be read."""
    try:
        packed = read_table(path)
        return unpack_table(packed) if packed is not None else None
    except (OSError, ValueError):
        return None


def _find(tail: Tail, fd: int, tags: TagTable | None) -> None:
    holes: list[Piece] = []
    read = partial(_read, fd)
    end = os.fstat(fd).st_size
    for piece in walk(read, tail.segment.number, tail.segment.body, end, tail.sequence, verify=True):
        if not piece.sound or piece.head is None:
            holes.append(piece)
            continue
        if holes:
            tail.damaged.append(_damage(tail, holes, piece.head, fd))
            holes = []
        _count(tail, piece, piece.head, fd, tags)
        _go_past(tail, piece, piece.head, fd)
    if holes:
        tail.torn_bytes = holes[-1].offset + holes[-1].size - tail.end
        tail.torn_rows = sum(hole.head.rows for hole in holes if hole.head is not None)


def _miss_the_end(tail: Tail, mark: Mark, fd: int) -> None:
    """Chunks at the end do not check, though they were durable once."""
    size = max(0, mark.end - tail.end)
    damage = Damage(tail.segment.number, tail.end, size, mark.rows - tail.rows, tail.last_time, mark.stopped)
    tail.damaged.append((damage, disk.read(fd, size, tail.end)))
    tail.torn_bytes = max(0, tail.torn_bytes - size)
    tail.torn_rows = 0 if not tail.torn_bytes else max(0, tail.torn_rows - damage.rows)
    tail.groups += untold(damage.rows)
    tail.sequence, tail.rows, tail.stopped = mark.sequence, mark.rows, mark.stopped


def _damage(tail: Tail, holes: list[Piece], after: Head, fd: int) -> tuple[Damage, bytes]:
    """Adjacent holes are one damage; how many rows it held say the numbers on both sides."""
    start, end = holes[0].offset, holes[-1].offset + holes[-1].size
    heads = [hole.head for hole in holes if hole.head is not None]
    first = heads[0].first if heads else tail.last_time
    last = heads[-1].last if heads else after.first
    damage = Damage(tail.segment.number, start, end - start, after.rows_before - tail.rows, first, last)
    return damage, disk.read(fd, end - start, start)


def _count(tail: Tail, piece: Piece, head: Head, fd: int, tags: TagTable | None) -> None:
    """Adds the piece's rows, by machine, and those that are missing before it, which nobody can tell apart."""
    missing = max(0, head.rows_before - tail.rows)
    if missing:
        tail.groups += untold(missing)
    if not head.rows:
        return
    if tags is None or head.kind != ChunkKind.FRAME:
        tail.groups += untold(head.rows)
        return
    payload = disk.read(fd, head.payload_bytes, piece.offset + HEAD_BYTES)
    tail.groups += tally(tags, unpack_tags(payload, head.rows))


def _go_past(tail: Tail, piece: Piece, head: Head, fd: int) -> None:
    tail.end = piece.offset + piece.size
    tail.sequence = head.sequence + 1
    tail.rows = head.rows_after
    tail.lost_count = max(tail.lost_count, head.lost)
    tail.stopped = 0
    if head.kind == ChunkKind.MARK:
        tail.stopped = int(_facts(piece, head, fd).get("stopped", 0))
        return
    tail.last_written = head.written
    if head.kind == ChunkKind.LOSS:
        facts = _facts(piece, head, fd)
        tail.lost, tail.lost_at = facts["lost"], facts["at"]
    elif head.rows:
        tail.last_time = head.last


def _facts(piece: Piece, head: Head, fd: int) -> dict[str, Any]:
    return unpack_facts(disk.read(fd, head.payload_bytes, piece.offset + HEAD_BYTES))


def _read(fd: int, at: int, size: int) -> bytes:
    return disk.read(fd, size, at)
