"""Gaps: what is missing, against a plain account of which samples there were and which came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.gaps import MOST, Gap, Gaps, alike, inside
from edge_agent.api import Flag, Frame, Status

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
NUMBERS = np.array([7, 5, 6], np.int32)


def gaps(limit: float = 3600.0, wanted: tuple[bool, ...] = (True, True, True)) -> Gaps:
    return Gaps(NUMBERS, np.array(wanted), limit)


def row(handle: int, time: int, *, status: int = 0, flags: int = 0) -> Frame:
    return Frame.of_floats([NUMBERS[handle]], START + time, [1.0], status=status, flags=flags)


def opened(one: Gaps) -> list[tuple[int, int, int]]:
    return [(gap.handle, gap.after - START, gap.before - START) for gap in one]


def test_a_gap_lies_between_what_came_last_and_what_comes_first():
    one = gaps()
    one.connected()
    one.see(row(0, 1))
    one.see(row(0, 5))
    assert opened(one) == []
    one.connected()
    one.see(row(0, 9))
    one.see(row(0, 20))
    assert opened(one) == [(0, 5, 9)]


@pytest.mark.parametrize("first", [5, 4, 6])
def test_where_no_sample_can_be_between_there_is_no_gap(first: int):
    one = gaps()
    one.see(row(1, 5))
    one.connected()
    one.see(row(1, first))
    assert opened(one) == []


def test_tags_that_were_never_heard_or_are_not_wanted_have_none():
    one = gaps(wanted=(True, False, True))
    one.see(row(1, 5))
    one.connected()
    one.see(row(0, 50))
    one.see(row(1, 50))
    assert opened(one) == []


def test_a_word_about_the_tag_ends_nothing_and_a_sample_without_a_time_does():
    one = gaps()
    one.see(row(0, 5))
    one.see(row(2, 5))
    one.connected()
    one.see(row(0, 50, status=Status.BAD_NODE_ID_UNKNOWN, flags=Flag.RECEIVE_TIME))
    one.see(row(2, 50, flags=Flag.RECEIVE_TIME))
    assert opened(one) == [(2, 5, 50)]
    one.see(row(0, 70))
    assert opened(one) == [(2, 5, 50), (0, 5, 70)]
    assert one.last.tolist()[2] == START + 5, "a time of our own says nothing of the source's"


def test_what_a_queue_did_not_hold_is_missing_once_a_connection():
    one = gaps()
    one.connected()
    one.see(row(0, 5))
    one.see(row(0, 9, flags=Flag.OVERFLOW))
    assert opened(one) == [], "the session is new: what overflows now does so all the time"
    one.resumed()
    one.see(row(0, 20))
    one.see(row(0, 50, flags=Flag.OVERFLOW))
    one.see(row(0, 70, flags=Flag.OVERFLOW))
    assert opened(one) == [(0, 20, 50)]


def test_a_first_row_that_says_overflow_ends_one_gap():
    one = gaps()
    one.see(row(0, 5))
    one.connected()
    one.see(row(0, 50, flags=Flag.OVERFLOW))
    assert len(one) == 1
    one.resumed()
    both = Frame.concat([row(0, 60, flags=Flag.OVERFLOW), row(0, 80, flags=Flag.OVERFLOW), row(1, 80)])
    one.see(both)
    assert len(one) == 2
    assert opened(one) == [(0, 5, 50)]
    one.close(next(iter(one)))
    assert opened(one) == [(0, 50, 60)]


def test_nothing_is_looked_for_beyond_the_limit():
    one = gaps(limit=60)
    one.see(row(0, 0))
    one.connected()
    one.see(row(0, 3600 * SECOND))
    assert opened(one) == [(0, 3540 * SECOND, 3600 * SECOND)]


def test_gaps_of_a_tag_wait_in_order_and_not_too_many_of_them():
    one = gaps()
    for k in range(MOST + 5):
        one.connected()
        one.see(row(0, 10 * k))
    assert len(one) == MOST
    (oldest,) = one
    assert oldest.after - START == 10 * 4
    one.close(oldest)
    assert opened(one) == [(0, 50, 60)]
    one.forget(0)
    assert len(one) == 0
    one.close(oldest)


def test_what_is_kept_comes_back():
    one, keys = gaps(wanted=(True, True, False)), ["a", "b", "c"]
    for handle in range(3):
        one.see(row(handle, 5))
    one.connected()
    one.see(row(0, 90))
    again = gaps(wanted=(True, True, False))
    again.recall(one.kept(keys), keys)
    assert opened(again) == [(0, 5, 90)]
    assert again.last.tolist() == [START + 90, START + 5, 0]


@pytest.mark.parametrize("kept", [{"a": [1, 2]}, {"a": ["x"]}, {"a": [-1]}, {"a": [1 << 63]}, {"a": 5}])
def test_what_makes_no_sense_is_refused(kept: dict[str, object]):
    with pytest.raises((TypeError, ValueError)):
        gaps().recall(kept, ["a", "b", "c"])


def test_what_is_on_disk_counts_more_than_what_was_kept():
    one, keys = gaps(), ["a", "b", "c"]
    one.recall({"a": [START + 90, START + 5, START + 50, START + 60, START + 80], "b": [START + 9]}, keys)
    zero = np.zeros(3, np.int64)
    live, filled = zero.copy(), zero.copy()
    live[0], filled[0], live[1] = START + 85, START + 70, START + 7
    one.found(live, filled)
    assert opened(one) == [(0, 70, 80)]
    assert one.last.tolist() == [START + 85, START + 7, 0]


times = st.integers(0, 40).map(lambda k: START + k * 700_000)


@given(st.lists(times, max_size=30), times, times)
def test_inside_is_what_a_plain_account_says(rows: list[int], after: int, before: int):
    gap = Gap(0, after, before)
    found = [rows[k] for k in inside(np.array(rows, np.int64), gap).tolist()]

    def is_an_end(time: int) -> bool:
        return time % 1_000_000 == 0 and any(end % 1_000_000 and abs(time - end) < 1_000_000 for end in (after, before))

    assert found == sorted({time for time in rows if after < time < before and not is_an_end(time)})


@given(st.data())
def test_every_sample_comes_once_whatever_breaks(data: st.DataObject):
    """A source with a sample a step, a line that is up now and then, a history that is read a piece at a time."""
    one = gaps()
    came: list[int] = []
    samples: list[int] = []
    up, time = True, 0
    one.connected()
    for action in data.draw(st.lists(st.sampled_from("sssscrh"), max_size=60)):
        if action == "s":
            time += data.draw(st.integers(1, 5))
            samples.append(time)
            if up:
                one.see(row(0, time))
                came.append(time)
        elif action == "c":
            up = False
        elif action == "r":
            up = True
            one.connected()
        elif up:
            for gap in list(one):
                past = np.array(samples, np.int64) + START
                most = data.draw(st.integers(1, 5))
                which = inside(past, gap)
                part = past[which][:most]
                came += (part - START).tolist()
                if len(part):
                    one.filled(gap, int(part[-1]))
                if len(which) <= most:
                    one.close(gap)
        if data.draw(st.booleans()):
            kept, keys = one.kept(["a", "b", "c"]), ["a", "b", "c"]
            again = gaps()
            again.awaited, again._awaits = one.awaited, one._awaits
            again.recall(kept, keys)
            one = again
    assert len(came) == len(set(came))
    if up and came and not len(one) and not one.awaited[0]:
        assert sorted(came) == [time for time in samples if time >= min(came)]


def test_one_call_is_for_gaps_that_are_alike():
    near = [Gap(h, START + h, START + 100 * SECOND) for h in range(5)]
    far = Gap(9, START - 80 * SECOND, START + 100 * SECOND)
    alone = Gap(8, START, START + 100 * SECOND, alone=True)
    assert alike([*near, alone, far], 3) == [far]
    assert alike([*near, alone], 3) == near[:3]
    assert alike([alone], 3) == [alone]
