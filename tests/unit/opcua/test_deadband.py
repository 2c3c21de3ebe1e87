"""Deadbands that the agent keeps: against a slow twin, row by row."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.config import Band
from connectors.opcua.deadband import Deadband
from connectors.opcua.rows import Rows
from edge_agent.api import Kind
from tests.unit.opcua.test_plan import link

COUNT = 4
BANDS = np.array([0.0, 1.0, 2.5, math.inf])
VALUES = st.one_of(st.integers(-5, 5), st.floats(-9, 9), st.just(math.nan), st.just(math.inf), st.just("text"))


def rows_of(values: dict[int, tuple[float | int | str, int]]) -> Rows:
    rows = Rows.empty(len(values))
    for k, (handle, (value, status)) in enumerate(values.items()):
        rows.handle[k], rows.status[k], rows.ticks[k] = handle, status, 0
        rows.kind[k] = Kind.TEXT if value == "text" else Kind.INT64 if isinstance(value, int) else Kind.FLOAT64
        number = 0 if value == "text" else value
        rows.bits[k] = (np.array(number, np.int64) if isinstance(number, int) else np.array(number, float)).view("u8")
    return rows


class Twin:
    def __init__(self):
        self.last = {}

    def passes(self, handle, value, status):
        band = BANDS[handle] if math.isfinite(BANDS[handle]) else 0.0
        before, was = self.last.get(handle, (math.nan, 0))
        number = math.nan if value == "text" else float(value)
        if band and status == was and abs(number - before) <= band:
            return False
        self.last[handle] = number, status
        return True


@given(st.lists(st.dictionaries(st.integers(0, COUNT - 1), st.tuples(VALUES, st.sampled_from([0, 0x40000000])))))
def test_what_is_passed_on_is_what_the_twin_passes(scans):
    made, twin = Deadband(COUNT), Twin()
    made.keep(np.arange(COUNT), BANDS)
    for scan in scans:
        expected = [handle for handle, (value, status) in scan.items() if twin.passes(handle, value, status)]
        assert made.outside(rows_of(scan)).handle.tolist() == expected


def test_rows_that_come_twice_all_pass():
    made = Deadband(COUNT)
    made.keep(np.arange(COUNT), BANDS)
    twice = rows_of({1: (0.0, 0), 2: (0.0, 0)})
    twice.handle[:] = 1
    made.outside(rows_of({1: (0.0, 0)}))
    assert len(made.outside(twice).handle) == 2


@pytest.mark.parametrize(
    ("written", "band"),
    [(0.5, Band(0.5)), (2, Band(2.0)), ("0.5", Band(0.5)), ("2%", Band(2.0, True)), (" 2.5 % ", Band(2.5, True))],
)
def test_a_deadband_is_written_as_a_size_or_a_share(written, band):
    assert link({"deadband": written}).tags[0].deadband == band


@pytest.mark.parametrize("written", ["0", -1, "x", "101%", True, "2 kg", 0.0])
def test_what_is_no_deadband_is_refused(written):
    with pytest.raises(ValueError, match="opcua_deadband"):
        link({"deadband": written})


def test_a_share_of_nothing_can_only_be_the_servers():
    assert link({"deadband": "2%"}).tags[0].deadband.absolute(None) == math.inf
    assert link({"deadband": "2%", "range": [0, 50]}, collect="poll").tags[0].deadband.absolute((0, 50)) == 1.0
    with pytest.raises(ValueError, match="opcua_poll_deadband"):
        link({"deadband": "2%"}, collect="poll")
