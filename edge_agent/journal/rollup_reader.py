"""Reading rollups and events again: from the long store, and what is not in it yet from the rows themselves.

No lock is taken and nothing is changed, so it may be done from any process, beside a running agent or without one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.archive import Span
from edge_agent.journal.long import LongFile, RollupChunk, long_path, newest_position
from edge_agent.journal.minutes import Minutes
from edge_agent.journal.rollup import MINUTE_NS, Rollups, merged
from edge_agent.journal.rollup_layout import Group, read_groups
from edge_agent.journal.visitor import Visitor
from edge_agent.model import Event, Tag, TagTable

_EVER: Final = (-(1 << 63), (1 << 63) - 1)
_GROUPS_AT_ONCE: Final = 64
Numbers = npt.NDArray[np.int32]


class RollupReader:
    """The rollups and events of one journal, as it is when this is made. Raises OSError where it can't be read."""

    def __init__(self, journal: Path) -> None:
        """`journal`: the directory of the raw log."""
        self._long = Visitor(long_path(journal))
        self._raw = Visitor(journal)
        position = newest_position(self._long.view.segments)
        self._chunk = position.chunk
        self._position = position.within(self._raw.view)
        self._newest: tuple[tuple[str, ...], Rollups] | None = None
        """What is not in the long store yet of the tags asked for last."""

    def tags(self) -> dict[str, Tag]:
        """Every tag that there may be rollups or rows of, by its path, as the newest table describes it."""
        tags: dict[str, Tag] = {}
        for visitor in (self._long, self._raw):
            for segment in visitor.view.segments:
                tags |= {tag.path: tag for tag in visitor.table(segment) or ()}
        return tags

    def windows(self, span: Span, step: int, rows: int) -> Iterator[Span]:
        """Parts of `span` from a start up to an end, `step` ns long, for reading with bounded memory. Where there is
        little (a clock that was decades wrong leaves deserts) they are longer, as long as `rows` rows are not exceeded.
        """
        heads = [(chunk.head.first, chunk.head.last, chunk.head.rows) for _, chunk in self._chunks(*_EVER)]
        heads += [(chunk.head.first, chunk.head.last, 0) for chunk in self._raw.chunks(self._position.sequence)]
        first, last, weight = np.array(heads or [(0, -MINUTE_NS, 0)], np.int64).T
        start, stop = max(span[0], int(first.min()) - MINUTE_NS), min(span[1], int(last.max())) + 1
        while start < stop:
            length = step
            while length < stop - start and weight[(first < start + 2 * length) & (last >= start)].sum() <= rows:
                length *= 2
            yield start, min(start + length, stop)
            start += length

    def rollups(self, paths: Sequence[str], start: int, end: int) -> Rollups:
        """One row a tag and minute, sorted by both; `tag` counts the `paths`. Minutes that begin in [start, end) ns."""
        if self._newest is None or self._newest[0] != tuple(paths):
            self._newest = tuple(paths), merged(Rollups.concat(list(self._fresh(paths))))
        rows = Rollups.concat([*self._stored(paths, start, end), self._newest[1]])
        first, last = -(-start // MINUTE_NS), -(-end // MINUTE_NS)
        return merged(rows.rows((rows.minute >= first) & (rows.minute < last)))

    def _stored(self, paths: Sequence[str], start: int, end: int) -> Iterator[Rollups]:
        """Some groups at a time, of one tag table."""
        table, wanted = "", np.empty(0, np.int32)
        groups: list[Group] = []
        for file, chunk in self._chunks(start, end):
            if file.segment.header.table != table or len(groups) >= _GROUPS_AT_ONCE:
                yield _only(read_groups(groups, wanted), wanted)
                table, groups = file.segment.header.table, []
                wanted = _numbers(self._long.table(file.segment), paths)
            found = [file.group(chunk, number) for number in _groups_of(chunk, wanted)]
            groups += [group for group in found if group is not None]
        yield _only(read_groups(groups, wanted), wanted)

    def _chunks(self, start: int, end: int) -> Iterator[tuple[LongFile, RollupChunk]]:
        for segment in self._long.view.segments:
            try:
                file = LongFile(segment)
            except FileNotFoundError:
                continue
            with file:
                for chunk in file.chunks(start, end):
                    if chunk.head.sequence <= self._chunk:
                        yield file, chunk

    def _fresh(self, paths: Sequence[str]) -> Iterator[Rollups]:
        """From rows that are in no chunk of the long store yet."""
        row = self._position.row
        numbers: dict[int, Numbers] = {}
        for chunk in self._raw.chunks(self._position.sequence):
            skip = min(max(0, row - chunk.head.rows_before), len(chunk.frame))
            row = max(row, chunk.head.rows_after)
            wanted = numbers.setdefault(id(chunk.tags), _numbers(chunk.tags, paths))
            frame = chunk.frame.rows(slice(skip, None))
            frame = frame.rows(np.isin(frame.tag, wanted))
            if len(frame):
                minutes = Minutes(len(chunk.tags))
                minutes.add(frame)
                yield _only(minutes.rollups(), wanted)

    def events(self, start: int, end: int) -> Iterator[Event]:
        """Events that began in [start, end) ns, in the order in which they were written."""
        for file, chunk in self._chunks(start, end):
            yield from (event for event in file.events(chunk) if start <= event.start < end)
        for fresh in self._raw.chunks(self._position.sequence):
            yield from (event for event in fresh.events if start <= event.start < end)


def _numbers(table: TagTable | None, paths: Sequence[str]) -> Numbers:
    """The number of each path in a table, NO_TAG where it has none."""
    return np.array([-1 if table is None else table.number(path) for path in paths], np.int32)


def _groups_of(chunk: RollupChunk, wanted: Numbers) -> list[int]:
    """Groups that may have rows of these tags."""
    groups = chunk.contents.groups
    place = np.searchsorted(groups["last"], wanted)
    place = place[(wanted >= 0) & (place < len(groups))]
    return sorted(set(place.tolist()))


def _only(rows: Rollups, wanted: Numbers) -> Rollups:
    """Rows of the wanted tags, numbered by their place among these."""
    known = np.flatnonzero(wanted >= 0)
    order = known[np.argsort(wanted[known])]
    place = np.searchsorted(wanted[order], rows.tag)
    place = np.minimum(place, max(len(order) - 1, 0))
    found = wanted[order][place] == rows.tag if len(order) else np.zeros(len(rows), np.bool_)
    rows = rows.rows(found)
    return Rollups(
        order[place[found]].astype(np.int32),
        *(getattr(rows, name) for name in ("minute", "count", "good", "numbers")),
        *(getattr(rows, name) for name in ("low", "high", "mean", "last", "last_ms")),
    )
