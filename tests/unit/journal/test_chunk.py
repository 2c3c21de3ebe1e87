"""Chunks: what is packed comes back, what is damaged is known."""

import contextlib
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.journal.chunk import (
    HEAD_BYTES,
    Head,
    crc,
    is_sound,
    pack_events,
    read_head,
    seal,
    unpack_events,
)
from edge_agent.journal.layout import unpack_frame
from edge_agent.journal.payload import pack_frame
from edge_agent.journal.table import pack_table, unpack_table
from edge_agent.model import Frame, Kind, Label, TagTable
from edge_agent.model.frame import frames_equal
from tests.unit.journal.material import TABLE, event, frame, table
from tests.unit.journal.strategies import frames

HEAD = Head(0, 7, 4, 0, -5, 2**62, 1000, 3, 99, 5)


@given(frames())
def test_a_frame_comes_back(given_frame):
    assert frames_equal(unpack_frame(pack_frame(given_frame), len(given_frame)), given_frame)


def test_only_the_texts_in_use_are_kept():
    texts = ("정지", "가열 중", "never")
    rows = Frame(
        np.arange(3, dtype=np.int32),
        np.arange(3),
        np.arange(3),
        np.array([1, 0, 1], np.uint64),
        np.full(3, Kind.TEXT, np.uint8),
        np.zeros(3, np.uint32),
        np.zeros(3, np.uint16),
        texts,
    )
    back = unpack_frame(pack_frame(rows), 3)
    assert [back.value(i) for i in range(3)] == ["가열 중", "정지", "가열 중"]
    assert "never" not in back.texts


def test_ragged_columns_are_refused():
    good = frame(0)
    with pytest.raises(ValueError, match="length"):
        pack_frame(Frame(good.tag, good.time[:2], good.time[:2], good.bits, good.kind, good.status, good.flags))


@given(st.binary(max_size=80), st.integers(1, 50))
def test_bytes_that_are_no_frame_are_a_value_error(data, rows):
    with contextlib.suppress(ValueError):
        assert len(unpack_frame(data, rows)) == rows


@given(st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10)), max_size=4))
def test_events_come_back(words):
    events = tuple(event(f"e{i}", Label(ko, en)) for i, (ko, en) in enumerate(words))
    assert unpack_events(pack_events(events)) == events


def test_a_head_comes_back():
    data = seal(HEAD, b"12345", 3)
    head = read_head(data, 3)
    assert head is not None
    assert (head.sequence, head.rows, head.first, head.last, head.rows_before, head.lost, head.written) == (
        7,
        4,
        -5,
        2**62,
        1000,
        3,
        99,
    )
    assert is_sound(head, data[HEAD_BYTES:], 3)


def test_a_chunk_of_another_segment_is_none():
    assert read_head(seal(HEAD, b"12345", 3), 4) is None


def test_every_bit_of_a_chunk_is_checked():
    data = seal(HEAD, b"12345", 3)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        head = read_head(flipped, 3)
        assert head is None or not is_sound(head, flipped[HEAD_BYTES:], 3), f"bit {bit}"


def test_a_table_comes_back_whole():
    back = unpack_table(pack_table(TABLE))
    assert list(back) == list(TABLE)
    assert back.fingerprint == TABLE.fingerprint
    assert pack_table(back) == pack_table(TABLE)


def test_an_empty_table_and_one_of_many_come_back():
    assert list(unpack_table(pack_table(TagTable([])))) == []
    assert list(unpack_table(pack_table(table(3000)))) == list(table(3000))


@pytest.mark.parametrize("text", ["{}", "[]", '{"machines": [], "tags": [[1]]}'])
def test_bytes_that_are_no_table_are_a_value_error(text):
    from edge_agent.journal.zstd import compress

    json.loads(text)
    with pytest.raises(ValueError):  # noqa: PT011  # any cause will do
        unpack_table(compress(text.encode()))


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_the_fast_checksum_is_the_standard_one(data, start):
    assert crc(data, start) == zlib.crc32(data, start)
