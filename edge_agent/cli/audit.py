"""The demo's audit: what the journal on disk holds, against what the plant's servers say they published.

Reads the files again, after everything has stopped: nothing that the agent said of itself is believed here.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_agent.api import Answer, Flag, Frame, Kind, is_good
from edge_agent.clock import Clock
from edge_agent.config.loader import load
from edge_agent.journal import Journal
from edge_agent.model import TagTable
from edge_agent.registry import Sections

NS_PER_MS: Final = 1_000_000
_ROWS: Final = 100_000
_CURSOR: Final = "demo-audit"
_BESIDE_NS: Final = 1_500_000_000
"""A poll's time and the time of what it read differ by at most this."""
Value = float | int | bool | str | None
Series = dict[int, Value]
"""Source time (ns) -> value."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The journal, read again: rows in all, and each tag's values by source time (rows made by the agent left out)."""

    rows: int = 0
    balanced: bool = False
    values: dict[str, Series] = field(default_factory=dict)
    points: frozenset[tuple[str, int]] = frozenset()
    """Tag and millisecond of every good number: what the hub's database must hold, once each."""
    times: tuple[int, int] = (0, 0)
    """The first and the last time, ns."""
    lost: int = 0
    """Values that the ledger says were lost before they became rows."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Values that were published while the agent was connected, and how many of them are in the journal."""

    published: int
    found: int
    strange: int
    """Values in the journal that nobody published."""

    @property
    def complete(self) -> bool:
        """Everything published was kept, and nothing else."""
        return self.published == self.found and self.published > 0 and self.strange == 0


def read_journal(config: Path, clock: Clock) -> Kept:
    """Reads the whole journal of a configuration with a cursor of our own."""
    loaded = load(config, Sections())
    journal = Journal.open(loaded.config.journal.path, loaded.tags, loaded.config.journal, clock)
    values: dict[str, Series] = {}
    points: set[tuple[str, int]] = set()
    times: list[int] = []
    rows = 0
    try:
        cursor = journal.cursor(_CURSOR)
        while (batch := cursor.read(_ROWS)) is not None:
            rows += len(batch.frame)
            times += [int(batch.frame.time.min()), int(batch.frame.time.max())] if len(batch.frame) else []
            points |= _points(batch.frame, batch.tags)
            _gather(batch.frame, batch.tags, values)
            cursor.advance(batch, Answer())
        ledger = cursor.ledger()
    finally:
        journal.close()
    spread = (min(times), max(times)) if times else (0, 0)
    lost = sum(ledger.dropped.values())
    return Kept(rows, ledger.balanced and ledger.delivered == rows, values, frozenset(points), spread, lost)


def _points(frame: Frame, tags: TagTable) -> set[tuple[str, int]]:
    numbers = is_good(frame.status) & (frame.kind != Kind.NONE) & (frame.kind != Kind.TEXT)
    found = zip(frame.tag[numbers].tolist(), frame.time[numbers].tolist(), strict=True)
    return {(tags[tag].path, time // NS_PER_MS) for tag, time in found}


def _gather(frame: Frame, tags: TagTable, values: dict[str, Series]) -> None:
    for row in np.flatnonzero((frame.flags & Flag.AGENT) == 0):
        path = tags[int(frame.tag[row])].path
        values.setdefault(path, {})[int(frame.time[row])] = frame.value(int(row))


def compare(kept: Kept, published: Iterable[Mapping[str, Any]]) -> Comparison:
    """For a subscription, where every value arrives: tag by tag, from the first to the last time that was kept."""
    asked = found = strange = 0
    for ours, theirs in _pairs(kept, published):
        first, last = min(ours), max(ours)
        within = {time: value for time, value in theirs.items() if first <= time <= last}
        asked += len(within)
        found += sum(time in ours and ours[time] == value for time, value in within.items())
        strange += sum(time not in theirs or theirs[time] != value for time, value in ours.items())
    return Comparison(asked, found, strange)


def compare_sampled(kept: Kept, published: Iterable[Mapping[str, Any]]) -> Comparison:
    """For polling: every value that was kept must be one that the instrument showed at about that time."""
    kept_rows = found = 0
    for ours, theirs in _pairs(kept, published):
        times = sorted(theirs)
        for time, value in ours.items():
            last = bisect_right(times, time + _BESIDE_NS)
            before = max(bisect_right(times, time - _BESIDE_NS) - 1, 0)
            kept_rows += 1
            found += any(_same(theirs[shown], value) for shown in times[before:last])
    return Comparison(kept_rows, found, kept_rows - found)


def _pairs(kept: Kept, published: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Series, Series]]:
    """Per tag that is in the journal and in a server's log: what was kept and what was published."""
    kept_by_name = {"/".join(path.split("/")[-2:]): series for path, series in kept.values.items()}
    known: dict[str, Series] = {}
    for line in published:
        name = f"{line['machine']}/{line.get('tag')}"
        if name in kept_by_name:
            known.setdefault(name, {})[int(line["time"])] = line["value"]
    return ((kept_by_name[name], series) for name, series in known.items())


def _same(shown: Value, kept: Value) -> bool:
    if isinstance(shown, float) and isinstance(kept, int | float):
        return isclose(shown, kept, rel_tol=1e-9)
    return shown == kept
