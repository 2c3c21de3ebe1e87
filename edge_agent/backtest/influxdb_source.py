"""The hub's database as a source: what the configuration's own InfluxDB sink stored there, asked for in InfluxQL.

Values come from each machine's measurement, and what was not good from `quality` (edge_agent/sinks/influxdb/schema.py).
Time is cut into windows that are read one after the other, wider where little is stored; memory holds one window. The
hub has the time of a value, not when it came; texts, and what a history filled in, are not read.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from edge_agent.backtest.remarks import Remarks
from edge_agent.backtest.source import Span, Step
from edge_agent.hub.influxql import quoted
from edge_agent.model import Frame, Kind, Machine, TagTable
from edge_agent.model.status import Quality
from edge_agent.sinks.influxdb.query import HubQuery
from edge_agent.sinks.influxdb.schema import QUALITY, field_name

_MOST: Final = 200_000
"""Cells that one answer may have; a window with more is cut in two."""
_HOUR: Final = 3600 * 1_000_000_000
_WIDEST: Final = 7 * 24 * _HOUR
_NARROWEST: Final = 1_000_000
_EARLIEST, _LATEST = -(1 << 62), (1 << 62)
"""InfluxDB's times end a little before those of 64 bits."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The tags of one machine: their fields and numbers."""

    machine: Machine
    fields: Sequence[str]
    numbers: Sequence[int]

    @property
    def where(self) -> str:
        machine = self.machine
        tags = (("site", machine.site), ("line", machine.line), ("machine", machine.name))
        return " AND ".join(f"{quoted(key)} = {_text(value)}" for key, value in tags)


class _TooMany(Exception):
    """The window has more cells than one answer may have."""


@dataclass(slots=True)
class InfluxDbSource:
    """Bound to a tag table."""

    query: HubQuery
    tags: TagTable
    span: Span
    name: str = ""
    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)
    _places: list[_Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.name or self.query.name
        numbers: dict[Machine, list[int]] = defaultdict(list)
        for number, tag in enumerate(self.tags):
            numbers[tag.machine].append(number)
        self._places = [
            _Place(machine, [field_name(self.tags[number].name) for number in some], some)
            for machine, some in numbers.items()
        ]

    def steps(self) -> Iterator[Step]:
        """See `Source`. Raises what a sink raises."""
        self.remarks = Remarks()
        ends = self._ends()
        if ends is None:
            return
        start, width = ends[0], _HOUR
        while start <= ends[1]:
            stop = min(start + width, ends[1] + 1)
            try:
                frame = self._window(start, stop)
            except _TooMany:
                if width <= _NARROWEST:
                    raise
                width = max(width // 4, _NARROWEST)
                continue
            yield Step(frame, None, (stop - ends[0]) / (ends[1] + 1 - ends[0]))
            start = stop
            width = min(width * 2, _WIDEST) if 4 * len(frame) < _MOST else width

    def whole(self) -> None:
        """Never needed: windows come in order of time."""

    def _ends(self) -> Span | None:
        """Time of the first and the last row of any machine."""
        found: list[int] = []
        for place in self._places:
            select = f"SELECT {_fields(place)} FROM {quoted(place.machine.machine_class)} WHERE {place.where}"
            for order in ("ASC", "DESC"):
                ask = f"{select} AND {_during(self.span[0], self.span[1] + 1)} ORDER BY time {order} LIMIT 1"
                found += [int(row[0]) for series in self.query.ask(ask) for row in series.rows]
        return (min(found), max(found)) if found else None

    def _window(self, start: int, stop: int) -> Frame:
        parts = [frame for place in self._places for frame in (*self._values(place, start, stop),)]
        parts += [frame for place in self._places for frame in (*self._qualities(place, start, stop),)]
        frame = Frame.concat(parts)
        return frame.rows(np.argsort(frame.time, kind="stable"))

    def _values(self, place: _Place, start: int, stop: int) -> Iterator[Frame]:
        limit = max(1, _MOST // len(place.fields))
        measurement = quoted(place.machine.machine_class)
        ask = f"SELECT {_fields(place)} FROM {measurement} WHERE {place.where} AND {_during(start, stop)}"
        for series in self.query.ask(f"{ask} LIMIT {limit}"):
            _enough(series.rows, limit)
            time = np.array([row[0] for row in series.rows], np.int64)
            values = np.array([row[1:] for row in series.rows], np.float64)
            row, column = np.nonzero(np.isfinite(values))
            numbers = np.array(place.numbers, np.int32)[column]
            yield Frame.of_floats(numbers, time[row], values[row, column])

    def _qualities(self, place: _Place, start: int, stop: int) -> Iterator[Frame]:
        """Rows that say that a tag has no good value; that it has one again says the value."""
        numbers = {self.tags[number].name: number for number in place.numbers}
        limit = _MOST // 4
        ask = f'SELECT "signal", "quality", "status", "backfill" FROM {quoted(QUALITY)} WHERE {place.where}'
        for series in self.query.ask(f"{ask} AND {_during(start, stop)} LIMIT {limit}"):
            _enough(series.rows, limit)
            rows = [row for row in series.rows if row[1] in numbers and row[2] != Quality.GOOD and not row[4]]
            tag = np.array([numbers[row[1]] for row in rows], np.int32)
            time = np.array([row[0] for row in rows], np.int64)
            status = np.array([int(row[3]) for row in rows], np.uint32)
            yield Frame.of_floats(tag, time, np.zeros(len(rows)), status=status, kind=Kind.NONE)


def _enough(rows: Sequence[Any], limit: int) -> None:
    if len(rows) >= limit:
        raise _TooMany


def _fields(place: _Place) -> str:
    return ", ".join(quoted(name) for name in place.fields)


def _during(start: int, stop: int) -> str:
    return f"time >= {max(start, _EARLIEST)} AND time < {min(stop, _LATEST)}"


def _text(value: str) -> str:
    """A string in InfluxQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
