"""The furnace: its normal figures are those of the table; closed loops hide faults from the process values."""

import numpy as np
import pytest

from edge_agent.plant.furnace import Furnace
from edge_agent.plant.furnace_points import METER_POINTS, PHASES, PLC_POINTS, ZONE_POINTS
from tests.unit.plant.runs import Columns, Order, furnace

SECONDS = 3600
SETTLED = 2400
"""Of an hour, what comes after the controllers have taken up a fault (their reset time is 900 s)."""


@pytest.fixture(scope="module")
def normal() -> Columns:
    return furnace(SECONDS, skip=600)


def broken(*orders: Order) -> Columns:
    return furnace(SECONDS, *orders, skip=SETTLED)


@pytest.mark.parametrize(
    ("name", "mean", "tolerance"),
    [
        ("zone1_pv", 930.0, 0.15),
        ("zone2_pv", 930.0, 0.15),
        ("zone3_pv", 930.0, 0.15),
        ("zone1_mv", 36.2, 0.6),
        ("zone2_mv", 33.2, 0.6),
        ("zone3_mv", 41.0, 0.6),
        ("carbon_potential", 1.05, 0.01),
        ("gas_valve", 42.5, 1.5),
        ("fan_current", 11.4, 0.05),
        ("agitator_current", 6.2, 0.05),
        ("oil_temperature", 60.0, 0.2),
        ("power", 27.15 + 19.9 + 30.8 + 8.1, 1.0),
        ("frequency", 60.0, 0.01),
        ("zone1_current", 113.95, 0.2),
    ],
)
def test_normal_figures_in_carburising(normal: Columns, name: str, mean: float, tolerance: float) -> None:
    assert normal[name].mean() == pytest.approx(mean, abs=tolerance)


def test_process_values_scatter_as_in_the_table(normal: Columns) -> None:
    for zone in (1, 2, 3):
        assert 0.24 < normal[f"zone{zone}_pv"].std() < 0.29
    assert normal["carbon_potential"].std() == pytest.approx(0.006, abs=0.0025)


def test_it_starts_settled() -> None:
    first = furnace(60)
    assert first["zone1_pv"].mean() == pytest.approx(930.0, abs=0.6)
    assert np.ptp(first["zone1_mv"]) < 4.0


def test_every_point_is_shown() -> None:
    points = [point for zone in ZONE_POINTS for point in zone] + [*METER_POINTS, *PLC_POINTS]
    assert set(Furnace(1).step()[0].values) == {point.name for point in points}


def test_a_broken_element_hides_behind_the_controller(normal: Columns) -> None:
    found = broken(("element", 0.0, 1.0, None))
    assert found["zone1_pv"].mean() == pytest.approx(normal["zone1_pv"].mean(), abs=0.6)
    assert found["zone1_mv"].mean() == pytest.approx(55.0, abs=1.5)
    assert found["zone2_mv"].mean() == pytest.approx(normal["zone2_mv"].mean(), abs=0.6)
    assert found["zone1_current"].mean() == pytest.approx(114.0 * 2 / 3, abs=0.5)


def test_a_leaking_door_shows_in_outputs_gas_and_energy_only(normal: Columns) -> None:
    found = broken(("door_leak", 0.0, 1.0, 1.0))
    assert found["zone2_pv"].mean() == pytest.approx(normal["zone2_pv"].mean(), abs=0.3)
    for zone in (1, 2, 3):
        assert found[f"zone{zone}_mv"].mean() - normal[f"zone{zone}_mv"].mean() == pytest.approx(13.0, abs=2.0)
    assert found["gas_valve"].mean() == pytest.approx(65.0, abs=2.5)
    assert found["carbon_potential"].mean() == pytest.approx(1.05, abs=0.035)
    assert found["power"].mean() / normal["power"].mean() == pytest.approx(1.3, abs=0.06)


def test_a_drifting_thermocouple_is_seen_by_the_other_zones(normal: Columns) -> None:
    found = broken(("tc_drift", 0.0, 1.0, 1.0))
    assert found["zone2_pv"].mean() == pytest.approx(930.0, abs=0.4)
    assert found["overtemp_pv"].mean() - normal["overtemp_pv"].mean() == pytest.approx(12.0, abs=1.0)
    assert found["zone2_mv"].mean() - normal["zone2_mv"].mean() == pytest.approx(3.0, abs=1.2)
    assert found["zone1_mv"].mean() - normal["zone1_mv"].mean() == pytest.approx(-1.0, abs=0.7)


def test_an_open_thermocouple_is_bad_and_takes_the_output_to_zero() -> None:
    found = furnace(600, ("tc_open", 100.0, 1.0, None))
    assert not np.isnan(found["zone2_pv"][:99]).any()
    assert np.isnan(found["zone2_pv"][99:]).all()
    assert np.isnan(found["chamber_mean"][99:]).all()
    assert (found["zone2_mv"][99:] == 0.0).all()
    assert (found["burnout_alarm"] == (np.arange(600) >= 99)).all()
    assert found["overtemp_pv"][-1] < found["overtemp_pv"][98] - 10


def test_a_welded_contactor_heats_with_the_output_at_zero() -> None:
    found = furnace(600, ("ssr_on", 60.0, 1.0, None))
    rise = (found["zone2_pv"][300] - found["zone2_pv"][120]) / 3.0
    assert rise == pytest.approx(8.0, abs=2.5)
    assert found["zone2_mv"][-1] == 0.0
    assert found["overtemp_alarm"][-1] == 1.0
    assert found["overtemp_alarm"][0] == 0.0


def test_a_sooted_probe_shows_the_set_value_and_more_gas(normal: Columns) -> None:
    machine = Furnace(1)
    machine.faults.start("soot", 0.0, 1.0, 1.0)
    rows = [machine.step()[0] for _ in range(SECONDS)]
    assert np.mean([row.values["carbon_potential"] for row in rows[SETTLED:]]) == pytest.approx(1.05, abs=0.015)
    assert np.mean([row.truth["carbon"] for row in rows[SETTLED:]]) == pytest.approx(1.15, abs=0.02)
    gas = np.mean([row.values["gas_valve"] for row in rows[SETTLED:]])
    assert gas - normal["gas_valve"].mean() == pytest.approx(5.0, abs=2.0)


def test_a_failing_agitator_shows_in_its_current(normal: Columns) -> None:
    found = broken(("agitator", 0.0, 1.0, None))
    assert found["agitator_current"].mean() == pytest.approx(2.1, abs=0.1)
    assert found["zone1_mv"].mean() == pytest.approx(normal["zone1_mv"].mean(), abs=0.5)


def test_a_lost_oil_cooler_warms_the_oil() -> None:
    assert furnace(6000, ("oil_cooler", 0.0, 1.0, 300.0), skip=5900)["oil_temperature"].mean() == pytest.approx(
        78.0, abs=1.5
    )


def heat_minutes(fault: str | None = None, until: float = 1000.0) -> float:
    """Minutes of heating a fresh charge, to the end of the phase or until its core is this hot."""
    machine = Furnace(5, phase="quench", phase_time=1199.0)
    if fault is not None:
        machine.faults.start(fault, 0.0, 1.0, 1.0)
    while machine.phase_name != "heat":
        machine.step()
    began = machine.time
    while machine.phase_name == "heat" and machine.load.mean() < until:
        machine.step()
    return (machine.time - began) / 60.0


def test_heating_takes_as_long_as_in_the_table_and_longer_with_a_broken_element() -> None:
    plain = heat_minutes()
    assert plain == pytest.approx(94, abs=5)
    assert heat_minutes("element") - plain == pytest.approx(7, abs=4)


def test_a_failing_fan_doubles_the_heating_time() -> None:
    assert heat_minutes("fan", 500.0) / heat_minutes(None, 500.0) == pytest.approx(203 / 94, rel=0.2)


def test_a_whole_batch_runs_through_its_phases() -> None:
    machine = Furnace(2, phase="diffuse", phase_time=3590.0)
    seen, oil, doors = [machine.phase_name], 0.0, 0
    while machine.phase_name != "heat":
        values = machine.step()[0].values
        oil = max(oil, float(values["oil_temperature"]))
        doors += bool(values["door_open"])
        if machine.phase_name != seen[-1]:
            seen.append(machine.phase_name)
    names = [name for name, _, _ in PHASES]
    assert seen == ["diffuse", "cool", "soak", "quench", "load", "heat"]
    assert set(seen) <= set(names)
    assert oil == pytest.approx(84, abs=3)
    assert doors == 30
    assert machine.charge == 2


def test_the_same_seed_is_the_same_furnace_to_the_last_bit() -> None:
    one, two, other = furnace(50, seed=7), furnace(50, seed=7), furnace(50, seed=8)
    assert all((one[name] == two[name]).all() for name in one)
    assert (one["zone1_pv"] != other["zone1_pv"]).any()


def test_a_fault_changes_nothing_but_its_effect() -> None:
    clean, found = furnace(50), furnace(50, ("agitator", 0.0, 1.0, None))
    assert (clean["zone1_pv"] == found["zone1_pv"]).all()
    assert (found["agitator_current"] - clean["agitator_current"]).max() < -4


def test_energy_is_the_integral_of_power(normal: Columns) -> None:
    kwh = (normal["energy"][-1] - normal["energy"][0]) / 1000.0
    assert kwh == pytest.approx(normal["power"].mean() * (len(normal["power"]) - 1) / 3600.0, rel=0.003)
