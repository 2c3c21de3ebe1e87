"""Layout: what chunks of the same plan and tags have in common, and the reading of their rows, all or some.

See edge_agent/journal/payload.py for the bytes.
"""

import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.columns import decompress
from edge_agent.journal.decimals import bits_of
from edge_agent.journal.grouping import Choice, Grouping, everything, group
from edge_agent.journal.payload import ARRIVAL, DECIMAL, GROUPED, HEAD, PLAIN, PLAIN_COLUMNS, PLAIN_SAME, SAME
from edge_agent.journal.sheet import Pick, Sheet
from edge_agent.journal.vector import PlanReader, Vector
from edge_agent.model.frame import NO_TEXTS, Frame, Int32, Int64, UInt64

_KEPT: Final = 32
Data = bytes | memoryview


def unpack_frame(payload: Data, rows: int) -> Frame:
    """The opposite of `pack_frame`; raises ValueError where the payload is not one."""
    if payload[: len(PLAIN)] == PLAIN:
        return _unpack_plain(memoryview(payload), rows)
    layout = layout_of(layout_key(payload), rows)
    return layout.read(payload, np.zeros(1, np.int64), np.array([len(payload)]), layout.everything)


def unpack_tags(payload: Data, rows: int) -> Int32:
    """The tag column alone; raises ValueError where the payload is not one of a frame."""
    if payload[: len(PLAIN)] == PLAIN:
        return _unpack_plain(memoryview(payload), rows).tag
    return layout_of(layout_key(payload), rows).tags


def _unpack_plain(data: memoryview, rows: int) -> Frame:
    at = len(PLAIN) + 1
    if rows < 1 or len(data) < at:
        raise ValueError("payload cut short")
    varies = data[at - 1]
    columns: dict[str, Any] = {}
    for number, (name, dtype) in enumerate(PLAIN_COLUMNS):
        if name == "received" and varies & PLAIN_SAME:
            columns[name] = columns["time"]
            continue
        count = rows if varies >> number & 1 else 1
        column = np.frombuffer(data, dtype, count, at)
        columns[name] = column if count == rows else np.broadcast_to(column, (rows,))
        at += column.nbytes
    return Frame(**columns, texts=_texts(data[at:]))


def layout_key(payload: Data) -> bytes:
    """What payloads of one layout begin with. Raises ValueError where it is cut short."""
    if len(payload) < HEAD.size:
        raise ValueError("payload cut short")
    plan, tags = HEAD.unpack_from(payload)
    if len(payload) < HEAD.size + plan + tags:
        raise ValueError("payload cut short")
    return bytes(payload[: HEAD.size + plan + tags])


@dataclass(frozen=True, slots=True)
class _Arrival:
    words: Vector

    def read(self, sheet: Sheet, choice: Choice) -> UInt64:
        return self.words.read(sheet, choice.rows)


@dataclass(frozen=True, slots=True)
class _Grouped:
    firsts: Vector
    steps: Vector

    def read(self, sheet: Sheet, choice: Choice) -> UInt64:
        return choice.joined(self.firsts.read(sheet, choice.firsts), self.steps.read(sheet, choice.steps))


@dataclass(frozen=True, slots=True)
class _Decimal:
    forms: Vector
    words: "_Arrival | _Grouped"

    def read(self, sheet: Sheet, choice: Choice) -> UInt64:
        forms = self.forms.read(sheet, choice.firsts)
        if not is_same(forms):
            forms = choice.spread(forms)
        return bits_of(self.words.read(sheet, choice), forms)


def is_same(words: UInt64) -> bool:
    """All of every chunk are alike, and nothing had to be looked at to know."""
    return words.strides == (0, 0)


class Layout:
    """Made by `layout_of`. Safe from any thread."""

    def __init__(self, key: bytes, rows: int) -> None:
        """Raises ValueError where the key is none."""
        plan_length, tags_length = HEAD.unpack_from(key)
        at = HEAD.size + tags_length
        self.start = at + plan_length
        """Where the numbers begin."""
        self.tags = _read_tags(key[HEAD.size : at], rows)
        self.grouping: Grouping = group(self.tags)
        self.everything = everything(self.grouping)
        self._plan = plan = PlanReader(key[at:])
        self._time = self._column(plan)
        self._received = self._received_column(plan)
        self._kind, self._status, self._flags = (self._column(plan) for _ in range(3))
        self._value = self._value_column(plan)
        if plan.at != plan_length:
            raise ValueError("plan too long")

    def _column(self, plan: PlanReader, form: int | None = None) -> _Arrival | _Grouped:
        form = plan.byte() if form is None else form
        rows, groups = len(self.tags), self.grouping.groups
        if form == ARRIVAL:
            return _Arrival(plan.vector(rows))
        if form == GROUPED:
            return _Grouped(plan.vector(groups), plan.vector(rows - groups))
        raise ValueError(f"column form {form}")

    def _received_column(self, plan: PlanReader) -> _Arrival | _Grouped:
        form = plan.byte()
        return self._time if form == SAME else self._column(plan, form)

    def _value_column(self, plan: PlanReader) -> _Arrival | _Grouped | _Decimal:
        form = plan.byte()
        if form == DECIMAL:
            return _Decimal(plan.vector(self.grouping.groups), self._column(plan))
        return self._column(plan, form)

    def read(self, data: Data, starts: Int64, ends: Int64, choice: Choice) -> Frame:
        """The chosen rows of all these payloads, one after the other. Raises ValueError where they are none."""
        sheet = _sheet(data, self._plan, starts + self.start, ends)
        if len(starts) == 1:
            texts = _texts(sheet.data[int(sheet.ends[0]) : int(ends[0])])
        elif (sheet.ends < ends).any():
            each = zip(np.split(starts, len(starts)), np.split(ends, len(ends)), strict=True)
            return Frame.concat([self.read(data, start, end, choice) for start, end in each])
        else:
            texts = NO_TEXTS
        return self._frame(sheet, choice, texts)

    def _frame(self, sheet: Sheet, choice: Choice, texts: tuple[str, ...]) -> Frame:
        time = _flat(self._time.read(sheet, choice), np.int64)
        same = self._received is self._time
        return Frame(
            _flat(np.broadcast_to(choice.rows.of(self.tags[None]), (sheet.chunks, choice.rows.count)), np.int32),
            time,
            time if same else _flat(self._received.read(sheet, choice), np.int64),
            _flat(self._value.read(sheet, choice), np.uint64),
            _flat(self._kind.read(sheet, choice), np.uint8),
            _flat(self._status.read(sheet, choice), np.uint32),
            _flat(self._flags.read(sheet, choice), np.uint16),
            texts,
        )


def _sheet(data: Data, plan: PlanReader, at: Int64, ends: Int64) -> Sheet:
    """The sheet of what `plan` says stands at these offsets. Raises ValueError where it is cut short."""
    numbers, lengths = 8 * plan.numbers, 4 * plan.planes
    if len(data) < ends.max() or (at + numbers + lengths > ends).any():
        raise ValueError("payload cut short")
    octets = np.frombuffer(data, np.uint8)
    words = octets[at[:, None] + np.arange(numbers)].view(np.uint64)
    sizes = octets[at[:, None] + np.arange(numbers, numbers + lengths)].view(np.uint32).astype(np.int64)
    after = (at + numbers + lengths)[:, None] + np.cumsum(sizes, axis=1)
    plane_ends = after[:, -1] if plan.planes else at + numbers
    if (plane_ends > ends).any():
        raise ValueError("plane beyond the end")
    return Sheet(memoryview(data), words, after - sizes, sizes, plane_ends)


def _flat(words: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """One column of a row a chunk. What is the same in all rows stays one number that is said to be many."""
    if is_same(words) and words.size:
        return np.broadcast_to(words[0, 0].astype(dtype), (words.size,))
    column = np.ascontiguousarray(words).reshape(-1)
    return column.view(dtype) if column.dtype.itemsize == np.dtype(dtype).itemsize else column.astype(dtype)


def _texts(data: memoryview) -> tuple[str, ...]:
    return tuple(json.loads(decompress(data))) if len(data) else NO_TEXTS


def _read_tags(blob: bytes, rows: int) -> Int32:
    if not blob or len(blob) < 1 + blob[0]:
        raise ValueError("tags cut short")
    plan = PlanReader(blob[1 : 1 + blob[0]])
    vector = plan.vector(rows)
    sheet = _sheet(blob, plan, np.array([1 + blob[0]]), np.array([len(blob)]))
    tags: Int32 = _flat(vector.read(sheet, Pick.all(rows)), np.int32)
    return tags


@lru_cache(_KEPT)
def layout_of(key: bytes, rows: int) -> Layout:
    """The layout of payloads that begin so and have so many rows. Raises ValueError where there is none."""
    if rows < 1:
        raise ValueError("no rows")
    try:
        return Layout(key, rows)
    except (struct.error, IndexError) as error:
        raise ValueError("payload cut short") from error
