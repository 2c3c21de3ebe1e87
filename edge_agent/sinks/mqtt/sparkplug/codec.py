"""Sparkplug B payloads to bytes and back (Sparkplug 3.0, 6.4; protobuf encoding, proto2 without groups).

Only what this agent says and hears: no data sets, templates, files. The decoder passes over fields that it does not
know, as protobuf wants it, and raises Malformed for bytes that are no payload.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT: Final = 10
_MASK32: Final = 0xFFFF_FFFF
_MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF

Value = int | float | bool | str


class Malformed(ValueError):
    """Bytes that are no Sparkplug payload."""


class DataType(IntEnum):
    """Sparkplug 3.0, 6.4.16: the basic types."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14


_SIGNED: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_FAMILY: Final = {
    **dict.fromkeys((1, 2, 3, 5, 6, 7), "int"),
    **dict.fromkeys((4, 8, 13), "long"),
    9: "float",
    10: "double",
    11: "boolean",
    **dict.fromkeys((12, 14), "string"),
}
_METRIC_FIELDS: Final = {"int": 10, "long": 11, "float": 12, "double": 13, "boolean": 14, "string": 15}
_PROPERTY_FIELDS: Final = {"int": 3, "long": 4, "float": 5, "double": 6, "boolean": 7, "string": 8}
_METRIC_FAMILIES: Final = {number: family for family, number in _METRIC_FIELDS.items()}
_PROPERTY_FAMILIES: Final = {number: family for family, number in _PROPERTY_FIELDS.items()}


@dataclass(frozen=True, slots=True)
class Property:
    """One entry of a metric's property set. `value` None is null."""

    key: str
    datatype: int
    value: Value | None


@dataclass(frozen=True, slots=True)
class Metric:
    """`timestamp` in ms since 1970 UTC. `value` None is null. A value without a datatype cannot be encoded.

    Decoded without a datatype (data after a birth) integers are the unsigned numbers of the wire: `signed` reads them.
    """

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    historical: bool = False
    value: Value | None = None
    properties: Sequence[Property] = ()


@dataclass(frozen=True, slots=True)
class Payload:
    """`seq` is 0 to 255; a death has none."""

    timestamp: int | None = None
    metrics: Sequence[Metric] = ()
    seq: int | None = None


def varint(number: int) -> bytes:
    """A non-negative number of at most 64 bits."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return varint(field << 3 | _VARINT) + varint(value)


def sized(field: int, data: bytes) -> bytes:
    """A field of bytes: a text, or a message in the message."""
    return varint(field << 3 | _BYTES) + varint(len(data)) + data


def _value(fields: dict[str, int], datatype: int, value: Value) -> bytes:
    family = _FAMILY[datatype]
    field = fields[family]
    match family:
        case "int":
            return _number(field, int(value) & _MASK32)
        case "long":
            return _number(field, int(value) & _MASK64)
        case "float":
            return varint(field << 3 | _FIXED32) + struct.pack("<f", value)
        case "double":
            return varint(field << 3 | _FIXED64) + struct.pack("<d", value)
        case "boolean":
            return _number(field, int(bool(value)))
        case _:
            return sized(field, str(value).encode("utf-8", "replace"))


def property_set(properties: Sequence[Property]) -> bytes:
    """A metric's field 9."""
    keys = b"".join(sized(1, one.key.encode()) for one in properties)
    return sized(9, keys + b"".join(sized(2, _property(one)) for one in properties))


def _property(one: Property) -> bytes:
    if one.value is None:
        return _number(1, one.datatype) + _number(2, 1)
    return _number(1, one.datatype) + _value(_PROPERTY_FIELDS, one.datatype, one.value)


def encode_metric(metric: Metric) -> bytes:
    """A payload's field 2. Fields in the order of their numbers."""
    parts = [sized(1, metric.name.encode())] if metric.name is not None else []
    for field, number in ((2, metric.alias), (3, metric.timestamp), (4, metric.datatype)):
        parts += [] if number is None else [_number(field, number)]
    parts += [_number(5, 1)] if metric.historical else []
    parts += [_number(7, 1)] if metric.value is None else []
    parts += [property_set(metric.properties)] if metric.properties else []
    if metric.value is not None:
        parts.append(_value(_METRIC_FIELDS, metric.datatype or 0, metric.value))
    return sized(2, b"".join(parts))


def encode_parts(timestamp: int | None, metrics: bytes, seq: int | None) -> bytes:
    """A payload whose metrics are encoded already."""
    head = b"" if timestamp is None else _number(1, timestamp)
    return head + metrics + (b"" if seq is None else _number(3, seq))


def encode(payload: Payload) -> bytes:
    """The payload's bytes."""
    return encode_parts(payload.timestamp, b"".join(encode_metric(m) for m in payload.metrics), payload.seq)


# Decoding.


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for index in range(_LONGEST_VARINT):
        if at + index >= len(data):
            raise Malformed("the payload ends within a number")
        byte = data[at + index]
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number & _MASK64, at + index + 1
    raise Malformed("a number of more than 64 bits")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            number, at = _read_varint(data, at)
            yield field, number
            continue
        if wire == _BYTES:
            size, at = _read_varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise Malformed(f"wire type {wire}")
        if field == 0 or at + size > len(data):
            raise Malformed("the payload ends within a field")
        yield field, data[at : at + size]
        at += size


def _int(raw: int | bytes) -> int:
    if isinstance(raw, bytes):
        raise Malformed("bytes where a number belongs")
    return raw


def _data(raw: int | bytes, size: int | None = None) -> bytes:
    if isinstance(raw, int) or (size is not None and len(raw) != size):
        raise Malformed("a number where bytes belong")
    return raw


def _text(raw: int | bytes) -> str:
    try:
        return _data(raw).decode()
    except UnicodeDecodeError as error:
        raise Malformed("a text that is no UTF-8") from error


def _decoded(family: str, raw: int | bytes) -> Value:
    match family:
        case "float":
            return float(struct.unpack("<f", _data(raw, 4))[0])
        case "double":
            return float(struct.unpack("<d", _data(raw, 8))[0])
        case "boolean":
            return bool(_int(raw))
        case "string":
            return _text(raw)
        case _:
            return _int(raw)


def signed(datatype: int, value: Value | None) -> Value | None:
    """An integer of the wire as the number that its datatype means; other values as they are."""
    bits = _SIGNED.get(DataType(datatype)) if 0 <= datatype <= DataType.TEXT else None
    if bits is None or isinstance(value, bool) or not isinstance(value, int):
        return value
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


def _decode_property(data: bytes) -> tuple[int, Value | None]:
    datatype, value, null = 0, None, False
    for field, raw in _fields(data):
        if field == 1:
            datatype = _int(raw)
        elif field == 2:
            null = bool(_int(raw))
        elif field in _PROPERTY_FAMILIES:
            value = _decoded(_PROPERTY_FAMILIES[field], raw)
    return datatype, None if null else signed(datatype, value)


def _decode_properties(data: bytes) -> tuple[Property, ...]:
    keys: list[str] = []
    values: list[tuple[int, Value | None]] = []
    for field, raw in _fields(data):
        if field == 1:
            keys.append(_text(raw))
        elif field == 2:
            values.append(_decode_property(_data(raw)))
    if len(keys) != len(values):
        raise Malformed("keys and values of a property set differ in number")
    return tuple(Property(key, *value) for key, value in zip(keys, values, strict=True))


def _decode_metric(data: bytes) -> Metric:
    numbers: dict[int, int] = {}
    name, value = None, None
    properties: tuple[Property, ...] = ()
    for field, raw in _fields(data):
        if field == 1:
            name = _text(raw)
        elif field in (2, 3, 4, 5, 7):
            numbers[field] = _int(raw)
        elif field == 9:
            properties = _decode_properties(_data(raw))
        elif field in _METRIC_FAMILIES:
            value = _decoded(_METRIC_FAMILIES[field], raw)
    datatype = numbers.get(4)
    return Metric(
        name,
        numbers.get(2),
        numbers.get(3),
        datatype,
        bool(numbers.get(5, 0)),
        None if numbers.get(7) else signed(datatype or 0, value),
        properties,
    )


def decode(data: bytes) -> Payload:
    """The payload of these bytes; raises Malformed."""
    timestamp, seq, metrics = None, None, []
    for field, raw in _fields(data):
        if field == 1:
            timestamp = _int(raw)
        elif field == 2:
            metrics.append(_decode_metric(_data(raw)))
        elif field == 3:
            seq = _int(raw)
    return Payload(timestamp, tuple(metrics), seq)
