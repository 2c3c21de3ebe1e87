"""Moments: times as spreadsheets, historians and databases write them, in columns.

Read are ISO 8601, `2026/11/22 13:30:00.5`, `2026. 11. 22. 오후 1:30`, `2026년 11월 22일 13시 30분`, `20261122133000`,
seconds, ms, µs or ns since 1970 UTC, and the day numbers of spreadsheets. Not read are day or month before the year:
nobody could say which is which. A time without an offset is local time of the zone that the reader is given.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.model.frame import Int64

_NS: Final = 1_000_000_000
_QUARTER: Final = 900 * _NS
_EPOCH: Final = datetime(1970, 1, 1)
_SPREADSHEET_DAYS: Final = 25_569
"""Days from 1899-12-30, where spreadsheets begin, to 1970-01-01."""
_WRITTEN: Final = re.compile(
    r"(\d{4})\s*[-./년]\s*(\d{1,2})\s*[-./월]\s*(\d{1,2})\s*[.일]?"
    r"(?:[T\s,]*(오전|오후|AM|PM)?\s*(\d{1,2})\s*[:시]\s*(\d{1,2})"
    r"(?:\s*[:분]\s*(\d{1,2})(?:[.,](\d{1,9})\d*)?)?\s*[분초]?\s*(AM|PM)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(r"(?:19|20)\d{10}(?:\d{2}(?:\d{3})?)?")
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?Z?")
_UNITS: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (1e8, _NS))
"""Numbers from here on are counted in this many ns: 1973 and later in each of them."""
UNREADABLE: Final = np.iinfo(np.int64).min


def looks_like_time(cell: Any) -> bool:
    """Whether a person would take this for a date and a time; mere numbers are one only in a column of times."""
    return isinstance(cell, str) and (_WRITTEN.fullmatch(cell.strip()) or _DIGITS.fullmatch(cell.strip())) is not None


def moments(cells: Sequence[Any] | npt.NDArray[Any], zone: tzinfo | None) -> Int64:
    """ns since 1970 UTC of each cell, `UNREADABLE` where it is no time. `zone` None: the machine's own."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        out: Int64 = cells.astype("datetime64[ns]").astype(np.int64)
        return out
    quick = _iso(cells, zone)
    if quick is not None:
        return quick
    found = [_moment(cell) for cell in cells]
    out = np.array([UNREADABLE if each is None else each[0] for each in found], np.int64)
    local = np.array([each is not None and not each[1] for each in found], bool)
    out[local] = of_local(out[local], zone)
    return out


def of_local(times: Int64, zone: tzinfo | None) -> Int64:
    """Local times, counted in ns as if they were UTC, as ns since 1970 UTC."""
    quarters, place = np.unique(times // _QUARTER, return_inverse=True)
    offsets = np.array([_offset(int(quarter) * 900, zone) for quarter in quarters.tolist()], np.int64)
    return times - offsets[place] * _NS


def _offset(seconds: int, zone: tzinfo | None) -> int:
    local = _EPOCH + timedelta(seconds=seconds)
    offset = (local.replace(tzinfo=zone) if zone is not None else local.astimezone()).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _iso(cells: Sequence[Any] | npt.NDArray[Any], zone: tzinfo | None) -> Int64 | None:
    """The common form, all cells at once; None where there is any other."""
    if not len(cells) or not all(isinstance(cell, str) and _ISO.fullmatch(cell) for cell in cells):
        return None
    utc = cells[0].endswith("Z")
    if any(cell.endswith("Z") != utc for cell in cells):
        return None
    try:
        times = np.array([cell[:-1] for cell in cells] if utc else list(cells), "datetime64[ns]").astype(np.int64)
    except ValueError:  # a month of 31 days that has 30
        return None
    return times if utc else of_local(times, zone)


def _moment(cell: Any) -> tuple[int, bool] | None:
    """ns, and whether it is UTC already."""
    if isinstance(cell, datetime):
        return _of_datetime(cell)
    if isinstance(cell, str):
        text = cell.strip()
        match = _WRITTEN.fullmatch(text)
        if match is not None:
            return _of_match(match)
        if _DIGITS.fullmatch(text):
            return _of_digits(text)
        try:
            cell = float(text) if not text.isdigit() else int(text)
        except ValueError:
            return None
    return _of_number(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def _of_number(number: float) -> tuple[int, bool] | None:
    for least, unit in _UNITS:
        if least <= number < 1e19:
            return int(number * unit) if isinstance(number, int) else round(number * (unit / 1_000)) * 1_000, True
    if 20_000 <= number < 80_000:
        return round((number - _SPREADSHEET_DAYS) * 86_400_000) * 1_000_000, False
    return None


def _of_digits(text: str) -> tuple[int, bool] | None:
    full = text.ljust(17, "0")
    try:
        return _ns(datetime.strptime(full[:14], "%Y%m%d%H%M%S")) + int(full[14:]) * 1_000_000, False
    except ValueError:
        return None


def _of_match(match: re.Match[str]) -> tuple[int, bool] | None:
    year, month, day, early, hour, minute, second, part, late, offset = match.groups()
    half = (early or late or "").upper()
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half in ("오후", "PM") else 0)
    try:
        local = _ns(datetime(int(year), int(month), int(day), hours, int(minute or 0), int(second or 0)))
    except ValueError:
        return None
    local += int((part or "").ljust(9, "0"))
    if offset is None:
        return local, False
    if offset.upper() in ("Z", "UTC"):
        return local, True
    sign = -1 if offset[0] == "-" else 1
    return local - sign * (int(offset[1:3]) * 3600 + int(offset[-2:]) * 60) * _NS, True


def _of_datetime(when: datetime) -> tuple[int, bool]:
    aware = when.tzinfo is not None
    return _ns(when.astimezone(UTC).replace(tzinfo=None) if aware else when), aware


def _ns(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1) * 1_000


def zone_of(hours: float) -> timezone:
    """A zone of a fixed offset."""
    return timezone(timedelta(hours=hours))
