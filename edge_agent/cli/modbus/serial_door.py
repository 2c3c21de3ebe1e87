"""Serial door: a serial port opened for a few questions in RTU, one in flight, the line quiet before each.

An answer counts only with a right check sum and the unit, function code and length that were asked for (`Scan.fits`).
After anything else the line is drained until it is quiet, so that a late answer is never taken for the next one.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio

from connectors.modbus.connection import Connection
from connectors.modbus.scan import Scan
from edge_agent.api import Clock
from edge_agent.cli.modbus.serial_line import Settings, crc, crc_is_right, port_of
from edge_agent.errors import NotConnected, Words

_SHORTEST: Final = 5
_LONGEST: Final = 256
_QUIET: Final = 3.5
"""Characters of silence that end a frame (Modbus over Serial Line V1.02, 2.5.1.1)."""
_LEAST_QUIET: Final = 0.02
"""Seconds: adapters on USB deliver in pieces that are this far apart."""
_GAP: Final = 0.15
"""Seconds that the pieces of one answer may be apart: gateways and adapters hold some back."""
_LONGEST_DRAIN: Final = 2.0


class SerialConnection:
    """See the module's head; the interface is that of `connectors.modbus.connection.Connection`."""

    def __init__(self, path: str, port: Any, settings: Settings, clock: Clock) -> None:
        self._path = path
        self._port = port
        self._clock = clock
        self._quiet = max(_LEAST_QUIET, _QUIET * settings.bits / settings.baud)
        self._character = settings.bits / settings.baud

    async def read(self, scan: Scan) -> None:
        """As in Reader."""
        while (index := scan.take()) is not None:
            await self._exchange(scan, index)

    async def _exchange(self, scan: Scan, index: int) -> None:
        asked = scan.question(index)
        frame = asked + crc(asked)
        await self._drain()
        try:
            os.write(self._port.fd, frame)
        except OSError as error:
            raise self._gone(error) from error
        sent = self._clock.monotonic()
        heard = await self._heard(scan, index, scan.timeout + len(frame) * self._character)
        if heard:
            trip = self._clock.monotonic() - sent
            scan.answer(index, heard, 0, len(heard) - 2, self._clock.wall(), trip)
        else:
            scan.time_out(index)

    async def _heard(self, scan: Scan, index: int, timeout: float) -> bytes:
        """The whole answer with its check sum; empty where none came. Bytes that are none are dropped."""
        heard = b""
        while len(heard) <= _LONGEST:
            before = len(heard)
            with anyio.move_on_after(timeout):
                heard += await self._bytes()
            if len(heard) == before:
                return b""
            for end in range(_SHORTEST, len(heard) + 1):
                if scan.fits(index, heard, 0, end - 2) and crc_is_right(heard[:end]):
                    return heard[:end]
            timeout = max(_GAP, self._quiet)
        return b""

    async def _bytes(self) -> bytes:
        await anyio.wait_readable(self._port.fd)
        try:
            data = os.read(self._port.fd, _LONGEST)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        if not data:
            raise self._gone(None)
        return data

    async def _drain(self) -> None:
        """Waits until nobody has spoken for a while."""
        with anyio.move_on_after(_LONGEST_DRAIN):
            while True:
                with anyio.move_on_after(self._quiet):
                    await self._bytes()
                    continue
                return

    def _gone(self, error: OSError | None) -> NotConnected:
        return NotConnected(
            "read",
            self._path,
            Words(f"직렬 포트가 끊어졌습니다: {error}", f"the serial port is gone: {error}"),
            Words("USB 변환기의 연결을 확인하십시오", "see whether the USB adapter is plugged in"),
        )

    async def watch(self) -> None:
        """A serial port shows that it is gone when it is read."""
        await anyio.sleep_forever()

    async def close(self) -> None:
        """Lets go of the port."""
        self._port.close()


@asynccontextmanager
async def serial_opened(path: str, settings: Settings, clock: Clock) -> AsyncIterator[Connection]:
    """The port, for us alone; raises NotConnected or Unsupported."""
    connection = SerialConnection(path, port_of(path, settings), settings, clock)
    try:
        yield connection
    finally:
        await connection.close()
