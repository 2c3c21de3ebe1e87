"""The data path of a connection over a session whose responses are written here, in the vendor's encoding."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

import anyio
import anyio.lowlevel
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua.decoder import Decoder
from connectors.opcua.plan import make_plan
from connectors.opcua.subscription import Subscription
from edge_agent.api import Flag, NotConnected, ProtocolError, Status, SystemClock, TimedOut
from tests.conformance.rig import Collector
from tests.unit.opcua.responses import data_change, item, number, publish_response
from tests.unit.opcua.test_plan import link

pytestmark = pytest.mark.anyio

BAD_MESSAGE_NOT_AVAILABLE = 0x807B0000
TOO_MANY = 0x80780000
QUIET = Decoder(kernel=False)


class Server:
    """The other side of a session: answers publishes from `script`, then keeps them waiting."""

    def __init__(self, *script, refuse=(), chunk=1000, republished=()):
        self.script = deque(script)
        self.refuse = dict(refuse)
        self.largest_chunk = chunk
        self.republished = dict(republished)
        self.namespaces = ["http://opcfoundation.org/UA/"]
        self.waiting = self.waiting_most = 0
        self.acknowledged = []
        self.calls = []
        self.deleted = []

    async def create_subscription(self, params, callback):
        return ua.CreateSubscriptionResult(
            SubscriptionId=7,
            RevisedPublishingInterval=params.RequestedPublishingInterval,
            RevisedMaxKeepAliveCount=params.RequestedMaxKeepAliveCount,
        )

    async def read_values(self, numbers):
        return [self.namespaces, 0, *[None] * len(numbers)][: len(numbers)]

    async def publish_raw(self, acknowledgements):
        self.acknowledged += [entry.SequenceNumber for entry in acknowledgements]
        self.waiting += 1
        self.waiting_most = max(self.waiting, self.waiting_most)
        try:
            await anyio.lowlevel.checkpoint()
            if not self.script:
                await anyio.sleep_forever()
            answer = self.script.popleft()
        finally:
            self.waiting -= 1
        if isinstance(answer, int):
            raise UaStatusCodeError(answer)
        return answer

    async def republish_raw(self, subscription, sequence):
        if sequence not in self.republished:
            raise UaStatusCodeError(BAD_MESSAGE_NOT_AVAILABLE)
        response = ua.RepublishResponse()
        response.NotificationMessage.SequenceNumber = sequence
        response.NotificationMessage.NotificationData = [data_change(self.republished[sequence])]
        return struct_to_binary(response)

    async def create_items_raw(self, params):
        if len(params.ItemsToCreate) > self.largest_chunk:
            raise UaStatusCodeError(0x80100000)
        handles = [entry.RequestedParameters.ClientHandle for entry in params.ItemsToCreate]
        self.calls.append(handles)
        response = ua.CreateMonitoredItemsResponse()
        response.Results = [
            ua.MonitoredItemCreateResult(
                StatusCode=ua.StatusCode(ua.UInt32(self.refuse.get(h, 0))), MonitoredItemId=1000 + h
            )
            for h in handles
        ]
        return struct_to_binary(response)

    async def delete_monitored_items(self, params):
        self.deleted += params.MonitoredItemIds


def response(sequence, *values, **more):
    at = datetime.now(UTC)
    return publish_response([data_change([number(h, v, at) for h, v in enumerate(values)])], sequence=sequence, **more)


async def run(server, *, tags=3, until, publishers=1, retry=60.0, silence=60.0, out=None):
    """Runs a subscription until `until(out)`; answers the outlet."""
    out = out or Collector()
    plan = make_plan(link(*({} for _ in range(tags))), list(range(tags)))
    made = Subscription(server, plan, out, SystemClock(), "opc.tcp://x", QUIET)
    await made.create(3.0)
    async with anyio.create_task_group() as group:
        for _ in range(publishers):
            group.start_soon(made.publish)
        group.start_soon(made.tend, retry)
        group.start_soon(made.watch, silence)
        with anyio.fail_after(10):
            while not until(out):
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    return out


def values(out):
    return [frame.floats().tolist() for frame in out.frames]


async def test_frames_come_in_order_and_are_acknowledged():
    server = Server(*(response(k, float(k)) for k in range(1, 20)))
    out = await run(server, publishers=4, until=lambda out: len(out.frames) == 19 and server.waiting == 4)
    assert values(out) == [[float(k)] for k in range(1, 20)]
    assert sorted(server.acknowledged) == list(range(1, 20))
    assert server.waiting_most == 4


async def test_a_slow_outlet_leaves_no_request_at_the_server_and_loses_nothing():
    out = Collector()
    out.shut()
    server = Server(*(response(k, float(k)) for k in range(1, 20)))

    def opens(_):
        if out.waiting and not server.waiting:
            out.open()
        return len(out.frames) == 19

    await run(server, publishers=4, until=opens, out=out)
    assert values(out) == [[float(k)] for k in range(1, 20)]
    assert out.waiting_most == 1


async def test_a_keep_alive_is_a_sign_of_life():
    out = await run(Server(publish_response([])), until=lambda out: out.signs)
    assert out.signs == 1


async def test_what_is_missing_is_asked_for_once_more_and_kept_in_order():
    server = Server(response(1, 1.0), response(3, 3.0), republished={2: [number(0, 2.0, datetime.now(UTC))]})
    out = await run(server, until=lambda out: len(out.frames) == 3 and server.waiting)
    assert values(out) == [[1.0], [2.0], [3.0]]
    assert server.acknowledged == [1, 2, 3]
    assert not out.losses
    assert not server.deleted


async def test_what_the_server_no_longer_has_is_counted_and_all_items_are_made_anew():
    server = Server(response(1, 1.0), response(4, 4.0))
    out = await run(server, until=lambda out: len(server.calls) == 2)
    assert out.losses == {"republish_failed": 2}
    assert sorted(server.deleted) == [1000, 1001, 1002]
    assert server.calls == [[0, 1, 2], [0, 1, 2]]


async def test_overflow_is_counted_as_loss():
    over = item(0, ua.DataValue(ua.Variant(1.0), ua.StatusCode(ua.UInt32(0x480))))
    out = await run(Server(publish_response([data_change([over])])), until=lambda out: out.frames)
    assert out.losses == {"overflow": 1}
    assert out.rows.flags[0] & Flag.OVERFLOW


async def test_fewer_publishers_where_the_server_wants_fewer():
    server = Server(TOO_MANY, TOO_MANY, *(response(k, float(k)) for k in range(1, 9)))
    out = await run(server, publishers=4, until=lambda out: len(out.frames) == 8 and server.waiting == 2)
    assert values(out) == [[float(k)] for k in range(1, 9)]


async def test_the_last_publisher_stays():
    server = Server(TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, response(1, 1.0))
    await run(server, publishers=4, until=lambda out: out.frames and server.waiting == 1)


async def test_a_publish_that_timed_out_is_asked_again():
    await run(Server(0x800A0000, response(1, 1.0)), until=lambda out: out.frames)


async def test_the_end_of_the_subscription_is_the_end_of_the_link():
    ended = ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(0x800A0000)))
    with pytest.raises(ExceptionGroup) as caught:
        await run(Server(publish_response([ended])), until=lambda out: False)
    assert caught.group_contains(NotConnected, match="BadTimeout")


async def test_broken_bytes_end_the_link_and_nothing_of_them_is_used():
    out = Collector()
    with pytest.raises(ExceptionGroup) as caught:
        await run(Server(response(1, 1.0, 2.0)[:-20]), until=lambda out: False, out=out)
    assert caught.group_contains(ProtocolError)
    assert not out.frames


async def test_silence_ends_the_link():
    with pytest.raises(ExceptionGroup) as caught:
        await run(Server(), until=lambda out: False, silence=0.05)
    assert caught.group_contains(TimedOut)


async def test_a_full_outlet_is_no_silence():
    out = Collector()
    out.shut()
    with anyio.move_on_after(0.5):
        await run(Server(response(1, 1.0)), until=lambda out: False, silence=0.05, out=out)
    out.open()


async def test_refused_items_are_told_once_and_retried_until_they_are_there():
    unknown = int(Status.BAD_NODE_ID_UNKNOWN)
    server = Server(refuse={1: unknown})

    def heal(_):
        if len(server.calls) == 3:
            server.refuse.clear()
        return len(server.calls) == 4 and server.calls[-1] == [1]

    out = await run(server, until=heal, retry=0.02)
    assert server.calls == [[0, 1, 2], [1], [1], [1]]
    assert out.rows.tag.tolist() == [1]
    assert out.rows.status.tolist() == [unknown]


async def test_another_reason_is_told_again():
    server = Server(refuse={1: int(Status.BAD_NODE_ID_UNKNOWN)})

    def change(out):
        server.refuse = {1: 0x801F0000} if len(out.frames) == 1 else server.refuse
        return len(out.frames) == 2

    out = await run(server, until=change, retry=0.02)
    assert out.rows.status.tolist() == [Status.BAD_NODE_ID_UNKNOWN, 0x801F0000]


async def test_calls_are_halved_until_the_server_takes_them():
    server = Server(chunk=3)
    await run(server, tags=20, until=lambda out: sum(map(len, server.calls)) == 20)
    assert [handle for call in server.calls for handle in call] == list(range(20))
    assert max(map(len, server.calls)) == 2  # 1000 → 20 / 2 → 5 → 2


async def test_a_namespace_that_is_not_there_is_a_bad_tag():
    plan = make_plan(link({"node": "nsu=urn:later;s=a"}, {}), [0, 1])
    out, server = Collector(), Server()
    made = Subscription(server, plan, out, SystemClock(), "opc.tcp://x", QUIET)
    await made.create(3.0)
    async with anyio.create_task_group() as group:
        group.start_soon(made.tend, 0.02)
        assert await out.until_bad(0) == Status.BAD_NODE_ID_UNKNOWN
        assert server.calls == [[1]]
        server.namespaces.append("urn:later")
        with anyio.fail_after(5):
            while len(server.calls) < 2:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert server.calls == [[1], [0]]


async def test_a_server_that_publishes_more_slowly_still_gives_signs_of_life_in_time():
    asked = []

    class Slow(Server):
        async def create_subscription(self, params, callback):
            return ua.CreateSubscriptionResult(
                SubscriptionId=7,
                RevisedPublishingInterval=2000.0,
                RevisedMaxKeepAliveCount=params.RequestedMaxKeepAliveCount,
            )

        async def update_subscription(self, params):
            asked.append(params)
            return ua.ModifySubscriptionResult(2000.0, 60, params.RequestedMaxKeepAliveCount)

    made = Subscription(
        Slow(), make_plan(link({}), [0]), Collector(), SystemClock(), "opc.tcp://x", Decoder(kernel=False)
    )
    assert await made.create(3.0) == 2.0
    assert asked[0].RequestedMaxKeepAliveCount == 1


async def test_a_server_without_deadbands_has_them_done_here_and_says_so():
    class Unfiltered(Server):
        async def create_items_raw(self, params):
            self.refuse = {
                entry.RequestedParameters.ClientHandle: 0x80440000
                for entry in params.ItemsToCreate
                if isinstance(entry.RequestedParameters.Filter, ua.DataChangeFilter)
            }
            return await super().create_items_raw(params)

    server, out = Unfiltered(), Collector()
    plan = make_plan(link({"deadband": 2}, {"deadband": "1%"}, {}), [0, 1, 2])
    made = Subscription(server, plan, out, SystemClock(), "opc.tcp://x", QUIET)
    await made.create(3.0)
    async with anyio.create_task_group() as group:
        group.start_soon(made.tend, 60.0)
        with anyio.fail_after(10):
            while not made.made:
                await anyio.sleep(0.001)
        assert server.calls == [[0, 1, 2], [0, 1]]
        assert made.bare == [0, 1]
        server.script.extend(response(k, float(k), float(k), float(k)) for k in range(1, 7))
        group.start_soon(made.publish)
        with anyio.fail_after(10):
            while len(out.of(2)) < 6:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert out.of(0).floats().tolist() == [1.0, 4.0]
    assert out.of(1).floats().tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "its range is not known"
    assert not out.of(0).status.any()
