"""Cells: what stands in a column of a table, as values with a kind and a status."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.model import Kind, Status
from edge_agent.model.frame import UInt8, UInt32, UInt64

_NOTHING: Final = frozenset(
    {"nan", "null", "none", "n/a", "na", "#n/a", "#num!", "#value!", "#div/0!", "-", "--", "---"}
)
_BAD: Final = frozenset(
    {
        "bad",
        "bad input",
        "i/o timeout",
        "no data",
        "comm fail",
        "불량",
        "통신이상",
        "통신두절",
        "통신 이상",
        "통신 두절",
        "단선",
    }
)
_TRUE: Final = frozenset({"true", "on"})
_FALSE: Final = frozenset({"false", "off"})
_THOUSANDS: Final = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA: Final = re.compile(r"[-+]?\d+,\d+")
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The cells that say something: their rows, and the value, kind and status of each. Empty cells are left out."""

    rows: Rows
    bits: UInt64
    kind: UInt8
    status: UInt32
    texts: tuple[str, ...]
    unread: tuple[int, ...]
    """Rows whose cell is neither a number nor said to be bad, where a number is expected. They are bad values."""


def column(cells: Sequence[Any] | npt.NDArray[Any], *, texts: bool) -> Column:
    """Reads a column. `texts`: whether a text is a value here; else it is no number where one should be."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiub":
        return _numbers(cells)
    every: Sequence[Any] = cells.tolist() if isinstance(cells, np.ndarray) else cells
    rows = [row for row, cell in enumerate(every) if cell is not None and cell != ""]
    said = [every[row] for row in rows] if len(rows) < len(every) else every
    try:
        values = np.array(list(map(float, said)), np.float64)
    except (ValueError, TypeError):
        return _mixed(rows, said, texts)
    if any(isinstance(cell, bool) for cell in said):
        return _mixed(rows, said, texts)
    return _floats(np.array(rows, np.intp), values)


def _numbers(cells: npt.NDArray[Any]) -> Column:
    if cells.dtype.kind == "b":
        n = len(cells)
        kind = np.full(n, Kind.BOOL, np.uint8)
        return Column(np.arange(n), cells.astype(np.uint64), kind, np.zeros(n, np.uint32), (), ())
    values = cells.astype(np.float64)
    there = np.flatnonzero(~np.isnan(values))  # NaN stands for an empty cell where columns are of numbers
    return _floats(there, values[there])


def _floats(rows: Rows, values: npt.NDArray[np.float64]) -> Column:
    finite = np.isfinite(values)
    kind = np.where(finite, Kind.FLOAT64, Kind.NONE).astype(np.uint8)
    status = np.where(finite, Status.GOOD, Status.BAD_NO_DATA).astype(np.uint32)
    return Column(rows, np.where(finite, values, 0.0).view(np.uint64), kind, status, (), ())


def _mixed(rows: Sequence[int], said: Sequence[Any], texts: bool) -> Column:
    n = len(said)
    bits, kind, status = np.zeros(n, np.uint64), np.zeros(n, np.uint8), np.zeros(n, np.uint32)
    table: dict[str, int] = {}
    unread, floats = [], bits.view(np.float64)
    known: dict[Any, tuple[Kind, Any, int]] = {}
    for place, cell in enumerate(said):
        key = (type(cell), cell)
        found = known.get(key)
        if found is None:
            found = known[key] = read_cell(cell)
            if len(known) > 100_000:
                known.clear()
        kind[place], value, status[place] = found
        match found[0]:
            case Kind.FLOAT64:
                floats[place] = value
            case Kind.BOOL:
                bits[place] = value
            case Kind.TEXT if texts:
                bits[place] = table.setdefault(value, len(table))
            case Kind.TEXT:
                kind[place], status[place] = Kind.NONE, Status.BAD_TYPE_MISMATCH
                unread.append(rows[place])
    return Column(np.array(rows, np.intp), bits, kind, status, tuple(table), tuple(unread))


def read_cell(cell: Any) -> tuple[Kind, Any, int]:
    """Kind, value and status of one cell that is not empty."""
    if isinstance(cell, bool):
        return Kind.BOOL, cell, Status.GOOD
    text = str(cell).strip()
    low = text.lower()
    if low in _NOTHING or low in _BAD:
        return Kind.NONE, None, Status.BAD_NO_DATA if low in _NOTHING else Status.BAD
    if low in _TRUE or low in _FALSE:
        return Kind.BOOL, low in _TRUE, Status.GOOD
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return Kind.TEXT, text, Status.GOOD
    return (Kind.FLOAT64, value, Status.GOOD) if np.isfinite(value) else (Kind.NONE, None, Status.BAD_NO_DATA)
