"""Gaps filled from a server's own history: each value once, marked, after the live ones."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest

from connectors.opcua import history as filling
from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink
from edge_agent.api import Flag, Frame, Status, SystemClock
from edge_agent.inbox import Inbox
from edge_agent.journal.history import History
from edge_agent.memory import LinkMemory
from edge_agent.model.frame import Int64
from edge_agent.newest import newest
from edge_agent.supervise import LinkHealth, LinkSupervisor
from tests.fixtures_servers import required
from tests.real.opcua_recorder import Recorder
from tests.real.relay import HALF_OPEN, PASS, RESET, Relay
from tests.real.rig import config, finish, hub, plc, start, stored
from tests.real.test_opcua_values import MOVING, link
from tests.servers.databases import InfluxDB
from tests.servers.process import poll
from tests.servers.sources import NodeOpcua
from tests.unit.journal.material import open_journal, table

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PERIOD_MS = 50
KEPT = 20_000
AWAY_NS = 20 * PERIOD_MS * 1_000_000
NAMES = ("MovingDouble", "MovingString", "MovingStatus")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "AFTER_S", 0.1)
    monkeypatch.setattr(filling, "LOOK_S", 0.05)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, server_pki: Path) -> Iterator[NodeOpcua]:
    """A server that keeps what its moving variables were."""
    with required():
        server = NodeOpcua(tmp_path_factory.mktemp("kept"), PERIOD_MS, history=KEPT, pki=server_pki)
    with server:
        yield server


@pytest.fixture
def relay(kept: NodeOpcua) -> Iterator[Relay]:
    with Relay(kept.port) as relay:
        yield relay


def at_source_time(rows: Frame) -> Frame:
    return rows.rows(rows.flags & (Flag.AGENT | Flag.RECEIVE_TIME) == 0)


class Running:
    """A link as the agent runs it; `rows` is everything that came out of it, in order."""

    def __init__(self, made: OpcUaLink, memory: LinkMemory) -> None:
        self.health, self.inbox = LinkHealth("plc", "opcua"), Inbox(1_000_000)
        self.frames: list[Frame] = []
        numbers = list(range(len(made.tags)))
        self.connector: OpcUaConnector

        def connector() -> OpcUaConnector:
            self.connector = OpcUaConnector(made, numbers, SystemClock(), memory)
            return self.connector

        self.supervisor = LinkSupervisor(self.health, numbers, connector, self.inbox, SystemClock())

    @property
    def rows(self) -> Frame:
        self.frames += self.inbox.take(0)[0]
        return Frame.concat(self.frames)

    def rows_at_source_time(self) -> Frame:
        """What the server said, at its own time."""
        return at_source_time(self.rows)

    def of(self, number: int) -> Frame:
        """The same of one tag."""
        rows = self.rows_at_source_time()
        return rows.rows(rows.tag == number)

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(60):
            while not condition():
                await anyio.sleep(0.02)


@asynccontextmanager
async def running(made: OpcUaLink, memory: LinkMemory) -> AsyncIterator[Running]:
    one = Running(made, memory)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.supervisor.run)
        yield one
        tasks.cancel_scope.cancel()


def link_to(url: str, server: NodeOpcua, **more) -> OpcUaLink:
    tags = [{"tag": name.lower(), "node": server.node_id(name), **way(name)} for name in MOVING]
    return link(url, {}, **{"tags": tags, "history": True, "timeout": "10s", "keep_alive": "10s"} | more)


def way(name: str) -> dict[str, str | int]:
    """How a node is read. This make falls over where a queue overflows in which bad values are, or those of another's
    queue that overflowed: those of a session that was left without a word must be longer than it lives.
    """
    poll = {"collect": "poll", "interval": "100ms"}
    return poll if name == "MovingStatus" else {"sampling": "0s", "queue": 5000}


def ticks(server: NodeOpcua, rows: Frame) -> list[int]:
    return [server.tick_of(time) for time in rows.time.tolist()]


def missed(server: NodeOpcua, rows: Frame, last: int) -> set[int]:
    """The ticks between the last one before the break and the first that came live after it."""
    live = ticks(server, rows.rows((rows.flags & Flag.BACKFILL) == 0))
    after = [c for c in live if c > last]
    return set(range(last + 1, after[0])) if after else set()


def filled(server: NodeOpcua, rows: Frame, last: int) -> bool:
    wanted = missed(server, rows, last)
    return bool(wanted) and wanted <= set(ticks(server, rows))


def check(server: NodeOpcua, rows: Frame, last: int, name: str) -> None:
    """Each value once and exact, those that were missed marked, and live ones before them."""
    came = ticks(server, rows)
    assert len(came) == len(set(came)), name
    assert [rows.value(k) for k in range(len(rows))] == [MOVING[name](c) for c in came], name
    past = (rows.flags & Flag.BACKFILL) != 0
    wanted = missed(server, rows, last)
    assert wanted <= set(ticks(server, rows.rows(past))), name
    assert max(came[: int(np.flatnonzero(past)[0])]) > max(wanted), "live first"


async def cut(relay: Relay, one: Running) -> None:
    """No connection, for twenty ticks."""
    relay.mode = RESET
    await one.until(lambda: one.health.state != "up")
    end = time.time_ns() + AWAY_NS
    await one.until(lambda: time.time_ns() > end)


async def test_what_was_missed_is_there_once_and_marked_and_came_after_what_is_live(
    kept: NodeOpcua, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "VALUES", 7)  # so that continuation points are needed
    numbers = range(len(MOVING))
    async with running(link_to(f"opc.tcp://127.0.0.1:{relay.port}", kept), LinkMemory(tmp_path / "plc.json")) as one:
        await one.until(lambda: all(len(one.of(number)) > 3 for number in numbers))
        await cut(relay, one)
        last = [max(ticks(kept, one.of(number))) for number in numbers]
        relay.mode = PASS
        await one.until(lambda: all(filled(kept, one.of(number), last[number]) for number in numbers))
    for number, name in enumerate(MOVING):
        check(kept, one.of(number), last[number], name)


@pytest.mark.long
async def test_what_the_queues_of_a_session_that_went_on_did_not_hold_is_there_once(
    node_opcua: Callable[..., NodeOpcua], tmp_path: Path
) -> None:
    """The line swallows everything for longer than the queues are, then the session goes on over another connection."""
    kept, name = node_opcua(period_ms=PERIOD_MS, history=KEPT), "MovingDouble"
    tag = {"tag": "a", "node": kept.node_id(name), "sampling": "0s", "queue": 5}
    with Relay(kept.port) as relay:
        await _overflowing(kept, relay, tag, tmp_path)


async def _overflowing(kept: NodeOpcua, relay: Relay, tag: dict[str, str | int], folder: Path) -> None:
    made = link(f"opc.tcp://127.0.0.1:{relay.port}", {}, tags=[tag], history=True, timeout="20s", keep_alive="1s")
    async with running(made, LinkMemory(folder / "plc.json")) as one:
        await one.until(lambda: len(one.of(0)) > 3)
        relay.mode = HALF_OPEN
        await one.until(lambda: relay.connections > 1)
        relay.mode = PASS
        await one.until(lambda: bool((one.of(0).flags & Flag.BACKFILL).any()))
        await one.until(lambda: not len(one.connector._continuity.gaps))
    rows = one.of(0)
    came = ticks(kept, rows)
    assert len(came) == len(set(came))
    past = ticks(kept, rows.rows((rows.flags & Flag.BACKFILL) != 0))
    assert past == list(range(past[0], past[-1] + 1))
    assert {past[0] - 1, past[-1] + 1} <= set(came)
    assert [rows.value(k) for k in range(len(rows))] == [MOVING["MovingDouble"](c) for c in came]


async def test_what_was_missed_by_an_agent_that_was_killed_is_there_once(kept: NodeOpcua, tmp_path: Path) -> None:
    """Its journal lacks the last rows, and nothing was kept: what counts is what the journal has."""
    tags = table(len(MOVING))
    made, numbers = link_to(kept.url, kept), range(len(MOVING))
    async with running(made, LinkMemory(tmp_path / "plc.json")) as one:
        await one.until(lambda: all(len(one.of(number)) > 10 for number in numbers))
        rows = one.rows
        before = rows.rows(rows.time <= kept.source_ns(max(ticks(kept, at_source_time(rows))) - 3))
    journal = open_journal(tmp_path / "journal", tags)
    journal.append(before)
    journal.sync()

    def in_journal(numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        return newest(journal.path, [tags.paths[number] for number in numbers], since, past=past)

    last = [max(ticks(kept, at_source_time(before.rows(before.tag == number)))) for number in numbers]
    await anyio.sleep(AWAY_NS / 1e9)
    async with running(made, LinkMemory(tmp_path / "plc.json", newest=in_journal)) as one:
        one.frames.append(before)
        await one.until(lambda: all(filled(kept, one.of(number), last[number]) for number in numbers))
    journal.close()
    for number, name in enumerate(MOVING):
        check(kept, one.of(number), last[number], name)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_missed_while_the_agent_was_down_is_there_once(
    kept: NodeOpcua, tmp_path: Path, influxdb: InfluxDB, number: signal.Signals
) -> None:
    """In the journal, and at the hub: there `quality` tells which they are."""
    tags = [
        {"tag": name.lower(), "node": kept.node_id(name), "machine": "m0", "interval": "100ms"} | way(name)
        for name in NAMES
    ]
    links = [plc(kept.url, {}, history=True, tags=tags)]
    sections = config(links, [hub(influxdb)], detection={"enabled": True})
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
    names = [tag["tag"] for tag in tags]
    store = History(tmp_path / "agent" / "state" / "journal")

    def samples(tag: str) -> Frame:
        return at_source_time(store.frames([f"plant/l1/m0/{tag}"]).frame())

    poll("some rows", lambda: all(len(samples(tag)) > 5 for tag in names))
    agent.signal(number)
    agent.wait(20)
    last = {tag: max(ticks(kept, samples(tag))) for tag in names}
    time.sleep(AWAY_NS / 1e9)
    agent.start()
    poll("all of the gap", lambda: all(filled(kept, samples(tag), last[tag]) for tag in names))
    snapshot = agent.until("all of it at the hub", lambda s: s["ledger"][0]["waiting"] < 200)
    assert snapshot["machines"][0]["tags"][0]["value"] > (max(missed(kept, samples(names[0]), last[names[0]])) / 8)
    finish(agent)
    for name in NAMES:
        check(kept, samples(name.lower()), last[name.lower()], name)
    status = samples("movingstatus")
    past = status.rows((status.flags & Flag.BACKFILL) != 0)
    assert {0, Status.UNCERTAIN_LAST_USABLE_VALUE, Status.BAD_SENSOR_FAILURE} == set(past.status.tolist())
    at_hub = stored(influxdb, "movingdouble")
    for c in missed(kept, samples(names[0]), last[names[0]]):
        assert at_hub[kept.source_ns(c) // 1_000_000] == c / 8
    marked = influxdb.query_influxql(
        "SELECT backfill, quality FROM quality WHERE signal = 'movingdouble' AND backfill = 1"
    )
    assert marked
    assert {kept.tick_of(row["time"]) for row in marked} <= missed(kept, samples(names[0]), last[names[0]])
    raised = influxdb.query_influxql("SELECT id, detector, severity FROM event WHERE signal = 'movingdouble'")
    assert [row for row in raised if row["detector"] not in ("bad", "stale")] == []


@pytest.mark.long
@pytest.mark.parametrize("file", [None, "history.db"])
async def test_a_server_of_another_make_that_gives_less_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None
) -> None:
    monkeypatch.setattr(filling, "VALUES", 7)
    with Recorder(tmp_path, tmp_path / file if file else None) as server, Relay(server.port) as relay:
        nodes = {"kept": "ns=2;i=1", "plain": "ns=2;i=2"}
        made = link(f"opc.tcp://127.0.0.1:{relay.port}", nodes, history=True, timeout="10s", keep_alive="10s")
        async with running(made, LinkMemory(tmp_path / "plc.json")) as one:
            await one.until(lambda: all(len(one.of(number)) > 3 for number in range(2)))
            await cut(relay, one)
            last = max(server.tick_of(time) for time in one.of(0).time.tolist())
            relay.mode = PASS
            await one.until(lambda: bool((one.of(0).flags & Flag.BACKFILL).any()))
            await one.until(lambda: not len(one.connector._continuity.gaps))
        rows, plain = one.of(0), one.of(1)
        came = [server.tick_of(time) for time in rows.time.tolist()]
    past = (rows.flags & Flag.BACKFILL) != 0
    live = [c for c, is_past in zip(came, past.tolist(), strict=True) if not is_past]
    after = next(c for c in live if c > last)
    assert sorted(came)[: after - min(came) + 1] == list(range(min(came), after + 1)), "each once, in time's order"
    assert [rows.value(k) for k in range(len(rows))] == [c / 8 for c in came]
    assert not plain.flags.any()
    (notice,) = one.health.notices
    assert "1 tags (plain)" in notice.text.en
