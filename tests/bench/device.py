"""How much the journal writes to a card: bytes that reach the block device, as the kernel counts them.

A file system of its own (ext4 in a file, mounted through a loop device) holds nothing but a journal with one sink. For
a minute of real time, after one to settle, 1,000 slow values a second go in as they do in life: 100 rows every 100 ms,
a sync every 5 s, a sink that takes everything at once. `/sys/block/loopN/stat` then says how many sectors were written:
rows, heads, cursor, front, and what ext4 adds for them. A day is 1,440 of these minutes.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edge_agent.api import Answer
from edge_agent.clock import SystemClock
from edge_agent.config.agent import JournalSection
from edge_agent.journal import Journal
from edge_agent.model import Frame, Machine, Tag, TagTable
from tests.bench.record import Record
from tests.servers.cache import MissingService

TAGS = 1000
ROWS = 100
TICK_S = 0.1
SYNC_S = 5.0
SECONDS = 60
DAY_S = 86_400
_SECTOR = 512
_WRITTEN = 6
"""Which figure of /sys/block/*/stat counts sectors written."""
_MACHINES = 10


@contextmanager
def loop_disk(folder: Path, size: int = 256 << 20) -> Iterator[tuple[Path, Path]]:
    """A mounted ext4 of its own and its statistics. Raises MissingService where this may not be done."""
    image, point = folder / "image", folder / "disk"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise MissingService("ext4 on a loop device", "run as root, with e2fsprogs and CAP_SYS_ADMIN") from error
    try:
        device = point.stat().st_dev
        yield point, Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    finally:
        subprocess.run(["umount", str(point)], check=True)


def _tags() -> TagTable:
    machines = [Machine("busan", "line_1", f"furnace_{i}", "furnace") for i in range(_MACHINES)]
    return TagTable([Tag(f"zone_{i // _MACHINES}_temp", machines[i % _MACHINES], "plc", unit="℃") for i in range(TAGS)])


def _frames() -> Iterator[Frame]:
    """Each tag once a second, a hundred of them at a time; one decimal, a step now and then."""
    chance = np.random.default_rng(7)
    values = chance.uniform(20.0, 900.0, TAGS)
    turn = 0
    while True:
        tags = np.arange(ROWS, dtype=np.int32) + turn * ROWS % TAGS
        values[tags] += chance.normal(0.0, 0.1, ROWS)
        now = time.time_ns()
        yield Frame.of_floats(tags, now // 1_000_000 * 1_000_000, np.round(values[tags], 1), received=now)
        turn += 1


def _sectors(stat: Path) -> int:
    return int(stat.read_text().split()[_WRITTEN])


def _sync_often(journal: Journal, stop: threading.Event) -> None:
    while not stop.wait(SYNC_S):
        journal.sync()


def _live(journal: Journal, seconds: float, frames: Iterator[Frame]) -> int:
    """Appends in real time and delivers at once; how many rows."""
    cursor, rows, began = journal.cursor("hub"), 0, time.monotonic()
    for turn in range(int(seconds / TICK_S)):
        time.sleep(max(0.0, began + turn * TICK_S - time.monotonic()))
        frame = next(frames)
        journal.append(frame)
        rows += len(frame)
        while (batch := cursor.read(50_000)) is not None:
            cursor.advance(batch, Answer())
    return rows


def measure(folder: Path, seconds: float = SECONDS) -> dict[str, float]:
    """Bytes on the device a day and a value, and the CPU of it."""
    with loop_disk(folder) as (disk, stat):
        journal = Journal.open(disk / "journal", _tags(), JournalSection(), SystemClock())
        frames, stop = _frames(), threading.Event()
        syncing = threading.Thread(target=_sync_often, args=(journal, stop))
        syncing.start()
        try:
            _live(journal, seconds, frames)
            before, cpu = _sectors(stat), time.process_time()
            rows = _live(journal, seconds, frames)
            written, cpu = (_sectors(stat) - before) * _SECTOR, time.process_time() - cpu
        finally:
            stop.set()
            syncing.join()
            journal.close()
    return {
        "bytes_per_day": written / seconds * DAY_S,
        "bytes_per_value": written / rows,
        "cpu_s_per_million": cpu / rows * 1e6,
    }


def bench(folder: Path) -> list[Record]:
    """The record of `./run bench journal_device`."""
    measured = measure(folder)
    print(", ".join(f"{name} {value:,.2f}" for name, value in measured.items()), flush=True)
    return [Record("journal_device", values_per_s=ROWS / TICK_S, cpu_s_per_million=measured["cpu_s_per_million"])]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-device-") as folder:
        bench(Path(folder))


if __name__ == "__main__":
    main()
