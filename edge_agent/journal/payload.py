"""Payload of a frame chunk: rows packed so that they come back as they were, and those of a tag without the others.

    plan length u16, tags length u32
    tags     the tag column: plan length u8, plan, numbers, planes' lengths u32 each, planes
    plan     how each column is packed (edge_agent/journal/vector.py)
    numbers  u64 each
    lengths  of the planes, u32 each
    planes
    texts    zstd(JSON), where there are any

Chunks whose plan and tags are the same bytes, which is what regular scans give, have one layout: they are unpacked
together, or only those rows of them that are asked for.

A payload of up to SHORT rows, or of rows that are not to stay (edge_agent/journal/front.py), begins with PLAIN instead:
a mask of the columns that vary (u8), then each of PLAIN_COLUMNS, all its rows or the one item that they all are, then
the texts. Where the mask has PLAIN_SAME, `received` is not there: it is the time.

In the plan stand the columns time, received, kind, status, flags and value, each with a form byte first:

| form    | then                     | a row's word |
|---------|--------------------------|--------------|
| ARRIVAL | a vector of all rows     | as they came |
| GROUPED | two vectors              | first of each tag's rows; steps from row to row of a tag (grouping.py) |
| SAME    |                          | received: the value's time |
| DECIMAL | a vector, then a column  | value: each group's form, then words of that form (decimals.py) |
"""

import json
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.decimals import as_decimals
from edge_agent.journal.grouping import Grouping, group
from edge_agent.journal.vector import SHORT, Parts, is_constant, limits, pack_constant, pack_vector, words_of
from edge_agent.journal.zstd import compress
from edge_agent.model import Frame, Kind
from edge_agent.model.frame import Int64, UInt8, UInt64

ARRIVAL: Final = 0
GROUPED: Final = 1
SAME: Final = 2
DECIMAL: Final = 3

HEAD: Final = struct.Struct("<HI")
PLAIN: Final = b"\xff\xff"
"""In place of the plan's length: a few rows, as they are."""
PLAIN_SAME: Final = 1 << 7
PLAIN_COLUMNS: Final[tuple[tuple[str, type[np.generic]], ...]] = (
    ("tag", np.int32),
    ("time", np.int64),
    ("received", np.int64),
    ("kind", np.uint8),
    ("status", np.uint32),
    ("flags", np.uint16),
    ("bits", np.uint64),
)
_TAG_COLUMNS: Final = 8
Column = npt.NDArray[Any]


def pack_frame(frame: Frame) -> bytes:
    """The payload of 1 … MAX_ROWS rows. Raises ValueError for columns of different lengths."""
    if len(frame) <= SHORT:
        return pack_plain(frame)
    bits, packed_texts, same = _seen(frame)
    tags, grouping = _pack_tags(np.asarray(frame.tag, np.int32).tobytes())
    parts = _pack_time(np.asarray(frame.time, np.int64), grouping)
    parts.add(Parts(bytearray((SAME,)), [], []) if same else _pack_time(np.asarray(frame.received, np.int64), grouping))
    parts.add(_pack_column(np.asarray(frame.kind, np.uint8), grouping))
    parts.add(_pack_column(np.asarray(frame.status, np.uint32), grouping))
    parts.add(_pack_column(np.asarray(frame.flags, np.uint16), grouping))
    parts.add(_pack_values(np.asarray(bits, np.uint64), np.asarray(frame.kind, np.uint8), grouping))
    head = HEAD.pack(len(parts.plan), len(tags))
    return b"".join((head, tags, bytes(parts.plan), *_rest(parts), packed_texts))


def pack_beside(tag: Column, integers: Sequence[Column], values: Sequence[tuple[UInt64, Kind]]) -> bytes:
    """Columns of other kinds beside a tag column, packed like a frame's: integers, then bits of one kind each."""
    tags, grouping = _pack_tags(np.asarray(tag, np.int32).tobytes())
    parts = Parts.none()
    for column in integers:
        parts.add(_pack_column(column, grouping))
    for bits, kind in values:
        parts.add(_pack_values(bits, np.full(1, kind, np.uint8), grouping))
    return b"".join((HEAD.pack(len(parts.plan), len(tags)), tags, bytes(parts.plan), *_rest(parts)))


def _seen(frame: Frame) -> tuple[UInt64, bytes, bool]:
    """The bits with text numbers of the chunk's own, its texts, and whether times and receive times are the same."""
    if {len(column) for column in frame.columns()} != {len(frame)}:
        raise ValueError("a frame's columns must have one length")
    bits, texts = _own_texts(frame)
    packed_texts = compress(json.dumps(texts).encode()) if texts else b""
    return bits, packed_texts, frame.received is frame.time or np.array_equal(frame.received, frame.time)


def pack_plain(frame: Frame) -> bytes:
    """The payload of few rows, or of rows that are not to stay: quickly made rather than small.

    Raises ValueError for columns of different lengths.
    """
    bits, packed_texts, same = _seen(frame)
    parts, varies = [PLAIN, b""], 0
    for number, (name, dtype) in enumerate(PLAIN_COLUMNS):
        column = np.asarray(bits if name == "bits" else getattr(frame, name), dtype)
        if name == "received" and same:
            varies |= PLAIN_SAME
        elif is_constant(column):
            parts.append(column[:1].tobytes())
        else:
            varies |= 1 << number
            parts.append(column.tobytes())
    parts[1] = bytes((varies,))
    return b"".join((*parts, packed_texts))


def _own_texts(frame: Frame) -> tuple[Any, list[str]]:
    """The bits with text numbers into a table of only the texts that these rows use."""
    if not frame.texts:
        return frame.bits, []
    mask = frame.kind == Kind.TEXT
    used, numbers = np.unique(frame.bits[mask], return_inverse=True)
    bits = np.array(frame.bits)
    bits[mask] = numbers
    return bits, [frame.texts[int(number)] for number in used]


@lru_cache(_TAG_COLUMNS)
def _pack_tags(column: bytes) -> tuple[bytes, Grouping]:
    """The tag column packed, and how it groups rows. Scans repeat, so both are mostly known already."""
    tags = np.frombuffer(column, np.int32)
    again = int(np.argmax(tags[1:] == tags[0])) + 1 if len(tags) > 1 else 0
    parts = pack_vector(words_of(tags), steps=True, period=again)
    return b"".join((bytes((len(parts.plan),)), bytes(parts.plan), *_rest(parts))), group(tags)


def _rest(parts: Parts) -> list[bytes]:
    numbers = struct.pack(f"<{len(parts.numbers)}Q", *parts.numbers)
    return [numbers, struct.pack(f"<{len(parts.planes)}I", *map(len, parts.planes)), *parts.planes]


def _pack_column(column: Column, grouping: Grouping) -> Parts:
    if is_constant(column):
        return _formed(ARRIVAL, pack_constant(int(column[0])))
    return _pack_grouped(grouping.arranged(words_of(column)), grouping)


def _pack_grouped(words: UInt64, grouping: Grouping, *, time: bool = False) -> Parts:
    if grouping.order is None:
        return _formed(ARRIVAL, pack_vector(words, time=time, steps=time))
    firsts, steps = grouping.split(words)
    parts = _formed(GROUPED, pack_vector(firsts, time=time))
    parts.add(pack_vector(steps, time=time, period=int(grouping.counts[0]) - 1))
    return parts


def _pack_time(column: Int64, grouping: Grouping) -> Parts:
    """Grouped where tags come at intervals of their own; as they came where rows of any tags follow more closely."""
    if is_constant(column):
        return _formed(ARRIVAL, pack_constant(int(column[0])))
    words = words_of(column)
    if grouping.order is not None:
        signed, steps = words.view(np.int64), grouping.split(words[grouping.order])[1].view(np.int64)
        least, most = limits(steps)
        low, high = limits(signed[1:] - signed[:-1])
        if high - low < most - least:
            return _formed(ARRIVAL, pack_vector(words, time=True, steps=True))
    return _pack_grouped(grouping.arranged(words), grouping, time=True)


def _pack_values(bits: UInt64, kind: UInt8, grouping: Grouping) -> Parts:
    if is_constant(bits):
        return _formed(ARRIVAL, pack_constant(int(bits[0])))
    words = grouping.arranged(words_of(bits))
    kinds = kind[:1] if is_constant(kind) else kind if grouping.order is None else kind[grouping.order]
    decimals = as_decimals(words, kinds, grouping) if len(words) > SHORT else None
    if decimals is None:
        return _pack_grouped(words, grouping)
    forms = decimals.forms
    parts = _formed(DECIMAL, pack_constant(forms) if isinstance(forms, int) else pack_vector(words_of(forms)))
    parts.add(_pack_grouped(decimals.words, grouping))
    return parts


def _formed(form: int, parts: Parts) -> Parts:
    parts.plan.insert(0, form)
    return parts
