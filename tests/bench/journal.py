"""What a value costs in the journal: CPU, bytes on disk, and how long a sync takes.

Beside it, what most peers have for a disk buffer: rows put into SQLite (WAL, one commit a frame), which is the plain
library loop here. Bytes a value are those of the chunks, heads and all.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.api import Answer
from edge_agent.clock import SystemClock
from edge_agent.config.agent import JournalSection
from edge_agent.journal import Journal
from edge_agent.journal.history import History
from edge_agent.model import Frame, Machine, Tag, TagTable
from tests.bench.record import Record

TAGS = 10_000
MACHINES = 60
FRAMES = 60
SMALL = 20
CHUNK = 2000
HOURS = 2
_READINGS = 7
TICK = 100_000_000
START = 1_790_000_000_000_000_000
Figures = dict[str, float]
Levels = npt.NDArray[np.float64]


def _tags() -> TagTable:
    machines = [Machine("busan", f"line_{i % 4}", f"furnace_{i}", "furnace") for i in range(MACHINES)]
    return TagTable([Tag(f"zone_{i // MACHINES}_temp", machines[i % MACHINES], "plc", unit="℃") for i in range(TAGS)])


def noisy(count: int = FRAMES) -> Iterator[Frame]:
    """All tags at 10 Hz, every mantissa bit alive; source times differ by less than the interval."""
    chance = np.random.default_rng(7)
    for turn in range(count):
        now = START + turn * TICK
        yield Frame.of_floats(np.arange(TAGS), now, chance.normal(850.0, 5.0, TAGS), received=now + 3_141_592)


def slow(count: int = FRAMES) -> Iterator[Frame]:
    """All tags once a second as instruments show them: one decimal, a step now and then."""
    chance = np.random.default_rng(7)
    values = chance.uniform(20.0, 900.0, TAGS)
    for turn in range(count):
        now = START + turn * 10 * TICK
        values += chance.normal(0.0, 0.1, TAGS)
        yield Frame.of_floats(np.arange(TAGS), now, np.round(values, 1), received=now + 3_141_592)


def small(count: int = 2000) -> Iterator[Frame]:
    """Twenty values at a time, each with a source time of its own."""
    chance = np.random.default_rng(7)
    for turn in range(count):
        times = START + turn * TICK + np.sort(chance.integers(0, TICK // 100, SMALL)) * 100
        tags = chance.integers(0, TAGS, SMALL)
        yield Frame.of_floats(tags, times, chance.normal(850.0, 5.0, SMALL), received=START + turn * TICK)


def scans(tags: int, rate: int, count: int, make: Callable[[Levels], Levels], rows: int = CHUNK) -> Iterator[Frame]:
    """`tags` tags `rate` times a second, in frames of about `rows` rows of whole scans, at levels from 20 to 900.

    `make` takes the levels of each scan (scans, tags), which wander by 0.1 a second, and gives the values.
    """
    chance = np.random.default_rng(7)
    levels, each, numbers = chance.uniform(20.0, 900.0, tags), max(1, rows // tags), np.arange(tags)
    for turn in range(count):
        wander = levels + chance.normal(0.0, 0.1 / rate**0.5, (each, tags)).cumsum(axis=0)
        levels = wander[-1]
        now = START + (np.arange(turn * each, (turn + 1) * each) * 10 * TICK) // rate
        late = chance.integers(1_000_000, 4_000_000, each)
        yield Frame.of_floats(
            np.tile(numbers, each), np.repeat(now, tags), make(wander).ravel(), received=np.repeat(now + late, tags)
        )


def _one_decimal(levels: Levels) -> Levels:
    return np.round(levels, 1)


def _two_decimals(levels: Levels) -> Levels:
    return np.round(levels, 2)


def _noise(levels: Levels) -> Levels:
    return levels + np.random.default_rng(11).normal(0.0, 5.0, levels.shape)


def figures(folder: Path) -> dict[str, Figures]:
    """All that is measured, by case."""
    return {
        "journal_append": _append(folder / "noisy", noisy),
        "journal_append_slow": _append(folder / "slow", slow),
        "journal_append_small": _append(folder / "small", small),
        "journal_slow_1000": _append(folder / "slow_1000", lambda: scans(1000, 1, 150, _one_decimal)),
        "journal_slow_100": _append(folder / "slow_100", lambda: scans(100, 10, 150, _two_decimals)),
        "journal_noisy_1000": _append(folder / "noisy_1000", lambda: scans(1000, 1, 150, _noise)),
        "journal_noisy_100": _append(folder / "noisy_100", lambda: scans(100, 10, 150, _noise)),
        "journal_read": _read(folder / "noisy"),
        "journal_open": _open(folder / "noisy"),
        "journal_history": _history(folder / "history", HOURS),
        "sqlite": _sqlite(folder / "peer.db", 10),
    }


def bench(folder: Path | None = None) -> list[Record]:
    """The records of `./run bench`."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="bench-journal-") as made:
            return bench(Path(made))
    measured = figures(folder)
    library = measured.pop("sqlite")
    return [_record(name, each, library) for name, each in measured.items()]


def _record(name: str, measured: Figures, library: Figures) -> Record:
    cost = measured.get("cpu_s_per_million")
    ours = cost if name == "journal_append" else None
    return Record(
        name,
        values_per_s=measured.get("values_per_s"),
        cpu_s_per_million=cost,
        p50_ms=measured.get("p50_ms"),
        p99_ms=measured.get("p99_ms"),
        lost=0,
        ratio_to_library=None if ours is None else ours / library["cpu_s_per_million"],
        bytes_per_value=measured.get("bytes_per_value"),
    )


_TABLE = _tags()


def _journal(path: Path) -> Journal:
    return Journal.open(path, _TABLE, JournalSection(), SystemClock())


def _append(path: Path, make: Callable[[], Iterator[Frame]]) -> Figures:
    """Appends with one sync a second of source time; the latency is that of a sync."""
    frames = list(make())
    journal = _journal(path)
    journal.append(frames[0])
    journal.sync()
    written, syncs, rows = _bytes(path, journal), [], sum(map(len, frames))
    cpu, wall = time.process_time(), time.perf_counter()
    for turn, frame in enumerate(frames):
        journal.append(frame)
        if turn % 10 == 9:
            syncs.append(_timed(journal.sync))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    written = _bytes(path, journal) - written
    journal.close()
    return {
        "values_per_s": rows / wall,
        "cpu_s_per_million": cpu / rows * 1e6,
        "bytes_per_value": written / rows,
        "p50_ms": statistics.median(syncs),
        "p99_ms": max(syncs),
    }


def _bytes(path: Path, journal: Journal) -> int:
    """Written so far, headers and all, without what is only reserved."""
    sealed = sorted(path.glob("*.segment"))[:-1]
    return sum(each.stat().st_size for each in sealed) + journal.view.end


def _timed(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def _read(path: Path) -> Figures:
    """A backlog read from disk in batches and passed."""
    journal = _journal(path)
    cursor, rows = journal.cursor("hub"), 0
    cpu, wall = time.process_time(), time.perf_counter()
    while (batch := cursor.read(50_000)) is not None:
        rows += len(batch.frame)
        cursor.advance(batch, Answer())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if not cursor.ledger().balanced or rows != journal.view.rows:
        raise SystemExit("the journal lost rows")
    journal.close()
    return {"values_per_s": rows / wall, "cpu_s_per_million": cpu / rows * 1e6}


def _open(path: Path) -> Figures:
    """Opening after a stop in order; the last segment is checked whole."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        journal = _journal(path)
        times.append((time.perf_counter() - began) * 1e3)
        journal.close()
    return {"p50_ms": statistics.median(times), "p99_ms": max(times)}


def day(folder: Path) -> list[Record]:
    """Case journal_day: one tag of 1,000 at 1 Hz for 24 hours, read out of 86.4 million values. Takes a minute."""
    measured = _history(folder / "history", 24)
    return [_record("journal_day", measured, {})]


def _history(path: Path, hours: int) -> Figures:
    """One tag out of 1,000 at 1 Hz, read by a History that has not seen the store before; bytes are in the page cache.

    The CPU is that of a reading per million values that the journal holds, not per value read.
    """
    tags = TagTable(list(_TABLE)[:1000])
    journal = Journal.open(path, tags, JournalSection(), SystemClock())
    for frame in scans(1000, 1, hours * 3600, _one_decimal, rows=1000):
        journal.append(frame)
    journal.close()
    times, cpu = [], time.process_time()
    for turn in range(_READINGS):
        reading = History(path).frames([tags.paths[turn * 100]], newest_first=turn % 2 == 1)
        began = time.perf_counter()
        if len(reading.frame()) != hours * 3600 or reading.skipped.stretches:
            raise SystemExit("the history lacks rows")
        times.append((time.perf_counter() - began) * 1e3)
    rows = hours * 3_600_000
    return {
        "values_per_s": rows / (statistics.median(times) / 1e3),
        "cpu_s_per_million": (time.process_time() - cpu) / _READINGS / rows * 1e6,
        "bytes_per_value": _bytes(path, journal) / rows,
        "p50_ms": statistics.median(times),
        "p99_ms": max(times),
    }


def _sqlite(path: Path, count: int) -> Figures:
    """The plain loop: one row a value, one transaction a frame."""
    paths = _TABLE.paths
    rows = 0
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE sample (path TEXT, time INTEGER, value REAL, status INTEGER)")
        cpu, wall = time.process_time(), time.perf_counter()
        for frame in noisy(count):
            values = zip(frame.tag.tolist(), frame.time.tolist(), frame.floats().tolist(), strict=True)
            with database:
                database.executemany(
                    "INSERT INTO sample VALUES (?, ?, ?, 0)", ((paths[tag], when, value) for tag, when, value in values)
                )
            rows += len(frame)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "values_per_s": rows / wall,
        "cpu_s_per_million": cpu / rows * 1e6,
        "bytes_per_value": path.stat().st_size / rows,
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-journal-") as folder:
        for name, each in figures(Path(folder)).items():
            print(f"{name:22}", "  ".join(f"{key}={value:.4g}" for key, value in each.items()))


if __name__ == "__main__":
    main()
