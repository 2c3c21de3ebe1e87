import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.wire import (
    DATA_CHANGE,
    STATUS_CHANGE,
    Cursor,
    split_created,
    split_publish,
    split_republish,
    status_of,
)
from edge_agent.api import ProtocolError
from tests.unit.opcua.responses import data_change, number, publish_response


def test_takes_a_response_apart():
    notifications = [
        data_change([number(1, 2.5)]),
        ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(0x800A0000))),
        ua.EventNotificationList(),
    ]
    raw = publish_response(notifications, sequence=41, subscription=9, results=3)
    message = split_publish(raw)
    assert (message.subscription, message.sequence) == (9, 41)
    assert [part.type for part in message.parts] == [DATA_CHANGE, STATUS_CHANGE, 916]
    assert status_of(raw, message.parts[1]) == 0x800A0000


def test_a_keep_alive_has_no_parts():
    assert split_publish(publish_response([])).parts == ()


def test_reads_what_is_published_once_more():
    response = ua.RepublishResponse()
    response.NotificationMessage.SequenceNumber = 12
    response.NotificationMessage.NotificationData = [data_change([number(1, 2.5)])]
    message = split_republish(struct_to_binary(response), 9)
    assert (message.subscription, message.sequence, len(message.parts)) == (9, 12, 1)


def test_passes_diagnostics_by():
    info = ua.DiagnosticInfo(SymbolicId=3, Locale=2, AdditionalInfo="가", InnerStatusCode=ua.StatusCode())
    response = ua.PublishResponse()
    response.ResponseHeader.ServiceDiagnostics = info
    response.Parameters.DiagnosticInfos = [info, info]
    response.Parameters.SubscriptionId = 77
    assert split_publish(struct_to_binary(response)).subscription == 77


def test_passes_nested_diagnostics_by():
    # by hand, after Part 6, 5.2.2.12: asyncua can't write them
    raw = bytes.fromhex("4f 01000000 02000000 03000000 0400000070 02000000 6869 0000348000aa")
    cursor = Cursor(raw)
    cursor.skip_diagnostics()
    assert cursor.pos == len(raw) - 1
    with pytest.raises(ProtocolError, match="nested"):
        Cursor(b"\x40" * 200).skip_diagnostics()


def test_another_response_is_refused():
    with pytest.raises(ProtocolError, match="type 835 in place of 829"):
        split_publish(struct_to_binary(ua.RepublishResponse()))


def test_reads_what_became_of_each_item():
    response = ua.CreateMonitoredItemsResponse()
    unknown = ua.StatusCode(ua.UInt32(0x80340000))
    response.Results = [
        ua.MonitoredItemCreateResult(MonitoredItemId=5, RevisedSamplingInterval=50.0, RevisedQueueSize=9),
        ua.MonitoredItemCreateResult(StatusCode=unknown, FilterResult=ua.EventFilterResult()),
        ua.MonitoredItemCreateResult(MonitoredItemId=4294967295),
    ]
    raw = struct_to_binary(response)
    assert split_created(raw) == ([0, 0x80340000, 0], [5, 0, 4294967295])
    with pytest.raises(ProtocolError):
        split_created(raw[:-20])


def test_every_truncation_is_a_protocol_error():
    raw = publish_response([data_change([number(1, 2.5)]), ua.StatusChangeNotification()], results=2)
    assert len(split_publish(raw).parts) == 2
    for end in range(len(raw)):
        with pytest.raises(ProtocolError):
            split_publish(raw[:end])


@pytest.mark.parametrize("place", [20, 24, 40, 60])
def test_huge_counts_allocate_nothing(place):
    raw = bytearray(publish_response([data_change([number(1, 2.5)])]))
    raw[place : place + 4] = (0x7FFF_FFFF).to_bytes(4, "little")
    try:
        split_publish(bytes(raw))
    except ProtocolError:
        return


@given(st.binary(max_size=300))
def test_garbage_is_a_protocol_error_or_a_message(data):
    for raw in (data, publish_response([])[:28] + data):
        try:
            message = split_publish(raw)
        except ProtocolError:
            continue
        assert all(0 <= part.start <= part.start + part.size <= len(raw) for part in message.parts)


@given(
    st.sampled_from(
        [
            ua.TwoByteNodeId(200),
            ua.FourByteNodeId(811),
            ua.NumericNodeId(811, 0),
            ua.NumericNodeId(70000, 3),
            ua.StringNodeId("가열로", 2),
            ua.ByteStringNodeId(b"abc", 2),
            ua.GuidNodeId(__import__("uuid").UUID(int=5), 2),
        ]
    )
)
def test_node_ids_are_passed_to_their_end(node):
    from asyncua.ua.ua_binary import nodeid_to_binary

    raw = nodeid_to_binary(node)
    cursor = Cursor(raw)
    found = cursor.node_id()
    assert cursor.pos == len(raw)
    expected = node.Identifier if isinstance(node.Identifier, int) and node.NamespaceIndex == 0 else -1
    assert found == expected
