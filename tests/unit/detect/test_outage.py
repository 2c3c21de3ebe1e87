"""One cause for many tags makes one event."""

import numpy as np

from edge_agent.model import EventClass, EventState, Status
from tests.unit.detect.scene import FURNACE, PRESS, SECOND, START, Scene, pv


def plant(count: int = 10) -> Scene:
    furnace = [pv(f"f{n}", link="modbus") for n in range(count)]
    press = [pv(f"p{n}", PRESS, link="plc") for n in range(count)]
    return Scene(*furnace, *press)


def normal(scene: Scene, rows: int, seed: int = 1) -> None:
    scene.run(np.random.default_rng(seed).normal(size=(rows, len(scene.tags))), tick=True)


def test_a_link_that_goes_down_is_one_event_of_the_machine():
    scene = plant()
    normal(scene, 30)
    down = scene.clock.time
    scene.link_down(*range(10))
    for n in range(5):
        scene.put([None] * 10 + list(np.random.default_rng(n).normal(size=10)))
    (event,) = scene.events
    assert (event.path, event.detector, event.event_class) == (FURNACE.path, "outage", EventClass.COMMUNICATION)
    assert (event.start, event.evidence["tags"]) == (down, 10.0)
    assert "침탄로 1호: 통신 두절" in event.text.ko
    assert "링크 modbus의 태그 10개 중 10개" in event.text.ko
    normal(scene, 20, seed=2)
    assert [e.state for e in scene.events] == [EventState.OPEN, EventState.CLOSED]
    assert scene.events[1].id == event.id
    assert scene.events[1].end == START + 36 * SECOND
    assert scene.detection.open_events == []


def test_two_machines_on_a_link_are_two_events():
    scene = Scene(*(pv(f"f{n}") for n in range(5)), *(pv(f"p{n}", PRESS) for n in range(5)))
    normal(scene, 30)
    scene.link_down(*range(10))
    scene.wait(5)
    assert sorted(event.path for event in scene.events) == [FURNACE.path, PRESS.path]


def test_silence_of_a_whole_link_is_one_event_too():
    scene = plant()
    normal(scene, 30)
    for n in range(30):
        scene.put([None] * 10 + list(np.random.default_rng(n).normal(size=10)))
    assert [(event.path, event.detector) for event in scene.events] == [(FURNACE.path, "outage")]


def test_tags_that_fail_one_after_the_other_end_in_one_event():
    scene = plant()
    normal(scene, 30)
    rng = np.random.default_rng(2)
    for gone in range(1, 11):
        for _ in range(4):
            scene.put([Status.BAD_TIMEOUT] * gone + list(rng.normal(size=20 - gone)))
    own = [event for event in scene.events if event.detector == "bad"]
    assert {event.id for event in own if event.state is EventState.OPEN} == {
        event.id for event in own if event.state is EventState.CLOSED
    }
    assert [event.path for event in scene.detection.open_events] == [FURNACE.path]


def test_one_device_of_many_that_times_out_is_one_event():
    scene = plant(20)
    normal(scene, 30)
    rng = np.random.default_rng(3)
    for _ in range(5):
        scene.put([Status.BAD_TIMEOUT] * 6 + list(rng.normal(size=34)))
    (event,) = scene.events
    assert (event.path, event.evidence) == (FURNACE.path, {"tags": 6.0, "tags_of_link": 20.0})


def test_two_bad_sensors_of_ten_speak_for_themselves():
    scene = plant()
    normal(scene, 30)
    rng = np.random.default_rng(4)
    for _ in range(5):
        scene.put([Status.BAD_SENSOR_FAILURE] * 2 + list(rng.normal(size=18)))
    assert sorted(event.path.split("/")[-1] for event in scene.events) == ["f0", "f1"]


def test_what_is_still_gone_after_an_outage_speaks_for_itself():
    scene = plant()
    normal(scene, 30)
    scene.link_down(*range(10))
    scene.wait(4)
    rng = np.random.default_rng(5)
    for _ in range(30):
        scene.put([Status.BAD_SENSOR_FAILURE, *rng.normal(size=19)])
    assert [event.path.split("/")[-1] for event in scene.detection.open_events] == ["f0"]
    assert [(e.detector, e.state.value) for e in scene.events] == [
        ("outage", "open"),
        ("outage", "closed"),
        ("bad", "open"),
    ]
