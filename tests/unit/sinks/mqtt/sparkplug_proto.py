"""The Sparkplug B payload for Google's protobuf, from the field numbers of the specification (Sparkplug 3.0, 6.4).

A decoder that we did not write: what it reads of our bytes is what any host reads.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_F = descriptor_pb2.FieldDescriptorProto
_U32, _U64, _BOOL, _STR, _BYTES, _FLOAT, _DOUBLE, _MSG = (
    _F.TYPE_UINT32,
    _F.TYPE_UINT64,
    _F.TYPE_BOOL,
    _F.TYPE_STRING,
    _F.TYPE_BYTES,
    _F.TYPE_FLOAT,
    _F.TYPE_DOUBLE,
    _F.TYPE_MESSAGE,
)
_MESSAGES = {
    "PropertyValue": [
        ("type", 1, _U32, None),
        ("is_null", 2, _BOOL, None),
        ("int_value", 3, _U32, "value"),
        ("long_value", 4, _U64, "value"),
        ("float_value", 5, _FLOAT, "value"),
        ("double_value", 6, _DOUBLE, "value"),
        ("boolean_value", 7, _BOOL, "value"),
        ("string_value", 8, _STR, "value"),
    ],
    "PropertySet": [("keys", 1, _STR, "*"), ("values", 2, ".sparkplug.PropertyValue", "*")],
    "Metric": [
        ("name", 1, _STR, None),
        ("alias", 2, _U64, None),
        ("timestamp", 3, _U64, None),
        ("datatype", 4, _U32, None),
        ("is_historical", 5, _BOOL, None),
        ("is_transient", 6, _BOOL, None),
        ("is_null", 7, _BOOL, None),
        ("properties", 9, ".sparkplug.PropertySet", None),
        ("int_value", 10, _U32, "value"),
        ("long_value", 11, _U64, "value"),
        ("float_value", 12, _FLOAT, "value"),
        ("double_value", 13, _DOUBLE, "value"),
        ("boolean_value", 14, _BOOL, "value"),
        ("string_value", 15, _STR, "value"),
        ("bytes_value", 16, _BYTES, "value"),
    ],
    "Payload": [
        ("timestamp", 1, _U64, None),
        ("metrics", 2, ".sparkplug.Metric", "*"),
        ("seq", 3, _U64, None),
        ("uuid", 4, _STR, None),
        ("body", 5, _BYTES, None),
    ],
}


def _add(file: descriptor_pb2.FileDescriptorProto, name: str) -> None:
    message = file.message_type.add(name=name)
    if any(place == "value" for *_, place in _MESSAGES[name]):
        message.oneof_decl.add(name="value")
    for field, number, kind, place in _MESSAGES[name]:
        one = message.field.add(name=field, number=number)
        one.label = _F.LABEL_REPEATED if place == "*" else _F.LABEL_OPTIONAL
        if isinstance(kind, str):
            one.type, one.type_name = _MSG, kind
        else:
            one.type = kind
        if place == "value":
            one.oneof_index = 0


def _payload() -> type:
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package="sparkplug", syntax="proto2")
    for name in _MESSAGES:
        _add(file, name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sparkplug.Payload"))


Payload = _payload()


def read(data: bytes):
    """The payload as protobuf's own message; raises google.protobuf.message.DecodeError."""
    return Payload.FromString(data)


def metric_value(metric, datatype: int):
    """A metric's value as its datatype means it; None for null."""
    if metric.is_null or metric.WhichOneof("value") is None:
        return None
    value = getattr(metric, metric.WhichOneof("value"))
    bits = {1: 8, 2: 16, 3: 32, 4: 64}.get(datatype)
    if bits is not None:
        value &= (1 << bits) - 1
        value -= (1 << bits) if value >> (bits - 1) else 0
    return value


def properties_of(metric) -> dict:
    """Key -> value of a metric's property set."""
    found = {}
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=True):
        found[key] = None if value.is_null else getattr(value, value.WhichOneof("value"))
    return found
