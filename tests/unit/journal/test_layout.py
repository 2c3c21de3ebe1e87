"""Payloads: every bit pattern comes back, whatever the packer saw in it; a tag alone is what it is in the whole."""

import contextlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.journal import sheet
from edge_agent.journal.archive import EVER, Skipped, Stretch
from edge_agent.journal.chunk import HEAD_DTYPE
from edge_agent.journal.layout import layout_key, unpack_frame, unpack_tags
from edge_agent.journal.payload import pack_frame
from edge_agent.journal.selection import Selection
from edge_agent.model import Frame, Kind
from edge_agent.model.frame import frames_equal
from tests.unit.journal.material import NOON, SECOND
from tests.unit.journal.strategies import frames

ODD = [-0.0, np.nan, np.inf, -np.inf, 1e300, 0.1 + 0.2, 5e-324, float(2**53), -1e16, 0.0, 1e-7]
MINUS_NAN = np.uint64(0xFFF8_0000_0000_0001)


@st.composite
def scans(draw):
    """Tags again and again, mostly in order; values of few decimals, of noise or none, here and there an odd one."""
    tags, times = draw(st.integers(1, 12)), draw(st.integers(3, 40))
    rows = max(30, tags * times)
    number = np.arange(rows)
    tag = number % tags
    if draw(st.booleans()):
        tag = np.random.default_rng(draw(st.integers(0, 9))).permutation(tag)
    chance = np.random.default_rng(draw(st.integers(0, 9)))
    values = chance.normal(500, 5, rows).cumsum() / 10
    decimals = np.array(draw(st.lists(st.sampled_from([0, 1, 2, 6, 99]), min_size=tags, max_size=tags)))[tag]
    for places in range(7):
        values[decimals == places] = np.round(values[decimals == places], places)
    kind_of = draw(
        st.lists(st.sampled_from(list(Kind)[:6]), min_size=tags, max_size=tags) | st.just([Kind.FLOAT64] * tags)
    )
    kind = np.array(kind_of, np.uint8)[tag]
    single = kind == Kind.FLOAT32
    values[single] = values[single].astype(np.float32)
    bits = values.view(np.uint64).copy()
    whole = np.isin(kind, (Kind.INT64, Kind.UINT64))
    bits[whole] = values[whole].astype(np.int64).view(np.uint64)
    bits[kind == Kind.BOOL] &= np.uint64(1)
    for place, value in draw(st.lists(st.tuples(st.integers(0, rows - 1), st.sampled_from(ODD)), max_size=3)):
        bits[place] = np.float64(value).view(np.uint64)
    none = draw(st.lists(st.integers(0, rows - 1), max_size=3))
    bits[none], kind[none] = 0, Kind.NONE
    step = draw(st.sampled_from([SECOND, 100, 1, 0, -7]))
    jitter = chance.integers(0, draw(st.sampled_from([1, 1000, SECOND])), rows)
    time = NOON + (number // tags) * step + jitter
    received = time if draw(st.booleans()) else time + 3
    status = np.where(tag == draw(st.integers(0, 12)), 0x8000_0000, 0).astype(np.uint32)
    flags = np.full(rows, draw(st.integers(0, 15)), np.uint16)
    return Frame(tag.astype(np.int32), time, received, bits, kind, status, flags)


@settings(deadline=None, max_examples=150)
@given(scans())
def test_scans_come_back_to_the_last_bit(given_frame):
    payload = pack_frame(given_frame)
    assert frames_equal(unpack_frame(payload, len(given_frame)), given_frame)
    assert np.array_equal(unpack_tags(payload, len(given_frame)), given_frame.tag)


@settings(deadline=None, max_examples=50)
@given(frames(200, 40))
def test_anything_comes_back_to_the_last_bit(given_frame):
    assert frames_equal(unpack_frame(pack_frame(given_frame), len(given_frame)), given_frame)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=25, max_size=120), st.sampled_from(list(Kind)[:6]), st.integers(1, 5)
)
@example([int(MINUS_NAN), 0] * 20, Kind.FLOAT64, 2)
@example([1 << 63, (1 << 63) - 1] * 20, Kind.INT64, 1)
def test_any_bits_come_back_whatever_the_kind_says(values, kind, tags):
    rows = len(values)
    number = np.arange(rows)
    given_frame = Frame(
        (number % tags).astype(np.int32),
        number,
        number,
        np.array(values, np.uint64),
        np.full(rows, kind, np.uint8),
        np.zeros(rows, np.uint32),
        np.zeros(rows, np.uint16),
    )
    assert frames_equal(unpack_frame(pack_frame(given_frame), rows), given_frame)


def regular(tags=100, times=20, digits=1, seed=1):
    chance = np.random.default_rng(seed)
    values = chance.uniform(20, 900, tags) + chance.normal(0, 0.1, (times, tags)).cumsum(axis=0)
    time = np.repeat(NOON + seed * 100 * SECOND + np.arange(times) * SECOND, tags)
    values = values if digits is None else np.round(values, digits)
    return Frame.of_floats(np.tile(np.arange(tags), times), time, values.ravel(), received=time + 3_000_000)


@pytest.mark.parametrize(
    ("tags", "digits", "limit"), [(1000, 1, 1.2), (100, 2, 0.9), (1000, None, 6.8), (100, None, 6.5)]
)
def test_a_value_takes_few_bytes(tags, digits, limit):
    given_frame = regular(tags, 2000 // tags, digits)
    assert len(pack_frame(given_frame)) < limit * 2000


def test_scans_of_the_same_tags_have_one_layout():
    keys = {layout_key(pack_frame(regular(seed=seed))) for seed in range(1, 20)}
    assert len(keys) <= 3
    assert all(len(key) < 80 for key in keys)


def test_one_odd_tag_does_not_spoil_the_others():
    plain = regular(digits=1)
    bits = plain.bits.copy()
    bits[plain.tag == 57] = np.random.default_rng(5).normal(1, 1, 20).view(np.uint64)
    odd = Frame(plain.tag, plain.time, plain.received, bits, plain.kind, plain.status, plain.flags)
    assert len(pack_frame(odd)) < len(pack_frame(plain)) + 20 * 8 + 400


def stretch(given_frames):
    payloads = [pack_frame(each) for each in given_frames]
    heads = np.zeros(len(payloads), HEAD_DTYPE)
    heads["rows"] = [len(each) for each in given_frames]
    heads["payload_bytes"] = [len(payload) for payload in payloads]
    ends = np.cumsum([len(payload) for payload in payloads])
    return Stretch(None, None, b"".join(payloads), ends - heads["payload_bytes"], heads)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(scans() | frames(60), min_size=1, max_size=6),
    st.sets(st.integers(0, 12)),
    st.booleans(),
    st.integers(1, 3),
)
def test_selected_rows_are_those_of_the_whole(given_frames, tags, newest_first, times):
    given_frames = given_frames * times
    numbers = np.full(14, -1, np.int32)
    numbers[sorted(tags)] = sorted(tags)
    skipped = Skipped()
    got = Selection(numbers, EVER).of(stretch(given_frames), skipped, newest_first=newest_first)
    wanted = [each.rows(np.flatnonzero(np.isin(each.tag, sorted(tags)))) for each in given_frames]
    if newest_first:
        wanted = [each.rows(slice(None, None, -1)) for each in wanted]
    assert frames_equal(got, Frame.concat(wanted))
    assert skipped == Skipped()


@pytest.mark.parametrize("digits", [1, None])
def test_many_chunks_are_read_together_as_one_by_one(monkeypatch, digits):
    given_frames = [regular(seed=seed, digits=digits) for seed in range(1, 40)]
    numbers = np.full(101, -1, np.int32)
    numbers[[3, 77]] = [1, 0]
    both = []
    for many in (sheet.MANY, False):
        monkeypatch.setattr(sheet, "MANY", many)
        both.append(Selection(numbers, EVER).of(stretch(given_frames), Skipped(), newest_first=False))
    assert frames_equal(*both)
    expected = Frame.concat(given_frames)
    expected = expected.rows(np.isin(expected.tag, (3, 77)))
    assert np.array_equal(both[0].bits, expected.bits)
    assert np.array_equal(both[0].tag, np.where(expected.tag == 3, 1, 0))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_bytes_that_are_no_payload_are_a_value_error_or_rows(data):
    payload = bytearray(pack_frame(regular(10, 4, data.draw(st.sampled_from([1, None])))))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    del payload[data.draw(st.integers(0, len(payload))) if data.draw(st.booleans()) else len(payload) :]
    with contextlib.suppress(ValueError):
        assert len(unpack_frame(bytes(payload), 40)) == 40
