"""Summary: what a store holds, in figures, found without a lock and without changing anything."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_agent.journal import disk
from edge_agent.journal.balance import balance
from edge_agent.journal.chunk import ChunkKind
from edge_agent.journal.index import Index, read_index
from edge_agent.journal.ledger import Ledger
from edge_agent.journal.long import LongFile, long_path
from edge_agent.journal.slots import read_state
from edge_agent.journal.view import View
from edge_agent.journal.visitor import Visitor

Facts = dict[str, Any]
_FRAME_KINDS: Final = (ChunkKind.FRAME,)


def summary(path: Path) -> Facts:
    """Of the store in this directory; an object for JSON. Times are ns since 1970 UTC, None where there are none.

    Raises OSError where it can't be read.
    """
    visitor = Visitor(path)
    return {
        "path": str(path),
        "raw": _raw(visitor),
        "machines": {name or "?": rows for name, rows in _machines(visitor.view).items()},
        "lost": dict(visitor.view.lost),
        "cursors": [_cursor(file, visitor.view) for file in sorted((path / "cursors").glob("*.cursor"))],
        "set_aside": sorted(file.name for file in (path / "damaged").glob("*") if file.suffix != ".bytes"),
        "moved_aside": sorted(str(other) for other in path.parent.glob(f"{path.name}.broken-*")),
        "rollups": _long(long_path(path)),
    }


def _machines(view: View) -> dict[str, int]:
    """Rows accepted of each machine, those that retention took among them."""
    return view.groups.facts()


def _raw(visitor: Visitor) -> Facts:
    view = visitor.view
    heads = [index.heads for index in _indexes(visitor)]
    frames = [column[np.isin(column["kind"], _FRAME_KINDS)] for column in heads]
    frames = [column for column in frames if len(column)]
    kept = sum(int(column["rows"].sum()) for column in frames)
    packed = sum(int(column["payload_bytes"].sum()) + len(column) * column.itemsize for column in frames)
    return {
        "segments": len(view.segments),
        "bytes": sum(segment.size for segment in view.segments),
        "rows": view.rows,
        "rows_kept": kept,
        "rows_in_front": view.rows - view.settled_rows,
        "rows_dropped": view.oldest,
        "chunks": sum(map(len, heads)),
        "events": sum(int(column["events"].sum()) for column in heads),
        "bytes_per_value": round(packed / kept, 3) if kept else None,
        "first_ns": min((int(column["first"].min()) for column in frames), default=None),
        "last_ns": max((int(column["last"].max()) for column in frames), default=None),
        "last_written_ns": view.last_written or None,
    }


def _indexes(visitor: Visitor) -> Iterator[Index]:
    segments = visitor.view.segments
    for segment in segments:
        with contextlib.suppress(FileNotFoundError):
            fd = disk.open_for_reading(segment.path)
            try:
                yield read_index(fd, segment, growing=segment is segments[-1])
            finally:
                os.close(fd)


def _cursor(file: Path, view: View) -> Facts:
    state = read_state(file)
    facts: Facts = {"sink": file.stem, "legible": state is not None}
    if state is None:
        return facts
    ledger: Ledger = balance(file.stem, state, view)
    quarantine = file.with_suffix(".quarantine")
    return facts | {
        "collected": ledger.collected,
        "delivered": ledger.delivered,
        "waiting": ledger.waiting,
        "quarantined": ledger.quarantined,
        "dropped": dict(ledger.dropped),
        "balanced": ledger.balanced,
        "quarantine_bytes": quarantine.stat().st_size if quarantine.exists() else 0,
    }


def _long(path: Path) -> Facts:
    view = Visitor(path).view
    first: list[int] = []
    last: list[int] = []
    rows = events = missed = 0
    for segment in view.segments:
        with contextlib.suppress(FileNotFoundError), LongFile(segment) as file:
            for chunk in file.chunks():
                first.append(chunk.head.first)
                last.append(chunk.head.last)
                rows, events = rows + chunk.head.rows, events + chunk.head.events
                missed += int(chunk.contents.meta["missed"])
    return {
        "segments": len(view.segments),
        "bytes": sum(segment.size for segment in view.segments),
        "rows": rows,
        "events": events,
        "missed_raw_rows": missed,
        "first_ns": min(first, default=None),
        "last_ns": max(last, default=None),
    }
