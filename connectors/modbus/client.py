"""The socket of a Modbus TCP link: connects, feeds the line, and says in the agent's words what breaks."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

import anyio

from connectors.modbus.config import ModbusLink
from connectors.modbus.poll import Poller
from connectors.modbus.wire import Line, Scan
from edge_agent.api import Clock, EdgeAgentError, Frame, NotConnected, Outlet, ProtocolError, TimedOut, Words

_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
_UNHEARD_MS: Final = 20_000
"""Sent bytes that the other host has not acknowledged for so long break the connection."""
_CLOSING: Final = 1.0


class ModbusConnector:
    """One link: one TCP connection, all its devices polled over it side by side. See `edge_agent.api.Connector`."""

    def __init__(self, link: ModbusLink, numbers: Sequence[int], clock: Clock) -> None:
        """`numbers[i]` is the tag number of `link.tag_list()[i]`."""
        self.silence = 10.0 + max(2 * device.interval + 4 * device.timeout for device in link.devices)
        self._link = link
        self._clock = clock
        self._name = f"modbus://{link.host}:{link.port}"
        self._pollers = [
            Poller(device, points, clock) for device, points in zip(link.devices, link.points(numbers), strict=True)
        ]

    async def run(self, outlet: Outlet) -> None:
        """Connects and polls until the connection breaks or every unit falls silent; raises why."""
        connection = await self._connect()
        try:
            await self._poll(connection, _InTurn(outlet))
        finally:
            await connection.close()

    async def _poll(self, connection: "Connection", outlet: Outlet) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(connection.watch)
                for poller in self._pollers:
                    group.start_soon(poller.run, connection, outlet, self._mourn)
        except BaseExceptionGroup as group_of_errors:
            raise _reason(group_of_errors) from None

    async def _connect(self) -> "Connection":
        link = self._link
        connection = Connection(Line(self._clock, link.in_flight, self._name), self._clock, self._name)
        try:
            with anyio.fail_after(link.connect_timeout):
                await asyncio.get_running_loop().create_connection(lambda: connection, link.host, link.port)
        except TimeoutError:
            raise self._unanswered(
                "connect", Words("연결 요청에 답이 없습니다", "no answer to the connection request")
            ) from None
        except OSError as error:
            raise _not_connected("connect", self._name, error) from error
        return connection

    def _mourn(self) -> None:
        if all(poller.dead for poller in self._pollers):
            raise self._unanswered(
                "read", Words("연결은 되었으나 답하는 장치가 없습니다", "connected, but no unit answers")
            )

    def _unanswered(self, operation: str, cause: Words) -> TimedOut:
        return TimedOut(
            operation,
            self._name,
            cause,
            Words(
                "장치의 전원, 주소(IP)와 국번(unit), 케이블을 확인하십시오",
                "check the device's power, its IP address and unit number, and the cable",
            ),
        )


class Connection(asyncio.Protocol):
    """One TCP connection with a `Line` on it. Its deadlines are the line's; no request waits longer."""

    def __init__(self, line: Line, clock: Clock, name: str) -> None:
        self._line = line
        self._clock = clock
        self._name = name
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
        except ProtocolError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(_not_connected("read", self._name, exc))
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
        raise self._error or _not_connected("read", self._name, None)

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


class _InTurn:
    """The outlet for several pollers: one `put` at a time, so the frames of a link stay in order."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._lock = anyio.Lock()
        self.alive = outlet.alive
        self.lost = outlet.lost

    async def put(self, frame: Frame) -> None:
        async with self._lock:
            await self._outlet.put(frame)


def _watch_peer(sock: socket.socket) -> None:
    """Lets the kernel find out that the other host is gone, also between polls that are an hour apart."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MS)


def _reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The agent's own error in a group of nothing else, else the group: a bug must not look like a broken link."""
    ours, others = group.split(EdgeAgentError)
    if ours is None or others is not None:
        return group
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _not_connected(operation: str, name: str, error: Exception | None) -> NotConnected:
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
