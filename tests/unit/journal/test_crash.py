"""A kill at every step: before each call that changes the disk, and in the middle of each write."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.api import Answer, Refusal
from edge_agent.journal import disk
from edge_agent.journal.place import CursorState
from tests.unit.journal.material import balanced, drain, event, frame, numbers, open_journal, table

SIZES = {"segment": "4KiB", "total": "12KiB"}
STEPS = (
    "create",
    "write",
    "truncate",
    "reserve",
    "sync",
    "sync_directory",
    "rename",
    "remove",
    "make_directory",
    "lock",
)


@dataclass
class Known:
    """What the journal's user had been told at some moment."""

    appended: int = 0
    lost: int = 0
    states: list[CursorState] = field(default_factory=list)


class Witness:
    """Copies the directory before each step that changes it, with what was known then."""

    def __init__(self, path, to, monkeypatch, every):
        self.path, self.to, self.every = path, to, every
        self.known = Known()
        self.steps = 0
        self.copies: list[tuple[Path, str, Known]] = []
        for name in STEPS:
            monkeypatch.setattr(disk, name, self.step(name, getattr(disk, name)))

    def step(self, name, call):
        def stepped(*args):
            self.copy(name)
            if name == "write" and len(args[1]) > 1:
                fd, data, at = args
                call(fd, data[: len(data) // 2], at)
                self.copy("half a write")
            return call(*args)

        return stepped

    def copy(self, name):
        self.steps += 1
        if self.path.exists() and self.steps % self.every == 0:
            to = self.to / str(self.steps)
            shutil.copytree(self.path, to, symlinks=True)
            states = self.known.states[-1:]
            self.copies.append((to, name, Known(self.known.appended, self.known.lost, states)))


def live(witness, rounds, tags):
    """A life with everything in it: rotation, losses, two sinks, quarantine, retention, a restart."""
    known = witness.known
    for life in range(2):
        journal = open_journal(witness.path, tags=tags, **SIZES)
        hub, lazy = journal.cursor("hub"), journal.cursor("lazy")
        if not known.states:
            known.states.append(hub.state)
        for turn in range(rounds):
            journal.append(frame(known.appended, 30, len(tags)), [event(f"{life}-{turn}")])
            known.appended += 30
            if turn % 7 == 2:
                journal.lose("overflow", 3)
                known.lost += 3
            if turn % 5 == 3:
                journal.sync()
            batch = hub.read(25)
            hub.advance(batch, Answer([Refusal([turn % 10], "bad")] if turn % 3 == 0 else (), {"superseded": 1}))
            known.states.append(hub.state)
            if turn % 20 == 19:
                lazy.advance(lazy.read(100), Answer())
        journal.close()


def check(path, name, known, tags):
    journal = open_journal(path, tags=tags, **SIZES)
    assert journal.writable, name
    hub = journal.cursor("hub")
    assert balanced(hub.ledger()), name
    assert balanced(journal.ledger("lazy")), name
    view = journal.view
    assert known.appended <= view.rows <= known.appended + 30, f"{name}: appended rows are there"
    assert sum(view.lost.values()) - known.lost in (0, 3), name
    if known.states:
        told = known.states[-1]
        assert hub.state.generation - told.generation in (0, 1), f"{name}: the last advance or the one under way"
    ledger = hub.ledger()
    kept = hub.quarantine_path.read_text().splitlines() if hub.quarantine_path.exists() else []
    assert len([json.loads(line) for line in kept]) == ledger.quarantined, name
    fresh = journal.cursor("fresh")
    rows = drain(fresh)
    assert rows == list(range(view.rows - len(rows), view.rows)), f"{name}: no hole"
    assert rows[:1] <= [view.oldest], name
    was = hub.state.row
    assert drain(hub) == list(range(max(was, view.oldest), view.rows)), name
    journal.append(frame(view.rows, 2, len(tags)))
    assert numbers(hub.read(10).frame) == [view.rows, view.rows + 1], name
    assert all(balanced(each) for each in journal.ledgers()), name
    journal.close()


def run(memory_path, monkeypatch, rounds, every):
    tags = table(2)
    witness = Witness(memory_path / "journal", memory_path, monkeypatch, every)
    live(witness, rounds, tags)
    monkeypatch.undo()
    for path, name, known in witness.copies:
        check(path, f"before {name}, copy {path.name}", known, tags)
        shutil.rmtree(path)
    return {name for _, name, _ in witness.copies}


def test_a_kill_at_every_seventh_step_loses_nothing(memory_path, monkeypatch):
    assert run(memory_path, monkeypatch, 45, 7) >= {"write", "half a write", "sync"}


def test_a_kill_at_every_step_of_a_beginning_loses_nothing(memory_path, monkeypatch):
    assert run(memory_path, monkeypatch, 4, 1) >= {*STEPS, "half a write"} - {"remove"}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_kill_at_every_step_of_a_long_life_loses_nothing(memory_path, monkeypatch):
    assert run(memory_path, monkeypatch, 150, 1) == {*STEPS, "half a write"}
