"""The die-casting machine: normal figures and the sizes of its faults are those of the table."""

import pytest

from edge_agent.plant.caster import Caster
from edge_agent.plant.caster_points import CASTER_POINTS
from tests.unit.plant.runs import Columns, cycles, shift


@pytest.fixture(scope="module")
def normal() -> Columns:
    return cycles(Caster(1), 55, skip=5)


@pytest.mark.parametrize(
    ("name", "mean", "spread"),
    [
        ("biscuit", 29.6, 1.05),
        ("slow_velocity", 0.28, 0.004),
        ("fast_velocity", 2.60, 0.03),
        ("fill_time", 56.7, 0.7),
        ("rise_time", 33.0, 0.3),
        ("casting_pressure", 77.6, 0.7),
        ("end_pressure", 74.4, 0.6),
        ("die_fixed", 172.6, 0.45),
        ("die_moving", 172.6, 0.45),
        ("vacuum", 60.0, 4.0),
        ("melt_pv", 660.1, 0.6),
        ("gate_velocity", 43.5, 0.5),
        ("clamp_force", 3500.0, 15.0),
        ("cycle_time", 45.0, 0.25),
        ("cooling_flow1", 14.0, 0.15),
        ("accumulator", 145.0, 0.4),
        ("oil_temperature", 45.0, 0.22),
    ],
)
def test_normal_figures(normal: Columns, name: str, mean: float, spread: float) -> None:
    assert normal[name].mean() == pytest.approx(mean, abs=max(0.8 * spread, 0.02 * mean))
    assert normal[name].std() == pytest.approx(spread, rel=0.5)
    assert normal["reject"].max() == 0


@pytest.mark.parametrize(
    ("faults", "shifts", "still"),
    [
        (
            ("short_dose", "vac_clog"),
            {"biscuit": (-14.7, 3.5), "fill_time": (8, 2.5), "die_fixed": (-9, 3), "vacuum": (30, 6)},
            ("fast_velocity", "rise_time", "end_pressure"),
        ),
        (
            ("tip_wear", "spray_clog"),
            {"fast_velocity": (-9.6, 3), "slow_velocity": (-7.5, 2), "fill_time": (9, 2.5), "rise_time": (-17, 5),
             "die_fixed": (22, 6)},
            ("die_moving", "casting_pressure"),
        ),
        (
            ("accu_n2", "cool_scale"),
            {"fast_velocity": (-14, 4), "fill_time": (14, 4), "rise_time": (149, 40)},
            ("slow_velocity", "casting_pressure"),
        ),
        (
            ("switch_slip", "intens_leak"),
            {"fill_time": (-6.5, 2), "casting_pressure": (-21, 5), "end_pressure": (-56, 13)},
            ("fast_velocity", "biscuit", "switch_position", "rise_time"),
        ),
    ],
)  # fmt: skip
def test_faults_shift_what_the_table_says(
    normal: Columns, faults: tuple[str, ...], shifts: dict[str, tuple[float, float]], still: tuple[str, ...]
) -> None:
    found = cycles(Caster(1), 25, *((fault, 0.0, 1.0, 0.0) for fault in faults), skip=12)
    for name, (sigmas, tolerance) in shifts.items():
        assert shift(normal, found, name) == pytest.approx(sigmas, abs=tolerance), name
    for name in still:
        assert abs(shift(normal, found, name)) < 1.5, name
    if "cool_scale" in faults:
        assert found["die_fixed"].mean() - normal["die_fixed"].mean() == pytest.approx(70, abs=4)
        assert found["rise_time"].mean() == pytest.approx(80, abs=5)
        assert found["accumulator"].mean() == pytest.approx(110, abs=1)
        assert found["cool_out"].mean() > normal["cool_out"].mean() + 5
    if "intens_leak" in faults:
        assert found["end_pressure"].mean() == pytest.approx(43, abs=2)
        assert found["reject"].mean() > 0.9


def test_a_drifting_thermocouple_hides_behind_the_controller(normal: Columns) -> None:
    machine = Caster(1)
    found = cycles(machine, 50, ("tc_drift", 0.0, 1.0, 0.0), skip=35)
    assert found["melt_pv"].mean() == pytest.approx(660.0, abs=0.4)
    assert machine.melt == pytest.approx(668.0, abs=1.0)
    assert found["melt_mv"].mean() / normal["melt_mv"].mean() == pytest.approx(1.035, abs=0.012)


def test_a_cold_start_says_that_it_warms_up_and_is_over_after_fifteen_shots() -> None:
    found = cycles(Caster(1), 18, ("cold_start", 0.0, 1.0, None))
    assert found["die_fixed"][0] == pytest.approx(172.6 - 60 * 0.47, abs=3)
    assert found["die_fixed"][9:].mean() == pytest.approx(172.6, abs=0.6)
    assert found["warm_up"].mean() == pytest.approx(15 / 18, abs=0.1)
    assert not found["warm_up"][-1]


def test_every_point_is_shown_and_within_its_range(normal: Columns) -> None:
    texts = {point.name for point in CASTER_POINTS if point.data_type == "String"}
    assert set(normal) | texts == {point.name for point in CASTER_POINTS}
    for point in CASTER_POINTS:
        if point.low is not None and point.high is not None:
            assert point.low <= normal[point.name].min() <= normal[point.name].max() <= point.high


def test_the_same_seed_is_the_same_machine_and_a_fault_changes_nothing_else() -> None:
    one, two, found = cycles(Caster(7), 4), cycles(Caster(7), 4), cycles(Caster(7), 4, ("vac_clog", 0.0, 1.0, 0.0))
    assert all((one[name] == two[name]).all() for name in one)
    assert all((one[name] == found[name]).all() for name in one if name != "vacuum")
    assert (cycles(Caster(8), 4)["biscuit"] != one["biscuit"]).all()
