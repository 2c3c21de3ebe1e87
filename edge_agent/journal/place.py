"""Places in the log, and what lies between two of them: all that a cursor remembers of where it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from edge_agent.journal.ledger import merged
from edge_agent.journal.tally import NOTHING, UNTOLD, Tally
from edge_agent.journal.view import View

MAX_RANGES: Final = 16
"""With so many owed ranges a cursor makes no more of them: live data then waits its turn, as without ranges."""
MAX_CLOSED: Final = 128


@dataclass(frozen=True, slots=True)
class Place:
    """Between two chunks, or between two rows of one."""

    sequence: int = 0
    """The chunk to read next; or any number above the last chunk before."""
    row: int = 0
    """Number of the row to read next. Rows before it in that chunk are passed over."""
    tally: Tally = NOTHING
    """The rows before it, by machine."""
    untold: Mapping[str, int] = field(default_factory=dict)
    """Missing rows before it, by reason, that stand under no machine until a segment's header says which they were."""


@dataclass(frozen=True, slots=True)
class Range:
    """Rows and events from `first` up to `end` that were left behind and are owed; or that are to be sent again."""

    first: Place
    end: Place
    rows: int
    """How many there were when it was made."""
    since: int
    until: int
    """Between these times it was written, by the agent's clock, ns since 1970 UTC; 0 where nobody knows."""
    begins: bool = True
    """Nothing of it has been delivered."""
    again: bool = False
    """These rows were answered for before and are sent again; `since` and `until` are then value times."""

    @property
    def left(self) -> int:
        """Rows that are still to be read."""
        return max(0, self.end.row - self.first.row)

    def overlap(self, row: int, until: int) -> int:
        """How many of the rows from `row` up to `until` are owed here."""
        return 0 if self.again else max(0, min(until, self.end.row) - max(row, self.first.row))


@dataclass(frozen=True, slots=True)
class Rebuff:
    """A destination refuses everything, and people were told so: since when (ns since 1970 UTC), and why."""

    since: int
    ko: str
    en: str


@dataclass(frozen=True, slots=True)
class CursorState:
    """Places and counters. They are written together or not at all."""

    live: Place = Place()
    """Where new data is read."""
    ranges: tuple[Range, ...] = ()
    """What was left behind, oldest first; then what is to be sent again."""
    begins: bool = True
    """Live data goes on elsewhere than where the last live batch ended."""
    base: Place = Place()
    """Where this cursor began: rows before are not its own."""
    base_lost: Mapping[str, int] = field(default_factory=dict)
    """What had been lost at the door before it began, by reason."""
    base_lost_at: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of these, by machine and reason, those whose machine is known."""
    delivered: Tally = NOTHING
    quarantined: Tally = NOTHING
    dropped: Mapping[str, Tally] = field(default_factory=dict)
    """By the sink or by the journal, of rows passed; what is lost at the door the journal counts."""
    again: Mapping[str, int] = field(default_factory=dict)
    """Rows sent again on somebody's order, by what became of them. They are beside the balance."""
    closed: tuple[str, ...] = ()
    """Events told live while ranges were owed: what one of these has of them but their end is older."""
    refused: Rebuff | None = None
    """Kept here so that the alarm ends once, also where the agent was started anew in between."""
    quarantine_bytes: int = 0
    """Length of the quarantine file that belongs to this state."""
    generation: int = 0

    @property
    def sequence(self) -> int:
        """The chunk that live data is read from next."""
        return self.live.sequence

    @property
    def row(self) -> int:
        """The row that live data begins with."""
        return self.live.row

    @property
    def owed(self) -> tuple[Range, ...]:
        """Ranges that were never answered for."""
        return tuple(each for each in self.ranges if not each.again)

    @property
    def passed(self) -> int:
        """Every chunk before this number has been answered for."""
        return min([self.live.sequence, *(each.first.sequence for each in self.ranges)])

    def owes(self, row: int, until: int) -> int:
        """How many of the rows from `row` up to `until` were not answered for."""
        return max(0, until - max(row, self.live.row)) + sum(each.overlap(row, until) for each in self.ranges)

    def with_range(self, number: int, range_: Range | None) -> "CursorState":
        """The state with one range in the place of another, or without it."""
        changed = () if range_ is None else (range_,)
        ranges = (*self.ranges[:number], *changed, *self.ranges[number + 1 :])
        return replace(self, ranges=ranges, closed=self.closed if ranges else ())


Dropped = dict[str, Tally]


def miss(place: Place, until: int, reason: str, dropped: Dropped) -> Place:
    """The place at row `until`, where the rows on the way are no more; they are counted under no machine yet."""
    count = until - place.row
    if count <= 0:
        return place
    lost = Tally.of({UNTOLD: count})
    dropped[reason] = dropped.get(reason, NOTHING) + lost
    return replace(place, row=until, tally=place.tally + lost, untold=merged(place.untold, {reason: count}))


def take(place: Place, until: int, view: View, dropped: Dropped) -> Place:
    """The place behind the rows that bounds have taken, none of them at or after row `until`."""
    for reason, count in view.taken(place.row, until).items():
        place = miss(place, place.row + count, reason, dropped)
    return place


def settle(place: Place, exact: Tally, dropped: Dropped) -> Place:
    """The place with what a segment's header says of the rows before it: which machines the missing ones were of.

    Where rows went for two reasons since the last header, which machine's went for which is a guess: the numbers by
    machine are exact, and those by reason are.
    """
    if not place.untold:
        return place
    moved = (exact - place.tally).facts()
    moved.pop(UNTOLD, None)
    *reasons, last = place.untold
    for reason in reasons:
        _assign(dropped, reason, _take(moved, place.untold[reason]))
    _assign(dropped, last, moved)
    return replace(place, tally=exact, untold={})


def _take(moved: dict[str, int], count: int) -> dict[str, int]:
    """Takes `count` rows, or as many as there are, out of `moved`."""
    taken: dict[str, int] = {}
    for machine in tuple(moved):
        share = max(0, min(moved[machine], count))
        if share:
            taken[machine], moved[machine], count = share, moved[machine] - share, count - share
    return taken


def _assign(dropped: Dropped, reason: str, machines: Mapping[str, int]) -> None:
    """Rows that stood under no machine are these machines'."""
    dropped[reason] = dropped.get(reason, NOTHING) + Tally.of({**machines, UNTOLD: -sum(machines.values())})
