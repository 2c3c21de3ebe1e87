"""Journal: the log itself. One thread writes, cursors read from others."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from edge_agent.clock import Clock
from edge_agent.config.agent import JournalSection
from edge_agent.errors import JournalError
from edge_agent.journal import disk
from edge_agent.journal.bounds import Bounds
from edge_agent.journal.chunk import Chunk
from edge_agent.journal.cursor import Cursor
from edge_agent.journal.entry import Entry, event_entries, mark_entry
from edge_agent.journal.ledger import Ledger
from edge_agent.journal.notice import backfill_event, cramped_event, damage_event, retention_event, trouble_event
from edge_agent.journal.opening import Opening, open_store
from edge_agent.journal.place import Range
from edge_agent.journal.report import Damage, OpenReport
from edge_agent.journal.segment import Segment, read_table
from edge_agent.journal.store import Store
from edge_agent.journal.table import unpack_table
from edge_agent.journal.view import View
from edge_agent.journal.writer import Ticket, Writer
from edge_agent.model import Event, Frame, TagTable

_AGAIN_AFTER: Final = 1.0
"""Seconds between attempts to open a store that could not be written."""
_MAX_NOTICES: Final = 1000
_NOTHING: Final = Frame.empty()


class Journal:
    """Open it with `Journal.open`. `append`, `lose`, `sync` and `close` block on the disk: call them from worker
    threads. Everything else may be called from any thread at any time.
    """

    def __init__(self, path: Path, tags: TagTable, section: JournalSection, clock: Clock) -> None:
        """Nothing is touched yet."""
        self.report = OpenReport()
        self._store = Store(path)
        self._tags, self._clock = tags, clock
        self._writer = Writer(self._store, tags, Bounds.of(section), clock)
        self._writer.removing = self._tell_retention
        self._writer.passed = self._passed
        self._tables: dict[str, TagTable | None] = {self._writer.table: tags}
        self._cursors: dict[str, Cursor] = {}
        self._notices: deque[Event] = deque(maxlen=_MAX_NOTICES)
        self._told: deque[tuple[int, int]] = deque(maxlen=_MAX_NOTICES)
        """Damage (segment, offset) that was told in this run."""
        self._writing = threading.RLock()
        self._syncing = threading.Lock()
        """Taken before `_writing`, never after."""
        self._hurried = self._told_cramped = False
        self._naming = threading.Lock()
        self._lock_fd: int | None = None
        self._error: JournalError | None = None
        self._unsynced: JournalError | None = None
        """Why the last sync failed."""
        self._tried = 0.0

    @classmethod
    def open(cls, path: Path, tags: TagTable, section: JournalSection, clock: Clock) -> Self:
        """The journal in this directory, made or repaired where need be; `report` says what was found.

        Never raises: where the disk refuses, `writable` is False, `append` raises, and opening is tried again.
        """
        journal = cls(path, tags, section, clock)
        journal._establish()
        return journal

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._store.path

    @property
    def writable(self) -> bool:
        """The last attempts to write and to sync succeeded."""
        return self.error is None

    @property
    def error(self) -> JournalError | None:
        """Why the last attempt to write or to sync failed."""
        return self._error or self._unsynced

    @property
    def view(self) -> View:
        """The log as it stands: rows accepted, losses, segments."""
        return self._writer.view

    @property
    def durable_rows(self) -> int:
        """Of the rows accepted, those that survive a power cut."""
        return self._writer.durable

    @property
    def cramped(self) -> bool:
        """Less is free on the file system than `min_free` wants, and dropping segments could not help."""
        return self._writer.cramped

    @property
    def unsynced_bytes(self) -> int:
        """Bytes of the log, of rows and all else accepted, that would not survive a power cut."""
        return self._writer.unsynced_bytes

    @property
    def hurried(self) -> bool:
        """Events were accepted that are not durable yet: `sync` should come soon."""
        return self._hurried

    def _establish(self) -> None:
        self._tried = self._clock.monotonic()
        opening = open_store(self._store, self._lock_fd)
        self._lock_fd = opening.lock
        self._writer.show(opening.view)
        self.report = opening.report
        self._error = opening.report.error
        for damage, data in opening.damaged:
            self.found_damage(damage, data)
        if self._error is None:
            self._start(opening)
        for cursor in tuple(self._cursors.values()):
            cursor.bind()

    def _start(self, opening: Opening) -> None:
        """Cuts the tail, goes on writing, and says in the log that the agent began."""
        try:
            self._writer.resume(opening.tail, opening.mark)
            self._write([mark_entry({"started": self._clock.wall()})])
            self._writer.sync()
            self._tell_room()
            self._sync_cursors()
        except OSError as error:
            self._error = disk.refused("open journal", self._store.path, error)
        except JournalError as error:
            self._error = error
        self.report = replace(self.report, error=self._error)

    def append(self, frame: Frame, events: Sequence[Event] = ()) -> None:
        """Accepted when it returns; all of it, or nothing where it raises JournalError.

        Raises ValueError for a frame whose columns differ in length.
        """
        if len({len(column) for column in frame.columns()}) != 1:
            raise ValueError("a frame's columns must have one length")
        entries = event_entries(events)
        if len(frame) or entries:
            with self._writing:
                self._write(entries, frame)
                self._hurried = self._hurried or bool(entries)

    def put(self, entries: Sequence[Entry]) -> None:
        """As `append`, for chunks of any kind."""
        with self._writing:
            self._write(entries)

    def _write(self, entries: Sequence[Entry], frame: Frame = _NOTHING) -> None:
        self._ready()
        try:
            self._writer.write(entries, frame)
        except OSError as error:
            self._error = disk.refused("write journal", self._store.path, error)
            raise self._error from error
        self._error = None

    def _ready(self) -> None:
        """Raises JournalError where there is nothing to write to, once in a while after trying again."""
        if self._lock_fd is not None and (self._writer.is_open or self._error is None):
            return
        if self._clock.monotonic() - self._tried >= _AGAIN_AFTER:
            self._tried = self._clock.monotonic()
            if self._lock_fd is not None:
                return  # the write that follows is the attempt; only when it succeeds is the error over
            self._establish()
        if self._error is not None:
            raise self._error

    def give_way(self) -> bool:
        """Drops the oldest segment, if every cursor has passed it, for what should be kept longer and finds the disk
        full; says whether it did. Raises OSError.
        """
        with self._writing:
            return self._lock_fd is not None and self._writer.drop_passed()

    def lose(self, reason: str, count: int, machine: str = "") -> None:
        """Counts values that came to the door and were not accepted. Never raises: what can't be said on disk now is
        said before the next chunk. `machine`: path of the machine whose values they were, "" where nobody can say.
        """
        if count <= 0:
            return
        with self._writing:
            self._writer.lose(reason, count, machine)
            with contextlib.suppress(JournalError):
                self._write([])

    def sync(self) -> None:
        """Everything accepted before it was called is durable when it returns; so are the cursors. Raises JournalError.

        It may run in a thread of its own: `append` does not wait for the disk meanwhile. One runs at a time.
        """
        with self._syncing:
            with self._writing:
                ticket = self._begin_sync()
                self._tell_room()
            if ticket is not None:
                self._sync_ticket(ticket)
            if self._writer.owes:
                self._write_again(ticket)
            self._sync_cursors()
            if self._unsynced is not None:  # nothing new to sync does not make durable what failed before
                raise self._unsynced

    def _begin_sync(self) -> Ticket | None:
        if self._error is not None and not self._writer.is_open:
            raise self._error
        self._hurried = False
        try:
            return self._writer.begin_sync()
        except OSError as error:
            self._error = disk.refused("write journal", self._store.path, error)
            raise self._error from error

    def _tell_room(self) -> None:
        if self._writer.cramped != self._told_cramped:
            self._told_cramped = self._writer.cramped
            self._notices.append(cramped_event(self._site, self._clock.wall(), over=not self._told_cramped))

    def _sync_ticket(self, ticket: Ticket) -> None:
        try:
            disk.sync(ticket.fd)
        except OSError as error:
            self._unsynced = disk.refused("sync journal", self._store.path, error)
            raise self._unsynced from error
        else:
            self._unsynced = None
        finally:
            with self._writing:
                self._writer.end_sync(ticket, done=self._unsynced is None)

    def _write_again(self, ticket: Ticket | None) -> None:
        """What a sync that failed left."""
        try:
            with self._writing:
                self._writer.write_again(ticket)
        except OSError as error:
            self._unsynced = disk.refused("sync journal", self._store.path, error)
            raise self._unsynced from error
        self._unsynced = None

    def _sync_cursors(self) -> None:
        for cursor in tuple(self._cursors.values()):
            self._sync_cursor(cursor)

    def _sync_cursor(self, cursor: Cursor) -> None:
        try:
            cursor.sync()
        except OSError as error:
            self.cursor_trouble(cursor.name, error)

    def close(self) -> None:
        """Marks the stop, makes all durable, lets go; once. Raises JournalError where the disk refuses."""
        with self._syncing, self._writing:
            try:
                if self._lock_fd is not None:
                    self._stop()
            finally:
                self._let_go()

    def _stop(self) -> None:
        try:
            self._write([mark_entry({"stopped": self._clock.wall()})])
        finally:
            self._sync_cursors()
            try:
                self._writer.stop()
            except OSError as error:
                raise disk.refused("close journal", self._store.path, error) from error

    def _let_go(self) -> None:
        self._writer.close()
        for cursor in tuple(self._cursors.values()):
            cursor.close()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
        self._lock_fd = None

    def cursor(self, name: str) -> Cursor:
        """The cursor of this sink: where it was, or for a new one at the oldest row kept. Always the same object."""
        with self._naming:
            cursor = self._cursors.get(name)
            if cursor is None:
                cursor = self._cursors[name] = Cursor(name, self, self._store.cursors)
                if self._lock_fd is not None or self.view.segments:
                    cursor.bind()
        return cursor

    def ledger(self, name: str) -> Ledger:
        """The ledger of one sink."""
        return self.cursor(name).ledger()

    def ledgers(self) -> tuple[Ledger, ...]:
        """The ledgers of all cursors taken so far."""
        return tuple(cursor.ledger() for cursor in tuple(self._cursors.values()))

    def notices(self) -> list[Event]:
        """What happened since the last call that people should know; for `append` and the log."""
        out = []
        with contextlib.suppress(IndexError):
            while True:
                out.append(self._notices.popleft())
        return out

    def recent(self, sequence: int) -> Chunk | None:
        """The chunk, if it is in memory."""
        return self._writer.recent.get(sequence)

    def table(self, segment: Segment) -> TagTable | None:
        """The tag table of a segment, None where it can't be read any more."""
        key = segment.header.table
        if key not in self._tables:
            try:
                packed = read_table(segment.path)
                self._tables[key] = unpack_table(packed) if packed is not None else None
            except (OSError, ValueError):
                return None
        return self._tables[key]

    def found_damage(self, damage: Damage, data: bytes) -> None:
        """Sets damaged bytes aside and tells of them, once."""
        place = (damage.segment, damage.offset)
        if place in self._told or self._store.knows(damage):
            return
        self._told.append(place)
        self._store.keep_damage(damage, data)
        self._notices.append(damage_event(self._site, damage, self._clock.wall()))

    def cursor_trouble(self, name: str, error: OSError | None) -> None:
        """Tells that a cursor's file could not be written, or not be read."""
        reason = error.strerror or str(error) if error is not None else "damaged"
        self._notices.append(trouble_event(self._site, name, reason, self._clock.wall()))

    def backfilled(self, name: str, range_: Range) -> None:
        """Tells that data which came late is there now."""
        self._notices.append(backfill_event(self._site, name, range_, self._clock.wall()))

    @property
    def _site(self) -> str:
        return self._tags[0].machine.site if len(self._tags) else ""

    def _passed(self) -> int:
        reached = [cursor.state.passed for cursor in tuple(self._cursors.values())]
        return min(reached, default=self.view.sequence)

    def _tell_retention(self, segment: Segment, following: Segment, reason: str) -> None:
        until = following.header
        for cursor in tuple(self._cursors.values()):
            rows = cursor.state.owes(segment.header.rows, until.rows)
            if rows > 0:
                event = retention_event(
                    self._site, cursor.name, segment, until.created, rows, self._clock.wall(), reason
                )
                self._notices.append(event)
