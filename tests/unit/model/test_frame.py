"""Frames keep every value exact, whatever its type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Flag, Frame, Kind
from edge_agent.model.frame import frames_equal

INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.integers(0, 2**64 - 1)


def frame_of(values: list[object], tag: int = 0) -> Frame:
    """A frame of Python values, the slow and obvious way."""
    texts: list[str] = []
    bits, kinds = [], []
    for value in values:
        if value is None:
            bits.append(0), kinds.append(Kind.NONE)
        elif isinstance(value, bool):
            bits.append(int(value)), kinds.append(Kind.BOOL)
        elif isinstance(value, int):
            bits.append(value % 2**64), kinds.append(Kind.UINT64 if value > 2**63 - 1 else Kind.INT64)
        elif isinstance(value, float):
            bits.append(int(np.float64(value).view(np.uint64))), kinds.append(Kind.FLOAT64)
        else:
            bits.append(len(texts)), kinds.append(Kind.TEXT), texts.append(value)
    n = len(values)
    return Frame(
        np.full(n, tag, np.int32),
        np.arange(n, dtype=np.int64),
        np.arange(n, dtype=np.int64),
        np.array(bits, np.uint64),
        np.array(kinds, np.uint8),
        np.zeros(n, np.uint32),
        np.zeros(n, np.uint16),
        tuple(texts),
    )


VALUE = st.one_of(st.none(), st.booleans(), INT64, UINT64, st.floats(allow_nan=False), st.text(max_size=5))


@given(st.lists(st.lists(VALUE, max_size=6), max_size=5))
def test_concat_keeps_every_value_exact(parts: list[list[object]]) -> None:
    joined = Frame.concat([frame_of(part) for part in parts])
    flat = [value for part in parts for value in part]
    assert len(joined) == len(flat)
    for row, value in enumerate(flat):
        assert joined.value(row) == value
        assert type(joined.value(row)) is type(value)


@given(st.lists(VALUE, max_size=20))
def test_floats_is_the_nearest_double_or_nan(values: list[object]) -> None:
    for got, value in zip(frame_of(values).floats(), values, strict=True):
        if value is None or isinstance(value, str):
            assert np.isnan(got)
        else:
            assert got == float(value)  # type: ignore[arg-type]  # numbers by now


def test_rows_keep_their_texts() -> None:
    frame = frame_of(["가", 1.0, "나"])
    assert [frame.rows(np.array([2, 0])).value(i) for i in range(2)] == ["나", "가"]
    assert frames_equal(frame.rows(frame.kind == Kind.TEXT), frame.rows(np.array([0, 2])))


def test_frames_differ_when_a_text_does() -> None:
    assert frames_equal(frame_of(["가"]), frame_of(["가"]))
    assert not frames_equal(frame_of(["가"]), frame_of(["나"]))
    assert not frames_equal(frame_of([1.0]), frame_of([1]))


def test_status_frame_has_no_values() -> None:
    frame = Frame.of_status([3, 4], 5, 0x80310000, Flag.AGENT)
    assert [frame.value(i) for i in range(2)] == [None, None]
    assert frame.tag.tolist() == [3, 4]
    assert frame.flags.tolist() == [Flag.AGENT] * 2


@pytest.mark.parametrize("kind", [Kind.FLOAT64, Kind.FLOAT32])
def test_of_floats_broadcasts(kind: Kind) -> None:
    frame = Frame.of_floats([1, 2, 3], 7, [1.5, 2.5, 3.5], status=0x40000000, kind=kind)
    assert frame.floats().tolist() == [1.5, 2.5, 3.5]
    assert frame.time.tolist() == [7, 7, 7]
    assert set(frame.kind.tolist()) == {kind}
