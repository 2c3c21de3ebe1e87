"""Moments: the times that people write, and the times that they read."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.errors import JournalError, Words

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)")
_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NS: Final = 1_000_000_000
_QUARTER: Final = 900 * _NS
"""The offset from UTC changes at a quarter of an hour, everywhere."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS: Final = (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))
Texts = npt.NDArray[np.str_]


def moment(text: str, now: int, zone: tzinfo | None = None) -> int:
    """ns since 1970 UTC of `2026-11-22`, `2026-11-22T13:30`, the same with `Z` or an offset, or `24h` (before `now`).

    Without an offset it is local time. Raises JournalError where it is none of these.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - int(float(ago[1]) * _SECONDS[ago[2]] * _NS)
    try:
        when = datetime.fromisoformat(text)
        when = when if when.tzinfo is not None else when.replace(tzinfo=zone).astimezone(UTC)
        return (when - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError) as error:
        raise JournalError(
            "read time",
            repr(text),
            Words("시각으로 읽을 수 없습니다", "this is not a time"),
            Words(
                "예: 2026-11-22, 2026-11-22T13:30, 2026-11-22T04:30Z, 24h(24시간 전부터)",
                "for example 2026-11-22, 2026-11-22T13:30, 2026-11-22T04:30Z, or 24h for 24 hours ago",
            ),
        ) from error


def utc_texts(times: npt.NDArray[np.int64]) -> Texts:
    """`2026-11-22T04:30:00.123456789Z`, exact."""
    return np.char.add(np.datetime_as_string(times.view("datetime64[ns]")), "Z")


def local_texts(times: npt.NDArray[np.int64], zone: tzinfo | None = None) -> Texts:
    """`2026-11-22 13:30:00.123`: as Excel reads a date; ms."""
    quarters, place = np.unique(times // _QUARTER, return_inverse=True)
    offsets = np.array([_offset(int(quarter) * 900, zone) for quarter in quarters.tolist()], np.int64)
    shifted = times + offsets[place] * _NS
    return np.char.replace(np.datetime_as_string(shifted.view("datetime64[ns]"), unit="ms"), "T", " ")


def _offset(seconds: int, zone: tzinfo | None) -> int:
    """Seconds east of UTC at that time."""
    when = min(max(_EPOCH + timedelta(seconds=seconds), _YEARS[0]), _YEARS[1])
    offset = when.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
