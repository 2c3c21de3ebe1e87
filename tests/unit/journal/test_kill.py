"""A process that writes is killed with SIGKILL at random: what was accepted is there, and the ledger is exact."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.journal.material import balanced, drain, open_journal, segment_files

HERE = Path(__file__).parents[3]
SIZES = {"segment": "32KiB", "total": "64MiB"}

WRITER = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from edge_agent.api import Answer, Refusal
from tests.unit.journal.material import *

journal = open_journal(Path(sys.argv[2]), segment="32KiB", total="64MiB")
hub = journal.cursor("hub")
out = threading.Lock()

def say(*words):
    with out:
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def deliver():
    turn = 0
    while True:
        batch = hub.read(37)
        if batch is None:
            time.sleep(0.001)
            continue
        hub.advance(batch, Answer([Refusal([0], "bad")] if turn % 5 == 0 else ()))
        say("passed", hub.state.row, hub.state.quarantined.total)
        turn += 1

threading.Thread(target=deliver, daemon=True).start()
row = journal.view.rows
say("began", row, sum(journal.view.lost.values()))
lost = 0
for turn in range(10**9):
    journal.append(frame(row, 23))
    row += 23
    say("rows", row)
    if turn % 11 == 3:
        journal.lose("overflow", 1)
        lost += 1
        say("lost", sum(journal.view.lost.values()))
    if turn % 17 == 5:
        journal.sync()
"""


def life(path, seconds):
    """One life of the writer, up to its violent end: the last word it gave on each thing."""
    told = {}
    command = [sys.executable, "-c", WRITER, str(HERE), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        first = process.stdout.readline()
        time.sleep(seconds)  # how long it lives is the test's input, not something that is waited for
        process.kill()
        rest, errors = process.communicate()
    assert first, errors.decode()
    lines = (first + rest).decode().splitlines(keepends=True)
    for line in lines:
        if line.endswith("\n"):
            what, *figures = line.split()
            told[what] = [int(figure) for figure in figures]
    return told


def check(path, told):
    """Everything it told is in the journal, and no more than one step beyond."""
    journal = open_journal(path, **SIZES)
    assert not journal.report.clean
    assert not journal.report.damaged
    view, hub = journal.view, journal.cursor("hub")
    assert told.get("rows", told["began"])[0] <= view.rows <= told.get("rows", told["began"])[0] + 23
    lost = sum(view.lost.values())
    assert told.get("lost", [told["began"][1]])[0] <= lost <= told.get("lost", [told["began"][1]])[0] + 1
    if "passed" in told:
        assert told["passed"][0] <= hub.state.row <= told["passed"][0] + 37
        assert told["passed"][1] <= hub.state.quarantined.total <= told["passed"][1] + 1
    ledger = hub.ledger()
    assert balanced(ledger)
    assert ledger.collected == view.rows + lost
    assert len(hub.quarantine_path.read_bytes().splitlines() if hub.quarantine_path.exists() else []) == (
        ledger.quarantined
    )
    journal.close()


def lives(path, count, longest):
    chance = random.Random(7)  # a fixed seed, so that a failure comes again
    for _ in range(count):
        check(path, life(path, chance.uniform(0, longest)))
    journal = open_journal(path, **SIZES)
    rows = drain(journal.cursor("all"), 100_000)
    assert rows == list(range(journal.view.rows)), "each accepted row, once, in order"
    assert len(segment_files(path)) > 1
    journal.close()


@pytest.mark.timeout(180)
def test_ten_kills_lose_nothing_that_was_accepted(tmp_path):
    lives(tmp_path / "journal", 10, 0.4)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_nothing_that_was_accepted(tmp_path):
    lives(tmp_path / "journal", 200, 1.5)
