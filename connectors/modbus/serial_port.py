"""A serial port: opened once in this process, for us alone, and shared by all links that name it.

pyserial sets the port up; the bytes go through the event loop. Two names of one port (ttyUSB0 and its by-id name) are
the same port. Links on it take turns on one line, request by request; each has its own pollers and its own state.
"""

import fcntl
import os
import termios
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final

import anyio
import serial

from connectors.modbus.connection import Connection, unanswered
from connectors.modbus.framing import Ascii, Rtu
from connectors.modbus.place import ModbusPlace
from connectors.modbus.port_error import in_use, not_opened, port_gone, quarrel
from connectors.modbus.port_transport import PortTransport
from connectors.modbus.ports import users
from connectors.modbus.scan import Scan
from connectors.modbus.serial_line import SerialLine, Tempo
from connectors.modbus.stream import StreamConnection
from connectors.modbus.timer import exact_timer
from edge_agent.api import Clock, Words

_PARITY: Final = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


@dataclass(frozen=True, slots=True)
class Settings:
    """What all users of a port must agree on."""

    transport: str
    baud: int
    parity: str
    stop_bits: int
    data_bits: int

    @classmethod
    def of(cls, link: ModbusPlace) -> "Settings":
        return cls(link.transport, link.baud, link.parity, link.stop_bits, link.data_bits)

    def __str__(self) -> str:
        return f"{self.transport} {self.baud} {self.data_bits}{self.parity[0].upper()}{self.stop_bits}"


class _Port:
    """One port of this process. `gate` lets one link at a time open or close it."""

    def __init__(self) -> None:
        self.gate = anyio.Lock()
        self.connection: StreamConnection | None = None
        self.settings: Settings | None = None
        self.users = 0


_ports: dict[str, _Port] = {}
"""By real path; only ports that somebody uses or is opening."""


async def open_port(link: ModbusPlace, clock: Clock) -> Connection:
    """The link's share of its port, opened unless another link has done so. Raises NotConnected where it is not there
    or in use, Refused without the right to it, Unsupported where it is no serial port or can't do the settings."""
    key = os.path.realpath(str(link.port))  # noqa: ASYNC240 - /dev is in memory
    port = _ports.setdefault(key, _Port())
    port.users += 1
    try:
        async with port.gate:
            connection = await _joined(port, link, clock)
    except BaseException:
        _leave(key, port)
        raise
    return _Share(key, port, connection)


async def _joined(port: _Port, link: ModbusPlace, clock: Clock) -> StreamConnection:
    settings = Settings.of(link)
    if port.connection is not None and not port.connection.broken:
        if port.settings != settings:
            raise quarrel(link, str(settings), str(port.settings))
        return port.connection
    if port.connection is not None:
        await port.connection.close()
    port.connection, port.settings = None, settings
    port.connection = await _connect(link, clock)
    return port.connection


def _leave(key: str, port: _Port) -> bool:
    """Whether that was the last user."""
    port.users -= 1
    if not port.users and _ports.get(key) is port:
        del _ports[key]
    return not port.users


class _Share:
    """One link's use of a port: a `Connection`. The port is closed with its last user."""

    def __init__(self, key: str, port: _Port, connection: StreamConnection) -> None:
        self._key, self._port, self._connection = key, port, connection
        self._closed = False

    async def read(self, scan: Scan) -> None:
        await self._connection.read(scan)

    async def watch(self) -> None:
        await self._connection.watch()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if _leave(self._key, self._port):
            await self._connection.close()


async def _connect(link: ModbusPlace, clock: Clock) -> StreamConnection:
    line = SerialLine(clock, *_manner(link), link.place)
    connection = StreamConnection(line, clock, port_gone)
    opening = _Opening(link)
    try:
        with anyio.fail_after(link.connect_timeout):
            await anyio.to_thread.run_sync(opening.run, abandon_on_cancel=True)
            PortTransport(opening.take(), connection)
            connection.timer = exact_timer()
    except TimeoutError:
        raise unanswered("open", link.place, Words("포트가 열리지 않습니다", "the port does not open")) from None
    finally:
        opening.abandon()
    return connection


def _manner(link: ModbusPlace) -> tuple[Rtu | Ascii, Tempo]:
    if link.transport == "ascii":
        return Ascii(), Tempo(link.bits / link.baud)
    return Rtu(), Tempo.rtu(link.baud, link.bits)


class _Opening:
    """The opening of a port in a thread: a wedged USB adapter lets it hang. Whatever nobody takes is closed."""

    def __init__(self, link: ModbusPlace) -> None:
        self._link = link
        self._lock = Lock()
        self._given_up = False
        self._descriptor: int | None = None

    def run(self) -> None:
        """Opens the port; in the thread."""
        descriptor = opened_port(self._link)
        with self._lock:
            if self._given_up:
                os.close(descriptor)
            else:
                self._descriptor = descriptor

    def take(self) -> int:
        """The open descriptor, now the caller's."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
        assert descriptor is not None  # noqa: S101 - `run` has returned, for the checker
        return descriptor

    def abandon(self) -> None:
        """From now on nobody waits."""
        with self._lock:
            self._given_up = True
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


def opened_port(link: ModbusPlace) -> int:
    """The descriptor of the port, set up, for us alone, never waiting. Blocks; raises as `open_port`."""
    path = str(link.port)
    try:
        port = serial.Serial(
            path,
            link.baud,
            bytesize=link.data_bits,
            parity=_PARITY[link.parity],
            stopbits=link.stop_bits,
            timeout=0,
            exclusive=True,
        )
    except (OSError, ValueError, termios.error) as error:
        raise not_opened(link, error) from error
    with port:
        if (others := users(path)) and not _is_virtual(path):
            raise in_use(link, others)
        with suppress(OSError, ValueError, NotImplementedError):
            port.set_low_latency_mode(True)  # USB adapters hold bytes back for 16 ms otherwise
        descriptor = os.dup(port.fileno())
    try:
        _set_up(descriptor)
    except (OSError, termios.error) as error:
        os.close(descriptor)
        raise not_opened(link, error) from error
    return descriptor


def _is_virtual(path: str) -> bool:
    """A pseudo-terminal: whoever made it may hold both ends."""
    return os.path.realpath(path).startswith("/dev/pts/")


def _set_up(descriptor: int) -> None:
    """For us alone, and a read of nothing means that the port is gone."""
    fcntl.ioctl(descriptor, termios.TIOCEXCL)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    attributes = termios.tcgetattr(descriptor)
    attributes[6][termios.VMIN] = 1
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    termios.tcflush(descriptor, termios.TCIOFLUSH)
    os.set_blocking(descriptor, False)
