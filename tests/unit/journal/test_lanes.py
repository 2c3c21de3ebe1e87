"""Two lanes and owed ranges against a slow twin: a naive list of rows, each in exactly one place."""

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge_agent.api import Answer, Refusal
from edge_agent.journal.place import MAX_RANGES
from edge_agent.journal.walk import walk
from edge_agent.model import EventState, Machine, Tag, TagTable
from tests.unit.journal.material import NOON, SECOND, ManualClock, event, frame, numbers, open_journal, segment_files

SIZES = {"segment": "4KiB", "total": "24KiB"}
PLANT = TagTable([Tag(f"t_{i}", Machine("busan", "heat", f"m_{i % 3}", "furnace"), "plc") for i in range(7)])
PATHS = [f"busan/heat/m_{k}" for k in range(3)]


def machine_of(row):
    return PATHS[(row % len(PLANT)) % 3]


class Life(RuleBasedStateMachine):
    """`where[row]`: waiting, delivered, quarantined or a reason."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.clock = ManualClock()
        self.where = []
        self.lost = Counter()
        self.outstanding = {}
        self.again = Counter()
        self.gone = set()
        """Rows whose bytes were damaged."""
        self.copies = 0

    @initialize()
    def begin(self):
        self.path = self.folder / "0"
        self.open()

    def open(self):
        self.journal = open_journal(self.path, PLANT, self.clock, **SIZES)
        self.cursor = self.journal.cursor("hub")
        self.outstanding = {}

    @rule(rows=st.integers(1, 60), pieces=st.integers(1, 8))
    def append(self, rows, pieces):
        for _ in range(pieces):
            self.journal.append(frame(len(self.where), rows, len(PLANT)))
            self.where += ["waiting"] * rows
            self.clock.tick(1)

    @rule(
        reason=st.sampled_from(["overflow", "late"]),
        count=st.integers(1, 9),
        machine=st.sampled_from(["", *PATHS]),
    )
    def lose(self, reason, count, machine):
        self.journal.lose(reason, count, machine)
        self.lost[reason, machine] += count

    @rule(backfill=st.booleans(), rows=st.integers(1, 150))
    def read(self, backfill, rows):
        batch = self.cursor.read(rows, backfill=backfill)
        self.outstanding.pop(backfill, None)
        if batch is None:
            assert not backfill or not self.cursor.state.ranges
            return
        again = backfill and self.cursor.state.ranges[0].again
        got = numbers(batch.frame)
        assert got == sorted(set(got))
        assert batch.backfill == backfill
        if again:
            assert all(self.where[row] != "waiting" for row in got)
        else:
            assert all(self.where[row] == "waiting" for row in got), "each row once"
            assert not set(got) & self.gone
        self.outstanding[backfill] = batch, got, again

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data())
    def answer(self, data):
        lane = data.draw(st.sampled_from(sorted(self.outstanding)))
        batch, got, again = self.outstanding.pop(lane)
        marks = (
            data.draw(st.lists(st.sampled_from("ddddqss"), min_size=len(got), max_size=len(got)))
            if data.draw(st.booleans())
            else "d" * len(got)
        )
        refused = [i for i, mark in enumerate(marks) if mark == "q"]
        superseded = [i for i, mark in enumerate(marks) if mark == "s"]
        answer = Answer(
            [Refusal(refused, "bad")] if refused else (), {"superseded": len(superseded)}, {"superseded": superseded}
        )
        self.cursor.advance(batch, answer)
        if again:
            self.again.update(marks)
            return
        for row, mark in zip(got, marks, strict=True):
            self.where[row] = {"d": "delivered", "q": "quarantined", "s": "superseded"}[mark]

    @rule()
    def leave_behind(self):
        before = self.cursor.state
        waited = self.cursor.behind
        left = self.cursor.leave_behind()
        assert left in (0, waited)
        if left:
            self.outstanding.pop(False, None)
            assert self.cursor.behind == 0
        else:
            assert not waited or len(before.owed) == MAX_RANGES or self.gone

    @precondition(lambda self: self.where)
    @rule(data=st.data())
    def send_again(self, data):
        first = data.draw(st.integers(0, len(self.where)))
        last = data.draw(st.integers(first, len(self.where)))
        before = self.cursor.ledger()
        self.cursor.send_again(NOON + first * SECOND, NOON + last * SECOND)
        assert self.cursor.ledger() == before

    @rule(sync=st.booleans())
    def stop(self, sync):
        if sync:
            self.journal.close()
        else:
            self.crash()
        self.open()

    def crash(self):
        self.copies += 1
        path = self.folder / str(self.copies)
        shutil.copytree(self.path, path)
        self.journal.close()
        self.path = path

    @rule(data=st.data())
    def damage(self, data):
        """A kill, and a chunk that no longer checks; the last chunk would be a torn tail."""
        self.crash()
        file = data.draw(st.sampled_from(segment_files(self.path))) if segment_files(self.path) else None
        if file is not None:
            heads = frames_in(file)
            piece = data.draw(st.sampled_from(heads[:-1])) if len(heads) > 1 else None
            if piece is not None:
                raw = bytearray(file.read_bytes())
                raw[piece.offset + piece.size - 1] ^= 0x55
                file.write_bytes(raw)
                self.gone |= set(range(piece.head.rows_before, piece.head.rows_after))
        self.open()

    @invariant()
    def the_ledger_holds(self):
        if not hasattr(self, "journal"):
            return
        view = self.journal.view
        assert view.groups.total == view.rows
        assert all(sum(each.header.groups.values()) == each.header.rows for each in view.segments)
        ledger = self.cursor.ledger()
        assert ledger.balanced
        count = Counter(self.where)
        assert ledger.collected == len(self.where) + sum(self.lost.values())
        assert (ledger.delivered, ledger.quarantined) == (count["delivered"], count["quarantined"])
        assert ledger.dropped.get("superseded", 0) == count["superseded"]
        missing = sum(ledger.dropped.get(reason, 0) for reason in ("retention", "damaged"))
        assert ledger.waiting + missing == count["waiting"]
        machines = self.cursor.by_machine()
        unbalanced = [each for each in machines.values() if not each.balanced]
        assert not unbalanced, (unbalanced, self.cursor.state, self.journal.view)
        for term in ("collected", "delivered", "waiting", "quarantined"):
            assert sum(getattr(each, term) for each in machines.values()) == getattr(ledger, term), term
        for name in PATHS:
            self.one_machine(name, machines)

    def one_machine(self, name, machines):
        own = Counter(where for row, where in enumerate(self.where) if machine_of(row) == name)
        if name in machines:
            each = machines[name]
            lost = {reason: n for (reason, machine), n in self.lost.items() if machine == name}
            assert (each.delivered, each.quarantined) == (own["delivered"], own["quarantined"])
            assert each.dropped.get("superseded", 0) == own["superseded"]
            assert {r: n for r, n in each.dropped.items() if r in ("overflow", "late")} == lost
            if not self.gone:
                assert each.waiting + each.dropped.get("retention", 0) == own["waiting"]
        else:
            assert not own or self.gone

    def teardown(self):
        if not hasattr(self, "journal"):
            return
        for backfill in (True, False):
            while (batch := self.cursor.read(70, backfill=backfill)) is not None:
                again = backfill and self.cursor.state.ranges[0].again
                for row in [] if again else numbers(batch.frame):
                    assert self.where[row] == "waiting"
                    self.where[row] = "delivered"
                self.cursor.advance(batch, Answer())
        self.the_ledger_holds()
        ledger = self.cursor.ledger()
        assert ledger.waiting == 0
        assert not self.cursor.state.ranges
        left = Counter(self.where)["waiting"]
        assert left == sum(ledger.dropped.get(reason, 0) for reason in ("retention", "damaged"))
        assert left == 0 or self.gone or self.journal.view.oldest > 0
        self.journal.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def frames_in(file):
    """The chunks with rows of a segment file."""
    from edge_agent.journal.segment import read_segment

    segment = read_segment(file)
    raw = file.read_bytes()
    pieces = walk(lambda at, size: raw[at : at + size], segment.number, segment.body, len(raw), 0, verify=True)
    return [piece for piece in pieces if piece.sound and piece.head and piece.head.rows]


def live(examples, steps):
    quick = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    run_state_machine_as_test(Life, settings=quick)


def test_lives_with_two_lanes():
    live(40, 40)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_thousand_lives_with_two_lanes():
    live(1000, 60)


def test_old_news_of_an_event_does_not_come_after_newer_ones(tmp_path):
    """Shelved while the hub was away, open again since: the backlog must not say `shelved` last."""
    journal = open_journal(tmp_path / "journal", PLANT)
    cursor = journal.cursor("hub")
    alarm, gone = event("alarm"), event("gone")
    journal.append(frame(0, 4, len(PLANT)), [gone, replace(alarm, state=EventState.SHELVED)])
    journal.append(frame(4, 4, len(PLANT)), [replace(gone, state=EventState.CLOSED)])
    cursor.leave_behind()
    journal.append(frame(8, 4, len(PLANT)), [alarm])
    last = {}
    for backfill in (False, True):
        while (batch := cursor.read(100, backfill=backfill)) is not None:
            last |= {each.id: each.state for each in batch.events}
            cursor.advance(batch, Answer())
    assert last == {"alarm": EventState.OPEN, "gone": EventState.CLOSED}
    journal.close()
