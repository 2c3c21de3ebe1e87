"""Servers that bear less than they say: found by trying, remembered over restarts, and said where a tag has no room."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.opcua.config import OpcUaLink
from connectors.opcua.limits import PART
from edge_agent.memory import LinkMemory
from tests.conformance.rig import Collector
from tests.real.limited_server import NAMESPACE, LimitedServer
from tests.real.test_opcua_values import collect, link

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
BAD_TOO_MANY_MONITORED_ITEMS = 0x80DB0000


def tags(server: LimitedServer, count: int, **more: object) -> OpcUaLink:
    return link(server.url, {f"t{k}": f"nsu={NAMESPACE};s=t{k}" for k in range(count)}, **more)


def kept(memory: LinkMemory) -> dict[str, int]:
    """What of the limits is on its way to the disk."""
    return memory._all()[PART]["learned"]["refused"]


async def again(memory: LinkMemory, made: OpcUaLink, count: int) -> Collector:
    """After a restart of the agent: the memory read from its file."""
    memory.write(memory.take())
    fresh = LinkMemory(memory._path)
    return await collect(made, lambda out: len(out.latest) == count, memory=fresh)


async def test_items_of_a_call_are_halved_and_remembered_over_a_restart(tmp_path: Path) -> None:
    memory = LinkMemory(tmp_path / "plc.json")
    with LimitedServer(tmp_path, "--tags", "300", "--per-call", "40") as server:
        out = await collect(tags(server, 300), lambda out: len(out.latest) == 300, memory=memory)
        assert not any(status for _, status, _ in out.latest.values())
        assert kept(memory)["items"] == 37, "300, 150, 75, 37"
        first = server.stop()["refused"]
        assert first["create"] >= 3
        server.start()
        await again(memory, tags(server, 300), 300)
        assert server.stop()["refused"].get("create", 0) == 0
        server.start()


@pytest.mark.long
async def test_reads_of_a_call_are_halved_and_remembered_over_a_restart(tmp_path: Path) -> None:
    memory = LinkMemory(tmp_path / "plc.json")
    with LimitedServer(tmp_path, "--tags", "300", "--per-call", "40") as server:
        made = tags(server, 0, collect="poll", tags=[
            {"tag": f"t{k}", "node": f"nsu={NAMESPACE};s=t{k}", "interval": "200ms"} for k in range(300)
        ])  # fmt: skip
        await collect(made, lambda out: len(out.latest) == 300, memory=memory)
        assert kept(memory)["reads"] == 37
        assert server.stop()["refused"]["read"] >= 3
        server.start()
        await again(memory, made, 300)
        assert server.stop()["refused"].get("read", 0) == 0
        server.start()


@pytest.mark.parametrize("whole", [("--whole",), pytest.param((), marks=pytest.mark.long)])
async def test_a_server_that_is_full_says_so_of_each_tag_and_the_others_run(
    tmp_path: Path, whole: tuple[str, ...]
) -> None:
    with LimitedServer(tmp_path, "--tags", "60", "--items", "25", *whole) as server:
        out = await collect(tags(server, 60), lambda out: len(out.latest) == 60 and bool(out.notices))
    assert [out.latest[k][:2] for k in range(1, 25)] == [(float(k), 0) for k in range(1, 25)]
    assert {out.latest[k][:2] for k in range(25, 60)} == {(None, BAD_TOO_MANY_MONITORED_ITEMS)}
    (said,) = [notice for notice in out.notices if notice.key == "opcua_no_room"]
    assert "35" in said.text.en
    assert "t25" in said.text.en


async def test_publish_requests_that_are_too_many_are_fewer_from_then_on(tmp_path: Path) -> None:
    memory = LinkMemory(tmp_path / "plc.json")
    with LimitedServer(tmp_path, "--publish", "2") as server:
        out = await collect(tags(server, 1), lambda out: len(out.of(0)) > 20, memory=memory)
        values = [out.of(0).value(k) for k in range(len(out.of(0)))]
        assert values == [values[0] + k for k in range(len(values))], "nothing is lost over it"
        assert kept(memory)["publishers"] == 2
        assert server.stop()["refused"]["publish"] == 2
        server.start()
        memory.write(memory.take())
        await collect(tags(server, 1), lambda out: len(out.of(0)) > 20, memory=LinkMemory(tmp_path / "plc.json"))
        assert server.stop()["refused"].get("publish", 0) == 0
        server.start()


@pytest.mark.parametrize(
    ("says", "chosen", "largest"),
    [
        ("Siemens AG S7-1200", "auto", 100),
        pytest.param("Siemens AG S7-1200", "none", 300, marks=pytest.mark.long),
        pytest.param("", "mitsubishi", 100, marks=pytest.mark.long),
    ],
)
async def test_a_profile_holds_where_the_server_tells_nothing(
    tmp_path: Path, says: str, chosen: str, largest: int
) -> None:
    with LimitedServer(tmp_path, "--tags", "300", "--manufacturer", says) as server:
        await collect(tags(server, 300, profile=chosen), lambda out: len(out.latest) == 300)
        assert server.stop()["largest"] == largest
        server.start()
