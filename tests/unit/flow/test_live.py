"""The newest row of every tag: each kind's value comes back exactly, a picture does not change."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.live import Live
from edge_agent.model import Flag, Frame, Kind
from tests.unit.sinks.influxdb.rows import tag_table

TABLE = tag_table(4, 3)

rows = st.one_of(
    st.tuples(st.just(Kind.NONE), st.none()),
    st.tuples(st.sampled_from([Kind.FLOAT64, Kind.FLOAT32]), st.floats(allow_nan=False, width=32)),
    st.tuples(st.just(Kind.INT64), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(Kind.UINT64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(Kind.BOOL), st.booleans()),
    st.tuples(st.just(Kind.TEXT), st.text(max_size=5)),
)


def frame(numbers: list[int], values: list[tuple[Kind, object]]) -> Frame:
    n = len(values)
    texts: list[str] = []
    bits = np.zeros(n, np.uint64)
    for i, (kind, value) in enumerate(values):
        match kind:
            case Kind.FLOAT64 | Kind.FLOAT32:
                bits[i] = np.float64(value).view(np.uint64)
            case Kind.TEXT:
                bits[i] = len(texts)
                texts.append(str(value))
            case Kind.INT64:
                bits[i] = np.int64(value).view(np.uint64)
            case Kind.NONE:
                pass
            case _:
                bits[i] = np.uint64(value)
    return Frame(
        np.array(numbers, np.int32),
        np.arange(n, dtype=np.int64) + 1,
        np.arange(n, dtype=np.int64) + 2,
        bits,
        np.array([kind for kind, _ in values], np.uint8),
        np.zeros(n, np.uint32),
        np.zeros(n, np.uint16),
        tuple(texts),
    )


@given(st.lists(st.tuples(st.integers(0, len(TABLE) - 1), rows), max_size=20))
def test_the_newest_value_of_each_tag_comes_back_exactly(came):
    live = Live(TABLE)
    expected: list[object] = [None] * len(TABLE)
    for number, (kind, value) in came:
        live.update(frame([number], [(kind, value)]))
        expected[number] = value
    values = live.values()
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]


def test_a_picture_stays_as_it_was():
    live = Live(TABLE)
    live.update(frame([0, 1], [(Kind.INT64, 1), (Kind.TEXT, "on")]))
    picture = live.picture()
    live.update(frame([0, 1], [(Kind.INT64, 2), (Kind.TEXT, "off")]))
    assert picture.values()[:2] == [1, "on"]
    assert live.values()[:2] == [2, "off"]


def test_history_read_after_a_gap_is_not_the_newest_value():
    live = Live(TABLE)
    live.update(frame([0], [(Kind.INT64, 2)]))
    past = frame([0, 1], [(Kind.INT64, 1), (Kind.INT64, 1)])
    live.update(dataclasses.replace(past, flags=np.uint16([Flag.BACKFILL, Flag.BACKFILL | Flag.OVERFLOW])))
    assert live.values()[:2] == [2, None]
    assert live.seen.tolist()[:2] == [True, False]
