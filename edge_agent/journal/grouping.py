"""Grouping: the rows of a chunk by tag, as its tag column alone says it. Nothing of it is stored.

Frames mostly hold one row a tag, scan after scan. Side by side, the rows of one tag differ by small steps. Where no tag
comes twice, and in very short chunks, rows stay as they came.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.journal.sheet import Pick
from edge_agent.journal.vector import SHORT
from edge_agent.model.frame import Int32, UInt64

Places = npt.NDArray[np.intp]
_NARROW: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """`order[i]` is the row that stands at place i when rows are grouped; None where they stay as they came."""

    tags: Int32
    """Of each row, as they came."""
    order: Places | None
    starts: Places
    """Place of each group's first row."""
    counts: Places
    """Rows of each group."""
    inner: Places
    """Places that are no start."""

    @property
    def groups(self) -> int:
        """How many."""
        return len(self.starts)

    def arranged(self, words: UInt64) -> UInt64:
        """A column, grouped."""
        return words if self.order is None else words[self.order]

    def split(self, words: UInt64) -> tuple[UInt64, UInt64]:
        """Of a grouped column the first word of each group, and the steps to all others."""
        return words[self.starts], words[self.inner] - words[self.inner - 1]


def group(tags: Int32) -> Grouping:
    """The grouping of these tags; at least one."""
    rows = len(tags)
    if rows > SHORT:
        narrow = tags.astype(np.uint16) if tags.min() >= 0 and tags.max() < _NARROW else tags
        order = np.argsort(narrow, kind="stable")  # of 16 bits a radix sort: several times faster
        arranged = tags[order]
        is_start = np.empty(rows, np.bool_)
        is_start[0] = True
        np.not_equal(arranged[1:], arranged[:-1], out=is_start[1:])
        starts = np.flatnonzero(is_start)
        if len(starts) < rows:
            return Grouping(tags, order, starts, np.diff(starts, append=rows), np.flatnonzero(~is_start))
    one_each = np.arange(rows)
    return Grouping(tags, None, one_each, np.ones(rows, np.intp), one_each[:0])


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Some groups' rows, and where their words are in the vectors of a chunk."""

    rows: Pick
    """The rows, as they came."""
    firsts: Pick
    steps: Pick
    starts: Places
    """Of the groups, among the chosen rows."""
    counts: Places
    inner: Places
    back: Places | None
    """Puts the chosen rows in the order in which they came."""

    def joined(self, firsts: UInt64, steps: UInt64) -> UInt64:
        """Chosen words (chunks, rows) as they came, of firsts (chunks, groups) and steps; either may be narrow."""
        words = np.empty((len(firsts), self.rows.count), np.uint64)
        words[:, self.starts] = firsts
        words[:, self.inner] = steps
        words = np.cumsum(words, axis=1, dtype=np.uint64)
        if len(self.starts) > 1:
            words -= np.repeat(words[:, self.starts] - firsts, self.counts, axis=1)
        return self.as_they_came(words)

    def spread(self, of_groups: UInt64) -> UInt64:
        """For each chosen row, as they came, its group's word."""
        return self.as_they_came(np.repeat(of_groups, self.counts, axis=1))

    def as_they_came(self, grouped: UInt64) -> UInt64:
        """Columns, a row a chunk, no longer grouped."""
        return grouped if self.back is None else grouped[:, self.back]


def everything(grouping: Grouping) -> Choice:
    """All rows."""
    rows, groups = len(grouping.tags), grouping.groups
    back = None
    if grouping.order is not None:
        back = np.empty(rows, np.intp)
        back[grouping.order] = np.arange(rows)
    return Choice(
        Pick.all(rows),
        Pick.all(groups),
        Pick.all(rows - groups),
        grouping.starts,
        grouping.counts,
        grouping.inner,
        back,
    )


def choose(grouping: Grouping, wanted: npt.NDArray[np.bool_]) -> Choice:
    """The rows for which `wanted` is true; whole groups only: it is a function of the tag."""
    if grouping.order is None:
        rows = np.flatnonzero(wanted)
        one_each = np.arange(len(rows))
        return Choice(
            Pick.at(rows), Pick.at(rows), Pick.all(0), one_each, np.ones(len(rows), np.intp), one_each[:0], None
        )
    groups = np.flatnonzero(wanted[grouping.order][grouping.starts])
    counts = grouping.counts[groups]
    ends = np.cumsum(counts)
    count = int(ends[-1]) if len(ends) else 0
    starts = ends - counts
    places = np.arange(count) + np.repeat(grouping.starts[groups] - starts, counts)
    is_inner = np.ones(count, np.bool_)
    is_inner[starts] = False
    inner = np.flatnonzero(is_inner)
    steps = places[inner] - np.repeat(groups + 1, counts - 1)
    rows = grouping.order[places]
    back = np.argsort(rows)
    return Choice(Pick.at(rows[back]), Pick.at(groups), Pick.at(steps), starts, counts, inner, back)
