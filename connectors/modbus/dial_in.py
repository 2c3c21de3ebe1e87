"""Modems that dial in: LTE DTUs behind a provider's network connect to us, and the units behind them are read then.

A DTU says who it is with its first bytes (registration), or is known by the address that it comes from, or is the only
one on its port. Several links may listen on one port; each gets the caller that it knows. A caller nobody knows is
hung up on. A DTU that calls again after its network dropped it takes the place of its old connection.

The port listens while a link on it runs, and for a while after a run has failed: a modem need not find the moment.
"""

import asyncio
from typing import Final

import anyio

from connectors.modbus.connection import Connection
from connectors.modbus.place import ModbusPlace, said
from connectors.modbus.stream import StreamConnection, Wire
from connectors.modbus.tcp import not_connected, watch_peer
from edge_agent.api import Clock, EdgeAgentError, NotConnected, TimedOut, Words

_INTRODUCTION: Final = 30.0
"""Seconds within which a caller must have said who it is."""
_LINGER: Final = 120.0
"""Seconds that the port goes on listening without a link: longer than the supervisor ever waits."""
_LONGEST: Final = 256
_CALLERS: Final = 32
"""So many callers may wait without being known; who comes after is hung up on."""


class _Listener:
    """One listening port of this process, with the links that expect callers there."""

    def __init__(self, key: tuple[str, int]) -> None:
        self.key = key
        self.server: asyncio.Server | None = None
        self.gate = anyio.Lock()
        self.links: dict[str, _Expectation] = {}
        self.callers: set[_Caller] = set()
        self.users = 0
        self._timer: asyncio.TimerHandle | None = None

    def keep(self) -> None:
        """Somebody waits or is connected."""
        self.users += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expect(self, link: ModbusPlace) -> "_Expectation":
        """The link's, with the caller that has come meanwhile."""
        found = self.links.get(link.name)
        if found is None or found.marks != (link.registration, link.heartbeat, link.peer):
            found = self.links[link.name] = _Expectation(link)
        return found

    def leave(self, name: str, *, linger: bool) -> None:
        """One link less; the last one closes the port, at once or after a while."""
        self.users -= 1
        if not linger and (left := self.links.pop(name, None)) is not None and left.caller is not None:
            left.caller.hang_up()
        if self.users:
            return
        if linger:
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self.shut)
        else:
            self.shut()

    def shut(self) -> None:
        """Listens no more."""
        _listeners.pop(self.key, None)
        for caller in list(self.callers):
            caller.hang_up()
        if self.server is not None:
            self.server.close()

    def whose(self, peer: str, heard: bytes) -> "_Expectation | None":
        """The link that knows a caller by its address or first words; else the only one that asks for neither."""
        for link in self.links.values():
            if (link.peer and link.peer == peer) or (link.registration and heard.startswith(link.registration)):
                return link
        if not heard and any(link.registration for link in self.links.values()):
            return None
        open_to_all = [link for link in self.links.values() if not link.peer and not link.registration]
        return open_to_all[0] if len(open_to_all) == 1 else None


class _Expectation:
    """What one link knows its modem by, and the caller that came for it."""

    def __init__(self, link: ModbusPlace) -> None:
        self.marks = link.registration, link.heartbeat, link.peer
        self.registration = said(link.registration) or b""
        self.heartbeat = said(link.heartbeat) or b""
        self.peer = link.peer
        self.caller: _Caller | None = None
        self.came = asyncio.Event()

    def take(self, caller: "_Caller") -> None:
        """A modem that calls anew has lost its old connection, whatever that looks like from here."""
        if self.caller is not None:
            self.caller.hang_up()
        self.caller = caller
        self.came.set()


_listeners: dict[tuple[str, int], _Listener] = {}


async def dialled(link: ModbusPlace, line: Wire, clock: Clock) -> Connection:
    """The connection of the modem that has dialled in for this link; waits for it at most `connect_timeout`. Raises
    TimedOut where none has come, NotConnected where the port can't be listened on."""
    key = (link.host, link.number)
    listener = _listeners.setdefault(key, _Listener(key))
    listener.keep()
    try:
        await _listen(listener, link)
        expectation = listener.expect(link)
        with anyio.fail_after(link.connect_timeout):
            caller = await _caller(expectation)
    except TimeoutError:
        listener.leave(link.name, linger=True)
        raise _nobody(link) from None
    except EdgeAgentError:
        listener.leave(link.name, linger=True)
        raise
    except BaseException:
        listener.leave(link.name, linger=False)
        raise
    connection = _DialledConnection(link.name, line, clock, listener, expectation, caller)
    caller.lead_to(connection)
    return connection


async def _caller(expectation: _Expectation) -> "_Caller":
    while True:
        await expectation.came.wait()
        expectation.came.clear()
        if (caller := expectation.caller) is not None and not caller.gone:
            return caller


async def _listen(listener: _Listener, link: ModbusPlace) -> None:
    async with listener.gate:
        if listener.server is not None:
            return
        try:
            listener.server = await asyncio.get_running_loop().create_server(
                lambda: _Caller(listener), link.host, link.number, backlog=_CALLERS
            )
        except OSError as error:
            raise NotConnected(
                "listen",
                link.place,
                Words(f"이 포트에서 받을 수 없습니다: {error}", f"can't listen on that port: {error}"),
                Words(
                    "host 가 이 장비의 주소인지, 그 포트를 다른 프로그램이 쓰는지, 번호가 1024 이상인지 확인하십시오",
                    "check that host is an address of this machine, that no other program listens on that port, "
                    "and that its number is not below 1024",
                ),
            ) from error


def _nobody(link: ModbusPlace) -> TimedOut:
    return TimedOut(
        "wait for modem",
        link.place,
        Words("모뎀이 접속해 오지 않았습니다", "no modem has dialled in"),
        Words(
            "모뎀의 전원과 전파, 모뎀에 설정한 서버 주소와 포트, registration 이 설정과 같은지, 방화벽을 확인하십시오",
            "check the modem's power and signal, the server address and port set in it, that its registration is as "
            "configured, and the firewall",
        ),
    )


class _Caller(asyncio.Protocol):
    """Who dialled in: collects its first words, then hands all that comes to the link's connection."""

    def __init__(self, listener: _Listener) -> None:
        self.gone = False
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = b""
        self._known: _Expectation | None = None
        self._ended: list[Exception | None] = []
        self._connection: StreamConnection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server promises, for the checker
        self._transport = transport
        watch_peer(transport.get_extra_info("socket"))
        if len(self._listener.callers) >= _CALLERS:
            self.hang_up()
            return
        self._listener.callers.add(self)
        self._timer = asyncio.get_running_loop().call_later(_INTRODUCTION, self.hang_up)
        self._introduce()

    def data_received(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.data_received(data)
            return
        self._heard = (self._heard + data)[-_LONGEST:] if self._known else (self._heard + data)[:_LONGEST]
        if self._known is None:
            self._introduce()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._ended.append(exc)
        self._forget()
        if self._connection is not None:
            self._connection.connection_lost(exc)

    def lead_to(self, connection: StreamConnection) -> None:
        """From now on the link's connection gets everything; the registration is none of its business."""
        assert self._transport is not None  # noqa: S101 - made before anybody knows it, for the checker
        connection.connection_made(self._transport)
        self._connection = connection
        if self._ended:
            connection.connection_lost(self._ended[0])

    def hang_up(self) -> None:
        """Drops the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _introduce(self) -> None:
        assert self._transport is not None  # noqa: S101 - called once it is made, for the checker
        peer = self._transport.get_extra_info("peername")[0]
        self._known = self._listener.whose(peer, self._heard)
        if self._known is not None:
            self._forget()
            self._known.take(self)

    def _forget(self) -> None:
        self._listener.callers.discard(self)
        if self._timer is not None:
            self._timer.cancel()


class _DialledConnection(StreamConnection):
    """The modem's connection. What it says of itself between the frames is overheard."""

    def __init__(
        self,
        link: str,
        line: Wire,
        clock: Clock,
        listener: _Listener,
        expectation: _Expectation,
        caller: _Caller,
    ) -> None:
        super().__init__(line, clock, _hung_up)
        self._link = link
        self._listener, self._expectation, self._caller = listener, expectation, caller
        self._closed = False

    def data_received(self, data: bytes) -> None:
        for words in (self._expectation.registration, self._expectation.heartbeat):
            while words and data.startswith(words):
                data = data[len(words) :]
        if data:
            super().data_received(data)

    async def close(self) -> None:
        failed = self.broken
        await super().close()
        if self._closed:
            return
        self._closed = True
        if self._expectation.caller is self._caller:
            self._expectation.caller = None
        self._listener.leave(self._link, linger=failed)


def _hung_up(operation: str, name: str, error: Exception | None) -> EdgeAgentError:
    return not_connected(operation, name, error or ConnectionResetError("the modem hung up"))
