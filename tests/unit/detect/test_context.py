"""Moves that somebody made are no anomalies."""

import numpy as np
import pytest

from edge_agent.model import Frame, Kind, Role
from tests.unit.detect.scene import PRESS, SECOND, Scene, pv


def levels(scene: Scene, seed: int, rows: int, level: float, other: list[float]) -> None:
    rng = np.random.default_rng(seed)
    for value in level + rng.normal(size=rows):
        scene.put([value, *other], tick=False)


@pytest.mark.parametrize("role", [Role.SV, Role.SETPOINT, Role.STATE])
def test_a_level_that_follows_a_set_value_is_normal(role):
    scene = Scene(pv(), pv("told", role=role))
    levels(scene, 1, 400, 850.0, [850.0])
    levels(scene, 2, 200, 930.0, [930.0])
    assert scene.detection.learning() == (0, 1)
    levels(scene, 3, 200, 850.0, [850.0])
    assert scene.events == []
    levels(scene, 4, 20, 1000.0, [850.0])
    assert len(scene.detection.open_events) == 1


def test_a_level_that_moves_of_its_own_is_not():
    scene = Scene(pv(), pv("told", role=Role.SV))
    levels(scene, 1, 400, 850.0, [850.0])
    levels(scene, 2, 20, 930.0, [850.0])
    assert len(scene.detection.open_events) == 1


def test_a_set_value_of_another_machine_explains_nothing():
    scene = Scene(pv(), pv("told", PRESS, role=Role.SV))
    levels(scene, 1, 400, 850.0, [850.0])
    levels(scene, 2, 20, 930.0, [930.0])
    assert len(scene.detection.open_events) == 1


def test_a_state_that_changes_all_the_time_explains_nothing():
    scene = Scene(pv(), pv("lamp", role=Role.STATE))
    for n in range(40):
        levels(scene, n, 20, 850.0, [n % 2])
    assert scene.detection.learning() == (0, 1)
    levels(scene, 99, 10, 930.0, [0])
    levels(scene, 98, 10, 930.0, [1])
    assert len(scene.detection.open_events) == 1


def test_a_state_in_words_explains_too():
    scene = Scene(pv(), pv("phase", role=Role.STATE, interval_ns=0))
    levels(scene, 1, 400, 850.0, [None])

    def phase(index: int) -> None:
        scene.clock.time += SECOND
        time = np.array([scene.clock.time])
        kind, status = np.array([Kind.TEXT], np.uint8), np.zeros(1, np.uint32)
        bits = np.array([index], np.uint64)
        flags = np.zeros(1, np.uint16)
        scene.frame(Frame(np.array([1], np.int32), time, time, bits, kind, status, flags, ("heat", "soak")))

    phase(0)
    phase(0)
    assert scene.detection.learning() == (0, 1)
    phase(1)
    assert scene.detection.learning() == (1, 0)
    levels(scene, 2, 30, 930.0, [None])
    assert scene.events == []


def test_a_machine_that_was_stopped_is_not_stale():
    scene = Scene(pv("count", role=Role.COUNTER), pv("load"), pv("running", role=Role.STATE, interval_ns=0))
    rng = np.random.default_rng(1)
    scene.put([0.0, 100.0, 1.0])
    for n in range(60):
        scene.put([n, 100 + rng.normal(), None])
    scene.put([None, None, 0.0])
    assert scene.wait(600) == []


def test_a_machine_that_falls_silent_while_it_runs_is():
    scene = Scene(pv("count", role=Role.COUNTER), pv("load"), pv("running", role=Role.STATE, interval_ns=0))
    rng = np.random.default_rng(1)
    scene.put([0.0, 100.0, 1.0])
    for n in range(60):
        scene.put([n, 100 + rng.normal(), None])
    scene.wait(60)
    assert [event.detector for event in scene.events] == ["outage"]
