"""Over the bound the oldest segment goes, and every row that was not yet delivered is counted where it was owed."""

import threading

import pytest

from edge_agent.api import Answer
from edge_agent.journal import recent
from edge_agent.model import EventClass
from tests.unit.journal.material import (
    NOON,
    ManualClock,
    balanced,
    crash,
    drain,
    frame,
    numbers,
    open_journal,
    segment_files,
)

pytestmark = pytest.mark.usefixtures("straight")

SIZES = {"segment": "4KiB", "total": "16KiB"}


def fill(journal, start, stop, step=20):
    for row in range(start, stop, step):
        journal.append(frame(row, step))


def test_rows_that_go_before_they_were_delivered_are_counted(tmp_path):
    clock = ManualClock()
    journal = open_journal(tmp_path, clock=clock, **SIZES)
    ahead, behind = journal.cursor("ahead"), journal.cursor("behind")
    for start in range(0, 6000, 100):
        fill(journal, start, start + 100)
        clock.tick(60)
        drain(ahead)
        assert all(balanced(ledger) for ledger in journal.ledgers())
    assert ahead.ledger().dropped == {}
    assert ahead.ledger().delivered == 6000
    lost = behind.ledger().dropped["retention"]
    rows = drain(behind)
    assert rows == list(range(lost, 6000))
    assert behind.ledger().dropped == {"retention": lost}
    notices = journal.notices()
    assert sum(notice.evidence["rows"] for notice in notices) == lost
    assert all(notice.event_class is EventClass.AGENT for notice in notices)
    assert [notice.start for notice in notices] == [NOON, *(notice.end for notice in notices[:-1])], (
        "no gap in the gaps"
    )
    assert sum(path.stat().st_size for path in segment_files(tmp_path)) <= 16 * 1024


def test_a_cursor_in_the_middle_of_what_goes_loses_only_the_rest(tmp_path):
    journal = open_journal(tmp_path, **SIZES)
    cursor = journal.cursor("hub")
    fill(journal, 0, 1000)
    cursor.advance(cursor.read(333), Answer())
    fill(journal, 1000, 6000)
    oldest = journal.view.oldest
    assert cursor.ledger().dropped == {"retention": oldest - 333}
    assert drain(cursor) == list(range(oldest, 6000))
    assert balanced(cursor.ledger())


def test_rows_in_flight_when_their_segment_goes_are_delivered_not_dropped(tmp_path):
    journal = open_journal(tmp_path, **SIZES)
    cursor = journal.cursor("hub")
    fill(journal, 0, 1000)
    batch = cursor.read(400)
    fill(journal, 1000, 6000)
    cursor.advance(batch, Answer())
    oldest = journal.view.oldest
    ledger = cursor.ledger()
    assert (ledger.delivered, ledger.dropped) == (400, {"retention": oldest - 400})
    assert balanced(ledger)
    assert drain(cursor) == list(range(oldest, 6000))


def test_counts_are_the_same_after_a_kill(tmp_path):
    journal = open_journal(tmp_path / "a", **SIZES)
    cursor = journal.cursor("hub")
    fill(journal, 0, 100)
    cursor.advance(cursor.read(50), Answer())
    fill(journal, 100, 6000)
    before = cursor.ledger()
    again = open_journal(crash(tmp_path / "a", tmp_path / "b"), **SIZES)
    assert again.ledger("hub") == before
    rows = drain(again.cursor("hub"))
    after = again.ledger("hub")
    assert after.dropped == before.dropped
    assert after.delivered == 50 + len(rows)
    assert balanced(after)


def test_a_cursor_not_taken_this_time_is_owed_its_rows_all_the_same(tmp_path):
    journal = open_journal(tmp_path, **SIZES)
    journal.cursor("hub")
    fill(journal, 0, 100)
    journal.close()
    journal = open_journal(tmp_path, **SIZES)
    fill(journal, 100, 6000)
    journal.close()
    journal = open_journal(tmp_path, **SIZES)
    cursor = journal.cursor("hub")
    lost = cursor.ledger().dropped["retention"]
    assert drain(cursor) == list(range(lost, 6000))
    assert cursor.ledger().collected == 6000
    assert balanced(cursor.ledger())


def test_what_all_have_passed_is_kept_as_history(tmp_path):
    journal = open_journal(tmp_path, segment="4KiB", total="1MiB")
    cursor = journal.cursor("hub")
    fill(journal, 0, 6000)
    drain(cursor)
    fill(journal, 6000, 6020)
    assert segment_files(tmp_path)[0].name == "000000000001.segment"
    assert len(drain(journal.cursor("backtest"))) == 6020


def test_a_smaller_bound_takes_hold_when_the_next_segment_begins(tmp_path):
    journal = open_journal(tmp_path, segment="4KiB", total="1MiB")
    fill(journal, 0, 6000)
    journal.close()
    journal = open_journal(tmp_path, **SIZES)
    fill(journal, 6000, 7000)
    assert sum(path.stat().st_size for path in segment_files(tmp_path)) <= 16 * 1024


def test_a_reader_overtaken_by_retention_calls_it_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(recent, "MAX_CHUNKS", 2)  # all but the newest come from disk
    journal = open_journal(tmp_path, **SIZES)
    cursor, seen, stop, overtaken = journal.cursor("hub"), [], threading.Event(), threading.Event()

    def deliver():
        count = 0
        while not stop.is_set():
            batch = cursor.read(3)
            if batch is not None:
                count += 1
                if count == 10:  # with a batch in hand the log goes on past it, however slow the disk is
                    overtaken.wait(30)
                seen.extend(numbers(batch.frame))
                cursor.advance(batch, Answer())

    thread = threading.Thread(target=deliver)
    thread.start()
    fill(journal, 0, 10_000)
    overtaken.set()
    fill(journal, 10_000, 20_000)
    stop.set()
    thread.join(30)
    seen += drain(cursor)
    ledger = cursor.ledger()
    assert set(ledger.dropped) == {"retention"}
    assert ledger.delivered == len(seen) == len(set(seen))
    assert seen == sorted(seen)
    assert ledger.collected == 20_000
    assert balanced(ledger)
    assert list(tmp_path.glob("damaged/*")) == []


def test_what_is_told_of_two_sinks_stays_two_points_at_a_hub(tmp_path):
    """A hub keeps one point for a path, a detector and a time: gap records must not take each other's place."""
    clock = ManualClock()
    journal = open_journal(tmp_path, clock=clock, **SIZES)
    cursors = [journal.cursor("one"), journal.cursor("other")]
    for start in range(0, 6000, 100):
        fill(journal, start, start + 100)
        clock.tick(60)
        assert all(cursor.leave_behind() for cursor in cursors)
    for cursor in cursors:
        while (batch := cursor.read(1000, backfill=True)) is not None:
            cursor.advance(batch, Answer())
        assert cursor.send_again(NOON, NOON + 10**15)
    told = journal.notices()
    assert {notice.detector for notice in told} == {"journal/one", "journal/other", "backfill/one", "backfill/other"}
    points = {(notice.path, notice.detector, notice.start // 1_000_000) for notice in told}
    assert len(points) == len(told)
    journal.close()
