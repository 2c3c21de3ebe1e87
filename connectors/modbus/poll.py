"""The polling of one device: when to read, what to do with a refusal, how to leave a silent unit alone."""

from collections.abc import Callable, Sequence
from itertools import count, pairwise
from typing import Final

import anyio
import numpy as np

from connectors.modbus.address import HOLDING_REGISTERS
from connectors.modbus.config import ModbusDevice
from connectors.modbus.connection import Reader
from connectors.modbus.known import Known
from connectors.modbus.mute import Mutes
from connectors.modbus.plan import payload_size
from connectors.modbus.point import Point, Span, spans_of
from connectors.modbus.report import UNREACHED, Reading, Reporter
from connectors.modbus.scan import GARBLED, NOT_ASKED, OK, TIMED_OUT, Scan
from connectors.modbus.search import ILLEGAL, Search
from connectors.modbus.talk import Bus, Talk
from connectors.modbus.unit import Unit
from edge_agent.api import Clock, Outlet, Status

RETRY_REFUSED: Final = 60.0
"""Seconds after which a refused address is asked for again."""
_RETRY_ALL: Final = 5.0
"""The same, where the device refuses everything."""
RETRY_LIMIT: Final = 3600.0
"""Seconds after which more than the device's limit is asked for again."""
REPLAN: Final = 60.0
"""Seconds after which the plan is looked at again with the cost of a request as it is known then."""
_STEPS: Final = 125
"""Lengths tried to find one that no owed answer has."""


class Poller:
    """One device of a link, for one connection. `skipped` counts readings that the interval asked for in vain."""

    def __init__(
        self, device: ModbusDevice, points: Sequence[Point], unit: Unit, bus: Bus, clock: Clock, known: Known
    ) -> None:
        self.skipped = 0
        self.known = known
        self._device = device
        self._points = points
        self._unit = unit
        self._bus = bus
        self._clock = clock
        self._reporter = Reporter(points)
        self._configured = device.limits
        self._worth = bus.trips.worth
        self._retry_at = self._replan_at = self._relimit_at = 0.0
        self._talk = Talk(unit, device.timeout, bus, clock, device.pause)
        self._probes = count()
        self._plan()
        self._after(RETRY_REFUSED)

    @property
    def dead(self) -> bool:
        """Whether the unit is silent, and not even a gateway answered for it."""
        return self._unit.breaker.open and not self._talk.heard

    async def run(self, reader: Reader, outlet: Outlet, mourn: Callable[[], None]) -> None:
        """Reads at the device's interval until cancelled, or until `reader` raises. Calls `mourn` while it is dead."""
        due = self._clock.monotonic()
        while True:
            again = await self.turn(reader, outlet)
            if self.dead:
                mourn()
            if not again:
                due = await self._next(due, outlet)

    async def turn(self, reader: Reader, outlet: Outlet) -> bool:
        """One reading and what follows from it; True where the next should follow at once."""
        lost = self._unit.breaker.misses > 0
        self._tune(self._scan)
        if (self._unit.owed or lost) and not await self._in_step(reader):
            self._scan.begin([])
            await self._tell(outlet)
            return False
        self._scan.begin(self._mutes.choice(range(len(self._scan.blocks)), self._clock.monotonic()))
        await reader.read(self._scan)
        await self._check(reader)
        self._count()
        await self._tell(outlet)
        illegal = [i for i, code in enumerate(self._scan.outcome) if code in ILLEGAL]
        if illegal:
            return await self._learn(reader, outlet, illegal)
        if self._unit.breaker.misses:
            return False
        return await self._reconsider(reader, outlet)

    # -- the plan ------------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        limits = self.known.limits(self._configured)
        distinct = max(2, self._unit.window.bound)
        self._reading = Reading(self._points, limits, self.known, self._worth, distinct)
        self._scan = self._reading.scan(self._device.unit)
        self._sizes = np.array([block.size for block in self._scan.blocks], np.float64)
        self._mutes = Mutes()

    def _after(self, seconds: float) -> None:
        """Sets the times of what is reconsidered now and then."""
        now = self._clock.monotonic()
        self._retry_at, self._replan_at, self._relimit_at = now + seconds, now + REPLAN, now + RETRY_LIMIT

    def _tune(self, scan: Scan) -> None:
        """Sets what was learned of the unit."""
        unit = self._unit
        scan.pause = max(unit.pace.pause, self._device.pause)
        scan.window = 1 if scan.pause else unit.window.size
        scan.timeout = unit.patience.timeout

    # -- one reading ---------------------------------------------------------------------------------------------------

    async def _in_step(self, reader: Reader) -> bool:
        """Whether the unit answers a short question, so that no old answer will come."""
        away = self._unit.breaker.open
        answers = await self._talk.in_step(reader, self._step())
        if not answers:
            self._talk.hear(self._scan)
        if answers and away:
            self._mutes.clear()
        return answers

    def _step(self) -> Span:
        """Another block's first addresses each time; as many as the first tag there has, or the first other number."""
        heard = (i for i, code in enumerate(self._scan.outcome) if code != TIMED_OUT and i not in self._mutes)
        blocks = [self._scan.blocks[i].span for i in heard]
        spans = blocks or [b.span for b in self._scan.blocks] or [self._points[0].span]
        span = spans[next(self._probes) % len(spans)]
        unit = 1 if span.function >= HOLDING_REGISTERS else 8
        first = min((p.span for p in self._points if p.span[:2] == span[:2]), default=span)
        lengths = [first.end - first.start, *(unit * length for length in range(1, _STEPS))]
        fresh = (Span(span.function, span.start, span.start + length) for length in lengths)
        return next((s for s in fresh if _head(self._device.unit, s) not in self._unit.owed), span)

    async def _check(self, reader: Reader) -> None:
        """Looks at how the reading went; what was lost while more than one request was in flight is asked again."""
        scan, unit, now = self._scan, self._unit, self._clock.monotonic()
        self._talk.weigh(scan, self._sizes if scan.window == 1 else None)
        if not scan.doubts:
            unit.window.clean(scan.answered, scan.accompanied, now)
            unit.pace.answered(max(0, scan.answered - 1) if scan.window == 1 else 0)
            return
        unit.window.doubt(now)
        self._talk.owe(scan)
        failed = [i for i, code in enumerate(scan.outcome) if code in (TIMED_OUT, GARBLED)]
        if not failed or not (scan.answered or scan.window > 1):
            return
        first = scan.first in failed
        if await self._in_step(reader):
            if scan.window > 1:
                scan.window = 1
                scan.resume([i for i, code in enumerate(scan.outcome) if code < OK and i not in self._mutes])
                await reader.read(scan)
                self._talk.weigh(scan)
                self._talk.owe(scan)
            elif not first and not scan.late:
                unit.pace.lost(len(failed))

    def _count(self) -> None:
        """Takes note of who answered."""
        asked = [code for code in self._scan.outcome if code != NOT_ASKED]
        self._talk.heard = not asked or any(code != TIMED_OUT for code in asked)
        now = self._clock.monotonic()
        if any(code != TIMED_OUT and code not in UNREACHED for code in asked):
            self._unit.answered()
        elif asked:
            self._unit.breaker.missed(now)
        self._mutes.count(self._scan.outcome, now)

    async def _tell(self, outlet: Outlet) -> None:
        silent, breaker = None, self._unit.breaker
        if breaker.misses:
            silent = Status.BAD_NO_COMMUNICATION if self._talk.heard or breaker.gone else Status.BAD_TIMEOUT
        frame = self._reporter.frame(self._reading, self._scan, self._clock.wall(), silent=silent)
        if frame is not None:
            await outlet.put(frame)
        elif self._talk.heard:
            outlet.alive()

    async def _next(self, due: float, outlet: Outlet) -> float:
        """Waits until it is time to read next, and answers when that was due (monotonic s): on the grid of the
        interval, periods that are over left out and counted.
        """
        if self._unit.breaker.misses:
            await self._until(self._unit.breaker.retry_at)
            await self._talk.grant(self._device.timeout)
            return self._clock.monotonic()
        interval = self._device.interval
        due += interval
        if self._unit.owed:
            await self._until(due)
            await self._talk.grant(self._unit.patience.timeout)
        if (over := int((self._clock.monotonic() - due) // interval)) > 0:
            due += over * interval
            self.skipped += over
            outlet.lost("poll_skipped", over * len(self._points), [point.number for point in self._points])
        await self._until(due)
        return due

    async def _until(self, moment: float) -> None:
        await anyio.sleep(max(0.0, moment - self._clock.monotonic()))

    # -- what is refused -----------------------------------------------------------------------------------------------

    async def _learn(self, reader: Reader, outlet: Outlet, illegal: Sequence[int]) -> bool:
        """Finds out what in the blocks `illegal` is refused, and plans without it."""
        before = self.known
        for index in illegal:
            block = self._scan.blocks[index].span
            inside = sorted({s for s in spans_of(self._points) if block.covers(s)} - self.known.refused.keys())
            search = Search(lambda span: self._ask(reader, outlet, span), self.known, self._granted(block.function))
            finished = await search.run(inside)
            self.known = search.known
            if not finished or search.limited:
                break
        learnt = self.known != before
        if learnt:
            self._plan()
        self._after(RETRY_REFUSED if self._scan.blocks else _RETRY_ALL)
        return learnt

    def _granted(self, function: int) -> int:
        """The longest read of this kind that was answered in the last reading."""
        register = function >= HOLDING_REGISTERS
        good = [b.span for b, code in zip(self._scan.blocks, self._scan.outcome, strict=True) if code == OK]
        return max((s.end - s.start for s in good if (s.function >= HOLDING_REGISTERS) == register), default=1)

    async def _ask(self, reader: Reader, outlet: Outlet, span: Span) -> int:
        """The outcome of reading one span alone, and a sign of life where anything came."""
        if (code := await self._talk.ask(reader, span)) != TIMED_OUT:
            outlet.alive()
        return code

    # -- what is reconsidered ------------------------------------------------------------------------------------------

    async def _reconsider(self, reader: Reader, outlet: Outlet) -> bool:
        """Now and then: is it still refused, is it still too long, does a request still cost the same?"""
        now = self._clock.monotonic()
        if self.known.refused and now >= self._retry_at:
            return await self._forgive(reader, outlet)
        if now >= self._relimit_at and (self.known.registers or self.known.bits):
            return await self._lengthen(reader, outlet)
        if now >= self._replan_at:
            self._reprice(now)
        return False

    async def _forgive(self, reader: Reader, outlet: Outlet) -> bool:
        """Asks again for a refused span; once one is granted, forgets all that was learnt of its kind."""
        self._retry_at = self._clock.monotonic() + (RETRY_REFUSED if self._scan.blocks else _RETRY_ALL)
        refused = dict(self.known.refused)
        span = next(iter(refused))
        refused[span] = refused.pop(span)  # the next time it is another's turn
        self.known = Known(refused, self.known.seams, self.known.registers, self.known.bits)
        if await self._ask(reader, outlet, span) != OK:
            return False
        self.known = self.known.without(span.function)
        self._plan()
        return True

    async def _lengthen(self, reader: Reader, outlet: Outlet) -> bool:
        """Asks for one address more than the limit; once that is granted, there is no limit any more."""
        self._relimit_at = self._clock.monotonic() + RETRY_LIMIT
        span = next((s for s in self._longer()), None)
        if span is None or await self._ask(reader, outlet, span) != OK:
            return False
        self.known = Known(self.known.refused, self.known.seams)
        self._plan()
        return True

    def _longer(self) -> list[Span]:
        """Places where two blocks meet that only a limit keeps apart, one address longer than the first."""
        spans = [block.span for block in self._scan.blocks]
        return [
            Span(a.function, a.start, a.end + 1)
            for a, b in pairwise(spans)
            if a.function == b.function and a.end == b.start and a.end - a.start == self._most(a.function)
        ]

    def _most(self, function: int) -> int:
        return self.known.limits(self._configured).of(function)[0]

    def _reprice(self, now: float) -> None:
        """Plans anew where a request has come to cost clearly more or less, and another plan follows from that."""
        self._replan_at = now + REPLAN
        worth = self._bus.trips.worth
        if 0.8 < worth / self._worth < 1.25:
            return
        self._worth = worth
        before = self._reading.plan.blocks
        mutes = self._mutes
        self._plan()
        if self._reading.plan.blocks == before:
            self._mutes = mutes


def _head(unit: int, span: Span) -> bytes:
    return bytes((unit, span.function, payload_size(span)))
