"""The nickel line: normal figures and the sizes of its faults are those of the table."""

from functools import cache

import pytest

from edge_agent.plant.plater import Plater
from edge_agent.plant.plater_points import PLATER_FAULTS, PLATER_POINTS
from tests.unit.plant.runs import Columns, cycles


@cache
def run(*faults: str) -> Columns:
    """Four racks, of which the first two are left out."""
    return cycles(Plater(1), 4, *((fault, 0.0, 1.0, 0.0) for fault in faults), skip=2)


def on(found: Columns, name: str) -> float:
    """The mean while it plates, without the first minutes."""
    return float(found[name][found["current"] > 470].mean())


def test_normal_figures() -> None:
    found = run()
    assert found["rack_voltage"].mean() == pytest.approx(5.14, abs=0.1)
    assert on(found, "current") == pytest.approx(480, abs=1)
    assert on(found, "ripple") == pytest.approx(2.2, abs=0.05)
    assert found["temperature"].mean() == pytest.approx(55.0, abs=0.05)
    assert found["temperature"].std() < 0.12
    assert found["heater_mv"].mean() == pytest.approx(44.0, abs=1.5)
    assert 3.95 < found["ph"].min() < found["ph"].max() < 4.25
    assert found["filter_pressure"].mean() == pytest.approx(0.35 + 0.55 * 3 * 0.4667 / 40, abs=0.02)
    assert found["filter_flow"].mean() == pytest.approx(17.8, abs=0.3)


def test_voltage_faults() -> None:
    plain, contact, anode = run(), run("contact", "filter"), run("anode", "leak")
    assert on(contact, "voltage") - on(plain, "voltage") == pytest.approx(1.4, abs=0.1)
    assert contact["heater_mv"].mean() < plain["heater_mv"].mean() - 0.8
    assert on(anode, "voltage") - on(plain, "voltage") == pytest.approx(0.9, abs=0.1)
    wrong = run("area_error", "phase_loss")
    assert on(wrong, "voltage") / on(plain, "voltage") == pytest.approx(0.9, abs=0.03)
    assert on(wrong, "ripple") == pytest.approx(8.7, abs=0.1)
    assert on(wrong, "current") == pytest.approx(480, abs=1)
    assert contact["filter_pressure"].max() > 0.35 + 0.5 * 0.55 * 15 * 1.8 / 40
    assert contact["filter_flow"].min() < plain["filter_flow"].min() - 2
    assert anode["refills"].mean() == pytest.approx(1.5, abs=0.3)
    assert plain["refills"].mean() <= 0.5
    assert 89.8 < anode["level"].min() < anode["level"].max() < 92.2


def test_a_lost_half_of_the_heater_hides_behind_the_controller() -> None:
    found = cycles(Plater(1), 6, ("heater", 0.0, 1.0, None), ("ph_stuck", 0.0, 1.0, None), skip=2)
    assert found["temperature"].mean() == pytest.approx(55.0, abs=0.3)
    assert found["rack_heater"].mean() == pytest.approx(88.0, abs=4)
    assert found["ph"].min() == found["ph"].max()
    assert not found["acid_pump"].any()


def test_a_drifting_probe_shows_the_set_value_and_a_leaking_valve_does_not() -> None:
    machine = Plater(1)
    drifted = cycles(machine, 5, ("ph_drift", 0.0, 1.0, 0.0), skip=2)
    assert drifted["ph"].mean() == pytest.approx(4.1, abs=0.12)
    assert machine.ph == pytest.approx(3.75, abs=0.12)
    leaking = cycles(Plater(1), 6, ("dosing_stuck", 0.0, 1.0, 0.0), skip=4)
    assert leaking["ph"].mean() - 4.1 == pytest.approx(-0.22, abs=0.08)
    assert leaking["acid_level"][-1] < leaking["acid_level"][0] - 1


def test_every_point_is_shown_and_within_its_range() -> None:
    found = run()
    texts = {point.name for point in PLATER_POINTS if point.data_type == "String"}
    assert set(found) | texts == {point.name for point in PLATER_POINTS}
    for point in PLATER_POINTS:
        if point.low is not None and point.high is not None:
            assert point.low <= found[point.name].min() <= found[point.name].max() <= point.high


@pytest.mark.parametrize("kind", PLATER_FAULTS, ids=lambda kind: kind.name)
def test_faults_affect_tags_that_there_are(kind: object) -> None:
    assert set(kind.affected) <= {point.name for point in PLATER_POINTS}


def test_the_same_seed_is_the_same_line() -> None:
    one, two, other = (cycles(Plater(seed), 1) for seed in (7, 7, 8))
    assert all((one[name] == two[name]).all() for name in one)
    assert (one["rack_voltage"] != other["rack_voltage"]).all()
