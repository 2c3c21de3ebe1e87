"""Requests in flight on one connection: what to send next, which answer belongs where, what is overdue. No sockets.

A frame of Modbus TCP is transaction id (2 bytes), protocol id 0 (2), length of what follows (2), unit (1), function
code (1), data (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3). An answer is used only if it is the one
asked for: a transaction in flight, and for it the same unit, function code and length. An answer that comes after its
deadline belongs to no transaction in flight and is dropped.

Some gateways give an old answer the number of the newest request, or mix up the numbers of several. So no two requests
in flight ask the same unit for the same number of registers: a mixed-up answer shows by its length and is not used.

A gateway puts one request after the other on its line. What timed out here may still hold it, and whoever is asked next
waits there: the time-out of another unit's request begins once the gateway has spoken of the old one or answered what
was sent after it, at most `_PATIENCE` time-outs later.

Every scan has a window, the line has a limit over all scans, and scans take turns request by request, so a long scan
never starves a short one.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from connectors.modbus.scan import GARBLED, Scan
from edge_agent.api import Clock, ProtocolError, Words

_HEADER: Final = 6
_LONGEST: Final = 254
"""Unit and the longest PDU of 253 bytes (V1.1b3, 4.1)."""
_OWED: Final = 64
"""Answers that never came and are still remembered, to know them when they do."""
_PATIENCE: Final = 3
"""Time-outs for which a gateway may be busy with a request that timed out here: it gives up when it likes."""
_SPOKEN_FOR: Final = (10, 11)
"""Exceptions that a gateway gives in place of a unit that it can't reach (V1.1b3, 7)."""


class _Owed(NamedTuple):
    """An answer that did not come in time, or in whose place another came.

    Until `until` (monotonic s) none of its length is asked of its unit.
    """

    scan: Scan
    block: int
    sent: float
    until: float

    @property
    def head(self) -> bytes:
        return self.scan.heads[self.block]


class Line:
    """One connection's requests in flight. `feed`, `submit` and `expire` answer the bytes to send next.

    `strays` counts answers that belonged to no request in flight, `late` those of them that came after their time-out.
    """

    def __init__(self, clock: Clock, limit: Callable[[], int], name: str) -> None:
        """`limit`: most requests in flight over all scans at the moment; `name` of the link, for errors."""
        self.strays = 0
        self.late = 0
        self.pausing = False
        """Whether a scan waits for the end of its unit's pause: `deadline` then is nearer than it was before."""
        self.name = name
        self._clock = clock
        self._limit = limit
        self._tail = b""
        self._transaction = 0
        self._flying: dict[int, tuple[Scan, int, float]] = {}
        self._heads: set[bytes] = set()
        self._owed: OrderedDict[int, _Owed] = OrderedDict()
        self._ready: dict[int, float] = {}
        self._active: dict[Scan, Callable[[], None]] = {}
        self._turn = 0.0
        """When the last answer came that was late: whoever waited behind it had its turn then."""
        self._passed = 0.0
        """When the newest request was sent that was answered: what was sent before it holds nobody up."""

    def submit(self, scan: Scan, done: Callable[[], None]) -> bytes:
        """Starts the reading of a scan on which `begin` was called. `done` is called once it is complete."""
        self._active[scan] = done
        self._settle(scan)
        return self._pump(self._clock.monotonic())

    def withdraw(self, scan: Scan) -> None:
        """Forgets a scan and its requests in flight, if any; their answers will be strays."""
        self._active.pop(scan, None)
        if scan.flying:
            for transaction, (other, index, _) in list(self._flying.items()):
                if other is scan:
                    del self._flying[transaction]
                    self._heads.discard(scan.heads[index])

    @property
    def deadline(self) -> float | None:
        """When to call `expire` next (monotonic s), if no scan is submitted before; None where nothing is going on.

        That is when a request in flight is overdue, when a unit's pause is over, or when a request that is yet to be
        sent could be overdue.
        """
        if not self._active:
            return None
        now = self._clock.monotonic()
        times = [now + min(scan.timeout for scan in self._active)]
        times += [self._overdue(scan, sent) for scan, _, sent in self._flying.values()]
        times += [ready for scan in self._active if scan.pause and (ready := self._ready.get(scan.unit, now)) > now]
        times += [owed.until for owed in self._owed.values() if owed.until > now]
        return min(times)

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
            self._take(data, at, stop, wall, now)
            at = stop
        self._tail = data[at:]
        return self._pump(now)

    def _take(self, data: bytes, at: int, stop: int, wall: int, now: float) -> None:
        transaction = data[at] << 8 | data[at + 1]
        entry = self._flying.get(transaction)
        if entry is None:
            self._stray(transaction, data, at + _HEADER, now)
            return
        scan, index, sent = entry
        at += _HEADER
        if self._owed and not scan.fits(index, data, at, stop) and self._was_owed(data[at : at + 3]):
            scan.doubts += 1  # an old answer under a new number: the right one is still to come
            self.strays += 1
            return
        del self._flying[transaction]
        if scan.pause:
            self._ready[scan.unit] = now + scan.pause
        self._passed = sent
        scan.answer(index, data, at, stop, wall, now - sent)
        if scan.outcome[index] == GARBLED:
            self._owe(transaction, _Owed(scan, index, sent, now + scan.timeout))
        else:
            self._heads.discard(scan.heads[index])
            if self._owed:
                self._forgive(scan.unit, sent)
        if not scan.flying:
            self._settle(scan)

    def _stray(self, transaction: int, data: bytes, at: int, now: float) -> None:
        """An answer to nothing in flight: one that came late, or one that nobody asked for."""
        self.strays += 1
        owed = self._owed.get(transaction)
        if owed is not None:
            self.late += 1
            if not (data[at + 1] & 0x80 and data[at + 2] in _SPOKEN_FOR):
                owed.scan.late.append(now - max(owed.sent, self._turn))
            self._turn = now
            self._drop(transaction)
            return
        for scan in self._active:
            if scan.unit == data[at]:
                scan.doubts += 1

    def _was_owed(self, head: bytes) -> bool:
        """Whether an answer that begins like this was owed to a request that timed out; it is not any more."""
        found = next((transaction for transaction, owed in self._owed.items() if owed.head == head), None)
        if found is None:
            return False
        self.late += 1
        self._drop(found)
        return True

    def _forgive(self, unit: int, sent: float) -> None:
        """A unit answers in order: what it still owed when it was asked at `sent` will not come any more."""
        for transaction, owed in list(self._owed.items()):
            if owed.scan.unit == unit and owed.sent < sent:
                self._drop(transaction)

    def _owe(self, transaction: int, owed: _Owed) -> None:
        self._owed[transaction] = owed
        if len(self._owed) > _OWED:
            self._drop(next(iter(self._owed)))

    def _drop(self, transaction: int) -> None:
        self._release(self._owed.pop(transaction).head)

    def _release(self, head: bytes) -> None:
        """What begins like this may be asked again, unless it is in flight."""
        if all(scan.heads[index] != head for scan, index, _ in self._flying.values()):
            self._heads.discard(head)

    def expire(self) -> bytes:
        """Gives up on requests that are overdue now, and sends what waited for the end of a pause."""
        now = self._clock.monotonic()
        for owed in self._owed.values():
            if owed.until <= now:
                self._release(owed.head)
        for transaction, (scan, index, sent) in list(self._flying.items()):
            if self._overdue(scan, sent) <= now:
                del self._flying[transaction]
                self._owe(transaction, _Owed(scan, index, sent, now + scan.timeout))
                scan.time_out(index)
                self._settle(scan)
        return self._pump(now)

    def _overdue(self, scan: Scan, sent: float) -> float:
        """When a request in flight is overdue (monotonic s)."""
        began = max(sent, self._turn)
        if not self._owed:
            return began + scan.timeout
        held = [
            owed.until + (_PATIENCE - 1) * owed.scan.timeout
            for owed in self._owed.values()
            if owed.scan.unit != scan.unit and self._passed < owed.sent < sent
        ]
        return max([began, *held]) + scan.timeout

    def _settle(self, scan: Scan) -> None:
        if scan.complete:
            self._active.pop(scan)()

    def _pump(self, now: float) -> bytes:
        """Sends what windows and limit allow. Where the limit binds, whoever sent goes to the end of the queue."""
        out: list[bytes] = []
        self.pausing = False
        limit = self._limit()
        for scan in list(self._active):
            if len(self._flying) >= limit:
                break
            if scan.pause and (scan.flying or now < self._ready.get(scan.unit, now)):
                self.pausing = True
                continue
            sent = len(out)
            while len(self._flying) < limit and (index := scan.take(self._heads)) is not None:
                out += (self._launch(scan, index, now), scan.requests[index])
                if scan.pause:
                    break
            if len(out) > sent and len(self._active) > 1:
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
        if self._flying:
            scan.accompanied += 1
        if transaction in self._owed:
            self._drop(transaction)
        self._flying[transaction] = scan, index, now
        self._heads.add(scan.heads[index])
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
