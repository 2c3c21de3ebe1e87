"""Gaps filled from a server's own history: each value once, marked, after the live ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import pytest

from connectors.opcua import history
from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink
from edge_agent.api import Flag, Frame, SystemClock
from edge_agent.inbox import Inbox
from edge_agent.memory import LinkMemory
from edge_agent.supervise import LinkHealth, LinkSupervisor
from tests.real.relay import PASS, RESET, Relay
from tests.real.test_opcua_values import MOVING, link
from tests.servers.sources import NodeOpcua

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

PERIOD_MS = 50
KEPT = 20_000


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "AFTER_S", 0.1)
    monkeypatch.setattr(history, "LOOK_S", 0.05)


@pytest.fixture
def kept(node_opcua: Callable[..., NodeOpcua]) -> NodeOpcua:
    """A server that keeps what its moving variables were."""
    return node_opcua(period_ms=PERIOD_MS, history=KEPT)


@pytest.fixture
def relay(kept: NodeOpcua) -> Iterator[Relay]:
    with Relay(kept.port) as relay:
        yield relay


class Running:
    """A link as the agent runs it; `rows` is everything that came out of it, in order."""

    def __init__(self, made: OpcUaLink, memory: LinkMemory) -> None:
        self.health, self.inbox = LinkHealth("plc", "opcua"), Inbox(1_000_000)
        self.frames: list[Frame] = []
        numbers = list(range(len(made.tags)))
        self.supervisor = LinkSupervisor(
            self.health,
            numbers,
            lambda: OpcUaConnector(made, numbers, SystemClock(), memory),
            self.inbox,
            SystemClock(),
        )

    @property
    def rows(self) -> Frame:
        self.frames += self.inbox.take(0)[0]
        return Frame.concat(self.frames)

    def of(self, number: int) -> Frame:
        """What the server said of one tag, at its own time."""
        rows = self.rows
        return rows.rows((rows.tag == number) & (rows.flags & (Flag.AGENT | Flag.RECEIVE_TIME) == 0))

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


def link_over(relay: Relay, server: NodeOpcua, **more) -> OpcUaLink:
    nodes = {name.lower(): server.node_id(name) for name in MOVING}
    return link(f"opc.tcp://127.0.0.1:{relay.port}", nodes, **{"history": True, "timeout": "10s"} | more)


def ticks(server: NodeOpcua, rows: Frame) -> list[int]:
    return [server.tick_of(time) for time in rows.time.tolist()]


def parts(server: NodeOpcua, rows: Frame) -> tuple[list[int], list[int]]:
    """Ticks that came live, and ticks that came from history, each in the order in which they came."""
    past = (rows.flags & Flag.BACKFILL) != 0
    return ticks(server, rows.rows(~past)), ticks(server, rows.rows(past))


def whole(server: NodeOpcua, rows: Frame) -> bool:
    """Whether the history reaches from one live value to the next."""
    live, past = parts(server, rows)
    return bool(past) and {past[0] - 1, past[-1] + 1} <= set(live)


async def cut(relay: Relay, server: NodeOpcua, one: Running, count: int) -> None:
    """No connection, until the server is so many ticks further than what came."""
    relay.mode = RESET
    await one.until(lambda: one.health.state == "down")
    last = max(ticks(server, one.of(0)))
    clock = SystemClock()
    await one.until(lambda: clock.wall() > server.source_ns(last + count))
    relay.mode = PASS


async def test_what_was_missed_is_there_once_and_marked_and_came_after_what_is_live(
    kept: NodeOpcua, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "VALUES", 7)  # so that continuation points are needed
    memory = LinkMemory(tmp_path / "plc.json")
    numbers = range(len(MOVING))
    async with running(link_over(relay, kept, keep_alive="500ms"), memory) as one:
        await one.until(lambda: all(len(one.of(number)) > 3 for number in numbers))
        await cut(relay, kept, one, 60)
        await one.until(lambda: all(whole(kept, one.of(number)) for number in numbers))
    for number, (name, value) in enumerate(MOVING.items()):
        rows = one.of(number)
        came = ticks(kept, rows)
        assert len(came) == len(set(came)), name
        assert [rows.value(k) for k in range(len(rows))] == [value(c) for c in came], name
        _, past = parts(kept, rows)
        assert past == list(range(past[0], past[-1] + 1)), name
        assert len(past) >= 50, name
        first = int(np.flatnonzero(rows.flags & Flag.BACKFILL)[0])
        assert past[-1] + 1 in came[:first], "live first"
