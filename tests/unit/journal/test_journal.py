"""What goes in comes out, in order, once, also after a restart; and the numbers say so."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.api import Answer
from edge_agent.errors import JournalError
from edge_agent.model import Frame
from edge_agent.model.frame import frames_equal
from tests.unit.journal.material import (
    NOON,
    SECOND,
    TABLE,
    ManualClock,
    balanced,
    crash,
    drain,
    event,
    frame,
    numbers,
    open_journal,
    segment_files,
    table,
)
from tests.unit.journal.strategies import frames


def test_a_new_journal_is_clean_and_empty(tmp_path):
    journal = open_journal(tmp_path / "journal")
    assert journal.report.created
    assert journal.report.clean
    assert journal.writable
    assert journal.cursor("hub").read(100) is None
    assert journal.ledgers()[0].collected == 0


def test_rows_come_out_as_they_went_in(tmp_path):
    journal = open_journal(tmp_path)
    cursor = journal.cursor("hub")
    journal.append(frame(0, 3), [event()])
    batch = cursor.read(100)
    assert numbers(batch.frame) == [0, 1, 2]
    assert batch.events == (event(),)
    assert batch.tags is TABLE


@settings(max_examples=30, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=6), st.integers(1, 60), st.booleans())
def test_any_frames_come_back_from_disk(tmp_path_factory, given_frames, max_rows, from_disk):
    path = tmp_path_factory.mktemp("journal")
    journal = open_journal(path, segment="4KiB")
    for each in given_frames:
        journal.append(each)
    if from_disk:
        journal.close()
        journal = open_journal(path, segment="4KiB")
    cursor, out = journal.cursor("hub"), []
    while (batch := cursor.read(max_rows)) is not None:
        assert 0 < len(batch.frame) <= max_rows
        out.append(batch.frame)
        cursor.advance(batch, Answer())
        balanced(cursor.ledger())
    assert frames_equal(Frame.concat(out), Frame.concat(given_frames))
    assert cursor.ledger().delivered == sum(map(len, given_frames))
    journal.close()


def test_without_advance_the_same_rows_come_again(tmp_path):
    journal = open_journal(tmp_path)
    cursor = journal.cursor("hub")
    journal.append(frame(0))
    cursor.read(100)
    journal.append(frame(4))
    assert numbers(cursor.read(100).frame) == list(range(8))


def test_a_long_frame_is_split_and_short_ones_are_joined(tmp_path):
    journal = open_journal(tmp_path)
    cursor = journal.cursor("hub")
    journal.append(frame(0, 10))
    for start in range(10, 20, 2):
        journal.append(frame(start, 2))
    sizes = []
    while (batch := cursor.read(7)) is not None:
        sizes.append(len(batch.frame))
        cursor.advance(batch, Answer())
    assert sizes == [7, 7, 6]


def test_a_frame_longer_than_a_chunk_comes_back(tmp_path):
    journal = open_journal(tmp_path, segment="16MiB")
    rows = np.arange(120_000)
    journal.append(Frame.of_floats(rows % 8, NOON + rows, rows * 1.0))
    assert journal.view.sequence == 4  # the mark of the start and three chunks
    batch = journal.cursor("hub").read(1_000_000)
    assert np.array_equal(batch.frame.floats(), rows)


def test_events_without_rows_are_a_batch(tmp_path):
    journal = open_journal(tmp_path)
    cursor = journal.cursor("hub")
    journal.append(Frame.empty(), [event("a"), event("b")])
    batch = cursor.read(100)
    assert [e.id for e in batch.events] == ["a", "b"]
    assert len(batch.frame) == 0
    cursor.advance(batch, Answer())
    assert cursor.read(100) is None


def test_nothing_appended_is_nothing_written(tmp_path):
    journal = open_journal(tmp_path)
    before = journal.view
    journal.append(Frame.empty())
    assert journal.view is before


def test_positions_and_counts_survive_a_restart(tmp_path):
    journal = open_journal(tmp_path)
    cursor = journal.cursor("hub")
    journal.append(frame(0, 10))
    batch = cursor.read(6)
    cursor.advance(batch, Answer(dropped={"superseded": 2}))
    journal.close()
    journal = open_journal(tmp_path)
    ledger = journal.ledger("hub")
    assert (ledger.collected, ledger.delivered, ledger.waiting, ledger.dropped) == (10, 4, 4, {"superseded": 2})
    assert drain(journal.cursor("hub")) == [6, 7, 8, 9]


def test_losses_at_the_door_are_in_every_ledger_and_survive_a_kill(tmp_path):
    journal = open_journal(tmp_path / "a")
    journal.cursor("hub")
    journal.lose("overflow", 5)
    journal.append(frame(0))
    journal.lose("overflow", 2)
    journal.lose("queue_full", 1)
    journal.lose("nothing", 0)
    again = open_journal(crash(tmp_path / "a", tmp_path / "b"))
    ledger = again.ledger("hub")
    assert ledger.collected == 12
    assert ledger.dropped == {"overflow": 7, "queue_full": 1}
    assert balanced(ledger)


@pytest.mark.usefixtures("straight")
def test_a_sink_added_later_begins_at_the_oldest_row_kept(tmp_path):
    journal = open_journal(tmp_path, segment="4KiB", total="16KiB")
    journal.lose("overflow", 3)
    for start in range(0, 9000, 20):
        journal.append(frame(start, 20))
    cursor = journal.cursor("late")
    ledger = cursor.ledger()
    assert balanced(ledger)
    assert ledger.dropped == {}
    rows = drain(cursor)
    assert rows == list(range(9000 - ledger.collected, 9000))
    assert 0 < len(rows) < 9000


@pytest.mark.usefixtures("straight")
def test_without_any_sink_the_journal_is_a_bounded_history(tmp_path):
    journal = open_journal(tmp_path, segment="4KiB", total="16KiB")
    for start in range(0, 5000, 10):
        journal.append(frame(start, 10))
    assert segment_files(tmp_path)[0].name > "000000000002"
    assert sum(path.stat().st_size for path in segment_files(tmp_path)) <= 16 * 1024
    assert journal.notices() == []
    journal.close()
    assert open_journal(tmp_path, segment="4KiB", total="16KiB").view.rows == 5000


def test_a_stop_in_order_is_clean_and_a_kill_is_not(tmp_path):
    clock = ManualClock()
    journal = open_journal(tmp_path / "a", clock=clock)
    journal.append(frame(0))
    last = clock.now
    clock.tick(50)
    killed = open_journal(crash(tmp_path / "a", tmp_path / "b"), clock=clock)
    assert not killed.report.clean
    assert killed.report.last_written == last
    assert killed.report.stopped == 0
    journal.close()
    stopped = open_journal(tmp_path / "a", clock=clock)
    assert stopped.report.clean
    assert not stopped.report.created
    assert stopped.report.last_written == last
    assert stopped.report.stopped == clock.now, "until then nothing was missed"
    again = open_journal(crash(tmp_path / "a", tmp_path / "c"), clock=clock)
    assert not again.report.clean, "killed right after a start is not clean either"
    assert again.report.last_written == last


def test_another_configuration_begins_a_segment_and_old_rows_keep_their_table(tmp_path):
    old, new = table(8), table(5, names="speed")
    journal = open_journal(tmp_path, tags=old)
    journal.append(frame(0))
    journal.close()
    journal = open_journal(tmp_path, tags=new)
    journal.append(frame(4, tags=5))
    assert len(segment_files(tmp_path)) == 2
    cursor = journal.cursor("hub")
    first = cursor.read(100)
    assert numbers(first.frame) == [0, 1, 2, 3]
    assert first.tags.fingerprint == old.fingerprint
    assert first.tags[3] == old[3]
    cursor.advance(first, Answer())
    second = cursor.read(100)
    assert second.tags is new
    assert numbers(second.frame) == [4, 5, 6, 7]


def test_a_changed_unit_is_another_table_though_the_paths_are_the_same(tmp_path):
    journal = open_journal(tmp_path, tags=table(unit="℃"))
    journal.append(frame(0))
    journal.close()
    journal = open_journal(tmp_path, tags=table(unit="K"))
    journal.append(frame(4))
    cursor = journal.cursor("hub")
    batch = cursor.read(100)
    assert batch.tags[0].unit == "℃"
    cursor.advance(batch, Answer())
    assert cursor.read(100).tags[0].unit == "K"


def test_back_to_an_old_configuration_shares_its_table(tmp_path):
    for unit in ("℃", "K", "℃"):
        journal = open_journal(tmp_path, tags=table(unit=unit))
        journal.append(frame(0))
        journal.close()
    journal = open_journal(tmp_path, tags=table(unit="℃"))
    assert len(drain(journal.cursor("hub"))) == 12


@pytest.mark.parametrize("jump", [-2 * 3600, -NOON // SECOND, 10**6])
def test_a_clock_that_jumps_moves_no_position(tmp_path, jump):
    clock = ManualClock()
    journal = open_journal(tmp_path, clock=clock, segment="4KiB")
    cursor = journal.cursor("hub")
    for start in range(0, 400, 40):
        journal.append(frame(start, 40))
    batch = cursor.read(90)
    cursor.advance(batch, Answer())
    clock.tick(jump)
    clock.since = 5.0
    for start in range(400, 800, 40):
        journal.append(frame(start, 40))
    journal.close()
    journal = open_journal(tmp_path, clock=clock, segment="4KiB")
    assert drain(journal.cursor("hub"), 70) == list(range(90, 800))
    assert balanced(journal.ledger("hub"))


def test_durable_follows_sync(tmp_path):
    journal = open_journal(tmp_path)
    journal.append(frame(0))
    assert journal.durable_rows == 0
    journal.sync()
    assert journal.durable_rows == 4


def test_only_one_process_writes(tmp_path):
    first = open_journal(tmp_path)
    first.append(frame(0))
    clock = ManualClock()
    second = open_journal(tmp_path, clock=clock)
    assert not second.writable
    with pytest.raises(JournalError, match="another edge-agent"):
        second.append(frame(4))
    second.lose("journal_unavailable", 4)
    first.close()
    clock.tick(2)
    second.append(frame(8))
    assert second.writable
    cursor = second.cursor("hub")
    assert drain(cursor) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert cursor.ledger().dropped == {"journal_unavailable": 4}
    assert balanced(cursor.ledger())


def test_a_reader_in_another_thread_sees_every_row_once(tmp_path):
    journal = open_journal(tmp_path, segment="8KiB", total="64MiB")
    cursor, seen, stop = journal.cursor("hub"), [], threading.Event()

    def deliver():
        while True:
            last = stop.is_set()
            seen.extend(drain(cursor, 64))
            assert balanced(cursor.ledger())
            if last:
                return

    thread = threading.Thread(target=deliver)
    thread.start()
    for start in range(0, 6000, 20):
        journal.append(frame(start, 20))
        if start % 400 == 0:
            journal.sync()
    stop.set()
    thread.join(30)
    assert seen == list(range(6000))
    journal.close()
