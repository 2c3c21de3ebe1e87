"""Faults: shapes, severities, labels."""

import numpy as np
import pytest

from edge_agent.model import EventClass
from edge_agent.plant.fault import Fault, Faults, Shape


def faults(shape: Shape, **how: float) -> Faults:
    return Faults("m", [Fault("f", "X-01", shape, EventClass.MACHINE, ("a", "b"), **how)], (1, 9))


def strengths(found: Faults, times: np.ndarray) -> np.ndarray:
    return np.array([found.strengths(float(time))["f"] for time in times])


def test_nothing_happens_before_the_start_and_after_the_end() -> None:
    found = faults(Shape.STEP)
    found.start("f", 10.0, 0.7)
    found.clear("f", 20.0)
    assert list(strengths(found, np.array([0.0, 9.9, 10.0, 19.9, 20.0, 30.0]))) == [0, 0, 0.7, 0.7, 0, 0]


@pytest.mark.parametrize(
    ("shape", "time", "expected"),
    [
        (Shape.STEP, 0.0, 1.0),
        (Shape.RAMP, 0.0, 0.0),
        (Shape.RAMP, 50.0, 0.5),
        (Shape.RAMP, 500.0, 1.0),
        (Shape.EXP, 100.0, 1 - np.exp(-1)),
    ],
)
def test_shapes_that_are_functions_of_time(shape: Shape, time: float, expected: float) -> None:
    found = faults(shape, grow=100.0)
    found.start("f", 5.0, 0.8)
    assert found.strengths(5.0 + time)["f"] == pytest.approx(0.8 * expected)


def test_the_growth_time_can_be_shortened() -> None:
    found = faults(Shape.RAMP, grow=86_400.0)
    found.start("f", 0.0, 1.0, 60.0)
    assert found.strengths(30.0)["f"] == pytest.approx(0.5)


def test_intermittent_strikes_with_its_chance() -> None:
    found = faults(Shape.INTERMITTENT, chance=0.3)
    found.start("f", 0.0)
    rows = strengths(found, np.arange(0.0, 20_000.0))
    assert set(rows) == {0.0, 1.0}
    assert rows.mean() == pytest.approx(0.3, abs=0.02)


def test_a_walk_wanders_between_0_and_its_severity() -> None:
    found = faults(Shape.WALK, grow=100.0)
    found.start("f", 0.0, 0.5)
    rows = strengths(found, np.arange(0.0, 20_000.0))
    assert rows.min() >= 0.0
    assert 0.45 < rows.max() <= 0.5
    assert np.abs(np.diff(rows)).max() < 0.3


def test_bursts_are_short_and_come_about_as_often_as_asked() -> None:
    found = faults(Shape.BURST, grow=30.0)
    found.start("f", 0.0)
    rows = strengths(found, np.arange(0.0, 20_000.0, 0.1))
    edges = np.flatnonzero(np.diff(rows) > 0)
    lengths = np.flatnonzero(np.diff(rows) < 0)[: len(edges)] - edges
    assert len(edges) == pytest.approx(20_000 / 32.6, rel=0.15)
    assert lengths.max() <= 51


def test_the_same_seed_gives_the_same_fault_and_another_occurrence_another_one() -> None:
    times = np.arange(0.0, 500.0)
    one, two = faults(Shape.WALK, grow=100.0), faults(Shape.WALK, grow=100.0)
    one.start("f", 0.0)
    two.start("f", 0.0)
    first = strengths(one, times)
    assert (first == strengths(two, times)).all()
    one.clear("f", 500.0)
    one.strengths(500.0)
    one.start("f", 500.0)
    assert not np.allclose(strengths(one, times + 500.0), first)


def test_an_unknown_fault_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        faults(Shape.STEP).start("g", 0.0)


def test_labels_say_start_growth_and_end() -> None:
    found = faults(Shape.RAMP, grow=100.0)
    found.start("f", 10.0, 0.8)
    found.clear("f", 150.0)
    strengths(found, np.arange(0.0, 200.0))
    labels = found.labels()
    assert [label["f"] for label in labels] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 0.0], abs=1e-9)
    assert {label["t_start"] for label in labels} == {10.0}
    assert [label["t_end"] for label in labels] == [None] * 5 + [150.0]
    assert labels[0] == {
        "machine": "m",
        "fault": "f",
        "code": "X-01",
        "class": "machine",
        "shape": "ramp",
        "severity": 0.8,
        "t_start": 10.0,
        "t_end": None,
        "f": 0.0,
        "affected": ["a", "b"],
    }
    assert found.labels() == []


def test_a_fault_that_lasts_has_no_end_in_its_label() -> None:
    found = faults(Shape.STEP)
    found.start("f", 1.0)
    strengths(found, np.arange(0.0, 5.0))
    assert [(label["f"], label["t_end"]) for label in found.labels()] == [(1.0, None)]


def test_a_fault_cleared_before_its_start_leaves_no_label() -> None:
    found = faults(Shape.STEP)
    found.start("f", 10.0)
    found.clear("f", 5.0)
    strengths(found, np.arange(0.0, 20.0))
    assert found.labels() == []


def test_an_intermittent_fault_happens_to_whole_cycles_and_its_label_says_when() -> None:
    faults = Faults("m", (Fault("skip", "X-1", Shape.INTERMITTENT, EventClass.PROCESS, (), chance=0.5),), (1, 1))
    faults.start("skip", 0.0)
    between = [faults.strengths(float(second), cycle=False)["skip"] for second in range(1, 50)]
    assert between == [0.0] * 49
    assert faults.labels() == []
    struck = [second for second in range(50, 80) if faults.strengths(float(second))["skip"]]
    assert struck
    assert any(label["f"] == 1.0 for label in faults.labels())
