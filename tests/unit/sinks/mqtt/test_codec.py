"""Our Sparkplug codec against golden bytes, itself, damage, and Google's protobuf."""

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.sinks.mqtt.sparkplug.codec import (
    DataType,
    Malformed,
    Metric,
    Payload,
    Property,
    decode,
    encode,
    signed,
    varint,
)
from tests.unit.sinks.mqtt import sparkplug_proto

U64 = st.integers(0, 2**64 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOATS32 = st.floats(width=32, allow_nan=False)


def integers(bits: int, *, is_signed: bool):
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else st.integers(0, (1 << bits) - 1)


VALUES = st.one_of(
    *[st.tuples(st.just(t), integers(b, is_signed=True)) for t, b in zip((1, 2, 3, 4), (8, 16, 32, 64), strict=True)],
    *[st.tuples(st.just(t), integers(b, is_signed=False)) for t, b in zip((5, 6, 7, 8), (8, 16, 32, 64), strict=True)],
    st.tuples(st.just(9), FLOATS32),
    st.tuples(st.just(10), st.floats(allow_nan=False)),
    st.tuples(st.just(11), st.booleans()),
    st.tuples(st.just(12), TEXTS),
    st.tuples(st.just(13), U64),
    st.tuples(st.just(14), TEXTS),
    st.tuples(st.sampled_from(range(1, 15)), st.none()),
)
PROPERTIES = st.lists(st.builds(lambda key, value: Property(key, *value), TEXTS, VALUES), max_size=2).map(tuple)
METRICS = st.builds(
    lambda name, alias, time, value, historical, said: Metric(name, alias, time, value[0], historical, value[1], said),
    st.none() | TEXTS,
    st.none() | U64,
    st.none() | U64,
    VALUES,
    st.booleans(),
    PROPERTIES,
)
PAYLOADS = st.builds(
    Payload, st.none() | U64, st.lists(METRICS, max_size=3).map(tuple), st.none() | st.integers(0, 255)
)


def test_golden_bytes():
    """Each byte by hand from the specification's field numbers."""
    payload = Payload(
        1_700_000_000_123,
        (
            Metric("bdSeq", None, 1, DataType.INT64, False, 7),
            Metric(None, 5, 1_700_000_000_123, None, True, None, (Property("Quality", DataType.INT32, 500),)),
            Metric(None, 300, 2, DataType.DOUBLE, False, 851.5),
        ),
        255,
    )
    expected = [
        "08 fbd095ffbc31",  # timestamp
        "12 0d  0a 05 6264536571  18 01  20 04  58 07",  # bdSeq: name, timestamp, INT64, long_value
        "12 1f  10 05  18 fbd095ffbc31  28 01  38 01",  # alias, timestamp, is_historical, is_null
        "4a 10  0a 07 5175616c697479  12 05  08 03  18 f403",  # properties: Quality, INT32, 500
        "12 10  10 ac02  18 02  20 0a  69 " + struct.pack("<d", 851.5).hex(),  # alias 300, DOUBLE, double_value
        "18 ff01",  # seq
    ]
    assert encode(payload).hex() == "".join(expected).replace(" ", "")


@settings(max_examples=50)
@given(PAYLOADS)
def test_decoding_undoes_encoding(payload):
    assert decode(encode(payload)) == payload


@settings(max_examples=50)
@given(PAYLOADS)
def test_protobuf_reads_what_we_write(payload):
    theirs = sparkplug_proto.read(encode(payload))
    assert (theirs.HasField("seq"), theirs.seq) == (payload.seq is not None, payload.seq or 0)
    assert (theirs.HasField("timestamp"), theirs.timestamp) == (payload.timestamp is not None, payload.timestamp or 0)
    assert len(theirs.metrics) == len(payload.metrics)
    for ours, one in zip(payload.metrics, theirs.metrics, strict=True):
        for field in ("name", "alias", "timestamp", "datatype"):
            assert getattr(ours, field) == (getattr(one, field) if one.HasField(field) else None)
        assert one.is_historical == ours.historical
        assert sparkplug_proto.metric_value(one, one.datatype) == ours.value
        assert list(one.properties.keys) == [said.key for said in ours.properties]
        for said, value in zip(ours.properties, one.properties.values, strict=True):
            assert (value.type, value.is_null) == (said.datatype, said.value is None)


@settings(max_examples=50)
@given(PAYLOADS)
def test_we_read_what_protobuf_writes(payload):
    theirs = sparkplug_proto.read(encode(payload))
    assert decode(theirs.SerializeToString()) == payload


@settings(max_examples=50)
@given(PAYLOADS, st.data())
def test_a_torn_payload_is_malformed_or_shorter_and_never_anything_else(payload, data):
    whole = encode(payload)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        decode(whole[:cut])
    except Malformed:
        return


@given(st.binary(max_size=200))
def test_nonsense_is_malformed_or_a_payload(data):
    try:
        decode(data)
    except Malformed:
        return


@given(U64)
def test_a_varint_is_protobufs(number):
    message = sparkplug_proto.Payload(timestamp=number)
    assert b"\x08" + varint(number) == message.SerializeToString()


@pytest.mark.parametrize(
    ("datatype", "wire", "value"),
    [(4, 2**64 - 1, -1), (4, 5, 5), (3, 2**32 - 1, -1), (1, 0x80, -128), (8, 2**64 - 1, 2**64 - 1), (11, True, True)],
)
def test_signed(datatype, wire, value):
    assert signed(datatype, wire) == value


def test_infinities_and_extremes_survive():
    values = (math.inf, -math.inf, 5e-324, -0.0, 1.7976931348623157e308)
    payload = Payload(0, tuple(Metric("x", 1, 0, DataType.DOUBLE, False, value) for value in values), 0)
    assert [repr(metric.value) for metric in decode(encode(payload)).metrics] == [repr(value) for value in values]
