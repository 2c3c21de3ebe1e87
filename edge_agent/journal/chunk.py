"""Chunk: a head that says what follows, and the payload. See the room's head for the layout and why."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from edge_agent.journal.columns import TIME_SCALES, compress, decompress, pack_bits, pack_integers, unpack
from edge_agent.journal.tally import Tally
from edge_agent.model import Event, EventClass, EventState, Frame, Kind, Label, Severity, TagTable

MAGIC: Final = b"\xeaCK\x01"
VERSION: Final = 1
HEAD: Final = struct.Struct("<4sIBBHIIQIIqqQQq")
HEAD_CHECKED: Final = 8
"""The head's checksum covers everything after itself."""
HEAD_BYTES: Final = HEAD.size
HEAD_DTYPE: Final = np.dtype(
    [
        ("magic", "S4"),
        ("head_crc", "<u4"),
        ("kind", "u1"),
        ("stream", "u1"),
        ("version", "<u2"),
        ("payload_bytes", "<u4"),
        ("payload_crc", "<u4"),
        ("sequence", "<u8"),
        ("rows", "<u4"),
        ("events", "<u4"),
        ("first", "<i8"),
        ("last", "<i8"),
        ("rows_before", "<u8"),
        ("lost", "<u8"),
        ("written", "<i8"),
    ]
)
"""The same for many heads at once."""
MAX_ROWS: Final = 50_000
"""A longer frame becomes several chunks: damage to one chunk is damage to at most this many rows."""
MAX_PAYLOAD: Final = 1 << 28
_SAME: Final = 0xFF
"""In place of a form byte: the receive times are the value times."""


class ChunkKind(IntEnum):
    """What a payload is. The numbers are on disk: never change one. Unknown kinds are passed over."""

    FRAME = 0
    EVENTS = 1
    LOSS = 2
    MARK = 3


@dataclass(frozen=True, slots=True)
class Head:
    """A chunk's head. Times are ns since 1970 UTC; `first`/`last` are the least and greatest value time, 0 without."""

    kind: int
    sequence: int
    rows: int
    events: int
    first: int
    last: int
    rows_before: int
    lost: int
    written: int
    payload_bytes: int
    payload_crc: int = 0
    stream: int = 0
    version: int = VERSION

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return HEAD_BYTES + self.payload_bytes

    @property
    def rows_after(self) -> int:
        """Number of the row that follows this chunk."""
        return self.rows_before + self.rows


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A chunk with its contents and the tag table of its time."""

    head: Head
    tags: TagTable
    frame: Frame
    events: tuple[Event, ...] = ()
    tally: Tally | None = None
    """Its rows by machine, where they have been counted."""


def crc(data: bytes | memoryview, start: int) -> int:
    """CRC-32 (the zlib polynomial) beginning at `start`."""
    return int(isal_zlib.crc32(data, start))


def seal(head: Head, payload: bytes, segment: int) -> bytes:
    """The bytes of a chunk of this segment."""
    salt = segment & 0xFFFF_FFFF
    body = HEAD.pack(
        MAGIC,
        0,
        head.kind,
        head.stream,
        head.version,
        len(payload),
        crc(payload, salt),
        head.sequence,
        head.rows,
        head.events,
        head.first,
        head.last,
        head.rows_before,
        head.lost,
        head.written,
    )[HEAD_CHECKED:]
    return b"".join((MAGIC, crc(body, salt).to_bytes(4, "little"), body, payload))


def read_head(data: bytes | memoryview, segment: int) -> Head | None:
    """The head at the start of `data`, None where there is none that checks."""
    if len(data) < HEAD_BYTES or data[:4] != MAGIC:
        return None
    _, head_crc, kind, stream, version, size, payload_crc, *rest = HEAD.unpack_from(data)
    if crc(data[HEAD_CHECKED:HEAD_BYTES], segment & 0xFFFF_FFFF) != head_crc:
        return None
    sequence, rows, events, first, last, rows_before, lost, written = rest
    return Head(
        kind,
        sequence,
        rows,
        events,
        first,
        last,
        rows_before,
        lost,
        written,
        size,
        payload_crc,
        stream,
        version,
    )


def is_sound(head: Head, payload: bytes | memoryview, segment: int) -> bool:
    """The payload is whole and is the one that was written."""
    return len(payload) == head.payload_bytes and crc(payload, segment & 0xFFFF_FFFF) == head.payload_crc


def pack_frame(frame: Frame) -> bytes:
    """The columns of 1 … MAX_ROWS rows, then the texts."""
    if {len(column) for column in _columns(frame)} != {len(frame)}:
        raise ValueError("a frame's columns must have one length")
    bits, texts = _own_texts(frame)
    same = frame.received is frame.time or np.array_equal(frame.received, frame.time)
    return b"".join(
        (
            pack_integers(np.asarray(frame.tag, np.int32)),
            pack_integers(np.asarray(frame.time, np.int64), TIME_SCALES),
            bytes((_SAME,)) if same else pack_integers(np.asarray(frame.received, np.int64), TIME_SCALES),
            pack_bits(np.asarray(bits, np.uint64), frame.kind),
            pack_integers(np.asarray(frame.kind, np.uint8)),
            pack_integers(np.asarray(frame.status, np.uint32)),
            pack_integers(np.asarray(frame.flags, np.uint16)),
            compress(json.dumps(texts).encode()) if texts else b"",
        )
    )


def unpack_frame(payload: bytes | memoryview, rows: int) -> Frame:
    """The opposite of `pack_frame`; raises ValueError where the payload is not one."""
    data = memoryview(payload)
    tag, at = unpack(data, 0, rows, np.int32)
    time, at = unpack(data, at, rows, np.int64)
    same = data[at : at + 1] == bytes((_SAME,))
    received, at = (time, at + 1) if same else unpack(data, at, rows, np.int64)
    bits, at = unpack(data, at, rows, np.uint64)
    kind, at = unpack(data, at, rows, np.uint8)
    status, at = unpack(data, at, rows, np.uint32)
    flags, at = unpack(data, at, rows, np.uint16)
    texts = tuple(json.loads(decompress(data[at:]))) if at < len(data) else ()
    return Frame(tag, time, received, bits, kind, status, flags, texts)


def unpack_tags(payload: bytes, rows: int) -> npt.NDArray[np.int32]:
    """The tag column alone; raises ValueError where the payload is not a frame."""
    return unpack(memoryview(payload), 0, rows, np.int32)[0]


def _columns(frame: Frame) -> tuple[Any, ...]:
    return frame.tag, frame.time, frame.received, frame.bits, frame.kind, frame.status, frame.flags


def _own_texts(frame: Frame) -> tuple[Any, list[str]]:
    """The bits with text numbers into a table of only the texts that these rows use."""
    if not frame.texts:
        return frame.bits, []
    mask = frame.kind == Kind.TEXT
    used, numbers = np.unique(frame.bits[mask], return_inverse=True)
    bits = np.array(frame.bits)
    bits[mask] = numbers
    return bits, [frame.texts[int(number)] for number in used]


def pack_events(events: Sequence[Event]) -> bytes:
    """Events as compressed JSON."""
    return compress(json.dumps([_event_fields(event) for event in events], default=float).encode())


def unpack_events(payload: bytes | memoryview) -> tuple[Event, ...]:
    """The opposite of `pack_events`; raises ValueError where the payload is not one."""
    try:
        return tuple(_event(fields) for fields in json.loads(decompress(payload)))
    except (KeyError, TypeError) as error:
        raise ValueError("not an event") from error


def pack_facts(facts: dict[str, Any]) -> bytes:
    """The JSON of a loss or a mark."""
    return json.dumps(facts, separators=(",", ":")).encode()


def unpack_facts(payload: bytes) -> dict[str, Any]:
    """The opposite of `pack_facts`; raises ValueError where the payload is not one."""
    facts = json.loads(payload)
    if not isinstance(facts, dict):
        raise ValueError("not an object")  # noqa: TRY004  # bytes that say something else are a value, not a type, error
    return facts


def _event_fields(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "path": event.path,
        "detector": event.detector,
        "class": event.event_class.value,
        "severity": int(event.severity),
        "state": event.state.value,
        "start": event.start,
        "end": event.end,
        "ko": event.text.ko,
        "en": event.text.en,
        "evidence": event.evidence,
    }


def _event(fields: dict[str, Any]) -> Event:
    return Event(
        fields["id"],
        fields["path"],
        fields["detector"],
        EventClass(fields["class"]),
        Severity(fields["severity"]),
        EventState(fields["state"]),
        fields["start"],
        fields["end"],
        Label(fields["ko"], fields["en"]),
        fields["evidence"],
    )
