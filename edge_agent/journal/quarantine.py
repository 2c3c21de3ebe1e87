"""Rows that a destination refused, one JSON object a line, so that a person can see them and send them again.

The file's length belongs to the cursor's state: what is after it was written for an `advance` that never was.
"""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from edge_agent.api import Batch, Refusal
from edge_agent.journal import disk
from edge_agent.model import Frame, Kind

MAX_BYTES: Final = 64 << 20
"""A destination that refuses everything must not fill the disk: from here on rows are only counted."""


class Quarantine:
    """One cursor's file. Used by one thread."""

    def __init__(self, path: Path) -> None:
        """Opens nothing yet: most sinks never refuse a row."""
        self._path = path

    def cut(self, size: int) -> int:
        """Removes what is after `size`, and says how long the file is then. Raises OSError."""
        if not self._path.exists():
            return 0
        fd = disk.open_for_writing(self._path)
        try:
            if os.fstat(fd).st_size > size:
                disk.truncate(fd, size)
            return os.fstat(fd).st_size
        finally:
            os.close(fd)

    def length(self) -> int:
        """Bytes in the file."""
        return self._path.stat().st_size if self._path.exists() else 0

    def put(self, at: int, lines: bytes) -> int:
        """Writes from offset `at` on, over what may be there; the new length, durable. Raises OSError."""
        fd = disk.open_for_writing(self._path)
        try:
            disk.write(fd, lines, at)
            disk.truncate(fd, at + len(lines))
            disk.sync(fd)
        finally:
            os.close(fd)
        if at == 0:
            disk.sync_directory(self._path.parent)
        return at + len(lines)


def lines_of(batch: Batch, refused: Iterable[Refusal]) -> bytes:
    """The refused rows as lines: path, time and receive time (ns UTC), kind, value, status, flags, reason."""
    lines = [
        json.dumps(_fields(batch, row, refusal.reason), ensure_ascii=True)
        for refusal in refused
        for row in refusal.rows
    ]
    return "".join(line + "\n" for line in lines).encode()


def _fields(batch: Batch, row: int, reason: str) -> dict[str, Any]:
    frame = batch.frame
    return {
        "path": _path(batch, int(frame.tag[row])),
        "time": int(frame.time[row]),
        "received": int(frame.received[row]),
        "kind": Kind(int(frame.kind[row])).name.lower(),
        "value": _value(frame, row),
        "status": int(frame.status[row]),
        "flags": int(frame.flags[row]),
        "reason": reason,
    }


def _path(batch: Batch, number: int) -> str:
    return batch.tags[number].path if 0 <= number < len(batch.tags) else ""


def _value(frame: Frame, row: int) -> float | int | bool | str | None:
    """JSON knows no NaN and no infinity: they are texts there."""
    value = frame.value(row)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
