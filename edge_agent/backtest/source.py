"""Source: a file, a folder or a hub as frames of the tags that are watched, in the order of their time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from edge_agent.backtest import guess
from edge_agent.backtest.csv_table import CsvTable
from edge_agent.backtest.long import Long, Places
from edge_agent.backtest.matching import match
from edge_agent.backtest.moments import moments
from edge_agent.backtest.order import OutOfOrder, count_doubles, in_order, sorted_whole
from edge_agent.backtest.parquet_table import ParquetTable
from edge_agent.backtest.remarks import Remarks
from edge_agent.backtest.table import Cells, Piece, Table
from edge_agent.backtest.wide import Progress, Wide, time_cells, time_columns
from edge_agent.errors import SourceError, Words
from edge_agent.model import Frame, Machine, Role, Tag, TagTable
from edge_agent.model.frame import Int64

Span = tuple[int, int]
"""First and last time, ns since 1970 UTC, both included."""
_TEXTS: Final = (Role.STATE, Role.ALARM, Role.COUNTER, Role.SETPOINT, Role.SV)
_PARQUET: Final = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Step:
    """Rows in order, the clock of each where it is not its time, and the part of the source that is read by then."""

    frame: Frame
    when: Int64 | None
    done: float


class Source(Protocol):
    """Bound to a tag table; may be read once for each configuration."""

    name: str
    tags: TagTable
    remarks: Remarks
    unknown: list[str]
    missing: list[str]

    def steps(self) -> Iterator[Step]:
        """Rows in order. Raises SourceError; OutOfOrder where `whole()` must be called first."""
        ...

    def whole(self) -> None:
        """From now on all rows are read before the first is given."""
        ...


@dataclass(slots=True)
class FileSource:
    """A CSV or Parquet file."""

    name: str
    tags: TagTable
    frames: Callable[[Remarks], Iterator[Progress]]
    span: Span
    unknown: list[str]
    missing: list[str]
    remarks: Remarks = field(default_factory=Remarks)
    sort: bool = False

    def steps(self) -> Iterator[Step]:
        """See `Source`."""
        self.remarks = Remarks()
        last = np.full(len(self.tags), np.iinfo(np.int64).min)
        frames = self.frames(self.remarks)
        order = sorted_whole(frames, self.remarks, self.name) if self.sort else in_order(frames, self.remarks)
        for frame, done in order:
            if len(frame):
                count_doubles(frame, last, self.remarks)
                inside = (frame.time >= self.span[0]) & (frame.time <= self.span[1])
                frame = frame if inside.all() else frame.rows(inside)
            yield Step(frame, None, done)

    def whole(self) -> None:
        """See `Source`."""
        self.sort = True


def open_file(path: Path, tags: TagTable | None, span: Span, zone: tzinfo | None) -> FileSource:
    """A file's rows for the tags of a configuration, or for those that the file itself suggests (None).

    Raises SourceError, Unsupported.
    """
    table: Table = ParquetTable(path) if path.suffix.lower() in _PARQUET else CsvTable(path)
    sample = next(table.pieces(), None)
    if sample is None:
        raise SourceError(
            "read",
            table.name,
            Words("머리글만 있고 값이 없습니다", "there is a header and nothing below it"),
            Words("내보낸 기간을 확인하십시오", "look at the span of the export"),
        )
    places = Places.of(table.columns)
    if places is not None:
        return _open_long(table, places, tags, span, zone)
    return _open_wide(table, sample, tags, span, zone)


def _open_wide(table: Table, sample: Piece, tags: TagTable | None, span: Span, zone: tzinfo | None) -> FileSource:
    time = time_columns(table, sample)
    if not time:
        raise SourceError(
            "read",
            table.name,
            Words(
                f"시각 열이 없습니다: {', '.join(table.columns[:8])}",
                f"no column of times: {', '.join(table.columns[:8])}",
            ),
            Words("시각 열의 이름을 '시각' 또는 'time'으로 하십시오", "name the column of times `time`"),
        )
    names = {place: name for place, name in enumerate(table.columns) if place not in time and name}
    unknown: list[str] = []
    missing: list[str] = []
    if tags is None:
        times = moments(time_cells(sample, time), zone)
        cells = {place: sample.columns[place] for place in names}
        tags, numbers = guess.tags_of_columns(table.name, names, table.units, cells, times)
        unknown = [name for place, name in names.items() if place not in numbers]
    else:
        keys = list(names)
        found = match([names[place] for place in keys], tags, table.name)
        numbers = {keys[at]: number for at, number in found.numbers.items()}
        unknown, missing = found.unknown, found.missing
    texts = texts_of(tags)

    def frames(remarks: Remarks) -> Iterator[Progress]:
        return Wide(table, time, numbers, texts, zone, remarks).frames()

    return FileSource(table.name, tags, frames, span, unknown, missing)


def _open_long(table: Table, places: Places, tags: TagTable | None, span: Span, zone: tzinfo | None) -> FileSource:
    seen = _paths(table, places, zone)
    paths = list(seen)
    if tags is None:
        tags = TagTable([_guessed(table.name, path, seen[path]) for path in paths])
        numbers = {path: number for number, path in enumerate(paths)}
        unknown: list[str] = []
        missing: list[str] = []
    else:
        found = match(paths, tags, table.name)
        numbers = {paths[at]: number for at, number in found.numbers.items()}
        unknown, missing = found.unknown, found.missing
    texts = texts_of(tags)

    def frames(remarks: Remarks) -> Iterator[Progress]:
        reading = Long(table, places, numbers, texts, zone, remarks)
        yield from reading.frames()
        remarks.add("unknown", sum(reading.unknown.values()))

    return FileSource(table.name, tags, frames, span, unknown, missing)


@dataclass(slots=True)
class _Seen:
    """Some values of one tag of a long table."""

    unit: str = ""
    values: list[Any] = field(default_factory=list)
    times: list[Any] = field(default_factory=list)
    zone: tzinfo | None = None

    def sample(self) -> tuple[Cells, Int64]:
        return self.values, moments(self.times, self.zone)


_SAMPLE: Final = 2_000


def _guessed(source: str, path: str, seen: _Seen) -> Tag:
    """A tag of a machine of its own where the path names one: site/line/machine/tag."""
    parts = path.split("/")
    if len(parts) == 4 and all(parts):
        machine, name = Machine(parts[0], parts[1], parts[2], parts[2]), parts[3]
    else:
        machine, name = guess.machine_of(source), path.replace("/", "_")
    return guess.guessed(machine, name, seen.unit, *seen.sample())


def _paths(table: Table, places: Places, zone: tzinfo | None) -> dict[str, _Seen]:
    """Every tag that the table names, in order of appearance; the whole file is read for it."""
    seen: dict[str, _Seen] = {}
    for piece in table.pieces():
        cells = piece.columns[places.tag]
        for row, cell in enumerate(cells):
            path = str(cell).removeprefix("'")
            one = seen.get(path)
            if one is None:
                unit = piece.columns[places.unit][row] if places.unit >= 0 else ""
                one = seen[path] = _Seen(str(unit or ""), zone=zone)
            if len(one.values) < _SAMPLE:
                value, text = piece.columns[places.value][row], None
                if places.text >= 0:
                    text = piece.columns[places.text][row]
                one.values.append(value if text in (None, "") else text)
                one.times.append(piece.columns[places.time][row])
    seen.pop("", None)
    return seen


def texts_of(tags: TagTable) -> frozenset[int]:
    """Tags whose values may be texts: states and the like. Elsewhere a text is a fault of the data."""
    return frozenset(number for number, tag in enumerate(tags) if tag.role in _TEXTS)


__all__ = ["FileSource", "OutOfOrder", "Source", "Span", "Step", "open_file", "texts_of"]
