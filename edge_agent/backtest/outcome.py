"""Outcome: what a backtest found, and how it went."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge_agent.backtest.trace import Trace
from edge_agent.errors import DetectionError
from edge_agent.model import Event, TagTable

WEEK: float = 7 * 86_400e9


@dataclass(slots=True)
class Learning:
    """When each tag's learned detectors could speak. Times in ns since 1970 UTC, as exact as it is looked at."""

    tags: int
    changes: list[list[tuple[int, bool]]] = field(init=False)
    """For each tag: when it became ready (True) or began to learn again (False)."""
    _ready: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.changes = [[] for _ in range(self.tags)]
        self._ready = np.zeros(self.tags, bool)

    @property
    def latest(self) -> npt.NDArray[np.bool_]:
        """Tags that were ready when it was noted last."""
        return self._ready

    def note(self, now: int, ready: npt.NDArray[np.bool_]) -> None:
        """How it is now."""
        for tag in np.flatnonzero(ready != self._ready).tolist():
            self.changes[tag].append((now, bool(ready[tag])))
        self._ready = ready

    def spans(self, tag: int, first: int, last: int) -> list[tuple[int, int]]:
        """The stretches between `first` and `last` in which the tag learned."""
        out, since, learns = [], first, True
        for when, ready in self.changes[tag]:
            if ready and learns:
                out.append((since, when))
            since, learns = when, not ready
        return [*out, (since, last)] if learns else out


@dataclass(slots=True)
class Outcome:
    """Grows while the simulation goes on. `trace` is kept where somebody wants to draw it."""

    tags: TagTable
    trace: Trace | None = None
    learning: Learning = field(init=False)
    values: int = 0
    first: int = 0
    last: int = 0
    """Time of the first and last row, ns since 1970 UTC."""
    engine: str = ""
    notices: list[DetectionError] = field(default_factory=list)
    told: dict[str, Event] = field(default_factory=dict)
    """By id, each event as it was told last."""
    told_at: dict[str, int] = field(default_factory=dict)
    """By id, when a person would have been told first, ns since 1970 UTC."""
    seen: npt.NDArray[np.int64] = field(init=False)
    """Values of each tag."""

    def __post_init__(self) -> None:
        self.learning = Learning(len(self.tags))
        self.seen = np.zeros(len(self.tags), np.int64)

    def take(self, events: list[Event], now: int) -> None:
        """What was said at `now`."""
        for event in events:
            self.told[event.id] = event
            self.told_at.setdefault(event.id, now)

    @property
    def events(self) -> list[Event]:
        """In order of their beginning."""
        return sorted(self.told.values(), key=lambda event: (event.start, event.id))

    @property
    def days(self) -> float:
        """From the first row to the last."""
        return (self.last - self.first) / 86_400e9

    @property
    def events_per_tag_week(self) -> float:
        """Of tags with values; 0 where there is nothing to divide by."""
        weeks = (self.last - self.first) / WEEK * int((self.seen > 0).sum())
        return len(self.told) / weeks if weeks > 0 else 0.0

    def counts(self) -> dict[str, dict[str, int]]:
        """Events by class, by detector and by severity."""
        events = self.events
        return {
            "class": dict(Counter(event.event_class.value for event in events)),
            "detector": dict(Counter(event.detector for event in events)),
            "severity": dict(Counter(event.severity.name.lower() for event in events)),
        }
