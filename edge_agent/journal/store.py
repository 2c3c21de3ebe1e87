"""Store: the directory. Finding what is there, setting aside what can't be read, so that opening always succeeds."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from edge_agent.journal import disk
from edge_agent.journal.place import CursorState
from edge_agent.journal.report import Damage
from edge_agent.journal.segment import SUFFIX, UNFINISHED, Segment, read_segment, segment_path
from edge_agent.journal.slots import read_state

_MAX_DAMAGED: Final = 100
"""Stretches of damage kept as files; more are only told of."""
_MAX_NAMES: Final = 10_000


class Store:
    """Paths below one directory, and the moves between them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cursors = path / "cursors"
        self.damaged = path / "damaged"
        self.lock = path / "lock"
        self.front = path / "front"

    def prepare(self) -> str:
        """Makes the directories; where the store was moved to if it was none, else empty. Raises OSError."""
        moved = _ensure_directory(self.path)
        _ensure_directory(self.cursors)
        _ensure_directory(self.damaged)
        return moved

    def move_aside(self) -> str:
        """Moves the whole store away, for good; where to. Raises OSError."""
        target = _free_name(self.path)
        disk.rename(self.path, target)
        return str(target)

    def segments(self, aside: list[str]) -> list[Segment]:
        """All segments, oldest first. What only looks like one is set aside, and named in `aside`. Raises OSError."""
        found: list[Segment] = []
        for path in sorted(self.path.iterdir()):
            if path.suffix == UNFINISHED:
                with contextlib.suppress(OSError):
                    disk.remove(path)
            elif path.suffix == SUFFIX:
                segment = _segment(path)
                if segment is not None and _continues(found, segment):
                    found.append(segment)
                else:
                    aside.append(self._set_aside(path))
        return found

    def cursor_states(self, aside: list[str]) -> Iterator[CursorState]:
        """What every cursor's file says, also of sinks that are no longer configured."""
        for path in sorted(self.cursors.glob("*.cursor")) if self.cursors.is_dir() else ():
            if not path.is_file():
                aside.append(self._set_aside(path))
                continue
            with contextlib.suppress(OSError):
                state = read_state(path)
                if state is not None:
                    yield state

    def _set_aside(self, path: Path) -> str:
        """Moves a file to `damaged/`; where it can't be moved it stays and is passed over."""
        with contextlib.suppress(OSError):
            disk.make_directory(self.damaged)
            disk.rename(path, _free_name(self.damaged / path.name))
        return path.name

    def was_set_aside(self, number: int) -> bool:
        """This segment is missing because it could not be read, not because retention took it."""
        name = segment_path(self.path, number).name
        return (self.path / name).exists() or any(self.damaged.glob(f"{name}*"))

    def knows(self, damage: Damage) -> bool:
        """This damage has been set aside before."""
        return self._damage_path(damage).exists()

    def keep_damage(self, damage: Damage, data: bytes) -> None:
        """Copies damaged bytes and what is known of them, where the disk lets it and there are not too many yet."""
        path = self._damage_path(damage)
        with contextlib.suppress(OSError):
            if sum(1 for _ in self.damaged.glob("*.json")) < _MAX_DAMAGED:
                disk.put(path.with_suffix(".bytes"), data)
                disk.put(path, json.dumps(asdict(damage)).encode())

    def _damage_path(self, damage: Damage) -> Path:
        return self.damaged / f"{damage.segment:012d}-{damage.offset}.json"


def _segment(path: Path) -> Segment | None:
    """The segment in this file, None where it is none or says another number than its name."""
    try:
        segment = read_segment(path) if path.is_file() else None
    except OSError:
        return None
    return segment if segment is not None and path.name == segment_path(path.parent, segment.number).name else None


def _continues(before: list[Segment], segment: Segment) -> bool:
    """Numbers of chunks and rows never go back."""
    if not before:
        return True
    last, header = before[-1].header, segment.header
    return header.sequence >= last.sequence and header.rows >= last.rows


def _ensure_directory(path: Path) -> str:
    """Makes a directory that can be listed; where to what was in its place has gone, else empty."""
    moved = ""
    if path.is_symlink() and not path.exists():
        disk.make_directory(Path(os.path.realpath(path)))
    elif path.exists() and not path.is_dir():
        target = _free_name(path)
        disk.rename(path, target)
        moved = str(target)
    if not path.is_dir():
        disk.make_directory(path)
        with contextlib.suppress(OSError):
            disk.sync_directory(path.parent)
    return moved


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.broken-{number}") for number in range(1, _MAX_NAMES))
    free = next((name for name in names if not name.exists()), None)
    if free is None:
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    return free
