"""Cursors: what sinks answer is counted exactly, also when files tear; each sink is alone."""

import json

import numpy as np
import pytest

from edge_agent.api import Answer, Refusal
from edge_agent.journal import cursor as cursor_module
from edge_agent.journal import disk
from edge_agent.journal.place import CursorState, Place
from edge_agent.journal.slots import SLOT_BYTES, SlotFile, read_state
from edge_agent.model import Frame
from tests.unit.journal.material import NOON, balanced, crash, drain, frame, numbers, open_journal


@pytest.fixture
def journal(tmp_path):
    journal = open_journal(tmp_path / "journal")
    yield journal
    journal.close()


def lines(cursor):
    return [json.loads(line) for line in cursor.quarantine_path.read_text().splitlines()]


def test_refused_rows_are_kept_in_quarantine(journal):
    cursor = journal.cursor("hub")
    journal.append(frame(0, 10))
    batch = cursor.read(100)
    cursor.advance(batch, Answer([Refusal([2, 5], "field type conflict"), Refusal([7], "너무 깁니다")]))
    ledger = cursor.ledger()
    assert (ledger.delivered, ledger.quarantined, ledger.waiting) == (7, 3, 0)
    assert balanced(ledger)
    rows = lines(cursor)
    assert [row["value"] for row in rows] == [2.25, 5.25, 7.25]
    assert rows[0]["path"] == "busan/heat/furnace_1/temp_2"
    assert rows[0]["time"] == NOON + 2_000_000_000
    assert rows[2]["reason"] == "너무 깁니다"


def test_values_that_json_lacks_are_texts_in_quarantine(journal):
    cursor = journal.cursor("hub")
    journal.append(Frame.of_floats([0, 1], NOON, [np.nan, np.inf]))
    cursor.advance(cursor.read(10), Answer([Refusal([0, 1], "not a number")]))
    assert [row["value"] for row in lines(cursor)] == ["nan", "inf"]


def test_a_row_without_a_tag_is_quarantined_without_a_path(journal):
    cursor = journal.cursor("hub")
    journal.append(Frame.of_floats([-1, 99], NOON, [1.0, 2.0]))
    cursor.advance(cursor.read(10), Answer([Refusal([0, 1], "unknown")]))
    assert [row["path"] for row in lines(cursor)] == ["", ""]


def test_a_kill_between_quarantine_and_advance_counts_no_row_twice(tmp_path, journal, monkeypatch):
    cursor = journal.cursor("hub")
    journal.append(frame(0, 10))
    cursor.advance(cursor.read(4), Answer([Refusal([1], "bad")]))
    monkeypatch.setattr(cursor, "_save", lambda state: None)
    cursor.advance(cursor.read(4), Answer([Refusal([0, 3], "bad")]))
    assert len(lines(cursor)) == 3
    again = open_journal(crash(tmp_path / "journal", tmp_path / "b"))
    cursor = again.cursor("hub")
    assert len(lines(cursor)) == 1
    batch = cursor.read(4)
    assert numbers(batch.frame) == [4, 5, 6, 7]
    cursor.advance(batch, Answer([Refusal([0, 3], "bad")]))
    assert [row["value"] for row in lines(cursor)] == [1.25, 4.25, 7.25]
    assert cursor.ledger().quarantined == 3


def test_a_full_quarantine_only_counts(journal, monkeypatch):
    monkeypatch.setattr(cursor_module, "MAX_BYTES", 100)
    cursor = journal.cursor("hub")
    journal.append(frame(0, 10))
    cursor.advance(cursor.read(5), Answer([Refusal([0], "bad")]))
    cursor.advance(cursor.read(5), Answer([Refusal([0, 1], "bad")]))
    ledger = cursor.ledger()
    assert (ledger.quarantined, ledger.dropped) == (1, {"quarantine_full": 2})
    assert balanced(ledger)


@pytest.mark.parametrize(
    "answer",
    [
        Answer([Refusal([4], "beyond")]),
        Answer([Refusal([-1], "before")]),
        Answer([Refusal([1, 1], "twice")]),
        Answer([Refusal([0, 1], "bad")], {"superseded": 3}),
        Answer(dropped={"superseded": -1}),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_the_rows_come_again(journal, answer):
    cursor = journal.cursor("hub")
    journal.append(frame(0, 4))
    with pytest.raises(ValueError, match="row"):
        cursor.advance(cursor.read(10), answer)
    assert drain(cursor) == [0, 1, 2, 3]


def test_only_the_last_batch_can_be_answered(journal):
    cursor = journal.cursor("hub")
    journal.append(frame(0, 4))
    first = cursor.read(2)
    second = cursor.read(4)
    with pytest.raises(ValueError, match="read last"):
        cursor.advance(first, Answer())
    cursor.advance(second, Answer())
    with pytest.raises(ValueError, match="read last"):
        cursor.advance(second, Answer())


def test_cursors_do_not_know_of_each_other(tmp_path, journal):
    fast, slow, dead = (journal.cursor(name) for name in ("fast", "slow", "dead"))
    for start in range(0, 100, 10):
        journal.append(frame(start, 10))
        drain(fast)
        slow.advance(slow.read(3), Answer())
    assert [c.waiting for c in (fast, slow, dead)] == [0, 70, 100]
    again = open_journal(crash(tmp_path / "journal", tmp_path / "b"))
    assert drain(again.cursor("fast")) == []
    assert drain(again.cursor("slow")) == list(range(30, 100))
    assert drain(again.cursor("dead")) == list(range(100))
    assert all(balanced(ledger) for ledger in again.ledgers())


def test_the_same_name_is_the_same_cursor(journal):
    assert journal.cursor("hub") is journal.cursor("hub")


def test_many_reasons_still_fit(journal):
    cursor = journal.cursor("hub")
    journal.append(frame(0, 200))
    cursor.advance(cursor.read(200), Answer(dropped={f"까닭 {i} " * 30: 1 for i in range(100)}))
    ledger = cursor.ledger()
    assert sum(ledger.dropped.values()) == 100
    assert ledger.dropped["other"] > 1
    assert read_state(cursor.quarantine_path.with_suffix(".cursor")) == cursor.state


def test_a_broken_cursor_begins_again_at_the_oldest_row(tmp_path, journal):
    cursor = journal.cursor("hub")
    journal.append(frame(0, 10))
    drain(cursor)
    path = crash(tmp_path / "journal", tmp_path / "b")
    (path / "cursors" / "hub.cursor").write_bytes(b"garbage" * 5000)
    again = open_journal(path)
    assert drain(again.cursor("hub")) == list(range(10))
    assert balanced(again.ledger("hub"))
    assert "hub" in again.notices()[0].text.en


def test_a_cursor_file_that_is_a_directory_is_set_aside(tmp_path):
    (tmp_path / "cursors" / "hub.cursor").mkdir(parents=True)
    journal = open_journal(tmp_path)
    journal.append(frame(0, 3))
    assert journal.report.set_aside == ("hub.cursor",)
    assert drain(journal.cursor("hub")) == [0, 1, 2]


def test_a_torn_slot_leaves_the_state_before_it(tmp_path):
    path = tmp_path / "hub.cursor"
    slots = SlotFile(path)
    for row in range(1, 20):
        before = path.read_bytes()
        slots.store(CursorState(Place(row=row), generation=row))
        after = path.read_bytes()
        for cut in range(0, len(after), 397):
            mixed = after[:cut] + before[cut:]
            path.with_name("torn.cursor").write_bytes(mixed)
            state = read_state(path.with_name("torn.cursor"))
            assert (state.row if state else 0) in (row - 1, row)
    slots.close()


def test_what_was_synced_outlives_every_later_write(tmp_path):
    path = tmp_path / "hub.cursor"
    slots = SlotFile(path)
    for row in range(1, 30):
        slots.store(CursorState(Place(row=row), generation=row))
        if row % 7 == 0:
            slots.sync()
        durable = row - row % 7
        data = bytearray(path.read_bytes())
        states = [_state_in(data, slot, tmp_path) for slot in range(3)]
        assert durable == 0 or durable in states
    slots.close()


def test_a_slot_written_over_during_a_sync_is_not_held_durable(tmp_path, monkeypatch):
    path = tmp_path / "hub.cursor"
    slots = SlotFile(path)
    slots.store(CursorState(Place(row=1), generation=1))
    slots.sync()
    slots.store(CursorState(Place(row=2), generation=2))
    sync = disk.sync

    def meanwhile(fd):
        sync(fd)
        for row in (3, 4):
            slots.store(CursorState(Place(row=row), generation=row))

    monkeypatch.setattr(disk, "sync", meanwhile)
    slots.sync()
    monkeypatch.undo()
    slots.store(CursorState(Place(row=5), generation=5))
    data = bytearray(path.read_bytes())
    assert 1 in [_state_in(data, slot, tmp_path) for slot in range(3)]
    slots.close()


def _state_in(data, slot, tmp_path):
    """The row in one slot alone."""
    alone = bytearray(len(data))
    alone[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES] = data[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
    (tmp_path / "alone.cursor").write_bytes(alone)
    state = read_state(tmp_path / "alone.cursor")
    return state.row if state else None


def test_slots_go_on_after_reopening(tmp_path):
    path = tmp_path / "hub.cursor"
    for row in range(1, 12):
        slots = SlotFile(path)
        assert (slots.state.row if slots.state else 0) == row - 1
        slots.store(CursorState(Place(row=row), generation=row))
        slots.close()
