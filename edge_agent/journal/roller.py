"""Roller: reads the raw log behind those who write it, and writes rollups and events to the long store.

It stands in nobody's way: it is a reader like a cursor, in a thread of its own, and whatever happens to the long store
the raw log knows nothing of it.

Each ROLLUP chunk holds all that was accepted since the one before it, and says so in its meta: `row` and `sequence` are
where in the raw log the next one begins, `missed` how many rows were no longer there to be rolled up. So there is no
checkpoint: what was in memory when the power went is in the raw log, after the position of the last chunk, and is read
again. A chunk is written only when the rows in it are durable, so no power cut leaves a rollup of rows that are no more
(and whose numbers other rows will get). Where the long store refuses, rows stay where they are, in the raw log; the
roller reads on when it can.

A chunk is due after an hour, or sooner when as many cells, raw rows or events are held as it may; at the end of a run;
and before rows of another tag table. Nothing ever closes a minute: rows that come late make another row for it.
"""

import contextlib
import math
from typing import Final

from edge_agent.clock import Clock
from edge_agent.config.agent import JournalSection
from edge_agent.errors import JournalError
from edge_agent.journal import disk
from edge_agent.journal.chunk import Chunk
from edge_agent.journal.journal import Journal
from edge_agent.journal.long import Long, Position, bring_back
from edge_agent.journal.minutes import Minutes
from edge_agent.journal.reader import Reader
from edge_agent.journal.rollup import rollup_entry
from edge_agent.journal.view import View
from edge_agent.model import Event, Frame, TagTable

EVERY_S: Final = 3600.0
MAX_MINUTES: Final = 60
MAX_RAW_ROWS: Final = 40_000_000
"""As many are read again, at most, after a kill: a few seconds' work."""
MAX_EVENTS: Final = 10_000
_ROWS_AT_ONCE: Final = 10_000
_AGAIN_S: Final = 10.0
"""Between attempts to write to a long store that refused."""


class Roller:
    """For one thread; the properties are for any. Nothing is opened before the first `turn`."""

    def __init__(self, journal: Journal, tags: TagTable, section: JournalSection, clock: Clock) -> None:
        self.error: JournalError | None = None
        """Why the long store could not be written or the raw log not be read, the last time."""
        self.missed = 0
        """Raw rows of this run that retention or damage took before they were rolled up."""
        self.long: Long | None = None
        self._journal, self._tags, self._section, self._clock = journal, tags, section, clock
        self._reader = Reader(journal)
        self._notices: list[Event] = []
        self._again = 0.0
        self._row = self._sequence = 0
        self._found = journal.view if journal.writable else None
        """The raw log before anything was added to it: a power cut may have taken rows, whose numbers come again."""
        self._begin(tags)

    def _begin(self, tags: TagTable) -> None:
        """Nothing is held now; `tags` are those of the rows to come."""
        self._table = tags
        self._minutes = Minutes(len(tags))
        self._events: list[Event] = []
        self._rows = self._gone = 0
        self._since = self._clock.monotonic()
        self._changing: TagTable | None = None

    @property
    def behind(self) -> int:
        """Raw rows accepted and not yet looked at."""
        return max(0, self._journal.view.rows - self._row)

    def turn(self) -> bool:
        """Looks at what is new, and writes what is due; says whether there is more to do at once. Never raises
        JournalError: `error` has it, and later turns try again.
        """
        if self._clock.monotonic() < self._again:
            return False
        try:
            return self._turn()
        except OSError as error:
            self._fail(disk.refused("read journal", self._journal.path, error))
        except JournalError as error:
            self._fail(error)
        return False

    def _fail(self, error: JournalError) -> None:
        self.error = error
        self._again = self._clock.monotonic() + _AGAIN_S

    def _turn(self) -> bool:
        if self.long is None:
            if not self._journal.writable:  # nothing was opened yet, and nobody knows what there is
                return False
            self._open()
        if self._due and not self._flush():
            return False
        return self._gather()

    def _open(self) -> None:
        """Finds where the last chunk left off, and goes on from there."""
        if self._journal.report.moved_aside:
            bring_back(self._journal.report.moved_aside, self._journal.path)
        long = Long.beside(self._journal, self._table, self._section, self._clock)
        if long.error is not None:
            long.close()
            raise long.error
        position = long.position().within(self._found or self._journal.view)
        self._found = None
        self._row, self._sequence, self.long = position.row, position.sequence, long

    def _gather(self) -> bool:
        """Rows of many chunks at once: a frame may hold a few only."""
        view = self._journal.view
        frames: list[Frame] = []
        try:
            changing = self._take_chunks(view, frames)
        finally:
            self._add(frames)
        self.error = None
        if changing is None:
            return sum(map(len, frames)) >= _ROWS_AT_ONCE
        self._changing = changing
        return self._flush()

    def _take_chunks(self, view: View, frames: list[Frame]) -> TagTable | None:
        """Takes what there is, up to a number of rows or up to rows of another table; gives that table."""
        rows = 0
        while rows < _ROWS_AT_ONCE and (chunk := self._reader.next(view, self._sequence)) is not None:
            if chunk.tags is not self._table and (len(chunk.frame) or chunk.events):
                return chunk.tags
            frames.append(self._take(chunk))
            rows += len(frames[-1])
        return None

    def _take(self, chunk: Chunk) -> Frame:
        """Goes past the chunk; its rows that were not rolled up before."""
        head = chunk.head
        self._gone += max(0, head.rows_before - self._row)
        skip = min(max(0, self._row - head.rows_before), len(chunk.frame))
        self._row = max(self._row, head.rows_after)
        self._sequence = head.sequence + 1
        self._events += chunk.events
        return chunk.frame.rows(slice(skip, None)) if skip else chunk.frame

    def _add(self, frames: list[Frame]) -> None:
        frame = Frame.concat([frame for frame in frames if len(frame)])
        self._minutes.add(frame)
        self._rows += len(frame)

    @property
    def _due(self) -> bool:
        return (
            self._changing is not None
            or self._minutes.full
            or len(self._minutes) > MAX_MINUTES
            or self._rows >= MAX_RAW_ROWS
            or len(self._events) >= MAX_EVENTS
            or self._clock.monotonic() - self._since >= EVERY_S
        )

    def _flush(self) -> bool:
        """Writes what is held; False while its rows are not durable. Raises JournalError; then it is still held."""
        if self._journal.durable_rows < self._row:
            return False
        self._write()
        changing, long = self._changing, self.long
        self._begin(changing or self._table)
        if long is not None and changing is None:
            long.sync()
        elif long is not None:
            self.long = None
            self._notices += long.notices()
            long.close()
        return True

    def _write(self) -> None:
        rollups = self._minutes.rollups()
        if self.long is None or not (len(rollups) or self._events or self._gone):
            return
        meta = self._position().meta(self._gone)
        self.long.put([rollup_entry(rollups, self._events, meta)])
        self.missed += self._gone

    def _position(self) -> Position:
        view = self._journal.view
        if not view.segments:
            return Position(self._sequence, self._row)
        segment = view.segments[view.place(self._sequence)]
        return Position(self._sequence, self._row, (segment.number, segment.header.created))

    def notices(self) -> list[Event]:
        """What the long store has to tell people, since the last call."""
        told, self._notices = self._notices, []
        return told if self.long is None else [*told, *self.long.notices()]

    def begin_anew(self) -> None:
        """Forgets what is held; the next turn reads it again from where the last chunk left off."""
        long, self.long = self.long, None
        self._begin(self._table)
        if long is not None:
            with contextlib.suppress(JournalError):
                long.close()

    def close(self, patience: float = math.inf) -> None:
        """Rolls up what there is, for `patience` seconds, and writes it. What could not be written is read from the
        raw log next time.
        """
        self._again = 0.0
        end = self._clock.monotonic() + patience
        while self.turn() and self._clock.monotonic() < end:
            pass
        try:
            if self.long is not None:
                self._flush()
                self.long.close()
        except JournalError as error:
            self.error = error
        self._reader.close()
