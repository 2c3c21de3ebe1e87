"""DataChangeNotification and ReadResponse bytes (Part 4, 7.26.2, 5.11.2; DataValue: Part 6, 5.2.2.17) → columns. Pure.

Three ways to the same rows, each checked against the vendor's decoder in the tests:

1. all items have the mask and scalar type of the first (the commonest case): one numpy structured view;
2. mixed items: a numba walk, where the caller has loaded one (`kernel.py`);
3. without it: runs of equal items by numpy, the others one by one in Python, and so are rare types in any case.

Bytes that break the protocol raise ProtocolError; a value of a type that no tag can have becomes an UNSUPPORTED row.
"""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from connectors.opcua.rows import TEXT_SPAN, UNSUPPORTED, Rows
from connectors.opcua.wire import Cursor, Part, broken
from edge_agent.api import Kind

Walk = Callable[..., tuple[int, int]]
"""See `kernel.walk`."""

NAMED: Final = 4
"""Bytes of the client handle before each value of a notification. The values of a read have none: BARE."""
BARE: Final = 0
_RUN: Final = 64
_NUMBERS: Final[dict[int, tuple[str, Kind]]] = {
    1: ("u1", Kind.BOOL),
    2: ("i1", Kind.INT64),
    3: ("u1", Kind.UINT64),
    4: ("<i2", Kind.INT64),
    5: ("<u2", Kind.UINT64),
    6: ("<i4", Kind.INT64),
    7: ("<u4", Kind.UINT64),
    8: ("<i8", Kind.INT64),
    9: ("<u8", Kind.UINT64),
    10: ("<f4", Kind.FLOAT32),
    11: ("<f8", Kind.FLOAT64),
    19: ("<u4", Kind.UINT64),
}
"""Built-in type (Part 6, table 1) -> how its bytes read and what kind of row it is. StatusCode is a number too."""
_OPTIONAL: Final = ((2, "status", "<u4"), (4, "ticks", "<i8"), (16, "", "<u2"), (8, "", "<i8"), (32, "", "<u2"))
_CODES: Final = dict(
    zip(("i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"), "bBhHiIqQfd", strict=True)
)
_PACKS: Final = {vtype: struct.Struct("<" + _CODES[code]) for vtype, (code, _) in _NUMBERS.items()}
_HEAD: Final = struct.Struct("<I")
_TAILS: Final = [
    (
        struct.Struct(
            "<" + "".join(code for bit, code in ((2, "I"), (4, "q"), (16, "H"), (8, "q"), (32, "H")) if m & bit)
        ),
        int(m & 2 != 0),
        m & 4 != 0,
    )
    for m in range(0x40)
]
"""What follows the value, by mask: status, source time, its picoseconds, server time, its picoseconds."""
_F64: Final = struct.Struct("<d")
_U64: Final = struct.Struct("<Q")
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_layouts: dict[tuple[int, int, int], np.dtype[Any] | None] = {}


def decode(raw: bytes, part: Part, walk: Walk | None = None, head: int = NAMED) -> tuple[Rows, bool]:
    """The rows of one array of values, and whether all of them came the fast way.

    `head` is NAMED, or BARE for values without handles: theirs are then 0, and bytes may follow the array.
    """
    end = part.start + part.size
    n = Cursor(raw, part.start, end).count(head + 1)
    start = part.start + 4
    if n == 0:
        return Rows.empty(0), True
    found = _run(raw, start, end, n, head)
    if found is not None and len(found) == n:
        rows = Rows.empty(n)
        _fill(rows, 0, found)
        return rows, True
    return _mixed(Cursor(raw, start, end), n, walk, head)


def _layout(head: int, mask: int, vtype: int) -> np.dtype[Any] | None:
    """The bytes of one item with this mask and scalar type; None where they have no fixed size."""
    if (head, mask, vtype) not in _layouts:
        _layouts[head, mask, vtype] = _new_layout(head, mask, vtype)
    return _layouts[head, mask, vtype]


def _new_layout(head: int, mask: int, vtype: int) -> np.dtype[Any] | None:
    if not mask & 1 or mask & 0xC0 or vtype not in _NUMBERS:
        return None
    fields = [("handle", "<u4")] if head else []
    fields += [("mask", "u1"), ("type", "u1"), ("value", _NUMBERS[vtype][0])]
    fields += [(name or f"skip{bit}", code) for bit, name, code in _OPTIONAL if mask & bit]
    return np.dtype(fields)


def _run(raw: bytes, start: int, end: int, n: int, head: int) -> npt.NDArray[Any] | None:
    """A structured view of the items from `start` that are laid out as the first is, at most n; None if it is odd."""
    if end - start < head + 2:
        return None
    mask, vtype = raw[start + head], raw[start + head + 1]
    layout = _layout(head, mask, vtype)
    if layout is None:
        return None
    view = np.frombuffer(raw, layout, min(n, (end - start) // layout.itemsize), start)
    equal = (view["mask"] == mask) & (view["type"] == vtype)
    return view if equal.all() else view[: int(equal.argmin())]


def _fill(rows: Rows, at: int, view: npt.NDArray[Any]) -> None:
    """Writes the items of a run into rows at, at + 1 …"""
    place = slice(at, at + len(view))
    names = view.dtype.names or ()
    kind = _NUMBERS[int(view["type"][0])][1]
    rows.handle[place] = view["handle"] if "handle" in names else 0
    rows.kind[place] = kind
    rows.bits[place] = _bits(view["value"], kind)
    rows.status[place] = view["status"] if "status" in names else 0
    rows.ticks[place] = view["ticks"] if "ticks" in names else 0


def _bits(values: npt.NDArray[Any], kind: Kind) -> npt.NDArray[np.uint64]:
    match kind:
        case Kind.FLOAT64 | Kind.FLOAT32:
            return np.array(values, np.float64).view(np.uint64)
        case Kind.INT64:
            return np.array(values, np.int64).view(np.uint64)
        case Kind.BOOL:
            return np.asarray(values != 0, np.uint64)
        case _:
            return np.asarray(values, np.uint64)


def _mixed(cursor: Cursor, n: int, walk: Walk | None, head: int) -> tuple[Rows, bool]:
    rows = Rows.empty(n)
    data = np.frombuffer(cursor.raw, np.uint8, cursor.end)
    done = slow = 0
    while done < n:
        if walk is not None:
            columns = rows.handle, rows.kind, rows.bits, rows.status, rows.ticks
            done, cursor.pos = walk(data, cursor.pos, done, head, *columns)
            stop = min(done + 1, n)
        else:
            done = _runs(cursor, rows, done, head)
            stop = min(done + _RUN, n)
        _one_by_one(cursor, rows, slice(done, stop), head)
        slow += stop - done
        done = stop
    return rows, slow * 4 <= n


def _runs(cursor: Cursor, rows: Rows, done: int, head: int) -> int:
    """Takes runs of at least _RUN equal items; the new number of rows done."""
    n = len(rows.handle)
    while n - done >= _RUN:
        probe = _run(cursor.raw, cursor.pos, cursor.end, _RUN, head)
        if probe is None or len(probe) < _RUN:
            return done
        view = _run(cursor.raw, cursor.pos, cursor.end, n - done, head)
        assert view is not None  # noqa: S101  # the probe was a prefix of it; for mypy
        _fill(rows, done, view)
        cursor.take(view.dtype.itemsize * len(view))
        done += len(view)
    return done


def _one_by_one(cursor: Cursor, rows: Rows, place: slice, head: int) -> None:
    """The rows at `place`, whatever they are."""
    if place.start == place.stop:
        return
    items = [_item(cursor, rows, head) for _ in range(place.start, place.stop)]
    handle, kind, bits, status, ticks = zip(*items, strict=True)
    rows.handle[place] = handle
    rows.kind[place] = kind
    rows.bits[place] = np.array(bits, np.uint64)
    rows.status[place] = status
    rows.ticks[place] = ticks


def _item(cursor: Cursor, rows: Rows, head: int) -> tuple[int, int, int, int, int]:
    """One MonitoredItemNotification, or one DataValue: handle, kind, bits, status, ticks."""
    handle = _HEAD.unpack_from(cursor.raw, cursor.take(NAMED))[0] if head else 0
    mask = cursor.u8()
    kind, bits = _variant(cursor, rows) if mask & 1 else (Kind.NONE, 0)
    tail, has_status, has_ticks = _TAILS[mask & 0x3E]
    rest = tail.unpack_from(cursor.raw, cursor.take(tail.size))
    status = rest[0] if has_status else 0
    return handle, kind, bits, status, rest[has_status] if has_ticks else 0


def _variant(cursor: Cursor, rows: Rows) -> tuple[int, int]:
    """A Variant (Part 6, 5.2.2.16): kind and bits. An array of length 1 counts as its element."""
    encoding = cursor.u8()
    vtype = encoding & 0x3F
    if not encoding & 0x80:
        return _scalar(cursor, vtype, rows)
    n, one = _elements(cursor, vtype, rows, 0)
    if encoding & 0x40:
        cursor.take(4 * cursor.count(4))
    return one if n == 1 else (UNSUPPORTED, 0)


def _elements(cursor: Cursor, vtype: int, rows: Rows, depth: int) -> tuple[int, tuple[int, int]]:
    """An array: its length, and its last element."""
    n = cursor.count(1)
    one: tuple[int, int] = (Kind.NONE, 0)
    for _ in range(n if vtype else 0):  # nulls take no bytes: their number bounds nothing
        one = _scalar(cursor, vtype, rows, depth)
    return n, one


def _scalar(cursor: Cursor, vtype: int, rows: Rows, depth: int = 0) -> tuple[int, int]:
    pack = _PACKS.get(vtype)
    if pack is not None:
        return _number(pack.unpack_from(cursor.raw, cursor.take(pack.size))[0], _NUMBERS[vtype][1])
    match vtype:
        case 0:
            return Kind.NONE, 0
        case 12 | 16:
            return _span(*cursor.blob())
        case 13:
            return _text(rows, _time_text(cursor.i64()))
        case 14:
            start = cursor.take(16)
            return _text(rows, str(UUID(bytes_le=cursor.raw[start : start + 16])))
        case 15:
            start, size = cursor.blob()
            return (Kind.NONE, 0) if size < 0 else _text(rows, cursor.raw[start : start + size].hex())
        case 20:
            cursor.take(2)
            return _span(*cursor.blob())
        case 21:
            return _localized(cursor)
        case _:
            _skip(cursor, vtype, rows, depth)
            return UNSUPPORTED, 0


def _number(value: Any, kind: Kind) -> tuple[int, int]:
    match kind:
        case Kind.FLOAT64 | Kind.FLOAT32:
            return kind, _U64.unpack(_F64.pack(value))[0]
        case Kind.BOOL:
            return kind, int(value != 0)
        case _:
            return kind, value & _MASK


def _span(start: int, size: int) -> tuple[int, int]:
    return (Kind.NONE, 0) if size < 0 else (TEXT_SPAN, start << 32 | size)


def _text(rows: Rows, text: str) -> tuple[int, int]:
    rows.texts.append(text)
    return Kind.TEXT, len(rows.texts) - 1


def _localized(cursor: Cursor) -> tuple[int, int]:
    mask = cursor.u8()
    if mask & 1:
        cursor.blob()
    return _span(*cursor.blob()) if mask & 2 else (Kind.NONE, 0)


def _time_text(ticks: int) -> str:
    """100 ns since 1601 as ISO 8601 UTC with seven digits; the numbers themselves where no calendar has that day."""
    if not 0 <= ticks < 2_650_467_743_990_000_000:  # the end of the year 9999
        return str(ticks)
    seconds, rest = divmod(ticks, 10_000_000)
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:07d}Z"


def _skip(cursor: Cursor, vtype: int, rows: Rows, depth: int) -> None:
    """Passes a value of a type that no tag can have."""
    if depth > 16:
        raise broken("values nested more than 16 deep")
    match vtype:
        case 17 | 18:
            cursor.node_id()
        case 22 | 26 | 27 | 28 | 29 | 30 | 31:  # reserved numbers are ByteStrings (Part 6, 5.1.6 and 5.2.2.16)
            cursor.extension() if vtype == 22 else cursor.blob()
        case 23:
            _skip_data_value(cursor, rows, depth)
        case 24:
            _skip_variant(cursor, rows, depth)
        case 25:
            cursor.skip_diagnostics()
        case _:
            raise broken(f"built-in type {vtype}")


def _skip_data_value(cursor: Cursor, rows: Rows, depth: int) -> None:
    mask = cursor.u8()
    if mask & 1:
        _skip_variant(cursor, rows, depth)
    sizes = {2: 4, 4: 8, 16: 2, 8: 8, 32: 2}
    cursor.take(sum(size for bit, size in sizes.items() if mask & bit))


def pass_variant(cursor: Cursor) -> None:
    """Goes to the end of a Variant, whatever is in it."""
    _skip_variant(cursor, Rows.empty(0), 0)


def _skip_variant(cursor: Cursor, rows: Rows, depth: int) -> None:
    encoding = cursor.u8()
    vtype = encoding & 0x3F
    if not encoding & 0x80:
        _scalar(cursor, vtype, rows, depth + 1)
        return
    _elements(cursor, vtype, rows, depth + 1)
    if encoding & 0x40:
        cursor.take(4 * cursor.count(4))
