"""What opening a journal found: for the log, for people, and for the gap that a restart leaves in the data."""

from dataclasses import dataclass

from edge_agent.errors import JournalError


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a segment that no longer checks. Times are ns since 1970 UTC, 0 where nobody knows."""

    segment: int
    offset: int
    size: int
    rows: int
    """Rows that were in it, from the row numbers around it; -1 where what follows is not known yet."""
    first: int
    last: int
    """Between these value times, from its own head or from the chunks around it."""


@dataclass(frozen=True, slots=True)
class OpenReport:
    """`clean`: the journal was closed in order the last time, or is new."""

    created: bool = False
    clean: bool = True
    last_written: int = 0
    """When something was last accepted, ns since 1970 UTC by the agent's clock of then; 0 for never."""
    stopped: int = 0
    """When it was closed in order, ns since 1970 UTC by the agent's clock of then; 0 where it was not."""
    torn_bytes: int = 0
    """Cut from the tail: a write that a kill or a power cut came into."""
    torn_rows: int = 0
    """Rows that the cut bytes say they held; they were never accepted, or not yet durable when the power went."""
    damaged: tuple[Damage, ...] = ()
    """Found in the last segment. Older segments are checked when they are read."""
    set_aside: tuple[str, ...] = ()
    """Files that are no segment or cursor, or no longer, moved to `damaged/`."""
    moved_aside: str = ""
    """Where the whole store went because it could not be opened; empty if it could."""
    missing_rows: int = 0
    """Rows that a cursor had passed and the journal no longer has (a power cut before they were durable)."""
    error: JournalError | None = None
    """Why nothing can be written, None if it can."""
