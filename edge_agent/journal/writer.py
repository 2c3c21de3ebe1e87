"""Writer: the end of the log. Chunks go in, segments are begun, the oldest go when there are too many bytes."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge_agent.clock import Clock
from edge_agent.journal import disk
from edge_agent.journal.bounds import Bounds
from edge_agent.journal.chunk import Chunk
from edge_agent.journal.entry import Entry, bytes_of, frame_entries, loss_entry, numbered
from edge_agent.journal.front import Front, Gathered, Mark, gathered_chunk
from edge_agent.journal.ledger import merged
from edge_agent.journal.recent import Recent
from edge_agent.journal.recovery import Tail
from edge_agent.journal.segment import Header, Segment, create_segment
from edge_agent.journal.store import Store
from edge_agent.journal.table import digest, pack_table
from edge_agent.journal.unsynced import Unsynced
from edge_agent.journal.view import View
from edge_agent.model import Frame, TagTable

TARGET_ROWS: Final = 4000
"""Rows of a chunk: frames of fewer wait in the front for others. A chunk of one scan takes half as much again as one of
two, and that a third more than one of four: no tag's rows, or few, stand side by side in it."""
_LEAST_KEPT: Final = 2
_MOST_DOUBTED: Final = 4
"""Last segments that are written again after a kill, at most: each sync that fails ends one."""
_NOTHING: Final = Frame.empty()


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a sync will make durable: chunks before `sequence`, of `rows` rows, from `at` to `end` of the segment, which
    is open as `fd`.
    """

    fd: int
    segment: Segment
    at: int
    end: int
    sequence: int
    rows: int


class Writer:
    """For one thread at a time; others read `view` and `recent`. All methods raise OSError where the disk refuses."""

    def __init__(self, store: Store, tags: TagTable, bounds: Bounds, clock: Clock) -> None:
        self.view = View()
        self.recent = Recent()
        self.durable = 0
        """Rows that survive a power cut."""
        self.unsynced_bytes = 0
        """Written to the segment and not yet durable."""
        self.cramped = False
        """The file system has less room than should stay free, and no segment of this store could help that."""
        self.removing: Callable[[Segment, Segment, str], None] = _nothing_to_tell
        """Told before a segment goes, with the one that follows it, and the reason."""
        self.passed: Callable[[], int] = lambda: self.view.sequence
        """Says the sequence number that every cursor has reached."""
        self.give_way: Callable[[], bool] = self.drop_passed
        """On a full disk: frees some of it, and says whether it could."""
        self._store, self._tags, self._clock = store, tags, clock
        self._bounds, self._size = bounds, bounds.segment_bytes
        self._table = pack_table(tags)
        self._digest = digest(self._table)
        self._front: Front | None = None
        self._fd: int | None = None
        self._tail: Tail | None = None
        """Where to go on, while the disk has not let it."""
        self._syncing: int | None = None
        """A descriptor that another thread is syncing: closed only after that."""
        self._left: list[int] = []
        self._unwritten: dict[str, int] = {}
        """Losses that no chunk says yet."""
        self._said: Mapping[str, Mapping[str, int]] = {}
        """Losses by machine that the log says already."""
        self._going: deque[Path] = deque()
        """Segments dropped that may still be on the disk."""
        self._dirty = False
        self._synced_end = 0
        """Up to here the segment is durable."""
        self._unsynced = Unsynced()

    @property
    def owes(self) -> bool:
        """A sync failed, and what it left is not durable yet."""
        return bool(self._unsynced)

    @property
    def is_open(self) -> bool:
        """There is a segment to write to."""
        return self._fd is not None

    @property
    def table(self) -> str:
        """Digest of the tag table it writes with."""
        return self._digest

    def show(self, view: View) -> None:
        """What was found on disk, with the losses that could not be written until now."""
        self.recent.clear()
        self._going.clear()
        self.view = replace(view, lost=merged(view.lost, self._unwritten))
        self.durable = min(self.durable, view.rows) if self._unsynced else view.settled_rows
        self._said = view.lost_at

    def resume(self, tail: Tail | None, mark: Mark | None = None) -> None:
        """Cuts what is torn, takes over what stood in the front, and goes on in the last segment where table and room
        allow it. Where the disk refuses, the next write tries again. `mark`: what was surely durable.
        """
        self._tail = tail
        if tail is not None and not tail.stopped:
            self._doubt(tail, mark)
        self._take_up()
        self._open_front()

    def _doubt(self, tail: Tail, mark: Mark | None) -> None:
        """A sync may have failed before the kill. Then the page cache holds for clean what is not on the disk, and no
        sync of this run would write it: what came after the mark is written again.
        """
        at = mark or Mark(tail.segment.number, 0, 0, 0)
        for segment in self.view.segments[-_MOST_DOUBTED:]:
            if segment.number >= at.segment:
                end = tail.end if segment.number == tail.segment.number else segment.path.stat().st_size
                start = at.end if segment.number == at.segment else segment.body
                self._unsynced.keep(segment.path, max(start, segment.body), end)

    def _take_up(self) -> None:
        if self._tail is not None:
            self._go_on(self._tail)
            self._tail = None

    def _open_front(self) -> None:
        """Without one, small appends are small chunks."""
        if self._front is None:
            with contextlib.suppress(OSError):
                self._front = Front(self._store.front)

    def _go_on(self, tail: Tail) -> None:
        fd = disk.open_for_writing(tail.segment.path)
        try:
            if os.fstat(fd).st_size > tail.end:
                disk.truncate(fd, tail.end)
            self._fd = fd
            self._bring_in()
            tail.end = self.view.end
            disk.sync(fd)
            self._unsynced.write_again()
        except OSError:
            self._fd = None
            os.close(fd)
            self._unsynced.keep(tail.segment.path, tail.segment.body, tail.end)
            raise
        self._dirty, self.unsynced_bytes, self._synced_end = False, 0, self.view.end
        self._reach(self.view.rows)
        if tail.segment.header.table == self._digest and self.view.end < self._size:
            disk.reserve(fd, self._size)
        else:
            self.abandon()

    def _bring_in(self) -> None:
        """What an earlier run left in the front becomes a chunk of its own segment; several where rows are missing."""
        before, front = self.view, self.view.front
        if front:
            self._put(before.settled(front[0].head.sequence), front, [_recovered(run) for run in _runs(front)])
            self.view = replace(self.view, sequence=before.sequence, rows=before.rows)

    def begin(self) -> None:
        """Begins a segment, after the oldest have made room for it."""
        self._make_room()
        view = self.view
        first = view.settled(view.front[0].head.sequence) if view.front else view
        header = Header(
            first.segments[-1].number + 1 if first.segments else 1,
            first.sequence,
            first.rows,
            first.oldest,
            self._clock.wall(),
            first.last_written,
            self._digest,
            merged(first.lost, {reason: -count for reason, count in self._unwritten.items()}),
            self._said,
            first.groups.facts(),
            first.gone,
        )
        segment, fd = create_segment(self._store.path, header, self._table, self._size)
        self._fd = fd
        self._synced_end = segment.body
        self.view = replace(view, segments=(*view.segments, segment), end=segment.body)
        self._open_front()

    def write(self, entries: Sequence[Entry], frame: Frame = _NOTHING) -> None:
        """All of `frame` and `entries` are accepted when it returns; none is where it raises."""
        while True:
            try:
                return self._write(entries, frame)
            except OSError as error:
                if not disk.wants_room(error) or not self.give_way():
                    raise

    def _write(self, entries: Sequence[Entry], frame: Frame) -> None:
        self._take_up()
        if self._unwritten:
            entries = [loss_entry(self.view), *entries]
        if self._fd is None:
            self.begin()
        if not entries and self._gather(frame):
            return
        front = self.view.front
        entries = [*_merged(front, frame), *entries]
        if not entries:
            return
        more = sum(entry.size for entry in entries)
        if self.view.end + more > self._size and self.view.end > self.view.segments[-1].body:
            self._end_segment()
            self.begin()
        only_front = front and not len(frame)
        self._put(self.view.settled(front[-1].head.sequence if only_front else self.view.sequence), front, entries)

    def _gather(self, frame: Frame) -> bool:
        """Accepts a few rows in the front; False where that is no place for them."""
        rows, view = len(frame), self.view
        waiting = view.rows - view.settled_rows
        if self._front is None or not rows or waiting + rows >= TARGET_ROWS:
            return False
        now = self._clock.wall()
        try:
            if not self._front.put(Gathered(view.sequence, view.rows, now, frame), self._digest):
                return False
        except OSError:
            return False  # the segment may still take it, and says why where it does not
        chunk = gathered_chunk(Gathered(view.sequence, view.rows, now, frame), self._tags, sum(view.lost.values()))
        self.recent.put([chunk])
        self.view = view.gathering(chunk)
        return True

    def _put(self, view: View, front: Sequence[Chunk], entries: Sequence[Entry]) -> None:
        """Writes `entries` as what follows `view`; the first of them has the rows of `front` in it."""
        tags = front[0].tags if front else self._tags
        chunks, after = numbered(entries, view, self._clock.wall(), tags)
        data = bytes_of(entries, chunks, view.segments[-1].number)
        fd = -1 if self._fd is None else self._fd
        try:
            disk.write(fd, data, view.end)
        except OSError:
            self._cut_back()
            raise
        self.recent.put(chunks)
        if front:
            self.recent.merge(front, chunks[0])
        self.view = after
        self._dirty, self._unwritten, self._said = True, {}, after.lost_at
        self.unsynced_bytes += len(data)
        if self._front is not None:
            self._front.restart()

    def lose(self, reason: str, count: int, machine: str) -> None:
        """Counts at once; the next write says it on disk."""
        self._unwritten[reason] = self._unwritten.get(reason, 0) + count
        view = self.view
        lost_at = dict(view.lost_at)
        if machine:
            lost_at[machine] = merged(lost_at.get(machine, {}), {reason: count})
        self.view = replace(view, lost=merged(view.lost, {reason: count}), lost_at=lost_at)

    def begin_sync(self) -> Ticket | None:
        """Writes what waits to the segment; what to sync, without this writer being held up, then `end_sync`."""
        if self.view.front or self._unwritten:
            self.write(())
        if self._fd is None or not self._dirty:
            return None
        self.trim()
        self._dirty, self.unsynced_bytes = False, 0
        self._syncing = self._fd
        return self._ticket(self._fd)

    def end_sync(self, ticket: Ticket, *, done: bool) -> None:
        """Says whether the sync succeeded. Where not, nobody knows what the disk has: another segment is begun."""
        self._syncing = None
        for fd in self._left:
            os.close(fd)
        self._left = []
        if done:
            self._is_durable(ticket)
        elif ticket.fd == self._fd:
            self.abandon()
        else:  # it ended meanwhile: the sync at its end may not have known of this one's failure
            self._unsynced.keep(ticket.segment.path, ticket.at, ticket.end)

    def write_again(self, ticket: Ticket | None) -> None:
        """What syncs that failed left is durable when it returns, besides `ticket`. Raises OSError."""
        self._unsynced.write_again()
        if ticket is not None:
            self._is_durable(ticket)
        elif not self._dirty:
            self._reach(self.view.settled_rows)

    def sync(self) -> None:
        """What was written is durable."""
        ticket = self.begin_sync()
        if ticket is None:
            return
        try:
            disk.sync(ticket.fd)
        except OSError:
            self.end_sync(ticket, done=False)
            raise
        self.end_sync(ticket, done=True)

    def _ticket(self, fd: int) -> Ticket:
        view = self.view
        return Ticket(fd, view.segments[-1], self._synced_end, view.end, view.sequence, view.rows)

    def _is_durable(self, ticket: Ticket, stopped: int = 0) -> None:
        self._reach(ticket.rows)
        if ticket.segment != self.view.segments[-1]:
            return
        if ticket.fd == self._fd:
            self._synced_end = max(self._synced_end, ticket.end)
        if self._front is not None and not self._unsynced:
            with contextlib.suppress(OSError):
                self._front.know(Mark(ticket.segment.number, ticket.end, ticket.sequence, ticket.rows, stopped))

    def _reach(self, rows: int) -> None:
        """So many are durable, unless there are some among them that are not."""
        if not self._unsynced:
            self.durable = max(self.durable, rows)

    def _end_segment(self) -> None:
        """The last segment is whole: durable, and no longer than it must be."""
        if self._fd is None:
            return
        try:
            disk.sync(self._fd)
        except OSError:
            self.abandon()
            raise
        self._dirty, self.unsynced_bytes, self._synced_end = False, 0, self.view.end
        self._reach(self.view.settled_rows)
        disk.truncate(self._fd, self.view.end)
        self.abandon()

    def stop(self) -> None:
        """Everything is in the segment, durable, and the mark of the end too."""
        self._unsynced.write_again()
        if self.view.front or self._unwritten:
            self.write(())
        if self._fd is not None:
            ticket = self._ticket(self._fd)
            self._end_segment()
            self._is_durable(ticket, self._clock.wall())
        if self._front is not None:
            self._front.sync()

    def abandon(self) -> None:
        """Lets go of the segment as it is; the next write begins another."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        self._unsynced.keep(self.view.segments[-1].path, self._synced_end, self.view.end)
        if fd == self._syncing:
            self._left.append(fd)
            return
        with contextlib.suppress(OSError):
            os.close(fd)

    def close(self) -> None:
        """Lets go of all files."""
        self.abandon()
        if self._front is not None:
            self._front.close()
        self._front = None

    def _cut_back(self) -> None:
        """After a write that failed: nothing of it may stay between chunks."""
        if self._fd is None:
            return
        try:
            disk.truncate(self._fd, self.view.end)
        except OSError:
            self.abandon()

    def _make_room(self) -> None:
        """The oldest segments go until a new one fits."""
        self._drop(self._bounds.beyond_bytes(self._sizes()), "retention")
        self.trim()

    def trim(self) -> None:
        """The oldest segments go that are too old, or whose room is needed. Raises OSError."""
        self._drop(self._bounds.beyond_age(self.view.segments, self._clock.wall()), "age")
        count = self._bounds.beyond_room(self._sizes(), *disk.room(self._store.path))
        self.cramped = count is None
        self._drop(count or 0, "free_space")

    def _sizes(self) -> list[int]:
        return [segment.size for segment in self.view.segments]

    def drop_passed(self) -> bool:
        """On a full disk the oldest segment goes if every cursor has passed it. False where none can."""
        segments = self.view.segments
        if len(segments) < _LEAST_KEPT or segments[1].header.sequence > self.passed():
            return False
        self._drop(1, "free_space")
        return True

    def _drop(self, count: int, reason: str) -> None:
        view = self.view
        gone, left = view.segments[:count], view.segments[count:]
        if not gone:
            return
        oldest = left[0].header.rows if left else view.settled_rows
        self.view = view.without(left, oldest, reason)
        for segment, following in zip(gone, (*gone[1:], *left[:1]), strict=False):
            self.removing(segment, following, reason)
        self._going.extend(segment.path for segment in gone)
        self._remove()

    def _remove(self) -> None:
        """The oldest first, each gone from the disk before the next one goes: a power cut leaves no hole."""
        while self._going:
            disk.remove(self._going[0])
            disk.sync_directory(self._store.path)
            self._going.popleft()


def _nothing_to_tell(segment: Segment, following: Segment, reason: str) -> None:
    pass


def _merged(front: Sequence[Chunk], frame: Frame) -> list[Entry]:
    """What waits and what comes now, as one."""
    if not front:
        return frame_entries(frame)
    parts = [chunk.frame for chunk in front]
    if len(frame):
        return frame_entries(Frame.concat([*parts, frame]))
    return frame_entries(Frame.concat(parts), front[-1].head.written)


def _runs(front: Sequence[Chunk]) -> list[list[Chunk]]:
    """Chunks between which no rows are missing."""
    runs: list[list[Chunk]] = []
    for chunk in front:
        if runs and runs[-1][-1].head.rows_after == chunk.head.rows_before:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return runs


def _recovered(run: Sequence[Chunk]) -> Entry:
    """They as one, with the last one's number, so that a cursor that has passed some of them finds the others."""
    first, last = run[0].head, run[-1].head
    (entry,) = _merged(run, _NOTHING)
    return replace(entry, sequence=last.sequence, row=first.rows_before)
