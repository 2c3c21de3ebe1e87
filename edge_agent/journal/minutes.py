"""Minutes: rows on their way to being rollups, one block of dense columns a minute."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.rollup import MINUTE_NS, Rollups, mean_of, merged
from edge_agent.model import Frame, Kind, is_good
from edge_agent.model.frame import Float64, Int64

MAX_CELLS: Final = 1 << 18
"""A cell is a tag in a minute and takes 72 bytes. So many are held, or those of a few minutes where tags are many."""
_LEAST_MINUTES: Final = 4
_FEW: Final = 4
"""Rows of more minutes than this at once (history, a backlog) are not worth a block each."""
_AT_ONCE: Final = 15_000
"""Columns of more rows than this do not fit in a processor's cache, and cost the kernel new pages each."""
_NS_PER_MS: Final = 1_000_000
_SHIFT: Final = 32
Index = npt.NDArray[np.intp]


class _Block:
    """Dense columns of cells, for a minute one a tag."""

    def __init__(self, cells: int) -> None:
        self.count = np.zeros(cells, np.int64)
        self.good = np.zeros(cells, np.int64)
        self.numbers = np.zeros(cells, np.int64)
        self.scans = np.zeros(cells, np.int64)
        """Rows that count as all three, and are not in them."""
        self.total = np.zeros(cells)
        self.low = np.full(cells, np.inf)
        self.high = np.full(cells, -np.inf)
        self.last = np.full(cells, np.nan)
        self.last_ms = np.full(cells, -1, np.int64)

    def add(self, cell: Index, rows: "_Rows") -> None:
        """`cell`: where each of the rows goes."""
        once = _once(cell)
        if rows.all_numbers and once is not None:
            self.scans[once] += 1
            self._add_once(once, rows.values, rows.ms)
            return
        cells = len(self.count)
        self.count += np.bincount(cell, minlength=cells)
        self.good += np.bincount(cell[rows.good], minlength=cells)
        number = rows.number
        self.numbers += np.bincount(cell[number], minlength=cells)
        self._add_often(cell[number], rows.values[number], rows.ms[number])

    def _add_once(self, cell: Index | slice, values: Float64, ms: Int64) -> None:
        """A scan: no cell comes twice."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.total[cell] += values
        self.low[cell] = np.minimum(self.low[cell], values)
        self.high[cell] = np.maximum(self.high[cell], values)
        newer = ms >= self.last_ms[cell]
        if newer.all():
            self.last[cell], self.last_ms[cell] = values, ms
        else:
            self.last[cell] = np.where(newer, values, self.last[cell])
            self.last_ms[cell] = np.maximum(self.last_ms[cell], ms)

    def _add_often(self, cell: Index, values: Float64, ms: Int64) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(self.total, cell, values)
        np.minimum.at(self.low, cell, values)
        np.maximum.at(self.high, cell, values)
        newest = np.full(len(self.count), -1, np.int64)
        np.maximum.at(newest, cell, (ms << _SHIFT) | np.arange(len(cell)))
        newer = np.flatnonzero((newest >= 0) & (newest >> _SHIFT >= self.last_ms))
        self.last_ms[newer] = newest[newer] >> _SHIFT
        self.last[newer] = values[newest[newer] & ((1 << _SHIFT) - 1)]

    def rollups(self, tag: npt.NDArray[Any], minute: npt.NDArray[Any]) -> Rollups:
        """Rows of the cells that have any; `tag` and `minute` say what each cell is."""
        cell = np.flatnonzero(self.count + self.scans)
        scans, low, high = self.scans[cell], self.low[cell], self.high[cell]
        numbers = self.numbers[cell] + scans
        none = numbers == 0
        low[none] = high[none] = np.nan
        return Rollups(
            tag[cell].astype(np.int32),
            minute[cell].astype(np.int64),
            self.count[cell] + scans,
            self.good[cell] + scans,
            numbers,
            low,
            high,
            mean_of(self.total[cell], numbers, low, high),
            self.last[cell],
            self.last_ms[cell],
        )


def _once(cell: Index) -> Index | slice | None:
    """Cells that only go up, as they are in a scan: a slice where none is left out. None where they may come again."""
    first, last = int(cell[0]), int(cell[-1])
    if last - first + 1 < len(cell) or not (cell[1:] > cell[:-1]).all():
        return None
    return slice(first, last + 1) if last - first + 1 == len(cell) else cell


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The columns of a frame that a block needs."""

    tag: Index
    ms: Int64
    values: Float64
    good: npt.NDArray[np.bool_]
    number: npt.NDArray[np.bool_]
    all_numbers: bool

    def of(self, which: Index) -> "_Rows":
        return _Rows(
            self.tag[which],
            self.ms[which],
            self.values[which],
            self.good[which],
            self.number[which],
            self.all_numbers,
        )


def _rows_of(frame: Frame, since: Int64) -> _Rows:
    """`since`: ns from the beginning of each row's minute."""
    values = frame.floats() + 0.0  # -0.0 is 0.0, or the least of both would depend on their order
    number = np.isfinite(values)
    status, good = np.asarray(frame.status), number
    all_numbers = bool(number.all())
    if not all_numbers:
        good = number | (frame.kind == Kind.TEXT)
    if not _is_zero(status):
        good, number = good & is_good(status), number & is_good(status)
        all_numbers = all_numbers and bool(number.all())
    return _Rows(frame.tag.astype(np.intp), since // _NS_PER_MS, values, good, number, all_numbers)


def _is_zero(column: npt.NDArray[Any]) -> bool:
    """All rows; a broadcast column is known without looking."""
    return not column[:1].any() if column.strides == (0,) else not column.any()


class Minutes:
    """Adds rows up, in any order of time. For one thread."""

    def __init__(self, tags: int) -> None:
        """`tags`: length of the tag table."""
        self._tags = tags
        self._blocks: dict[int, _Block] = {}
        self._done: list[Rollups] = []
        self._room = max(_LEAST_MINUTES, MAX_CELLS // max(tags, 1))

    def __len__(self) -> int:
        """Minutes of which rows are held, at least."""
        return len(self._blocks)

    @property
    def full(self) -> bool:
        """There is more than should be held: time to take it."""
        return len(self._blocks) >= self._room or sum(map(len, self._done)) > MAX_CELLS

    def add(self, frame: Frame) -> None:
        """Takes all rows."""
        for start in range(0, len(frame), _AT_ONCE):
            self._add(frame.rows(slice(start, start + _AT_ONCE)) if len(frame) > _AT_ONCE else frame)

    def _add(self, frame: Frame) -> None:
        time = np.asarray(frame.time)
        least = int(time.min())
        first = least // MINUTE_NS
        if int(time.max()) // MINUTE_NS == first:
            rows = _rows_of(frame, time - least + least % MINUTE_NS)
            self._block(first).add(rows.tag, rows)
            return
        minute = time // MINUTE_NS
        rows = _rows_of(frame, time % MINUTE_NS)
        order = np.argsort(minute, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(minute[order])) + 1)
        if len(parts) > _FEW:
            self._spill({int(minute[part[0]]) for part in parts})
            self._done.append(_sparse(rows, minute))
            return
        for part in parts:
            self._block(int(minute[part[0]])).add(rows.tag[part], rows.of(part))

    def _block(self, minute: int) -> _Block:
        block = self._blocks.get(minute)
        if block is None:
            if len(self._blocks) >= self._room:
                self._spill(set(self._blocks))
            block = self._blocks[minute] = _Block(self._tags)
        return block

    def _spill(self, minutes: set[int]) -> None:
        """Rows that come later must stand behind these."""
        tag = np.arange(self._tags)
        for minute in minutes & self._blocks.keys():
            self._done.append(self._blocks.pop(minute).rollups(tag, np.full(self._tags, minute)))

    def rollups(self) -> Rollups:
        """What has been added so far, one row a tag and minute, sorted by both."""
        self._spill(set(self._blocks))
        return merged(Rollups.concat(self._done))


def _sparse(rows: _Rows, minute: Int64) -> Rollups:
    """Rows of many minutes: a cell for each tag and minute that there is."""
    first = minute.min()
    span = int(rows.tag.max()) + 1
    keys, cell = np.unique((minute - first) * span + rows.tag, return_inverse=True)
    block = _Block(len(keys))
    block.add(cell, rows)
    return block.rollups(keys % span, keys // span + first)
