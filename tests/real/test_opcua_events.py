"""Events of real OPC UA servers become events of ours: each once, over breaks, restarts and refreshes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from asyncua import Client, ua

from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink
from edge_agent.api import EdgeAgentError, Event, EventClass, EventState, Memory, Severity, SystemClock
from edge_agent.memory import LinkMemory
from tests.conformance.rig import Collector
from tests.conformance.rig_opcua import OpcUaRig
from tests.real.opcua_relay import RESET, StepRelay
from tests.real.rig import config, finish, hub, plc, run_command, start
from tests.real.test_opcua_values import link
from tests.servers.databases import InfluxDB
from tests.servers.sources import NodeOpcua

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(made: OpcUaLink, memory: Memory | None = None) -> AsyncIterator[Collector]:
    """A connector after the other, until the block ends."""
    out = Collector()
    kept = LinkMemory(Path("/nowhere"))

    async def run() -> None:
        while True:
            with suppress(EdgeAgentError):
                await OpcUaConnector(made, list(range(len(made.tag_list()))), SystemClock(), memory or kept).run(out)
            await anyio.sleep(0.1)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        yield out
        group.cancel_scope.cancel()


async def until(condition: Callable[[], Any], timeout: float = 30.0) -> None:
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.02)


async def told_once(rig: OpcUaRig, out: Collector, message: str, severity: int) -> None:
    """Publishes until the link hears: when it begins to listen can't be seen from outside."""
    with anyio.fail_after(30):
        while not any(event.text.en.endswith(message) for event in out.happened):
            await rig.publish({"event": [message, severity]})
            await anyio.sleep(0.2)


@asynccontextmanager
async def operator(server: NodeOpcua) -> AsyncIterator[Callable[[str, float | str], Awaitable[None]]]:
    """Who sets the level of the tank, and announces."""
    types = {"TankLevel": ua.VariantType.Double, "Announce": ua.VariantType.String}

    async def write(name: str, value: float | str) -> None:
        await client.get_node(server.node_id(name)).write_value(ua.DataValue(ua.Variant(value, types[name])))

    async with Client(server.url, timeout=20) as client:
        yield write


def alarms(out: Collector) -> list[Event]:
    return [event for event in out.happened if event.detector == "link/plc/2:TankLevel/TankAlarm"]


def announced(out: Collector, text: str) -> list[Event]:
    return [event for event in out.happened if event.text.ko == f"Tank: {text}"]


async def test_alarms_of_another_make_over_a_break_and_a_restart_of_the_agent(
    node_opcua: Callable[..., NodeOpcua], tmp_path: Path
) -> None:
    server = node_opcua(alarms=True)
    memory = LinkMemory(tmp_path / "plc.json")
    tags = {"a": server.node_id("MovingDouble")}
    with StepRelay(server.port) as relay:
        made = link(f"opc.tcp://127.0.0.1:{relay.port}/", tags, events={"severity": 100}, keep_alive="10s")
        async with operator(server) as write:
            async with running(made, memory) as out:
                await write("TankLevel", 0.95)  # active before the agent listens: only a refresh can tell of it
                await until(lambda: len(alarms(out)) == 1)
                await write("Announce", "하나")
                await until(lambda: announced(out, "하나") and out.latest)
                relay.arm("Publish", RESET)
                assert await anyio.to_thread.run_sync(relay.fired.wait, 30)
                await write("TankLevel", 0.5)
                await write("Announce", "둘")
                await until(lambda: len(alarms(out)) == 2)
                await until(lambda: announced(out, "둘") or not out.reconnections)  # only a session that went on has it
                await write("TankLevel", 0.1)
                await until(lambda: len(alarms(out)) == 3)
            await write("TankLevel", 0.5)
            async with running(made, memory) as later:
                await until(lambda: alarms(later))
                await write("Announce", "셋")
                await until(lambda: announced(later, "셋"))
    high, over, low, gone = *alarms(out), *alarms(later)
    assert [one.state for one in (high, over, low, gone)] == [EventState.OPEN, EventState.CLOSED] * 2
    assert (high.id, high.start, low.id, low.start) == (over.id, over.start, gone.id, gone.start)
    assert high.start < over.end < low.start < gone.end
    assert (high.event_class, high.severity, high.path) == (EventClass.PROCESS, Severity.NOTICE, "press")
    assert high.text.en == "2:TankLevel: Condition is 0.950 and state is HighHigh"
    assert {"event_type": "ExclusiveLimitAlarmType", "acked": 0.0}.items() <= high.evidence.items()
    assert high.evidence["condition"] == "nsu=urn:test:node-opcua;s=TankAlarm"
    told = [len(announced(one, text)) for one in (out, later) for text in ("하나", "둘", "셋")]
    assert told[1] == 1 or (told[1] == 0 and not out.reconnections)  # a new session begins without what it missed
    assert (told[0], told[2:]) == (1, [0, 0, 0, 1])
    assert announced(out, "하나")[0].severity is Severity.WARNING
    assert not [reason for reason in out.losses + later.losses if reason.startswith("event")]


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_they_take_the_whole_road(
    node_opcua: Callable[..., NodeOpcua], influxdb: InfluxDB, tmp_path: Path
) -> None:
    """Journal, hub and view have an alarm that began before the agent and ended while the agent was down, killed."""
    server = node_opcua(alarms=True)
    async with operator(server) as write:
        await write("TankLevel", 0.95)
        one_link = plc(server.url, {"a": server.node_id("MovingDouble")}, events=True, keep_alive="10s")
        agent = start(tmp_path, config([one_link], [hub(influxdb)]), HUB_TOKEN=influxdb.token)

        def alarm(state: str) -> Callable[[dict[str, Any]], bool]:
            return lambda s: [e["state"] for e in s["events"] if e["detector"].endswith("TankAlarm")] == [state]

        await anyio.to_thread.run_sync(agent.until, "the alarm", alarm("open"))
        kept = agent.folder / "state" / "learned" / "plc.json"
        await until(lambda: kept.exists() and "TankAlarm" in kept.read_text("utf-8"))
        agent.kill()
        await write("TankLevel", 0.5)
        await anyio.to_thread.run_sync(agent.start)
        await anyio.to_thread.run_sync(agent.until, "its end", alarm("closed"))
        await write("Announce", "문이 열렸다")
        said = 'SELECT * FROM "event" WHERE "machine" = \'m0\''
        with anyio.fail_after(60):
            while len(rows := influxdb.query_influxql(said)) < 2 or any(row["state"] == "open" for row in rows):
                await anyio.sleep(0.2)
        await anyio.to_thread.run_sync(finish, agent)
    by_detector = {row["detector"]: row for row in rows}
    alarmed = by_detector["link/plc/2:TankLevel/TankAlarm"]
    assert (alarmed["site"], alarmed["class"], alarmed["state"]) == ("plant", "process", "closed")
    assert json.loads(alarmed["evidence"])["event_type"] == "ExclusiveLimitAlarmType"
    assert by_detector["link/plc/Tank/BaseEventType"]["text_ko"] == "Tank: 문이 열렸다"
    exported = run_command(agent, "journal", "export", agent.command[-1], "--events")
    assert exported.returncode == 0
    assert exported.stdout.count("TankAlarm") == 2


@pytest.mark.long
async def test_what_a_restarted_server_no_longer_tells_of_is_over(node_opcua: Callable[..., NodeOpcua]) -> None:
    server = node_opcua(alarms=True)
    async with running(link(server.url, {"a": server.node_id("MovingDouble")}, events=True, keep_alive="10s")) as out:
        async with operator(server) as write:
            await write("TankLevel", 0.1)
            await until(lambda: alarms(out))
        await anyio.to_thread.run_sync(server.stop)
        await anyio.to_thread.run_sync(server.start)  # with the tank half full
        await until(lambda: len(alarms(out)) == 2, 60)
    low, gone = alarms(out)
    assert (low.id, gone.state, gone.evidence["end_unseen"]) == (gone.id, EventState.CLOSED, 1.0)


@pytest.mark.long
async def test_plain_events_of_a_python_server_and_a_node_that_does_not_notify(tmp_path: Path) -> None:
    rig = OpcUaRig(tmp_path)
    await rig.start()
    try:
        nothing = {"node": "nsu=urn:test:rig;s=nothing"}
        async with running(rig.link(["number"], events=[{"severity": 300}, nothing], keep_alive="10s")) as out:
            await told_once(rig, out, "begun", 300)
            out.happened.clear()
            await rig.publish({"event": ["유압 펌프 과열", 299]})
            await rig.publish({"event": ["유압 펌프 과열", 900]})
            await rig.publish({"event": ["door", 400]})
            await until(lambda: any(event.text.en.endswith("door") for event in out.happened))
            assert [one.severity for one in out.notices if one.key.endswith("s=nothing")] == [Severity.WARNING]
        events = [event for event in out.happened if not event.text.en.endswith("begun")]
        assert [event.text.ko for event in events] == ["Server: 유압 펌프 과열", "Server: door"]
        assert [event.severity for event in events] == [Severity.CRITICAL, Severity.NOTICE]
        first = events[0]
        assert (first.path, first.detector, first.state) == ("press", "link/rig/Server/PressEvent", EventState.CLOSED)
        assert first.event_class is EventClass.MACHINE
        assert first.start == first.end > 0
        assert {"event_type": "PressEvent", "source": "i=2253", "severity": 900.0}.items() <= first.evidence.items()
        assert len({event.id for event in out.happened}) == len(out.happened)
    finally:
        await rig.stop()
