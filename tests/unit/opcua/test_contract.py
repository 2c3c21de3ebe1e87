"""What we rely on in asyncua beyond its documentation: one test a name. A new version that breaks one says so here."""

import inspect
import logging

import anyio
import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient
from asyncua.client.ua_session import UaSession
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_to_binary

import connectors.opcua.connection as product
from connectors.opcua.session import ColumnSession, Encoded, value_of

pytestmark = pytest.mark.anyio


async def test_send_request_takes_a_timeout_and_gives_the_undecoded_body():
    parameters = inspect.signature(UaSession._send_request).parameters
    assert list(parameters)[:3] == ["self", "request", "timeout"]
    asked = []

    class Transport:
        async def _send_request(self, request, timeout, message_type):
            asked.append((request, timeout))
            return Buffer(b"abc")

    session = ColumnSession(Transport())
    assert await session.publish_raw([ua.SubscriptionAcknowledgement(7, 3)]) == b"abc"
    assert await session.republish_raw(7, 4) == b"abc"
    (publish, timeout), (republish, _) = asked
    assert (timeout, publish.Parameters.SubscriptionAcknowledgements[0].SequenceNumber) == (0, 3)
    assert (republish.Parameters.SubscriptionId, republish.Parameters.RetransmitSequenceNumber) == (7, 4)


async def test_nodes_encoded_beforehand_make_the_very_request_of_the_vendor():
    asked = []

    class Transport:
        async def _send_request(self, request, timeout, message_type):
            asked.append(request)
            return Buffer(b"abc")

    nodes = [ua.NodeId(5, 2), ua.NodeId("가열로", 3), ua.NodeId(2**31, 300), ua.NodeId(b"\0\1", 4)]
    for count in range(len(nodes) + 1):
        assert await ColumnSession(Transport()).read_raw(Encoded.of([value_of(one) for one in nodes[:count]])) == b"abc"
        vendors = ua.ReadRequest(RequestHeader=asked[-1].RequestHeader)
        vendors.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        vendors.Parameters.NodesToRead = [ua.ReadValueId(NodeId=one, AttributeId=13) for one in nodes[:count]]
        assert struct_to_binary(asked[-1]) == struct_to_binary(vendors)


def test_bytes_of_a_buffer_at_its_start_are_the_very_bytes():
    data = b"x" * 1000
    assert bytes(Buffer(data)) is data


def test_the_session_is_an_attribute_that_can_be_replaced():
    assert isinstance(UaClient().session, UaSession)
    client = UaClient()
    session = ColumnSession.install(client)
    assert client.session is session


async def test_ensure_publish_loop_is_what_starts_it():
    assert "ensure_publish_loop" in inspect.getsource(UaSession.create_subscription)
    session = ColumnSession(UaClient())
    session.ensure_publish_loop()
    await anyio.lowlevel.checkpoint()
    assert session._publish_task is None


def test_the_steps_of_connecting_are_public_and_start_no_task():
    for step in ("connect_socket", "send_hello", "open_secure_channel", "create_session", "activate_session"):
        assert "create_task" not in inspect.getsource(getattr(Client, step))
    assert list(inspect.signature(Client.activate_session).parameters)[1:3] == ["username", "password"]


def test_session_and_channel_lifetimes_are_in_milliseconds():
    client = Client("opc.tcp://x:1")
    assert (client.session_timeout, client.secure_channel_timeout) == (3_600_000, 3_600_000)


def test_the_library_is_quiet():
    assert product.Connection
    assert not logging.getLogger("asyncua").isEnabledFor(logging.CRITICAL)
    assert not logging.getLogger("asyncua.client.ua_client.UASocketProtocol").isEnabledFor(logging.CRITICAL)
