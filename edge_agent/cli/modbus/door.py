"""Door: the place that a technician names, a host or a serial port, opened for a few questions."""

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.modbus.connection import Connection
from connectors.modbus.load import Serial
from connectors.modbus.place import ModbusPlace
from connectors.modbus.ports import stable_names
from connectors.modbus.session import open_link
from edge_agent.api import Clock
from edge_agent.cli.modbus.settings import Settings
from edge_agent.errors import Unsupported, Words

_HOST: Final = re.compile(r"(?:(tcp|udp|rtu_over_tcp)://)?(\[[0-9A-Fa-f:.]+\]|[^:/\s]+)(?::(\d{1,5}))?")
_PORT: Final = 502


@dataclass(frozen=True, slots=True)
class Place:
    """Where the units are: the keys of a link that say so."""

    keys: Mapping[str, Any]

    @property
    def section(self) -> ModbusPlace:
        """The link's part that says where."""
        return ModbusPlace.model_validate({"name": "place", "connector": "modbus", **self.keys})

    @property
    def name(self) -> str:
        """As errors call it."""
        return self.section.place

    @property
    def is_serial(self) -> bool:
        """Whether it is a serial port of this machine."""
        return "host" not in self.keys

    @property
    def link_name(self) -> str:
        """A name for the link."""
        what = self.keys.get("host") or Path(str(self.keys["port"])).name
        head = "rs485-" if self.is_serial else "modbus-"
        return head + re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")[:50]

    def at(self, settings: Settings) -> "Place":
        """The same serial port with other settings."""
        return Place({"port": self.keys["port"], **settings.keys})

    def lasting(self) -> "Place":
        """The same place by a name that stays when adapters are plugged in again."""
        if not self.is_serial:
            return self
        path = str(self.keys["port"])
        return Place({**self.keys, "port": stable_names().get(os.path.realpath(path), path)})


def place_of(text: str, settings: Settings | None = None) -> Place:
    """`192.168.0.10`, `gateway:1502`, `[fe80::1]`, `rtu_over_tcp://10.0.0.5:4001`, `udp://…`, or a port such as
    `/dev/ttyUSB0` (with `settings`). Raises Unsupported."""
    if text.startswith("/"):
        return Place({"port": text}).at(settings or Settings())
    match = _HOST.fullmatch(text)
    if match is None or not 1 <= int(match[3] or _PORT) <= 65535:
        raise Unsupported(
            "open",
            text,
            Words("주소로 읽을 수 없습니다", "this is no place to connect to"),
            Words(
                "예: 192.168.0.10, 192.168.0.10:502, rtu_over_tcp://192.168.0.10:4001, /dev/ttyUSB0",
                "for example 192.168.0.10, 192.168.0.10:502, rtu_over_tcp://192.168.0.10:4001, /dev/ttyUSB0",
            ),
        )
    keys: dict[str, Any] = {"host": match[2].strip("[]")}
    if match[3] and int(match[3]) != _PORT:
        keys["port"] = int(match[3])
    return Place(keys if match[1] in (None, "tcp") else {"transport": match[1], **keys})


def serial_of(link: ModbusPlace) -> Serial | None:
    """The serial line of a link; None where it is a network."""
    return Serial(link.baud, link.bits) if link.is_serial else None


@asynccontextmanager
async def opened(link: ModbusPlace, clock: Clock) -> AsyncIterator[Connection]:
    """The connection of a link, with one request in flight at most; raises EdgeAgentError."""
    connection = await open_link(link, clock)
    try:
        yield connection
    finally:
        await connection.close()
