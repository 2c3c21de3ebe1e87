"""History: what was kept of some tags, read from a store directory by anyone, at any time.

    history = History(Path("/var/lib/edge-agent/journal"))
    reading = history.frames(["busan/heat/furnace_1/temp_0"], (start, end), newest_first=True)
    for frame in reading:
        draw(frame.time, frame.floats(), frame.status, frame.flags)
    print(reading.skipped)

Frames are those of the house, so integers, texts and float32 are exact and `floats()` is what a chart wants; `tag` is
the place in `reading.paths`, whatever number the tag had in the table of its time. Each frame holds the rows of a few
MB of journal at most; nothing else is kept, so a reading of any length takes little memory.

Rows come in the order in which they were accepted, or exactly the opposite. They are ordered by time only as far as
they were accepted so: a clock that jumped, history read after a gap, or links of different speed are not put in order.
Both ends of a span are included. See edge_agent/journal/archive.py for what may happen to the store meanwhile.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edge_agent.journal.archive import EVER, Archive, Skipped, Span, Want
from edge_agent.journal.chunk import ChunkKind, unpack_events
from edge_agent.journal.selection import Selection
from edge_agent.model import Event, Frame, TagTable
from edge_agent.model.frame import Int32
from edge_agent.model.tag import NO_TAG


class Reading:
    """Frames, one after the other; once."""

    def __init__(self, paths: tuple[str, ...], frames: Iterator[Frame], skipped: Skipped) -> None:
        self.paths = paths
        """What the frames' tag numbers mean."""
        self.skipped = skipped
        """What could not be read, so far."""
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def frame(self) -> Frame:
        """All that is left, in one."""
        return Frame.concat(list(self))


class History:
    """Readings of one store; for one thread. Raises OSError where the disk refuses, never for what is in the store."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet; a store that is not there has no rows."""
        self._archive = Archive(path)

    def paths(self) -> tuple[str, ...]:
        """Paths of all tags that any segment's table has: those of the newest table first, in its order."""
        paths: dict[str, None] = {}
        for table in {id(table): table for table in self._tables()}.values():
            paths.update(dict.fromkeys(table.paths))
        return tuple(paths)

    def table(self) -> TagTable | None:
        """The newest tag table, None where there is none."""
        return next(self._tables(), None)

    def _tables(self) -> Iterator[TagTable]:
        for segment in reversed(self._archive.segments()):
            table = self._archive.table(segment)
            if table is not None:
                yield table

    def frames(self, paths: Sequence[str] | None = None, span: Span = EVER, *, newest_first: bool = False) -> Reading:
        """Rows of these tags (None: of all), whose time is in `span`. Paths that no table has give no rows."""
        chosen, skipped = self.paths() if paths is None else tuple(paths), Skipped()
        want = Want((ChunkKind.FRAME,), span, newest_first)
        return Reading(chosen, self._frames(chosen, want, skipped), skipped)

    def _frames(self, paths: tuple[str, ...], want: Want, skipped: Skipped) -> Iterator[Frame]:
        selections: dict[int, Selection] = {}
        for stretch in self._archive.stretches(want, skipped):
            table = id(stretch.tags)
            if table not in selections:
                selections[table] = Selection(_numbers(paths, stretch.tags), want.span)
            frame = selections[table].of(stretch, skipped, newest_first=want.newest_first)
            if len(frame):
                yield frame

    def events(
        self, span: Span = EVER, *, newest_first: bool = False, skipped: Skipped | None = None
    ) -> Iterator[Event]:
        """Events as they were written whose start or end is in `span`, or that go on all through it.

        An event that lasted comes more than once: when it opened, changed and closed. `id` says which is which.
        """
        skipped = Skipped() if skipped is None else skipped
        for stretch in self._archive.stretches(Want((ChunkKind.EVENTS,), EVER, newest_first), skipped):
            for payload in stretch.payloads():
                events = _events(payload, skipped)
                yield from (each for each in (reversed(events) if newest_first else events) if _meets(each, span))


def _numbers(paths: tuple[str, ...], table: TagTable) -> Int32:
    """For each number of the table the place in `paths`, or NO_TAG; the last one is for numbers that it has not."""
    numbers = np.full(len(table) + 1, NO_TAG, np.int32)
    for place, path in enumerate(paths):
        numbers[table.number(path)] = place
    numbers[NO_TAG] = NO_TAG
    return numbers


def _events(payload: memoryview, skipped: Skipped) -> tuple[Event, ...]:
    try:
        return unpack_events(payload)
    except ValueError:
        skipped.stretches += 1
        return ()


def _meets(event: Event, span: Span) -> bool:
    return event.start <= span[1] and (event.end == 0 or event.end >= span[0])
