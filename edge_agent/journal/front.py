"""Front: where rows of small appends stand, accepted, until there are enough of them for a chunk of the log.

One small file beside the segments, written whole when it is made, so that nothing in it is ever allocated again:

    mark     magic u32, crc u32, segment u64, end u64, sequence u64, rows u64, stopped i64
    entries  from byte 512 on: magic u32, crc u32, length u32, rows u32, sequence u64, rows before u64, written i64,
             payload

An entry is one append: it gets its sequence number and its row numbers as a chunk does. When the rows make a chunk, or
must become durable, all entries together go to the segment as one chunk that has the last one's sequence number, and
the next entry is written over the first. Nothing says so in the file: what is still there has row numbers that the log
has passed. After a kill the entries that follow the log's last row without a gap are taken over. They are never synced;
after a power cut those that still check and still follow are taken over too, the others were never durable. Each
opening clears the file, durably, so that no entry of an earlier run can ever seem to follow. The checksum of an entry
starts from the digest of its tag table.

The mark says what the log held when it was last synced: `end` bytes of `segment`, chunks before `sequence`, `rows`
rows; and when the log was closed in order, else 0. So damage at the very end is not taken for a write cut short.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.journal import disk
from edge_agent.journal.chunk import Chunk, ChunkKind, Head, crc
from edge_agent.journal.layout import unpack_frame
from edge_agent.journal.payload import pack_plain
from edge_agent.journal.tally import tally
from edge_agent.model import Frame, TagTable

ROOM: Final = 1 << 17
_FIRST: Final = 512
_MARK: Final = struct.Struct("<4sIQQQQq")
_MARK_MAGIC: Final = b"EAFM"
_ENTRY: Final = struct.Struct("<4sIIIQQq")
_ENTRY_MAGIC: Final = b"EAFE"
_CHECKED: Final = 8


@dataclass(frozen=True, slots=True)
class Mark:
    """What was durable. `end` is an offset in the segment of this number."""

    segment: int
    end: int
    sequence: int
    rows: int
    stopped: int = 0
    """When the log was closed in order, ns since 1970 UTC; 0 where it was not."""

    def after(self, sequence: int, rows: int) -> bool:
        """It knows of more than a log that ends there."""
        return self.sequence > sequence and self.rows >= rows


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """One append that is not in the log yet."""

    sequence: int
    rows_before: int
    written: int
    frame: Frame


class Front:
    """The file, for the thread that writes."""

    def __init__(self, path: Path) -> None:
        """Opens or makes it, and clears it durably. Raises OSError."""
        self._at = _FIRST
        self._fd = disk.open_for_writing(path)
        is_new = os.fstat(self._fd).st_size < ROOM
        try:
            disk.write(self._fd, bytes(ROOM if is_new else ROOM - _FIRST), 0 if is_new else _FIRST)
            disk.sync(self._fd)
        except OSError:
            if is_new:
                with contextlib.suppress(OSError):
                    disk.truncate(self._fd, 0)
            os.close(self._fd)
            raise

    def put(self, gathered: Gathered, table: str) -> bool:
        """Accepted when it returns; False where there is no room left for it. Raises OSError."""
        payload = pack_plain(gathered.frame)
        if self._at + _ENTRY.size + len(payload) > ROOM:
            return False
        rows = len(gathered.frame)
        entry = _ENTRY.pack(
            _ENTRY_MAGIC, 0, len(payload), rows, gathered.sequence, gathered.rows_before, gathered.written
        )
        checked = entry[_CHECKED:] + payload
        disk.write(self._fd, entry[:4] + crc(checked, _salt(table)).to_bytes(4, "little") + checked, self._at)
        self._at += _ENTRY.size + len(payload)
        return True

    def restart(self) -> None:
        """What was put is in the log now."""
        self._at = _FIRST

    def know(self, mark: Mark) -> None:
        """Survives a kill when it returns. Raises OSError."""
        body = _MARK.pack(_MARK_MAGIC, 0, mark.segment, mark.end, mark.sequence, mark.rows, mark.stopped)[_CHECKED:]
        disk.write(self._fd, _MARK_MAGIC + crc(body, 0).to_bytes(4, "little") + body, 0)

    def sync(self) -> None:
        """The mark is durable. Raises OSError."""
        disk.sync(self._fd)

    def close(self) -> None:
        """Once."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


def read_front(path: Path) -> bytes:
    """The file's bytes, none where there is no such file or it can't be read."""
    try:
        fd = disk.open_for_reading(path)
    except OSError:
        return b""
    try:
        return disk.read(fd, ROOM, 0)
    except OSError:
        return b""
    finally:
        os.close(fd)


def mark_of(data: bytes) -> Mark | None:
    """The mark, None where there is none that checks."""
    if len(data) < _MARK.size or data[:4] != _MARK_MAGIC:
        return None
    _, check, *fields = _MARK.unpack_from(data)
    return Mark(*fields) if crc(data[_CHECKED : _MARK.size], 0) == check else None


def following(data: bytes, table: str, sequence: int, rows: int) -> Iterator[Gathered]:
    """The entries that go on where the log ends: its next sequence number and its next row."""
    at = _FIRST
    while at + _ENTRY.size <= len(data):
        magic, check, length, count, number, before, written = _ENTRY.unpack_from(data, at)
        end = at + _ENTRY.size + length
        if magic != _ENTRY_MAGIC or before != rows or number < sequence or end > len(data):
            return
        if crc(data[at + _CHECKED : end], _salt(table)) != check:
            return
        try:
            frame = unpack_frame(data[at + _ENTRY.size : end], count)
        except ValueError:
            return
        yield Gathered(number, before, written, frame)
        at, sequence, rows = end, number + 1, before + count


def gathered_chunk(gathered: Gathered, tags: TagTable, lost: int) -> Chunk:
    """What readers see of rows that stand in the front. `lost`: at the door so far."""
    times = gathered.frame.time
    head = Head(
        ChunkKind.FRAME,
        gathered.sequence,
        len(times),
        0,
        int(times.min()),
        int(times.max()),
        gathered.rows_before,
        lost,
        gathered.written,
        0,
    )
    return Chunk(head, tags, gathered.frame, tally=tally(tags, gathered.frame.tag))


def _salt(table: str) -> int:
    return crc(table.encode(), 0)
