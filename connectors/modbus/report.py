"""What a reading says -> the frame that tells it: values, and a status row for each tag whose status changed. Pure."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from connectors.modbus.decode import Decoder, Values
from connectors.modbus.known import Known
from connectors.modbus.plan import USUAL, Limits, Plan, make_plan
from connectors.modbus.point import Point, Span, spans_of
from connectors.modbus.scan import GARBLED, NOT_ASKED, OK, TIMED_OUT, Scan
from connectors.modbus.search import ILLEGAL
from edge_agent.api import Flag, Frame, Kind, Status

UNREACHED: Final = frozenset({10, 11})
"""Exceptions in which a gateway says that it could not reach the unit."""

_EXCEPTIONS: Final = {
    1: Status.BAD_CONFIGURATION_ERROR,
    2: Status.BAD_NODE_ID_UNKNOWN,
    3: Status.BAD_CONFIGURATION_ERROR,
    4: Status.BAD_DEVICE_FAILURE,
    10: Status.BAD_NO_COMMUNICATION,
    11: Status.BAD_NO_COMMUNICATION,
}
_NOTHING: Final = {TIMED_OUT: Status.BAD_TIMEOUT, GARBLED: Status.BAD_COMMUNICATION_ERROR}
_UNSAID: Final = 1
"""No status code is 1: this tag had no row yet."""

StatusColumn = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.intp]


class Reading:
    """How one device is read at the moment: plan, scan, decoder, and the points that it refuses."""

    def __init__(
        self, points: Sequence[Point], limits: Limits, known: Known, worth: float = USUAL, distinct: int = 1
    ) -> None:
        """`limits`, `worth` and `distinct` as in make_plan."""
        refused = known.refused.keys() | known.seams
        self.plan: Plan = make_plan(spans_of(points), limits, refused, worth, distinct)
        self.decoder = Decoder(points, self.plan)
        self.refused = np.array(_left_out(points, self.plan), np.intp)
        codes = [_blame(_without(points[int(i)], self.plan), known) for i in self.refused]
        self.blame = np.array([exception_status(code) for code in codes], np.uint32)

    def scan(self, unit: int) -> Scan:
        """A scan over all its blocks."""
        return Scan(unit, self.plan.blocks, self.plan.size)


def _left_out(points: Sequence[Point], plan: Plan) -> list[int]:
    spans = frozenset(plan.refused)
    return [i for i, point in enumerate(points) if not spans.isdisjoint(point.spans)] if spans else []


def _without(point: Point, plan: Plan) -> Span:
    """What of the point the plan does not read: mostly the value itself, else what its scale or status hangs on."""
    return next(span for span in point.spans if span in plan.refused)


def _blame(span: Span, known: Known) -> int:
    """The exception code for a point that can't be read: its own, that of the smaller one that it covers, or 3 (too
    much at once) where it is wider than what the device gives."""
    if any(span.covers(no) for no in known.seams):
        return 2
    return next((code for no, code in known.refused.items() if span.covers(no)), 3)


def exception_status(code: int) -> Status:
    """The status of tags whose read was answered by this exception code."""
    return _EXCEPTIONS.get(code, Status.BAD_COMMUNICATION_ERROR)


class Reporter:
    """Remembers what was last said of each point of one device, so that a status is told once per change.

    A value is told at each reading, good or not (a sentinel is a fresh reading that says bad); the lack of one only
    when it begins or changes its cause.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._tag = np.array([p.number for p in points], np.int32)
        self._said = np.full(len(points), _UNSAID, np.uint32)
        self._clean = False

    def frame(self, reading: Reading, scan: Scan, now: int, *, silent: Status | None = None) -> Frame | None:
        """The rows of a finished scan of `reading`; None where there is nothing to tell.

        `now` (wall ns) is the time of status rows. `silent` is the status of all tags of a unit that did not answer at
        all; without it, blocks that were not asked keep the status they have, and so do blocks that the device called
        illegal: which of their tags that means is for the poller to find out.
        """
        if self._clean and not any(scan.outcome):
            return _values(reading.decoder, scan)
        values = _values(reading.decoder, scan)
        outcome = reading.decoder.outcomes(scan.outcome)
        status, flags = self._statuses(reading, scan, outcome, silent)
        good = np.flatnonzero(outcome == OK)
        told = np.flatnonzero(status != self._said)
        told = told[status[told] != Status.GOOD]
        self._said = status
        self._clean = not status.any()
        parts = [values.rows(good)] if good.size else []
        if told.size:
            parts.append(_status_rows(self._tag[told], status[told], flags[told], now))
        return Frame.concat(parts) if parts else None

    def _statuses(
        self, reading: Reading, scan: Scan, outcome: npt.NDArray[np.int64], silent: Status | None
    ) -> tuple[StatusColumn, npt.NDArray[np.uint16]]:
        """The status of every point now, and the flags of a row that says so."""
        status, flags = self._said.copy(), np.full(len(self._said), Flag.AGENT, np.uint16)
        rows = reading.decoder.row
        for code in set(scan.outcome):
            where = rows[outcome == code]
            if code in ILLEGAL or code == NOT_ASKED:
                continue
            if code >= OK:
                status[where] = exception_status(code) if code else Status.GOOD
                flags[where] = 0
            else:
                status[where] = _NOTHING[code]
        if silent is not None:
            status[rows] = silent
        status[reading.refused] = reading.blame
        flags[reading.refused] = 0
        return status, flags


def _values(decoder: Decoder, scan: Scan) -> Frame:
    """All rows of a scan, also those of blocks without an answer (to be left out by the caller)."""
    values = decoder.decode(np.frombuffer(scan.image, np.uint8))
    received = np.array(scan.received, np.int64)
    middle = received - (np.array(scan.trip) * 5e8).astype(np.int64)  # half of it, in ns
    kind, status = _kinds(decoder, values)
    return Frame(
        decoder.tag,
        middle[decoder.block],
        received[decoder.block],
        values.bits,
        kind,
        status,
        np.zeros(len(decoder.tag), np.uint16),
        values.texts,
    )


def _kinds(decoder: Decoder, values: Values) -> tuple[npt.NDArray[np.uint8], StatusColumn]:
    if values.status is None:
        return decoder.kind, np.zeros(len(decoder.tag), np.uint32)
    return np.where(values.status == 0, decoder.kind, np.uint8(Kind.NONE)), values.status


def _status_rows(tag: npt.NDArray[np.int32], status: StatusColumn, flags: npt.NDArray[np.uint16], now: int) -> Frame:
    n = len(tag)
    when = np.full(n, now, np.int64)
    return Frame(tag, when, when, np.zeros(n, np.uint64), np.zeros(n, np.uint8), status, flags)
