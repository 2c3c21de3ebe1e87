"""Front: where rows of small appends stand, accepted, until there are enough of them for a chunk of the log.

One small file beside the segments, written whole when it is made, so that nothing in it is ever allocated again:

    mark     magic u32, crc u32, segment u64, end u64, sequence u64, rows u64, stopped i64
    entries  from byte 512 on: magic u32, crc u32, length u32, rows u32, sequence u64, rows before u64, written i64,
             payload

An entry is one append: it gets its sequence number and its row numbers as a chunk does. When the rows make a chunk, or
must become durable, all entries together go to the segment as one chunk that has the last one's sequence number, and
the next entry is written over the first. What is still behind it has row numbers that the log has passed, and four
zeros stand between. After a kill the entries that the log has not passed are taken over. One that does not check is
passed over: the next that does says by its row number how many rows are missing, so damage costs the one append that it
hit, and is counted as in the log; only the rows of the last append are counted nowhere, as those of a torn tail, and
reported where its head can still be read. They are never synced; after a power cut those that still check are taken
over too, the others were never durable. Each opening clears the file, durably, so that no entry of an earlier run can
ever seem to follow. The checksum of an entry starts from the digest of its tag table.

The mark says what the log held when it was last synced: `end` bytes of `segment`, chunks before `sequence`, `rows`
rows; and when the log was closed in order, else 0. So damage at the very end is not taken for a write cut short.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
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
_END: Final = bytes(4)
"""After the last entry: what stands behind is of no interest any more."""


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
        if self._at + _ENTRY.size + len(payload) + len(_END) > ROOM:
            return False
        rows = len(gathered.frame)
        entry = _ENTRY.pack(
            _ENTRY_MAGIC, 0, len(payload), rows, gathered.sequence, gathered.rows_before, gathered.written
        )
        checked = entry[_CHECKED:] + payload
        check = crc(checked, _salt(table)).to_bytes(4, "little")
        disk.write(self._fd, entry[:4] + check + checked + _END, self._at)
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


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes of the front, offset and size, where entries no longer check; `rows` are missing."""

    offset: int
    size: int
    rows: int
    first: int
    last: int
    """Between these times it was written, ns since 1970 UTC, 0 where nobody knows: of the entries around it."""


@dataclass(slots=True)
class Found:
    """The entries of a front that the log has not passed, in order, what is missing before and between them, and what
    lies behind the last one.
    """

    gathered: list[Gathered] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    torn_bytes: int = 0
    """Of what is no entry and no end: at least so many."""
    torn_rows: int = 0
    """Rows that these say they are."""


def find_gathered(data: bytes, table: str, sequence: int, rows: int) -> Found:
    """All entries that come after a log with this next sequence number and next row, over damage if need be."""
    found, at, end = Found(), _FIRST, _FIRST
    while at >= 0:
        size, gathered = _entry_at(data, at, table)
        if gathered is None or gathered.sequence < sequence or gathered.rows_before < rows:
            at = data.find(_ENTRY_MAGIC, at + 1)
            continue
        if gathered.rows_before > rows:
            since = found.gathered[-1].written if found.gathered else 0
            found.holes.append(Hole(end, at - end, gathered.rows_before - rows, since, gathered.written))
        found.gathered.append(gathered)
        sequence, rows = gathered.sequence + 1, gathered.rows_before + len(gathered.frame)
        at = end = at + size
        if data[at : at + len(_END)] == _END:
            return found
    _tell_torn(found, data[end:], rows)
    return found


def _tell_torn(found: Found, rest: bytes, rows: int) -> None:
    """Says what the bytes after the last entry are, where they are the head of one that would follow it."""
    if len(rest) < _ENTRY.size or not rest.startswith(_ENTRY_MAGIC):
        return
    _, _, length, count, _, before, _ = _ENTRY.unpack_from(rest)
    if before == rows and 0 < count < ROOM:
        found.torn_bytes, found.torn_rows = min(_ENTRY.size + length, len(rest)), count


def following(data: bytes, table: str, sequence: int, rows: int) -> Iterator[Gathered]:
    """The entries that go on where the log ends, its next sequence number and its next row, without a gap: for who
    reads beside the agent, and may have read the file while it was written over.
    """
    for gathered in find_gathered(data, table, sequence, rows).gathered:
        if gathered.rows_before != rows:
            return
        yield gathered
        rows += len(gathered.frame)


def _entry_at(data: bytes, at: int, table: str) -> tuple[int, Gathered | None]:
    """Size and contents of the entry that begins here; None where there is none that checks."""
    if at + _ENTRY.size > len(data):
        return 0, None
    magic, check, length, count, number, before, written = _ENTRY.unpack_from(data, at)
    end = at + _ENTRY.size + length
    if magic != _ENTRY_MAGIC or end > len(data) or crc(data[at + _CHECKED : end], _salt(table)) != check:
        return 0, None
    try:
        frame = unpack_frame(data[at + _ENTRY.size : end], count)
    except ValueError:
        return 0, None
    return end - at, Gathered(number, before, written, frame)


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
