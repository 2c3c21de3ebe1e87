"""Layout: what chunks of the same plan and tags have in common, and the reading of their rows, all or some.

See edge_agent/journal/payload.py for the bytes.
"""

import json
import struct
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.decimals import bits_of
from edge_agent.journal.grouping import Choice, Grouping, everything, group
from edge_agent.journal.payload import ARRIVAL, DECIMAL, GROUPED, HEAD, PLAIN, PLAIN_COLUMNS, PLAIN_SAME, SAME
from edge_agent.journal.sheet import Pick, Sheet
from edge_agent.journal.vector import PlanReader, Vector
from edge_agent.journal.zstd import decompress
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

    @property
    def is_narrow(self) -> bool:
        return self.words.is_narrow

    def read(self, sheet: Sheet, choice: Choice) -> UInt64:
        return self.words.read(sheet, choice.rows)


@dataclass(frozen=True, slots=True)
class _Grouped:
    is_narrow: ClassVar = False
    firsts: Vector
    steps: Vector

    def read(self, sheet: Sheet, choice: Choice) -> UInt64:
        return choice.joined(self.firsts.read(sheet, choice.firsts), self.steps.read(sheet, choice.steps))


@dataclass(frozen=True, slots=True)
class _Decimal:
    is_narrow: ClassVar = False
    forms: Vector
    words: "_Arrival | _Grouped"

    def read(self, sheet: Sheet, choice: Choice) -> UInt64:
        forms = self.forms.read(sheet, choice.firsts)
        if not self.forms.is_narrow:
            forms = choice.spread(forms)
        return bits_of(self.words.read(sheet, choice), forms)


Shown = _Arrival | _Grouped | _Decimal
"""A column, as its plan says it is."""


class Layout:
    """Of frames. Made by `layout_of`. Safe from any thread."""

    def __init__(self, key: bytes, rows: int) -> None:
        """Raises ValueError where the key is none."""
        plan_length, tags_length = HEAD.unpack_from(key)
        at = HEAD.size + tags_length
        self.start = at + plan_length
        """Where the numbers begin."""
        self.tags = _read_tags(key[HEAD.size : at], rows)
        self.grouping: Grouping = group(self.tags)
        self._plan = plan = PlanReader(key[at:])
        self._take(plan)
        if plan.at != plan_length:
            raise ValueError("plan too long")

    def _take(self, plan: PlanReader) -> None:
        """The columns, as the plan has them one after the other."""
        self._time = self._column(plan)
        self._received = self._received_column(plan)
        self._kind, self._status, self._flags = (self._column(plan) for _ in range(3))
        self._value = self._value_column(plan)

    @cached_property
    def everything(self) -> Choice:
        """All rows."""
        return everything(self.grouping)

    def _column(self, plan: PlanReader, form: int | None = None) -> _Arrival | _Grouped:
        form = plan.byte() if form is None else form
        rows, groups = len(self.tags), self.grouping.groups
        if form == ARRIVAL:
            return _Arrival(plan.vector(rows))
        if form == GROUPED:
            return _Grouped(plan.vector(groups), plan.vector(rows - groups))
        raise ValueError(f"column form {form}")

    def _received_column(self, plan: PlanReader) -> Shown:
        form = plan.byte()
        return self._time if form == SAME else self._column(plan, form)

    def _value_column(self, plan: PlanReader) -> Shown:
        form = plan.byte()
        if form == DECIMAL:
            return _Decimal(plan.vector(self.grouping.groups), self._column(plan))
        return self._column(plan, form)

    def read(self, data: Data, starts: Int64, ends: Int64, choice: Choice) -> Frame:
        """The chosen rows of all these payloads, one after the other. Raises ValueError where they are none."""
        sheet = sheet_of(data, self._plan, starts + self.start, ends)
        if len(starts) == 1:
            texts = _texts(sheet.data[int(sheet.ends[0]) : int(ends[0])])
        elif (sheet.ends < ends).any():
            each = zip(np.split(starts, len(starts)), np.split(ends, len(ends)), strict=True)
            return Frame.concat([self.read(data, start, end, choice) for start, end in each])
        else:
            texts = NO_TEXTS
        return self._frame(sheet, choice, texts)

    def _frame(self, sheet: Sheet, choice: Choice, texts: tuple[str, ...]) -> Frame:
        time = flat(self._time, np.int64, sheet, choice)
        same = self._received is self._time
        tags = choice.rows.of(self.tags[None])[0]
        return Frame(
            tags if sheet.chunks == 1 else np.tile(tags, sheet.chunks),
            time,
            time if same else flat(self._received, np.int64, sheet, choice),
            flat(self._value, np.uint64, sheet, choice),
            flat(self._kind, np.uint8, sheet, choice),
            flat(self._status, np.uint32, sheet, choice),
            flat(self._flags, np.uint16, sheet, choice),
            texts,
        )


def flat(column: Shown, dtype: npt.DTypeLike, sheet: Sheet, choice: Choice) -> npt.NDArray[Any]:
    """One column of a row a chunk. What is the same in all rows of one chunk stays one item that is said to be many."""
    words = column.read(sheet, choice)
    if words.dtype.itemsize != np.dtype(dtype).itemsize:
        words = words.astype(dtype)
    if column.is_narrow and sheet.chunks == 1:
        return np.broadcast_to(words[0].view(dtype), (choice.rows.count,))
    if column.is_narrow:
        words = np.repeat(words, choice.rows.count, axis=1)
    return np.ascontiguousarray(words).reshape(-1).view(dtype)


def sheet_of(data: Data, plan: PlanReader, at: Int64, ends: Int64) -> Sheet:
    """The sheet of what `plan` says stands at these offsets. Raises ValueError where it is cut short."""
    numbers, lengths = 8 * plan.numbers, 4 * plan.planes
    if len(data) < ends.max() or (at + numbers + lengths > ends).any():
        raise ValueError("payload cut short")
    if len(at) == 1:
        first = int(at[0])
        words = np.frombuffer(data, np.uint64, plan.numbers, first)[None]
        sizes = np.frombuffer(data, np.uint32, plan.planes, first + numbers).astype(np.int64)[None]
    else:
        octets = np.frombuffer(data, np.uint8)
        words = octets[at[:, None] + np.arange(numbers)].view(np.uint64)
        sizes = octets[at[:, None] + np.arange(numbers, numbers + lengths)].view(np.uint32).astype(np.int64)
    after = (at + numbers + lengths)[:, None] + np.cumsum(sizes, axis=1)
    plane_ends = after[:, -1] if plan.planes else at + numbers
    if (plane_ends > ends).any():
        raise ValueError("plane beyond the end")
    return Sheet(memoryview(data), words, after - sizes, sizes, plane_ends)


def _texts(data: memoryview) -> tuple[str, ...]:
    return tuple(json.loads(decompress(data))) if len(data) else NO_TEXTS


def _read_tags(blob: bytes, rows: int) -> Int32:
    if not blob or len(blob) < 1 + blob[0]:
        raise ValueError("tags cut short")
    plan = PlanReader(blob[1 : 1 + blob[0]])
    vector = plan.vector(rows)
    sheet = sheet_of(blob, plan, np.array([1 + blob[0]]), np.array([len(blob)]))
    words = vector.read(sheet, Pick.all(rows))[0].astype(np.int32)
    return np.broadcast_to(words, (rows,)) if vector.is_narrow else words


@lru_cache(_KEPT)
def layout_of(key: bytes, rows: int) -> Layout:
    """The layout of payloads that begin so and have so many rows. Raises ValueError where there is none."""
    if rows < 1:
        raise ValueError("no rows")
    try:
        return Layout(key, rows)
    except (struct.error, IndexError) as error:
        raise ValueError("payload cut short") from error
