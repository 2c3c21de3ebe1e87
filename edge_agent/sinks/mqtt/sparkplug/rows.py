"""Columns to encoded metrics: one bytes object a row, made in one pass, joined into payloads by `node`.

Quality goes by the property `Quality` of Sparkplug 3.0 (6.4.11): 192 good, 500 stale, 0 bad. A property holds until a
message says another, so it is said when it changes, and with every historical value. What is not good is null: a host
that looks at nothing but the value shows none. An uncertain row's value stands in the property `UncertainValue`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from edge_agent.api import Frame, Kind
from edge_agent.model.frame import UInt64
from edge_agent.sinks.mqtt.sparkplug.codec import DataType, Property, Value, property_set, sized, varint

GOOD, STALE, BAD = 192, 500, 0
QUALITY: Final = (GOOD, STALE, BAD, BAD)
"""By the two top bits of the OPC UA status."""
TYPE_OF_KIND: Final = {
    Kind.NONE: DataType.UNKNOWN,
    Kind.FLOAT64: DataType.DOUBLE,
    Kind.FLOAT32: DataType.FLOAT,
    Kind.INT64: DataType.INT64,
    Kind.UINT64: DataType.UINT64,
    Kind.BOOL: DataType.BOOLEAN,
    Kind.TEXT: DataType.STRING,
}
TYPES: Final = np.array([TYPE_OF_KIND[kind] for kind in Kind], np.uint8)
_HISTORICAL: Final = b"\x28\x01"
_NULL: Final = b"\x38\x01"


def quality_properties(status: int, value: Value | None, datatype: int) -> list[Property]:
    """What is said of a row beside its value; `value` only counts where it is uncertain."""
    quality = QUALITY[status >> 30]
    said = [Property("Quality", DataType.INT32, quality), Property("StatusCode", DataType.UINT32, status)]
    if quality == STALE and value is not None:
        said.append(Property("UncertainValue", datatype, value))
    return said


@lru_cache(256)
def _properties(status: int) -> bytes:
    return property_set(quality_properties(status, None, 0))


def _uncertain(status: int, frame: Frame, row: int) -> bytes:
    return property_set(quality_properties(status, frame.value(row), TYPE_OF_KIND[Kind(int(frame.kind[row]))]))


def encode_rows(
    frame: Frame, heads: Sequence[bytes], ms: Sequence[int], said: Sequence[bool], late: Sequence[bool]
) -> list[bytes]:
    """Each row as a payload's field 2. `heads`: the encoded alias; `said`: whether its status is to be told."""
    rows = zip(heads, ms, frame.status.tolist(), value_fields(frame), said, late, strict=True)
    metrics = []
    for row, (head, time, status, value, tell, historical) in enumerate(rows):
        body = head + b"\x18" + varint(time)
        if historical:
            body += _HISTORICAL
        if status < 1 << 30 and value:
            body += _properties(status) + value if tell else value
        elif 1 <= status >> 30 < 2:
            body += _NULL + _uncertain(status, frame, row)
        else:
            body += _NULL + (_properties(status) if tell or status else b"")
        metrics.append(b"\x12" + varint(len(body)) + body)
    return metrics


def value_fields(frame: Frame) -> list[bytes]:
    """Each row's value as a metric's field; empty where it has none."""
    kind = frame.kind
    if (kind == Kind.FLOAT64).all():
        return _doubles(frame, np.ascontiguousarray(frame.bits))
    out = np.full(len(frame), b"", object)
    for k in np.unique(kind):
        mask = kind == k
        out[mask] = np.array([*_FIELDS[int(k)](frame, frame.bits[mask]), b""], object)[:-1]
    fields: list[bytes] = out.tolist()
    return fields


def _doubles(_: Frame, bits: UInt64) -> list[bytes]:
    raw = bits.astype("<u8").tobytes()
    return [b"\x69" + raw[at : at + 8] for at in range(0, len(raw), 8)]


def _singles(_: Frame, bits: UInt64) -> list[bytes]:
    with np.errstate(over="ignore", under="ignore"):
        raw = bits.view(np.float64).astype("<f4").tobytes()
    return [b"\x65" + raw[at : at + 4] for at in range(0, len(raw), 4)]


_FIELDS: Final[dict[int, Callable[[Frame, UInt64], list[bytes]]]] = {
    Kind.NONE: lambda _, bits: [b""] * len(bits),
    Kind.FLOAT64: _doubles,
    Kind.FLOAT32: _singles,
    Kind.INT64: lambda _, bits: [b"\x58" + varint(value) for value in bits.tolist()],
    Kind.UINT64: lambda _, bits: [b"\x58" + varint(value) for value in bits.tolist()],
    Kind.BOOL: lambda _, bits: [b"\x70\x01" if value else b"\x70\x00" for value in bits.tolist()],
    Kind.TEXT: lambda frame, bits: [sized(15, frame.texts[i].encode("utf-8", "replace")) for i in bits.tolist()],
}
