"""A bus in virtual time: our own connection and pollers against a gateway whose faults are chosen; an hour in a second.

The event loop's clock jumps to the next timer whenever nothing is ready, so nothing here waits, and the load of the
machine changes nothing.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import struct
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from connectors.modbus import client
from connectors.modbus.client import ModbusConnector
from connectors.modbus.config import ModbusLink
from connectors.modbus.stream import StreamConnection
from connectors.modbus.tcp import not_connected
from connectors.modbus.wire import Line
from edge_agent.api import Clock, Frame, Memory, Words

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """A selector that moves the clock in place of waiting."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen again")
        if not ready and timeout:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jump = _Jump()
        super().__init__(self.jump)

    def time(self) -> float:
        return self.jump.now


class VirtualClock:
    """The loop's time, for the agent."""

    def wall(self) -> int:
        return int(1_700_000_000_000_000_000 + self.monotonic() * 1e9)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs in virtual time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


@dataclass
class Asked:
    """One request at the gateway; `serial` counts them from 1 in the order in which they came."""

    transaction: int
    unit: int
    function: int
    start: int
    count: int
    serial: int

    def reply(self, words: Sequence[int]) -> bytes:
        payload = struct.pack(f">{len(words)}H", *words)
        return bytes((self.unit, self.function, len(payload))) + payload

    def refusal(self, code: int) -> bytes:
        return bytes((self.unit, self.function | 0x80, code))


@dataclass
class Slave:
    """One unit. Register 2i is 2i, register 2i + 1 the serial number of the request, so what is read shows whose
    answer it is, and of which request."""

    latency: Callable[[int], float | None] = lambda _serial: 0.02
    """By serial number: seconds until it answers; None for never."""
    most: int = 125
    missing: frozenset[int] = frozenset()
    too_soon: float = 0.0
    """Requests that come within this time (s) of its last answer are lost."""
    answered_at: float = 0.0
    requests: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)

    def answer(self, asked: Asked) -> bytes:
        if asked.count > self.most:
            return asked.refusal(3)
        addresses = range(asked.start, asked.start + asked.count)
        if self.missing.intersection(addresses):
            return asked.refusal(2)
        return asked.reply([asked.serial & 0xFFFF if a & 1 else a for a in addresses])


class Gateway(asyncio.Transport):
    """TCP in front, a serial line behind: one request after the other, each for `line` s and the slave's latency.

    A slave that does not answer within `gives_up` s is given up, without a word or, where it `says_so`, with exception
    11 (gateway target device failed to respond). `number` chooses the transaction id of
    an answer among that of its request and the newest one that came.
    """

    def __init__(
        self, slaves: Mapping[int, Slave], *, line: float = 0.005, gives_up: float = 1.0, says_so: bool = False
    ) -> None:
        super().__init__()
        self.slaves, self.line, self.gives_up, self.says_so = slaves, line, gives_up, says_so
        self.number: Callable[[Asked, int], int] = lambda asked, _newest: asked.transaction
        self.pending: asyncio.Queue[Asked] = asyncio.Queue()
        self.newest = self.serial = 0
        self.arrived: dict[int, float] = {}
        """When each request came, by its serial number."""
        self.most_waiting = 0
        self.connection: StreamConnection | None = None
        self._socket = socket.socket()
        self._worker: asyncio.Task[None] | None = None

    async def connect(self, _link: ModbusLink, clock: Clock, limit: Callable[[], int]) -> StreamConnection:
        """In place of session.open_link."""
        self.connection = StreamConnection(Line(clock, limit, "modbus://gateway:502"), clock, not_connected)
        self.connection.connection_made(self)
        self._worker = asyncio.get_running_loop().create_task(self._work())
        return self.connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket

    def write(self, data: Any) -> None:
        for at in range(0, len(data), 12):
            transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", data[at : at + 12])
            self.newest = transaction
            self.serial += 1
            self.arrived[self.serial & 0xFFFF] = asyncio.get_running_loop().time()
            self.pending.put_nowait(Asked(transaction, unit, function, start, count, self.serial))
        self.most_waiting = max(self.most_waiting, self.pending.qsize())

    def abort(self) -> None:
        if self._worker is not None and self.connection is not None:
            self._worker.cancel()
            self._worker = None
            self._socket.close()
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    async def _work(self) -> None:
        while True:
            asked = await self.pending.get()
            slave = self.slaves.get(asked.unit)
            now = asyncio.get_running_loop().time()
            latency = None
            if slave is not None:
                slave.requests += 1
                slave.asked.append((asked.start, asked.count))
                early = slave.too_soon and now - slave.answered_at < slave.too_soon
                latency = None if early else slave.latency(slave.requests)
            await asyncio.sleep(self.line + min(self.gives_up, latency or self.gives_up))
            if latency is not None and latency < self.gives_up and slave is not None:
                slave.answered_at = asyncio.get_running_loop().time()
                self._send(asked, slave.answer(asked))
            elif self.says_so:
                self._send(asked, asked.refusal(11))

    def _send(self, asked: Asked, answer: bytes) -> None:
        head = struct.pack(">HHH", self.number(asked, self.newest), 0, len(answer))
        if self.connection is not None:
            self.connection.data_received(head + answer)


class Watcher:
    """An outlet that checks every value as it comes: the right address, and of the very request that its time says.

    A row's time is the middle of its request, so the request was sent as long before as the answer came after.
    """

    def __init__(self, starts: Sequence[int]) -> None:
        """`starts[number]`: the register at which tag `number` (uint32: address, serial) begins."""
        self._starts = starts
        self.arrived: dict[int, float] = {}
        self.good: dict[int, int] = dict.fromkeys(range(len(starts)), 0)
        self.bad: dict[int, list[int]] = {number: [] for number in range(len(starts))}
        self.wrong: list[tuple[int, int]] = []
        self.skipped = 0
        self.values = 0
        self.told: list[list[Words]] = []
        """The notices, as they changed."""

    async def put(self, frame: Frame) -> None:
        sent = (2 * frame.time - frame.received - 1_700_000_000_000_000_000) / 1e9
        columns = (frame.tag.tolist(), frame.bits.tolist(), frame.status.tolist(), sent.tolist())
        for number, bits, status, began in zip(*columns, strict=True):
            if status:
                self.bad[number].append(status)
                continue
            self.values += 1
            self.good[number] += 1
            address, serial = bits >> 16, bits & 0xFFFF
            if address != self._starts[number] or abs(self.arrived[serial] - began) > 1e-5:
                self.wrong.append((number, serial))

    def alive(self) -> None: ...

    def describe(self, number, description) -> None:
        """Modbus devices say nothing of their registers."""

    def events(self, events) -> None:
        """Modbus has none."""

    def reconnected(self, error) -> None:
        """Modbus has no sessions."""

    def notice(self, notices) -> None:
        self.told.append([one.text for one in notices])

    def lost(self, reason: str, count: int, tags: Sequence[int] = ()) -> None:
        self.skipped += count


def link_of(units: Mapping[int, Sequence[int]], **device: Any) -> ModbusLink:
    """A link with a tag (uint32) at each of the addresses of each unit."""
    devices = [
        {
            "unit": unit,
            "tags": [{"tag": f"u{unit}_{a}", "address": f"HR:{a}", "type": "uint32"} for a in addresses],
            **device,
        }
        for unit, addresses in units.items()
    ]
    head = {"name": "bus", "connector": "modbus", "machine": "m", "host": "gateway"}
    return ModbusLink.model_validate(head | {"devices": devices})


class Plant:
    """A connector on a gateway, for some virtual time."""

    def __init__(self, link: ModbusLink, gateway: Callable[[], Gateway], memory: Memory | None = None) -> None:
        self.link, self._gateway, self._memory = link, gateway, memory
        self.watcher = Watcher([point.address.wire for points in link.points(range(99_999)) for point in points])
        self.gateway: Gateway
        self.connector: ModbusConnector

    async def run(self, seconds: float, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Runs for `seconds`; `meanwhile` is called half-way."""
        self.gateway = self._gateway()
        self.watcher.arrived = self.gateway.arrived
        tags = sum(len(device.tags) for device in self.link.devices)
        original = client.open_link
        client.open_link = self.gateway.connect  # type: ignore[assignment]  # the one place where the world ends
        try:
            self.connector = ModbusConnector(self.link, range(tags), VirtualClock(), self._memory)
            task = asyncio.get_running_loop().create_task(self.connector.run(self.watcher))
            await asyncio.wait([task], timeout=seconds / 2)
            meanwhile()
            await asyncio.wait([task], timeout=seconds / 2)
            if not task.done():
                task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        finally:
            client.open_link = original
