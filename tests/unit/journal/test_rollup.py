"""One-minute rollups: equal to a slow twin, whatever the rows, however they are cut, killed and replayed."""

import errno
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import JournalError
from edge_agent.journal import disk
from edge_agent.journal.long import LongFile, long_path
from edge_agent.journal.minutes import MAX_CELLS, Minutes
from edge_agent.journal.roller import EVERY_S, Roller
from edge_agent.journal.rollup import MINUTE_NS, Rollups, merged, pack_rollups
from edge_agent.journal.rollup_layout import unpack_rollups
from edge_agent.journal.rollup_reader import RollupReader
from edge_agent.journal.segment import read_segment
from edge_agent.model import Frame, Kind
from tests.naive import naive_rollups
from tests.unit.journal.material import (
    NOON,
    SECOND,
    TABLE,
    ManualClock,
    drain,
    event,
    frame,
    open_journal,
    section,
    segment_files,
    table,
)
from tests.unit.journal.strategies import frames

EVER = (-(1 << 63), (1 << 63) - 1)


def figures(rollups: Rollups) -> dict:
    names = ("count", "good", "numbers", "low", "high", "mean", "last", "last_ms")
    columns = [getattr(rollups, name).tolist() for name in names]
    keys = zip(rollups.tag.tolist(), rollups.minute.tolist(), strict=True)
    found = dict(zip(keys, zip(*columns, strict=True), strict=True))
    assert len(found) == len(rollups), "one row a tag and minute"
    return found


def same(rollups: Rollups, rows: list[Frame], numbers=None):
    """Equal to the twin: all but the mean exactly, the mean to a part in 10⁹ of the largest value."""
    twin = {key: rollup.figures() for key, rollup in naive_rollups(rows).items()}
    if numbers is not None:
        twin = {(numbers[tag], minute): each for (tag, minute), each in twin.items() if tag in numbers}
    found = figures(rollups)
    assert found.keys() == twin.keys()
    for key, expected in twin.items():
        mean, other = found[key][5], expected[5]
        assert np.array_equal(found[key][:5] + found[key][6:], expected[:5] + expected[6:], equal_nan=True), key
        size = max(abs(expected[3]), abs(expected[4]))
        assert (math.isnan(mean) and math.isnan(other)) or abs(mean - other) <= 1e-9 * size + 1e-300, key
    return True


TIMES = st.one_of(
    st.integers(0, 4 * MINUTE_NS).map(lambda ns: NOON + ns),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([NOON - NOON % MINUTE_NS, NOON - NOON % MINUTE_NS - 1, 0, -1]),
)
VALUES = st.one_of(st.floats(-1e300, 1e300), st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 850.1]))


@st.composite
def rows(draw, tags=8):
    """Frames with times near each other and far apart, scans and disorder, every kind and status."""
    base = draw(frames(20, tags))
    n = len(base)
    time = np.array(draw(st.lists(TIMES, min_size=n, max_size=n)), np.int64)
    if draw(st.booleans()):
        base = base.rows(np.argsort(base.tag, kind="stable"))
    floats = np.array(draw(st.lists(VALUES, min_size=n, max_size=n)))
    kind = base.kind if draw(st.booleans()) else np.full(n, Kind.FLOAT64, np.uint8)
    bits = np.where((kind == Kind.FLOAT64) | (kind == Kind.FLOAT32), floats.view(np.uint64), base.bits)
    bits[kind == Kind.BOOL] &= np.uint64(1)
    return Frame(base.tag, time, base.received, bits, kind, base.status, base.flags, base.texts)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=5))
def test_minutes_are_as_the_twin_says(parts):
    minutes = Minutes(8)
    for part in parts:
        minutes.add(part)
    assert same(minutes.rollups(), parts)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=6), st.data())
def test_a_minute_cut_anywhere_and_merged_is_the_same(parts, data):
    cut = data.draw(st.integers(0, len(parts)))
    halves = []
    for half in (parts[:cut], parts[cut:]):
        minutes = Minutes(8)
        for part in half:
            minutes.add(part)
        halves.append(minutes.rollups())
    assert same(merged(Rollups.concat(halves)), parts)


@settings(max_examples=50, deadline=None)
@given(st.lists(rows(), min_size=0, max_size=4), st.integers(0, 3))
def test_a_payload_comes_back(parts, events):
    minutes = Minutes(8)
    for part in parts:
        minutes.add(part)
    rollups, told = minutes.rollups(), [event(f"e{number}") for number in range(events)]
    back, events_back, meta = unpack_rollups(pack_rollups(rollups, told, {"row": 7}))
    assert [c.tobytes() for c in columns(back)] == [c.tobytes() for c in columns(rollups)]
    assert list(events_back) == told
    assert meta == {"row": 7}


def columns(rollups):
    names = ("tag", "minute", "count", "good", "numbers", "low", "high", "mean", "last", "last_ms")
    return [np.ascontiguousarray(getattr(rollups, name)) for name in names]


def test_a_scan_of_ten_thousand_tags_and_a_month_of_one():
    scans = [Frame.of_floats(np.arange(3000), NOON + i * SECOND, np.arange(3000.0) + i) for i in range(3)]
    history = Frame.of_floats(np.full(40_000, 5), NOON + np.arange(40_000) * MINUTE_NS, np.arange(40_000.0))
    minutes = Minutes(3000)
    for part in (*scans, history, scans[0]):
        minutes.add(part)
    assert same(minutes.rollups(), [*scans, history, scans[0]])
    assert not minutes.full
    minutes.add(Frame.of_floats(np.full(MAX_CELLS, 5), NOON + np.arange(MAX_CELLS) * MINUTE_NS, 1.0))
    assert minutes.full


@pytest.mark.parametrize("byte", [0, 20, 60, 200, -1])
def test_damage_of_a_payload_is_seen(byte):
    minutes = Minutes(8)
    minutes.add(frame(0, 500))
    payload = bytearray(pack_rollups(minutes.rollups(), [event()], {"row": 7}))
    payload[byte] ^= 1
    with pytest.raises(ValueError, match="check"):
        unpack_rollups(bytes(payload))


class Life:
    """A journal and its roller in one directory; may be left lying at any moment."""

    def __init__(self, path, tags=TABLE, clock=None):
        self.clock = clock or ManualClock()
        self.journal = open_journal(path, tags, self.clock)
        self.roller = Roller(self.journal, tags, section(), self.clock)

    def turn(self):
        self.journal.sync()
        while self.roller.turn():
            pass

    def stop(self):
        self.journal.sync()
        self.roller.close()
        self.journal.close()


PATHS = list(TABLE.paths)


def read(path, paths=PATHS):
    return RollupReader(path).rollups(paths, *EVER)


def test_a_reader_sees_rows_before_and_after_they_are_rolled_up(tmp_path):
    path = tmp_path / "journal"
    life, parts = Life(path), []
    for turn in range(5):
        for _ in range(4):
            parts.append(frame(len(parts) * 37, 37))
            life.journal.append(parts[-1], [event(f"e{len(parts)}")])
        life.clock.tick(EVERY_S if turn % 2 else 10)
        life.turn()
        assert same(read(path), parts)
        assert [e.id for e in RollupReader(path).events(*EVER)] == [f"e{i + 1}" for i in range(len(parts))]
    assert life.roller.behind == 0
    assert life.roller.long.view.rows > 0
    life.stop()
    assert same(read(path), parts)
    assert len(list(RollupReader(path).events(*EVER))) == len(parts)
    assert list(RollupReader(path).events(NOON + 1, EVER[1])) == []


def test_times_and_tags_choose(tmp_path):
    path = tmp_path / "journal"
    life, all_rows = Life(path), frame(0, 3000)
    life.journal.append(all_rows)
    life.stop()
    minute = NOON // MINUTE_NS + 3
    found = RollupReader(path).rollups([PATHS[6], "nobody", PATHS[1]], minute * MINUTE_NS, (minute + 2) * MINUTE_NS)
    assert set(found.minute.tolist()) == {minute, minute + 1}
    assert set(found.tag.tolist()) == {0, 2}
    twin = naive_rollups([all_rows])
    assert figures(found)[0, minute][0] == twin[6, minute].count
    assert figures(found)[2, minute][6] == twin[1, minute].last


def test_groups_read_together_are_those_read_alone_and_a_damaged_one_is_missed_alone(tmp_path):
    path, tags = tmp_path / "journal", table(48)
    life, parts = Life(path, tags), []
    for turn in range(3):
        parts.append(frame(turn * 4800, 4800, 48))
        life.journal.append(parts[-1])
        life.clock.tick(EVERY_S)
        life.turn()
    life.stop()
    paths = list(tags.paths)
    assert same(read(path, paths), parts)
    for number in (0, 15, 16, 47):
        assert same(read(path, [paths[number]]), parts, {number: 0})
    assert same(read(path, [paths[number] for number in (40, 3, 17)]), parts, {40: 0, 3: 1, 17: 2})
    (segment,) = segment_files(long_path(path))
    data = bytearray(segment.read_bytes())
    with LongFile(read_segment(segment)) as file:
        chunk = list(file.chunks())[1]
    data[chunk.offset + int(chunk.contents.ends[1]) - 5] ^= 1
    segment.write_bytes(data)
    group, found = chunk.contents.groups[1], read(path, paths)
    whole = [part.rows((part.tag < group["first"]) | (part.tag > group["last"])) for part in parts]
    lost = parts[1].rows((parts[1].tag >= group["first"]) & (parts[1].tag <= group["last"]))
    assert int(found.count.sum()) == 3 * 4800 - len(lost)
    outside = (found.tag < group["first"]) | (found.tag > group["last"])
    assert same(found.rows(outside), whole)


def test_another_configuration_leaves_the_minutes_of_the_first(tmp_path):
    path = tmp_path / "journal"
    first = Life(path)
    first.journal.append(frame(0, 400))
    first.journal.sync()
    first.turn()
    first.journal.close()  # and nothing was rolled up in this life
    first.roller.long.close()
    more = table(12, names="other")
    second = Life(path, more)
    second.journal.append(frame(0, 240, 12))
    second.turn()
    second.stop()
    assert same(read(path, PATHS), [frame(0, 400)])
    assert same(read(path, list(more.paths)), [frame(0, 240, 12)])


def test_rows_come_late_and_clocks_go_back(tmp_path):
    path = tmp_path / "journal"
    life = Life(path)
    parts = [frame(0, 300), frame(3600, 300), frame(30, 90), frame(-7200, 100), frame(-1_790_000_000, 9)]
    for part in parts:
        life.journal.append(part)
        life.clock.tick(EVERY_S)
        life.turn()
    assert same(read(path), parts)
    life.stop()
    assert same(read(path), parts)


def test_only_durable_rows_are_rolled_up(tmp_path):
    life = Life(tmp_path / "journal")
    life.journal.append(frame(0, 50))
    life.roller.turn()
    life.clock.tick(EVERY_S)
    life.roller.turn()
    assert life.roller.long.view.rows == 0, "a power cut may still take the rows"
    life.journal.sync()
    life.roller.turn()
    assert life.roller.long.view.rows > 0
    life.stop()


def test_what_retention_took_before_it_was_rolled_up_is_counted(tmp_path):
    path = tmp_path / "journal"
    clock = ManualClock()
    journal = open_journal(path, clock=clock, segment="16KiB", total="64KiB")
    chance = np.random.default_rng(1)
    for turn in range(60):
        journal.append(Frame.of_floats(np.arange(500) % 8, NOON + turn * SECOND, chance.normal(size=500)))
    journal.close()
    journal = open_journal(path, clock=clock, segment="16KiB", total="64KiB")
    roller = Roller(journal, TABLE, section(), clock)
    roller.close()
    assert journal.view.oldest > 0
    assert roller.missed == journal.view.oldest
    assert int(read(path).count.sum()) + roller.missed == 60 * 500
    journal.close()


def test_a_store_that_was_moved_aside_keeps_its_long_store(tmp_path):
    path = tmp_path / "journal"
    life = Life(path)
    life.journal.append(frame(0, 300))
    life.stop()
    (path / "cursors").rmdir()
    (path / "cursors").write_text("in the way")
    for segment in segment_files(path):
        segment.unlink()
    (path / "lock").unlink()
    (path / "lock").mkdir()
    life = Life(path)
    assert life.journal.report.moved_aside
    life.journal.append(frame(1000, 200))
    life.turn()
    life.stop()
    assert same(read(path), [frame(0, 300), frame(1000, 200)])


def test_a_fault_of_the_long_store_is_told_and_mends(tmp_path):
    path = tmp_path / "journal"
    life = Life(path)
    long_path(path).mkdir()
    held = disk.lock(long_path(path) / "lock")
    life.journal.append(frame(0, 300))
    life.turn()
    assert isinstance(life.roller.error, JournalError)
    assert life.journal.writable
    assert life.roller.behind == 300
    os.close(held)
    life.clock.tick(60)
    life.turn()
    assert life.roller.error is None
    life.stop()
    assert same(read(path), [frame(0, 300)])


def small_disk(folder, size, monkeypatch):
    """No write makes the files in this folder more than `size` bytes together."""
    write = disk.write

    def limited(fd, data, at):
        used = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        if used - os.fstat(fd).st_size + max(os.fstat(fd).st_size, at + len(data)) > size:
            raise OSError(errno.ENOSPC, "no space")
        write(fd, data, at)

    monkeypatch.setattr(disk, "write", limited)
    monkeypatch.setattr(disk, "reserve", lambda fd, size: False)


@pytest.mark.parametrize("delivered", [True, False])
def test_on_a_full_disk_raw_rows_that_were_delivered_go_and_rollups_and_events_stay(tmp_path, monkeypatch, delivered):
    """Raw rows that are still owed do not go for them; what is to be rolled up waits in the raw log meanwhile."""
    path, clock = tmp_path / "journal", ManualClock()
    journal = open_journal(path, clock=clock, segment="16KiB", total="64MiB")
    cursor, roller = journal.cursor("hub"), Roller(journal, TABLE, section(), clock)
    numbers, chance = np.arange(2000), np.random.default_rng(1)
    parts = [
        Frame.of_floats(numbers % 8, NOON + (2000 * turn + numbers) * SECOND, chance.normal(size=2000))
        for turn in range(12)
    ]
    for turn, part in enumerate(parts):
        journal.append(part, [event(f"e{turn}")])
    journal.sync()
    kept = [each.name for each in segment_files(path)]
    if delivered:
        drain(cursor)
    small_disk(path, sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) + 2000, monkeypatch)
    while roller.turn():
        pass
    clock.tick(EVERY_S)
    roller.turn()
    left = [each.name for each in segment_files(path)]
    if delivered:
        assert roller.error is None
        assert roller.long.view.rows > 0
        assert left == kept[len(kept) - len(left) :] != kept
        assert sum(journal.view.taken(0, journal.view.rows).values()) == journal.view.oldest > 0
    else:
        assert "no space" in str(roller.error)
        assert left == kept
        monkeypatch.undo()
        clock.tick(60.0)
        roller.turn()
    roller.close()
    journal.close()
    assert same(read(path), parts)
    assert len(list(RollupReader(path).events(0, 1 << 62))) == 12
    assert roller.missed == 0
