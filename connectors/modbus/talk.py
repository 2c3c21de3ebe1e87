"""The talk with a unit beside its readings: single questions, what it owes, and what its trips and silences teach."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import anyio
import numpy as np
import numpy.typing as npt

from connectors.modbus.budget import Budget
from connectors.modbus.connection import Reader
from connectors.modbus.plan import Block, payload_size
from connectors.modbus.point import Span
from connectors.modbus.price import Trips
from connectors.modbus.report import UNREACHED
from connectors.modbus.scan import GARBLED, OK, TIMED_OUT, Scan
from connectors.modbus.unit import Unit
from edge_agent.api import Clock

_REMEMBERED: Final = 4
"""Single questions whose late answers are still counted."""
_QUIET: Final = 0.05
"""Seconds of quiet before and after the question to a unit that lost step: late answers come, slow units get ready."""


@dataclass(frozen=True, slots=True)
class Bus:
    """What the pollers of one link share: the time that may be lost, and what trips cost."""

    budget: Budget
    trips: Trips


class Talk:
    """One poller's. `heard` says whether anything came at the last question, from the unit or from a gateway."""

    def __init__(self, unit: Unit, timeout: float, bus: Bus, clock: Clock, pause: float = 0.0) -> None:
        """`timeout` and `pause` (s) as configured: single questions get all of the one, at least the other."""
        self.heard = True
        self._unit = unit
        self._timeout = timeout
        self._pause = pause
        self._bus = bus
        self._clock = clock
        self._risked = 0.0
        self._asked: deque[Scan] = deque(maxlen=_REMEMBERED)

    async def in_step(self, reader: Reader, span: Span) -> bool:
        """Whether the unit answers a question for `span`, which fits nothing that it owes: then that won't come."""
        await anyio.sleep(_QUIET)
        code = await self.ask(reader, span)
        self.heard = code != TIMED_OUT
        if code == TIMED_OUT or code in UNREACHED:
            self._unit.breaker.missed(self._clock.monotonic())
            return False
        if code == GARBLED:
            return False
        self._unit.owed.clear()
        self._unit.answered()
        await anyio.sleep(_QUIET)
        return True

    async def ask(self, reader: Reader, span: Span) -> int:
        """The outcome of reading one span alone."""
        scan = Scan(self._unit.number, (Block(span, 0),), payload_size(span), self._timeout)
        scan.pause = max(self._unit.pace.pause, self._pause)
        scan.begin()
        await reader.read(scan)
        for earlier in self._asked:
            self.hear(earlier)
        self._asked.append(scan)
        self.weigh(scan)
        self.owe(scan)
        return scan.outcome[0]

    def hear(self, scan: Scan) -> None:
        """Takes note of answers that came after their time-out, perhaps long after the scan was over."""
        if scan.late:
            self._unit.late = max(scan.late)
            self._unit.patience.answered(np.array(scan.late))
            scan.late.clear()

    def owe(self, scan: Scan) -> None:
        """Remembers what was asked and not answered."""
        unanswered = (i for i, code in enumerate(scan.outcome) if code in (TIMED_OUT, GARBLED))
        self._unit.owed.update(scan.heads[i] for i in unanswered)

    async def grant(self, seconds: float) -> None:
        """Waits until a question may be put that may cost `seconds` without an answer. A unit in good standing that
        missed one reading does not wait: a lost frame, or another's silence, must not cost it its rate.
        """
        if self._unit.breaker.trusted:
            self._bus.budget.risk(seconds)
        else:
            await self._bus.budget.grant(seconds, self._unit.breaker.doubt)
        self._risked = seconds

    def weigh(self, scan: Scan, alone: npt.NDArray[np.float64] | None = None) -> None:
        """Learns from the trips of a scan, and counts the time that was lost on requests without answer.

        `alone`: where no trip waited for another's, the bytes of each answer; then trips say what a request costs.
        """
        trips, lost = np.array(scan.trip), 0.0
        if any(scan.outcome):
            outcome = np.array(scan.outcome)
            silent = int((outcome == TIMED_OUT).sum())
            if silent:
                self._unit.patience.expired()
            lost = silent * scan.timeout / scan.window + float(trips[np.isin(outcome, tuple(UNREACHED))].sum())
            good = outcome == OK
            trips = trips[good]
            alone = alone[good] if alone is not None else None
        if alone is not None and len(trips):
            self._bus.trips.add(alone, trips)
        self._unit.patience.answered(trips)
        self.hear(scan)
        if lost or self._risked:
            self._bus.budget.settle(self._risked, lost)
            self._risked = 0.0
