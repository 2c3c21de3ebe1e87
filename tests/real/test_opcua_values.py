"""Values from OPC UA servers that were not written here: exact in every type, none missing, each with its own time."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import anyio
import numpy as np
import pytest

from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink
from edge_agent.api import Flag, Frame, Kind, Status, SystemClock
from tests.conformance.rig import Collector
from tests.servers.sources import NodeOpcua, Uafast

pytestmark = pytest.mark.anyio

STILL = {
    "Boolean": True,
    "SByte": -128,
    "Byte": 255,
    "Int16": -32768,
    "UInt16": 65535,
    "Int32": -2147483648,
    "UInt32": 4294967295,
    "Int64": -(2**63),
    "UInt64": 2**64 - 1,
    "Float": float(np.float32(0.1)),
    "Double": 0.1,
    "String": "가열로 1호 온도 🔥",
    "DateTime": "2026-01-02T03:04:05.6780000Z",
    "Guid": "01234567-89ab-cdef-0123-456789abcdef",
    "ByteString": "0001feff",
    "LocalizedText": "정상",
}
MOVING = {
    "MovingDouble": lambda c: c / 8,
    "MovingFloat": lambda c: (c % 4096) / 8,
    "MovingInt32": lambda c: -c if c % 2 else c,
    "MovingUInt16": lambda c: c % 65536,
    "MovingInt64": lambda c: (-1 if c % 2 else 1) * (2**62 + c),
    "MovingUInt64": lambda c: 2**63 + c,
    "MovingBoolean": lambda c: c % 2 == 1,
    "MovingString": lambda c: f"값 {c}",
    "MovingStatus": lambda c: None if c % 10 == 9 else c / 8,
}


def link(url: str, nodes: dict[str, str], **more) -> OpcUaLink:
    section = {
        "name": "plc",
        "connector": "opcua",
        "machine": "press",
        "url": url,
        "security": {"policy": "None", "insecure": "loopback"},
        "publishing_interval": "50ms",
        "keep_alive": "1s",
        "tags": [{"tag": name, "node": node, "sampling": "0s"} for name, node in nodes.items()],
    }
    return OpcUaLink.model_validate(section | more)


async def collect(made: OpcUaLink, done: Callable[[Collector], bool], timeout: float = 40.0, **options) -> Collector:
    out = Collector()
    connector = OpcUaConnector(made, list(range(len(made.tag_list()))), SystemClock(), **options)
    async with anyio.create_task_group() as group:
        group.start_soon(connector.run, out)
        with anyio.fail_after(timeout):
            while not done(out):
                await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    return out


async def test_every_type_of_another_make_is_exact(node_opcua: Callable[..., NodeOpcua]) -> None:
    server = node_opcua(period_ms=50)
    names = [*STILL, "DoubleArray", "Bad", "Uncertain"]
    made = link(server.url, {name.lower(): f"nsu=urn:test:node-opcua;s={name}" for name in names})
    out = await collect(made, lambda out: len(out.latest) == len(names))
    seen = {name: out.latest[k] for k, name in enumerate(names)}
    assert {name: seen[name][0] for name in STILL} == STILL
    assert {name: type(seen[name][0]) for name in STILL} == {name: type(value) for name, value in STILL.items()}
    assert all(seen[name][1] == 0 for name in STILL)
    assert int(out.of(names.index("Float")).kind[0]) == Kind.FLOAT32
    assert seen["DoubleArray"][:2] == (None, Status.BAD_TYPE_MISMATCH)
    assert seen["Bad"][:2] == (None, Status.BAD_SENSOR_FAILURE)
    assert seen["Uncertain"][:2] == (1.5, Status.UNCERTAIN_LAST_USABLE_VALUE)


async def test_moving_values_of_another_make_are_exact_and_in_order(node_opcua: Callable[..., NodeOpcua]) -> None:
    """That none is missing is not asked here: this server folds changes that come within its sampling interval."""
    server = node_opcua(period_ms=100)
    made = link(server.url, {name.lower(): server.node_id(name) for name in MOVING})
    out = await collect(made, lambda out: sum(map(len, out.frames)) > 40 * len(MOVING))
    assert not out.losses
    for number, (name, value) in enumerate(MOVING.items()):
        rows = out.of(number)
        believed = rows.rows(rows.flags == 0)
        assert len(believed) > 20
        ticks = [server.tick_of(int(t)) for t in believed.time]
        assert all(b > a for a, b in itertools.pairwise(ticks)), name
        assert [believed.value(k) for k in range(len(believed))] == [value(c) for c in ticks], name
    status = out.of(len(MOVING) - 1)
    assert {0, Status.UNCERTAIN_LAST_USABLE_VALUE, Status.BAD_SENSOR_FAILURE} == set(status.status.tolist())


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
async def test_nothing_of_a_fast_server_is_missing(uafast: Callable[..., Uafast], mixed: bool, kernel: bool) -> None:
    if mixed and kernel:
        import connectors.opcua.kernel  # noqa: F401  # a loaded walk is used from the first second on
    server = uafast(n=800, period_ms=50, mixed=mixed, bad_every=97)
    made = link(server.url, {f"t{k}": server.node_id(k) for k in range(server.n)})
    out = await collect(made, lambda out: sum(map(len, out.frames)) > 30 * server.n, kernel=kernel)
    assert not out.losses
    check_whole(server, out.rows, least=20)


def check_whole(server: Uafast, rows: Frame, *, least: int) -> None:
    """Each tag's ticks follow each other without a gap, and every row is what the server published at its tick."""
    rows = rows.rows(rows.flags & Flag.RECEIVE_TIME == 0)
    order = np.argsort(rows.tag, kind="stable")
    rows = rows.rows(order)
    ticks = (rows.time - server.t0_ns) // (server.period_ms * 1_000_000)
    same = rows.tag[1:] == rows.tag[:-1]
    assert (np.diff(ticks)[same] == 1).all()
    assert len(rows) >= least * server.n
    wrong = [
        (int(tag), int(c), rows.value(k))
        for k, (tag, c) in enumerate(zip(rows.tag, ticks, strict=True))
        if rows.value(k) != server.value(int(tag), int(c))
        or (rows.status[k] == Status.BAD_SENSOR_FAILURE) != (server.value(int(tag), int(c)) is None)
    ]
    assert wrong == []


@pytest.mark.timeout(120)
async def test_ten_thousand_items_are_subscribed_in_calls_the_server_takes(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=12_000, period_ms=200)
    made = link(server.url, {f"t{k}": server.node_id(k) for k in range(server.n)}, publishing_interval="200ms")
    out = await collect(made, lambda out: len(out.latest) == server.n and len(out.frames) > 4, timeout=90)
    check_whole(server, out.rows, least=1)
    assert "overflow" not in out.losses


async def test_a_bad_tag_spares_its_neighbours_and_comes_when_it_can(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=3, period_ms=50)
    nodes = {
        "a": server.node_id(0),
        "unknown": "ns=2;i=99",
        "no_namespace": "nsu=urn:none;s=x",
        "object": "i=85",
        "b": server.node_id(2),
    }
    out = await collect(link(server.url, nodes), lambda out: len(out.latest) == 5 and len(out.of(4)) > 10)
    assert [out.latest[k][1] >> 16 for k in (1, 2)] == [0x8034, 0x8034]
    assert out.latest[3][1] >> 31 == 1
    assert len(out.of(1)) == len(out.of(2)) == 1
    assert out.latest[0][1] == out.latest[4][1] == 0


async def test_numba_stays_out_where_nothing_is_mixed_or_fast(uafast: Callable[..., Uafast], tmp_path) -> None:
    server = uafast(n=50, period_ms=50)
    code = (
        "import sys, anyio\n"
        "from tests.real.test_opcua_values import collect, link\n"
        f"made = link({server.url!r}, {{f't{{k}}': f'ns=2;i={{1000 + k}}' for k in range(50)}})\n"
        "anyio.run(collect, made, lambda out: len(out.frames) > 30)\n"
        "print('numba' in sys.modules)"
    )
    with anyio.fail_after(50):
        done = await anyio.run_process([sys.executable, "-c", code])
    assert done.stdout == b"False\n"
