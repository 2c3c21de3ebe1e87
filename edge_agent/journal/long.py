"""Long: the store of rollups and events, beside the raw log and outlasting it: journal/long/, a journal of its own.

It has the same segments, chunks, repair and bound as the raw log, with ROLLUP chunks (edge_agent/journal/rollup.py)
instead of rows. Retention of raw segments never touches it, and on a full disk they make room for it; over `long_bytes`
its own oldest segment goes, and says so.
"""

import contextlib
import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from edge_agent.clock import Clock
from edge_agent.config.agent import JournalSection
from edge_agent.journal import disk
from edge_agent.journal.chunk import HEAD_BYTES, ChunkKind, Head
from edge_agent.journal.journal import Journal
from edge_agent.journal.notice import long_event
from edge_agent.journal.rollup import (
    CONTENTS_BYTES,
    Contents,
    contents_size,
    unpack_contents,
    unpack_told,
)
from edge_agent.journal.rollup_layout import Group, is_whole
from edge_agent.journal.segment import Segment
from edge_agent.journal.view import View
from edge_agent.journal.walk import walk
from edge_agent.model import Event, TagTable

NAME: Final = "long"
_AT_ONCE: Final = 1 << 13


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the raw log the rows begin that no ROLLUP chunk holds yet; the meta of each says it."""

    sequence: int = 0
    row: int = 0
    segment: tuple[int, int] = (0, 0)
    """Number and making (ns) of the raw segment it is in: another raw log has others."""
    chunk: int = -1
    """Sequence number of the ROLLUP chunk that says so, -1 where there is none."""

    @classmethod
    def of(cls, meta: dict[str, Any], chunk: int) -> Self:
        """From a chunk's meta."""
        number, created = meta["segment"]
        return cls(meta["sequence"], meta["row"], (number, created), chunk)

    def meta(self, missed: int) -> dict[str, Any]:
        """For a chunk; `missed`: rows between it and the one before that were no longer to be had."""
        return {"sequence": self.sequence, "row": self.row, "segment": self.segment, "missed": missed}

    def within(self, view: View) -> "Position":
        """This position if `view` is of the log that it speaks of, else the beginning; never after its end."""
        number, created = self.segment
        for segment in view.segments:
            made, before = segment.header.created, segment.number < number
            if (before and made > created) or (segment.number == number and made != created):
                return Position(chunk=self.chunk)
        return replace(self, sequence=min(self.sequence, view.sequence), row=min(self.row, view.rows))


class Long(Journal):
    """The journal of rollups; `path` is that of `long_path`."""

    def __init__(self, path: Path, tags: TagTable, section: JournalSection, clock: Clock) -> None:
        """Nothing is touched yet."""
        kept = {"max_bytes": section.long_bytes, "max_age": math.inf, "min_free": 0}
        super().__init__(path, tags, section.model_copy(update=kept), clock)

    @classmethod
    def beside(cls, raw: Journal, tags: TagTable, section: JournalSection, clock: Clock) -> Self:
        """That of this raw log, which gives way to it on a full disk: raw rows that every sink has answered for go
        first. While there are none, what is to be rolled up waits in the raw log.
        """
        long = cls(long_path(raw.path), tags, section, clock)
        long._writer.give_way = raw.give_way
        long._establish()
        return long

    def position(self) -> Position:
        """Of the newest ROLLUP chunk. Raises OSError."""
        return newest_position(self.view.segments)

    def _passed(self) -> int:
        """No cursor reads here: on a full disk the raw log makes room, not this."""
        return 0

    def _tell_retention(self, segment: Segment, following: Segment, reason: str) -> None:
        del reason  # there is one only
        rows = following.header.rows - segment.header.rows
        self._notices.append(long_event(self._site, segment, following.header.created, rows, self._clock.wall()))


def long_path(journal: Path) -> Path:
    """Where the long store of this journal is."""
    return journal / NAME


def bring_back(moved: str, journal: Path) -> None:
    """Where a whole raw store was moved aside: its long store had no part in that, and goes on."""
    old, new = Path(moved) / NAME, long_path(journal)
    with contextlib.suppress(OSError):
        if old.is_dir() and not new.exists():
            disk.rename(old, new)


def newest_position(segments: Sequence[Segment]) -> Position:
    """Of the newest ROLLUP chunk in these segments of a long store. Raises OSError."""
    for segment in reversed(segments):
        with LongFile(segment) as file:
            newest = deque(file.chunks(), maxlen=1)
        if newest:
            return Position.of(newest[0].contents.meta, newest[0].head.sequence)
    return Position()


@dataclass(frozen=True, slots=True, eq=False)
class RollupChunk:
    """A ROLLUP chunk whose beginning has been read."""

    head: Head
    offset: int
    """Of its payload in the file."""
    contents: Contents


class LongFile:
    """One segment of the long store, read without a lock: also beside the agent that writes it."""

    def __init__(self, segment: Segment) -> None:
        """Raises OSError; FileNotFoundError where retention has just taken it."""
        self.segment = segment
        self._fd = disk.open_for_reading(segment.path)

    def __enter__(self) -> "LongFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def chunks(self, start: int = -(1 << 63), end: int = (1 << 63) - 1) -> Iterator[RollupChunk]:
        """Those with a minute or an event between two times; what does not check is passed over."""
        size = os.fstat(self._fd).st_size
        for piece in walk(self.read, self.segment.number, self.segment.body, size, 0, verify=False):
            head = piece.head
            if head is None or head.kind != ChunkKind.ROLLUP:
                continue
            if head.last < start or head.first > end:
                continue
            contents = self._contents(piece.offset + HEAD_BYTES, head)
            if contents is not None:
                yield RollupChunk(head, piece.offset + HEAD_BYTES, contents)

    def _contents(self, at: int, head: Head) -> Contents | None:
        data = self.read(at, min(_AT_ONCE, head.payload_bytes))
        try:
            if len(data) >= CONTENTS_BYTES and contents_size(data) > len(data):
                data = self.read(at, min(contents_size(data), head.payload_bytes))
            return unpack_contents(data)
        except ValueError:
            return None

    def group(self, chunk: RollupChunk, number: int) -> Group | None:
        """One group of a chunk, None where it does not check."""
        contents = chunk.contents
        entry = contents.groups[number]
        size = int(entry["length"])
        data = self.read(chunk.offset + int(contents.ends[number]) - size, size)
        return (data, entry) if is_whole(data, entry) else None

    def events(self, chunk: RollupChunk) -> tuple[Event, ...]:
        """Its events, none where they do not check."""
        contents = chunk.contents
        if not contents.events_bytes:
            return ()
        try:
            return unpack_told(self.read(chunk.offset + contents.end, contents.events_bytes))
        except ValueError:
            return ()

    def read(self, at: int, size: int) -> bytes:
        """Bytes of the file."""
        return disk.read(self._fd, size, at)
