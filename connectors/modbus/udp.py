"""Modbus over UDP: the frames of Modbus TCP, one in each datagram. What is lost times out."""

import asyncio
import socket
from typing import Final, cast

import anyio

from connectors.modbus.connection import Connection, unanswered
from connectors.modbus.place import ModbusPlace
from connectors.modbus.stream import StreamConnection
from connectors.modbus.tcp import not_connected
from connectors.modbus.wire import Line
from edge_agent.api import Clock, Words

_HEADER: Final = 6


async def open_socket(link: ModbusPlace, line: Line, clock: Clock) -> Connection:
    """A socket that hears the link's host and port only; raises TimedOut or NotConnected where no such host is."""
    connection = UdpConnection(line, clock, not_connected)
    try:
        with anyio.fail_after(link.connect_timeout):
            await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: connection, remote_addr=(link.host, link.number), proto=socket.IPPROTO_UDP
            )
    except TimeoutError:
        cause = Words("이름을 찾는 데 답이 없습니다", "no answer to the look-up of the name")
        raise unanswered("connect", link.place, cause) from None
    except OSError as error:
        raise not_connected("connect", link.place, error) from error
    return connection


class UdpConnection(StreamConnection, asyncio.DatagramProtocol):
    """Frames in datagrams. One that is not exactly one frame is not used."""

    _socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)  # asyncio's own is none in name before 3.13

    def datagram_received(self, data: bytes, addr: object) -> None:
        whole = len(data) > _HEADER + 1 and len(data) == _HEADER + int.from_bytes(data[4:6], "big")
        if whole and data[2:4] == b"\0\0":
            self.data_received(data)

    def error_received(self, exc: Exception) -> None:
        """The other host says that nobody listens there."""
        self._fail(not_connected("read", self._name, exc))

    def _send(self, data: bytes) -> None:
        while data and self._socket is not None:
            end = _HEADER + int.from_bytes(data[4:6], "big")
            self._socket.sendto(data[:end])
            data = data[end:]

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.abort()
