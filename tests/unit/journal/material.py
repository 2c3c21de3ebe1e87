"""What the journal's tests are made of: tables, frames, a clock, a journal that can be left lying."""

import shutil
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from edge_agent.api import Answer
from edge_agent.config.agent import JournalSection
from edge_agent.journal import Cursor, Journal, Ledger
from edge_agent.model import (
    Event,
    EventClass,
    EventState,
    Frame,
    Kind,
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


def section(segment="64KiB", total="64MiB"):
    return JournalSection(segment_bytes=segment, max_bytes=total)


def open_journal(path, tags=TABLE, clock=None, **sizes):
    return Journal.open(path, tags, section(**sizes), clock or ManualClock())


def frame(start, rows=4, tags=8):
    """Rows that tell which they are: values start, start + 1 …, one a second."""
    numbers = np.arange(start, start + rows)
    return Frame.of_floats(numbers % tags, NOON + numbers * SECOND, numbers + 0.25)


def numbers(frame):
    """The opposite: which rows are in a frame."""
    return (frame.floats() - 0.25).astype(int).tolist()


def event(name="e1", text=Label("온도가 높습니다", "temperature is high")):
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


_INT64 = st.integers(-(2**63), 2**63 - 1)
_BITS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.floats(width=64).map(lambda x: int(np.float64(x).view(np.uint64))),
    st.integers(-9999, 9999).map(lambda x: int(np.float64(x / 100).view(np.uint64))),
    st.integers(0, 1),
)
_TEXTS = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["가열 중", "정지", "", "\x00", "\ud800"])), max_size=5)
_STATUS = st.sampled_from([0, 0x40000000, 0x80000000, 0x80320000, 0x480, 0xFFFFFFFF])


@st.composite
def columns_of(draw, rows, values):
    """A column: constant, broadcast, or any."""
    how = draw(st.integers(0, 3))
    if how == 0:
        return [draw(values)] * rows
    if how == 1:
        few = draw(st.lists(values, min_size=1, max_size=3))
        return [few[i % len(few)] for i in range(rows)]
    return draw(st.lists(values, min_size=rows, max_size=rows))


@st.composite
def frames(draw, max_rows=80, tags=8):
    """Frames of every kind, with all that can be in a column."""
    rows = draw(st.integers(1, max_rows))
    texts = tuple(draw(_TEXTS))
    kinds = [k for k in Kind if k != Kind.TEXT or texts]
    kind = np.array(draw(columns_of(rows, st.sampled_from(kinds))), np.uint8)
    bits = np.array(draw(columns_of(rows, _BITS)), np.uint64)
    if texts:
        bits[kind == Kind.TEXT] %= np.uint64(len(texts))
    time = np.array(draw(columns_of(rows, _INT64)), np.int64)
    received = time if draw(st.booleans()) else np.broadcast_to(np.int64(draw(_INT64)), rows)
    return Frame(
        np.array(draw(columns_of(rows, st.integers(0, tags - 1))), np.int32),
        time,
        received,
        bits,
        kind,
        np.array(draw(columns_of(rows, _STATUS)), np.uint32),
        np.array(draw(columns_of(rows, st.integers(0, 65535))), np.uint16),
        texts,
    )
