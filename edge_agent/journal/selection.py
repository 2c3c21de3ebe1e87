"""Selection: the rows of some tags in a stretch of chunks, reading no more of them than that takes.

Chunks of one layout are read together, so a regular scan's day is a few numpy calls for each MB of journal. A chunk
whose tags come in no order has a layout of its own and is read alone.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.archive import Skipped, Span, Stretch
from edge_agent.journal.grouping import Choice, choose
from edge_agent.journal.layout import Layout, layout_of, unpack_frame
from edge_agent.journal.payload import HEAD, PLAIN
from edge_agent.model.frame import Frame, Int32
from edge_agent.model.tag import NO_TAG

Places = npt.NDArray[np.intp]
_Part = tuple[Frame, Places]
"""Rows, and for each the place of its chunk in the stretch."""
_Key = tuple[bytes, int]
"""What chunks of one layout have in common: the beginning of their payload, empty for a plain one, and rows."""
_CHOICES: Final = 64
_COMMON: Final = 8
_PLAIN_LENGTH: Final = int.from_bytes(PLAIN, "little")


class Selection:
    """For the chunks of one tag table."""

    def __init__(self, numbers: Int32, span: Span) -> None:
        """`numbers`: for each number of the table what it becomes, or NO_TAG; the last is for those it has not."""
        self._numbers, self._span = numbers, span
        self._any = bool((numbers != NO_TAG).any())
        self._choices: OrderedDict[_Key, tuple[Layout, Choice]] = OrderedDict()

    def of(self, stretch: Stretch, skipped: Skipped, *, newest_first: bool) -> Frame:
        """The selected rows in the order of the stretch; backwards within each chunk where `newest_first`."""
        if not self._any:
            return Frame.empty()
        parts = [part for key, places in _by_layout(stretch) for part in self._parts(stretch, key, places, skipped)]
        frame = Frame.concat([frame for frame, _ in parts])
        rows = self._in_span(frame)
        if len(parts) > 1 or newest_first:
            chunk = np.concatenate([places for _, places in parts]) if parts else np.empty(0, np.intp)
            rows = _ordered(chunk[rows], rows, newest_first=newest_first)
        elif len(rows) == len(frame):
            return frame
        return frame.rows(rows)

    def _in_span(self, frame: Frame) -> Places:
        return np.flatnonzero((frame.time >= self._span[0]) & (frame.time <= self._span[1]))

    def _parts(self, stretch: Stretch, key: _Key, places: Places, skipped: Skipped) -> Iterator[_Part]:
        try:
            part = self._part(stretch, key, places) if key[0] else self._plain(stretch, key[1], places)
        except ValueError:
            if len(places) == 1:
                skipped.stretches += 1
                skipped.rows += key[1]
                return
            for place in np.split(places, len(places)):
                yield from self._parts(stretch, key, place, skipped)
            return
        if len(part[0]):
            yield part

    def _part(self, stretch: Stretch, key: _Key, chunks: Places) -> _Part:
        layout, choice = self._choice(key)
        count = choice.rows.count
        if not count:
            return Frame.empty(), chunks[:0]
        starts = stretch.offsets[chunks]
        ends = starts + stretch.heads["payload_bytes"][chunks]
        frame = layout.read(stretch.data, starts, ends, choice)
        return self._renumbered(frame), np.repeat(chunks, count)

    def _choice(self, key: _Key) -> tuple[Layout, Choice]:
        found = self._choices.get(key)
        if found is None:
            layout = layout_of(*key)
            found = self._choices[key] = layout, choose(layout.grouping, self._new_numbers(layout.tags) != NO_TAG)
            while len(self._choices) > _CHOICES:
                self._choices.popitem(last=False)
        return found

    def _plain(self, stretch: Stretch, rows: int, places: Places) -> _Part:
        frame = Frame.concat([unpack_frame(stretch.payload(place), rows) for place in places.tolist()])
        wanted = np.flatnonzero(self._new_numbers(frame.tag) != NO_TAG)
        return self._renumbered(frame.rows(wanted)), np.repeat(places, rows)[wanted]

    def _new_numbers(self, tags: Int32) -> Int32:
        return self._numbers[np.minimum(tags.view(np.uint32), len(self._numbers) - 1)]

    def _renumbered(self, frame: Frame) -> Frame:
        tag = self._new_numbers(frame.tag)
        return Frame(tag, frame.time, frame.received, frame.bits, frame.kind, frame.status, frame.flags, frame.texts)


def _by_layout(stretch: Stretch) -> Iterator[tuple[_Key, Places]]:
    """Places of the chunks by key: the commonest layouts at once, what is left one by one."""
    left = np.arange(len(stretch))
    for _ in range(_COMMON):
        if len(left) < _COMMON:
            break
        key = _key(stretch, int(left[0]))
        if not key[0]:
            break
        same = _alike(stretch, left, key)
        yield key, same
        left = np.setdiff1d(left, same, assume_unique=True)
    places: dict[_Key, list[int]] = {}
    for place in left.tolist():
        places.setdefault(_key(stretch, place), []).append(place)
    for key, each in places.items():
        yield key, np.array(each)


def _key(stretch: Stretch, place: int) -> _Key:
    at, rows = int(stretch.offsets[place]), int(stretch.heads["rows"][place])
    if at + HEAD.size > len(stretch.data):
        return b"", rows
    plan, tags = HEAD.unpack_from(stretch.data, at)
    return b"" if plan == _PLAIN_LENGTH else stretch.data[at : at + HEAD.size + plan + tags], rows


def _alike(stretch: Stretch, places: Places, key: _Key) -> Places:
    """Those of `places` that have this key; the first one has."""
    octets = np.frombuffer(stretch.data, np.uint8)
    expected = np.frombuffer(key[0], np.uint8)
    starts = stretch.offsets[places]
    fit = (stretch.heads["rows"][places] == key[1]) & (starts + len(expected) <= len(octets))
    for part in (slice(HEAD.size), slice(HEAD.size, None)):
        places, starts = places[fit], starts[fit]
        columns = np.arange(len(expected))[part]
        fit = np.logical_and.reduce(octets[starts[:, None] + columns] == expected[part], axis=1)
    alike: Places = places[fit]
    return alike


def _ordered(chunk: Places, rows: Places, *, newest_first: bool) -> Places:
    """Rows by the place of their chunk; in a chunk as they came, or the opposite."""
    if not newest_first:
        return rows[np.argsort(chunk, kind="stable")]
    return rows[::-1][np.argsort(chunk[::-1], kind="stable")]
