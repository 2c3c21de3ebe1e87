"""Where a cursor is and what it has counted, in one small file of three slots.

A slot is: magic u32, crc u32, length u32, generation u64, JSON; the crc covers what follows it. The sound slot of the
highest generation counts. A write never takes the slot last written, nor the one known durable: so a write that is cut
short by a kill leaves the state before it, and a power cut that tears every page still in memory leaves the last one
that was synced.
"""

import contextlib
import json
import os
import struct
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from edge_agent.journal import disk
from edge_agent.journal.chunk import crc

SLOT_BYTES: Final = 1 << 14
_SLOTS: Final = 3
_MAGIC: Final = b"EACU"
_HEAD: Final = struct.Struct("<4sIIQ")
_CHECKED: Final = 8


@dataclass(frozen=True, slots=True)
class CursorState:
    """Position and counters. They are written together or not at all."""

    sequence: int = 0
    """The chunk to read next."""
    row: int = 0
    """Number of the row to read next."""
    base_row: int = 0
    """Where this cursor began: rows before are not its own."""
    base_lost: Mapping[str, int] = field(default_factory=dict)
    """What had been lost at the door before it began, by reason."""
    delivered: int = 0
    quarantined: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By the sink or by the journal, of rows passed; what is lost at the door the journal counts."""
    quarantine_bytes: int = 0
    """Length of the quarantine file that belongs to this state."""
    generation: int = 0


class SlotFile:
    """The file. `store` is called by one thread; `sync` may be called by another."""

    def __init__(self, path: Path) -> None:
        """Opens or creates it. Raises OSError."""
        self.path = path
        self._fd = disk.open_for_writing(path)
        self._lock = threading.Lock()
        self._durable = self._last = 0
        self._marks = [0] * _SLOTS
        """The number of the write that last touched each slot."""
        self._writes = self._synced = 0
        self.is_new = os.fstat(self._fd).st_size == 0
        self.state = self._load()

    def _load(self) -> CursorState | None:
        found = [(state, slot) for slot in range(_SLOTS) if (state := _read_slot(self._fd, slot)) is not None]
        if not found:
            return None
        best, slot = max(found, key=lambda entry: entry[0].generation)
        self._durable = self._last = slot
        disk.sync(self._fd)
        return best

    def store(self, state: CursorState) -> None:
        """Accepted when it returns. Raises OSError; then the state before still counts."""
        data = _pack_slot(state)
        with self._lock:
            slot = next(s for s in range(_SLOTS) if s not in (self._durable, self._last))
            self._writes += 1
            self._marks[slot] = self._writes
        disk.write(self._fd, data, slot * SLOT_BYTES)
        with self._lock:
            self._last = slot
            self.state = state

    def sync(self) -> None:
        """What was stored is durable when it returns. Raises OSError."""
        with self._lock:
            slot, mark = self._last, self._marks[self._last]
        if mark == self._synced:
            return
        disk.sync(self._fd)
        if self._synced == 0 and self.is_new:
            disk.sync_directory(self.path.parent)
        with self._lock:
            self._synced = mark
            if self._marks[slot] == mark:
                self._durable = slot

    def close(self) -> None:
        """Once."""
        os.close(self._fd)


def read_state(path: Path) -> CursorState | None:
    """The state in a cursor's file, None where there is no sound one. Raises OSError."""
    fd = disk.open_for_reading(path)
    try:
        states = [state for slot in range(_SLOTS) if (state := _read_slot(fd, slot)) is not None]
        return max(states, key=lambda state: state.generation, default=None)
    finally:
        os.close(fd)


def _pack_slot(state: CursorState) -> bytes:
    body = json.dumps(asdict(state), separators=(",", ":")).encode()
    if len(body) > SLOT_BYTES - _HEAD.size:
        raise ValueError("a cursor has too many reasons")
    checked = _HEAD.pack(_MAGIC, 0, len(body), state.generation)[_CHECKED:] + body
    return _MAGIC + crc(checked, 0).to_bytes(4, "little") + checked


def _read_slot(fd: int, slot: int) -> CursorState | None:
    data = disk.read(fd, SLOT_BYTES, slot * SLOT_BYTES)
    if len(data) < _HEAD.size:
        return None
    magic, check, length, _ = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or len(body) != length or crc(data[_CHECKED : _HEAD.size + length], 0) != check:
        return None
    with contextlib.suppress(ValueError, TypeError):
        return CursorState(**json.loads(body))
    return None
