"""The wide form: a column of times, and a column for each tag."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import numpy as np

from edge_agent.backtest.cells import column
from edge_agent.backtest.csv_table import TIME_NAMES, plain
from edge_agent.backtest.moments import UNREADABLE, looks_like_time, moments
from edge_agent.backtest.remarks import Remarks
from edge_agent.backtest.table import Cells, Piece, Table, is_empty, place_of
from edge_agent.model import Frame
from edge_agent.model.frame import Int64

Progress = tuple[Frame, float]
"""A frame, and the part of the source that is read by then."""


@dataclass(frozen=True, slots=True)
class Wide:
    """`numbers`: column -> tag number; `texts`: the tags whose values may be texts."""

    table: Table
    time: Sequence[int]
    """The column of times, or those of date and time of day."""
    numbers: Mapping[int, int]
    texts: frozenset[int]
    zone: tzinfo | None
    remarks: Remarks

    def frames(self) -> Iterator[Progress]:
        """Rows in the file's order; those of one line in the order of the columns."""
        for piece in self.table.pieces():
            yield self._frame(piece), piece.done

    def _frame(self, piece: Piece) -> Frame:
        times = moments(time_cells(piece, self.time), self.zone)
        self._without_time(piece, times)
        parts = [self._column(piece, place, number, times) for place, number in self.numbers.items()]
        frame = Frame.concat(parts)
        line = np.concatenate([part.received for part in parts]) if parts else np.empty(0, np.int64)
        order = np.argsort(line, kind="stable")
        frame = frame.rows(order)
        return Frame(frame.tag, frame.time, frame.time, frame.bits, frame.kind, frame.status, frame.flags, frame.texts)

    def _column(self, piece: Piece, place: int, number: int, times: Int64) -> Frame:
        """One column; `received` holds the row for now."""
        found = column(piece.columns[place], texts=number in self.texts)
        for row in found.unread:
            where = f"{place_of(self.table, piece.line_of(row))} {self.table.columns[place]} = "
            self.remarks.add("cell", 1, f"{where}{str(piece.columns[place][row])[:30]!r}")
        frame = Frame(
            np.full(len(found.rows), number, np.int32),
            times[found.rows],
            found.rows.astype(np.int64),
            found.bits,
            found.kind,
            found.status,
            np.zeros(len(found.rows), np.uint16),
            found.texts,
        )
        there = frame.time != UNREADABLE
        return frame if there.all() else frame.rows(there)

    def _without_time(self, piece: Piece, times: Int64) -> None:
        for row in np.flatnonzero(times == UNREADABLE).tolist():
            if any(not is_empty(cells[row]) for cells in piece.columns):
                self.remarks.add("time", 1, place_of(self.table, piece.line_of(row)))


def time_columns(table: Table, sample: Piece) -> tuple[int, ...]:
    """Which columns hold the times: one with date and time, or two. Empty where none does."""
    named = [place for place, name in enumerate(table.columns) if plain(name) in TIME_NAMES]
    utc = [place for place in named if "utc" in plain(table.columns[place])]
    rest = [place for place in range(len(table.columns)) if place not in named]
    able = [place for place in [*utc, *named] if _readable(sample.columns[place])]
    able += [place for place in rest if _first_says(sample.columns[place], looks_like_time)]
    if not able:
        return ()
    first = able[0]
    if not _first_says(sample.columns[first], _is_date_only):
        return (first,)
    other = [place for place in [*named, *rest] if place != first and _first_says(sample.columns[place], _is_hour)]
    return (first, other[0]) if other else (first,)


def time_cells(piece: Piece, columns: Sequence[int]) -> Cells:
    """The cells of the times, date and time of day put together."""
    if len(columns) == 1:
        return piece.columns[columns[0]]
    return [f"{day} {hour}" for day, hour in zip(piece.columns[columns[0]], piece.columns[columns[1]], strict=True)]


def _first(cells: Cells) -> Any:
    return next((cell for cell in cells if not is_empty(cell)), None)


def _first_says(cells: Cells, what: Any) -> bool:
    return bool(what(_first(cells)))


def _readable(cells: Cells) -> bool:
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return True
    first = _first(cells)
    return first is not None and int(moments([first], None)[0]) != UNREADABLE


def _is_date_only(cell: Any) -> bool:
    return isinstance(cell, str) and ":" not in cell and "시" not in cell and looks_like_time(cell) and len(cell) < 14


def _is_hour(cell: Any) -> bool:
    return isinstance(cell, str) and ":" in cell and not looks_like_time(cell) and looks_like_time(f"2000-01-01 {cell}")
