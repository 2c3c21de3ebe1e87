"""Visitor: the log as another process may look at it: without the lock, and without changing anything."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edge_agent.journal.chunk import Chunk
from edge_agent.journal.front import following, mark_of, read_front
from edge_agent.journal.opening import view_of, with_front
from edge_agent.journal.reader import Reader
from edge_agent.journal.recovery import find_tail
from edge_agent.journal.report import Damage
from edge_agent.journal.segment import SUFFIX, Segment, read_segment, read_table
from edge_agent.journal.store import Store
from edge_agent.journal.table import unpack_table
from edge_agent.journal.view import View
from edge_agent.model import TagTable


class Visitor:
    """What is in a directory of segments at this moment. For one thread."""

    def __init__(self, path: Path) -> None:
        """A directory that is not there is an empty log. Raises OSError where it can't be read."""
        self.view = _view(path)
        self.damage: list[Damage] = []
        """What did not check, as far as it was read."""
        self._tables: dict[str, TagTable | None] = {}

    def chunks(self, sequence: int = 0) -> Iterator[Chunk]:
        """All legible chunks from `sequence` on."""
        reader = Reader(self)
        try:
            while (chunk := reader.next(self.view, sequence)) is not None:
                yield chunk
                sequence = chunk.head.sequence + 1
        finally:
            reader.close()

    def recent(self, sequence: int) -> Chunk | None:
        """Nothing is in memory here."""
        del sequence
        return None

    def table(self, segment: Segment) -> TagTable | None:
        """The tag table of a segment, None where it can't be read any more."""
        key = segment.header.table
        if key not in self._tables:
            try:
                packed = read_table(segment.path)
                self._tables[key] = None if packed is None else unpack_table(packed)
            except (OSError, ValueError):
                return None
        return self._tables[key]

    def found_damage(self, damage: Damage, data: bytes) -> None:
        """Remembers it."""
        del data
        self.damage.append(damage)


def _view(path: Path) -> View:
    front = read_front(Store(path).front)  # before the segments: what has come to one since then is passed over here
    found: list[Segment] = []
    for file in sorted(path.glob(f"*{SUFFIX}")):
        try:
            segment = read_segment(file)
        except (FileNotFoundError, IsADirectoryError):
            continue
        if segment is not None and file.stem.isdecimal() and segment.number == int(file.stem):
            found.append(segment)
    if not found:
        return View()
    tail = find_tail(found[-1], mark_of(front))
    view = view_of(found, tail)
    view = with_front(view, tail, list(following(front, tail.segment.header.table, view.sequence, view.rows)))
    return replace(view, oldest=max(view.oldest, found[0].header.rows))
