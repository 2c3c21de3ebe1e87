"""Novelty live: a course that never was is one event, however rows come; restarts and bad values harm nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from analytics import kernels
from edge_agent.detect import novelty
from edge_agent.model import EventClass, EventState, Frame, Role, Status, Tag
from tests.unit.detect.scene import FURNACE, SECOND, START, Scene, pv

ROWS = 6000
ODD = slice(5000, 5120)
PRESSURE = pv("pressure", novelty=True)


def strokes(seed: int = 1, *, odd: bool = True) -> np.ndarray:
    """A period of a minute; two minutes of it twice as fast, inside the range that is normal."""
    rng = np.random.default_rng(seed)
    at = np.arange(ROWS) / 60 * 2 * np.pi
    x = 10 * np.sin(at)
    if odd:
        x[ODD] = 10 * np.sin(2 * at[ODD])
    return x + 0.3 * rng.normal(size=ROWS)


def feed(scene: Scene, x: np.ndarray, *, start: int = 0, size: int = 500, tag: int = 0, jitter: float = 0.0) -> None:
    """Rows of one tag, a second apart, `size` a frame; NaN is a bad row."""
    rng = np.random.default_rng(9)
    time = START + (start + np.arange(1, len(x) + 1)) * SECOND
    time += np.round(jitter * rng.uniform(-1, 1, len(x)) * SECOND).astype(np.int64)
    status = np.where(np.isnan(x), int(Status.BAD_SENSOR_FAILURE), 0)
    for a in range(0, len(x), size):
        part = slice(a, a + size)
        scene.clock.time = START + (start + min(a + size, len(x))) * SECOND
        rows = [tag] * len(x[part])
        scene.frame(Frame.of_floats(rows, time[part], np.nan_to_num(x[part]), status=status[part]))


def of_novelty(scene: Scene) -> list:
    return [event for event in scene.events if event.detector == "novelty"]


def test_an_odd_course_inside_the_range_is_one_event_that_no_other_detector_has() -> None:
    scene = Scene(PRESSURE, pv("neighbour"), learn_time="60s")
    feed(scene, strokes(), jitter=0.3)
    opened, closed = scene.events
    assert (opened.detector, opened.event_class) == ("novelty", EventClass.PROCESS)
    assert (opened.state, closed.state, opened.id == closed.id) == (EventState.OPEN, EventState.CLOSED, True)
    began = (opened.start - START) / SECOND
    assert ODD.start < began < ODD.stop
    assert opened.evidence["score"] > opened.evidence["limit"]
    assert "본 적이 없습니다" in opened.text.ko
    assert "furnace 1 temperature: the course of the last 100 s is unlike any before" in opened.text.en
    assert closed.end < START + (ODD.stop + 150) * SECOND


def test_where_its_kernels_cannot_run_numpy_does_and_says_so(monkeypatch) -> None:
    monkeypatch.delattr(kernels, "left_profile_numba", raising=False)
    monkeypatch.setitem(sys.modules, "analytics.kernels.left_profile_numba", None)
    scene = Scene(PRESSURE)
    (notice,) = scene.detection.notices
    assert (notice.code, "NUMBA_CACHE_DIR" in str(notice)) == ("EA-401", True)
    feed(scene, strokes()[:400])
    assert scene.detection.novelty()[0]["compared"] > 0


def test_without_the_word_nothing_is_loaded_and_nothing_said() -> None:
    scene = Scene(pv("pressure"), learn_time="60s")
    feed(scene, strokes())
    assert scene.events == []
    assert scene.detection.novelty() == []
    assert scene.detection._novelties._kernels is None


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_any_cut_and_both_engines_say_the_same(engine: str) -> None:
    x = strokes()[3800:]
    x[700:710] = np.nan
    whole, parts = Scene(PRESSURE), Scene(PRESSURE, engine=engine)
    feed(whole, x, size=len(x))
    feed(parts, x, size=37)
    for name in ("profile", "tail", "grid", "last"):
        np.testing.assert_array_equal(
            getattr(parts.detection._novelties, name), getattr(whole.detection._novelties, name)
        )


def test_a_restart_goes_on_bit_by_bit_and_opens_nothing_twice(tmp_path: Path) -> None:
    x = strokes()
    whole = Scene(PRESSURE)
    feed(whole, x)
    scene = Scene(PRESSURE, checkpoint=tmp_path / "detection")
    for a, b in ((0, 2000), (2000, ODD.stop - 20), (ODD.stop - 20, ROWS)):
        feed(scene, x[a:b], start=a)
        scene.detection.save()
        scene.start()
        assert scene.detection.notices == []
    assert of_novelty(scene) == of_novelty(whole)
    assert [event.state for event in of_novelty(scene)] == [EventState.OPEN, EventState.CLOSED]
    np.testing.assert_array_equal(scene.detection._novelties.profile, whole.detection._novelties.profile)
    np.testing.assert_array_equal(scene.detection._novelties.tail, whole.detection._novelties.tail)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-40], lambda raw: b"", lambda raw: raw[: len(raw) // 2]])
def test_a_damaged_file_is_set_aside_and_learning_starts_anew(tmp_path: Path, damage) -> None:
    scene = Scene(PRESSURE, checkpoint=tmp_path / "detection")
    feed(scene, strokes()[:600])
    scene.detection.save()
    stored = tmp_path / "detection.novelty.npz"
    stored.write_bytes(damage(stored.read_bytes()))
    detection = scene.start()
    assert [notice.code for notice in detection.notices] == ["EA-401"]
    assert stored.with_name("detection.novelty.npz.damaged").exists()
    assert detection.novelty()[0]["compared"] == 0


def test_a_tag_that_is_no_longer_compared_closes_its_event(tmp_path: Path) -> None:
    scene = Scene(PRESSURE, checkpoint=tmp_path / "detection")
    feed(scene, strokes()[: ODD.stop])
    (opened,) = of_novelty(scene)
    scene.detection.save()
    other = Scene(pv("pressure"), checkpoint=tmp_path / "detection", clock=scene.clock)
    other.put([0.0])
    assert [(event.id, event.state) for event in other.events] == [(opened.id, EventState.CLOSED)]


def test_people_see_what_is_still_learned() -> None:
    scene = Scene(PRESSURE)
    feed(scene, strokes()[:1000])
    (shown,) = scene.detection.novelty()
    assert (shown["tag"], shown["learning"]) == ("site/line1/ht1/pressure", True)
    assert 600 < shown["compared"] < 1000
    feed(scene, strokes()[1000:4800], start=1000)
    assert not scene.detection.novelty()[0]["learning"]


def test_a_set_value_that_changed_explains_another_course() -> None:
    scene = Scene(PRESSURE, Tag("recipe", FURNACE, "plc", Role.SETPOINT, interval_ns=0))
    scene.frame(Frame.of_floats([1], START, [1.0]))
    x = strokes()
    feed(scene, x[: ODD.start])
    scene.frame(Frame.of_floats([1], scene.clock.time, [2.0]))
    feed(scene, x[ODD.start :], start=ODD.start)
    assert of_novelty(scene) == []


def test_bad_values_and_silence_are_gaps_and_change_nothing() -> None:
    scene = Scene(PRESSURE)
    x = strokes(odd=False)
    x[4500:4700] = np.nan
    feed(scene, x[:5000])
    feed(scene, x[5600:], start=5600)
    assert of_novelty(scene) == []
    profile = scene.detection._novelties.profile[0]
    assert abs(int(profile[0]) - (ROWS - 200 - 600)) <= 3


def test_a_tag_that_comes_on_change_is_held_each_second() -> None:
    scene = Scene(pv("valve", novelty=True, interval_ns=0))
    times = [START, START + 7 * SECOND, START + 20 * SECOND, START + 20 * SECOND + novelty.ON_CHANGE * SECOND * 2]
    points, values = scene.detection._novelties._points(0, np.array(times), np.array([1.0, 2.0, 3.0, 4.0]))
    assert values[:20].tolist() == [1.0] * 7 + [2.0] * 13
    assert np.isnan(values[20])
    assert len(points) == 21
