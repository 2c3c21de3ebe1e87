"""Unsynced: what a sync that failed left behind, until it is durable after all.

After an fsync that failed, Linux holds the pages for clean, and the next fsync succeeds without having written them
(Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020). So the bytes are kept here, and written
again, to the same place, before anything that came with or after them is called durable.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from edge_agent.journal import disk


@dataclass(frozen=True, slots=True)
class _Stretch:
    path: Path
    at: int
    data: bytes


class Unsynced:
    """For the thread that holds the writer. In memory: at most what was written between two syncs, each time one fails
    and a segment could be begun all the same.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self._stretches: list[_Stretch] = []

    def __bool__(self) -> bool:
        return bool(self._stretches)

    def keep(self, path: Path, at: int, end: int) -> None:
        """These bytes of a segment may not be on disk. Where they can't even be read, nothing is kept."""
        if at < end:
            with contextlib.suppress(OSError):
                self._stretches.append(_Stretch(path, at, _read(path, at, end)))

    def write_again(self) -> None:
        """All of it is durable when it returns. Raises OSError. What retention has removed since is let go."""
        while self._stretches:
            stretch = self._stretches[0]
            if stretch.path.exists():
                _write(stretch)
            del self._stretches[0]


def _read(path: Path, at: int, end: int) -> bytes:
    fd = disk.open_for_reading(path)
    try:
        return disk.read(fd, end - at, at)
    finally:
        os.close(fd)


def _write(stretch: _Stretch) -> None:
    fd = disk.open_for_writing(stretch.path)
    try:
        disk.write(fd, stretch.data, stretch.at)
        disk.sync(fd)
    finally:
        os.close(fd)
