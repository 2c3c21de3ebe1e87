"""A connection over a stream of bytes, whatever carries it: feeds the line and keeps its time."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import anyio

from connectors.modbus.scan import Scan
from connectors.modbus.timer import LoopTimer, Timer
from edge_agent.api import Clock, EdgeAgentError, ProtocolError

_CLOSING: Final = 1.0


class Wire(Protocol):
    """What decides what is sent and which answer belongs where: `wire.Line` and `serial_line.SerialLine`."""

    name: str

    @property
    def pausing(self) -> bool:
        """Whether something waits for its time, so that `deadline` changes with each answer."""
        ...

    @property
    def deadline(self) -> float | None: ...
    def submit(self, scan: Scan, done: Callable[[], None]) -> bytes: ...
    def withdraw(self, scan: Scan) -> None: ...
    def feed(self, data: bytes) -> bytes: ...
    def expire(self) -> bytes: ...


class StreamConnection(asyncio.Protocol):
    """A transport with a line on it. Its deadlines are the line's; no request waits longer."""

    def __init__(self, line: Wire, clock: Clock, gone: Callable[[str, str, Exception | None], EdgeAgentError]) -> None:
        """`gone(operation, name, error)` says in the agent's words why the transport ended."""
        self._line = line
        self._clock = clock
        self._why = gone
        self._name = line.name
        self._transport: asyncio.WriteTransport | None = None
        self.timer: Timer = LoopTimer()
        """What wakes it at the line's deadlines; closed with it."""
        self._readers: set[asyncio.Event] = set()
        self._error: EdgeAgentError | None = None
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - all that we use can write, for the checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._send(self._line.feed(data))
        except ProtocolError as error:
            self._fail(error)
        if self._line.pausing:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(self._why("read", self._name, exc))
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
        raise self._error or self._why("read", self._name, None)

    @property
    def broken(self) -> bool:
        """Whether it can be used no more."""
        return self._error is not None

    async def close(self) -> None:
        """Drops the connection; what was not sent yet is not sent any more."""
        self.timer.close()
        self._drop()
        if not self._gone.is_set():
            with anyio.move_on_after(_CLOSING, shield=True):
                await self._gone.wait()

    def _send(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _arm(self) -> None:
        """Sets the timer to the line's next deadline."""
        if (deadline := self._line.deadline) is None:
            self.timer.cancel()
        else:
            self.timer.start(max(0.0, deadline - self._clock.monotonic()), self._expire)

    def _expire(self) -> None:
        self._send(self._line.expire())
        self._arm()

    def _fail(self, error: EdgeAgentError) -> None:
        """The first reason stands. Whoever reads gets it, and the socket goes."""
        self._error = self._error or error
        for done in self._readers:
            done.set()
        self._drop()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
