"""Writer: the end of the log. Chunks go in, segments are begun, the oldest go when there are too many bytes."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from edge_agent.clock import Clock
from edge_agent.journal import disk
from edge_agent.journal.entry import Entry, bytes_of, loss_entry, numbered
from edge_agent.journal.ledger import merged
from edge_agent.journal.recent import Recent
from edge_agent.journal.recovery import Tail
from edge_agent.journal.segment import Header, Segment, create_segment
from edge_agent.journal.store import Store
from edge_agent.journal.table import digest, pack_table
from edge_agent.journal.view import View
from edge_agent.model import TagTable

_LEAST_SEGMENT: Final = 4096
_LEAST_KEPT: Final = 2
_SHARES: Final = 4
"""A segment is at most this part of all, or dropping one would drop too much."""


class Writer:
    """For one thread at a time; others read `view` and `recent`. All methods raise OSError where the disk refuses."""

    def __init__(self, store: Store, tags: TagTable, limits: tuple[int, int], clock: Clock) -> None:
        """`limits`: bytes of a segment, bytes of all."""
        self.view = View()
        self.recent = Recent()
        self.durable = 0
        """Rows that survive a power cut."""
        self.removing: Callable[[Segment, Segment], None] = _nothing_to_tell
        """Told before a segment goes, with the one that follows it."""
        self.passed: Callable[[], int] = lambda: self.view.sequence
        """Says the sequence number that every cursor has reached."""
        self._store, self._tags, self._clock = store, tags, clock
        segment_bytes, self._max_bytes = limits
        self._size = max(_LEAST_SEGMENT, min(segment_bytes, self._max_bytes // _SHARES))
        self._table = pack_table(tags)
        self._digest = digest(self._table)
        self._fd: int | None = None
        self._unwritten: dict[str, int] = {}
        """Losses that no chunk says yet."""
        self._said: Mapping[str, Mapping[str, int]] = {}
        """Losses by machine that the log says already."""
        self._dirty = False

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
        self.view = replace(view, lost=merged(view.lost, self._unwritten))
        self.durable = view.rows
        self._said = view.lost_at

    def resume(self, tail: Tail) -> None:
        """Cuts what is torn, and goes on in the last segment where table and room allow it."""
        fd = disk.open_for_writing(tail.segment.path)
        try:
            if os.fstat(fd).st_size > tail.end:
                disk.truncate(fd, tail.end)
            disk.sync(fd)
        except OSError:
            os.close(fd)
            raise
        if tail.segment.header.table == self._digest and tail.end < self._size:
            disk.reserve(fd, self._size)
            self._fd = fd
        else:
            os.close(fd)

    def begin(self) -> None:
        """Begins a segment, after the oldest have made room for it."""
        self._make_room()
        view = self.view
        header = Header(
            view.segments[-1].number + 1 if view.segments else 1,
            view.sequence,
            view.rows,
            view.oldest,
            self._clock.wall(),
            view.last_written,
            self._digest,
            merged(view.lost, {reason: -count for reason, count in self._unwritten.items()}),
            self._said,
            view.groups.facts(),
        )
        segment, fd = create_segment(self._store.path, header, self._table, self._size)
        self._fd = fd
        self.view = replace(view, segments=(*view.segments, segment), end=segment.body)

    def write(self, entries: Sequence[Entry]) -> None:
        """All of `entries` are accepted when it returns; none is where it raises."""
        try:
            self._write(entries)
        except OSError as error:
            if not disk.is_full(error) or not self._drop_passed():
                raise
            self._write(entries)

    def _write(self, entries: Sequence[Entry]) -> None:
        if self._unwritten:
            entries = [loss_entry(self.view), *entries]
        view = self.view
        more = sum(entry.size for entry in entries)
        if self._fd is not None and view.end + more > self._size and view.end > view.segments[-1].body:
            self.stop()
        if self._fd is None:
            self.begin()
        self._put(entries)

    def _put(self, entries: Sequence[Entry]) -> None:
        view = self.view
        chunks, after = numbered(entries, view, self._clock.wall(), self._tags)
        data = bytes_of(entries, chunks, view.segments[-1].number)
        fd = -1 if self._fd is None else self._fd
        try:
            disk.write(fd, data, view.end)
        except OSError:
            self._cut_back()
            raise
        self.recent.put(chunks)
        self.view = after
        self._dirty, self._unwritten, self._said = True, {}, after.lost_at

    def lose(self, reason: str, count: int, machine: str) -> None:
        """Counts at once; the next write says it on disk."""
        self._unwritten[reason] = self._unwritten.get(reason, 0) + count
        view = self.view
        lost_at = dict(view.lost_at)
        if machine:
            lost_at[machine] = merged(lost_at.get(machine, {}), {reason: count})
        self.view = replace(view, lost=merged(view.lost, {reason: count}), lost_at=lost_at)

    def sync(self) -> None:
        """What was written is durable."""
        if self._unwritten:
            self.write(())
        self._sync_file()

    def _sync_file(self) -> None:
        if self._fd is None or not self._dirty:
            return
        rows = self.view.rows
        try:
            disk.sync(self._fd)
        except OSError:
            self.abandon()
            raise
        self._dirty, self.durable = False, rows

    def stop(self) -> None:
        """The last segment is whole: durable, and no longer than it must be."""
        self._sync_file()
        if self._fd is not None:
            disk.truncate(self._fd, self.view.end)
        self.abandon()

    def abandon(self) -> None:
        """Lets go of the segment as it is; the next write begins another."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)

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
        sizes = [segment.size for segment in self.view.segments]
        total, count = sum(sizes) + self._size, 0
        while total > self._max_bytes and count < len(sizes):
            total, count = total - sizes[count], count + 1
        self._drop(count)

    def _drop_passed(self) -> bool:
        """On a full disk: the oldest segment goes if every cursor has passed it. False where none can."""
        segments = self.view.segments
        if len(segments) < _LEAST_KEPT or segments[1].header.sequence > self.passed():
            return False
        self._drop(1)
        return True

    def _drop(self, count: int) -> None:
        view = self.view
        gone, left = view.segments[:count], view.segments[count:]
        if not gone:
            return
        oldest = left[0].header.rows if left else view.rows
        self.view = replace(view, segments=left, oldest=max(view.oldest, oldest))
        for segment, following in zip(gone, (*gone[1:], *left[:1]), strict=False):
            self.removing(segment, following)
        for segment in gone:
            disk.remove(segment.path)


def _nothing_to_tell(segment: Segment, following: Segment) -> None:
    pass
