"""A server that forgets an item while the others go on: its tag must not look fresh for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from asyncua import Server, ua

from connectors.opcua import silence
from connectors.opcua.config import OpcUaLink
from edge_agent.api import Frame
from edge_agent.model import Quality
from edge_agent.model.status import quality_of
from tests.real.test_opcua_faults import Supervised, supervised
from tests.real.test_opcua_values import link
from tests.servers.process import free_port

pytestmark = pytest.mark.anyio
NAMES = [f"t{k}" for k in range(5)]
TEXT = "t1"


def with_interval(made: OpcUaLink) -> OpcUaLink:
    """Tags that promise a value every 100 ms."""
    return made.model_copy(update={"tags": tuple(tag.model_copy(update={"interval": 0.1}) for tag in made.tags)})


async def until_quality(one: Supervised, quality: Quality) -> None:
    """Waits until the first tag's last row is of this quality."""
    with anyio.fail_after(40):
        while True:
            one.drain()
            rows = Frame.concat(one.frames)
            status = rows.status[rows.tag == 0]
            if quality_of(int(status[-1])) is quality:
                return
            await anyio.sleep(0.05)


class Forgetful:
    """asyncua's server with five counters; `forget` removes the items that watch a node and tells nobody."""

    def __init__(self, server: Server, nodes: dict[str, Any], url: str) -> None:
        self.server, self.nodes, self.url = server, nodes, url

    def forget(self, name: str) -> None:
        for subscription in self.server.iserver.subscription_service.subscriptions.values():
            service, node = subscription.monitored_item_srv, self.nodes[name].nodeid
            items = service._monitored_items.items()
            service.delete_monitored_items([number for number, item in items if item.read_value_id.NodeId == node])

    def lose(self, name: str) -> Any:
        """The node is gone from the address space, and nobody is told."""
        self.forget(name)
        node = self.nodes.pop(name)
        return node, self.server.iserver.aspace._nodes.pop(node.nodeid)

    def bring_back(self, name: str, gone: Any) -> None:
        """The same node again."""
        self.nodes[name], data = gone
        self.server.iserver.aspace._nodes[self.nodes[name].nodeid] = data

    async def count(self) -> None:
        """All counters move, ten times a second, for ever."""
        turn = 0
        while True:
            turn += 1
            for name, node in list(self.nodes.items()):
                await node.write_value(f"값 {turn}" if name == TEXT else float(turn))
            await anyio.sleep(0.1)


@pytest.fixture
async def forgetful() -> AsyncIterator[Forgetful]:
    server = Server()
    await server.init()
    url = f"opc.tcp://127.0.0.1:{free_port()}/"
    server.set_endpoint(url)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:test")
    folder = await server.nodes.objects.add_object(index, "line")
    first = dict.fromkeys(NAMES, 0.0) | {TEXT: "0"}
    nodes = {name: await folder.add_variable(ua.NodeId(name, index), name, first[name]) for name in NAMES}
    for node in nodes.values():
        await node.set_writable()
    async with server:
        yield Forgetful(server, nodes, url)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions after a second of silence in place of five."""
    monkeypatch.setattr(silence, "SHORTEST", 1.0)


@pytest.mark.timeout(120)
async def test_who_is_silent_is_asked_and_what_the_server_forgot_is_made_anew(forgetful: Forgetful) -> None:
    nodes = {name: node.nodeid.to_string() for name, node in forgetful.nodes.items()}
    async with anyio.create_task_group() as tasks:
        async with supervised(
            with_interval(link(forgetful.url, nodes, retry_items="1s", keep_alive="10s", timeout="20s"))
        ) as one:
            await one.until_more(1)
            await anyio.sleep(3)  # nobody says anything: questions are asked, and nothing comes of them
            assert [len(one.good(number)) for number in range(len(NAMES))] == [1] * len(NAMES)
            assert not one.health.lost
            tasks.start_soon(forgetful.count)
            await one.until_more(2)
            forgetful.forget("t0")
            forgetful.forget(TEXT)
            with anyio.fail_after(40):
                while one.health.lost.get("item_forgotten", 0) < 2:
                    await anyio.sleep(0.05)
            await one.until_more(5)
            gone = forgetful.lose("t0")
            await until_quality(one, Quality.BAD)
            forgetful.bring_back("t0", gone)
            await until_quality(one, Quality.GOOD)
            await one.until_more(5)
        tasks.cancel_scope.cancel()
    assert one.health.lost.keys() == {"item_forgotten"}
    assert one.health.reconnects == 0
