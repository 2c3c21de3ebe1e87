"""Modbus TCP's socket: connects, feeds the line, and says in the agent's words what breaks."""

import asyncio
import socket
from typing import Final

import anyio

from connectors.modbus.connection import Connection, unanswered
from connectors.modbus.scan import Scan
from connectors.modbus.wire import Line
from edge_agent.api import Clock, EdgeAgentError, NotConnected, ProtocolError, Words

_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
_UNHEARD_MS: Final = 20_000
"""Sent bytes that the other host has not acknowledged for so long break the connection."""
_CLOSING: Final = 1.0


async def connect(host: str, port: int, timeout: float, line: Line, clock: Clock) -> Connection:
    """A connection with `line` on it; raises TimedOut or NotConnected. `timeout` in s."""
    connection = TcpConnection(line, clock)
    try:
        with anyio.fail_after(timeout):
            await asyncio.get_running_loop().create_connection(lambda: connection, host, port)
    except TimeoutError:
        cause = Words("연결 요청에 답이 없습니다", "no answer to the connection request")
        raise unanswered("connect", line.name, cause) from None
    except OSError as error:
        raise not_connected("connect", line.name, error) from error
    return connection


class TcpConnection(asyncio.Protocol):
    """One TCP connection with a `Line` on it. Its deadlines are the line's; no request waits longer."""

    def __init__(self, line: Line, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._name = line.name
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._readers: set[asyncio.Event] = set()
        self._error: EdgeAgentError | None = None
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection promises, for the checker
        self._transport = transport
        _watch_peer(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        try:
            self._send(self._line.feed(data))
            if self._line.pausing:
                self._arm()
        except ProtocolError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(not_connected("read", self._name, exc))
        self._gone.set()

    async def read(self, scan: Scan) -> None:
        """Reads `scan` on which `begin` was called; raises when the connection broke."""
        done = asyncio.Event()
        self._readers.add(done)
        try:
            if self._error is None:
                self._send(self._line.submit(scan, done.set))
                self._arm()
                await done.wait()
            if self._error is not None and not scan.complete:
                raise self._error
        finally:
            self._readers.discard(done)
            self._line.withdraw(scan)

    async def watch(self) -> None:
        """Waits until the connection is gone and raises why."""
        await self._gone.wait()
        raise self._error or not_connected("read", self._name, None)

    async def close(self) -> None:
        """Drops the connection; what was not sent yet is not sent any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
            with anyio.move_on_after(_CLOSING, shield=True):
                await self._gone.wait()

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _arm(self) -> None:
        """Sets the timer to the line's next deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (deadline := self._line.deadline) is not None:
            delay = max(0.0, deadline - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._send(self._line.expire())
        self._arm()

    def _fail(self, error: EdgeAgentError) -> None:
        """The first reason stands. Whoever reads gets it, and the socket goes."""
        self._error = self._error or error
        for done in self._readers:
            done.set()
        if self._transport is not None:
            self._transport.abort()


def _watch_peer(sock: socket.socket) -> None:
    """Lets the kernel find out that the other host is gone, also between polls that are an hour apart."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MS)


def not_connected(operation: str, name: str, error: Exception | None) -> NotConnected:
    match error:
        case None:
            cause = Words("상대가 연결을 닫았습니다", "the other side closed the connection")
        case socket.gaierror():
            cause = Words(f"이름을 찾을 수 없습니다: {error}", f"the name does not resolve: {error}")
        case ConnectionRefusedError():
            cause = Words("그 포트에서 받는 프로그램이 없습니다", "nobody listens on that port")
        case _:
            cause = Words(f"연결이 끊어졌습니다: {error}", f"the connection broke: {error}")
    return NotConnected(
        operation,
        name,
        cause,
        Words(
            "장치가 켜져 있는지, host 와 port(보통 502)가 맞는지, "
            "다른 프로그램이 연결을 다 쓰고 있지 않은지 확인하십시오",
            "check that the device is on, that host and port (usually 502) are right, "
            "and that no other program uses up its connections",
        ),
    )
