"""Which stretch of the log holds the rows of a span of time: for sending them again."""

import os
from functools import partial

from edge_agent.journal import disk
from edge_agent.journal.chunk import Head
from edge_agent.journal.place import CursorState, Place
from edge_agent.journal.segment import Segment
from edge_agent.journal.view import View
from edge_agent.journal.walk import walk


def span_of_times(view: View, first: int, last: int) -> tuple[Place, Place] | None:
    """From the first chunk with a value time between `first` and `last` (ns since 1970 UTC) to after the last one.

    Looks at every chunk's head. None where there is none. Raises OSError.
    """
    heads = [
        head
        for number, segment in enumerate(view.segments)
        for head in _heads(segment, view.end if number == len(view.segments) - 1 else None)
        if (head.rows or head.events) and (head.first <= last and head.last >= first)
    ]
    heads = [head for head in heads if head.rows]
    if not heads:
        return None
    return Place(heads[0].sequence, heads[0].rows_before), Place(heads[-1].sequence + 1, heads[-1].rows_after)


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
