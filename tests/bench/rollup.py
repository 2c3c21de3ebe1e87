"""What one-minute rollups cost beside the journal, and how soon a month of one tag is read again.

`rollup_cost`: CPU of the roller for 10,000 tags at 10 Hz. `rollup_read`:
30 days of one tag out of 1,000, from chunks of an hour each as the roller writes them. Beside the first, the plain
library loop: a dictionary of tag and minute, one value at a time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.clock import SystemClock
from edge_agent.config.agent import JournalSection
from edge_agent.journal import Journal
from edge_agent.journal.long import Long, Position, long_path
from edge_agent.journal.roller import Roller
from edge_agent.journal.rollup import MINUTE_NS, Rollups, mean_of, rollup_entry
from edge_agent.journal.rollup_reader import RollupReader
from edge_agent.model import Frame, Machine, Tag, TagTable
from tests.bench import journal as raw
from tests.bench.record import Record

SCANS = 300
VALUES_A_MINUTE = 600
DAYS = 30
TAGS = 1000
HOUR = 60
Figures = dict[str, float]


def figures(folder: Path) -> dict[str, Figures]:
    """All that is measured, by case."""
    return {"rollup_cost": _cost(folder / "cost"), "rollup_read": _read(folder / "read")}


def bench(folder: Path | None = None) -> list[Record]:
    """The records of `./run bench`."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="bench-rollup-") as made:
            return bench(Path(made))
    measured = figures(folder)
    cost, read = measured["rollup_cost"], measured["rollup_read"]
    return [
        Record(
            "rollup_cost",
            values_per_s=1e6 / cost["cpu_s_per_million"],
            cpu_s_per_million=cost["cpu_s_per_million"],
            lost=0,
            ratio_to_library=cost["cpu_s_per_million"] / cost["library_cpu_s_per_million"],
        ),
        Record("rollup_read", p50_ms=read["p50_ms"], p99_ms=read["p99_ms"], lost=0),
    ]


def _scans() -> Iterator[Frame]:
    """Ten seconds of values, again and again, at times of their own."""
    frames = list(raw.noisy(100))
    for turn in range(SCANS):
        now = np.broadcast_to(np.int64(raw.START + turn * raw.TICK), raw.TAGS)
        yield replace(frames[turn % len(frames)], time=now, received=now)


def _cost(path: Path) -> Figures:
    """Reading and adding up is measured as it goes on; packing on an hour's chunk: a minute's row for its values."""
    tags, clock = raw._TABLE, SystemClock()
    journal = Journal.open(path, tags, JournalSection(), clock)
    roller = Roller(journal, tags, JournalSection(), clock)
    roller.turn()
    cpu, rows = 0.0, 0
    for turn, frame in enumerate(_scans()):
        journal.append(frame)
        rows += len(frame)
        if turn % 10 == 9:
            cpu += _cpu(lambda: _all(roller))
    journal.sync()
    roller.close()
    journal.close()
    found = RollupReader(path).rollups(tags.paths, 0, 1 << 62)
    if int(found.count.sum()) != rows:
        raise SystemExit("rollups lost rows")
    hour = next(_hours(TAGS))
    packing = _cpu(lambda: rollup_entry(hour, (), {})) / len(hour) / VALUES_A_MINUTE
    return {
        "cpu_s_per_million": (cpu / rows + packing) * 1e6,
        "packing_cpu_s_per_million": packing * 1e6,
        "library_cpu_s_per_million": _library(),
    }


def _cpu(call: Any) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def _all(roller: Roller) -> None:
    while roller.turn():
        pass


def _library() -> float:
    frames = list(raw.noisy(10))
    out: dict[tuple[int, int], list[float]] = {}
    began = time.thread_time()
    for frame in frames:
        rows = zip(frame.tag.tolist(), frame.time.tolist(), frame.floats().tolist(), strict=True)
        for tag, when, value in rows:
            cell = out.setdefault((tag, when // MINUTE_NS), [0.0, 0.0, value, value, value])
            cell[0] += 1
            cell[1] += value
            cell[2], cell[3], cell[4] = min(cell[2], value), max(cell[3], value), value
    return (time.thread_time() - began) / sum(map(len, frames)) * 1e6


def _hours(tags: int) -> Iterator[Rollups]:
    """Slow signals as instruments show them: one decimal, wandering."""
    chance = np.random.default_rng(7)
    level = chance.uniform(20.0, 900.0, tags)
    first = raw.START // MINUTE_NS
    for hour in range(DAYS * 24):
        level = level + chance.normal(0.0, 0.5, tags)
        middle = np.repeat(level, HOUR) + chance.normal(0.0, 0.3, tags * HOUR)
        low, high, last = (np.round(middle + shift, 1) for shift in (-0.4, 0.4, 0.1))
        count = np.full(tags * HOUR, 60)
        minute = np.tile(first + hour * HOUR + np.arange(HOUR), tags)
        tag = np.repeat(np.arange(tags, dtype=np.int32), HOUR)
        mean = mean_of(middle * 60, count, low, high)
        yield Rollups(tag, minute, count, count, count, low, high, mean, last, np.full(tags * HOUR, 59_000))


def _read(path: Path) -> Figures:
    machine = Machine("busan", "heat", "furnace_1", "furnace")
    tags = TagTable([Tag(f"temp_{i}", machine, "plc") for i in range(TAGS)])
    long = Long.open(long_path(path), tags, JournalSection(), SystemClock())
    for rollups in _hours(TAGS):
        long.put([rollup_entry(rollups, (), Position().meta(0))])
    size, rows = sum(segment.size for segment in long.view.segments), long.view.rows
    long.close()
    times, cpus = [], []
    for number in range(0, TAGS, TAGS // 10):
        wall, cpu = time.perf_counter(), time.thread_time()
        found = RollupReader(path).rollups([tags.paths[number]], 0, 1 << 62)
        times.append((time.perf_counter() - wall) * 1e3)
        cpus.append((time.thread_time() - cpu) * 1e3)
        if len(found) != DAYS * 24 * HOUR:
            raise SystemExit("rollups are missing")
    return {
        "p50_ms": statistics.median(times),
        "p99_ms": max(times),
        "cpu_p50_ms": statistics.median(cpus),
        "bytes_per_row": size / rows,
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-rollup-") as folder:
        for name, each in figures(Path(folder)).items():
            print(f"{name:22}", "  ".join(f"{key}={value:.4g}" for key, value in each.items()))


if __name__ == "__main__":
    main()
