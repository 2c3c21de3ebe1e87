"""What opens an event, what closes it, and what it says."""

import numpy as np
import pytest

from edge_agent.model import EventClass, EventState, Flag, Frame, Kind, Label, Role, Severity, Status
from tests.unit.detect.scene import PRESS, SECOND, START, Scene, noise, pv


def test_a_failed_sensor_is_the_instruments_fault_and_one_event():
    scene = Scene(pv())
    scene.run(noise(30))
    for _ in range(5):
        scene.put([Status.BAD_SENSOR_FAILURE])
    (event,) = scene.events
    assert (event.event_class, event.detector, event.state) == (EventClass.INSTRUMENT, "bad", EventState.OPEN)
    assert (event.path, event.severity) == ("site/line1/ht1/temperature", Severity.WARNING)
    assert event.start == START + 31 * SECOND
    assert "침탄로 1호 온도" in event.text.ko
    assert "BadSensorFailure" in event.text.ko
    assert "furnace 1 temperature" in event.text.en
    assert scene.detection.open_events == [event]


def test_it_closes_when_good_values_have_come_for_the_off_delay():
    scene = Scene(pv(), off_delay="10s")
    scene.run(noise(30))
    scene.run([np.nan] * 3)
    opened = scene.events[-1]
    bad_from, good_from = START + 31 * SECOND, START + 34 * SECOND
    assert scene.run(noise(10)) == []
    (closed,) = scene.run(noise(1))
    assert (closed.id, closed.state, closed.start, closed.end) == (opened.id, EventState.CLOSED, bad_from, good_from)
    assert opened.event_class is EventClass.INSTRUMENT
    assert scene.detection.open_events == []


def test_shorter_than_the_on_delay_is_nothing():
    scene = Scene(pv(), on_delay="3s")
    scene.run(noise(30))
    scene.put([Status.BAD])
    scene.put([Status.BAD])
    scene.run(noise(40))
    assert scene.events == []


def test_a_return_within_the_off_delay_is_the_same_event():
    scene = Scene(pv(), off_delay="10s")
    scene.run(noise(20))
    scene.run([np.nan] * 4)
    scene.run(noise(5))
    scene.run([np.nan] * 4)
    scene.run(noise(30))
    assert [event.state for event in scene.events] == [EventState.OPEN, EventState.CLOSED]
    assert scene.events[1].end == START + (20 + 4 + 5 + 4 + 1) * SECOND


def test_one_bad_row_of_a_source_that_reports_changes_opens_by_the_clock():
    scene = Scene(pv(interval_ns=0))
    scene.put([850.0])
    scene.put([Status.BAD_SENSOR_FAILURE])
    assert scene.wait(1) == []
    (opened,) = scene.wait(2)
    assert opened.state is EventState.OPEN
    scene.put([850.0])
    (closed,) = scene.wait(15)
    assert (closed.id, closed.end) == (opened.id, START + 6 * SECOND)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.BAD_NO_COMMUNICATION, EventClass.COMMUNICATION),
        (Status.BAD_TIMEOUT, EventClass.COMMUNICATION),
        (Status.BAD_NODE_ID_UNKNOWN, EventClass.COMMUNICATION),
        (Status.BAD_SENSOR_FAILURE, EventClass.INSTRUMENT),
        (Status.BAD_OUT_OF_RANGE, EventClass.INSTRUMENT),
        (Status.BAD, EventClass.INSTRUMENT),
    ],
)
def test_the_status_says_whose_fault_it_is(status, expected):
    scene = Scene(pv())
    for _ in range(4):
        scene.put([status])
    assert [event.event_class for event in scene.events] == [expected]


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_step_of_twelve_sigma_is_found_in_a_few_rows_as_one_event(engine):
    scene = Scene(pv(), engine=engine)
    assert scene.run(noise(400)) == []
    rows = noise(60, seed=2, level=856.0)
    found = [scene.run([value]) for value in rows]
    (event,) = scene.events
    first = next(n for n, events in enumerate(found) if events)
    assert first <= 6
    assert event.event_class is EventClass.PROCESS
    assert event.detector == "learned_range"
    assert abs(event.evidence["value"] - 856.0) < 3
    assert event.evidence["high"] < 856.0
    assert event.evidence["score"] > 1.0
    assert "학습된 범위" in event.text.ko
    assert "°C" in event.text.ko
    scene.run(noise(60, seed=3))
    assert [e.state for e in scene.events] == [EventState.OPEN, EventState.CLOSED]
    assert scene.events[1].evidence["peak_score"] >= event.evidence["score"]


def test_a_smaller_lasting_shift_is_found_by_the_means():
    scene = Scene(pv())
    scene.run(noise(2000))
    scene.run(noise(300, seed=2, level=853.0))
    assert [event.detector in ("ewma", "cusum", "learned_range") for event in scene.events[:1]] == [True]
    assert len([event for event in scene.events if event.state is EventState.OPEN]) == 1


def test_a_frozen_value_is_a_flat_line_of_the_instrument():
    scene = Scene(pv())
    scene.run(noise(400))
    (event,) = scene.run([850.1234] * 60)
    assert (event.detector, event.event_class) == ("flatline", EventClass.INSTRUMENT)
    assert event.start == START + 401 * SECOND
    assert "고정값" in event.text.ko
    assert "850.123 °C" in event.text.en
    closed = scene.run(noise(15))
    assert [e.id for e in closed] == [event.id]


def test_tags_that_rest_often_or_report_changes_have_no_flat_line():
    slow = Scene(pv(), pv("by_change", interval_ns=0))
    steps = np.repeat(noise(60), 20)
    slow.run(np.stack([np.round(steps), noise(1200)], axis=1))
    slow.run([[850.0, 850.0]] * 150)
    assert slow.events == []


def test_the_instruments_range_needs_no_learning():
    scene = Scene(pv(low=0.0, high=1300.0))
    scene.run([850.0] * 3)
    scene.run([1372.0] * 4)
    (event,) = scene.events
    assert (event.detector, event.event_class) == ("range", EventClass.PROCESS)
    assert event.evidence["high"] == 1300.0
    assert "계기 범위 0 °C … 1300 °C" in event.text.ko


def test_counters_states_and_set_values_have_no_learned_detectors():
    roles = (Role.COUNTER, Role.STATE, Role.SETPOINT, Role.SV, Role.ALARM)
    scene = Scene(*(pv(role.value, role=role) for role in roles))
    rng = np.random.default_rng(5)
    scene.run(rng.normal(size=(500, 5)))
    scene.run(1000 + rng.normal(size=(50, 5)))
    assert scene.events == []
    assert scene.detection.learning() == (0, 0)


def test_a_set_value_out_of_its_range_is_said():
    scene = Scene(pv("sv", role=Role.SV, low=0.0, high=1000.0), pv("count", role=Role.COUNTER, low=0.0, high=10.0))
    scene.run([[1200.0, 50.0]] * 5)
    assert [(event.path.split("/")[-1], event.detector) for event in scene.events] == [("sv", "range")]
    assert scene.events[0].evidence["value"] == 1200.0


def test_a_state_out_of_its_range_is_told_by_what_it_means():
    states = ((1, Label("운전", "running")), (9, Label("고장", "fault")))
    scene = Scene(pv("mode", role=Role.SV, unit="", low=0.0, high=5.0, states=states))
    scene.run([1.0] * 3)
    scene.run([9.0] * 5)
    (event,) = scene.events
    assert "값 고장(9)이(가)" in event.text.ko
    assert "the value fault (9) is" in event.text.en


def test_texts_booleans_and_uncertain_values_are_left_alone():
    scene = Scene(pv("text"), pv("switch"), pv("held"))
    for n in range(500):
        scene.clock.time += SECOND
        scene.frame(
            Frame(
                np.array([0, 1, 2], np.int32),
                np.full(3, scene.clock.time),
                np.full(3, scene.clock.time),
                np.array([n % 2, n % 7 == 0, np.float64(n * (n > 400)).view(np.uint64)], np.uint64),
                np.array([Kind.TEXT, Kind.BOOL, Kind.FLOAT64], np.uint8),
                np.array([0, 0, Status.UNCERTAIN_SENSOR_NOT_ACCURATE], np.uint32),
                np.zeros(3, np.uint16),
                ("on", "off"),
            ),
            tick=True,
        )
    assert scene.events == []


def test_a_good_row_without_a_value_is_invalid():
    scene = Scene(pv())
    for _ in range(4):
        scene.clock.time += SECOND
        scene.frame(Frame.of_status([0], scene.clock.time, Status.GOOD))
    assert [event.detector for event in scene.events] == ["invalid"]


def test_history_and_late_rows_are_not_scored():
    scene = Scene(pv())
    scene.run(noise(400))
    now = scene.clock.time
    old = Frame.of_floats(np.zeros(50), now - np.arange(50, 0, -1) * 60 * SECOND, np.full(50, 2000.0))
    scene.frame(old.rows(slice(0, 10)))
    history = Frame.of_floats(np.zeros(50), now + np.arange(50) * SECOND, np.full(50, 2000.0), flags=Flag.BACKFILL)
    scene.frame(history, tick=True)
    scene.run(noise(60, seed=2))
    assert scene.events == []


def test_a_clock_set_back_is_followed():
    scene = Scene(pv())
    scene.run(noise(400))
    scene.clock.time -= 3600 * SECOND
    scene.run(noise(600, seed=2))
    assert scene.events == []
    scene.run(noise(20, seed=3, level=900.0))
    assert [event.state for event in scene.events] == [EventState.OPEN]


def test_rows_of_unknown_tags_and_empty_frames_are_ignored():
    scene = Scene(pv())
    assert scene.frame(Frame.empty()) == []
    assert scene.frame(Frame.of_floats([-1, 7], START, [1.0, 2.0])) == []
    assert scene.detection.learning() == (0, 0)


def test_silence_is_stale_and_a_held_value_is_silence():
    scene = Scene(pv(), stale_after=10)
    scene.run(noise(30), tick=True)
    assert scene.wait(10) == []
    (event,) = scene.wait(2)
    assert (event.detector, event.event_class) == ("stale", EventClass.COMMUNICATION)
    assert "no update for 11 s" in event.text.en
    assert event.evidence["seconds"] == 11
    assert event.start == START + 30 * SECOND
    assert "갱신되지" in event.text.ko
    held = Frame.of_floats([0], scene.clock.time, [850.0], status=Status.UNCERTAIN_LAST_USABLE_VALUE)
    scene.frame(held)
    assert scene.wait(30) == []
    assert [e.state for e in scene.run(noise(15), tick=True)] == [EventState.CLOSED]


def test_what_becomes_worse_is_told_again_once_as_the_same_event():
    scene = Scene(pv(low=0.0, high=1300.0))
    scene.run(noise(400))
    scene.run(noise(15, seed=3, level=855.0), tick=True)
    (first,) = scene.events
    assert first.severity is Severity.NOTICE
    scene.run(noise(30, seed=4, level=870.0), tick=True)
    scene.run(noise(30, seed=5, level=890.0), tick=True)
    _, worse = scene.events
    assert (worse.id, worse.start, worse.state) == (first.id, first.start, EventState.OPEN)
    assert worse.severity is Severity.WARNING
    assert worse.evidence["score"] > 2.0
    assert worse.text != first.text
    assert scene.detection.open_events == [worse]


def test_a_value_that_leaves_the_instruments_range_too_is_worse():
    scene = Scene(pv(low=800.0, high=870.0))
    scene.run(noise(400, sigma=2.0))
    scene.run(noise(15, seed=3, level=868.0, sigma=0.1), tick=True)
    scene.run(noise(15, seed=4, level=872.0, sigma=0.1), tick=True)
    assert [event.severity for event in scene.events] == [Severity.NOTICE, Severity.WARNING]
    assert "계기 범위" in scene.events[1].text.ko


def test_a_tag_that_falls_silent_alone_is_the_instruments():
    """Others of its machine keep coming over the same link: then it is not the communication."""
    scene = Scene(pv(), pv("pressure"), pv("load", PRESS), stale_after=10)
    scene.run(np.random.default_rng(1).normal(size=(30, 3)), tick=True)
    for n in range(20):
        scene.put([None, 5.0 + n % 3, 7.0 + n % 5])
    (event,) = scene.events
    assert (event.path, event.detector, event.event_class) == (pv().path, "stale", EventClass.INSTRUMENT)
    assert "다른 값은 계속" in event.text.ko
    assert "other values of the machine keep coming" in event.text.en
    scene = Scene(pv(), pv("load", PRESS), stale_after=10)
    scene.run(np.random.default_rng(1).normal(size=(30, 2)), tick=True)
    for n in range(20):
        scene.put([None, 7.0 + n % 5])
    assert [event.event_class for event in scene.events] == [EventClass.COMMUNICATION], "the only one of its machine"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, EventClass.PROCESS),
        ({"role": Role.MV}, EventClass.MACHINE),
        ({"event_class": EventClass.INSTRUMENT}, EventClass.INSTRUMENT),
        ({"role": Role.MV, "event_class": EventClass.OPERATOR}, EventClass.OPERATOR),
    ],
)
def test_a_value_that_is_not_as_usual_has_the_class_that_its_tag_tells(more, told):
    scene = Scene(pv(low=0.0, high=1300.0, **more))
    scene.run(noise(400))
    scene.run(noise(15, level=900.0))
    assert [event.event_class for event in scene.events] == [told]
    scene.put([Status.BAD_SENSOR_FAILURE])
    scene.wait(10)
    assert [e.event_class for e in scene.events if e.detector == "bad"] == [EventClass.INSTRUMENT], "whatever it shows"


def test_reporting_by_exception_and_resting_outputs_are_never_stale():
    mv = pv("mv", role=Role.MV, unit="%", low=0.0, high=100.0)
    scene = Scene(pv(interval_ns=0), mv, pv("few"))
    for n in range(30):
        scene.put({"temperature": 850.0 + n, "mv": 40.0 + n, "few": 1.0 if n == 0 else None})
    scene.put({"temperature": None, "mv": 100.0, "few": None})
    assert scene.wait(3600) == []


def test_the_same_again_and_again_is_said_three_times_a_day_and_then_only_when_worse():
    scene = Scene(pv())
    scene.run(noise(400))
    for n in range(6):
        scene.run(noise(15, seed=n, level=860.0))
        scene.run(noise(100, seed=n))
    opened = [event for event in scene.events if event.state is EventState.OPEN]
    assert len(opened) == 3
    scene.run(noise(15, seed=9, level=900.0))
    assert len(scene.detection.open_events) == 1


def test_a_new_level_that_stays_is_accepted_in_the_end():
    scene = Scene(pv(), learn_rows=30)
    scene.run(noise(100))
    scene.run(noise(900, seed=2, level=870.0))
    assert [event.state for event in scene.events] == [EventState.OPEN, EventState.CLOSED]
    scene.run(noise(15, seed=3, level=910.0))
    assert len(scene.detection.open_events) == 1


def test_learning_is_told():
    scene = Scene(pv(), pv("other"), pv("state", role=Role.STATE))
    assert scene.detection.learning() == (0, 0)
    scene.run(np.stack([noise(100), noise(100), np.zeros(100)], axis=1))
    assert scene.detection.learning() == (2, 0)
    scene.run(np.stack([noise(300), np.full(300, 5.0), np.zeros(300)], axis=1))
    assert scene.detection.learning() == (0, 2)


def test_ids_are_stable_and_different():
    def life() -> list[str]:
        scene = Scene(pv(), pv("other"))
        scene.run([[np.nan, np.nan]] * 3)
        return [event.id for event in scene.events]

    assert life() == life()
    assert len(set(life())) == len(life()) > 0
