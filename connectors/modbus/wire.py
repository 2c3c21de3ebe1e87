"""Requests in flight on one connection: what to send next, which answer belongs where, what is overdue. No sockets.

A frame of Modbus TCP is transaction id (2 bytes), protocol id 0 (2), length of what follows (2), unit (1), function
code (1), data (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3). An answer is used only if it is the one
asked for: a transaction in flight, and for it the same unit, function code and length. An answer that comes after its
deadline belongs to no transaction in flight and is dropped.

Every scan has a window, the line has a limit over all scans, and scans take turns request by request, so a long scan
never starves a short one.
"""

from collections.abc import Callable
from typing import Final

from connectors.modbus.scan import Scan
from edge_agent.api import Clock, ProtocolError, Words

_HEADER: Final = 6
_LONGEST: Final = 254
"""Unit and the longest PDU of 253 bytes (V1.1b3, 4.1)."""


class Line:
    """One connection's requests in flight. `feed`, `submit` and `expire` answer the bytes to send next.

    `strays` counts answers that belonged to no request in flight.
    """

    def __init__(self, clock: Clock, limit: int, name: str) -> None:
        """`limit`: most requests in flight over all scans; `name` of the link, for errors."""
        self.strays = 0
        self._clock = clock
        self._limit = limit
        self.name = name
        self._tail = b""
        self._transaction = 0
        self._flying: dict[int, tuple[Scan, int, float]] = {}
        self._active: dict[Scan, Callable[[], None]] = {}

    def submit(self, scan: Scan, done: Callable[[], None]) -> bytes:
        """Starts the reading of a scan on which `begin` was called. `done` is called once it is complete."""
        self._active[scan] = done
        self._settle(scan)
        return self._pump(self._clock.monotonic())

    def withdraw(self, scan: Scan) -> None:
        """Forgets a scan and its requests in flight, if any; their answers will be strays."""
        self._active.pop(scan, None)
        if scan.flying:
            self._flying = {tid: entry for tid, entry in self._flying.items() if entry[0] is not scan}

    @property
    def deadline(self) -> float | None:
        """When to call `expire` next (monotonic s), if no scan is submitted before; None where nothing is going on.

        That is when a request in flight is overdue, or where one that is yet to be sent could be.
        """
        if not self._active:
            return None
        soonest = self._clock.monotonic() + min(scan.timeout for scan in self._active)
        return min([soonest, *(sent + scan.timeout for scan, _, sent in self._flying.values())])

    def feed(self, data: bytes) -> bytes:
        """Takes bytes as they came, cut anywhere. Raises ProtocolError where they are no Modbus TCP."""
        wall, now = self._clock.wall(), self._clock.monotonic()
        if self._tail:
            data = self._tail + data
        at, end = 0, len(data)
        while end - at >= _HEADER:
            length = data[at + 4] << 8 | data[at + 5]
            if data[at + 2] or data[at + 3] or not 3 <= length <= _LONGEST:
                raise _garbage(self.name, data[at : at + _HEADER])
            stop = at + _HEADER + length
            if stop > end:
                break
            entry = self._flying.pop(data[at] << 8 | data[at + 1], None)
            if entry is None:
                self.strays += 1
            else:
                scan, index, sent = entry
                scan.answer(index, data, at + _HEADER, stop, wall, now - sent)
                if not scan.flying:
                    self._settle(scan)
            at = stop
        self._tail = data[at:]
        return self._pump(now)

    def expire(self) -> bytes:
        """Gives up on requests that are overdue now."""
        now = self._clock.monotonic()
        for transaction, (scan, index, sent) in list(self._flying.items()):
            if sent + scan.timeout <= now:
                del self._flying[transaction]
                scan.time_out(index)
                self._settle(scan)
        return self._pump(now)

    def _settle(self, scan: Scan) -> None:
        if scan.complete:
            self._active.pop(scan)()

    def _pump(self, now: float) -> bytes:
        """Sends what windows and limit allow. Where the limit binds, whoever sent goes to the end of the queue."""
        out: list[bytes] = []
        for scan in list(self._active):
            room = self._limit - len(self._flying)
            if room <= 0:
                break
            taken = scan.take(room)
            for index in taken:
                out += (self._launch(scan, index, now), scan.requests[index])
            if taken and len(self._active) > 1:
                self._active[scan] = self._active.pop(scan)
        return b"".join(out)

    def _launch(self, scan: Scan, index: int, now: float) -> bytes:
        """Gives a request a transaction id that is not in flight."""
        transaction = self._transaction
        while True:
            transaction = transaction + 1 & 0xFFFF
            if transaction not in self._flying:
                break
        self._transaction = transaction
        self._flying[transaction] = scan, index, now
        return transaction.to_bytes(2, "big")


def _garbage(name: str, header: bytes) -> ProtocolError:
    return ProtocolError(
        "read",
        name,
        Words(
            f"모드버스 TCP가 아닌 바이트가 왔습니다: {header.hex(' ')}",
            f"bytes that are no Modbus TCP: {header.hex(' ')}",
        ),
        Words(
            "포트가 모드버스 TCP 포트(보통 502)인지, 게이트웨이가 'RTU over TCP'로 설정되지 않았는지 확인하십시오",
            "check that the port is Modbus TCP (usually 502) and that the gateway is not set to 'RTU over TCP'",
        ),
    )
