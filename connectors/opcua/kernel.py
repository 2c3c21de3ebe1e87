"""The numba walk over mixed items: 60–100 million values a second. Importing this file imports numba and compiles.

Import it in a worker thread, and only when mixed responses come so fast that Python is too slow for them.
`decode._item` is its slow twin: what the walk declines, the twin decodes.
"""

from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from connectors.opcua.rows import TEXT_SPAN
from edge_agent.api import Kind

Data = npt.NDArray[Any]

_LEFT: Final = 255  # a type that is left to the slow twin
_KINDS: Final = np.full(64, _LEFT, np.uint8)
_KINDS[[0, 1, 10, 11]] = [Kind.NONE, Kind.BOOL, Kind.FLOAT32, Kind.FLOAT64]
_KINDS[[2, 4, 6, 8]] = Kind.INT64
_KINDS[[3, 5, 7, 9, 19]] = Kind.UINT64
_KINDS[[12, 16, 21]] = TEXT_SPAN
_SIZES: Final = np.zeros(64, np.uint8)
_SIZES[[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 19]] = [1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 4]
_BOOL: Final = int(Kind.BOOL)
_INT: Final = int(Kind.INT64)
_FLOAT32: Final = int(Kind.FLOAT32)
_TEXT: Final = TEXT_SPAN
_LOCALIZED: Final = 21

_Data = nb.types.Array(nb.uint8, 1, "C", readonly=True)
_SIGNATURE: Final = nb.types.UniTuple(nb.int64, 2)(  # type: ignore[no-untyped-call]  # numba has no types
    _Data, nb.int64, nb.int64, nb.int64, nb.uint32[::1], nb.uint8[::1], nb.uint64[::1], nb.uint32[::1], nb.int64[::1]
)


@nb.njit(nogil=True)
def _little(data: Data, pos: Any, size: Any) -> Any:
    """`size` bytes, low byte first. The caller has checked that they are there."""
    value = np.uint64(0)
    for k in range(size):
        value |= np.uint64(data[pos + k]) << np.uint64(8 * k)
    return value


@nb.njit(nogil=True)
def _blob(data: Data, pos: Any, end: Any) -> Any:
    """A String at pos: where its bytes begin, how many they are (-1 null); begin -1 where bytes are missing."""
    if pos + 4 > end:
        return np.int64(-1), np.int64(0)
    size = np.int64(_little(data, pos, 4))
    if size >= 0x8000_0000:
        return pos + 4, np.int64(-1)
    if pos + 4 + size > end:
        return np.int64(-1), np.int64(0)
    return pos + 4, size


@nb.njit(nogil=True)
def _localized(data: Data, pos: Any, end: Any) -> Any:
    """The text of a LocalizedText, as `_blob` gives it, and the position behind the value."""
    if pos >= end:
        return np.int64(-1), np.int64(0), pos
    mask = data[pos]
    pos += 1
    if mask & 1:
        start, size = _blob(data, pos, end)
        if start < 0:
            return start, size, pos
        pos = start + max(size, 0)
    if not mask & 2:
        return pos, np.int64(-1), pos
    start, size = _blob(data, pos, end)
    return start, size, start + max(size, 0)


@nb.njit(_SIGNATURE, cache=True, nogil=True)
def walk(
    data: Data, pos: int, row: int, head: int, handle: Data, kind: Data, bits: Data, status: Data, ticks: Data
) -> tuple[int, int]:
    """Fills rows row, row + 1 … from the items at data[pos:]; answers the next row and the next position.

    `head`: bytes of the handle before each value, 4 or 0.

    Stops before an item: behind the last row, at a type it does not know, and where bytes are missing.
    """
    end = data.size
    one = np.empty(1, np.uint64)
    narrow = np.empty(1, np.uint32)
    while row < handle.size:
        p = pos
        if p + head + 1 > end:
            return row, pos
        name = np.uint32(_little(data, p, head))
        mask = data[p + head]
        p += head + 1
        what = np.uint8(0)
        value = np.uint64(0)
        if mask & 1:
            if p >= end or data[p] > 63:  # arrays are left to the twin
                return row, pos
            vtype = data[p]
            p += 1
            what = _KINDS[vtype]
            size = np.int64(_SIZES[vtype])
            if what == _LEFT or p + size > end:
                return row, pos
            if what == _TEXT:
                if vtype == _LOCALIZED:
                    start, length, p = _localized(data, p, end)
                else:
                    start, length = _blob(data, p, end)
                    p = start + max(length, 0)
                if start < 0:
                    return row, pos
                if length < 0:
                    what = np.uint8(0)
                else:
                    value = np.uint64(start) << np.uint64(32) | np.uint64(length)
            else:
                value = _little(data, p, size)
                p = p + int(size)
                if what == _INT:
                    shift = np.int64(64 - 8 * size)
                    value = np.uint64((np.int64(value) << shift) >> shift)
                elif what == _BOOL:
                    value = np.uint64(value != 0)
                elif what == _FLOAT32:
                    narrow[0] = np.uint32(value)
                    one.view(np.float64)[0] = np.float64(narrow.view(np.float32)[0])
                    value = one[0]
        code = np.uint32(0)
        if mask & 2:
            if p + 4 > end:
                return row, pos
            code = np.uint32(_little(data, p, 4))
            p += 4
        when = np.int64(0)
        if mask & 4:
            if p + 8 > end:
                return row, pos
            when = np.int64(_little(data, p, 8))
            p += 8
        if mask & 16:
            p += 2
        if mask & 8:
            p += 8
        if mask & 32:
            p += 2
        if p > end:
            return row, pos
        handle[row] = name
        kind[row] = what
        bits[row] = value
        status[row] = code
        ticks[row] = when
        pos = p
        row += 1
    return row, pos
