"""Every transport against pymodbus's server of it: serial over socat's pseudo-terminals, UDP, TLS, and a modem."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

import anyio
import pytest
from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.modbus.client import ModbusConnector
from connectors.modbus.config import ModbusLink
from connectors.modbus.connection import Connection
from connectors.modbus.identity import identify
from connectors.modbus.session import open_link
from edge_agent.api import NotConnected, Refused, SystemClock, TimedOut
from tests.conformance.rig import Collector
from tests.servers.certificates import Authority
from tests.servers.process import free_port

pytestmark = pytest.mark.anyio

UNITS = (1, 2)
TAGS = [
    {"tag": "first", "address": "HR:3", "type": "uint16"},
    {"tag": "long", "address": "HR:40", "type": "uint32"},
    {"tag": "coil", "address": "CO:5"},
]
VALUES = {0: 3, 1: 40 << 16 | 41, 2: True}


def link_to(units: tuple[int, ...] = UNITS, **place: Any) -> ModbusLink:
    devices = [{"unit": unit, "interval": "20ms", "timeout": "1s", "tags": TAGS} for unit in units]
    head = {"name": "line", "connector": "modbus", "machine": "m", "devices": devices}
    return ModbusLink.model_validate(head | place)


def devices() -> list[SimDevice]:
    """Register k holds k, coil k is odd k."""
    registers = SimData(0, values=list(range(200)), datatype=DataType.REGISTERS)
    bits = SimData(0, values=[bool(k % 2) for k in range(200)], datatype=DataType.BITS)
    return [SimDevice(unit, simdata=([bits], [bits], [registers], [registers])) for unit in UNITS]


@asynccontextmanager
async def running(server: Any) -> AsyncIterator[None]:
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()


async def read_all(link: ModbusLink) -> None:
    """All values of all units come, and go on coming."""
    outlet = Collector()
    numbers = range(len(TAGS) * len(link.devices))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ModbusConnector(link, list(numbers), SystemClock()).run, outlet)
        for _ in range(2):
            for number in numbers:
                await outlet.until_value(number, VALUES[number % len(TAGS)])
            outlet.clear()
        tasks.cancel_scope.cancel()


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two pseudo-terminals, joined."""
    if which("socat") is None:
        pytest.skip("socat is not installed")
    ends = tmp_path / "ours", tmp_path / "theirs"
    with subprocess.Popen(["socat", *(f"pty,rawer,link={end}" for end in ends)]) as socat:
        while not all(end.exists() for end in ends):
            assert socat.poll() is None
        yield str(ends[0]), str(ends[1])
        socat.terminate()


@pytest.mark.parametrize(
    ("framer", "place"),
    [
        (FramerType.RTU, {"baud": 19200, "stop_bits": 2}),
        (FramerType.ASCII, {"baud": 9600, "transport": "ascii", "data_bits": 8}),
    ],
)
async def test_units_on_a_serial_line(cable: tuple[str, str], framer: FramerType, place: dict[str, Any]) -> None:
    ours, theirs = cable
    maker = ModbusDeviceIdentification(info_name={"VendorName": "Kiln Ltd", "ProductCode": "K1"})
    server = ModbusSerialServer(devices(), framer=framer, port=theirs, baudrate=place["baud"], identity=maker)
    async with running(server):
        await read_all(link_to(port=ours, **place))
        connection = await open_link(link_to(port=ours, **place), SystemClock())
        assert (await identify(connection, 1, 1.0)).objects["vendor"] == "Kiln Ltd"
        await connection.close()


async def test_rtu_over_tcp() -> None:
    port = free_port()
    server = ModbusTcpServer(devices(), framer=FramerType.RTU, address=("127.0.0.1", port))
    async with running(server):
        await read_all(link_to(host="127.0.0.1", port=port, transport="rtu_over_tcp"))


async def test_datagrams() -> None:
    port = free_port()
    link = link_to(host="127.0.0.1", port=port, transport="udp")
    with pytest.raises((NotConnected, TimedOut)):
        await ModbusConnector(link, list(range(6)), SystemClock()).run(Collector())
    async with running(ModbusUdpServer(devices(), address=("127.0.0.1", port))):
        await read_all(link)


class Tls:
    """A server that wants the client's certificate to be of its own authority."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "plant")
        self.port = free_port()
        self.certificate, self.key = self.authority.issue("agent")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue("plc"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority.ca)
        self.server = ModbusTlsServer(devices(), sslctx=context, address=("127.0.0.1", self.port))

    def link(self, **more: Any) -> ModbusLink:
        files = {"ca_file": self.authority.ca, "certificate": self.certificate, "private_key": self.key} | more
        return link_to(host="127.0.0.1", port=self.port, transport="tls", **files)


async def test_both_sides_show_certificates(tmp_path: Path) -> None:
    plc = Tls(tmp_path)
    stranger, key = Authority(tmp_path / "stranger").issue("agent")
    async with running(plc.server):
        await read_all(plc.link())
        with pytest.raises(Refused, match="TLS"):
            await open_link(plc.link(ca_file=tmp_path / "stranger" / "ca.pem"), SystemClock())
        with pytest.raises(Refused, match="match"):
            await open_link(plc.link(server_name="other.plc"), SystemClock())
        with pytest.raises((Refused, NotConnected)), anyio.fail_after(20):
            await ModbusConnector(plc.link(certificate=stranger, private_key=key), list(range(6)), SystemClock()).run(
                Collector()
            )
        with pytest.raises(Refused, match="can't be used"):
            await open_link(plc.link(private_key=key), SystemClock())


class Modem:
    """A DTU: dials the agent, says who it is, and passes bytes on to the units behind it."""

    def __init__(self, agent: int, units: int, registration: bytes, heartbeat: bytes = b"") -> None:
        self.agent, self.units, self.registration, self.heartbeat = agent, units, registration, heartbeat
        self.calls = 0

    async def run(self) -> None:
        while True:
            with suppress(OSError):
                await self._call()
            await anyio.sleep(0.05)

    async def _call(self) -> None:
        async with await anyio.connect_tcp("127.0.0.1", self.agent) as agent:
            self.calls += 1
            await agent.send(self.registration)
            async with await anyio.connect_tcp("127.0.0.1", self.units) as units, anyio.create_task_group() as tasks:
                tasks.start_soon(self._pass, agent.receive, units.send, tasks.cancel_scope)
                tasks.start_soon(self._pass, units.receive, agent.send, tasks.cancel_scope, self.heartbeat)

    async def _pass(
        self, receive: Callable[[], Any], send: Callable[[bytes], Any], scope: anyio.CancelScope, before: bytes = b""
    ) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await send(before + await receive())
        scope.cancel()


@pytest.mark.parametrize(("framing", "framer"), [("rtu", FramerType.RTU), ("tcp", FramerType.SOCKET)])
async def test_modems_dial_in_and_are_known_by_what_they_say(framing: str, framer: FramerType) -> None:
    units, agent = free_port(), free_port()
    server = ModbusTcpServer(devices(), framer=framer, address=("127.0.0.1", units))
    place = {"host": "127.0.0.1", "port": agent, "transport": "dial_in", "framing": framing}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(server))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        modems = [Modem(agent, units, b"DTU-1", b"\xfe"), Modem(agent, units, b"\x01\x02"), Modem(agent, units, b"?")]
        for modem in modems:
            tasks.start_soon(modem.run)
        outlets = Collector(), Collector()
        links = link_to(registration="DTU-1", heartbeat="hex:fe", **place), link_to(registration="hex:0102", **place)
        async with anyio.create_task_group() as polling:
            for link, outlet in zip(links, outlets, strict=True):
                named = link.model_copy(update={"name": link.registration})
                polling.start_soon(ModbusConnector(named, list(range(6)), SystemClock()).run, outlet)
            for outlet in outlets:
                for number in range(6):
                    await outlet.until_value(number, VALUES[number % 3])
            polling.cancel_scope.cancel()
        tasks.cancel_scope.cancel()
    assert modems[2].calls > 0
    with pytest.raises(OSError, match="connect"):
        await anyio.connect_tcp("127.0.0.1", agent)  # nobody listens once no link wants it


async def test_a_modem_that_is_known_by_its_address_and_one_that_calls_again() -> None:
    agent = free_port()
    link = link_to((1,), host="127.0.0.1", port=agent, transport="dial_in", peer="127.0.0.1", connect_timeout="10s")
    waiting = asyncio.ensure_future(open_link(link, SystemClock()))
    first = await dialled(agent)
    connection: Connection = await waiting
    second = await dialled(agent)
    with pytest.raises(NotConnected, match="dial_in"), anyio.fail_after(10):
        await connection.watch()
    await connection.close()
    again = await open_link(link, SystemClock())
    await again.close()
    await first.aclose()
    await second.aclose()
    with pytest.raises(TimedOut, match="no modem"):
        await open_link(link.model_copy(update={"connect_timeout": 0.1, "peer": "127.0.0.9"}), SystemClock())
    from connectors.modbus import dial_in

    for listener in list(dial_in._listeners.values()):
        listener.shut()


async def dialled(port: int) -> anyio.abc.SocketStream:
    with anyio.fail_after(10):
        while True:
            with suppress(OSError):
                return await anyio.connect_tcp("127.0.0.1", port)
            await anyio.sleep(0.02)
