"""Cyclic reads over a session whose answers are written here: calls, refusals, and what is another sample."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua.decoder import Decoder
from connectors.opcua.plan import make_plan
from connectors.opcua.polling import Polling, calls_of
from edge_agent.api import Flag, ProtocolError, Status, SystemClock
from tests.conformance.rig import Collector
from tests.unit.opcua.test_plan import link

pytestmark = pytest.mark.anyio

TOO_MANY = 0x80100000
NOT_SUPPORTED = 0x800B0000
ENCODING = 0x80060000


class Server:
    """The other side of a session: answers the k-th read of each node with `script(node, k)`."""

    def __init__(self, script, *, most=1000, told=0, poison=(), short=False):
        self.script, self.most, self.told, self.poison, self.short = script, most, told, set(poison), short
        self.sizes = []
        self.turn = 0
        self.namespaces = ["http://opcfoundation.org/UA/"]

    async def read(self, parameters):
        facts = [self.namespaces, None, None, self.told or None, *[None] * 7]
        return [ua.DataValue(ua.Variant(one)) for one in facts[: len(parameters.NodesToRead)]]

    async def register_nodes(self, nodes):
        raise UaStatusCodeError(NOT_SUPPORTED)

    async def read_raw(self, encoded):
        await anyio.lowlevel.checkpoint()
        nodes = [encoded[at + 3] for at in range(0, 21 * len(encoded), 21)]  # 3: the number's lowest byte
        if len(nodes) > self.most:
            raise UaStatusCodeError(TOO_MANY)
        if self.poison & set(nodes):
            raise UaStatusCodeError(ENCODING)
        self.sizes.append(len(nodes))
        response = ua.ReadResponse()
        response.Results = [self.script(node, self.turn) for node in nodes[: -1 if self.short else None]]
        self.turn += 1
        return struct_to_binary(response)


def value(number, at=None, status=0):
    return ua.DataValue(ua.Variant(number), ua.StatusCode(ua.UInt32(status)), SourceTimestamp=at)


async def run(server, tags, *, until, more=None):
    made = link(*({"node": f"i={k}", "interval": "50ms"} for k in range(tags)), collect="poll", **(more or {}))
    out = Collector()
    polling = Polling(server, make_plan(made, list(range(tags))), out, SystemClock(), Decoder(kernel=False), 5.0)
    async with anyio.create_task_group() as group:
        group.start_soon(polling.tend, 0.05)
        for cycle in polling.cycles:
            group.start_soon(polling.poll, cycle)
        with anyio.fail_after(10):
            while not until(out):
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    return out


async def test_calls_are_halved_until_the_server_takes_them_and_stay_so():
    server = Server(lambda node, turn: value(float(turn)), most=3)
    out = await run(server, 10, until=lambda out: len(server.sizes) >= 12)
    assert server.sizes[:4] == [2, 3, 2, 3]
    assert server.sizes[4:8] == [2, 3, 2, 3]
    assert len(out.latest) == 10


async def test_a_node_that_spoils_its_call_is_a_bad_tag_and_the_others_go_on():
    server = Server(lambda node, turn: value(float(turn)), poison={3})
    out = await run(server, 6, until=lambda out: len(server.sizes) > 20)
    assert out.latest[3][:2] == (None, ENCODING)
    assert len(out.of(3)) == 1
    assert all(out.latest[k][1] == 0 for k in (0, 1, 2, 4, 5))


async def test_what_the_server_tells_of_its_limit_is_kept():
    server = Server(lambda node, turn: value(1.0), told=4)
    await run(server, 10, until=lambda out: len(server.sizes) >= 6)
    assert server.sizes[:3] == [4, 4, 2]


async def test_the_same_sample_is_one_row_however_often_it_is_read():
    now = datetime.now(UTC)
    script = {
        0: lambda turn: value(5.0, now),  # stands still
        1: lambda turn: value(5.0),  # no source time: each reading is a sample
        2: lambda turn: value(float(turn), now),  # another value at the same source time
        3: lambda turn: value(5.0, now + timedelta(milliseconds=turn)),
        4: lambda turn: value(5.0, now, Status.BAD_SENSOR_FAILURE if turn % 2 else 0),
        5: lambda turn: value(None, now + timedelta(milliseconds=turn), Status.BAD_SENSOR_FAILURE),
        6: lambda turn: value(5.0, now - timedelta(days=9000)),  # a clock that stands still, long ago
        7: lambda turn: value("가" if turn < 3 else "나", now),
        8: lambda turn: value(float("nan"), now),
    }
    server = Server(lambda node, turn: script[node](turn))
    out = await run(server, len(script), until=lambda out: len(out.of(1)) >= 8)
    turns = len(out.of(1))
    assert [len(out.of(k)) for k in range(len(script))] == [1, turns, turns, turns, turns, 1, 1, 2, 1]
    assert (out.of(1).flags & Flag.RECEIVE_TIME).all()
    assert (out.of(2).flags[1:] & Flag.RECEIVE_TIME).all()
    assert out.of(2).floats().tolist() == [float(k) for k in range(turns)]
    assert [out.of(7).value(k) for k in range(2)] == ["가", "나"]
    assert out.latest[8][:2] == (None, Status.BAD_OUT_OF_RANGE)


async def test_a_node_of_a_namespace_that_is_not_there_is_told_once_and_comes_with_it():
    server = Server(lambda node, turn: value(1.0))
    made = link({"node": "nsu=urn:later;i=0"}, {"node": "i=1"}, collect="poll")
    out = Collector()
    polling = Polling(server, make_plan(made, [0, 1]), out, SystemClock(), Decoder(kernel=False), 5.0)
    async with anyio.create_task_group() as group:
        group.start_soon(polling.tend, 0.02)
        group.start_soon(polling.poll, polling.cycles[0])
        await out.until_all([0, 1])
        await anyio.sleep(0.1)
        assert out.of(0).status.tolist() == [Status.BAD_NODE_ID_UNKNOWN]
        server.namespaces.append("urn:later")
        await out.until_value(0, 1.0)
        group.cancel_scope.cancel()


async def test_readings_that_could_not_be_in_time_are_counted():
    class Slow(Server):
        async def read_raw(self, encoded):
            await anyio.sleep(0.17)
            return await super().read_raw(encoded)

    server = Slow(lambda node, turn: value(float(turn)))
    out = await run(server, 2, until=lambda out: out.losses.get("poll_skipped", 0) >= 4)
    assert out.losses["poll_skipped"] % 2 == 0


async def test_fewer_values_than_nodes_are_no_answer():
    with pytest.RaisesGroup(ProtocolError, flatten_subgroups=True):
        await run(Server(lambda node, turn: value(1.0), short=True), 3, until=lambda out: False)


def test_calls_hold_at_most_so_many_nodes_and_bytes():
    elements = {k: bytes(30) for k in range(10)}
    assert [len(one.nodes) for one in calls_of(range(12), elements, 4, 1000)] == [4, 4, 2]
    assert [len(one.nodes) for one in calls_of(range(10), elements, 100, 90)] == [3, 3, 3, 1]
    assert [len(one.nodes) for one in calls_of(range(2), {0: bytes(500), 1: bytes(500)}, 100, 90)] == [1, 1]
    assert calls_of((), elements, 4, 1000) == []
