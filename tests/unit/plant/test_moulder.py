"""The injection moulding machine: normal figures and the sizes of its faults are those of the table."""

import pytest

from edge_agent.plant.moulder import Moulder
from edge_agent.plant.moulder_points import MOULDER_POINTS
from tests.unit.plant.runs import Columns, cycles

SPREAD = {
    "transfer_pressure": 1.5, "cavity_pressure": 0.4, "cushion": 0.09, "dosing_time": 0.10, "screw_torque": 0.8,
    "clamp_force": 3.0, "water_flow": 0.08, "mould_a": 0.3, "water_out": 0.36, "water_in": 0.36,
}  # fmt: skip
"""Standard deviations of normal running, from the table."""


@pytest.fixture(scope="module")
def normal() -> Columns:
    return cycles(Moulder(1), 60)


def broken(*faults: str) -> Columns:
    return cycles(Moulder(1), 60, *((fault, 0.0, 1.0, None if fault == "hopper" else 0.0) for fault in faults), skip=40)


@pytest.mark.parametrize(
    ("name", "mean", "tolerance"),
    [
        ("cycle_time", 30.2, 0.02),
        ("injection_time", 1.18, 0.003),
        ("transfer_pressure", 93.8, 3.0),
        ("cavity_pressure", 41.2, 0.4),
        ("cushion", 6.0, 0.04),
        ("dosing_time", 7.79, 0.05),
        ("screw_torque", 61.0, 0.4),
        ("mould_a", 49.9, 0.4),
        ("mould_b", 49.2, 0.4),
        ("water_in", 40.0, 0.3),
        ("water_out", 45.4, 0.3),
        ("water_flow", 9.0, 0.02),
        ("melt_temperature", 229.9, 0.25),
        ("clamp_force", 1100.0, 1.5),
        ("barrel_pv", 230.0, 0.5),
    ],
)
def test_normal_figures(normal: Columns, name: str, mean: float, tolerance: float) -> None:
    assert normal[name].mean() == pytest.approx(mean, abs=tolerance)


@pytest.mark.parametrize(
    ("faults", "shifts", "still"),
    [
        (("check_ring", "tie"), {"cushion": (-39, 3), "cavity_pressure": (-11, 2), "clamp_force": (-21, 2)},
         ("transfer_pressure", "dosing_time")),
        (("water_clog",), {"mould_a": (24, 3), "water_out": (14, 2.5), "water_flow": (-56, 3)},
         ("water_in", "cavity_pressure")),
        (("chiller",), {"water_in": (19, 2), "water_out": (19, 2)}, ("water_flow", "cavity_pressure")),
        (("heater_band",), {"transfer_pressure": (13, 3), "screw_torque": (11, 1.5), "dosing_time": (4, 1)},
         ("water_in", "cushion")),
        (("vent",), {"cavity_pressure": (-17, 2)}, ("transfer_pressure", "cushion")),
        (("wet",), {"transfer_pressure": (-7.5, 1.5), "cavity_pressure": (4, 1)}, ("cushion", "screw_torque")),
        (("mould_wear",), {"cavity_pressure": (-6, 1.5)}, ("transfer_pressure",)),
    ],
)  # fmt: skip
def test_faults_shift_what_the_table_says(
    normal: Columns, faults: tuple[str, ...], shifts: dict[str, tuple[float, float]], still: tuple[str, ...]
) -> None:
    found = broken(*faults)
    for name, (sigmas, tolerance) in shifts.items():
        assert (found[name].mean() - normal[name].mean()) / SPREAD[name] == pytest.approx(sigmas, abs=tolerance), name
    for name in still:
        assert abs(found[name].mean() - normal[name].mean()) < 1.2 * SPREAD[name], name


def test_a_bridging_hopper_strikes_single_cycles(normal: Columns) -> None:
    found = cycles(Moulder(1), 60, ("hopper", 0.0, 1.0, None))
    struck = found["dosing_time"] > 8.7
    assert 0.1 < struck.mean() < 0.5
    assert found["dosing_time"][struck].mean() == pytest.approx(7.79 + 1.9, abs=0.15)
    assert found["cycle_time"].max() > 30.2 + 0.5


def test_a_worn_ring_scatters_the_cushion(normal: Columns) -> None:
    assert broken("check_ring")["cushion"].std() / normal["cushion"].std() == pytest.approx(2.45, rel=0.5)


def test_every_point_is_shown_and_within_its_range(normal: Columns) -> None:
    texts = {point.name for point in MOULDER_POINTS if point.data_type == "String"}
    assert set(normal) | texts == {point.name for point in MOULDER_POINTS}
    for point in MOULDER_POINTS:
        if point.low is not None and point.high is not None:
            assert point.low <= normal[point.name].min() <= normal[point.name].max() <= point.high


def test_the_same_seed_is_the_same_machine_and_a_fault_changes_nothing_else() -> None:
    one, two, found = (cycles(Moulder(7), 4, *orders) for orders in ((), (), (("tie", 0.0, 1.0, 0.0),)))
    assert all((one[name] == two[name]).all() for name in one)
    assert all((one[name] == found[name]).all() for name in one if name != "clamp_force")
    assert (cycles(Moulder(8), 4)["cushion"] != one["cushion"]).all()
