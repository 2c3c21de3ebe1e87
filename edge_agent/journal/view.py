"""View: the log as it stands after one `append`. Replaced whole, never changed, so readers need no lock."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from edge_agent.journal.chunk import Chunk, ChunkKind, Head
from edge_agent.journal.segment import Segment
from edge_agent.journal.tally import NOTHING, Tally, untold

_MAX_GONE: Final = 64


@dataclass(frozen=True, slots=True)
class View:
    """What a reader in another thread may rely on."""

    segments: tuple[Segment, ...] = ()
    """Oldest first."""
    sequence: int = 0
    """The number that the next chunk will get."""
    rows: int = 0
    """Rows accepted so far."""
    oldest: int = 0
    """The first row that retention has left."""
    end: int = 0
    """Length in bytes of what is written of the last segment."""
    last_written: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    """Lost at the door so far, by reason."""
    lost_at: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of these, by machine and reason, those whose machine is known."""
    groups: Tally = NOTHING
    """Rows accepted so far, by machine."""
    gone: tuple[tuple[int, str], ...] = ()
    """Why rows before `oldest` went: up to this row, for this reason; in order. What no entry covers: retention."""
    front: tuple[Chunk, ...] = ()
    """Accepted and in no segment yet: the last rows of all (edge_agent/journal/front.py)."""

    @property
    def collected(self) -> int:
        """All values that came to the door."""
        return self.rows + sum(self.lost.values())

    def without(self, segments: tuple[Segment, ...], oldest: int, reason: str) -> "View":
        """The view once the segments before these, and the rows before `oldest`, have gone."""
        gone = list(self.gone)
        if oldest > self.oldest:
            if gone and gone[-1][1] == reason:
                gone.pop()
            gone.append((oldest, reason))
        return replace(self, segments=segments, oldest=max(self.oldest, oldest), gone=tuple(gone[-_MAX_GONE:]))

    def taken(self, row: int, until: int) -> dict[str, int]:
        """How many of the rows from `row` up to `until` went, by reason."""
        out: dict[str, int] = {}
        for end, reason in (*self.gone, (self.oldest, "retention")):
            count = min(end, until) - row
            if count > 0:
                out[reason] = out.get(reason, 0) + count
                row += count
        return out

    @property
    def settled_rows(self) -> int:
        """Number of the row that follows the last one in a segment."""
        return self.front[0].head.rows_before if self.front else self.rows

    def after(self, head: Head, tally: Tally) -> "View":
        """The view once this chunk, with so many rows of each machine, is written to the segment. Rows missing before
        it are of no machine.
        """
        missing = head.rows_before - self.rows if head.rows else 0
        if missing > 0:
            tally += untold(missing)
        return replace(
            self,
            sequence=head.sequence + 1,
            rows=head.rows_after,
            end=self.end + head.size,
            last_written=self.last_written if head.kind == ChunkKind.MARK else head.written,
            groups=self.groups + tally if head.rows else self.groups,
        )

    def gathering(self, chunk: Chunk) -> "View":
        """The view once this chunk stands in the front."""
        return replace(self.after(chunk.head, chunk.tally or NOTHING), end=self.end, front=(*self.front, chunk))

    def settled(self, sequence: int) -> "View":
        """The view without the front, whose rows come again in a chunk that gets this number."""
        groups = self.groups
        for chunk in self.front:
            groups -= chunk.tally or NOTHING
        if missing := self._missing_within():
            groups -= untold(missing)
        return replace(self, sequence=sequence, rows=self.settled_rows, groups=groups, front=())

    def _missing_within(self) -> int:
        """Rows missing between those in the front, which only damage leaves."""
        if not self.front:
            return 0
        first, last = self.front[0].head, self.front[-1].head
        return last.rows_after - first.rows_before - sum(chunk.head.rows for chunk in self.front)

    def place(self, sequence: int) -> int:
        """Index of the segment that holds this chunk or would hold it; 0 where all begin later."""
        return max(0, bisect_right(self.segments, sequence, key=lambda segment: segment.header.sequence) - 1)
