"""One request at a time on a line whose frames carry no number: RTU and ASCII, on a serial port or over TCP. No I/O.

What comes is an answer only if it has come since the request was sent, its check sum is right, and unit, function code
and length are those asked for. Nothing else in a frame says which request it answers. So after a time-out the line
rests until it has been quiet for a while; the unit is asked for as many bytes again only once it has answered something
else, or as much time again has passed; and whatever came before a request is thrown away as that is sent. (Polling
adds a question of another length before it trusts a unit again that owed an answer: poll.py.)

A request's time-out is for the first byte of the answer, and begins with the last byte of the request: on a slow line
the bytes themselves take long. Once an answer has begun, it may go on as long as bytes keep coming.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from connectors.modbus.framing import Framing
from connectors.modbus.scan import OK, Scan
from edge_agent.api import Clock

_HESITATION: Final = 0.05
"""Longest pause (s) inside an answer: USB adapters hand on what they have every 16 ms."""
_QUIET: Final = 0.02
"""Quiet (s) after a time-out before the next request, where 3.5 characters are less."""
_LONGEST_DRAIN: Final = 1.0
"""Seconds after which a line that does not fall quiet is used all the same: somebody else talks on it."""
_GARBAGE: Final = bytes(3)
"""Fits no question."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """Times of a line in s: of one character, and of the silence between two frames (RTU's 3.5 characters)."""

    character: float = 0.0
    silence: float = 0.0

    @classmethod
    def rtu(cls, baud: int, bits: int) -> "Tempo":
        """`bits` of a character with start, parity and stop. Above 19,200 baud the silence is 1.75 ms (2.5.1.1)."""
        character = bits / baud
        return cls(character, 3.5 * character if baud <= 19_200 else 0.00175)

    @property
    def drain(self) -> float:
        """How long the line must be quiet after a time-out."""
        return max(self.silence, _QUIET)


class _Flight(NamedTuple):
    scan: Scan
    block: int
    sent: float

    @property
    def head(self) -> bytes:
        return self.scan.heads[self.block]


class SerialLine:
    """The line; same calls as `wire.Line`: `feed`, `submit` and `expire` answer the bytes to send next.

    `strays` counts frames that answered no request in flight, `late` those of them that came after their time-out,
    `damaged` answers with a wrong check sum.
    """

    pausing = True
    """What is to be sent may have to wait: look at `deadline` after each call."""

    def __init__(self, clock: Clock, framing: Framing, tempo: Tempo, name: str) -> None:
        self.strays = self.late = self.damaged = 0
        self.name = name
        self._clock = clock
        self._framing = framing
        self._tempo = tempo
        self._active: dict[Scan, Callable[[], None]] = {}
        self._flight: _Flight | None = None
        self._overdue = 0.0
        self._hopeless = inf
        self._request = b""
        self._buffer = bytearray()
        self._free_at = self._busy_since = 0.0
        self._wake: float | None = None
        """When to look again, where nothing is in flight: as the last call found it, for time goes on between calls."""
        self._ready: dict[int, float] = {}
        self._owed: dict[bytes, tuple[_Flight, float]] = {}

    def submit(self, scan: Scan, done: Callable[[], None]) -> bytes:
        """Starts the reading of a scan on which `begin` was called. `done` is called once it is complete."""
        self._active[scan] = done
        self._settle(scan)
        return self._pump(self._clock.monotonic())

    def withdraw(self, scan: Scan) -> None:
        """Forgets a scan. What it has in flight keeps the line until the answer or the time-out."""
        self._active.pop(scan, None)
        if self._flight is not None and self._flight.scan is scan:
            self._free_at = max(self._free_at, self._overdue)
            self._owe(self._flight, self._overdue)
            self._flight = None
            self._wake = self._free_at

    @property
    def deadline(self) -> float | None:
        """When to call `expire` next (monotonic s); None where nothing is going on."""
        if self._flight is not None:
            return min(self._overdue, self._hopeless)
        return self._wake if self._active else None

    def feed(self, data: bytes) -> bytes:
        """Takes bytes as they came, cut anywhere."""
        wall, now = self._clock.wall(), self._clock.monotonic()
        self._buffer += data
        if self._flight is not None:
            self._go_on(now)
        used, spoilt = 0, False
        for adu, end in self._framing.frames(bytes(self._buffer), self._units):
            if adu:
                used = end
                self._take(adu, wall, now)
            else:
                spoilt = end > used
        del self._buffer[: used or max(0, len(self._buffer) - 2 * self._framing.longest)]
        self._hopeless = now + self._slack if spoilt else inf
        if self._flight is None:
            self._rest(now)
        return self._pump(now)

    def expire(self) -> bytes:
        """Gives up on the request in flight if it is overdue now, and sends what has waited for its time."""
        now = self._clock.monotonic()
        if self._flight is not None and min(self._overdue, self._hopeless) <= now:
            self._give_up(self._flight, now)
        return self._pump(now)

    # -- what comes ----------------------------------------------------------------------------------------------------

    @property
    def _units(self) -> frozenset[int]:
        """Those whose frames can mean something."""
        flights = [flight for flight, _ in self._owed.values()] + ([self._flight] if self._flight else [])
        return frozenset(flight.scan.unit for flight in flights)

    def _go_on(self, now: float) -> None:
        """An answer may have begun. Some RS-485 adapters hear what they send themselves: that is none."""
        if self._request and self._buffer.startswith(self._request):
            del self._buffer[: len(self._request)]
            self._request = b""
        if 0 < len(self._buffer) <= self._framing.longest:
            self._overdue = max(self._overdue, now + self._slack)

    @property
    def _slack(self) -> float:
        """How long to wait for the next byte of an answer that has begun."""
        return _HESITATION + 4 * self._tempo.character

    def _take(self, adu: bytes, wall: int, now: float) -> None:
        """A whole frame: the answer in flight, or one that comes too late, or one that nobody here asked for."""
        flight = self._flight
        if flight is None or not flight.scan.fits(flight.block, adu, 0, len(adu)):
            self._stray(adu, now)
            return
        self._flight = None
        self._free(now)
        scan = flight.scan
        if scan.pause:
            self._ready[scan.unit] = self._free_at + scan.pause
        scan.answer(flight.block, adu, 0, len(adu), wall, now - flight.sent)
        if scan.outcome[flight.block] >= OK:
            self._forgive(scan.unit)
        self._settle(scan)

    def _stray(self, adu: bytes, now: float) -> None:
        self.strays += 1
        for head, (flight, _) in list(self._owed.items()):
            if flight.scan.fits(flight.block, adu, 0, len(adu)):
                self.late += 1
                flight.scan.late.append(now - flight.sent)
                del self._owed[head]
                if self._flight is None:
                    self._free(now)
                return

    def _rest(self, now: float) -> None:
        """Bytes without a request: the line is busy until it falls quiet."""
        if now > self._free_at:
            self._busy_since = now
        quiet = now + (self._tempo.drain if self._buffer else self._tempo.silence)
        self._free_at = max(self._free_at, min(quiet, self._busy_since + _LONGEST_DRAIN))

    def _free(self, now: float) -> None:
        self._busy_since = now
        self._free_at = now + self._tempo.silence

    # -- what does not come --------------------------------------------------------------------------------------------

    def _give_up(self, flight: _Flight, now: float) -> None:
        scan = flight.scan
        self._flight = None
        self._busy_since = now
        self._free_at = now + self._tempo.drain
        self._owe(flight, max(now, self._overdue) + scan.timeout)  # what was damaged may have been another's
        if self._hopeless < inf:
            self.damaged += 1
            scan.answer(flight.block, _GARBAGE, 0, len(_GARBAGE), self._clock.wall(), now - flight.sent)
        else:
            scan.time_out(flight.block)
        self._settle(scan)

    def _owe(self, flight: _Flight, until: float) -> None:
        self._owed[flight.head] = flight, until

    def _forgive(self, unit: int) -> None:
        """A unit answers in order: what it owed when it was asked last will not come any more."""
        self._owed = {head: owed for head, owed in self._owed.items() if owed[0].scan.unit != unit}

    # -- what to send --------------------------------------------------------------------------------------------------

    def _settle(self, scan: Scan) -> None:
        if scan.complete and scan in self._active:
            self._active.pop(scan)()

    def _blocked(self, now: float) -> frozenset[bytes]:
        """What is not asked now, since an old answer would look the same."""
        return frozenset(head for head, (_, until) in self._owed.items() if until > now)

    def _pump(self, now: float) -> bytes:
        """The next request, if it is time for one; else sets when. Whoever sent goes to the end of the queue."""
        if self._flight is not None:
            return b""
        if now < self._free_at:
            self._wake = self._free_at
            return b""
        for scan in list(self._active):
            if scan.pause and now < self._ready.get(scan.unit, 0.0):
                continue
            index = scan.take(self._blocked(now))
            if index is not None:
                self._active[scan] = self._active.pop(scan)
                return self._launch(scan, index, now)
        times = [until for _, until in self._owed.values()]
        times += [self._ready.get(scan.unit, now) for scan in self._active if scan.pause]
        self._wake = min((time for time in times if time > now), default=None)
        return b""

    def _launch(self, scan: Scan, index: int, now: float) -> bytes:
        frame = self._framing.frame(scan.question(index))
        self._buffer.clear()
        self._hopeless, self._request = inf, frame
        self._flight = _Flight(scan, index, now)
        self._overdue = now + len(frame) * self._tempo.character + scan.timeout
        return frame
