"""Alarm floods: a bounded number is announced, one event speaks for the rest, and nothing is lost."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.model import Event, EventClass, EventState, Label, Severity
from edge_agent.suppression.flood import WINDOW_NS
from edge_agent.suppression.group_words import FLOOD as DETECTOR
from edge_agent.suppression.group_words import is_spoken_for
from tests.unit.suppression.material import QUICK, SECOND, START, Desk, opened, over

MACHINE, SITE = "site/heat/ht1", "site"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, alarms_per_machine=4, alarms_per_site=6)


def alarm(number: int, machine: str = MACHINE, **more: object) -> Event:
    text = Label(f"알람 {number}", f"alarm {number}")
    return opened(f"{number:020d}", f"{machine}/t{number}", text=text, start=START + number, **more)


def floods(told: list[Event]) -> list[Event]:
    return [event for event in told if event.detector == DETECTOR]


def test_up_to_the_limit_nothing_is_changed(desk: Desk) -> None:
    assert [desk.tell(alarm(k)) for k in range(4)] == [[alarm(k)] for k in range(4)]
    desk.clock.go(600)
    assert [desk.tell(alarm(k)) for k in range(4, 8)] == [[alarm(k)] for k in range(4, 8)]


def test_beyond_it_one_event_names_the_machine_the_first_out_and_how_many(desk: Desk) -> None:
    for k in range(4):
        desk.tell(alarm(k))
    desk.clock.go(5)
    (flood, gathered), second, third, fourth = (desk.tell(alarm(k)) for k in range(4, 8))
    assert (flood.path, flood.state, flood.severity, flood.event_class) == (
        MACHINE,
        "open",
        Severity.WARNING,
        "process",
    )
    assert flood.start == START + 5 * SECOND
    assert flood.evidence["first_out"] == f"{MACHINE}/t0"
    assert flood.text.ko.startswith("침탄로 1호: 알람 홍수. 10분에 4건을 넘어 1건을")
    assert "최초 알람 → 알람 0 | 관련: site/heat/ht1/t4" in flood.text.ko
    assert flood.text.en.startswith("furnace 1: alarm flood. More than 4 in 10 min, so 1 are")
    assert (gathered.id, gathered.state, gathered.text.ko) == (alarm(4).id, "suppressed", "[알람 홍수] 알람 4")
    assert [len(floods(told)) for told in (second, third, fourth)] == [1, 0, 1]
    assert {each.id for each in floods(second + fourth)} == {flood.id}
    assert floods(fourth)[0].evidence["gathered"] == 4.0
    shown = desk.suppression.snapshot()
    assert (shown["standing"]["open"], shown["standing"]["suppressed"]) == (4, 4)
    assert [(one["path"], one["gathered"], one["standing"]) for one in shown["floods"]] == [(MACHINE, 4, 4)]


def test_many_machines_make_one_event_of_the_site(desk: Desk) -> None:
    told = [event for k in range(12) for event in desk.tell(alarm(k, f"site/heat/ht{k}"))]
    assert [event.path for event in floods(told)] == [SITE] * 3
    assert sum(event.state is EventState.OPEN and event.detector != DETECTOR for event in told) == 6


def test_a_machine_that_chatters_does_not_silence_the_others(desk: Desk) -> None:
    for k in range(30):
        desk.tell(alarm(k))
    assert desk.tell(alarm(40, "site/forming/pr1")) == [alarm(40, "site/forming/pr1")]


def test_the_end_is_told_of_what_was_never_announced(desk: Desk) -> None:
    for k in range(6):
        desk.tell(alarm(k))
    (end,) = desk.tell(over(alarm(5)))
    assert (end.state, end.text.en, is_spoken_for(end)) == (
        EventState.CLOSED,
        "[not announced: alarm flood] alarm 5",
        True,
    )
    assert desk.tell(over(alarm(1))) == [over(alarm(1))]


def test_a_flood_ends_when_few_come_and_few_are_left_which_are_announced_then(desk: Desk) -> None:
    for k in range(10):
        desk.tell(alarm(k))
    desk.clock.go(600)
    assert desk.tell() == []
    told = [event for k in range(4, 8) for event in desk.tell(over(alarm(k)))]
    assert not floods(told)
    end, *left = desk.tell()
    assert (end.detector, end.state, end.end) == (DETECTOR, EventState.CLOSED, START + 600 * SECOND)
    assert end.text.ko.startswith("[해제, 지속 10분] 침탄로 1호: 알람 홍수")
    assert left == [alarm(8), alarm(9)]
    assert desk.suppression.snapshot()["floods"] == []


def test_while_many_of_a_flood_still_stand_new_alarms_are_announced_again(desk: Desk) -> None:
    for k in range(12):
        desk.tell(alarm(k))
    desk.clock.go(86_400)
    assert desk.tell(alarm(20)) == [alarm(20)]


def test_a_critical_alarm_is_announced_in_any_flood(desk: Desk) -> None:
    for k in range(8):
        desk.tell(alarm(k))
    critical = alarm(9, severity=Severity.CRITICAL)
    assert desk.tell(critical) == [critical]
    worse = alarm(6, severity=Severity.CRITICAL)
    assert desk.tell(worse) == [worse]
    assert desk.tell(over(worse)) == [over(worse)]


def test_one_that_gets_worse_within_a_flood_stays_in_it(desk: Desk) -> None:
    for k in range(5):
        desk.tell(alarm(k, severity=Severity.NOTICE))
    (told,) = desk.tell(alarm(4))
    assert (told.state, told.severity) == (EventState.SUPPRESSED, Severity.WARNING)


def test_what_a_person_shelved_counts_for_no_flood(desk: Desk) -> None:
    desk.shelve("ht1")
    for k in range(20):
        desk.tell(alarm(k))
    other = alarm(50, "site/forming/pr1")
    assert desk.tell(other) == [other]
    desk.suppression.unshelve("ht1", "a")
    told = Counter(event.state.value for event in desk.tell() if event.detector == "range")
    assert told == {"open": 4, "suppressed": 16}


def test_what_the_agent_says_of_itself_counts_for_none_and_is_always_told(desk: Desk) -> None:
    losses = [opened(f"loss {k}", "site", detector=f"agent/{k}", event_class=EventClass.AGENT) for k in range(30)]
    assert [event for loss in losses for event in desk.tell(loss)] == losses
    assert desk.tell(alarm(1)) == [alarm(1)]


def test_a_clock_set_back_makes_no_flood_that_never_ends(desk: Desk) -> None:
    for k in range(8):
        desk.tell(alarm(k))
    desk.clock.time -= 86_400 * SECOND
    assert desk.tell(alarm(9))[-1].state is EventState.OPEN


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open or close"), st.integers(0, 20)),
        st.tuples(st.just("many"), st.integers(3, 20)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 300, 601])),
        st.tuples(st.just("shelve"), st.sampled_from(["ht1", "pr1"])),
    ),
    max_size=40,
)


def play(desk: Desk, steps: list[tuple], restarts: set[int]) -> tuple[dict[str, Event], list[tuple[int, Event]]]:
    """What stands at the end, and all that was told with the time of telling."""
    standing: dict[str, Event] = {}
    log: list[tuple[int, Event]] = []
    for number, (what, which) in enumerate(steps):
        if number in restarts:
            desk.suppression.save()
            desk.start()
        some: list[int] = []
        if what == "wait":
            desk.clock.go(which)
        elif what == "shelve":
            desk.clock.go(1)
            desk.suppression.shelve(which, 120, "a", "b")
        else:
            some = [*range(which)] if what == "many" else [which]
        events = [toggled(standing, which) for which in some]
        log += [(desk.clock.wall(), told) for told in desk.tell(*events)]
        log += [(desk.clock.wall(), told) for told in desk.tell()]
    return standing, log


def toggled(standing: dict[str, Event], which: int) -> Event:
    """One of the alarms opens, or ends."""
    event = alarm(which, ("site/heat/ht1", "site/forming/pr1", "site/forming/pr2")[which % 3])
    if standing.pop(event.id, None) is not None:
        return over(event)
    standing[event.id] = event
    return event


@settings(max_examples=60)
@given(STEPS)
def test_never_more_than_the_limits_and_nothing_lost(steps: list[tuple]) -> None:
    with TemporaryDirectory(dir=QUICK) as folder:
        desk = Desk(Path(folder), alarms_per_machine=3, alarms_per_site=5)
        standing, log = play(desk, steps, set())
        shown = desk.suppression.snapshot()["standing"]
        open_floods = {flood["path"] for flood in desk.suppression.snapshot()["floods"]}
    announced: list[tuple[int, str]] = []
    last: dict[str, Event] = {}
    for time, event in log:
        if event.detector == "range" and event.state is EventState.OPEN:
            announced.append((time, event.path.rsplit("/", 1)[0]))
        last[event.id] = event
    for time, _ in announced:
        within = [machine for other, machine in announced if 0 <= other - time < WINDOW_NS]
        assert len(within) <= 5
        assert max(Counter(within).values()) <= 3
    alarms = {name: event.state for name, event in last.items() if event.detector == "range"}
    assert {name for name, state in alarms.items() if state is not EventState.CLOSED} == set(standing)
    assert Counter(state.value for state in alarms.values() if state != "closed") == Counter(shown)
    told_floods = {event.path for event in last.values() if event.detector == DETECTOR and event.state == "open"}
    assert told_floods == open_floods
    assert open_floods or EventState.SUPPRESSED not in alarms.values()


@settings(max_examples=60)
@given(STEPS, st.sets(st.integers(0, 40), min_size=1, max_size=4))
def test_a_restart_changes_nothing(steps: list[tuple], restarts: set[int]) -> None:
    told = []
    for places in (set(), restarts):
        with TemporaryDirectory(dir=QUICK) as folder:
            told.append(play(Desk(Path(folder), alarms_per_machine=3, alarms_per_site=5), steps, places))
    assert told[0] == told[1]
