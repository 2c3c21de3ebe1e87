"""Gathering a batch: rows and events from one place in the log on, up to another."""

from dataclasses import dataclass, field, replace
from typing import Final

from edge_agent.journal.chunk import Chunk
from edge_agent.journal.place import Dropped, Place, miss, settle, take
from edge_agent.journal.tally import NOTHING, Tally, tally
from edge_agent.journal.view import View
from edge_agent.model import Event, Frame, TagTable

MAX_EVENTS: Final = 1000
"""Most events in one batch."""


@dataclass(slots=True)
class Gathering:
    """A batch on its way: what has been gathered, and the place after it.

    `end` is where it must stop. The log's numbers of chunks may have holes, and a chunk may begin before `place`: rows
    go by their numbers.
    """

    place: Place
    end: Place
    limit: int
    dropped: Dropped = field(default_factory=dict)
    """Rows found missing, by reason and machine."""
    frames: list[Frame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    tags: TagTable | None = None
    rows: int = 0

    def begin(self, view: View) -> None:
        """Passes over what retention took, and stops where missing rows can be told apart."""
        self.place = take(self.place, self.end.row, view, self.dropped)
        self._settle(view)
        if self.place.untold:
            following = [segment.header.rows for segment in view.segments if segment.header.rows > self.place.row]
            self.limit = min([self.limit, *(row - self.place.row for row in following[:1])])

    def finish(self, view: View) -> None:
        """After the last chunk: counts what is missing before `end`, where all up to there was read."""
        self._settle(view)

    def _settle(self, view: View) -> None:
        """Where a segment begins here, or the end is here, the missing rows before are known by machine."""
        if not self.place.untold:
            return
        row = self.place.row
        if row == self.end.row and not self.end.untold:
            self.place = settle(self.place, self.end.tally, self.dropped)
            return
        header = next((each.header for each in view.segments if each.header.rows == row), None)
        if header is not None:
            self.place = settle(self.place, Tally.of(header.groups), self.dropped)

    @property
    def is_full(self) -> bool:
        """Nothing more fits."""
        return self.rows >= self.limit or len(self.events) >= MAX_EVENTS

    def is_beyond(self, chunk: Chunk) -> bool:
        """Nothing in this chunk, nor in those after it, is before `end`."""
        head = chunk.head
        after = not head.rows or head.rows_before >= self.end.row or self.place.row >= self.end.row
        return head.sequence >= self.end.sequence and after

    def reach_end(self, view: View) -> None:
        """There is no further chunk before `end`: rows up to there that did not come are missing."""
        self._miss(self.end.row, view)
        self.place = replace(self.place, sequence=max(self.place.sequence, self.end.sequence))

    def accepts(self, chunk: Chunk) -> bool:
        """Rows of one table only in one batch."""
        empty = not chunk.head.rows and not chunk.events
        return empty or self.tags is None or self.tags is chunk.tags

    def add(self, chunk: Chunk, view: View) -> bool:
        """Takes what there is room for; says whether that was all of the chunk that is wanted."""
        head = chunk.head
        if head.rows:
            self._miss(min(head.rows_before, self.end.row), view)
        skip = min(self.place.row - head.rows_before, head.rows) if head.rows else 0
        wanted = min(head.rows, max(skip, self.end.row - head.rows_before)) - skip if head.rows else 0
        take = min(wanted, self.limit - self.rows)
        if take:
            self._take(chunk, skip, take)
        if chunk.events and head.sequence < self.end.sequence:
            self.events += chunk.events
            self.tags = chunk.tags
        done = take == wanted
        if done:
            self.place = replace(self.place, sequence=min(head.sequence + 1, max(self.end.sequence, head.sequence)))
        return done

    def _take(self, chunk: Chunk, skip: int, take: int) -> None:
        whole = take == chunk.head.rows
        frame = chunk.frame if whole else chunk.frame.rows(slice(skip, skip + take))
        count = chunk.tally if whole and chunk.tally is not None else tally(chunk.tags, frame.tag)
        self.tags = chunk.tags
        self.place = replace(self.place, row=self.place.row + take, tally=self.place.tally + count)
        self.rows += take
        self.frames.append(frame)
        self.tallies.append(count)

    def _miss(self, until: int, view: View) -> None:
        """Rows from here to `until` are no more; bounds took them, or damage."""
        self.place = take(self.place, until, view, self.dropped)
        self.place = miss(self.place, until, "damaged", self.dropped)

    @property
    def tally(self) -> Tally:
        """The rows of the batch, by machine."""
        return sum(self.tallies[1:], self.tallies[0]) if self.tallies else NOTHING
