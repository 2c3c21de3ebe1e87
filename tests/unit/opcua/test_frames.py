import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.frames import BAD_DECODING_ERROR, EPOCH_TICKS, LONGEST_TEXT, FrameMaker
from connectors.opcua.rows import TEXT_SPAN, UNSUPPORTED, Rows
from edge_agent.api import PLAUSIBLE_NS, Flag, Kind, ProtocolError, Status

NOW = 1_790_000_000_000_000_000
LIMIT = PLAUSIBLE_NS


def to_ticks(ns):
    return ns // 100 + EPOCH_TICKS


def rows(handles, times, values=None, kinds=None, statuses=None):
    n = len(handles)
    floats = np.array([1.5] * n if values is None else values, np.float64)
    return Rows(
        np.array(handles, np.uint32),
        np.array([Kind.FLOAT64] * n if kinds is None else kinds, np.uint8),
        floats.view(np.uint64).copy(),
        np.array([0] * n if statuses is None else statuses, np.uint32),
        np.array([0 if t is None else to_ticks(t) for t in times], np.int64),
    )


def maker(n=4):
    return FrameMaker(np.arange(100, 100 + n, dtype=np.int32))


def test_handles_become_tag_numbers():
    frame = maker().make(rows([2, 3], [NOW, NOW]), b"", NOW)
    assert frame.tag.tolist() == [102, 103]
    assert frame.received.tolist() == [NOW, NOW]
    assert frame.floats().tolist() == [1.5, 1.5]


def test_rows_leave_in_order_of_tags_and_in_their_own():
    frames = FrameMaker(np.array([7, 5, 6], np.int32))
    for first, second in [((0, 1, 2), (1, 2, 0)), ((0, 1, 2), (1, 2, 0)), ((2, 0, 2), (1, 0, 2))]:
        for handles in (first, second):  # what is remembered of one order must not be used for another
            given = rows(handles, [None] * 3, values=[10.0 * h + k for k, h in enumerate(handles)])
            frame = frames.make(given, b"", NOW)
            expected = sorted(zip(frames._numbers[list(handles)].tolist(), range(3), strict=True))
            assert frame.tag.tolist() == [tag for tag, _ in expected]
            assert frame.floats().tolist() == [10.0 * handles[k] + k for _, k in expected]


def test_a_handle_that_was_never_given_is_a_protocol_error():
    with pytest.raises(ProtocolError):
        maker().make(rows([4], [NOW]), b"", NOW)


@pytest.mark.parametrize(
    ("source", "believed"),
    [
        (NOW - 5_000_000, True),
        (NOW + LIMIT, True),
        (NOW - LIMIT, True),
        (NOW + LIMIT + 100, False),
        (NOW - LIMIT - 100, False),
        (None, False),
        (-11_644_473_600_000_000_000 + 100, False),  # 1601
        (0, False),
        (9_000_000_000_000_000_000, False),
    ],
)
def test_only_a_plausible_source_time_counts(source, believed):
    frame = maker().make(rows([0], [source]), b"", NOW)
    assert frame.time.tolist() == [source if believed else NOW]
    assert frame.flags.tolist() == [0 if believed else Flag.RECEIVE_TIME]


def test_extreme_ticks_do_not_wrap_into_plausible_times():
    odd = rows([0, 1], [NOW, NOW])
    odd.ticks[:] = [2**63 - 1, -(2**63)]
    assert maker().make(odd, b"", NOW).flags.tolist() == [Flag.RECEIVE_TIME] * 2


def test_a_source_time_that_does_not_advance_is_not_believed():
    frames = maker()
    assert frames.make(rows([0, 1], [NOW, NOW]), b"", NOW).flags.tolist() == [0, 0]
    frame = frames.make(rows([0, 1], [NOW, NOW + 100]), b"", NOW + 500)
    assert frame.flags.tolist() == [Flag.RECEIVE_TIME, 0]
    assert frame.time.tolist() == [NOW + 500, NOW + 100]
    assert frames.make(rows([0, 1], [NOW - 100, NOW + 50]), b"", NOW + 900).flags.tolist() == [1, 1]
    assert frames.make(rows([0, 1], [NOW + 100, NOW + 200]), b"", NOW + 900).flags.tolist() == [0, 0]


def test_several_values_of_a_tag_in_one_response_advance_among_themselves():
    frame = maker().make(rows([0, 1, 0, 0, 1, 0], [NOW, NOW + 900, NOW + 200, NOW + 100, NOW, NOW + 300]), b"", NOW)
    assert frame.tag.tolist() == [100] * 4 + [101] * 2
    assert frame.flags.tolist() == [0, 0, 1, 0, 0, 1]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(-30, 30))), max_size=30), max_size=4
    )
)
def test_advancing_is_what_a_plain_loop_says(batches):
    frames, last = maker(), {}
    for number, batch in enumerate(batches):
        received = NOW + number * LIMIT // 4
        steps = [None if step is None else NOW + step * LIMIT // 10 for _, step in batch]
        flags = []
        for (handle, _), source in zip(batch, steps, strict=True):
            good = source is not None and abs(source - received) <= LIMIT and source > last.get(handle, 0)
            flags.append(0 if good else 1)
            if good:
                last[handle] = source
        frame = frames.make(rows([handle for handle, _ in batch], steps), b"", received)
        order = sorted(range(len(batch)), key=lambda k: batch[k][0])
        assert frame.flags.tolist() == [flags[k] for k in order]
        assert frame.time.tolist() == [received if flags[k] else steps[k] for k in order]


def test_a_clock_set_back_by_a_year_confuses_nothing():
    frames = maker()
    frames.make(rows([0, 1], [NOW, NOW]), b"", NOW)
    past = NOW - 365 * 86_400 * 10**9
    frame = frames.make(rows([0, 1, 0, 2], [past, past, past + 100, past]), b"", past)
    assert frame.flags.tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [Kind.FLOAT64, Kind.FLOAT32])
def test_what_is_no_number_is_bad(value, kind):
    frame = maker().make(rows([0, 1], [NOW, NOW], [value, 2.0], [kind, kind]), b"", NOW)
    assert frame.status.tolist() == [Status.BAD_OUT_OF_RANGE, 0]
    assert frame.kind.tolist() == [Kind.NONE, kind]
    assert frame.bits[0] == 0


def test_bad_statuses_of_the_server_stay_and_their_values_go():
    statuses = [0x808C0000, 0xC0000000, 0x40900000, 0x00480000]
    frame = maker().make(rows(range(4), [NOW] * 4, [np.nan, 1, 2, 3], statuses=statuses), b"", NOW)
    assert frame.status.tolist() == statuses
    assert [frame.value(k) for k in range(4)] == [None, None, 2.0, 3.0]


def test_no_value_and_unsupported_types_are_bad():
    frame = maker().make(rows([0, 1], [NOW, NOW], kinds=[Kind.NONE, UNSUPPORTED]), b"", NOW)
    assert frame.status.tolist() == [Status.BAD_NO_DATA, Status.BAD_TYPE_MISMATCH]
    assert frame.kind.tolist() == [Kind.NONE, Kind.NONE]


def test_overflow_is_flagged_and_the_value_counts():
    frame = maker().make(rows([0, 1], [NOW, NOW], statuses=[0x480, 0x400]), b"", NOW)
    assert frame.flags.tolist() == [Flag.OVERFLOW, 0]
    assert frame.value(0) == 1.5
    assert frame.status.tolist() == [0x480, 0x400]


def test_texts():
    raw = "xx가열로".encode() + b"\xff" + b"a" * (LONGEST_TEXT + 1)
    odd = rows([0, 1, 2, 3], [NOW] * 4, kinds=[TEXT_SPAN] * 4)
    odd.bits[:] = [2 << 32 | 9, 2 << 32 | 9, 11 << 32 | 1, 12 << 32 | (LONGEST_TEXT + 1)]
    frame = maker().make(odd, raw, NOW)
    assert frame.value(0) == frame.value(1) == "가열로"
    assert frame.texts == ("가열로",)
    assert frame.status.tolist() == [0, 0, BAD_DECODING_ERROR, Status.BAD_OUT_OF_RANGE]
    assert frame.kind.tolist() == [Kind.TEXT, Kind.TEXT, Kind.NONE, Kind.NONE]


def test_an_empty_notification_is_an_empty_frame():
    assert len(maker().make(rows([], []), b"", NOW)) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), max_size=12))
def test_scans_hold_every_row_once_and_keep_each_items_order(runs: list[tuple[int, int]]) -> None:
    handles = [handle for handle, count in runs for _ in range(count)]
    whole = rows(handles, [NOW + i for i in range(len(handles))])
    parts = whole.scans()
    assert sorted(t for part in parts for t in part.ticks.tolist()) == whole.ticks.tolist()
    for handle in set(handles):
        order = [t for part in parts for t in part.ticks[part.handle == handle].tolist()]
        assert order == whole.ticks[whole.handle == handle].tolist()
    if len({handle for handle, _ in runs}) == len(runs):
        assert all(len(set(part.handle.tolist())) == len(part.handle) for part in parts)
