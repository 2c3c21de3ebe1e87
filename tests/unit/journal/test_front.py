"""Small appends: accepted one by one, in the log as chunks worth their head, and no reader can tell."""

import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.api import Answer
from edge_agent.errors import JournalError
from edge_agent.journal import disk, recent, writer
from edge_agent.journal.chunk import HEAD_BYTES, ChunkKind
from edge_agent.journal.front import ROOM, Front, Gathered, Mark, following, mark_of, read_front
from edge_agent.journal.segment import read_segment
from edge_agent.journal.walk import walk
from edge_agent.model.frame import frames_equal
from tests.unit.journal.material import (
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


def heads(path):
    """Of the chunks with rows, in all segments."""
    out = []
    for file in segment_files(path):
        data, segment = file.read_bytes(), read_segment(file)
        read = lambda at, size, data=data: data[at : at + size]  # noqa: E731  # a name for a slice
        pieces = list(walk(read, segment.number, segment.body, len(data), 0, verify=True))
        assert all(piece.sound for piece in pieces)
        out += [piece.head for piece in pieces if piece.head.kind == ChunkKind.FRAME]
    return out


def append_all(journal, count, rows=10, start=0):
    for number in range(start, start + count * rows, rows):
        journal.append(frame(number, rows))


def test_small_appends_become_chunks_of_thousands(tmp_path):
    journal = open_journal(tmp_path)
    append_all(journal, 1200)
    journal.close()
    assert {head.rows for head in heads(tmp_path)} == {writer.TARGET_ROWS}
    assert drain(open_journal(tmp_path).cursor("hub")) == list(range(12_000))


def test_single_rows_become_chunks_of_hundreds(tmp_path):
    journal = open_journal(tmp_path)
    append_all(journal, 3000, 1)
    journal.sync()
    *whole, _ = heads(tmp_path)
    assert all(head.rows >= 200 for head in whole)
    assert drain(journal.cursor("hub")) == list(range(3000))


def test_a_reader_has_rows_before_they_are_in_any_segment(tmp_path):
    journal = open_journal(tmp_path)
    cursor, end = journal.cursor("hub"), journal.view.end
    journal.append(frame(0, 3))
    assert numbers(cursor.read(100).frame) == [0, 1, 2]
    assert journal.view.end == end
    assert cursor.ledger().waiting == 3


@pytest.mark.parametrize("few", [1, 1024])
@pytest.mark.parametrize("at", [1, 4, 5, 7, 29, 30])
@pytest.mark.parametrize("merge", ["sync", "event", "large", "kill", "close"])
def test_a_cursor_anywhere_goes_on_when_what_it_stands_in_is_merged(tmp_path, monkeypatch, few, at, merge):
    monkeypatch.setattr(recent, "MAX_CHUNKS", few)  # with few in memory it comes from the front and from disk
    path = tmp_path / "a"
    journal = open_journal(path)
    cursor = journal.cursor("hub")
    append_all(journal, 6, 5)
    cursor.advance(cursor.read(at), Answer())
    if merge == "sync":
        journal.sync()
    elif merge == "event":
        journal.append(frame(30, 0), [event()])
    elif merge == "large":
        journal.append(frame(30, writer.TARGET_ROWS))
    elif merge == "close":
        journal.close()
        journal = open_journal(path)
    else:
        journal = open_journal(crash(path, tmp_path / "b"))
    assert journal.view.front == ()
    last = 30 + writer.TARGET_ROWS if merge == "large" else 30
    cursor = journal.cursor("hub")
    cursor.advance(cursor.read(2), Answer()) if at < last else None
    assert balanced(cursor.ledger())
    assert drain(cursor, 3) == list(range(min(at + 2, last), last))
    assert cursor.ledger().dropped == {}
    assert cursor.ledger().delivered == last
    assert balanced(cursor.ledger())
    assert drain(journal.cursor("late")) == list(range(last))


def test_what_was_accepted_survives_a_kill_at_every_fill(tmp_path):
    journal = open_journal(tmp_path / "a")
    rows = 0
    for turn in range(120):
        journal.append(frame(rows, 37))
        rows += 37
        if turn % 10 == 3:
            killed = open_journal(crash(tmp_path / "a", tmp_path / str(turn)))
            assert drain(killed.cursor("hub")) == list(range(rows))
            assert killed.report.torn_rows == 0
            assert killed.view.sequence == journal.view.sequence + 1, "the mark of the start"
            killed.close()


def test_killed_twice_nothing_of_the_first_life_comes_again(tmp_path):
    journal = open_journal(tmp_path / "a")
    append_all(journal, 5)
    journal = open_journal(crash(tmp_path / "a", tmp_path / "b"))
    journal.append(frame(50, 10))
    journal = open_journal(crash(tmp_path / "b", tmp_path / "c"))
    assert drain(journal.cursor("hub")) == list(range(60))


def test_after_a_kill_another_configuration_leaves_the_old_rows_their_table(tmp_path):
    old, new = table(8), table(5, names="speed")
    journal = open_journal(tmp_path / "a", tags=old)
    journal.append(frame(0))
    journal = open_journal(crash(tmp_path / "a", tmp_path / "b"), tags=new)
    journal.append(frame(4, tags=5))
    cursor = journal.cursor("hub")
    batch = cursor.read(100)
    assert (numbers(batch.frame), batch.tags.fingerprint) == ([0, 1, 2, 3], old.fingerprint)
    cursor.advance(batch, Answer())
    batch = cursor.read(100)
    assert (numbers(batch.frame), batch.tags) == ([4, 5, 6, 7], new)


def test_a_front_torn_at_every_byte_gives_back_what_is_whole(memory_path):
    journal = open_journal(memory_path / "a")
    append_all(journal, 4, 3)
    path = crash(memory_path / "a", memory_path / "b")
    data = (path / "front").read_bytes()
    segments = {file: file.read_bytes() for file in segment_files(path)}
    seen = set()
    for cut in range(512, len(data.rstrip(b"\0")), 3):
        for file, contents in segments.items():
            file.write_bytes(contents)
        (path / "front").write_bytes(data[:cut] + bytes(ROOM - cut))
        journal = open_journal(path)
        rows = drain(journal.cursor(f"at_{cut}"))
        assert rows == list(range(len(rows)))
        assert len(rows) % 3 == 0
        seen.add(len(rows))
        assert balanced(journal.ledgers()[0])
        journal.close()
    assert seen == {0, 3, 6, 9}


def test_on_a_full_disk_what_was_accepted_stays_accepted(tmp_path, monkeypatch):
    clock = ManualClock()
    journal = open_journal(tmp_path / "a", clock=clock)
    cursor = journal.cursor("hub")
    append_all(journal, 5)
    write = disk.write

    def full(fd, data, at):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write", full)
    with pytest.raises(JournalError, match="no space"):
        journal.append(frame(50, 5))
    with pytest.raises(JournalError, match="no space"):
        journal.sync()
    assert not journal.writable
    journal.lose("journal_unavailable", 5)
    assert drain(cursor) == list(range(50))
    monkeypatch.setattr(disk, "write", write)
    killed = open_journal(crash(tmp_path / "a", tmp_path / "b"))
    assert drain(killed.cursor("judge")) == list(range(50))
    journal.append(frame(55, 5))
    journal.sync()
    assert journal.writable
    assert drain(cursor) == list(range(55, 60))
    assert cursor.ledger().dropped == {"journal_unavailable": 5}
    assert balanced(cursor.ledger())


def test_without_a_front_small_appends_are_small_chunks(tmp_path):
    (tmp_path / "front").mkdir()
    journal = open_journal(tmp_path)
    append_all(journal, 30)
    assert journal.view.front == ()
    assert drain(journal.cursor("hub")) == list(range(300))
    journal.close()
    assert drain(open_journal(tmp_path).cursor("late")) == list(range(300))


def test_rows_that_wait_come_before_those_of_the_next_segment(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "TARGET_ROWS", 100)
    journal = open_journal(tmp_path / "a", segment="4KiB", total="1MiB")
    for start in range(0, 6000, 30):
        journal.append(frame(start, 30))
        if start % 600 == 0:
            killed = open_journal(crash(tmp_path / "a", tmp_path / str(start)), segment="4KiB", total="1MiB")
            assert drain(killed.cursor("hub")) == list(range(start + 30))
    assert len(segment_files(tmp_path / "a")) > 3
    journal.close()
    assert drain(open_journal(tmp_path / "a").cursor("hub")) == list(range(6000))


@settings(max_examples=60, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=5))
def test_any_frame_comes_back_from_the_front(tmp_path_factory, given_frames):
    path = tmp_path_factory.mktemp("front") / "front"
    front, row, put = Front(path), 7, []
    for number, each in enumerate(given_frames):
        if len(each) and front.put(Gathered(3 + number, row, 5, each), "digest"):
            put.append(each)
            row += len(each)
    front.close()
    data = read_front(path)
    wanted = [3 + number for number, each in enumerate(given_frames) if len(each)][: len(put)]
    back = list(following(data, "digest", 3, 7)) if wanted == list(range(3, 3 + len(wanted))) else None
    if back is not None:
        assert all(frames_equal(one.frame, other) for one, other in zip(back, put, strict=True))
    assert list(following(data, "another", 3, 7)) == []
    assert list(following(data, "digest", 3, 8)) == []


def test_a_mark_that_was_torn_is_none(tmp_path):
    front = Front(tmp_path / "front")
    front.know(Mark(1, 2, 3, 4, 5))
    data = read_front(tmp_path / "front")
    assert mark_of(data) == Mark(1, 2, 3, 4, 5)
    assert all(mark_of(bytes(data[:at]) + b"\xff" + data[at + 1 :]) is None for at in range(48))
    assert mark_of(b"") is None


@pytest.mark.usefixtures("straight")
@pytest.mark.parametrize("ending", ["stop", "kill", "segment"])
def test_damage_at_the_very_end_is_damage_and_no_torn_write(tmp_path, ending):
    path = tmp_path / "a"
    journal = open_journal(path)
    append_all(journal, 5, 6)
    journal.cursor("hub")
    if ending == "stop":
        journal.close()
    else:
        journal.sync()
        path = crash(path, tmp_path / "b")
    (segment,) = segment_files(path)
    data = segment.read_bytes().rstrip(b"\0")
    last = heads(path)[-1]
    at = data.rfind(b"\xeaCK\x01", 0, len(data) - (HEAD_BYTES if ending == "stop" else 0) - 40)
    segment.write_bytes(data[:at] if ending == "segment" else data[:at] + os.urandom(len(data) - at))
    journal = open_journal(path)
    assert (journal.report.torn_bytes, journal.report.torn_rows) == (0, 0)
    assert [damage.rows for damage in journal.report.damaged] == [last.rows]
    assert journal.report.clean is (ending == "stop")
    assert len(journal.notices()) == 1
    assert drain(journal.cursor("hub")) == list(range(24))
    journal.append(frame(30, 6))
    assert drain(journal.cursor("hub")) == list(range(30, 36))
    assert journal.ledger("hub").dropped == {"damaged": 6}
    assert balanced(journal.ledger("hub"))


def test_append_does_not_wait_for_the_disk_while_it_syncs(tmp_path, monkeypatch):
    journal = open_journal(tmp_path)
    journal.append(frame(0))
    cursor = journal.cursor("hub")
    syncing, go_on, sync = threading.Event(), threading.Event(), disk.sync

    def slow(fd):
        syncing.set()
        assert go_on.wait(30)
        sync(fd)

    monkeypatch.setattr(disk, "sync", slow)
    thread = threading.Thread(target=journal.sync)
    thread.start()
    assert syncing.wait(30)
    for start in range(4, 8000, 4):
        journal.append(frame(start))
    assert drain(cursor) == list(range(8000))
    assert journal.durable_rows == 0
    go_on.set()
    thread.join(30)
    assert journal.durable_rows == 4, "only what it began with"
    journal.sync()
    assert journal.durable_rows == 8000


def test_a_segment_may_end_while_it_is_synced(tmp_path, monkeypatch):
    journal = open_journal(tmp_path, segment="4KiB", total="1MiB")
    journal.append(frame(0))
    syncing, go_on, sync, main = threading.Event(), threading.Event(), disk.sync, threading.current_thread()

    def slow(fd):
        if threading.current_thread() is not main:
            syncing.set()
            assert go_on.wait(30)
        sync(fd)

    monkeypatch.setattr(disk, "sync", slow)
    thread = threading.Thread(target=journal.sync)
    thread.start()
    assert syncing.wait(30)
    for start in range(4, 60_004, 1000):
        journal.append(frame(start, 1000))
    assert len(segment_files(tmp_path)) > 1
    go_on.set()
    thread.join(30)
    assert journal.writable
    journal.close()
    assert drain(open_journal(tmp_path).cursor("hub")) == list(range(60_004))
