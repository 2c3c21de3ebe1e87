"""Child of the benches: one client in a process of its own, its CPU and memory measured from inside.

`python -m tests.bench.collect WAY URL TAGS SECONDS [MORE]` prints one JSON object. Ways: `opcua` (MORE: the server's
period in ms, the folder of an identity for an encrypted channel or "", the publishing interval in ms), `modbus` (MORE:
requests in flight), our connectors; `asyncua`, `asyncua_poll`, `pymodbus`, the plain library loops.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import numpy as np

from edge_agent.api import Frame, Refused, SystemClock

WARM_S = 3.0


class Meter:
    """Counts values from the end of the warm-up on, with latency and losses by tick."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.values = self.lost = 0
        self.began = self.cpu = 0.0
        self.delays: list[np.ndarray] = []
        self.last: np.ndarray | None = None

    def warm(self) -> None:
        self.began, self.cpu = time.monotonic(), time.process_time()

    def result(self) -> dict[str, Any]:
        took, cpu = time.monotonic() - self.began, time.process_time() - self.cpu
        delays = np.concatenate(self.delays) / 1e6 if self.delays else None
        return {
            "values": self.values,
            "seconds": took,
            "cpu_s": cpu,
            "lost": self.lost,
            "rss_mb": int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6,
            "p50_ms": None if delays is None else float(np.percentile(delays, 50)),
            "p99_ms": None if delays is None else float(np.percentile(delays, 99)),
        }


class FrameMeter(Meter):
    """An outlet that counts; where the source's times are `period_ns` apart (0: not known), every missing one shows."""

    def __init__(self, seconds: float, tags: int, period_ns: int = 0) -> None:
        super().__init__(seconds)
        self._period = period_ns
        self.last = np.zeros(tags, np.int64)
        self._start = time.monotonic()
        self.seen_s: float | None = None
        """When every tag had a value, counted from the start."""

    def result(self) -> dict[str, Any]:
        return super().result() | {"seen_s": self.seen_s}

    async def put(self, frame: Frame) -> None:
        if self.seen_s is None:
            self.last[frame.tag] = frame.time
            if self.last.all():
                self.seen_s = time.monotonic() - self._start
        if not self.began:
            return
        self.values += len(frame)
        self.delays.append(frame.received[::500] - frame.time[::500])
        if self._period:
            self._count_lost(frame)

    def _count_lost(self, frame: Frame) -> None:
        """Cheap, since it is part of what is measured: one row a tag in a frame, which our connector sees to."""
        assert self.last is not None
        steps = (frame.time - self.last[frame.tag]) // self._period
        self.lost += int(np.maximum(steps - 1, 0)[self.last[frame.tag] > 0].sum())
        self.last[frame.tag] = frame.time

    def alive(self) -> None: ...

    def describe(self, number: int, description: object) -> None: ...

    def notice(self, notices: object) -> None: ...

    def events(self, events: object) -> None: ...

    def reconnected(self, error: object) -> None: ...

    def lost_values(self, reason: str, count: int, tags: Sequence[int] = ()) -> None:
        if self.began:
            self.lost += count


class Outlet:
    """The meter in the form that a connector wants."""

    def __init__(self, meter: FrameMeter) -> None:
        self.put, self.alive, self.lost = meter.put, meter.alive, meter.lost_values
        self.notice, self.describe, self.reconnected = meter.notice, meter.describe, meter.reconnected
        self.events = meter.events


async def ours(make: Callable[[], Any], meter: FrameMeter) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make().run, Outlet(meter))
        while meter.seen_s is None:
            await anyio.sleep(0.05)
        await anyio.sleep(WARM_S)
        meter.last = np.zeros_like(meter.last)
        meter.warm()
        await anyio.sleep(meter.seconds)
        result = meter.result()
        tasks.cancel_scope.cancel()
    print(json.dumps(result))


def opcua(url: str, tags: int, seconds: float, period_ms: int, identity: str, publishing_ms: int) -> None:
    more = {"publishing_interval": f"{publishing_ms}ms"} | ({"security": {"identity": identity}} if identity else {})
    make = _opcua_connector(url, tags, period_ms, more)
    if identity:
        accept(identity, make)
    anyio.run(ours, make, FrameMeter(seconds, tags, period_ms * 1_000_000))


def opcua_poll(url: str, tags: int, seconds: float, interval_ms: int) -> None:
    make = _opcua_connector(url, tags, interval_ms, {"collect": "poll"})
    anyio.run(ours, make, FrameMeter(seconds, tags))


def _opcua_connector(url: str, tags: int, interval_ms: int, more: dict[str, Any]) -> Callable[[], Any]:
    from connectors.opcua.client import OpcUaConnector
    from connectors.opcua.config import OpcUaLink

    every = f"{interval_ms}ms"
    section = {
        "name": "bench",
        "connector": "opcua",
        "machine": "m",
        "url": url,
        "security": {"policy": "None", "insecure": "loopback"},
        "tags": [{"tag": f"t{k}", "node": f"ns=2;i={1000 + k}", "interval": every} for k in range(tags)],
    }
    link = OpcUaLink.model_validate(section | more)
    return lambda: OpcUaConnector(link, list(range(tags)), SystemClock())


def accept(identity: str, make: Callable[[], Any]) -> None:
    """What a technician does: sees that the server is new, and accepts its certificate."""
    from connectors.opcua.trust import TrustFolder

    with suppress(Refused):
        anyio.run(make().run, Outlet(FrameMeter(0, 1)))
    folder = TrustFolder(Path(identity))
    for entry in folder.entries("pending"):
        folder.accept(entry)


def modbus(url: str, tags: int, seconds: float, window: int) -> None:
    from connectors.modbus.client import ModbusConnector
    from connectors.modbus.config import ModbusLink

    where = urlsplit(url)
    link = ModbusLink.model_validate(
        {
            "name": "bench",
            "connector": "modbus",
            "machine": "m",
            "host": where.hostname,
            "port": where.port,
            "devices": [
                {
                    "unit": 1,
                    "window": window,
                    "interval": "100ms",
                    "tags": [
                        {"tag": f"t{k}", "address": f"HR:{2 * k}", "type": "float32", "interval": "100ms"}
                        for k in range(tags)
                    ],
                }
            ],
        }
    )
    anyio.run(ours, lambda: ModbusConnector(link, list(range(tags)), SystemClock()), FrameMeter(seconds, tags))


async def asyncua(url: str, tags: int, seconds: float) -> None:
    """The way the library's manual writes it: a subscription with a handler."""
    from asyncua import Client

    meter = Meter(seconds)

    class Handler:
        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            meter.values += 1

    client = Client(url)
    await client.connect()
    subscription = await client.create_subscription(100, Handler())
    nodes = [client.get_node(f"ns=2;i={1000 + k}") for k in range(tags)]
    for start in range(0, tags, 1000):
        await subscription.subscribe_data_change(nodes[start : start + 1000], queuesize=10, sampling_interval=0)
    await anyio.sleep(WARM_S)
    meter.values = 0
    meter.warm()
    await anyio.sleep(seconds)
    print(json.dumps(meter.result()), flush=True)


async def asyncua_poll(url: str, tags: int, seconds: float) -> None:
    """The library's read, every second, in calls of a thousand."""
    from asyncua import Client

    meter = Meter(seconds)
    client = Client(url)
    await client.connect()
    nodes = [client.get_node(f"ns=2;i={1000 + k}") for k in range(tags)]
    meter.warm()
    due = meter.began
    while (due := due + 1.0) < meter.began + seconds:
        for start in range(0, tags, 1000):
            meter.values += len(await client.read_values(nodes[start : start + 1000]))
        await anyio.sleep(max(0.0, due - time.monotonic()))
    print(json.dumps(meter.result()), flush=True)
    await client.disconnect()


async def pymodbus(url: str, tags: int, seconds: float) -> None:
    """The straight loop: read a block, convert it, next block; flat out."""
    from pymodbus.client import AsyncModbusTcpClient

    where = urlsplit(url)
    client = AsyncModbusTcpClient(where.hostname or "", port=where.port or 502)
    await client.connect()
    meter = Meter(seconds)
    meter.warm()
    while time.monotonic() - meter.began < seconds:
        for start in range(0, tags * 2, 120):
            count = min(120, tags * 2 - start)
            answer = await client.read_holding_registers(start, count=count, device_id=1)
            values = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
            meter.values += len(values) if isinstance(values, list) else 1
    print(json.dumps(meter.result()), flush=True)
    client.close()


def main() -> None:
    way, url, tags, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    more = sys.argv[5:]
    match way:
        case "opcua":
            opcua(
                url,
                tags,
                seconds,
                int(more[0]),
                more[1] if len(more) > 1 else "",
                int(more[2]) if len(more) > 2 else 100,
            )
        case "opcua_poll":
            opcua_poll(url, tags, seconds, int(more[0]))
        case "asyncua_poll":
            anyio.run(asyncua_poll, url, tags, seconds)
        case "modbus":
            modbus(url, tags, seconds, int(more[0]))
        case "asyncua":
            anyio.run(asyncua, url, tags, seconds)
        case "pymodbus":
            anyio.run(pymodbus, url, tags, seconds)


if __name__ == "__main__":
    main()
