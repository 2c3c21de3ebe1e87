"""A disk that is full, read-only or gone for a while: nothing raises but `append`, nothing is torn, all is counted."""

import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest

from edge_agent.api import Answer, Refusal
from edge_agent.errors import JournalError
from edge_agent.journal import disk
from edge_agent.model import Frame
from tests.unit.journal.material import ManualClock, balanced, crash, drain, frame, numbers, open_journal, segment_files

HERE = Path(__file__).parents[3]


@pytest.fixture
def file_limit():
    """Sets the greatest length of a file, as a full disk would; without one again afterwards."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size=None):
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))

    yield limit
    limit()


def append_or_lose(journal, start, rows):
    """What the flow does."""
    try:
        journal.append(frame(start, rows))
    except JournalError:
        journal.lose("journal_unavailable", rows)
        return []
    return list(range(start, start + rows))


def test_a_write_cut_short_at_every_byte_leaves_nothing_torn(tmp_path, file_limit):
    journal = open_journal(tmp_path / "a", segment="32KiB")
    cursor = journal.cursor("hub")
    kept, start = [], 0
    while journal.view.end < 40_000 and len(segment_files(tmp_path / "a")) < 2:
        end = journal.view.end
        file_limit(end + start % 160)
        kept += append_or_lose(journal, start, 5)
        file_limit()
        start += 5
        kept += append_or_lose(journal, start, 5)
        start += 5
    ledger = cursor.ledger()
    assert ledger.collected == start
    assert ledger.dropped["journal_unavailable"] == start - len(kept) > 0
    again = open_journal(crash(tmp_path / "a", tmp_path / "b"))
    assert again.report.torn_bytes == 0
    assert not again.report.damaged
    assert again.ledger("hub") == ledger
    assert drain(again.cursor("hub")) == kept
    assert balanced(again.ledger("hub"))


def test_a_short_write_after_a_long_one_that_failed_leaves_nothing_behind_it(tmp_path, file_limit):
    journal = open_journal(tmp_path / "a")
    cursor = journal.cursor("hub")
    noise = np.random.default_rng(1).normal(size=1000)
    for size in range(500, 5000, 500):
        end = journal.view.end
        file_limit(end + size)
        with pytest.raises(JournalError):
            journal.append(Frame.of_floats(np.zeros(1000), 0, noise))
        file_limit()
        assert journal.view.end == end
        journal.append(frame(journal.view.rows, 1))
        again = open_journal(crash(tmp_path / "a", tmp_path / str(size)))
        assert again.report.torn_bytes == 0
        assert drain(again.cursor("hub")) == list(range(journal.view.rows))
        again.close()
    assert balanced(cursor.ledger())


def test_no_space_for_a_segment_is_told_and_tried_again(tmp_path, file_limit):
    clock = ManualClock()
    journal = open_journal(tmp_path, clock=clock, segment="4KiB")
    file_limit(100)
    kept = []
    for start in range(0, 1000, 5):
        kept += append_or_lose(journal, start, 5)
        clock.tick(0.1)
    assert not journal.writable
    assert "no space" in str(journal.error)
    assert "저장 공간" in journal.error.in_language("ko")
    file_limit()
    clock.tick(2)
    kept += append_or_lose(journal, 1000, 5)
    assert journal.writable
    cursor = journal.cursor("hub")
    assert drain(cursor) == kept
    assert kept[-1] == 1004
    assert cursor.ledger().collected == 1005
    assert balanced(cursor.ledger())


def test_quarantine_and_cursor_go_on_in_memory_when_nothing_can_be_written(tmp_path, file_limit):
    journal = open_journal(tmp_path / "a")
    cursor = journal.cursor("hub")
    journal.append(frame(0, 10))
    file_limit(0)
    cursor.advance(cursor.read(5), Answer([Refusal([0], "bad")]))
    assert numbers(cursor.read(100).frame) == [5, 6, 7, 8, 9]
    file_limit()
    ledger = cursor.ledger()
    assert ledger.dropped == {"quarantine_unavailable": 1}
    assert balanced(ledger)
    assert journal.notices()
    again = open_journal(crash(tmp_path / "a", tmp_path / "b"))
    assert drain(again.cursor("hub")) == list(range(10)), "delivered again, counted once"
    assert again.ledger("hub").delivered == 10
    cursor.advance(cursor.read(5), Answer())
    again = open_journal(crash(tmp_path / "a", tmp_path / "c"))
    assert again.ledger("hub") == cursor.ledger(), "once it can be written it is"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    point = tmp_path / "disk"
    point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(point)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here (run as root with CAP_SYS_ADMIN): {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


@pytest.mark.usefixtures("straight")
def test_a_full_disk_first_gives_up_what_everyone_has_passed(small_disk):
    journal = open_journal(small_disk / "journal", segment="16KiB")
    cursor = journal.cursor("hub")
    for start in range(0, 40_000, 20):
        journal.append(frame(start, 20))
        assert len(drain(cursor)) == 20
    assert cursor.ledger().delivered == 40_000
    assert journal.view.oldest > 0
    assert balanced(cursor.ledger())


@pytest.mark.usefixtures("straight")
def test_a_full_disk_keeps_what_is_owed_and_counts_what_does_not_fit(small_disk):
    clock = ManualClock()
    journal = open_journal(small_disk / "journal", clock=clock, segment="16KiB")
    cursor = journal.cursor("hub")
    kept = []
    for start in range(0, 40_000, 20):
        kept += append_or_lose(journal, start, 20)
        clock.tick(0.1)
    assert not journal.writable
    assert 0 < len(kept) < 40_000
    assert drain(cursor) == kept
    assert cursor.ledger().dropped == {"journal_unavailable": 40_000 - len(kept)}
    clock.tick(2)
    journal.append(frame(40_000, 20))
    assert journal.writable, "what was delivered has made room"
    assert balanced(cursor.ledger())


AS_NOBODY = """
import os, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from tests.unit.journal.material import *
from edge_agent.errors import JournalError
path = Path({path!r})
clock = ManualClock()
if os.getuid() == 0:
    os.setuid(65534)
journal = open_journal(path, clock=clock)
assert not journal.writable
assert "can't be written" in str(journal.report.error), journal.report.error
cursor = journal.cursor("hub")
try:
    journal.append(frame(100))
except JournalError:
    journal.lose("journal_unavailable", 4)
else:
    raise SystemExit("appended to a read-only store")
{then}
assert balanced(cursor.ledger())
journal.close()
print("done")
"""


def as_nobody(path, then):
    """Runs code as a user who may only read; root may always write."""
    code = AS_NOBODY.format(here=str(HERE), path=str(path), then=textwrap.dedent(then))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.fixture
def open_to_all():
    """A directory that other users may enter, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="journal-test-"))
    path.chmod(0o755)
    yield path
    for each in (path, *path.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
    shutil.rmtree(path)


def only_readable(path):
    for each in (path, *path.rglob("*")):
        each.chmod(0o555 if each.is_dir() else 0o444)


def test_a_read_only_store_is_still_delivered(open_to_all):
    path = open_to_all / "journal"
    journal = open_journal(path)
    journal.cursor("hub")
    journal.append(frame(0, 10))
    journal.close()
    only_readable(path)
    as_nobody(
        path,
        """
        assert drain(cursor) == list(range(10))
        assert cursor.ledger().dropped == {"journal_unavailable": 4}
        assert cursor.ledger().collected == 14
        """,
    )


def test_a_store_that_cannot_be_made_is_tried_again(open_to_all):
    path = open_to_all / "parent" / "journal"
    path.parent.mkdir()
    only_readable(path.parent)
    as_nobody(path, "assert cursor.read(10) is None\n")


def test_a_store_that_comes_later_takes_up_what_was_counted(tmp_path):
    clock = ManualClock()
    parent = tmp_path / "mount"
    parent.write_text("not mounted yet")
    journal = open_journal(parent / "journal", clock=clock)
    assert not journal.writable
    cursor = journal.cursor("hub")
    assert append_or_lose(journal, 0, 5) == []
    assert cursor.ledger().collected == 5
    parent.unlink()
    parent.mkdir()
    clock.tick(2)
    journal.append(frame(5, 5))
    assert drain(cursor) == [5, 6, 7, 8, 9]
    ledger = cursor.ledger()
    assert (ledger.collected, ledger.dropped) == (10, {"journal_unavailable": 5})
    journal.close()
    assert open_journal(parent / "journal").ledger("hub") == ledger


def test_a_store_that_comes_later_with_a_backlog_is_gone_on_with(tmp_path):
    old = open_journal(tmp_path / "old")
    drain(old.cursor("hub"))
    old.append(frame(0, 5))
    old.append(frame(5, 5))
    old.cursor("hub").advance(old.cursor("hub").read(3), Answer())
    old.close()
    clock = ManualClock()
    parent = tmp_path / "mount"
    parent.write_text("not mounted yet")
    journal = open_journal(parent / "old", clock=clock)
    cursor = journal.cursor("hub")
    assert append_or_lose(journal, 10, 5) == []
    parent.unlink()
    parent.mkdir()
    (tmp_path / "old").rename(parent / "old")
    clock.tick(2)
    journal.append(frame(15, 5))
    assert drain(cursor) == [*range(3, 10), *range(15, 20)]
    ledger = cursor.ledger()
    assert (ledger.collected, ledger.delivered, ledger.dropped) == (20, 15, {"journal_unavailable": 5})
    assert balanced(ledger)


def refuse(fd):
    raise OSError(5, "Input/output error")


def test_a_sync_that_fails_raises_and_the_next_segment_goes_on(tmp_path, monkeypatch):
    clock = ManualClock()
    journal = open_journal(tmp_path, clock=clock)
    cursor = journal.cursor("hub")
    journal.append(frame(0))
    sync = disk.sync
    monkeypatch.setattr(disk, "sync", refuse)
    with pytest.raises(JournalError, match="refused"):
        journal.sync()
    assert journal.durable_rows == 0
    monkeypatch.setattr(disk, "sync", sync)
    clock.tick(2)
    journal.append(frame(4))
    journal.sync()
    assert len(segment_files(tmp_path)) == 2
    assert drain(cursor) == list(range(8))


def test_a_sync_neither_clears_the_error_nor_takes_the_next_attempt(tmp_path, file_limit):
    clock = ManualClock()
    file_limit(100)
    journal = open_journal(tmp_path, clock=clock)
    assert not journal.writable
    for _ in range(5):
        clock.tick(2)
        with pytest.raises(JournalError, match="no space"):
            journal.sync()
        assert not journal.writable
    file_limit()
    journal.append(frame(0))
    assert journal.writable
    journal.sync()


def test_a_sync_that_fails_is_told_until_one_succeeds(tmp_path, monkeypatch):
    journal = open_journal(tmp_path)
    sync = disk.sync
    journal.append(frame(0))
    monkeypatch.setattr(disk, "sync", refuse)
    with pytest.raises(JournalError, match="refused"):
        journal.sync()
    monkeypatch.setattr(disk, "sync", sync)
    journal.append(frame(4))
    assert not journal.writable, "rows are accepted, but nobody knows yet that they can be made durable"
    journal.sync()
    assert journal.writable
