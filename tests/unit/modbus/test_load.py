"""The load of a line: the arithmetic of the wire, and remedies that do what they promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.modbus.load import NETWORK, ROOM, Demand, Serial, line_load
from connectors.modbus.plan import Limits
from connectors.modbus.point import Span


def meter(unit: int, interval: float = 1.0, registers: int = 40, gap: int = 0) -> Demand:
    wanted = tuple(Span(3, at, at + 2) for at in range(0, registers * (1 + gap), 2 * (1 + gap)))
    return Demand(f"meter-{unit}", unit, interval, wanted)


def test_one_meter_at_9600_baud_is_the_specification_s_arithmetic() -> None:
    """40 registers: 13 + 80 characters of 11 bits, twice 3.5 characters of quiet, 5 ms until the meter begins."""
    load = line_load([meter(1)], Serial(9600))
    assert load.devices[0].seconds == pytest.approx((13 + 80 + 7) * 11 / 9600 + 0.005)
    assert load.share == pytest.approx(0.1196, abs=1e-4)
    assert load.met
    assert load.remedies == ()


def test_thirty_meters_of_sixteen_tags_on_one_port() -> None:
    """edgexfoundry/device-modbus-go#629: with one request a meter 9600 baud reads them every 3 s, and not every 2 s."""
    meters = [meter(unit, 3.0, registers=32) for unit in range(1, 31)]
    assert line_load(meters, Serial(9600)).share == pytest.approx(1.0, abs=0.1)
    load = line_load([replace(one, interval=2.0) for one in meters], Serial(9600))
    assert not load.met
    assert [remedy.kind for remedy in load.remedies] == ["baud", "interval", "lines"]
    assert load.remedies[0].value == 19200
    assert "19200" in load.remedies[0].words.ko


def test_a_gap_is_read_over_on_a_slow_turnaround_and_not_on_a_slow_wire() -> None:
    spread = meter(1, gap=11)
    assert (
        len(line_load([replace(spread, limits=Limits(gap=124))], Serial(9600, turnaround=0.1)).devices[0].plan.blocks)
        < 10
    )
    slow = line_load([replace(spread, limits=Limits(gap=124))], Serial(1200, turnaround=0.0)).devices[0]
    assert len(slow.plan.blocks) == 20
    assert sum(slow.unused(block) for block in slow.plan.blocks) == 0


def test_a_network_hardly_notices() -> None:
    assert line_load([meter(1, 0.1)], NETWORK).share < 0.05


demands = st.builds(
    meter,
    st.integers(1, 247),
    st.sampled_from([0.05, 0.2, 1.0, 5.0]),
    st.integers(2, 400),
    st.integers(0, 20),
)


@settings(deadline=None, max_examples=80)
@given(st.lists(demands, min_size=1, max_size=8), st.sampled_from([1200, 9600, 38400]), st.floats(0, 0.05))
@example([meter(1, 0.05, 399, 6)] * 3, 1200, 0.02)  # the factor is 160 to the last digit but one
def test_every_remedy_cures(wanted: list[Demand], baud: int, turnaround: float) -> None:
    serial = Serial(baud, turnaround=turnaround)
    load = line_load(wanted, serial)
    assert bool(load.remedies) is not load.met
    for remedy in load.remedies:
        match remedy.kind:
            case "baud":
                assert line_load(wanted, replace(serial, baud=int(remedy.value))).met
            case "interval":
                slower = [replace(one, interval=one.interval * remedy.value) for one in wanted]
                assert line_load(slower, serial).met
            case "lines":
                assert load.share <= remedy.value * ROOM
                assert remedy.value <= len(wanted)
