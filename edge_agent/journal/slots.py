"""Where a cursor is and what it has counted, in one small file of three slots.

A slot is: magic u32, crc u32, length u32, generation u64, body; the crc covers what follows it. The sound slot of the
highest generation counts. A write never takes the slot last written, nor the one known durable: so a write that is cut
short by a kill leaves the state before it, and a power cut that tears every page still in memory leaves the last one
that was synced. A state that no longer fits (many machines, many ranges) goes to a new file with larger slots, which
takes the old one's place once it is durable.

The body is: length of the JSON u32, length of the names u32, JSON, zlib(names of machines), then the tallies that the
JSON speaks of, each as one i64 a name.
"""

import contextlib
import json
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_agent.journal import disk
from edge_agent.journal.chunk import crc
from edge_agent.journal.place import CursorState, Place, Range, Rebuff
from edge_agent.journal.tally import NOTHING, Tally, joint

SIZES: Final = (1 << 14, 1 << 17, 1 << 20, 1 << 23)
"""Bytes of a slot: the least that a state fits into."""
SLOT_BYTES: Final = SIZES[0]
_SLOTS: Final = 3
_MAGIC: Final = b"EACU"
_HEAD: Final = struct.Struct("<4sIIQ")
_CHECKED: Final = 8
_BODY: Final = struct.Struct("<II")
_NEW: Final = ".cursor-new"


class SlotFile:
    """The file. `store` is called by one thread; `sync` may be called by another."""

    def __init__(self, path: Path) -> None:
        """Opens or creates it. Raises OSError."""
        self.path = path
        self._fd = disk.open_for_writing(path)
        self._lock = threading.Lock()
        self._size = SLOT_BYTES
        self._durable = self._last = 0
        self._marks = [0] * _SLOTS
        """The number of the write that last touched each slot."""
        self._writes = self._synced = self._failed = 0
        self.is_new = os.fstat(self._fd).st_size == 0
        self.state = self._load()

    def _load(self) -> CursorState | None:
        found = max(_states(self._fd), key=lambda entry: entry[0].generation, default=None)
        if found is None:
            return None
        state, self._size, slot = found
        self._durable = self._last = slot
        disk.sync(self._fd)
        return state

    def store(self, state: CursorState) -> None:
        """Accepted when it returns. Raises OSError; then the state before still counts."""
        data = pack_slot(state)
        if len(data) > self._size:
            self._grow(data)
            self.state = state
            return
        with self._lock:
            slot = next(s for s in range(_SLOTS) if s not in (self._durable, self._last))
            self._writes += 1
            self._marks[slot] = self._writes
        disk.write(self._fd, data, slot * self._size)
        with self._lock:
            self._last = slot
            self.state = state

    def _grow(self, data: bytes) -> None:
        """A new file with larger slots, durable before it takes the place of this one."""
        size = next(size for size in SIZES if len(data) <= size)
        unfinished = self.path.with_suffix(_NEW)
        fd = disk.create(unfinished)
        try:
            disk.write(fd, data, 0)
            disk.sync(fd)
            disk.rename(unfinished, self.path)
            disk.sync_directory(self.path.parent)
        except OSError:
            os.close(fd)
            disk.remove(unfinished)
            raise
        with self._lock:
            old, self._fd, self._size = self._fd, fd, size
            self._durable = self._last = 0
            self._writes += 1
            self._marks = [self._writes, 0, 0]
            self._synced = self._writes
        os.close(old)

    def sync(self) -> None:
        """What was stored is durable when it returns. Raises OSError; then that state is never called durable, only one
        that is stored later: after a sync that failed, Linux does not write it again.
        """
        with self._lock:
            slot, mark, fd = self._last, self._marks[self._last], os.dup(self._fd)
        try:
            if mark in (self._synced, self._failed):
                return
            disk.sync(fd)
        except OSError:
            self._failed = mark
            raise
        finally:
            os.close(fd)
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
        return max((state for state, *_ in _states(fd)), key=lambda state: state.generation, default=None)
    finally:
        os.close(fd)


def _states(fd: int) -> Iterator[tuple[CursorState, int, int]]:
    """All that are sound, each with the size and the number of its slot."""
    data = disk.read(fd, min(os.fstat(fd).st_size, _SLOTS * SIZES[-1]), 0)
    for size in SIZES:
        for slot in range(_SLOTS):
            state = _read_slot(data, size, slot * size)
            if state is not None:
                yield state, size, slot


def pack_slot(state: CursorState) -> bytes:
    """The bytes of a slot."""
    body = _pack(state)
    if len(body) > SIZES[-1] - _HEAD.size:
        raise ValueError("a cursor has too many machines")
    checked = _HEAD.pack(_MAGIC, 0, len(body), state.generation)[_CHECKED:] + body
    return _MAGIC + crc(checked, 0).to_bytes(4, "little") + checked


def _read_slot(data: bytes, size: int, at: int) -> CursorState | None:
    head = data[at : at + _HEAD.size]
    if len(head) < _HEAD.size:
        return None
    magic, check, length, generation = _HEAD.unpack(head)
    if magic != _MAGIC or length > size - _HEAD.size:
        return None
    body = data[at + _HEAD.size :][:length]
    if len(body) != length or crc(head[_CHECKED:] + body, 0) != check:
        return None
    with contextlib.suppress(ValueError, TypeError, LookupError, struct.error, zlib.error):
        return _unpack(body, generation)
    return None


def _pack(state: CursorState) -> bytes:
    tallies = [state.base.tally, state.live.tally, state.delivered, state.quarantined, *state.dropped.values()]
    tallies += [place.tally for each in state.ranges for place in (each.first, each.end)]
    names = joint(*tallies)
    facts = {
        "live": _place_facts(state.live),
        "ranges": [_range_facts(each) for each in state.ranges],
        "begins": state.begins,
        "base": _place_facts(state.base),
        "base_lost": dict(state.base_lost),
        "base_lost_at": dict(state.base_lost_at),
        "dropped": list(state.dropped),
        "again": dict(state.again),
        "closed": state.closed,
        "refused": state.refused and [state.refused.since, state.refused.ko, state.refused.en],
        "quarantine_bytes": state.quarantine_bytes,
        "tallies": [bool(each.counts.any()) for each in tallies],
    }
    text, packed = json.dumps(facts, separators=(",", ":")).encode(), _pack_names(names)
    counts = [each.under(names).astype("<i8", copy=False).tobytes() for each in tallies if each.counts.any()]
    return b"".join((_BODY.pack(len(text), len(packed)), text, packed, *counts))


def _unpack(body: bytes, generation: int) -> CursorState:
    length, packed = _BODY.unpack_from(body)
    at = _BODY.size + length + packed
    facts = json.loads(body[_BODY.size : _BODY.size + length])
    names = tuple(json.loads(zlib.decompress(body[_BODY.size + length : at])))
    tallies = _tallies(names, body[at:], facts["tallies"])
    base, live, delivered, quarantined = (next(tallies) for _ in range(4))
    return CursorState(
        _place(facts["live"], live),
        begins=facts["begins"],
        base=_place(facts["base"], base),
        base_lost=facts["base_lost"],
        base_lost_at=facts["base_lost_at"],
        delivered=delivered,
        quarantined=quarantined,
        dropped={reason: next(tallies) for reason in facts["dropped"]},
        ranges=tuple(_range(fields, next(tallies), next(tallies)) for fields in facts["ranges"]),
        again=facts["again"],
        closed=tuple(facts["closed"]),
        refused=Rebuff(*facts["refused"]) if facts["refused"] else None,
        quarantine_bytes=facts["quarantine_bytes"],
        generation=generation,
    )


def _tallies(names: tuple[str, ...], data: bytes, present: Sequence[bool]) -> Iterator[Tally]:
    """In the order in which they were packed; those that count nothing take no bytes."""
    counts = iter(np.frombuffer(data, "<i8").astype(np.int64).reshape(-1, len(names)))
    for is_there in present:
        yield Tally(names, next(counts)) if is_there else NOTHING


@lru_cache(maxsize=16)
def _pack_names(names: tuple[str, ...]) -> bytes:
    return zlib.compress(json.dumps(names).encode())


def _place_facts(place: Place) -> list[Any]:
    return [place.sequence, place.row, dict(place.untold)]


def _place(facts: list[Any], tally: Tally) -> Place:
    sequence, row, untold = facts
    return Place(sequence, row, tally, untold)


def _range_facts(each: Range) -> list[Any]:
    ends = [_place_facts(each.first), _place_facts(each.end)]
    return [*ends, each.rows, each.since, each.until, each.begins, each.again]


def _range(facts: list[Any], first: Tally, end: Tally) -> Range:
    at, stop, *rest = facts
    return Range(_place(at, first), _place(stop, end), *rest)
