"""Cycles of machines: figures that are right however the rows come, and one event for what is not as usual."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.kernels.block import Block
from edge_agent.detect.cycle import Cycles, Finding
from edge_agent.detect.rows import block
from edge_agent.model import EventClass, EventState, Flag, Frame, Label, Machine, Role, Severity, Status, Tag, TagTable
from tests.unit.detect.scene import SECOND, START, Scene

MOULDER = Machine("site", "line1", "im1", "moulder", Label("사출기 1호", "moulder 1"), cycle="shots")
OVEN = Machine("site", "line1", "ht1", "furnace", Label("침탄로 1호", "furnace 1"), cycle="phase")
COUNT = Tag("shots", MOULDER, "plc", Role.COUNTER, interval_ns=0)
CUSHION = Tag("cushion", MOULDER, "plc", unit="mm", interval_ns=0, low=0, high=50, label=Label("쿠션량", "cushion"))
HEATER = Tag("heater", MOULDER, "plc", Role.MV, "%", low=0, high=100, label=Label("히터출력", "heater output"))
SHOT = 30


class Shots(Scene):
    """A moulding machine: the heater's output each second, the cushion and the shot counter at the end of a shot."""

    def __init__(self, *tags: Tag, **more) -> None:
        super().__init__(*(tags or (COUNT, CUSHION, HEATER)), **({"max_false_alarms": "1/tag/week"} | more))
        self.shots = 0

    def shot(self, cushion: float = 6.0, heater: float = 40.0, seconds: int = SHOT) -> None:
        """One frame of a whole shot."""
        rng = np.random.default_rng(self.shots)
        self.shots += 1
        start = self.clock.time
        time = start + np.arange(1, seconds + 1) * SECOND
        tag = [2] * seconds + [0, 1]
        value = [*(heater + 0.5 * rng.normal(size=seconds)), float(self.shots), cushion + 0.05 * rng.normal()]
        self.clock.time = int(time[-1])
        self.frame(Frame.of_floats(tag, [*time.tolist(), int(time[-1]), int(time[-1])], value))

    def well(self, shots: int) -> None:
        for _ in range(shots):
            self.shot()

    @property
    def of_cycles(self) -> list:
        return [event for event in self.events if event.detector == "cycle"]


def figures(cycles: Cycles, found: Finding) -> dict[str, float]:
    named = zip(cycles.names(found.machine), found.figure.tolist(), strict=True)
    return {f"{tag} {shape}": value for (tag, shape), value in named}


def taken(cycles: Cycles, frame: Frame, tags: TagTable) -> list[Finding]:
    return cycles.take(block(frame, len(tags)), frame.kind)


# -- figures -----------------------------------------------------------------------------------------------------------

PHASES = TagTable(
    [
        Tag("phase", OVEN, "plc", Role.STATE, interval_ns=0),
        Tag("output", OVEN, "plc", Role.MV, "%", interval_ns=0, low=0, high=100),
        Tag("energy", OVEN, "meter", Role.COUNTER, "Wh"),
    ]
)


def rows(*told: tuple[float, int, float]) -> Frame:
    """(seconds, tag, value)."""
    time = [START + round(second * SECOND) for second, _, _ in told]
    return Frame.of_floats([tag for _, tag, _ in told], time, [value for _, _, value in told])


WHOLE = [
    (0, 0, 1.0), (0, 1, 10.0), (0, 2, 100.0),
    (10, 0, 2.0), (10, 2, 150.0),
    (20, 1, 30.0), (30, 1, 20.0), (40, 1, 40.0), (45, 2, 175.0), (50, 2, 190.0), (50, 0, 3.0),
    (60, 0, 1.0),
]  # fmt: skip  # a line a phase
IN_PHASE_2 = {"1 mean": (10 * 10 + 30 * 10 + 20 * 10 + 40 * 10) / 40, "1 low": 20.0, "1 high": 40.0, "2 count": 40.0}


def test_the_figures_of_a_phase() -> None:
    cycles = Cycles(PHASES, 1.0)
    found = taken(cycles, rows(*WHOLE), PHASES)
    assert [(each.key[0], each.end - each.begin) for each in found] == [(2.0, 40 * SECOND), (3.0, 10 * SECOND)]
    assert {name: figures(cycles, found[0])[name] for name in IN_PHASE_2} == pytest.approx(IN_PHASE_2)
    assert figures(cycles, found[0])["-1 time"] == pytest.approx(40.0)


BETWEEN = [at for at in range(1, len(WHOLE)) if WHOLE[at - 1][0] < WHOLE[at][0]]


@given(st.sets(st.sampled_from(BETWEEN)))
def test_the_figures_do_not_depend_on_how_rows_are_cut_into_frames(cuts: set[int]) -> None:
    whole, cut = Cycles(PHASES, 1.0), Cycles(PHASES, 1.0)
    expected = taken(whole, rows(*WHOLE), PHASES)
    ends = [0, *sorted(cuts), len(WHOLE)]
    found = [f for a, b in pairwise(ends) for f in taken(cut, rows(*WHOLE[a:b]), PHASES)]
    assert [(each.key, each.begin, each.end) for each in found] == [
        (each.key, each.begin, each.end) for each in expected
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.figure, other.figure)


def test_a_cycle_whose_own_tag_was_bad_is_not_compared() -> None:
    cycles = Cycles(PHASES, 1.0)
    taken(cycles, rows(*WHOLE[:5]), PHASES)
    gone = Frame.of_status([0, 1, 2], START + 20 * SECOND, Status.BAD_NO_COMMUNICATION, Flag.AGENT)
    assert taken(cycles, gone, PHASES) == []
    assert taken(cycles, rows(*WHOLE[6:]), PHASES) == []
    assert [each.key[0] for each in taken(cycles, rows((70, 0, 2.0)), PHASES)] == [1.0]


def test_a_counter_s_value_that_comes_after_the_count_of_the_same_moment() -> None:
    cycles = Cycles(PHASES, 1.0)
    taken(cycles, rows(*WHOLE[:4]), PHASES)
    (found, _) = taken(cycles, rows(*WHOLE[4:]), PHASES)
    assert figures(cycles, found)["2 count"] == 40.0


def test_history_is_not_taken() -> None:
    cycles = Cycles(PHASES, 1.0)
    taken(cycles, rows(*WHOLE[:5]), PHASES)
    late = rows((15, 1, 99.0))
    late = Frame(*late.columns()[:6], np.full(1, Flag.BACKFILL, np.uint16))
    taken(cycles, late, PHASES)
    (found, _) = taken(cycles, rows(*WHOLE[5:]), PHASES)
    assert figures(cycles, found)["1 high"] == 40.0


def test_machines_without_a_cycle_tag_cost_nothing() -> None:
    tags = TagTable([Tag("pressure", Machine("site", "line1", "pr1", "press"), "plc")])
    cycles = Cycles(tags, 1.0)
    some = Block.of_rows(np.zeros(3, np.int32), np.arange(3), np.zeros(3), np.zeros(3, np.uint8), 1)
    assert cycles.machines == []
    assert cycles.take(some, np.zeros(3, np.uint8)) == []


# -- events ------------------------------------------------------------------------------------------------------------


def test_a_fault_that_a_loop_hides_is_one_event_of_the_machine() -> None:
    scene = Shots()
    scene.well(200)
    assert scene.of_cycles == []
    for _ in range(5):
        scene.shot(cushion=3.0)
    (event,) = scene.of_cycles
    assert (event.path, event.event_class, event.state) == ("site/line1/im1", EventClass.MACHINE, EventState.OPEN)
    assert event.evidence["cushion_mean"] == pytest.approx(3.0, abs=0.3)
    assert event.evidence["cushion_mean_normal"] == pytest.approx(6.0, abs=0.1)
    assert "사출기 1호: 사이클이 평소와 다릅니다. 쿠션량 평균" in event.text.ko
    assert "moulder 1: this cycle is not as usual. cushion mean" in event.text.en
    assert scene.detection.open_events[-1].id == event.id
    scene.well(60)
    assert [each.state for each in scene.of_cycles] == [EventState.OPEN, EventState.CLOSED]
    assert scene.of_cycles[1].id == event.id
    assert scene.of_cycles[1].evidence["peak_score"] > 1.0


def test_the_event_of_a_cycle_has_the_class_of_what_is_farthest_from_usual() -> None:
    scene = Shots(COUNT, replace(CUSHION, event_class=EventClass.PROCESS), HEATER)
    scene.well(200)
    scene.shot(cushion=3.0)
    (event,) = scene.of_cycles
    assert event.event_class is EventClass.PROCESS


def test_a_cycle_that_is_worse_than_what_was_told_is_told_again_once() -> None:
    scene = Shots()
    scene.well(200)
    for cushion in (5.0, 5.0, 4.0, 3.0):
        scene.shot(cushion=cushion)
    first, worse = scene.of_cycles
    assert (first.severity, worse.severity) == (Severity.NOTICE, Severity.WARNING)
    assert (worse.id, worse.start, worse.state) == (first.id, first.start, EventState.OPEN)
    assert worse.evidence["cushion_mean"] == pytest.approx(4.0, abs=0.3)


def test_people_see_what_is_still_learned() -> None:
    scene = Shots()
    scene.well(50)
    learning = {"machine": "site/line1/im1", "cycles": 48, "kinds": 1, "learning": True}
    assert scene.detection.cycles() == [learning]
    scene.well(150)
    assert scene.detection.cycles() == [{**learning, "cycles": 198, "learning": False}]


def test_a_stop_is_no_deviation() -> None:
    scene = Shots()
    scene.well(200)
    scene.shot(seconds=20 * SHOT)
    scene.well(5)
    assert scene.of_cycles == []


def test_other_set_values_are_another_kind_of_cycle() -> None:
    scene = Shots(COUNT, CUSHION, HEATER, Tag("barrel_sv", MOULDER, "plc", Role.SV, "°C", 0))
    scene.frame(Frame.of_floats([3], scene.clock.time, [230.0]))
    scene.well(200)
    scene.frame(Frame.of_floats([3], scene.clock.time, [260.0]))
    for _ in range(50):
        scene.shot(heater=55.0)
    assert scene.of_cycles == []


def test_a_restart_goes_on_and_opens_nothing_twice(tmp_path: Path) -> None:
    scene = Shots(checkpoint=tmp_path / "detection")
    scene.well(200)
    for _ in range(3):
        scene.shot(cushion=3.0)
    scene.detection.save()
    before = scene.detection._cycles.machines[0].courses
    scene.start()
    after = scene.detection._cycles.machines[0].courses
    assert {key: course.state.tobytes() for key, course in after.items()} == {
        key: course.state.tobytes() for key, course in before.items()
    }
    scene.well(60)
    assert [event.state for event in scene.of_cycles] == [EventState.OPEN, EventState.CLOSED]
    assert scene.of_cycles[0].id == scene.of_cycles[1].id


def test_a_damaged_file_is_set_aside_and_learning_starts_anew(tmp_path: Path) -> None:
    scene = Shots(checkpoint=tmp_path / "detection")
    scene.well(20)
    scene.detection.save()
    stored = tmp_path / "detection.cycles.npz"
    stored.write_bytes(stored.read_bytes()[:-40])
    detection = scene.start()
    assert [notice.code for notice in detection.notices] == ["EA-401"]
    assert stored.with_name("detection.cycles.npz.damaged").exists()
    assert detection._cycles.machines[0].courses == {}


def test_another_tag_makes_the_machine_learn_anew_and_says_so(tmp_path: Path) -> None:
    scene = Shots(checkpoint=tmp_path / "detection")
    scene.well(20)
    scene.detection.save()
    more = Shots(COUNT, CUSHION, HEATER, Tag("torque", MOULDER, "plc"), checkpoint=tmp_path / "detection")
    assert [notice.code for notice in more.detection.notices] == ["EA-401"]
    assert "site/line1/im1" in str(more.detection.notices[0])


def test_an_event_of_a_machine_that_is_no_longer_watched_is_closed(tmp_path: Path) -> None:
    scene = Shots(checkpoint=tmp_path / "detection")
    scene.well(200)
    scene.shot(cushion=3.0)
    scene.detection.save()
    plain = [Tag(tag.name, Machine("site", "line1", "im1", "moulder"), "plc", tag.role) for tag in scene.tags]
    other = Scene(*plain, checkpoint=tmp_path / "detection", clock=scene.clock)
    other.put([1.0, 6.0, 40.0])
    assert [event.id for event in other.events if event.state is EventState.CLOSED] == [scene.of_cycles[0].id]
