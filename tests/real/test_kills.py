"""SIGKILL a hundred times at random under load, into a real InfluxDB (a thousand times with --long).

0 accepted samples lost, 0 duplicates visible, the first flush 5 s after a start at the latest. What was accepted is not
asked of the journal: each life of the courier writes it down before it goes on. On the way the hub is away for a fifth
of the lives, so kills also hit what was left behind and follows later. The whole agent is killed in
test_end_to_end.py.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edge_agent.journal import Ledger
from tests.real import courier
from tests.servers.databases import InfluxDB
from tests.servers.process import clean_environment, poll


class Lives:
    """What was said by all of them, and the order for the next."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._said = process, folder / "said"
        self._read = 0
        self.accepted = 0
        """Rows of which it was said that they are accepted."""
        self.unsaid = 0
        """Frames that were accepted in the very moment of a kill, and not said any more."""
        self.flushes: list[float] = []

    def order(self, word: str) -> int:
        """Begins a life; gives its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word} {time.monotonic()}\n")
        self._process.stdin.flush()
        return int(self._answer("born")[0])

    def _answer(self, word: str) -> list[str]:
        assert self._process.stdout is not None
        said, *figures = self._process.stdout.readline().split() or ["nothing"]
        assert said == word, f"{said}, where {word} was to come"
        return figures

    def end(self) -> int:
        """Waits for the end of a life; its exit code."""
        return int(self._answer("ended")[1])

    def hear(self) -> set[str]:
        """Takes in what was said since the last time; the words."""
        with self._said.open() as file:
            file.seek(self._read)
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        self._read += sum(map(len, whole))
        for line in whole:
            word, figure = line.split()
            self._take(word, float(figure))
        return {line.split()[0] for line in whole}

    def _take(self, word: str, figure: float) -> None:
        if word == "flushed":
            self.flushes.append(figure)
            return
        rows = int(figure)
        if word == "began":
            assert rows - self.accepted in (0, courier.FRAME), "what was accepted, and at most what was not said"
            self.unsaid += rows != self.accepted
        self.accepted = rows


@contextmanager
def lives_of(folder: Path, hub: InfluxDB) -> Iterator[Lives]:
    folder.mkdir()
    (folder / "token").write_text(hub.token)
    (folder / "said").touch()
    command = [sys.executable, "-m", "tests.real.courier", str(folder), hub.url, hub.org, hub.bucket]
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=clean_environment(),
            cwd=Path(__file__).parents[2],
        )
    try:
        yield Lives(process, folder)
    finally:
        process.kill()  # a life that it has still begun ends of itself, for it looks after its parent
        process.communicate()


def killed(lives: Lives, seconds: float, *, flushing: bool) -> None:
    """One life, up to its violent end. `flushing`: not before it has delivered something, and then so much longer."""
    pid = lives.order("work")
    try:
        if flushing:
            poll("the first flush", lambda: "flushed" in lives.hear(), 60)
        time.sleep(seconds)  # how long it lives is the test's input
    finally:
        os.kill(pid, signal.SIGKILL)
    assert lives.end() == -signal.SIGKILL
    lives.hear()


def judge_database(hub: InfluxDB, rows: int) -> None:
    """Exactly the rows from 0 up to `rows`, each with its value, and their events."""
    numbers = np.arange(rows)
    tags = len(courier.TAGS)
    values = courier.row_values(numbers).reshape(-1, tags)
    times = courier.row_times(numbers[::tags]).tolist()
    found = hub.query_influxql("SELECT * FROM furnace")
    assert [row["time"] for row in found] == times, f"{len(found)} points where {len(times)} were accepted"
    fields = [tag.name for tag in courier.TAGS]
    assert np.array_equal(np.array([[row[field] for field in fields] for row in found]), values)
    events = hub.query_influxql("SELECT id FROM event WHERE detector = 'hampel'")
    assert {event["id"] for event in events} == {f"e{row}" for row in range(0, rows, courier.EVENT_EVERY)}
    assert len(events) == -(-rows // courier.EVENT_EVERY)
    assert set(hub.measurements()) <= {"furnace", "event", "quality"}


def judge_ledger(ledger: Ledger, rows: int) -> None:
    facts = (ledger.collected, ledger.delivered, ledger.waiting, ledger.quarantined, dict(ledger.dropped))
    assert facts == (rows, rows, 0, 0, {}), "each row once, however often it was sent"


def kill_often(folder: Path, hub: InfluxDB, kills: int, longest: float, record: Callable[[str, object], None]) -> None:
    """So many kills; each life takes up to `longest` seconds."""
    chance = random.Random(11)  # a fixed seed: the same lives each time, as far as the machine lets them be
    away = range(2 * kills // 5, 3 * kills // 5)
    with lives_of(folder, hub) as lives:
        for number in range(kills):
            if number == away.start:
                hub.stop()
            if number == away.stop:
                hub.start()
            killed(lives, chance.uniform(0, longest), flushing=number not in away and number % 5 == 0)
        lives.order("finish")
        assert lives.end() == 0, (folder / "errors").read_text()[-2000:]
        lives.hear()
    journal = courier.open_journal(folder)
    rows, ledger = journal.view.rows, journal.ledger("hub")
    assert not journal.report.damaged
    journal.close()
    assert rows == lives.accepted
    judge_ledger(ledger, rows)
    judge_database(hub, rows)
    figures = {
        "kills": kills,
        "rows": rows,
        "accepted and not said": lives.unsaid,
        "flushes measured": len(lives.flushes),
        "first flush after, s (median)": round(statistics.median(lives.flushes), 3),
        "first flush after, s (longest)": round(max(lives.flushes), 3),
    }
    record("figures", figures)
    print(figures)
    assert len(lives.flushes) >= kills // 6
    assert statistics.median(lives.flushes) <= 5.0, "a machine may be busy, but not all the time"


@pytest.mark.timeout(180)
def test_a_hundred_kills_lose_nothing_and_double_nothing(
    tmp_path: Path, influxdb: InfluxDB, record_property: Callable[[str, object], None]
) -> None:
    kill_often(tmp_path / "courier", influxdb, 100, 0.12, record_property)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_kills_lose_nothing_and_double_nothing(
    tmp_path: Path, influxdb: InfluxDB, record_property: Callable[[str, object], None]
) -> None:
    kill_often(tmp_path / "courier", influxdb, 1000, 0.5, record_property)
