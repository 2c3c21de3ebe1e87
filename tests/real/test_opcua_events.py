"""Events of real OPC UA servers become events of ours: each once, over breaks, restarts and refreshes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink
from edge_agent.api import EventClass, EventState, Memory, Severity, SystemClock
from tests.conformance.rig import Collector
from tests.conformance.rig_opcua import OpcUaRig

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(made: OpcUaLink, memory: Memory | None = None) -> AsyncIterator[Collector]:
    """A connector, until the block ends."""
    out = Collector()
    connector = OpcUaConnector(made, list(range(len(made.tag_list()))), SystemClock(), memory)
    async with anyio.create_task_group() as group:
        group.start_soon(connector.run, out)
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


async def test_plain_events_of_a_python_server_and_a_node_that_does_not_notify(tmp_path: Path) -> None:
    rig = OpcUaRig(tmp_path)
    await rig.start()
    try:
        nothing = {"node": "nsu=urn:test:rig;s=nothing"}
        async with running(rig.link(["number"], events=[{"severity": 300}, nothing])) as out:
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
