"""The press: its normal figures are those of the table, and each fault shifts what the table says, by about as much."""

import numpy as np
import pytest

from edge_agent.plant.press import Press
from edge_agent.plant.press_points import PRESS_FAULTS, PRESS_POINTS
from tests.unit.plant.runs import Columns, Order, press

STROKES = 1500


@pytest.fixture(scope="module")
def normal() -> Columns:
    slow, fast = press(STROKES)
    return slow | fast


def broken(*orders: Order, strokes: int = 400, skip: int = 100) -> Columns:
    slow, fast = press(strokes, *orders, skip=skip)
    return slow | fast


def shift(normal: Columns, fault: Columns, name: str) -> float:
    return float((fault[name].mean() - normal[name].mean()) / normal[name].std())


@pytest.mark.parametrize(
    ("name", "mean", "spread"),
    [
        ("peak_load", 119.0, 1.4),
        ("snap_load", -5.5, 0.35),
        ("load_difference", 0.1, 1.0),
        ("peak_angle", 171.6, 0.13),
        ("stroke_work", 3040.0, 34.0),
        ("stop_time", 165.0, 3.0),
        ("motor_current", 42.6, 0.6),
        ("bearing_temperature", 31.1, 0.15),
        ("counterbalance_air", 0.52, 0.002),
        ("lube_pressure", 1.2, 0.03),
        ("strokes_per_minute", 40.0, 0.1),
        ("cycle_time", 1.5, 0.004),
    ],
)
def test_normal_figures(normal: Columns, name: str, mean: float, spread: float) -> None:
    assert normal[name].mean() == pytest.approx(mean, abs=max(spread, 0.002 * mean))
    assert normal[name].std() == pytest.approx(spread, rel=0.45)


def test_every_point_is_shown_within_its_range(normal: Columns) -> None:
    machine = Press(3)
    known: dict[str, object] = {}
    for _ in range(40):
        for reading in machine.step():
            known |= reading.values
    assert set(known) == {point.name for point in PRESS_POINTS}
    for point in PRESS_POINTS:
        if point.low is not None:
            assert point.low <= normal[point.name].min()
            assert normal[point.name].max() <= point.high


@pytest.mark.parametrize(
    ("fault", "shifts"),
    [
        ("tool_wear", {"peak_load": (8, 3), "snap_load": (-41, 9), "stroke_work": (7, 2.5)}),
        ("hard_coil", {"peak_load": (3.9, 1.5), "load_left": (3, 1.3), "load_right": (3, 1.3)}),
        ("eccentric", {"load_difference": (12, 2), "peak_load": (-1, 1)}),
        ("bearing", {"motor_current": (11, 1)}),
        ("lube", {"lube_pressure": (-13.3, 1), "motor_current": (5, 0.7)}),
        ("brake", {"stop_time": (15, 2)}),
        ("counterbalance", {"counterbalance_air": (-44, 4)}),
    ],
)
def test_a_fault_shifts_what_the_table_says(
    normal: Columns, fault: str, shifts: dict[str, tuple[float, float]]
) -> None:
    found = broken((fault, 0.0, 1.0, 0.0))
    for name, (sigmas, tolerance) in shifts.items():
        assert shift(normal, found, name) == pytest.approx(sigmas, abs=tolerance), name


@pytest.mark.parametrize("kind", PRESS_FAULTS, ids=lambda kind: kind.name)
def test_what_is_not_affected_stays(normal: Columns, kind: object) -> None:
    found = broken((kind.name, 0.0, 1.0, 0.0), strokes=220, skip=20)
    skip = {"stroke_count", "coil_no", *kind.affected}
    for name in normal.keys() - skip:
        assert found[name].mean() == pytest.approx(normal[name].mean(), abs=1.1 * normal[name].std() + 1e-9), name


def test_bearing_and_lube_warm_the_bearing_slowly() -> None:
    hot = broken(("bearing", 0.0, 1.0, 0.0), strokes=2400, skip=2300)["bearing_temperature"].mean()
    assert hot == pytest.approx(31.1 + 9, abs=0.6)
    assert broken(("lube", 0.0, 1.0, 0.0), strokes=60, skip=40)["bearing_temperature"].mean() < 31.1 + 3


@pytest.mark.parametrize(("fault", "chance", "peak"), [("double_blank", 0.02, 165.0), ("misfeed", 0.03, 67.0)])
def test_single_strokes_are_struck_and_means_hardly_move(
    normal: Columns, fault: str, chance: float, peak: float
) -> None:
    loads = broken((fault, 0.0, 1.0, None), strokes=STROKES, skip=0)["peak_load"]
    struck = np.abs(loads - 119.0) > 20
    assert struck.mean() == pytest.approx(chance, abs=0.012)
    assert loads[struck].mean() == pytest.approx(peak, abs=6)
    assert abs(shift(normal, {"peak_load": loads}, "peak_load")) < 1.5


def test_the_overload_alarm_follows_a_double_blank() -> None:
    found = broken(("double_blank", 0.0, 1.0, None), strokes=400, skip=0)
    assert found["overload_alarm"].max() == 1.0
    assert found["overload_alarm"].mean() < 0.1


def test_a_load_cell_drifts_on_one_side_only() -> None:
    found = broken(("load_cell_drift", 0.0, 1.0, 30.0), strokes=800)
    assert found["load_left"].max() > 62.0
    assert found["load_right"].mean() == pytest.approx(59.5, abs=0.9)


def test_a_new_coil_moves_the_load_within_its_band() -> None:
    loads = press(1200)[0]["peak_load"].reshape(-1, 120).mean(axis=1)
    assert loads.std() == pytest.approx(1.4, rel=0.7)


def test_the_same_seed_is_the_same_press_to_the_last_bit() -> None:
    one, two, other = press(50, seed=7), press(50, seed=7), press(50, seed=8)
    assert all((one[0][name] == two[0][name]).all() for name in one[0])
    assert (one[0]["peak_load"] != other[0]["peak_load"]).any()


def test_a_fault_changes_nothing_but_its_effect() -> None:
    clean, found = press(80)[0], press(80, ("brake", 0.0, 1.0, 0.0))[0]
    assert (clean["peak_load"] == found["peak_load"]).all()
    assert found["stop_time"] - clean["stop_time"] == pytest.approx(np.full(80, 45.0))


def test_strokes_come_at_the_speed_asked_for() -> None:
    machine = Press(1, spm=80.0)
    ends = [reading.time for _ in range(300) for reading in machine.step() if reading.cycle]
    assert np.diff(ends).mean() == pytest.approx(0.75, abs=0.002)
    assert len(ends) == pytest.approx(80, abs=1)
