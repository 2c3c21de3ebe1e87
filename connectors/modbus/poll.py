"""The polling of one device: when to read, what to do with a refusal, how to leave a silent unit alone."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

import anyio

from connectors.modbus.config import ModbusDevice
from connectors.modbus.connection import Reader
from connectors.modbus.plan import Block, Limits, halves, hull, payload_size, seam
from connectors.modbus.point import Point, Span
from connectors.modbus.report import ILLEGAL, UNREACHED, Reading, Reporter
from connectors.modbus.scan import NOT_ASKED, OK, TIMED_OUT, Scan
from edge_agent.api import Clock, Outlet, Status

RETRY_REFUSED: Final = 60.0
"""Seconds after which a refused address is asked for again."""
_RETRY_ALL: Final = 5.0
"""The same, where the device refuses everything."""
_SLOWEST: Final = 30.0
"""Longest time between two questions to a silent unit."""
_SILENT: Final = 2
"""Readings without any answer after which a unit counts as silent."""
_GONE: Final = 3
"""The same, after which its tags say BadNoCommunication in place of BadTimeout."""


class Poller:
    """One device of a link, for one connection.

    `skipped` counts readings that the interval asked for in vain. `window` is how many requests are in flight: the
    device's setting, halved each time that it turns out to be too many.
    """

    def __init__(self, device: ModbusDevice, points: Sequence[Point], clock: Clock) -> None:
        self.skipped = 0
        self.window = device.window
        self._device = device
        self._points = points
        self._clock = clock
        self._reporter = Reporter(points)
        self._limits = Limits(device.max_registers, device.max_bits, device.max_gap)
        self._refused: dict[Span, int] = {}
        self._seams: frozenset[Span] = frozenset()
        self._retry_at = 0.0
        self._misses = 0
        self._heard = True
        self._probes = count()
        self._plan()

    @property
    def dead(self) -> bool:
        """Whether the unit is silent, and not even a gateway answered for it."""
        return self._misses >= _SILENT and not self._heard

    async def run(self, reader: Reader, outlet: Outlet, mourn: Callable[[], None]) -> None:
        """Reads at the device's interval until cancelled, or until `reader` raises. Calls `mourn` while it is dead."""
        due = self._clock.monotonic()
        while True:
            again = await self.turn(reader, outlet)
            if self.dead:
                mourn()
            if not again:
                due = self._next(due, outlet)
                await anyio.sleep(max(0.0, due - self._clock.monotonic()))

    async def turn(self, reader: Reader, outlet: Outlet) -> bool:
        """One reading and what follows from it; True where the next should follow at once."""
        lost = self._misses > 0
        self._scan.begin(self._choice())
        await reader.read(self._scan)
        self._count()
        await self._tell(outlet)
        illegal = [i for i, code in enumerate(self._scan.outcome) if code in ILLEGAL]
        if illegal:
            return await self._learn(reader, outlet, illegal)
        if self._misses:
            return self._misses < _SILENT
        return lost or await self._forgive(reader, outlet)

    def _plan(self) -> None:
        self._reading = Reading(self._points, self._limits, self._refused, self._seams)
        self._scan = self._reading.scan(self._device.unit, self.window, self._device.timeout)
        self._mute: dict[int, tuple[int, float]] = {}

    def _choice(self) -> Sequence[int] | None:
        """All blocks (None); those that alone do not answer seldom, and last; of a silent unit one at a time."""
        blocks = range(len(self._scan.blocks))
        if self._misses and blocks:
            candidates = [i for i in blocks if i not in self._mute] or blocks
            return [candidates[next(self._probes) % len(candidates)]]
        if not self._mute:
            return None
        now = self._clock.monotonic()
        again = [i for i, (_, until) in self._mute.items() if until <= now]
        return [i for i in blocks if i not in self._mute] + again

    def _count(self) -> None:
        """Takes note of who answered."""
        asked = [code for code in self._scan.outcome if code != NOT_ASKED]
        self._heard = any(code != TIMED_OUT for code in asked)
        reached = any(code != TIMED_OUT and code not in UNREACHED for code in asked)
        if reached and self._misses >= _SILENT:
            self._mute.clear()
        if reached and TIMED_OUT in asked and self.window > 1:
            self._narrow_window()
        elif self._mute or TIMED_OUT in asked:
            self._count_blocks()
        self._misses = 0 if reached or not asked else self._misses + 1

    def _narrow_window(self) -> None:
        """Some answered and some did not: devices that can't keep several requests drop those that come too soon."""
        self.window //= 2
        self._scan.window = self.window

    def _count_blocks(self) -> None:
        now = self._clock.monotonic()
        for index, code in enumerate(self._scan.outcome):
            if code == TIMED_OUT:
                misses = self._mute.get(index, (0, 0.0))[0] + 1
                self._mute[index] = misses, now + _backoff(misses)
            elif code != NOT_ASKED:
                self._mute.pop(index, None)

    async def _tell(self, outlet: Outlet) -> None:
        silent = None
        if self._misses:
            silent = Status.BAD_NO_COMMUNICATION if self._heard or self._misses >= _GONE else Status.BAD_TIMEOUT
        frame = self._reporter.frame(self._reading, self._scan, self._clock.wall(), silent=silent)
        if frame is not None:
            await outlet.put(frame)
        elif self._heard:
            outlet.alive()

    def _next(self, due: float, outlet: Outlet) -> float:
        """When to read next (monotonic s): on the grid of the interval, periods that are over left out and counted."""
        now = self._clock.monotonic()
        if self._misses:
            return now + _backoff(self._misses)
        interval = self._device.interval
        due += interval
        if (over := int((now - due) // interval)) > 0:
            due += over * interval
            self.skipped += over
            outlet.lost("poll_skipped", over * len(self._points), [point.number for point in self._points])
        return due

    async def _learn(self, reader: Reader, outlet: Outlet, illegal: Sequence[int]) -> bool:
        """Finds out what in the blocks `illegal` is refused, and plans without it."""
        refused, seams = dict(self._refused), self._seams
        for index in illegal:
            block = self._scan.blocks[index].span
            inside = sorted({p.span for p in self._points if block.covers(p.span)} - refused.keys())
            if not await self._narrow(reader, outlet, inside, self._scan.outcome[index]):
                break
        learnt = (self._refused, self._seams) != (refused, seams)
        self._plan()
        self._retry_at = self._clock.monotonic() + (RETRY_REFUSED if self._scan.blocks else _RETRY_ALL)
        return learnt

    async def _narrow(self, reader: Reader, outlet: Outlet, spans: Sequence[Span], code: int) -> bool:
        """Bisects spans that as one block were refused with `code`; False where an answer is missing."""
        if len(spans) == 1 or code == 1:
            self._refused |= dict.fromkeys(spans, code)
            return True
        left, right = halves(spans)
        answers = [await self._ask(reader, hull(left)), await self._ask(reader, hull(right))]
        if any(answer not in ILLEGAL | {OK} for answer in answers):
            return False
        outlet.alive()
        for half, answer in zip((left, right), answers, strict=True):
            if answer != OK and not await self._narrow(reader, outlet, half, answer):
                return False
        if answers == [OK, OK]:
            self._seams |= {seam(hull(left), hull(right))}
        return True

    async def _ask(self, reader: Reader, span: Span) -> int:
        """The outcome of reading one span alone."""
        scan = Scan(self._device.unit, (Block(span, 0),), payload_size(span), 1, self._device.timeout)
        scan.begin()
        await reader.read(scan)
        return scan.outcome[0]

    async def _forgive(self, reader: Reader, outlet: Outlet) -> bool:
        """Now and then asks again for a refused span; once one is granted, forgets all that was learnt of its kind."""
        now = self._clock.monotonic()
        if not self._refused or now < self._retry_at:
            return False
        self._retry_at = now + (RETRY_REFUSED if self._scan.blocks else _RETRY_ALL)
        span = next(iter(self._refused))
        self._refused[span] = self._refused.pop(span)  # the next time it is another's turn
        answer = await self._ask(reader, span)
        if answer != TIMED_OUT:
            outlet.alive()
        if answer != OK:
            return False
        self._refused = {no: code for no, code in self._refused.items() if no.function != span.function}
        self._seams = frozenset(no for no in self._seams if no.function != span.function)
        self._plan()
        return True


def _backoff(misses: int) -> float:
    """Seconds to leave a unit or a block alone that did not answer `misses` times in a row: 0.5, 1, 2 … 30."""
    return min(_SLOWEST, 2.0 ** (min(misses, 10) - 2))
