"""Entry: a chunk that is not in the log yet, packed but without its numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.journal.chunk import (
    HEAD_BYTES,
    MAX_ROWS,
    Chunk,
    ChunkKind,
    Head,
    pack_events,
    pack_facts,
    seal,
)
from edge_agent.journal.payload import pack_frame
from edge_agent.journal.tally import NOTHING, tally
from edge_agent.journal.view import View
from edge_agent.model import Event, Frame, TagTable

_NOTHING: Final = Frame.empty()


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Payload and contents."""

    kind: ChunkKind
    payload: bytes
    frame: Frame = _NOTHING
    events: tuple[Event, ...] = ()
    written: int = 0
    """When its last row was accepted, where that was before now."""
    sequence: int = 0
    """The least number it may get, where numbers before it are to stay unused."""
    row: int = 0
    """Number of its first row, where rows are missing before it."""

    @property
    def size(self) -> int:
        """Bytes that it will take."""
        return HEAD_BYTES + len(self.payload)

    def head(self, view: View, written: int, lost: int) -> Head:
        """Its head as the next chunk after `view`."""
        times = self.frame.time
        rows = len(times)
        return Head(
            self.kind,
            max(view.sequence, self.sequence),
            rows,
            len(self.events),
            int(times.min()) if rows else 0,
            int(times.max()) if rows else 0,
            max(view.rows, self.row) if rows else view.rows,
            lost,
            self.written or written,
            len(self.payload),
        )


def frame_entries(frame: Frame, written: int = 0) -> list[Entry]:
    """A frame in pieces of at most MAX_ROWS rows, accepted at `written` or now. Raises ValueError for ragged ones."""
    return [Entry(ChunkKind.FRAME, pack_frame(piece), piece, written=written) for piece in _pieces(frame)]


def event_entries(events: Sequence[Event]) -> list[Entry]:
    """The events, where there are any."""
    return [Entry(ChunkKind.EVENTS, pack_events(events), events=tuple(events))] if events else []


def loss_entry(view: View) -> Entry:
    """All losses at the door so far."""
    return Entry(ChunkKind.LOSS, pack_facts({"lost": dict(view.lost), "at": dict(view.lost_at)}))


def mark_entry(facts: dict[str, Any]) -> Entry:
    """`started` or `stopped`."""
    return Entry(ChunkKind.MARK, pack_facts(facts))


def _pieces(frame: Frame) -> Iterator[Frame]:
    rows = len(frame)
    if 0 < rows <= MAX_ROWS:
        yield frame
        return
    for start in range(0, rows, MAX_ROWS):
        yield frame.rows(slice(start, start + MAX_ROWS))


def numbered(entries: Sequence[Entry], view: View, written: int, tags: TagTable) -> tuple[list[Chunk], View]:
    """The entries as the chunks that follow `view`, and the view after them."""
    lost = sum(view.lost.values())
    chunks: list[Chunk] = []
    for entry in entries:
        head = entry.head(view, written, lost)
        rows = tally(tags, entry.frame.tag) if head.rows else NOTHING
        chunks.append(Chunk(head, tags, entry.frame, entry.events, rows))
        view = view.after(head, rows)
    return chunks, view


def bytes_of(entries: Sequence[Entry], chunks: Sequence[Chunk], segment: int) -> bytes:
    """What is written for them."""
    return b"".join(seal(chunk.head, entry.payload, segment) for entry, chunk in zip(entries, chunks, strict=True))
