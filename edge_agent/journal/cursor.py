"""Cursor: one sink's places in the log, and its counters.

A cursor reads in two lanes. *Live* is what comes in; *backfill* is what was left behind when live data was let pass
(`leave_behind`), and what somebody wants to be sent again (`send_again`). Of each lane one batch may be outstanding;
they are answered for in any order.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from edge_agent.api import Answer, Batch
from edge_agent.errors import JournalError
from edge_agent.journal import disk
from edge_agent.journal.balance import balance, balance_by_machine
from edge_agent.journal.counted import Counted, bounded, count
from edge_agent.journal.gather import Gathering
from edge_agent.journal.ledger import Ledger, merged
from edge_agent.journal.place import (
    MAX_CLOSED,
    MAX_RANGES,
    CursorState,
    Dropped,
    Place,
    Range,
    Rebuff,
)
from edge_agent.journal.quarantine import MAX_BYTES, Quarantine, lines_of
from edge_agent.journal.reader import Reader, Source
from edge_agent.journal.replay import not_owed, span_of_times
from edge_agent.journal.slots import SlotFile, read_state
from edge_agent.journal.tally import Tally, untold
from edge_agent.journal.view import View
from edge_agent.model import Event, EventState, Frame

_MS: Final = 1_000_000
"""What hubs take for one time: of a tag's rows in one ms the last one must be among those that are sent again."""


class Log(Source, Protocol):
    """What a cursor needs of the journal."""

    @property
    def view(self) -> View:
        """The log as it stands."""
        ...

    def cursor_trouble(self, name: str, error: OSError | None) -> None:
        """A cursor's file could not be written (or, without an error, not be read): rows may be delivered again."""
        ...

    def backfilled(self, name: str, range_: Range) -> None:
        """All that was left behind in this range has been answered for."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Outstanding:
    """A batch that was read: the very place where it begins, and what it means to have passed it."""

    batch: Batch
    start: Place
    after: Place
    missing: Dropped
    tally: Tally


class Cursor:
    """Made by `Journal.cursor`. `read`, `advance` and `leave_behind` are for one thread at a time; the rest for any."""

    def __init__(self, name: str, log: Log, directory: Path) -> None:
        self.name = name
        self._log = log
        self._directory = directory
        self._reader = Reader(log)
        self._quarantine = Quarantine(directory / f"{name}.quarantine")
        self._slots: SlotFile | None = None
        self._state = CursorState()
        self._outstanding: dict[bool, _Outstanding] = {}
        """By lane: True is backfill."""
        self._lock = threading.RLock()
        self._in_trouble = False

    @property
    def state(self) -> CursorState:
        """Places and counters."""
        return self._state

    @property
    def waiting(self) -> int:
        """Rows accepted and not yet answered for."""
        return self.ledger().waiting

    @property
    def behind(self) -> int:
        """Rows that wait in the live lane."""
        return max(0, self._log.view.rows - self._state.live.row)

    @property
    def end(self) -> int:
        """The row after the last one accepted."""
        return self._log.view.rows

    def waits(self, *, backfill: bool = False) -> bool:
        """Whether a read of this lane could find something: rows, events, or word of rows that are no more."""
        state, view = self._state, self._log.view
        if backfill:
            return bool(state.ranges)
        return state.live.sequence < view.sequence or state.live.row < view.rows

    @property
    def quarantine_path(self) -> Path:
        """Where refused rows are; the file may not exist."""
        return self._directory / f"{self.name}.quarantine"

    def bind(self) -> None:
        """Takes up the files of a store that has just been opened. What was counted in memory until then stays.

        A new cursor is durable when it returns: so no row is in quarantine before there is a state that says so.
        """
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
        slots.sync()

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
        base = Place(header.sequence, row, Tally.of(header.groups) + untold(row - header.rows))
        size = self._quarantine.length()
        return CursorState(base, base=base, base_lost=header.lost, base_lost_at=header.lost_at, quarantine_bytes=size)

    def read(self, max_rows: int, *, backfill: bool = False) -> Batch | None:
        """The next rows and events of a lane, at most `max_rows` rows of one tag table; None where there are none.

        Until `advance`, the same rows come again. Raises JournalError where the disk refuses to be read.
        """
        while True:
            range_ = next(iter(self._state.ranges), None) if backfill else None
            if backfill and range_ is None:
                return None
            batch = self._read(range_, max_rows)
            if batch is not None or not backfill:
                return batch

    def _read(self, range_: Range | None, max_rows: int) -> Batch | None:
        """A batch of the range, or of live data; None where there was nothing, and then that was passed over."""
        view, state = self._log.view, self._state
        start, end = state.live, Place(view.sequence, view.rows, view.groups)
        if range_ is not None:
            start, end = range_.first, range_.end
        gathering = Gathering(start, end, max_rows)
        gathering.begin(view)
        try:
            self._gather(gathering, view)
        except OSError as error:
            raise self._unreadable(error) from error
        gathering.finish(view)
        events = gathering.events if range_ is None else _in_order(gathering.events, state.closed, range_)
        lane = range_ is not None
        if not (gathering.frames or events) or gathering.tags is None:
            self._outstanding.pop(lane, None)
            self._pass(start, gathering.place, gathering.dropped)
            return None
        begins = range_.begins if range_ else state.begins
        again = range_ is not None and range_.again and start.row > state.base.row
        batch = Batch(gathering.tags, Frame.concat(gathering.frames), tuple(events), lane, begins, again)
        self._outstanding[lane] = _Outstanding(batch, start, gathering.place, gathering.dropped, gathering.tally)
        return batch

    def _gather(self, gathering: Gathering, view: View) -> None:
        while not gathering.is_full:
            chunk = self._reader.next(view, gathering.place.sequence)
            if chunk is None or gathering.is_beyond(chunk):
                gathering.reach_end(self._log.view)
                return
            if not gathering.accepts(chunk) or not gathering.add(chunk, self._log.view):
                return

    def _unreadable(self, error: OSError) -> JournalError:
        return disk.refused("read journal", self._directory.parent, error)

    def _pass(self, start: Place, after: Place, missing: Dropped) -> None:
        """Nothing to deliver on the way from one to the other; missing rows are counted at once."""
        with self._lock:
            moved = self._moved(start, after, missing)
            if moved is None:
                return
            if missing or moved.ranges != self._state.ranges:
                self._save(moved)
            else:
                self._state = moved

    def _moved(self, start: Place, after: Place, missing: Dropped) -> CursorState | None:
        """The state with the lane that stands at `start` put to `after`; None where no lane stands there any more."""
        state = self._state
        if state.live is start:
            return replace(state, live=after, dropped=bounded(state.dropped, missing))
        number = next((i for i, each in enumerate(state.ranges) if each.first is start), None)
        if number is None:
            return None
        range_ = state.ranges[number]
        if after.row < range_.end.row or after.sequence < range_.end.sequence:
            moved = state.with_range(number, replace(range_, first=after))
        else:
            moved = _finished(state, number, after)
            self._log.backfilled(self.name, range_)
        return moved if range_.again else replace(moved, dropped=bounded(state.dropped, missing))

    def advance(self, batch: Batch, answer: Answer) -> None:
        """Goes past `batch`, which must be the last one read of its lane, and counts what the sink said of its rows.

        Refused rows are durable in the quarantine file before the position moves. Where the cursor's own file can't
        be written, it goes on in memory, and after a restart these rows are delivered again.
        Raises ValueError where the answer does not fit the batch.
        """
        outstanding = self._outstanding.get(batch.backfill)
        if outstanding is None or outstanding.batch is not batch:
            raise ValueError("advance wants the batch that was read last")
        del self._outstanding[batch.backfill]
        counted = count(outstanding.batch, outstanding.tally, answer)
        with self._lock:
            moved = self._moved(outstanding.start, outstanding.after, outstanding.missing)
            if moved is None:
                return
            if any(each.first is outstanding.start and each.again for each in self._state.ranges):
                self._save(_sent_again(moved, counted))
                return
            size, unkept = self._keep(batch, answer, counted.refused.total)
            dropped = counted.dropped if not unkept else bounded(counted.dropped, {unkept: counted.refused})
            moved = replace(
                moved,
                delivered=moved.delivered + counted.delivered,
                quarantined=moved.quarantined if unkept else moved.quarantined + counted.refused,
                dropped=bounded(moved.dropped, dropped),
                quarantine_bytes=size,
            )
            self._save(_begun(moved, batch, outstanding.after))

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

    def leave_behind(self) -> int:
        """Live goes on with what comes from now on; what waits until now is a range of the backfill lane.

        Gives the number of rows left behind; 0 where nothing waits, or where there are too many ranges already.
        A live batch that is outstanding is to be read again. Raises JournalError where the disk refuses to be read.
        """
        view, state = self._log.view, self._state
        try:
            first = self._reader.next(view, state.live.sequence) if view.rows > state.live.row else None
        except OSError as error:
            raise self._unreadable(error) from error
        if first is None:
            return 0
        with self._lock:
            left = _left_behind(self._state, view, first.head.written)
            if left is None:
                return 0
            self._outstanding.pop(False, None)
            self._save(left)
        return view.rows - state.live.row

    def waiting_since(self) -> int:
        """When the oldest row that waits in the live lane was accepted, ns since 1970 UTC; 0 where none waits.

        Raises JournalError where the disk refuses to be read. For the thread that reads.
        """
        view, live = self._log.view, self._state.live
        try:
            first = self._reader.next(view, live.sequence) if view.rows > live.row else None
        except OSError as error:
            raise self._unreadable(error) from error
        return 0 if first is None else first.head.written

    def send_again(self, first: int, last: int) -> int:
        """Owes the sink once more the rows from the first to the last one in the log with a value time from `first` to
        `last` (ns since 1970 UTC; widened to whole ms), as far as they were answered for; gives their number.

        For a destination that lost data. Writing a row twice leaves it as if it was written once, so this is harmless.
        Rows between are sent whatever their times: a row without the one before it would not say what changed.
        It does not touch the balance: what becomes of these rows is counted in `CursorState.again`, beside it. They go
        in the backfill lane, after what is owed; rows not answered for yet are left to their own lane. Of events only
        those that are closed are sent again, so that none is opened anew. Rows that are no more are passed over.

        Raises JournalError where the disk refuses to be read.
        """
        view = self._log.view
        try:
            span = span_of_times(self._log, view, first // _MS * _MS, -(-(last + 1) // _MS) * _MS - 1)
        except OSError as error:
            raise self._unreadable(error) from error
        if span is None:
            return 0
        with self._lock:
            state = self._state
            parts = not_owed(span, state)[: MAX_RANGES - len(state.ranges) + len(state.owed)]
            if parts:
                again = [Range(a, b, b.row - a.row, first, last, again=True) for a, b in parts]
                self._save(replace(state, ranges=(*state.ranges, *again)))
        return sum(end.row - start.row for start, end in parts)

    def note_refusal(self, rebuff: Rebuff | None) -> None:
        """Keeps what people were told of a destination that refuses, or that it is over."""
        with self._lock:
            self._save(replace(self._state, refused=rebuff))

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
        return balance(self.name, state, self._log.view)

    def by_machine(self) -> dict[str, Ledger]:
        """The figures of each machine, and "" for what nobody can tell apart; their sum is the ledger."""
        state = self._state
        return balance_by_machine(self.name, state, self._log.view)

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


def _left_behind(state: CursorState, view: View, since: int) -> CursorState | None:
    """The state whose live lane is at the end of the log; None where that can't be."""
    live, end, owed = state.live, Place(view.sequence, view.rows, view.groups), state.owed
    if end.row <= live.row:
        return None
    if owed and owed[-1].end.row == live.row:
        last = owed[-1]
        longer = replace(last, end=end, rows=last.rows + end.row - live.row, until=view.last_written)
        return replace(state.with_range(len(owed) - 1, longer), live=end)
    if len(owed) >= MAX_RANGES:
        return None
    left = Range(live, end, end.row - live.row, since, view.last_written)
    others = state.ranges[len(owed) :]
    return replace(state, ranges=(*owed, left, *others), live=end, begins=True)


def _finished(state: CursorState, number: int, after: Place) -> CursorState:
    """The state without a range that was gone through.

    Where the log has forgotten by damage whose rows they were, the cursor, which had them, still knows: what was
    collected since it began is then corrected by machine; the sum stays.
    """
    range_ = state.ranges[number]
    left = state.with_range(number, None)
    rest = range_.end.tally - after.tally
    if range_.again or not rest.counts.any():
        return left
    return replace(left, base=replace(state.base, tally=state.base.tally + rest))


def _begun(state: CursorState, batch: Batch, after: Place) -> CursorState:
    """The state after a delivered batch: its lane has begun, and what events were told live is remembered."""
    if batch.backfill:
        number = next((i for i, each in enumerate(state.ranges) if each.first is after and each.begins), None)
        return state if number is None else state.with_range(number, replace(state.ranges[number], begins=False))
    told = [event.id for event in batch.events] if state.ranges else []
    if told:
        state = replace(state, closed=(*state.closed, *told)[-MAX_CLOSED:])
    return replace(state, begins=False) if state.begins else state


def _in_order(events: Iterable[Event], closed: Iterable[str], range_: Range) -> list[Event]:
    """Events of a range that may still be sent: none is told as what it was before (open, shelved) after newer news."""
    if range_.again:
        return [event for event in events if event.state is EventState.CLOSED]
    known = set(closed)
    return [event for event in events if event.state is EventState.CLOSED or event.id not in known]


def _sent_again(state: CursorState, counted: Counted) -> CursorState:
    dropped = {reason: each.total for reason, each in counted.dropped.items()}
    facts = {"delivered": counted.delivered.total, "refused": counted.refused.total}
    return replace(state, again=merged(state.again, facts, dropped))
