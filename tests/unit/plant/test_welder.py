"""The welding robot: normal figures and the sizes of its faults are those of the table."""

from dataclasses import replace
from functools import cache

import pytest

from edge_agent.plant.fault import Fault
from edge_agent.plant.welder import Welder
from edge_agent.plant.welder_points import WELDER_FAULTS, WELDER_POINTS
from tests.unit.plant.runs import Columns, cycles


@cache
def run(fault: str | None = None, grow: float | None = 0.0) -> Columns:
    return cycles(Welder(1), 4, *([] if fault is None else [(fault, 0.0, 1.0, grow)]))


@pytest.mark.parametrize(
    ("name", "mean", "tolerance"),
    [
        ("current_mean", 262.0, 2.5),
        ("current_deviation", 7.6, 1.2),
        ("voltage_mean", 27.40, 0.02),
        ("voltage_deviation", 0.22, 0.03),
        ("shorts", 5.0, 0.9),
        ("start_time", 0.3, 0.02),
        ("start_tries", 1.0, 0.0),
    ],
)
def test_normal_figures_of_beads(name: str, mean: float, tolerance: float) -> None:
    assert run()[name].mean() == pytest.approx(mean, abs=tolerance)


def test_normal_figures_of_the_arc() -> None:
    found = run()
    arc = found["welding"] > 0
    assert found["wire_speed"][arc].mean() == pytest.approx(7.08, abs=0.02)
    assert found["gas_flow"][arc].mean() == pytest.approx(15.0, abs=0.05)
    assert found["travel_speed"][arc].mean() == pytest.approx(6.7, abs=0.02)
    assert found["current"][~arc].max() < 3


@pytest.mark.parametrize(
    ("fault", "current", "voltage", "shorts", "deviation"),
    [
        ("gas_loss", 20, 0.0, 6.0, 2.1),
        ("tip_wear", 7, -1.6, 4.7, 1.8),
        ("feed_slip", -16, 0.0, 1.0, 2.3),
        ("ctwd", -22, 0.0, 1.0, 1.0),
        ("wrong_job", -36, -2.5, 1.0, 1.0),
    ],
)
def test_faults_shift_what_the_table_says(
    fault: str, current: float, voltage: float, shorts: float, deviation: float
) -> None:
    plain, found = run(), run(fault)
    assert found["current_mean"].mean() - plain["current_mean"].mean() == pytest.approx(current, abs=3.5)
    assert found["voltage_mean"].mean() - plain["voltage_mean"].mean() == pytest.approx(voltage, abs=0.05)
    assert found["shorts"].mean() / plain["shorts"].mean() == pytest.approx(shorts, rel=0.25)
    assert found["current_deviation"].mean() / plain["current_deviation"].mean() == pytest.approx(deviation, rel=0.3)


def test_gas_wire_and_feeder_say_what_is_wrong() -> None:
    def mean(fault: str, name: str) -> float:
        found = run(fault)
        return float(found[name][found["welding"] > 0].mean())

    assert mean("gas_loss", "gas_flow") == pytest.approx(3.75, abs=0.05)
    assert mean("feed_slip", "wire_speed") == pytest.approx(7.08 * 0.91, abs=0.05)
    assert mean("feed_slip", "feeder_current") == pytest.approx(2.4, abs=0.02)
    assert mean("wire_runout", "wire_speed") == pytest.approx(7.08, abs=0.02)
    assert mean("wire_runout", "current") < 1


def test_a_gap_is_inside_a_bead_and_a_bad_ground_drifts() -> None:
    plain, gap, ground = run(), run("gap", None), run("ground", 60.0)
    assert gap["current_min"].min() < plain["current_min"].min() - 15
    assert gap["current_deviation"].max() > 1.5 * plain["current_deviation"].max()
    assert ground["voltage_mean"].min() < 27.1
    assert ground["current_mean"] == pytest.approx(plain["current_mean"])


def test_an_arc_that_does_not_start_is_tried_again() -> None:
    machine = Welder(1)
    kinds = machine.faults.kinds
    assert kinds["no_arc_start"].chance == 0.05
    machine.faults.kinds = {**kinds, "no_arc_start": replace(kinds["no_arc_start"], chance=0.5)}
    found = cycles(machine, 10, ("no_arc_start", 0.0, 1.0, None))
    tried = found["start_tries"] > 1
    assert 0 < tried.mean() < 1
    assert found["start_time"][tried].mean() == pytest.approx(1.2, abs=0.05)
    assert set(found["start_tries"][tried]) <= {2.0, 3.0}


def test_every_point_is_shown_and_within_its_range() -> None:
    found = run()
    texts = {point.name for point in WELDER_POINTS if point.data_type == "String"}
    assert set(found) | texts == {point.name for point in WELDER_POINTS}
    for point in WELDER_POINTS:
        if point.low is not None and point.high is not None:
            assert point.low <= found[point.name].min() <= found[point.name].max() <= point.high


@pytest.mark.parametrize("kind", WELDER_FAULTS, ids=lambda kind: kind.name)
def test_faults_affect_tags_that_there_are(kind: Fault) -> None:
    assert set(kind.affected) <= {point.name for point in WELDER_POINTS}


def test_the_same_seed_is_the_same_robot() -> None:
    one, two, other = (cycles(Welder(seed), 1) for seed in (7, 7, 8))
    assert all((one[name] == two[name]).all() for name in one)
    assert (one["current_mean"] != other["current_mean"]).all()
