"""A server that keeps a history, asyncua's own, in a process of its own.

As a program: ``python -m tests.real.opcua_recorder --port PORT [--store FILE] [--period-ms 50]``. Nodes ``ns=2;i=1``
(Double, tick c has c / 8 and the source time t0 + c * period) and ``ns=2;i=2``, the same without a history. The history
is in memory, or with ``--store`` in SQLite. It gives as many values as are asked for, and says nothing of the others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.servers.sources import Source

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Recorder(Source):
    """The server above; `store` is a file for SQLite, or None for the memory."""

    name = "recorder"

    def __init__(self, folder: Path, store: Path | None, period_ms: int = 50) -> None:
        self.store, self.period_ms = store, period_ms
        super().__init__(folder)
        self.url = f"opc.tcp://127.0.0.1:{self.port}/"

    def _command(self) -> list[str | Path]:
        more = [] if self.store is None else ["--store", self.store]
        arguments = ["--port", str(self.port), "--period-ms", str(self.period_ms), *more]
        return [sys.executable, "-m", __name__, *arguments]

    def tick_of(self, source_ns: int) -> int:
        """The tick of a source time."""
        c, rest = divmod(source_ns - int(self.facts["t0_ns"]), self.period_ms * 1_000_000)
        assert not rest
        return c


async def _serve(options: argparse.Namespace) -> None:
    from asyncua import Server, ua
    from asyncua.server.history_sql import HistorySQLite

    server = Server()
    if options.store:
        server.iserver.history_manager.set_storage(HistorySQLite(options.store))
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{options.port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:test:recorder")
    t0 = time.time_ns() // 1_000_000 * 1_000_000
    nodes = [
        await server.nodes.objects.add_variable(ua.NodeId(k, index), f"node{k}", 0.0, ua.VariantType.Double)
        for k in (1, 2)
    ]

    async def tick(c: int) -> None:
        when = EPOCH + timedelta(microseconds=t0 // 1000 + c * options.period_ms * 1000)
        for node in nodes:
            await node.write_value(ua.DataValue(ua.Variant(c / 8, ua.VariantType.Double), SourceTimestamp=when))

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        await tick(0)
        await server.historize_node_data_change(nodes[0], period=None, count=0)
        print(json.dumps({"event": "ready", "port": options.port, "t0_ns": t0}), flush=True)
        c = 0
        while not stop.is_set():
            while t0 + (c + 1) * options.period_ms * 1_000_000 <= time.time_ns():
                c += 1
                await tick(c)
            await asyncio.sleep(options.period_ms / 2000)
    print(json.dumps({"event": "stopped"}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--period-ms", type=int, default=50)
    parser.add_argument("--store")
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    asyncio.run(_serve(given))
