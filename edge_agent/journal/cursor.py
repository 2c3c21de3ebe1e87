"""Cursor: one sink's place in the log, and its counters."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from edge_agent.api import Answer, Batch
from edge_agent.journal import disk
from edge_agent.journal.chunk import Chunk
from edge_agent.journal.ledger import Ledger, merged
from edge_agent.journal.quarantine import MAX_BYTES, Quarantine, lines_of
from edge_agent.journal.reader import Reader, Source
from edge_agent.journal.slots import CursorState, SlotFile, read_state
from edge_agent.journal.view import View
from edge_agent.model import Event, Frame, TagTable

MAX_EVENTS: Final = 1000
"""Most events in one batch."""
_MAX_REASONS: Final = 32
_MAX_REASON: Final = 48


class Log(Source, Protocol):
    """What a cursor needs of the journal."""

    @property
    def view(self) -> View:
        """The log as it stands."""
        ...

    def cursor_trouble(self, name: str, error: OSError | None) -> None:
        """A cursor's file could not be written (or, without an error, not be read): rows may be delivered again."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Outstanding:
    """A batch that was read, what the state was before, and the position after it."""

    batch: Batch
    before: CursorState
    after: CursorState


@dataclass(slots=True)
class _Gathering:
    """A batch on its way: what has been gathered, and the position after it."""

    sequence: int
    row: int
    missing: dict[str, int]
    frames: list[Frame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    tags: TagTable | None = None
    rows: int = 0

    def accepts(self, chunk: Chunk) -> bool:
        """Rows of one table only in one batch."""
        empty = not chunk.head.rows and not chunk.events
        return empty or self.tags is None or self.tags is chunk.tags

    def add(self, chunk: Chunk, limit: int) -> bool:
        """Takes what `limit` rows leave room for; says whether that was all of the chunk."""
        head = chunk.head
        skip = min(self.row - head.rows_before, head.rows)
        take = min(head.rows - skip, limit - self.rows)
        if take:
            whole = take == head.rows
            self.frames.append(chunk.frame if whole else chunk.frame.rows(slice(skip, skip + take)))
        if take or chunk.events:
            self.tags = chunk.tags
        self.events += chunk.events
        self.rows += take
        self.row += take
        done = skip + take == head.rows
        self.sequence = head.sequence + 1 if done else head.sequence
        return done

    def miss(self, until: int, oldest: int) -> None:
        """Rows from here to `until` are no more; those before `oldest` went by retention."""
        for reason, row in (("retention", min(oldest, until)), ("damaged", until)):
            if row > self.row:
                self.missing[reason] = self.missing.get(reason, 0) + row - self.row
                self.row = row


class Cursor:
    """Made by `Journal.cursor`. `read` and `advance` are for one thread at a time; the rest for any."""

    def __init__(self, name: str, log: Log, directory: Path) -> None:
        self.name = name
        self._log = log
        self._directory = directory
        self._reader = Reader(log)
        self._quarantine = Quarantine(directory / f"{name}.quarantine")
        self._slots: SlotFile | None = None
        self._state = CursorState()
        self._outstanding: _Outstanding | None = None
        self._lock = threading.Lock()
        self._in_trouble = False

    @property
    def state(self) -> CursorState:
        """Position and counters."""
        return self._state

    @property
    def waiting(self) -> int:
        """Rows accepted and not yet answered for."""
        return self.ledger().waiting

    @property
    def quarantine_path(self) -> Path:
        """Where refused rows are; the file may not exist."""
        return self._directory / f"{self.name}.quarantine"

    def bind(self) -> None:
        """Takes up the files of a store that has just been opened. What was counted in memory until then stays."""
        with self._lock:
            if self._slots is not None:
                return
            try:
                self._take_up(SlotFile(self._directory / f"{self.name}.cursor"))
            except OSError as error:
                self._look_up(error)

    def _take_up(self, slots: SlotFile) -> None:
        self._slots, stored = slots, slots.state
        if stored is not None and stored.generation >= self._state.generation:
            size = self._quarantine.cut(stored.quarantine_bytes)
            self._state = replace(stored, quarantine_bytes=size)
            return
        if stored is None and not slots.is_new:
            self._log.cursor_trouble(self.name, None)
        self._save(self._state if self._state.generation else self._beginning())

    def _look_up(self, error: OSError) -> None:
        """Where the file can't be written: what it says, or the beginning."""
        self._log.cursor_trouble(self.name, error)
        try:
            stored = read_state(self._directory / f"{self.name}.cursor")
        except OSError:
            stored = None
        if self._state.generation == 0:
            self._state = stored or self._beginning()

    def _beginning(self) -> CursorState:
        """The oldest row kept; what was before it is not this sink's."""
        view = self._log.view
        if not view.segments:
            return CursorState()
        header = view.segments[0].header
        row = max(header.rows, view.oldest)
        size = self._quarantine.length()
        return CursorState(header.sequence, row, row, dict(header.lost), quarantine_bytes=size)

    def read(self, max_rows: int) -> Batch | None:
        """The next rows and events, at most `max_rows` rows of one tag table; None where there is nothing new.

        Until `advance`, the same rows come again. Raises JournalError where the disk refuses to be read.
        """
        view, before = self._log.view, self._state
        gathering = _Gathering(before.sequence, before.row, {})
        gathering.miss(view.oldest, view.oldest)
        try:
            self._gather(gathering, view, max_rows)
        except OSError as error:
            raise disk.refused("read journal", self._directory.parent, error) from error
        dropped = merged(before.dropped, gathering.missing)
        after = replace(before, sequence=gathering.sequence, row=gathering.row, dropped=dropped)
        if gathering.tags is None:
            self._pass(before, after)
            return None
        batch = Batch(gathering.tags, Frame.concat(gathering.frames), tuple(gathering.events))
        self._outstanding = _Outstanding(batch, before, after)
        return batch

    def _gather(self, gathering: _Gathering, view: View, limit: int) -> None:
        while gathering.rows < limit and len(gathering.events) < MAX_EVENTS:
            chunk = self._reader.next(view, gathering.sequence)
            if chunk is None:
                gathering.sequence = max(gathering.sequence, view.sequence)
                gathering.miss(view.rows, self._log.view.oldest)
                return
            if not gathering.accepts(chunk):
                return
            gathering.miss(chunk.head.rows_before, self._log.view.oldest)
            if not gathering.add(chunk, limit):
                return

    def _pass(self, before: CursorState, after: CursorState) -> None:
        """Nothing to deliver on the way from one to the other; missing rows are counted at once."""
        self._outstanding = None
        with self._lock:
            if self._state is not before:
                return
            if after.dropped != before.dropped:
                self._save(after)
            else:
                self._state = after

    def advance(self, batch: Batch, answer: Answer) -> None:
        """Goes past `batch`, which must be the last one read, and counts what the sink said of its rows.

        Refused rows are durable in the quarantine file before the position moves. Where the cursor's own file can't
        be written, it goes on in memory, and after a restart these rows are delivered again.
        Raises ValueError where the answer does not fit the batch.
        """
        outstanding = self._outstanding
        if outstanding is None or outstanding.batch is not batch:
            raise ValueError("advance wants the batch that was read last")
        self._outstanding = None
        rows = len(batch.frame)
        refused = _refused_rows(answer, rows)
        dropped = _bounded(answer.dropped)
        delivered = rows - refused - sum(dropped.values())
        if delivered < 0 or any(count < 0 for count in dropped.values()):
            raise ValueError(f"answer for more than the {rows} rows of the batch")
        size, unkept = self._keep(batch, answer, refused)
        after = outstanding.after
        after = replace(
            after,
            delivered=after.delivered + delivered,
            quarantined=after.quarantined + (0 if unkept else refused),
            dropped=_bounded(merged(after.dropped, dropped, {unkept: refused} if unkept else {})),
            quarantine_bytes=size,
        )
        with self._lock:
            if self._state is outstanding.before:
                self._save(after)

    def _keep(self, batch: Batch, answer: Answer, refused: int) -> tuple[int, str]:
        """The quarantine's new length, and the reason where the rows could only be counted."""
        size = self._state.quarantine_bytes
        if not refused:
            return size, ""
        if size >= MAX_BYTES:
            return size, "quarantine_full"
        try:
            return self._quarantine.put(size, lines_of(batch, answer.refused)), ""
        except OSError as error:
            self._log.cursor_trouble(self.name, error)
            return size, "quarantine_unavailable"

    def _save(self, state: CursorState) -> None:
        self._state = state = replace(state, generation=state.generation + 1)
        if self._slots is None:
            return
        try:
            self._slots.store(state)
            self._in_trouble = False
        except OSError as error:
            if not self._in_trouble:
                self._log.cursor_trouble(self.name, error)
            self._in_trouble = True

    def ledger(self) -> Ledger:
        """The figures of this moment."""
        state = self._state
        view = self._log.view
        row = max(state.row, view.oldest)
        door = {reason: count - state.base_lost.get(reason, 0) for reason, count in view.lost.items()}
        return Ledger(
            self.name,
            collected=view.rows - state.base_row + sum(door.values()),
            delivered=state.delivered,
            waiting=view.rows - row,
            quarantined=state.quarantined,
            dropped=merged(state.dropped, door, {"retention": row - state.row}),
        )

    def sync(self) -> None:
        """Makes position and counters durable. Raises OSError."""
        slots = self._slots
        if slots is not None:
            slots.sync()

    def close(self) -> None:
        """Lets go of the files, durable as far as the disk lets them be."""
        self._reader.close()
        with self._lock:
            slots, self._slots = self._slots, None
        if slots is not None:
            slots.close()


def _refused_rows(answer: Answer, rows: int) -> int:
    numbers = [int(row) for refusal in answer.refused for row in refusal.rows]
    if len(set(numbers)) != len(numbers) or any(not 0 <= row < rows for row in numbers):
        raise ValueError("refused rows must be rows of the batch, each once")
    return len(numbers)


def _bounded(counts: Mapping[str, int]) -> dict[str, int]:
    """Reasons must fit a slot: long ones are cut, and past a number of them they are `other`."""
    out: dict[str, int] = {}
    for reason, count in counts.items():
        name = reason[:_MAX_REASON]
        name = name if name in out or len(out) < _MAX_REASONS else "other"
        out[name] = out.get(name, 0) + count
    return out
