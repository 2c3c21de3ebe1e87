"""A link whose line or server fails at each step of the protocol: it goes on, soon, and what was queued is not lost.

How soon is in the bench (`opcua_resume`): here nothing hangs on the machine's speed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import numpy as np
import pytest

from connectors.opcua import connection
from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink
from edge_agent.api import Frame, SystemClock
from edge_agent.inbox import Inbox
from edge_agent.supervise import LinkHealth, LinkSupervisor
from tests.real.opcua_relay import BLACK_HOLE, CLOSE, DELAY, FAULTS, HALF_CLOSE, RESET, SWALLOW, StepRelay
from tests.real.test_opcua_values import link
from tests.servers.sources import NodeOpcua, Uafast

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

TAGS = 5
PERIOD_MS = 50
SETUP = ("Hello", "OpenSecureChannel", "CreateSession", "ActivateSession", "CreateSubscription", "CreateMonitoredItems")


@dataclass
class Supervised:
    """A link as the agent runs it; `frames` is everything that came out of it."""

    health: LinkHealth
    inbox: Inbox
    frames: list[Frame]

    def drain(self) -> None:
        self.frames += self.inbox.take(0)[0]

    def good(self, number: int = 0) -> Frame:
        """The tag's good rows so far."""
        self.drain()
        rows = Frame.concat(self.frames)
        return rows.rows((rows.tag == number) & (rows.status == 0))

    async def until_more(self, count: int) -> None:
        """Waits until every tag has so many more good rows."""
        want = [len(self.good(number)) + count for number in range(TAGS)]
        with anyio.fail_after(60):
            while any(len(self.good(number)) < want[number] for number in range(TAGS)):
                await anyio.sleep(0.02)


@asynccontextmanager
async def supervised(made: OpcUaLink) -> AsyncIterator[Supervised]:
    one = Supervised(LinkHealth("plc", "opcua"), Inbox(100_000), [])
    numbers = list(range(TAGS))

    def connector() -> OpcUaConnector:
        return OpcUaConnector(made, numbers, SystemClock())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LinkSupervisor(one.health, numbers, connector, one.inbox, SystemClock()).run)
        yield one
        tasks.cancel_scope.cancel()


def link_over(relay: StepRelay, server: Uafast, **more: str) -> OpcUaLink:
    nodes = {f"t{k}": server.node_id(k) for k in range(TAGS)}
    return link(f"opc.tcp://127.0.0.1:{relay.port}", nodes, **{"timeout": "2s", "keep_alive": "1s"} | more)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings with which a machine that stalls for some seconds is not taken for a server that is gone."""
    monkeypatch.setattr(connection, "RESUME_SECONDS", 20.0)
    return {"timeout": "20s", "keep_alive": "10s"}


def gaps(rows: Frame) -> set[int]:
    """Steps of the source time in ms."""
    return set((np.diff(rows.time) // 1_000_000).tolist())


@pytest.mark.parametrize("fault", [RESET, CLOSE, HALF_CLOSE])
async def test_a_session_goes_on_over_another_connection_and_nothing_is_missing(
    uafast: Callable[..., Uafast], patient: dict[str, str], fault: str
) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        async with supervised(link_over(relay, server, **patient)) as one:
            await one.until_more(5)
            for _ in range(3):
                relay.arm("Publish", fault)
                await anyio.to_thread.run_sync(relay.fired.wait, 30)
                await one.until_more(10)
        assert relay.seen["CreateSession"] == 1
        assert relay.seen["CreateSubscription"] == 1
        assert one.health.reconnects == 3
        assert all(gaps(one.good(number)) == {PERIOD_MS} for number in range(TAGS))
        assert not one.health.lost


async def test_a_line_that_swallows_everything_is_left_and_what_the_queues_held_comes(
    uafast: Callable[..., Uafast],
) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        async with supervised(link_over(relay, server)) as one:
            await one.until_more(5)
            relay.arm("Publish", BLACK_HOLE)
            await anyio.to_thread.run_sync(relay.fired.wait, 30)
            await one.until_more(10)
        assert one.health.reconnects >= 1
        whole = all(gaps(one.good(number)) == {PERIOD_MS} for number in range(TAGS))
        assert whole or one.health.lost or relay.seen["CreateSession"] > 1, "unless the machine stood still as well"


async def test_a_session_of_another_make_goes_on_and_no_sample_comes_twice(
    node_opcua: Callable[..., NodeOpcua], patient: dict[str, str]
) -> None:
    server = node_opcua(period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        names = ["MovingDouble", "MovingFloat", "MovingInt32", "MovingUInt16", "MovingInt64"]
        made = link(
            f"opc.tcp://127.0.0.1:{relay.port}", {name.lower(): server.node_id(name) for name in names}, **patient
        )
        async with supervised(made) as one:
            await one.until_more(2)
            for fault in (RESET, CLOSE):
                relay.arm("Publish", fault)
                await anyio.to_thread.run_sync(relay.fired.wait, 30)
                await one.until_more(2)
        assert relay.seen["CreateSession"] == 1
        rows = one.good(0)
        assert min(gaps(rows)) >= PERIOD_MS, "its last sample, sent once more"
        assert not rows.flags.any()


SOME = [
    ("CreateSession", BLACK_HOLE),
    ("ActivateSession", RESET),
    ("CreateMonitoredItems", SWALLOW),
    ("Publish", DELAY),
]
ALL = [(step, fault) for step in (*SETUP, "Publish", "Read") for fault in FAULTS]


@pytest.mark.parametrize(
    ("step", "fault"),
    [pytest.param(*case, marks=() if case in SOME else pytest.mark.long) for case in ALL],
)
async def test_whatever_fails_at_whatever_step(uafast: Callable[..., Uafast], step: str, fault: str) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        relay.arm(step, fault)
        async with supervised(link_over(relay, server)) as one:
            await anyio.to_thread.run_sync(relay.fired.wait, 30)
            await one.until_more(10)
        assert relay.fired.is_set()
        assert relay.seen["CreateSession"] <= 1 + one.health.reconnects, "one a try"


async def test_a_session_that_breaks_while_it_goes_on_ends_in_a_new_one(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        async with supervised(link_over(relay, server)) as one:
            await one.until_more(5)
            relay.arm("Publish", RESET)
            await anyio.to_thread.run_sync(relay.fired.wait, 30)
            relay.arm("ActivateSession", RESET)
            await anyio.to_thread.run_sync(relay.fired.wait, 30)
            await one.until_more(10)
        assert relay.seen["CreateSession"] >= 2


@pytest.mark.parametrize("times", [2, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
async def test_a_server_that_restarts_is_found_again(uafast: Callable[..., Uafast], times: int) -> None:
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        async with supervised(link_over(relay, server)) as one:
            await one.until_more(2)
            for _ in range(times):
                server.kill()
                await anyio.to_thread.run_sync(server.start)
                before = relay.seen["CreateSession"]
                await one.until_more(2)
                assert relay.seen["CreateSession"] - before <= 1, "one session at the server that is new"
        assert 1 + times <= relay.seen["CreateSession"] <= 1 + one.health.reconnects


@pytest.mark.parametrize("times", [2, pytest.param(12, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
async def test_restarts_leave_no_task_and_no_handle_behind(uafast: Callable[..., Uafast], times: int) -> None:
    """Without a relay, for its sockets are in this process too."""
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    made = link(server.url, {f"t{k}": server.node_id(k) for k in range(TAGS)}, timeout="2s", keep_alive="1s")
    held: list[tuple[int, int]] = []
    async with supervised(made) as one:
        for _ in range(1 + times):
            await one.until_more(2)
            handles = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - in memory, and of this process
            held.append((len(asyncio.all_tasks()), handles))
            server.kill()
            await anyio.to_thread.run_sync(server.start)
    assert max(held[1:]) <= held[1], "as many as after the first restart"


async def test_a_close_that_is_never_answered_holds_nobody_up(uafast: Callable[..., Uafast]) -> None:
    """The subscription ends with an error while the session stands: the agent says goodbye, and hears nothing."""
    server = uafast(n=TAGS, period_ms=PERIOD_MS)
    with StepRelay(server.port) as relay:
        with anyio.fail_after(30):
            async with supervised(link_over(relay, server)) as one:
                await one.until_more(2)
                relay.arm("CloseSession", BLACK_HOLE)
        assert relay.fired.is_set()
