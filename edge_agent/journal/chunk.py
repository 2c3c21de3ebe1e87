"""Chunk: a head that says what follows, and the payload. See the room's head for the layout and why."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from isal import isal_zlib

from edge_agent.journal.tally import Tally
from edge_agent.journal.zstd import compress, decompress
from edge_agent.model import Event, EventClass, EventState, Frame, Label, Severity, TagTable

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


class ChunkKind(IntEnum):
    """What a payload is. The numbers are on disk: never change one. Unknown kinds are passed over."""

    FRAME = 0
    EVENTS = 1
    LOSS = 2
    MARK = 3
    ROLLUP = 4


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
