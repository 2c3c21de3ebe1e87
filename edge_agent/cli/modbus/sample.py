"""Sample: the points of one unit read once, by the agent's own plan and decoder, block by block and politely."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import anyio

from connectors.modbus.connection import Reader
from connectors.modbus.known import Known
from connectors.modbus.plan import Limits
from connectors.modbus.point import Point, Span
from connectors.modbus.report import Reading, Reporter
from connectors.modbus.scan import GARBLED, NOT_ASKED, OK, TIMED_OUT, Scan
from connectors.modbus.search import ILLEGAL
from edge_agent.api import Clock, Frame
from edge_agent.errors import Words

PAUSE: Final = 0.02
"""Seconds between two requests, so that others find room on the line."""
_PATIENCE: Final = 2
"""After so many questions in a row without an answer a unit is left alone."""

Value = float | int | bool | str | None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one reading says of a point: `value` (None where its status is bad) and `raw`, the bytes as they came.

    `outcome` is that of its request as in Scan, or of the one for what its scale or status hangs on where that failed;
    `trip` how long its own took (s).
    """

    point: Point
    outcome: int
    trip: float = 0.0
    raw: bytes = b""
    value: Value = None
    status: int = 0


async def take(
    reader: Reader,
    unit: int,
    points: Sequence[Point],
    limits: Limits,
    timeout: float,
    clock: Clock,
    *,
    apart: bool = True,
    forbidden: frozenset[Span] = frozenset(),
) -> list[Sample]:
    """A sample of each point, in their order. With `apart` what is refused as a block is asked for point by point.

    No request touches `forbidden`, and no point may lie there.
    """
    found = await _take(reader, unit, points, limits, timeout, clock, forbidden)
    refused = sorted({points[at].spans for at, sample in found.items() if sample.outcome in ILLEGAL})
    for spans in refused if apart and len({point.spans for point in points}) > 1 else ():
        these = [at for at, point in enumerate(points) if point.spans == spans]
        alone = await _take(reader, unit, [points[at] for at in these], limits, timeout, clock)
        found |= {these[at]: sample for at, sample in alone.items()}
    return [found[at] for at in range(len(points))]


async def _take(
    reader: Reader,
    unit: int,
    points: Sequence[Point],
    limits: Limits,
    timeout: float,
    clock: Clock,
    forbidden: frozenset[Span] = frozenset(),
) -> dict[int, Sample]:
    numbered = [replace(point, number=at) for at, point in enumerate(points)]
    reading = Reading(numbered, limits, Known(seams=forbidden))
    scan = reading.scan(unit)
    scan.timeout = timeout
    outcome, trip = list(scan.outcome), list(scan.trip)
    for index in range(len(scan.blocks)):
        scan.begin([index])
        await reader.read(scan)
        outcome[index], trip[index] = scan.outcome[index], scan.trip[index]
        if outcome[max(0, index - _PATIENCE + 1) : index + 1] == [TIMED_OUT] * _PATIENCE:
            break
        await anyio.sleep(PAUSE)
    scan.outcome = outcome
    frame = Reporter(numbered).frame(reading, scan, clock.wall())
    rows = {} if frame is None else {int(tag): row for row, tag in enumerate(frame.tag)}
    return {at: _sample(point, reading, scan, trip, frame, rows.get(at)) for at, point in enumerate(points)}


def _sample(
    point: Point, reading: Reading, scan: Scan, trip: Sequence[float], frame: Frame | None, row: int | None
) -> Sample:
    index = reading.plan.block_of(point.span)
    parts = (scan.outcome[reading.plan.block_of(span)] for span in point.spans)
    outcome = next((one for one in parts if one != OK), OK)
    if outcome != OK or frame is None or row is None:
        return Sample(point, outcome, trip[index])
    block = scan.blocks[index]
    raw = _raw(point.span, block.span, block.offset, scan.image)
    return Sample(point, outcome, trip[index], raw, frame.value(row), int(frame.status[row]))


def _raw(span: Span, block: Span, offset: int, image: bytearray) -> bytes:
    """The point's bytes: its registers, or the one byte with its coil."""
    at = span.start - block.start
    if span.function >= 3:
        return bytes(image[offset + 2 * at : offset + 2 * (span.end - block.start)])
    return bytes((image[offset + at // 8] >> at % 8 & 1,))


def outcome_words(outcome: int) -> Words:
    """What became of a request, for a person."""
    if outcome in _OUTCOMES:
        return _OUTCOMES[outcome]
    return Words(f"예외 응답 {outcome}", f"exception {outcome}")


_OUTCOMES: Final = {
    OK: Words("정상", "ok"),
    TIMED_OUT: Words("응답 없음", "no answer"),
    GARBLED: Words("깨진 응답", "a garbled answer"),
    NOT_ASKED: Words("묻지 않음", "not asked"),
    1: Words("모르는 기능 코드 (예외 1)", "unknown function code (exception 1)"),
    2: Words("없는 주소 (예외 2)", "no such address (exception 2)"),
    3: Words("받을 수 없는 개수 (예외 3)", "a number it does not take (exception 3)"),
    4: Words("장치 고장 (예외 4)", "device failure (exception 4)"),
    5: Words("처리 중 (예외 5)", "still working (exception 5)"),
    6: Words("장치가 바쁨 (예외 6)", "device busy (exception 6)"),
    10: Words("게이트웨이: 경로 없음 (예외 10)", "gateway: no path (exception 10)"),
    11: Words("게이트웨이: 국번 응답 없음 (예외 11)", "gateway: the unit does not answer (exception 11)"),
}
