"""What the journal's tests are made of: tables, frames, a clock, a journal that can be left lying."""

import shutil
from pathlib import Path

import numpy as np

from edge_agent.api import Answer
from edge_agent.config.agent import JournalSection
from edge_agent.journal import Cursor, Journal, Ledger
from edge_agent.model import (
    Event,
    EventClass,
    EventState,
    Frame,
    Label,
    Machine,
    Role,
    Severity,
    Tag,
    TagTable,
)

SECOND = 1_000_000_000
NOON = 1_790_000_000 * SECOND


class ManualClock:
    """Goes only where a test puts it."""

    def __init__(self, wall=NOON, monotonic=100.0):
        self.now, self.since = wall, monotonic

    def wall(self):
        return self.now

    def monotonic(self):
        return self.since

    def tick(self, seconds=1.0):
        self.now += int(seconds * SECOND)
        self.since += seconds


def table(count=8, unit="℃", names="temp"):
    machine = Machine("busan", "heat", "furnace_1", "furnace", Label("1호 로", "Furnace 1"))
    return TagTable(
        [
            Tag(f"{names}_{i}", machine, "plc", Role.PV, unit, SECOND, 0.0, 1200.5, Label(f"온도 {i}", f"Temp {i}"))
            for i in range(count)
        ]
    )


TABLE = table()


def section(segment="64KiB", total="64MiB", **more):
    return JournalSection(segment_bytes=segment, max_bytes=total, **{"min_free": "0B"} | more)


def open_journal(path, tags=TABLE, clock=None, **sizes):
    return Journal.open(path, tags, section(**sizes), clock or ManualClock())


def frame(start, rows=4, tags=8):
    """Rows that tell which they are: values start, start + 1 …, one a second."""
    numbers = np.arange(start, start + rows)
    return Frame.of_floats(numbers % tags, NOON + numbers * SECOND, numbers + 0.25)


def numbers(frame):
    """The opposite: which rows are in a frame."""
    return (frame.floats() - 0.25).astype(int).tolist()


HOT = Label("온도가 높습니다", "temperature is high")


def event(name="e1", text=HOT):
    return Event(
        name,
        "busan/heat/furnace_1/temp_0",
        "range",
        EventClass.PROCESS,
        Severity.WARNING,
        EventState.OPEN,
        NOON,
        0,
        text,
        {"value": 951.25, "limit": 900.0},
    )


def drain(cursor: Cursor, max_rows=1000, answer=None):
    """Reads and delivers all there is; the numbers of the rows."""
    out = []
    while (batch := cursor.read(max_rows)) is not None:
        out += numbers(batch.frame)
        cursor.advance(batch, answer or Answer())
    return out


def crash(path: Path, to: Path) -> Path:
    """What is on disk now, as a kill would leave it; the journal that is open goes on elsewhere."""
    return Path(shutil.copytree(path, to))


def segment_files(path: Path):
    return sorted(path.glob("*.segment"))


def balanced(ledger: Ledger):
    assert ledger.balanced, ledger
    assert min([ledger.delivered, ledger.waiting, ledger.quarantined, *ledger.dropped.values()]) >= 0, ledger
    return True
