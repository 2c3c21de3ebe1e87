"""Which stretch of the log holds the rows of a span of time: for sending them again."""

import os
from dataclasses import dataclass
from functools import partial

import numpy as np

from edge_agent.journal import disk
from edge_agent.journal.chunk import Head
from edge_agent.journal.place import CursorState, Place
from edge_agent.journal.reader import Reader, Source
from edge_agent.journal.segment import Segment
from edge_agent.journal.view import View
from edge_agent.journal.walk import walk


def span_of_times(source: Source, view: View, first: int, last: int) -> tuple[Place, Place] | None:
    """From the first row with a value time between `first` and `last` (ns since 1970 UTC) to after the last one.

    Looks at every chunk's head. None where there is none. Raises OSError.
    """
    heads = [head for head in _all_heads(view) if head.rows and head.first <= last and head.last >= first]
    reader = Reader(source)
    try:
        begin = next((row for head in heads if (row := _rows(reader, view, head, first, last)) is not None), None)
        end = next((row for head in heads[::-1] if (row := _rows(reader, view, head, first, last)) is not None), None)
    finally:
        reader.close()
    if begin is None or end is None:
        return None
    return Place(begin.sequence, begin.first), Place(end.sequence + 1, end.after)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Of one chunk: the numbers of its first row of a span of time, and of the one after its last."""

    sequence: int
    first: int
    after: int


def _rows(reader: Reader, view: View, head: Head, first: int, last: int) -> _Rows | None:
    chunk = reader.next(view, head.sequence)
    if chunk is None or chunk.head.sequence != head.sequence:
        return None
    time = chunk.frame.time
    which = np.flatnonzero((time >= first) & (time <= last))
    if not len(which):
        return None
    return _Rows(head.sequence, head.rows_before + int(which[0]), head.rows_before + int(which[-1]) + 1)


def _all_heads(view: View) -> list[Head]:
    number = len(view.segments)
    ends = [None] * (number - 1) + [view.end]
    heads = [head for segment, end in zip(view.segments, ends, strict=False) for head in _heads(segment, end)]
    return heads + [chunk.head for chunk in view.front]


def _heads(segment: Segment, end: int | None) -> list[Head]:
    try:
        fd = disk.open_for_reading(segment.path)
    except FileNotFoundError:
        return []
    try:
        stop = os.fstat(fd).st_size if end is None else end
        read = partial(_read, fd)
        pieces = walk(read, segment.number, segment.body, stop, segment.header.sequence, verify=False)
        return [piece.head for piece in pieces if piece.head is not None]
    finally:
        os.close(fd)


def _read(fd: int, at: int, size: int) -> bytes:
    return disk.read(fd, size, at)


def not_owed(span: tuple[Place, Place], state: CursorState) -> list[tuple[Place, Place]]:
    """The parts of `span` that were answered for."""
    parts = [span]
    for owed in [*((each.first, each.end) for each in state.owed), (state.live, None)]:
        parts = [left for part in parts for left in _without(part, *owed)]
    return parts


def _without(part: tuple[Place, Place], first: Place, end: Place | None) -> list[tuple[Place, Place]]:
    """What is left of `part` without the rows from `first` up to `end` (None: all that follow)."""
    start, stop = part
    left = []
    if start.row < min(stop.row, first.row):
        left.append((start, stop if stop.row <= first.row else first))
    if end is not None and max(start.row, end.row) < stop.row:
        left.append((start if start.row >= end.row else end, stop))
    return left
