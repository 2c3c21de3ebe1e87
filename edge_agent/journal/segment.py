"""Segment: one file of the log. Its header, making one, and finding the header again."""

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edge_agent.journal import disk
from edge_agent.journal.chunk import crc

MAGIC: Final = b"EAJRNL\r\n"
VERSION: Final = 1
SUFFIX: Final = ".segment"
UNFINISHED: Final = ".new"
_HEADER: Final = struct.Struct("<8sHHIIII")
_SECOND_COPY_WITHIN: Final = 1 << 26


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment's header says. Totals are those before its first chunk; times are ns since 1970 UTC."""

    number: int
    sequence: int
    """Sequence number of its first chunk."""
    rows: int
    """Rows accepted before it."""
    oldest: int
    """First row still kept when it was made: what is before it went by retention."""
    created: int
    last_written: int
    """When something was last accepted before it; 0 for never."""
    table: str
    """Digest of the tag table."""
    lost: Mapping[str, int]
    """Lost at the door before it, by reason."""
    lost_at: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of these, by machine and reason, those whose machine is known."""
    groups: Mapping[str, int] = field(default_factory=dict)
    """Rows accepted before it, by machine."""
    gone: Sequence[tuple[int, str]] = ()
    """Why rows before `oldest` went: up to this row, for this reason; in order."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the log."""

    header: Header
    path: Path
    body: int
    """Offset of the first chunk."""

    @property
    def number(self) -> int:
        """Its place in the log; the file's name."""
        return self.header.number

    @property
    def size(self) -> int:
        """Bytes on disk now, 0 if it is gone."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0


def segment_path(directory: Path, number: int) -> Path:
    """Where segment `number` is."""
    return directory / f"{number:012d}{SUFFIX}"


def create_segment(directory: Path, header: Header, table: bytes, size: int) -> tuple[Segment, int]:
    """Makes a segment whose header is durable, and its descriptor. Raises OSError; then no segment has been made."""
    path = segment_path(directory, header.number)
    unfinished = path.with_suffix(UNFINISHED)
    packed = _pack_header(header, table)
    fd = disk.create(unfinished)
    try:
        disk.reserve(fd, max(size, len(packed)))
        disk.write(fd, packed, 0)
        disk.sync(fd)
        disk.rename(unfinished, path)
        disk.sync_directory(directory)
    except OSError:
        os.close(fd)
        disk.remove(unfinished)
        disk.remove(path)
        raise
    return Segment(header, path, len(packed)), fd


def _pack_header(header: Header, table: bytes) -> bytes:
    meta = json.dumps(asdict(header), separators=(",", ":")).encode()
    table_crc = crc(table, 0)
    checked = _HEADER.pack(MAGIC, VERSION, 0, len(meta), len(table), table_crc, 0) + meta
    return (_HEADER.pack(MAGIC, VERSION, 0, len(meta), len(table), table_crc, crc(checked, 0)) + meta + table) * 2


def read_segment(path: Path) -> Segment | None:
    """The segment in this file; None where neither copy of the header checks, or its format is newer than this."""
    fd = disk.open_for_reading(path)
    try:
        copies = _copies(fd)
        if not copies:
            return None
        fields, _, _, size = copies[0]
        return Segment(Header(**fields), path, 2 * size)
    except TypeError:
        return None
    finally:
        os.close(fd)


def read_table(path: Path) -> bytes | None:
    """The packed tag table in this segment's header; None where neither copy checks."""
    fd = disk.open_for_reading(path)
    try:
        for _, at, (length, table_crc), _ in _copies(fd, both=True):
            table = disk.read(fd, length, at)
            if len(table) == length and crc(table, 0) == table_crc:
                return table
        return None
    finally:
        os.close(fd)


_Copy = tuple[dict[str, Any], int, tuple[int, int], int]
"""Meta, offset of the table, (length, crc) of the table, size of a copy."""


def _copies(fd: int, *, both: bool = False) -> list[_Copy]:
    first = _copy_at(fd, 0)
    if first is not None and not both:
        return [first]
    second = _copy_at(fd, first[3]) if first is not None else _search_copy(fd)
    return [copy for copy in (first, second) if copy is not None]


def _search_copy(fd: int) -> _Copy | None:
    """The second copy, where the first can't say how long it is."""
    data = disk.read(fd, min(_SECOND_COPY_WITHIN, os.fstat(fd).st_size), 0)
    at = data.find(MAGIC, 1)
    while at >= 0:
        copy = _copy_at(fd, at)
        if copy is not None and copy[3] == at:
            return copy
        at = data.find(MAGIC, at + 1)
    return None


def _copy_at(fd: int, at: int) -> _Copy | None:
    head = disk.read(fd, _HEADER.size, at)
    if len(head) < _HEADER.size or head[:8] != MAGIC:
        return None
    _, version, reserved, meta_length, table_length, table_crc, check = _HEADER.unpack(head)
    if version != VERSION or meta_length > _SECOND_COPY_WITHIN:
        return None
    meta = disk.read(fd, meta_length, at + _HEADER.size)
    checked = _HEADER.pack(MAGIC, version, reserved, meta_length, table_length, table_crc, 0) + meta
    if crc(checked, 0) != check:
        return None
    size = _HEADER.size + meta_length + table_length
    return json.loads(meta), at + _HEADER.size + meta_length, (table_length, table_crc), size
