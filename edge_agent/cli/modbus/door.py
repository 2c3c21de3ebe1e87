"""Door: the place that a technician names, a host or a serial port, opened for a few questions."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.modbus import tcp
from connectors.modbus.config import ModbusLink
from connectors.modbus.connection import Connection
from connectors.modbus.load import Serial
from connectors.modbus.session import open_link
from connectors.modbus.wire import Line
from edge_agent.api import Clock
from edge_agent.cli.modbus.serial_door import serial_opened
from edge_agent.cli.modbus.serial_line import Settings
from edge_agent.errors import Unsupported, Words

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:/\s]+)(?::(\d{1,5}))?")
_PORT: Final = 502


@dataclass(frozen=True, slots=True)
class Place:
    """Where the units are: `host` and `port`."""

    host: str
    port: int = _PORT

    @property
    def name(self) -> str:
        """As errors call it."""
        return f"modbus://{self.host}:{self.port}"

    @property
    def keys(self) -> dict[str, Any]:
        """The link's keys that say the same in a configuration."""
        return {"host": self.host} | ({"port": self.port} if self.port != _PORT else {})

    @property
    def link_name(self) -> str:
        """A name for the link."""
        return "modbus-" + re.sub(r"[^a-z0-9]+", "-", self.host.lower()).strip("-")[:50]


@dataclass(frozen=True, slots=True)
class SerialPlace:
    """A serial port of this machine."""

    path: str
    line: Settings

    @property
    def name(self) -> str:
        """As errors call it."""
        return f"{self.path} ({self.line})"

    @property
    def keys(self) -> dict[str, Any]:
        """The link's keys that say the same in a configuration."""
        line = self.line
        return {"serial": self.path, "baud": line.baud, "parity": line.parity, "stop": line.stop}

    @property
    def link_name(self) -> str:
        """A name for the link."""
        return "rs485-" + re.sub(r"[^a-z0-9]+", "-", Path(self.path).name.lower()).strip("-")[:50]


AnyPlace = Place | SerialPlace


def place_of(text: str, settings: Settings | None = None) -> AnyPlace:
    """`192.168.0.10`, `gateway:1502`, `[fe80::1]:502`, or a port such as `/dev/ttyUSB0`. Raises Unsupported."""
    if text.startswith("/"):
        return SerialPlace(text, settings or Settings())
    match = _HOST.fullmatch(text)
    if match is None or int(match[2] or _PORT) > 65535:
        raise Unsupported(
            "open",
            text,
            Words("주소로 읽을 수 없습니다", "this is no place to connect to"),
            Words("예: 192.168.0.10 또는 192.168.0.10:502", "for example 192.168.0.10 or 192.168.0.10:502"),
        )
    return Place(match[1].strip("[]"), int(match[2] or _PORT))


def name_of(link: ModbusLink) -> str:
    """As errors call the link's place."""
    return link.place


def serial_of(link: ModbusLink) -> Serial | None:
    """The serial line of a link; None where it is a network."""
    return Serial(link.baud, link.bits) if link.is_serial else None


@asynccontextmanager
async def opened(place: AnyPlace, timeout: float, clock: Clock) -> AsyncIterator[Connection]:
    """A connection with one request in flight at most; raises NotConnected or TimedOut. `timeout` in s, to connect."""
    if isinstance(place, SerialPlace):
        async with serial_opened(place.path, place.line, clock) as port:
            yield port
        return
    connection = await tcp.connect(place.host, place.port, timeout, Line(clock, lambda: 1, place.name), clock)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def link_opened(link: ModbusLink, clock: Clock) -> AsyncIterator[Connection]:
    """The connection of a configured link, with one request in flight at most; raises EdgeAgentError."""
    connection = await open_link(link, clock)
    try:
        yield connection
    finally:
        await connection.close()
