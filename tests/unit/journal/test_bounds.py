"""Bytes, age, free disk: over a bound the oldest go, never in vain, and the ledger says what was not delivered."""

import pytest

from edge_agent.config.agent import JournalSection
from edge_agent.journal import Journal, disk
from edge_agent.journal.bounds import Bounds
from tests.unit.journal.material import TABLE, ManualClock, balanced, drain, frame, section, segment_files

pytestmark = pytest.mark.usefixtures("straight")
HOUR, DAY = 3600.0, 86_400.0
MB = 1_000_000


def opened(path, clock, **more):
    return Journal.open(path, TABLE, section("4KiB", "1MiB", **more), clock)


def fill(journal, clock, rows, each=0.0, start=0):
    for number in range(start, start + rows, 20):
        journal.append(frame(number, 20))
        clock.tick(each)


@pytest.mark.parametrize(
    ("total", "floor"), [(64 * 10**9, 3200 * MB), (8 * 10**9, 500 * MB), (10**9, 500 * MB), (256 << 10, 500 * MB)]
)
def test_without_a_setting_the_greater_of_bytes_and_share_stays_free(total, floor):
    assert Bounds.of(JournalSection()).floor(total) == floor
    assert Bounds.of(JournalSection(min_free="2GiB")).floor(total) == 2 << 30


def test_as_many_go_as_room_is_wanted_and_none_in_vain():
    bounds = Bounds(8 * MB, 100 * MB, min_free=500 * MB)
    sizes = [8 * MB] * 5
    assert bounds.beyond_room(sizes, 600 * MB, 10**9) == 0
    assert bounds.beyond_room(sizes, 499 * MB, 10**9) == 1
    assert bounds.beyond_room(sizes, 490 * MB, 10**9) == 2
    assert bounds.beyond_room(sizes, 468 * MB, 10**9) == 4
    assert bounds.beyond_room(sizes, 467 * MB, 10**9) is None
    assert bounds.beyond_room([], 499 * MB, 10**9) is None
    assert bounds.beyond_room([], 500 * MB, 10**9) == 0


def test_what_is_older_than_the_bound_goes_and_is_counted(tmp_path):
    clock = ManualClock()
    journal = opened(tmp_path, clock, max_age="30d")
    cursor = journal.cursor("hub")
    fill(journal, clock, 2000, each=DAY)
    journal.sync()
    oldest = journal.view.segments[1].header.created
    assert clock.now - 30 * DAY * 1e9 < oldest
    assert len(segment_files(tmp_path)) < 12
    gone = journal.view.oldest
    assert gone > 1000
    assert drain(cursor) == list(range(gone, 2000))
    assert cursor.ledger().dropped == {"age": gone}
    assert balanced(cursor.ledger())
    notices = journal.notices()
    assert sum(notice.evidence["rows"] for notice in notices) == gone
    assert all("max_age" in notice.text.en and "보관 기간" in notice.text.ko for notice in notices)


@pytest.mark.parametrize("jump", [-2 * HOUR, 20 * DAY])
def test_a_clock_that_jumps_less_than_the_bound_costs_nothing(tmp_path, jump):
    clock = ManualClock()
    journal = opened(tmp_path, clock, max_age="30d")
    fill(journal, clock, 1000, each=60)
    clock.tick(jump)
    fill(journal, clock, 1000, each=60, start=1000)
    journal.sync()
    assert drain(journal.cursor("hub")) == list(range(2000))


def test_what_a_clock_of_1970_wrote_is_not_old(tmp_path):
    clock = ManualClock(wall=0)
    journal = opened(tmp_path, clock, max_age="30d")
    cursor = journal.cursor("hub")
    fill(journal, clock, 1000, each=60)
    clock.now += 1_790_000_000 * 10**9
    fill(journal, clock, 1000, each=60, start=1000)
    journal.close()
    journal = opened(tmp_path, clock, max_age="30d")
    assert drain(journal.cursor("hub")) == list(range(2000))
    assert balanced(journal.ledger("hub"))
    assert cursor.ledger().dropped == {}


def test_when_others_fill_the_disk_the_oldest_make_room(tmp_path, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(disk, "room", lambda path: (10**9, 10**10))
    journal = opened(tmp_path, clock, min_free="100MiB")
    cursor = journal.cursor("hub")
    fill(journal, clock, 4000)
    journal.sync()
    files = len(segment_files(tmp_path))
    assert journal.view.oldest == 0
    assert files > 6
    monkeypatch.setattr(disk, "room", lambda path: ((100 << 20) - 9000, 10**10))
    fill(journal, clock, 20, start=4000)
    journal.sync()
    assert len(segment_files(tmp_path)) == files - 3
    assert not journal.cramped
    gone = journal.view.oldest
    assert drain(cursor) == list(range(gone, 4020))
    assert cursor.ledger().dropped == {"free_space": gone}
    assert gone > 0
    assert balanced(cursor.ledger())
    assert {notice.text.en.split(":")[0] for notice in journal.notices()} == {"the disk was getting full"}


def test_a_disk_too_small_for_the_bound_is_told_of_once_and_used_as_it_is(tmp_path, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(disk, "room", lambda path: (10**6, 10**7))
    journal = opened(tmp_path, clock, min_free="100MiB")
    fill(journal, clock, 4000)
    journal.sync()
    assert journal.writable
    assert journal.cramped
    assert drain(journal.cursor("hub")) == list(range(4000))
    (notice,) = journal.notices()
    assert "min_free" in notice.text.en
    monkeypatch.setattr(disk, "room", lambda path: (10**9, 10**10))
    fill(journal, clock, 20, start=4000)
    journal.sync()
    assert not journal.cramped
    assert len(journal.notices()) == 1


def test_each_row_is_counted_under_the_reason_for_which_it_went_also_after_a_restart(tmp_path, monkeypatch):
    clock = ManualClock()
    monkeypatch.setattr(disk, "room", lambda path: (10**9, 10**10))
    journal = opened(tmp_path, clock, max_age="30d", min_free="100MiB")
    cursor = journal.cursor("hub")
    fill(journal, clock, 2000)
    monkeypatch.setattr(disk, "room", lambda path: ((100 << 20) - 5000, 10**10))
    fill(journal, clock, 20, start=2000)
    journal.sync()
    monkeypatch.setattr(disk, "room", lambda path: (10**9, 10**10))
    first = journal.view.oldest
    clock.tick(40 * DAY)
    fill(journal, clock, 1000, start=2020)
    journal.sync()
    wanted = {"free_space": first, "age": journal.view.oldest - first}
    assert min(wanted.values()) > 0
    assert cursor.ledger().dropped == wanted
    fill(journal, clock, 1000, start=3020)
    journal.close()
    journal = opened(tmp_path, clock, max_age="30d", min_free="100MiB")
    cursor = journal.cursor("hub")
    assert cursor.ledger().dropped == wanted
    drain(cursor)
    assert cursor.ledger().dropped == wanted
    assert balanced(cursor.ledger())
