"""A process that collects and rolls up is killed with SIGKILL at random: its rollups are those of its rows."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_agent.api import Answer
from edge_agent.journal.roller import Roller
from edge_agent.journal.rollup_reader import RollupReader
from edge_agent.journal.verify import verify
from tests.unit.journal.material import TABLE, ManualClock, open_journal, section
from tests.unit.journal.test_rollup import EVER, PATHS, same

HERE = Path(__file__).parents[3]

WRITER = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from edge_agent.journal.roller import EVERY_S, Roller
from tests.unit.journal.material import *

clock = ManualClock()
journal = open_journal(Path(sys.argv[2]), clock=clock, segment="256KiB", total="256MiB")
roller = Roller(journal, TABLE, section(), clock)

def roll():
    turn = 0
    while True:
        while roller.turn():
            pass
        if roller.error is not None:
            raise SystemExit(str(roller.error))
        turn += 1
        if turn % 3 == 0:
            clock.tick(EVERY_S)

threading.Thread(target=roll, daemon=True).start()
row = journal.view.rows
os.write(1, b"began\\n")
for turn in range(10**9):
    journal.append(frame(row, 1 + turn % 300), [event(f"e{row}")] if turn % 50 == 7 else [])
    row += 1 + turn % 300
    if turn % 5 == 3:
        journal.sync()
"""


def life(path, seconds):
    command = [sys.executable, "-c", WRITER, str(HERE), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        first = process.stdout.readline()
        time.sleep(seconds)  # how long it lives is the test's input, not something that is waited for
        process.kill()
        _, errors = process.communicate()
    assert first == b"began\n", errors.decode()
    assert not errors, errors.decode()


def lives(path, count, longest):
    chance = random.Random(11)  # a fixed seed, so that a failure comes again
    for _ in range(count):
        life(path, chance.uniform(0, longest))
        assert verify(path).sound
    killed = RollupReader(path).rollups(PATHS, *EVER)
    clock = ManualClock()
    journal = open_journal(path, clock=clock, segment="256KiB", total="256MiB")
    roller = Roller(journal, TABLE, section(), clock)
    roller.close()
    assert roller.error is None
    frames, events = [], []
    cursor = journal.cursor("all")
    while (batch := cursor.read(100_000)) is not None:
        frames.append(batch.frame)
        events += [event.id for event in batch.events]
        cursor.advance(batch, Answer())
    assert same(killed, frames), "what a reader made of it before anything was mended"
    assert same(RollupReader(path).rollups(PATHS, *EVER), frames)
    assert [event.id for event in RollupReader(path).events(*EVER)] == events
    assert roller.missed == 0
    position = roller.long.view.sequence
    journal.close()
    assert position > count, "chunks of the long store were written in these lives"


@pytest.mark.timeout(120)
def test_five_kills_leave_the_rollups_of_all_rows(tmp_path):
    lives(tmp_path / "journal", 5, 0.4)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_kills_leave_the_rollups_of_all_rows(tmp_path):
    lives(tmp_path / "journal", 100, 1.0)
