"""Histories: anyone reads what is kept, whatever happens to the store meanwhile."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.journal.archive import EVER
from edge_agent.journal.history import History
from edge_agent.model import Frame
from edge_agent.model.frame import frames_equal
from tests.unit.journal.material import NOON, SECOND, TABLE, event, frame, numbers, open_journal, segment_files, table
from tests.unit.journal.strategies import frames

pytestmark = pytest.mark.usefixtures("straight")  # rows that wait in the front, at most a sync interval, it has not
ALL = TABLE.paths


def write(path, count=50, rows=40, **more):
    with_rows = open_journal(path, **more)
    for i in range(count):
        with_rows.append(frame(i * rows, rows))
    return with_rows


def test_a_store_that_is_not_there_has_no_rows(tmp_path):
    history = History(tmp_path / "none")
    assert len(history.frames().frame()) == 0
    assert history.paths() == ()
    assert history.table() is None
    assert list(history.events()) == []
    assert not (tmp_path / "none").exists()


def test_all_rows_come_in_order_while_the_agent_has_the_store(tmp_path):
    journal = write(tmp_path / "j", segment="4KiB")
    assert len(segment_files(tmp_path / "j")) > 3
    reading = History(tmp_path / "j").frames()
    assert numbers(reading.frame()) == list(range(2000))
    assert reading.paths == ALL
    journal.close()


def test_newest_first_is_exactly_the_opposite(tmp_path):
    write(tmp_path / "j", segment="4KiB").close()
    assert numbers(History(tmp_path / "j").frames(newest_first=True).frame()) == list(range(2000))[::-1]


@pytest.mark.parametrize("newest_first", [False, True])
def test_only_the_tags_and_times_asked_for(tmp_path, newest_first):
    write(tmp_path / "j", segment="4KiB").close()
    span = (NOON + 500 * SECOND, NOON + 1500 * SECOND)
    reading = History(tmp_path / "j").frames([ALL[5], ALL[2]], span, newest_first=newest_first)
    got = reading.frame()
    wanted = [n for n in range(500, 1501) if n % 8 in (5, 2)]
    assert numbers(got) == (wanted[::-1] if newest_first else wanted)
    assert [reading.paths[n] for n in got.tag] == [ALL[n % 8] for n in numbers(got)]


def test_a_tag_is_found_by_its_path_in_every_table_of_its_time(tmp_path):
    write(tmp_path / "j", 2).close()
    other = table(3, names="flow")
    second = open_journal(tmp_path / "j", tags=other)
    second.append(frame(100, 6, 3))
    second.close()
    mixed = type(TABLE)([*other, TABLE[7], TABLE[0]])
    third = open_journal(tmp_path / "j", tags=mixed)
    third.append(frame(200, 10, 5))
    third.close()
    history = History(tmp_path / "j")
    assert history.paths() == (*mixed.paths, *ALL[1:7])
    assert numbers(history.frames([ALL[7]]).frame()) == [*range(7, 80, 8), 203, 208]
    assert numbers(history.frames([other.paths[1], "no/such/tag"]).frame()) == [100, 103, 201, 206]


def test_a_chunk_outside_the_order_of_time_is_found_by_its_own_times(tmp_path):
    journal = open_journal(tmp_path / "j", segment="4KiB")
    for start in (5000, 100, 9000, 0):
        for i in range(10):
            journal.append(frame(start + i * 10, 10))
    journal.close()
    span = (NOON + 50 * SECOND, NOON + 149 * SECOND)
    assert numbers(History(tmp_path / "j").frames(span=span).frame()) == [*range(100, 150), *range(50, 100)]


@pytest.mark.parametrize("where", [0, 10, 100])
def test_a_damaged_chunk_is_skipped_and_counted(tmp_path, where):
    write(tmp_path / "j", 3, rows=100, segment="64KiB").close()
    path = segment_files(tmp_path / "j")[0]
    data = bytearray(path.read_bytes())
    at = [i for i in range(len(data)) if data.startswith(b"\xeaCK\x01", i)][2] + where
    data[at] ^= 1
    path.write_bytes(data)
    reading = History(tmp_path / "j").frames()
    assert numbers(reading.frame()) == [*range(100), *range(200, 300)]
    assert (reading.skipped.segments, reading.skipped.stretches, reading.skipped.rows) == (0, 1, 100)


@pytest.mark.parametrize("newest_first", [False, True])
def test_rows_that_wait_for_a_chunk_are_there_already(tmp_path, newest_first):
    journal = open_journal(tmp_path / "j")
    history = History(tmp_path / "j")
    for start in range(0, 4000, 20):
        journal.append(frame(start, 20))
        if start % 380 == 0:
            rows = numbers(history.frames(newest_first=newest_first).frame())
            assert rows == list(range(start + 20))[:: -1 if newest_first else 1]
    span = (NOON + 3990 * SECOND, NOON + 3995 * SECOND)
    assert numbers(history.frames([ALL[7]], span).frame()) == [3991]
    journal.close()
    assert numbers(history.frames().frame()) == list(range(4000))


def test_a_segment_of_another_time_is_not_looked_at_again(tmp_path):
    write(tmp_path / "j", segment="4KiB").close()
    history = History(tmp_path / "j")
    late = (NOON + 1990 * SECOND, NOON + 2990 * SECOND)
    assert numbers(history.frames(span=late).frame()) == list(range(1990, 2000))
    for path in segment_files(tmp_path / "j")[:-2]:
        path.chmod(0)
        path.write_bytes(b"unreadable")
    reading = history.frames(span=late)
    assert numbers(reading.frame()) == list(range(1990, 2000))
    assert reading.skipped.stretches == 0


def test_a_write_that_is_not_complete_yet_is_no_damage(tmp_path):
    journal = write(tmp_path / "j", 3)
    path = segment_files(tmp_path / "j")[0]
    data = bytearray(path.read_bytes())
    end = journal.view.end
    data[end : end + 100] = data[end - 200 : end - 100]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / path.name).write_bytes(data)
    reading = History(tmp_path / "copy").frames()
    assert len(reading.frame()) == 120
    assert (reading.skipped.stretches, reading.skipped.rows) == (0, 0)
    journal.close()


def test_a_file_that_is_no_segment_is_counted_and_left_alone(tmp_path):
    write(tmp_path / "j", 3).close()
    bad = tmp_path / "j" / "000000000099.segment"
    bad.write_bytes(b"nothing")
    reading = History(tmp_path / "j").frames()
    assert len(reading.frame()) == 120
    assert reading.skipped.segments == 1
    assert bad.read_bytes() == b"nothing"


def test_retention_may_take_segments_while_a_reading_goes_on(tmp_path):
    write(tmp_path / "j", segment="4KiB").close()
    reading = History(tmp_path / "j").frames()
    first = next(iter(reading))
    files = segment_files(tmp_path / "j")
    for path in files[: len(files) // 2]:
        path.unlink()
    rest = numbers(reading.frame())
    assert numbers(first)[0] == 0
    assert rest[-1] == 1999
    assert rest == list(range(rest[0], 2000))
    assert reading.skipped.segments == 0


def test_a_history_sees_what_came_since_its_last_reading(tmp_path):
    journal = write(tmp_path / "j", 2, segment="4KiB")
    history = History(tmp_path / "j")
    assert len(history.frames().frame()) == 80
    for i in range(2, 40):
        journal.append(frame(i * 40, 40))
        assert numbers(history.frames(newest_first=True).frame())[0] == i * 40 + 39
    journal.close()
    assert numbers(history.frames().frame()) == list(range(1600))


@pytest.mark.parametrize("newest_first", [False, True])
def test_events_come_by_time(tmp_path, newest_first):
    journal = open_journal(tmp_path / "j")
    journal.append(Frame.empty(), [event("a"), event("b")])
    journal.append(frame(0), [event("c")])
    journal.close()
    history = History(tmp_path / "j")
    names = [each.id for each in history.events(newest_first=newest_first)]
    assert names == (["c", "b", "a"] if newest_first else ["a", "b", "c"])
    assert list(history.events((0, NOON - 1))) == []
    assert len(list(history.events((NOON + SECOND, NOON + 2 * SECOND)))) == 3


@settings(deadline=None, max_examples=100)
@given(
    st.lists(frames(60), min_size=1, max_size=5),
    st.sets(st.integers(0, 7)),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)) | st.just(EVER),
    st.booleans(),
)
def test_a_reading_is_the_rows_that_a_slow_look_would_choose(memory_dir, given_frames, tags, span, newest_first):
    path = memory_dir()
    journal = open_journal(path)
    for each in given_frames:
        journal.append(each)
    journal.close()
    expected = Frame.concat(given_frames)
    keep = np.isin(expected.tag, sorted(tags)) & (expected.time >= span[0]) & (expected.time <= span[1])
    rows = np.flatnonzero(keep)
    expected = expected.rows(rows[::-1] if newest_first else rows)
    chosen = sorted(tags)
    reading = History(path).frames([ALL[n] for n in chosen], span, newest_first=newest_first)
    got = reading.frame()
    assert frames_equal(
        got,
        Frame(
            np.searchsorted(chosen, expected.tag).astype(np.int32),
            expected.time,
            expected.received,
            expected.bits,
            expected.kind,
            expected.status,
            expected.flags,
            expected.texts,
        ),
    )
