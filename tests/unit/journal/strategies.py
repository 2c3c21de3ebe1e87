"""Frames with all that can be in a column, for hypothesis."""

import numpy as np
from hypothesis import strategies as st

from edge_agent.model import Frame, Kind

_INT64 = st.integers(-(2**63), 2**63 - 1)
_BITS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.floats(width=64).map(lambda x: int(np.float64(x).view(np.uint64))),
    st.integers(-9999, 9999).map(lambda x: int(np.float64(x / 100).view(np.uint64))),
    st.integers(0, 1),
)
_TEXTS = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from(["가열 중", "정지", "", "\x00", "\ud800"])), max_size=5
)
_STATUS = st.sampled_from([0, 0x40000000, 0x80000000, 0x80320000, 0x480, 0xFFFFFFFF])


@st.composite
def columns_of(draw, rows, values):
    """A column: constant, broadcast, or any."""
    how = draw(st.integers(0, 3))
    if how == 0:
        return [draw(values)] * rows
    if how == 1:
        few = draw(st.lists(values, min_size=1, max_size=3))
        return [few[i % len(few)] for i in range(rows)]
    return draw(st.lists(values, min_size=rows, max_size=rows))


@st.composite
def frames(draw, max_rows=80, tags=8):
    """Frames of every kind, with all that can be in a column."""
    rows = draw(st.integers(1, max_rows))
    texts = tuple(draw(_TEXTS))
    kinds = [k for k in Kind if k != Kind.TEXT or texts]
    kind = np.array(draw(columns_of(rows, st.sampled_from(kinds))), np.uint8)
    bits = np.array(draw(columns_of(rows, _BITS)), np.uint64)
    if texts:
        bits[kind == Kind.TEXT] %= np.uint64(len(texts))
    time = np.array(draw(columns_of(rows, _INT64)), np.int64)
    received = time if draw(st.booleans()) else np.broadcast_to(np.int64(draw(_INT64)), rows)
    return Frame(
        np.array(draw(columns_of(rows, st.integers(0, tags - 1))), np.int32),
        time,
        received,
        bits,
        kind,
        np.array(draw(columns_of(rows, _STATUS)), np.uint32),
        np.array(draw(columns_of(rows, st.integers(0, 65535))), np.uint16),
        texts,
    )
