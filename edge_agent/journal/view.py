"""View: the log as it stands after one `append`. Replaced whole, never changed, so readers need no lock."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.journal.chunk import ChunkKind, Head
from edge_agent.journal.segment import Segment
from edge_agent.journal.tally import NOTHING, Tally


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

    @property
    def collected(self) -> int:
        """All values that came to the door."""
        return self.rows + sum(self.lost.values())

    def after(self, head: Head, tally: Tally) -> "View":
        """The view once this chunk, with so many rows of each machine, is written."""
        return View(
            self.segments,
            head.sequence + 1,
            head.rows_after,
            self.oldest,
            self.end + head.size,
            self.last_written if head.kind == ChunkKind.MARK else head.written,
            self.lost,
            self.lost_at,
            self.groups + tally if head.rows else self.groups,
        )

    def place(self, sequence: int) -> int:
        """Index of the segment that holds this chunk or would hold it; 0 where all begin later."""
        return max(0, bisect_right(self.segments, sequence, key=lambda segment: segment.header.sequence) - 1)
