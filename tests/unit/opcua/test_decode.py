"""All ways of decoding give the same rows, and the vendor's own decoder agrees with them."""

import math
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from asyncua.ua.uatypes import VariantType
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.opcua.decode import BARE, decode
from connectors.opcua.kernel import walk
from connectors.opcua.rows import TEXT_SPAN, UNSUPPORTED
from connectors.opcua.wire import Part, split_read
from edge_agent.api import Kind, ProtocolError
from tests.unit.opcua.responses import item, number, one_part

EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
WAYS = {"numpy and python": None, "numba": walk}

INTEGERS = {
    VariantType.SByte: (-(2**7), 2**7 - 1, Kind.INT64),
    VariantType.Byte: (0, 2**8 - 1, Kind.UINT64),
    VariantType.Int16: (-(2**15), 2**15 - 1, Kind.INT64),
    VariantType.UInt16: (0, 2**16 - 1, Kind.UINT64),
    VariantType.Int32: (-(2**31), 2**31 - 1, Kind.INT64),
    VariantType.UInt32: (0, 2**32 - 1, Kind.UINT64),
    VariantType.Int64: (-(2**63), 2**63 - 1, Kind.INT64),
    VariantType.UInt64: (0, 2**64 - 1, Kind.UINT64),
}
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))


def scalars():
    integers = [
        st.integers(low, high).map(lambda v, t=vtype: ua.Variant(v, t)) for vtype, (low, high, _) in INTEGERS.items()
    ]
    return st.one_of(
        *integers,
        st.booleans().map(lambda v: ua.Variant(v, VariantType.Boolean)),
        st.floats(width=32).map(lambda v: ua.Variant(v, VariantType.Float)),
        st.floats().map(lambda v: ua.Variant(v, VariantType.Double)),
        st.text(max_size=20).map(lambda v: ua.Variant(v, VariantType.String)),
        st.text(max_size=5).map(lambda v: ua.Variant(ua.LocalizedText(v, "ko"), VariantType.LocalizedText)),
        st.text(max_size=5).map(lambda v: ua.Variant(ua.QualifiedName(v, 3), VariantType.QualifiedName)),
        st.binary(max_size=9).map(lambda v: ua.Variant(v, VariantType.ByteString)),
        st.uuids().map(lambda v: ua.Variant(v, VariantType.Guid)),
        TIMES.map(lambda v: ua.Variant(v, VariantType.DateTime)),
        st.just(ua.Variant()),
        st.just(ua.Variant(None, VariantType.String)),
        st.just(ua.Variant(ua.NodeId("x", 2), VariantType.NodeId)),
        st.just(ua.Variant(ua.StatusCode(ua.UInt32(0x80340000)), VariantType.StatusCode)),
        st.lists(st.floats(), max_size=3).map(lambda v: ua.Variant(v, VariantType.Double, is_array=True)),
        st.lists(st.text(max_size=3), max_size=3).map(lambda v: ua.Variant(v, VariantType.String, is_array=True)),
        st.just(ua.Variant([[1, 2], [3, 4]], VariantType.Int32)),
    )


def data_values(variants):
    return st.builds(
        ua.DataValue,
        st.one_of(st.none(), variants),
        StatusCode=st.one_of(
            st.none(), st.sampled_from([0, 0x480, 0x40900000, 0x808C0000]).map(lambda c: ua.StatusCode(ua.UInt32(c)))
        ),
        SourceTimestamp=st.one_of(st.none(), TIMES),
        ServerTimestamp=st.one_of(st.none(), TIMES),
        SourcePicoseconds=st.one_of(st.none(), st.integers(0, 9999)),
        ServerPicoseconds=st.one_of(st.none(), st.integers(0, 9999)),
    )


HANDLES = st.integers(0, 2**32 - 1)
MIXED = st.lists(st.builds(item, HANDLES, data_values(scalars())), max_size=40)


def rows_of(raw, part, way):
    rows, _ = decode(raw, part, WAYS[way])
    out = []
    for k in range(len(rows.handle)):
        kind, bits = int(rows.kind[k]), int(rows.bits[k])
        out.append((int(rows.handle[k]), *value_of(rows, raw, kind, bits), int(rows.status[k]), int(rows.ticks[k])))
    return out


def value_of(rows, raw, kind, bits):
    if kind in (Kind.FLOAT64, Kind.FLOAT32):
        return kind, struct.pack("<Q", bits)
    if kind == Kind.INT64:
        return kind, bits - (1 << 64) if bits >> 63 else bits
    if kind == TEXT_SPAN:
        start, size = bits >> 32, bits & 0xFFFFFFFF
        return Kind.TEXT, raw[start : start + size].decode()
    if kind == Kind.TEXT:
        return Kind.TEXT, rows.texts[bits]
    return kind, bits


def oracle(raw):
    """What asyncua reads out of the same bytes, in our terms."""
    from asyncua.common.utils import Buffer

    response = struct_from_binary(ua.PublishResponse, Buffer(raw))
    (notification,) = response.Parameters.NotificationMessage.NotificationData
    return [
        (
            entry.ClientHandle,
            *judged(entry.Value.Value),
            0 if entry.Value.StatusCode is None else entry.Value.StatusCode.value,
            0 if entry.Value.SourceTimestamp is None else ticks(entry.Value.SourceTimestamp),
        )
        for entry in notification.MonitoredItems
    ]


def ticks(at):
    return (at.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 10


def judged(variant):
    if variant is None or (variant.Value is None and not variant.is_array):
        return Kind.NONE, 0
    value, vtype = variant.Value, variant.VariantType
    if variant.is_array:
        if (variant.Dimensions and len(variant.Dimensions) > 1) or value is None or len(value) != 1:
            return UNSUPPORTED, 0
        value = value[0]
        if value is None:
            return Kind.NONE, 0
    return scalar_judged(value, vtype)


def scalar_judged(value, vtype):
    match vtype:
        case VariantType.Double | VariantType.Float:
            kind = Kind.FLOAT64 if vtype == VariantType.Double else Kind.FLOAT32
            return kind, struct.pack("<d", value)
        case VariantType.Boolean:
            return Kind.BOOL, int(value)
        case VariantType.String:
            return Kind.TEXT, value
        case VariantType.LocalizedText:
            return (Kind.NONE, 0) if value.Text is None else (Kind.TEXT, value.Text)
        case VariantType.QualifiedName:
            return Kind.TEXT, value.Name
        case VariantType.ByteString:
            return Kind.TEXT, value.hex()
        case VariantType.Guid:
            return Kind.TEXT, str(value)
        case VariantType.DateTime:
            return Kind.TEXT, value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond * 10:07d}Z"
        case VariantType.StatusCode:
            return Kind.UINT64, value.value
        case _ if vtype in INTEGERS:
            return INTEGERS[vtype][2], value
    return UNSUPPORTED, 0


def plain_nan(rows):
    """NaNs have many bit patterns, and Python keeps not all of them apart; that it is one is what counts."""
    return [
        (*row[:2], "nan", *row[3:])
        if row[1] in (Kind.FLOAT64, Kind.FLOAT32) and math.isnan(struct.unpack("<d", row[2])[0])
        else row
        for row in rows
    ]


@pytest.mark.parametrize("way", WAYS)
@given(MIXED)
@settings(deadline=None)
def test_mixed_items_are_what_the_vendor_reads(way, items):
    raw, part = one_part(items)
    assert plain_nan(rows_of(raw, part, way)) == plain_nan(oracle(raw))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("vtype", [*INTEGERS, VariantType.Boolean, VariantType.Float, VariantType.Double])
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_uniform_items_are_what_the_vendor_reads(way, vtype, data):
    low, high, _ = INTEGERS.get(vtype, (0, 1, None))
    values = st.floats(width=32) if vtype in (VariantType.Float, VariantType.Double) else st.integers(low, high)
    shape = data.draw(data_values(st.just(ua.Variant(0, vtype))).filter(lambda v: v.Value is not None))
    items = [
        item(
            k,
            ua.DataValue(
                ua.Variant(value, vtype),
                shape.StatusCode,
                SourceTimestamp=shape.SourceTimestamp,
                ServerTimestamp=shape.ServerTimestamp,
                SourcePicoseconds=shape.SourcePicoseconds,
            ),
        )
        for k, value in enumerate(data.draw(st.lists(values, min_size=1, max_size=90)))
    ]
    raw, part = one_part(items)
    assert plain_nan(rows_of(raw, part, way)) == plain_nan(oracle(raw))


@pytest.mark.parametrize("way", WAYS)
def test_long_runs_between_odd_items(way):
    items = []
    for k in range(700):
        odd = k % 150 == 149
        variant = ua.Variant(f"값 {k}", VariantType.String) if odd else ua.Variant(k / 8, VariantType.Double)
        items.append(item(k, ua.DataValue(variant, SourceTimestamp=EPOCH + timedelta(days=160_000, seconds=k))))
    raw, part = one_part(items)
    assert rows_of(raw, part, way) == oracle(raw)


def test_source_times_keep_their_100_nanoseconds():
    raw, part = one_part([number(1, 1.0, datetime(2026, 3, 4, tzinfo=UTC))])
    at = ticks(datetime(2026, 3, 4, tzinfo=UTC))
    exact = raw.replace(struct.pack("<q", at), struct.pack("<q", at + 7))
    rows, _ = decode(exact, part)
    assert rows.ticks.tolist() == [at + 7]


def test_golden_bytes():
    body = bytes.fromhex(
        "03000000"  # three items
        "05000000 07 0b 0000000000002940 00000000 00c0f1a2b3c4d901"  # handle 5, 12.5, Good, source time
        "06000000 03 06 d6ffffff 80040000"  # handle 6, Int32 -42, Good with overflow bits
        "07000000 0f 0c 06000000 ec98a8eb8f84 00000000 00c0f1a2b3c4d901 0000000000000000"  # handle 7, "온도"
        "ffffffff"
    )
    for walking in WAYS.values():
        rows, _ = decode(body, Part(811, 0, len(body)), walking)
        assert rows.handle.tolist() == [5, 6, 7]
        assert rows.kind.tolist() == [Kind.FLOAT64, Kind.INT64, TEXT_SPAN]
        assert rows.bits.view(np.float64)[0] == 12.5
        assert rows.bits.view(np.int64)[1] == -42
        assert rows.status.tolist() == [0, 0x480, 0]
        start, size = int(rows.bits[2]) >> 32, int(rows.bits[2]) & 0xFFFFFFFF
        assert body[start : start + size].decode() == "온도"
        assert rows.ticks.tolist() == [0x01D9C4B3A2F1C000, 0, 0x01D9C4B3A2F1C000]


@given(MIXED.filter(bool), st.data())
@settings(deadline=None)
def test_truncated_items_are_a_protocol_error(items, data):
    raw, part = one_part(items)
    end = data.draw(st.integers(0, part.size - 5))  # the last 4 bytes are DiagnosticInfos
    for walking in WAYS.values():
        with pytest.raises(ProtocolError):
            decode(raw[: part.start + end], Part(811, part.start, end), walking)


@given(MIXED.filter(bool), st.data())
@settings(deadline=None, max_examples=300)
def test_both_ways_agree_on_damaged_bytes(items, data):
    raw, part = one_part(items)
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(part.start, part.start + part.size - 1))] = data.draw(st.integers(0, 255))
    assert outcome(bytes(damaged), part, None) == outcome(bytes(damaged), part, walk)


@given(st.binary(max_size=200), st.integers(0, 40))
@example(b"\xff\xff\xff\x7f", 0)
@settings(deadline=None)
def test_both_ways_agree_on_garbage(data, n):
    body = n.to_bytes(4, "little") + data
    assert outcome(body, Part(811, 0, len(body)), None) == outcome(body, Part(811, 0, len(body)), walk)


def outcome(raw, part, walking):
    try:
        rows, _ = decode(raw, part, walking)
    except ProtocolError:
        return None
    values = [value_of_damaged(rows, raw, k) for k in range(len(rows.handle))]
    return rows.handle.tolist(), values, rows.status.tolist(), rows.ticks.tolist()


def value_of_damaged(rows, raw, row):
    kind, bits = int(rows.kind[row]), int(rows.bits[row])
    return (kind, rows.texts[bits]) if kind == Kind.TEXT else (kind, bits)


def test_nested_values_and_null_arrays_bound_their_work():
    depth = b"\x98\x01\x00\x00\x00" * 40  # Variant arrays of length 1 in each other
    body = (1).to_bytes(4, "little") + struct.pack("<IB", 1, 1) + depth
    with pytest.raises(ProtocolError):
        decode(body, Part(811, 0, len(body)))
    nulls = b"".join(struct.pack("<IBBi", k, 1, 0x80, 10_000) for k in range(2000))
    body = (2000).to_bytes(4, "little") + nulls + bytes(10_000)
    rows, _ = decode(body, Part(811, 0, len(body)))
    assert (rows.kind == UNSUPPORTED).all()


def test_structures_are_unsupported_and_their_neighbours_are_read():
    argument = ua.Variant(ua.Argument(Name="x"), VariantType.ExtensionObject)
    items = [number(1, 1.5), item(2, ua.DataValue(argument)), number(3, 2.5)]
    raw, part = one_part(items)
    for way in WAYS:
        assert [row[1] for row in rows_of(raw, part, way)] == [Kind.FLOAT64, UNSUPPORTED, Kind.FLOAT64]


def test_a_guid_reads_as_people_write_it():
    guid = UUID("01234567-89ab-cdef-0123-456789abcdef")
    raw, part = one_part([item(1, ua.DataValue(ua.Variant(guid, VariantType.Guid)))])
    assert rows_of(raw, part, "numba")[0][2] == "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize("way", WAYS)
@given(MIXED, st.integers(0, 2))
def test_the_values_of_a_read_are_those_of_a_notification(way, items, diagnostics):
    raw, part = one_part(items)
    response = ua.ReadResponse()
    response.Results = [one.Value for one in items]
    response.DiagnosticInfos = [ua.DiagnosticInfo() for _ in range(diagnostics)]
    read = struct_to_binary(response)
    rows, _ = decode(read, split_read(read), WAYS[way], BARE)
    found = [(0, *value_of(rows, read, int(rows.kind[k]), int(rows.bits[k]))) for k in range(len(items))]
    assert found == [(0, *row[1:3]) for row in rows_of(raw, part, way)]
    assert not rows.handle.any()
    assert rows.status.tolist() == [row[3] for row in rows_of(raw, part, way)]
    assert rows.ticks.tolist() == [row[4] for row in rows_of(raw, part, way)]


@given(MIXED, st.data())
def test_a_torn_read_is_an_error_or_fewer_bytes_behind_the_array(items, data):
    response = ua.ReadResponse()
    response.Results = [one.Value for one in items]
    read = struct_to_binary(response)
    whole = split_read(read)
    cut = data.draw(st.integers(whole.start, len(read)))
    for walk_ in WAYS.values():
        try:
            rows, _ = decode(read[:cut], Part(whole.type, whole.start, cut - whole.start), walk_, BARE)
        except ProtocolError:
            continue
        assert len(rows.handle) == len(items)
