"""The long form: one value a row, with the tag's path beside it; what `edge-agent journal export` writes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

import numpy as np

from edge_agent.backtest.cells import column
from edge_agent.backtest.csv_table import TIME_NAMES, plain
from edge_agent.backtest.moments import UNREADABLE, moments
from edge_agent.backtest.remarks import Remarks
from edge_agent.backtest.table import Cells, Piece, Table, is_empty, place_of
from edge_agent.backtest.wide import Progress
from edge_agent.model import Flag, Frame, Kind, Status
from edge_agent.model.frame import Int32
from edge_agent.model.status import quality_of, status_name
from edge_agent.model.tag import NO_TAG

_NAMES: Final = {
    "tag": ("태그", "tag", "path", "tag_name", "tagname", "signal", "태그명", "point"),
    "value": ("값", "value", "_value", "측정값"),
    "text": ("문자값", "text"),
    "unit": ("단위", "unit"),
    "label": ("이름", "label", "name"),
    "status": ("상태코드", "status"),
    "quality": ("품질", "quality"),
    "flags": ("표시", "flags"),
}
_QUALITY: Final = {
    "양호": Status.GOOD, "good": Status.GOOD, "불확실": Status.UNCERTAIN_SENSOR_NOT_ACCURATE,
    "uncertain": Status.UNCERTAIN_SENSOR_NOT_ACCURATE, "불량": Status.BAD, "bad": Status.BAD,
}  # fmt: skip  # pairs of words
_STATUSES: Final = {status_name(status): int(status) for status in Status}


@dataclass(frozen=True, slots=True)
class Places:
    """Which column is what; -1 where there is none."""

    time: int
    tag: int
    value: int
    text: int
    unit: int
    label: int
    status: int
    quality: int
    flags: int

    @classmethod
    def of(cls, columns: Sequence[str]) -> "Places | None":
        """None where a time, a tag or a value is missing: then it is not the long form."""
        names = [plain(name) for name in columns]
        found = {what: next((names.index(each) for each in some if each in names), -1) for what, some in _NAMES.items()}
        times = [place for place, name in enumerate(names) if name in TIME_NAMES]
        utc = [place for place in times if "utc" in names[place]]
        if not times or found["tag"] < 0 or found["value"] < 0:
            return None
        return cls(time=(utc or times)[0], **found)


@dataclass(frozen=True, slots=True)
class Long:
    """`numbers`: path as it stands there -> tag number; others are counted by name in `unknown`."""

    table: Table
    places: Places
    numbers: Mapping[str, int]
    texts: frozenset[int]
    zone: tzinfo | None
    remarks: Remarks
    unknown: dict[str, int] = field(default_factory=dict)

    def frames(self) -> Iterator[Progress]:
        """Rows in the file's order; a backfill is left out, as live does."""
        for piece in self.table.pieces():
            yield self._frame(piece), piece.done

    def _frame(self, piece: Piece) -> Frame:
        at = self.places
        tag = self._numbers(piece.columns[at.tag])
        time = moments(piece.columns[at.time], self.zone)
        for row in np.flatnonzero(time == UNREADABLE).tolist():
            self.remarks.add("time", 1, place_of(self.table, piece.line_of(row)))
        frame = self._values(piece, tag, time)
        kept = frame.rows((tag != NO_TAG) & (time != UNREADABLE))
        live = kept.without(Flag.BACKFILL)
        self.remarks.add("history", len(kept) - len(live))
        return live

    def _numbers(self, cells: Cells) -> Int32:
        paths = ["" if is_empty(cell) else str(cell).removeprefix("'") for cell in cells]
        out = np.array([self.numbers.get(path, NO_TAG) for path in paths], np.int32)
        for row in np.flatnonzero(out == NO_TAG).tolist():
            self.unknown[paths[row]] = self.unknown.get(paths[row], 0) + 1
        return out

    def _values(self, piece: Piece, tag: Int32, time: Any) -> Frame:
        """All rows, those without a value too."""
        n, at = len(tag), self.places
        bits, kind = np.zeros(n, np.uint64), np.zeros(n, np.uint8)
        status = np.full(n, Status.BAD_NO_DATA, np.uint32)
        read = column(piece.columns[at.value], texts=True)
        self._refuse(piece, tag, read.rows[read.kind == Kind.TEXT])
        bits[read.rows], kind[read.rows], status[read.rows] = read.bits, read.kind, read.status
        texts = list(read.texts)
        if at.text >= 0:
            for row, cell in enumerate(piece.columns[at.text]):
                if not is_empty(cell) and kind[row] == Kind.NONE:
                    bits[row], kind[row], status[row] = len(texts), Kind.TEXT, Status.GOOD
                    texts.append(str(cell).removeprefix("'"))
        odd = np.isin(tag, [*self.texts], invert=True) & (kind == Kind.TEXT)
        if at.text < 0:
            bits[odd], kind[odd], status[odd] = 0, Kind.NONE, Status.BAD_TYPE_MISMATCH
        status = self._said(piece, status, kind)
        flags = np.zeros(n, np.uint16)
        if at.flags >= 0:
            flags = np.array([0 if is_empty(cell) else int(float(cell)) for cell in piece.columns[at.flags]], np.uint16)
        return Frame(tag, time, time, bits, kind, status, flags, tuple(texts))

    def _refuse(self, piece: Piece, tag: Int32, rows: Any) -> None:
        for row in rows.tolist():
            if int(tag[row]) != NO_TAG and int(tag[row]) not in self.texts:
                cell = str(piece.columns[self.places.value][row])[:30]
                self.remarks.add("cell", 1, f"{place_of(self.table, piece.line_of(row))} = {cell!r}")

    def _said(self, piece: Piece, status: Any, kind: Any) -> Any:
        """The status that the file gives, where it gives one; a row without a value is never good."""
        at = self.places
        cells = piece.columns[at.status] if at.status >= 0 else piece.columns[at.quality] if at.quality >= 0 else None
        if cells is None:
            return status
        codes = {cell: _status(cell) for cell in set(cells)}
        said = np.array([-1 if codes[cell] is None else codes[cell] for cell in cells], np.int64)
        good_nothing = (kind == Kind.NONE) & (np.maximum(said, 0) >> 30 == 0)
        return np.where((said < 0) | good_nothing, status, said).astype(np.uint32)


def _status(cell: Any) -> int | None:
    """`BadSensorFailure`, `Bad 0x80990000`, `양호`, or the number itself."""
    text = "" if is_empty(cell) else str(cell).strip()
    if text in _STATUSES:
        return _STATUSES[text]
    if text.lower() in _QUALITY:
        return int(_QUALITY[text.lower()])
    try:
        code = int(text.rpartition(" ")[2], 0)
    except ValueError:
        return None
    return code if 0 <= code < 1 << 32 and quality_of(code) is not None else None
