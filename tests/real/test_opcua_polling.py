"""Cyclic reads of OPC UA servers that were not written here."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import numpy as np
import pytest

from connectors.opcua.config import Band, OpcUaLink
from edge_agent.api import Flag, Frame, Status
from tests.conformance.rig_opcua import polled
from tests.real.opcua_relay import BLACK_HOLE, RESET, StepRelay
from tests.real.test_opcua_faults import PERIOD_MS, TAGS, patient, supervised
from tests.real.test_opcua_values import MOVING, STILL, collect, link
from tests.servers.sources import NodeOpcua, Uafast

__all__ = ["patient"]
BAD_INDEX_RANGE_NO_DATA = 0x80370000
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


def polling(url: str, nodes: dict[str, str], interval: float = 0.05, **more: str) -> OpcUaLink:
    """A link that reads all of them every `interval` seconds."""
    return polled(link(url, nodes, **more), interval)


async def test_every_type_is_exact_and_what_stands_still_comes_once(node_opcua: Callable[..., NodeOpcua]) -> None:
    server = node_opcua(period_ms=50)
    names = [*STILL, "DoubleArray", "Bad", "Uncertain", "MovingDouble"]
    made = polling(server.url, {name.lower(): f"nsu=urn:test:node-opcua;s={name}" for name in names})
    moving = names.index("MovingDouble")
    out = await collect(made, lambda out: len(out.latest) == len(names) and len(out.of(moving)) > 10)
    seen = {name: out.latest[k] for k, name in enumerate(names)}
    assert {name: seen[name][0] for name in STILL} == STILL
    assert all(seen[name][1] == 0 for name in STILL)
    assert seen["DoubleArray"][:2] == (None, Status.BAD_TYPE_MISMATCH)
    assert seen["Bad"][:2] == (None, Status.BAD_SENSOR_FAILURE)
    assert seen["Uncertain"][:2] == (1.5, Status.UNCERTAIN_LAST_USABLE_VALUE)
    assert {name: len(out.of(k)) for k, name in enumerate(names) if name != "MovingDouble"} == dict.fromkeys(
        names[:-1], 1
    )
    rows = out.of(moving)
    rows = rows.rows(rows.flags == 0)
    assert [rows.value(k) for k in range(len(rows))] == [
        MOVING["MovingDouble"](server.tick_of(int(t))) for t in rows.time
    ]


@pytest.mark.parametrize("mixed", [False, True])
async def test_each_row_is_what_the_server_had_at_that_time_and_none_comes_twice(
    uafast: Callable[..., Uafast], mixed: bool
) -> None:
    server = uafast(n=400, period_ms=100, mixed=mixed, bad_every=97)
    made = polling(server.url, {f"t{k}": server.node_id(k) for k in range(server.n)})
    out = await collect(made, lambda out: sum(map(len, out.frames)) > 10 * server.n)
    rows = out.rows
    rows = rows.rows(rows.flags & Flag.RECEIVE_TIME == 0)
    ticks = (rows.time - server.t0_ns) // (server.period_ms * 1_000_000)
    pairs = list(zip(rows.tag.tolist(), ticks.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert [rows.value(k) for k in range(len(rows))] == [server.value(*pair) for pair in pairs]


async def test_read_and_subscribed_tags_of_one_link_go_side_by_side(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    made = link(server.url, {f"t{k}": server.node_id(k) for k in range(TAGS)})
    slow = made.tags[2].model_copy(update={"sampling": None, "interval": 0.4, "collect": "poll"})
    made = made.model_copy(update={"tags": (*made.tags[:2], slow, *made.tags[3:])})
    out = await collect(made, lambda out: len(out.of(2)) > 5)
    assert set(out.latest) == set(range(TAGS))
    assert min(np.diff(out.of(2).time)) >= 2 * PERIOD_MS * 1_000_000
    assert set(np.diff(out.of(0).time).tolist()) == {PERIOD_MS * 1_000_000}


async def test_a_session_that_only_reads_goes_on_over_another_connection(
    uafast: Callable[..., Uafast], patient: dict[str, str]
) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        url = f"opc.tcp://127.0.0.1:{relay.port}"
        made = polling(url, {f"t{k}": server.node_id(k) for k in range(TAGS)}, **patient)
        async with supervised(made) as one:
            await one.until_more(5)
            relay.arm("Read", RESET)
            await anyio.to_thread.run_sync(relay.fired.wait, 30)
            await one.until_more(10)
        assert relay.seen["CreateSession"] == 1
        assert relay.seen["CreateSubscription"] == 0
        assert one.health.reconnects == 1


async def test_a_line_that_swallows_everything_is_left(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        url = f"opc.tcp://127.0.0.1:{relay.port}"
        made = polling(url, {f"t{k}": server.node_id(k) for k in range(TAGS)}, timeout="2s", keep_alive="1s")
        async with supervised(made) as one:
            await one.until_more(5)
            relay.arm("Read", BLACK_HOLE)
            await anyio.to_thread.run_sync(relay.fired.wait, 30)
            await one.until_more(5)
        assert one.health.reconnects >= 1


async def test_a_slow_cycle_lets_no_session_die(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        url = f"opc.tcp://127.0.0.1:{relay.port}"
        made = polling(
            url, {f"t{k}": server.node_id(k) for k in range(TAGS)}, 3600.0, keep_alive="100ms", timeout="20s"
        )
        async with supervised(made) as one:
            await one.until_more(1)
            before = relay.seen["Read"]
            with anyio.fail_after(40):
                while relay.seen["Read"] < before + 3:
                    await anyio.sleep(0.05)
        assert len(Frame.concat(one.frames)) == TAGS


@pytest.mark.parametrize("collect_by", ["subscribe", pytest.param("poll", marks=pytest.mark.long)])
async def test_changes_within_the_deadband_do_not_come(node_opcua: Callable[..., NodeOpcua], collect_by: str) -> None:
    server = node_opcua(period_ms=50)
    made = link(server.url, {"all": server.node_id("MovingDouble"), "some": server.node_id("MovingDouble")})
    every, some = made.tags
    made = made.model_copy(update={"tags": (every, some.model_copy(update={"deadband": Band(1.0)}))})
    if collect_by == "poll":
        made = polled(made, 0.05)
    out = await collect(made, lambda out: len(out.of(1)) > 4)
    steps = np.abs(np.diff(out.of(1).floats()))
    assert steps.min() > 1.0, "each row is farther than the deadband from the one before"
    assert len(out.of(0)) > len(out.of(1))


@pytest.mark.parametrize("collect_by", ["subscribe", pytest.param("poll", marks=pytest.mark.long)])
async def test_one_element_of_an_array_is_a_tag(node_opcua: Callable[..., NodeOpcua], collect_by: str) -> None:
    server = node_opcua(period_ms=50)
    node = server.node_id("DoubleArray")
    tags = [{"tag": f"e{k}", "node": node, "element": k} for k in (0, 1, 99)]
    made = link(server.url, {}, collect=collect_by, tags=tags)
    out = await collect(made, lambda out: len(out.latest) == 3)
    assert [out.latest[k][:2] for k in (0, 1)] == [(0.1, 0), (-2.0, 0)]
    assert out.latest[2][:2] == (None, BAD_INDEX_RANGE_NO_DATA)
