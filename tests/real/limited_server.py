"""A server with limits that it does not tell, asyncua's own, in a process of its own.

As a program: ``python -m tests.real.limited_server --port PORT [--tags N] [--per-call N] [--items N] [--publish N]
[--manufacturer NAME]``. Below Objects, namespace ``urn:test:limited``, ``t0``, ``t1`` … are Doubles, each its own
number; ``t0`` changes every 50 ms. Of its OperationLimits every one is 0.

``--per-call`` refuses a CreateMonitoredItems or Read of more, BadTooManyOperations. ``--items`` is the room for items:
those beyond it are refused, BadTooManyMonitoredItems, each for itself, or with ``--whole`` the call. ``--publish`` is
how many publish requests it holds: the oldest beyond that is answered with BadTooManyPublishRequests. The line at the
end has ``refused`` (calls by service) and ``largest`` (items of the largest call that passed).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.servers.sources import Source

NAMESPACE = "urn:test:limited"
_LIMITS = (
    "MaxNodesPerRead",
    "MaxNodesPerBrowse",
    "MaxNodesPerTranslateBrowsePathsToNodeIds",
    "MaxMonitoredItemsPerCall",
)
refused: Counter[str] = Counter()
largest = 0


class LimitedServer(Source):
    """The server above; ``options`` as on the command line."""

    name = "limited"

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.options = options
        super().__init__(folder, port=port)
        self.url = f"opc.tcp://127.0.0.1:{self.port}/"

    def _command(self) -> list[str | Path]:
        return [sys.executable, "-m", __name__, "--port", str(self.port), *self.options]


def _bound(options: argparse.Namespace) -> None:
    from asyncua import ua
    from asyncua.server.internal_session import InternalSession
    from asyncua.server.uaprocessor import UaProcessor
    from asyncua.ua.uaerrors import BadTooManyMonitoredItems, BadTooManyOperations

    create, read, evict = (
        InternalSession.create_monitored_items,
        InternalSession.read,
        UaProcessor._evict_publish_request,
    )
    made = 0

    async def creating(self: Any, params: Any) -> Any:
        nonlocal made
        global largest
        asked = params.ItemsToCreate
        if len(asked) > options.per_call:
            refused["create"] += 1
            raise BadTooManyOperations
        room = options.items - made
        if len(asked) > room and options.whole:
            refused["room"] += 1
            raise BadTooManyMonitoredItems
        largest = max(largest, len(asked))
        params.ItemsToCreate = asked[:room]
        results = list(await create(self, params)) if room else []
        made += len(results)
        full = ua.MonitoredItemCreateResult(
            StatusCode=ua.StatusCode(ua.UInt32(ua.StatusCodes.BadTooManyMonitoredItems))
        )
        return results + [full] * (len(asked) - len(results))

    async def reading(self: Any, params: Any, *more: Any) -> Any:
        if len(params.NodesToRead) > options.per_call:
            refused["read"] += 1
            raise BadTooManyOperations
        return await read(self, params, *more)

    def evicting(self: Any) -> None:
        refused["publish"] += 1
        evict(self)

    InternalSession.create_monitored_items = creating
    InternalSession.read = reading
    UaProcessor._evict_publish_request = evicting
    if options.publish:
        UaProcessor.publish_request_limit = lambda _self, _count: options.publish


async def _serve(options: argparse.Namespace) -> None:
    from asyncua import Server, ua

    _bound(options)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{options.port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if options.manufacturer:
        await server.set_build_info("urn:test", options.manufacturer, "test", "1", "1", datetime.now(UTC))
    for name in _LIMITS:
        number = getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")
        node = server.get_node(ua.NodeId(number))
        await node.write_value(ua.Variant(0, ua.VariantType.UInt32))
    index = await server.register_namespace(NAMESPACE)
    first = None
    for k in range(options.tags):
        made = await server.nodes.objects.add_variable(ua.NodeId(f"t{k}", index), f"t{k}", float(k))
        first = first or made
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(json.dumps({"event": "ready", "port": options.port}), flush=True)
        value = 0.0
        while not stop.is_set():
            value += 1.0
            await first.write_value(value)
            await asyncio.sleep(0.05)
    print(json.dumps({"event": "stopped", "refused": dict(refused), "largest": largest}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tags", type=int, default=1)
    parser.add_argument("--per-call", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--publish", type=int, default=0)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--manufacturer", default="")
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    asyncio.run(_serve(given))
