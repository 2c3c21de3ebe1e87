"""Tally: how many rows of each machine, so that the ledger holds for each machine and not only over all.

A machine is named by its path, site/line/machine. The name "" stands for rows of which nobody can say the machine: of
a tag that the table does not have, or lost with the bytes that would have told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from edge_agent.model import TagTable

UNTOLD: Final = ""
MAX_MACHINES: Final = 1000
"""A table's machines beyond this many are not told apart: a cursor's file must stay small."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """`counts[i]` rows of machine `names[i]`; `names[0]` is "". Never changed once made."""

    names: tuple[str, ...]
    counts: Counts

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "Tally":
        """From a mapping of machine to rows."""
        names = (UNTOLD, *(name for name in counts if name != UNTOLD))
        return cls(names, np.array([counts.get(name, 0) for name in names], np.int64))

    @property
    def total(self) -> int:
        """Rows of all machines."""
        return int(self.counts.sum())

    def facts(self) -> dict[str, int]:
        """Machine -> rows, without zeros."""
        return {name: count for name, count in zip(self.names, self.counts.tolist(), strict=True) if count}

    def get(self, name: str) -> int:
        """Rows of one machine."""
        return int(self.counts[self.names.index(name)]) if name in self.names else 0

    def under(self, names: tuple[str, ...]) -> Counts:
        """The counts in the order of `names`, which must have all of this one's names."""
        if names is self.names or names == self.names:
            return self.counts
        counts = np.zeros(len(names), np.int64)
        places = {name: place for place, name in enumerate(names)}
        counts[[places[name] for name in self.names]] = self.counts
        return counts

    def __add__(self, other: "Tally") -> "Tally":
        names = joint(self, other)
        return Tally(names, self.under(names) + other.under(names))

    def __sub__(self, other: "Tally") -> "Tally":
        names = joint(self, other)
        return Tally(names, self.under(names) - other.under(names))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self.facts() == other.facts()

    def __hash__(self) -> int:
        return self.total


NOTHING: Final = Tally.of({})


def untold(rows: int) -> Tally:
    """So many rows of which nobody can say the machine."""
    return Tally(NOTHING.names, np.array([rows], np.int64))


def joint(*tallies: Tally) -> tuple[str, ...]:
    """All names of all tallies, "" first; the very tuple of the one that has them all, where there is one."""
    most = max((tally.names for tally in tallies), key=len)
    if all(tally.names is most or tally.names == most or tally.names == NOTHING.names for tally in tallies):
        return most
    names = dict.fromkeys(most)
    for tally in tallies:
        names |= dict.fromkeys(tally.names)
    return tuple(names)


@dataclass(frozen=True, slots=True)
class _Machines:
    """A table's machines. `place[number + 1]` is where a tag's machine is in `names`; both ends stand for no tag."""

    names: tuple[str, ...]
    place: npt.NDArray[np.intp]


_known: "WeakKeyDictionary[TagTable, _Machines]" = WeakKeyDictionary()


def machines_of(tags: TagTable) -> tuple[str, ...]:
    """The names under which a table's rows are counted: "" and its machines' paths."""
    return _machines(tags).names


def tally(tags: TagTable, column: npt.NDArray[np.int32]) -> Tally:
    """Counts the rows of a column of tag numbers by machine."""
    machines = _machines(tags)
    places = machines.place.take(column + 1, mode="clip")
    return Tally(machines.names, np.bincount(places, minlength=len(machines.names)).astype(np.int64, copy=False))


def _machines(tags: TagTable) -> _Machines:
    machines = _known.get(tags)
    if machines is None:
        machines = _known[tags] = _find_machines(tags)
    return machines


def _find_machines(tags: TagTable) -> _Machines:
    places = {UNTOLD: 0}
    place = np.zeros(len(tags) + 2, np.intp)
    for number, tag in enumerate(tags):
        path = tag.machine.path
        if path in places or len(places) <= MAX_MACHINES:
            place[number + 1] = places.setdefault(path, len(places))
    return _Machines(tuple(places), place)
