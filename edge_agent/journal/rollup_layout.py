"""Rollup layout: groups of rollups that were packed alike are read together, all of their tags or some.

See edge_agent/journal/rollup.py for what they are, and edge_agent/journal/payload.py for their bytes.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.chunk import crc
from edge_agent.journal.grouping import Choice, choose
from edge_agent.journal.layout import Data, Layout, flat, layout_key, sheet_of
from edge_agent.journal.rollup import INTEGERS, VALUES, Rollups, unpack_contents, unpack_told
from edge_agent.journal.vector import PlanReader
from edge_agent.model import Event
from edge_agent.model.frame import Int32, Int64

_KEPT: Final = 64
Group = tuple[bytes, Any]
"""The bytes of a group that check, and its entry in the contents."""


class RollupLayout(Layout):
    """Made by `rollup_layout_of`. Safe from any thread."""

    def _take(self, plan: PlanReader) -> None:
        self._integers = [self._column(plan) for _ in range(INTEGERS)]
        self._values = [self._value_column(plan) for _ in range(VALUES)]

    def rollups(self, data: Data, starts: Int64, ends: Int64, choice: Choice) -> Rollups:
        """The chosen rows of all these groups, one after the other. Raises ValueError where they are none."""
        sheet = sheet_of(data, self._plan, starts + self.start, ends)
        if (sheet.ends != ends).any():
            raise ValueError("a group of a wrong length")
        minute, count, bad, texts, last_ms = (flat(column, np.int64, sheet, choice) for column in self._integers)
        low, high, mean, last = (flat(column, np.float64, sheet, choice) for column in self._values)
        tags, good = choice.rows.of(self.tags[None])[0], count - bad
        return Rollups(np.tile(tags, sheet.chunks), minute, count, good, good - texts, low, high, mean, last, last_ms)


@lru_cache(_KEPT)
def rollup_layout_of(key: bytes, rows: int) -> RollupLayout:
    """The layout of groups that begin so and have so many rows. Raises ValueError where there is none."""
    if rows < 1:
        raise ValueError("no rows")
    try:
        return RollupLayout(key, rows)
    except (struct.error, IndexError) as error:
        raise ValueError("group cut short") from error


def is_whole(data: bytes, group: Any) -> bool:
    """These are the bytes of which the entry speaks."""
    return len(data) == int(group["length"]) and crc(data, 0) == int(group["crc"])


def read_groups(groups: Sequence[Group], wanted: Int32) -> Rollups:
    """Rows of the wanted tags, in the order of the groups; a group that is none of ours has no rows."""
    alike: dict[tuple[bytes, int], list[int]] = {}
    for place, (data, group) in enumerate(groups):
        with suppress(ValueError):
            alike.setdefault((layout_key(data), int(group["rows"])), []).append(place)
    parts = [part for key, places in alike.items() for part in _parts(groups, key, places, wanted)]
    rows = Rollups.concat([part for part, _ in parts])
    if len(parts) < 2:
        return rows
    return rows.rows(np.argsort(np.concatenate([places for _, places in parts]), kind="stable"))


def _parts(
    groups: Sequence[Group], key: tuple[bytes, int], places: list[int], wanted: Int32
) -> Iterator[tuple[Rollups, npt.NDArray[np.intp]]]:
    """Rows of groups of one layout, and the place of each row's group; of each alone, where one of them is broken."""
    try:
        layout = rollup_layout_of(*key)
        choice = choose(layout.grouping, np.isin(layout.tags, wanted))
        if choice.rows.count:
            ends = np.cumsum([len(groups[place][0]) for place in places])
            starts = ends - [len(groups[place][0]) for place in places]
            data = b"".join(groups[place][0] for place in places)
            yield layout.rollups(data, starts, ends, choice), np.repeat(places, choice.rows.count)
    except ValueError:
        if len(places) > 1:
            for place in places:
                yield from _parts(groups, key, [place], wanted)


def unpack_group(data: bytes, group: Any) -> Rollups:
    """One group, by its entry. Raises ValueError where it does not check."""
    if not is_whole(data, group):
        raise ValueError("a group of rollups does not check")
    layout = rollup_layout_of(layout_key(data), int(group["rows"]))
    return layout.rollups(data, np.zeros(1, np.int64), np.array([len(data)]), layout.everything)


def unpack_rollups(payload: bytes) -> tuple[Rollups, tuple[Event, ...], dict[str, Any]]:
    """The opposite of `pack_rollups`. Raises ValueError where the payload is not one."""
    contents = unpack_contents(payload)
    starts = contents.ends - contents.groups["length"]
    parts = [
        unpack_group(payload[start:end], group)
        for start, end, group in zip(starts.tolist(), contents.ends.tolist(), contents.groups, strict=True)
    ]
    told = payload[contents.end : contents.end + contents.events_bytes]
    return Rollups.concat(parts), unpack_told(told) if told else (), contents.meta
