"""Machines that share compressed air or cooling water and go off together: one event names what they share."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.model import Event, EventClass, EventState, Label, Machine, Severity, Tag, TagTable
from edge_agent.suppression.group_words import SHARED
from tests.unit.suppression.material import QUICK, SECOND, START, Desk, opened, over

SHARES = {
    "a": ("compressed_air", "cooling_water"),
    "b": ("compressed_air", "cooling_water"),
    "c": ("cooling_water",),
    "d": ("compressed_air",),
    "e": (),
}
AIR_AND_WATER = "alarm/shared/compressed_air+cooling_water"
TAGS = TagTable([
    Tag(tag, Machine("site", "line", name, "press", Label(f"{name} 설비", f"machine {name}"), shares=shares), "plc")
    for name, shares in SHARES.items() for tag in ("one", "two")
])  # fmt: skip  # two tags a machine


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, TAGS)


def alarm(machine: str, at: float = 0, tag: str = "one", **more: object) -> Event:
    path = f"site/line/{machine}/{tag}"
    facts = {"text": Label(f"{machine} 이상", f"{machine} is off"), "event_class": EventClass.PROCESS} | more
    return opened(f"{machine}{tag}{round(at * 1000)}".rjust(20, "0"), path, start=START + int(at * SECOND), **facts)


def groups(told: list[Event]) -> list[Event]:
    return [event for event in told if event.detector.startswith(SHARED)]


def test_one_event_names_what_is_shared_the_machines_and_the_first_out(desk: Desk) -> None:
    assert desk.tell(alarm("a")) == [alarm("a")]
    group, gathered = desk.tell(alarm("b", 40))
    assert (group.path, group.state, group.severity, group.start) == ("site", "open", Severity.WARNING, START)
    assert group.evidence["utilities"] == "compressed_air, cooling_water"
    assert group.evidence["machines"] == "site/line/a, site/line/b"
    assert (group.evidence["first_out"], group.evidence["first_out_id"]) == ("site/line/a/one", alarm("a").id)
    assert group.text.ko.startswith(
        "공용 유틸리티 압축공기(compressed_air), 냉각수(cooling_water): 함께 쓰는 설비 2대("
    )
    assert "(a 설비, b 설비)에서 5분 안에 이상이 생겼습니다. 최초 알람 → a 이상 |" in group.text.ko
    assert group.text.en.startswith("shared utility compressed_air, cooling_water: 2 machines that share it (machine a")
    assert (gathered.state, gathered.text.en) == (EventState.SUPPRESSED, "[shared utility] b is off")
    (shown,) = desk.suppression.snapshot()["shared"]
    assert (shown["utilities"], shown["gathered"]) == (["compressed_air", "cooling_water"], 1)


def test_each_machine_that_joins_narrows_it_down(desk: Desk) -> None:
    for event in (alarm("a"), alarm("b", 10)):
        desk.tell(event)
    (more,) = desk.tell(alarm("b", 20, "two"))
    assert more.state is EventState.SUPPRESSED
    third, gathered = desk.tell(alarm("c", 30))
    assert (third.evidence["utilities"], gathered.state) == ("cooling_water", "suppressed")
    assert third.evidence["gathered"] == 3.0
    assert desk.tell(alarm("d", 40))[-1].state is EventState.SUPPRESSED  # air with a: another cause than the water
    assert {event.id for event in groups(desk.told)} == {third.id, groups(desk.told)[-1].id}
    assert groups(desk.told)[-1].evidence["machines"] == "site/line/a, site/line/d"


@pytest.mark.parametrize(
    "second",
    [
        alarm("b", 301),
        alarm("e", 1),
        alarm("a", 1, "two"),
        alarm("b", 1, event_class=EventClass.COMMUNICATION),
        alarm("b", 1, event_class=EventClass.INSTRUMENT),
        alarm("b", 1, severity=Severity.CRITICAL),
    ],
    ids=["too late", "shares nothing", "the same machine", "communication", "instrument", "critical"],
)
def test_what_has_nothing_in_common_speaks_for_itself(desk: Desk, second: Event) -> None:
    desk.tell(alarm("a"))
    assert desk.tell(second) == [second]


def test_it_is_over_with_the_last_alarm_that_it_speaks_for(desk: Desk) -> None:
    for event in (alarm("a"), alarm("b", 10), alarm("c", 20)):
        desk.tell(event)
    assert desk.tell(over(alarm("a"))) == [over(alarm("a"))]
    (end,) = desk.tell(over(alarm("b", 10)))
    assert end.text.ko == "[알리지 않음: 공용 유틸리티] b 이상"
    end, group = desk.tell(over(alarm("c", 20), START + 600 * SECOND))
    assert (group.detector, group.state, group.end) == (AIR_AND_WATER, EventState.CLOSED, START + 600 * SECOND)
    assert desk.suppression.snapshot()["shared"] == []


def test_two_causes_with_one_first_out_are_two_events(desk: Desk) -> None:
    for event in (alarm("a"), alarm("c", 10), alarm("d", 20)):
        desk.tell(event)
    water, air = groups(desk.told)
    assert (water.evidence["utilities"], air.evidence["utilities"]) == ("cooling_water", "compressed_air")
    assert (water.start, water.detector != air.detector, water.id != air.id) == (air.start, True, True)
    assert [event.id for event in groups(desk.tell(over(alarm("c", 10))))] == [water.id]


def test_one_that_comes_again_when_it_is_over_is_announced(desk: Desk) -> None:
    for event in (alarm("a"), alarm("b", 10), over(alarm("b", 10))):
        desk.tell(event)
    assert desk.tell(alarm("b", 30)) == [alarm("b", 30)]


def test_the_first_out_is_what_began_first_not_what_was_told_first(desk: Desk) -> None:
    desk.tell(alarm("a", 60))
    group = desk.tell(alarm("b", 5))[0]
    assert (group.evidence["first_out"], group.start) == ("site/line/b/one", START + 5 * SECOND)


def test_one_that_gets_critical_is_announced_and_one_that_a_person_shelves_is_not_its_any_more(desk: Desk) -> None:
    for event in (alarm("a"), alarm("b", 10)):
        desk.tell(event)
    critical = alarm("b", 10, severity=Severity.CRITICAL)
    group, told = desk.tell(critical)
    assert (group.state, told) == (EventState.CLOSED, critical)
    desk.tell(alarm("a", 15, "two"), alarm("c", 20), alarm("d", 20))
    desk.suppression.shelve("site/line/c", 3600, "a", "b")
    assert EventState.SHELVED in {event.state for event in desk.tell()}
    assert [one["machines"][-1] for one in desk.suppression.snapshot()["shared"]] == ["site/line/d"]


STEPS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["one", "two"]), st.sampled_from([0, 1, 100, 400])),
    max_size=30,
)


def play(desk: Desk, steps: list[tuple[str, str, int]], restarts: set[int]) -> dict[str, Event]:
    standing: dict[str, Event] = {}
    for number, (machine, tag, seconds) in enumerate(steps):
        if number in restarts:
            desk.suppression.save()
            desk.start()
        desk.clock.go(seconds + 0.25)
        path = f"site/line/{machine}/{tag}"
        if (known := standing.pop(path, None)) is not None:
            desk.tell(over(known, desk.clock.wall()))
        else:
            standing[path] = alarm(machine, (desk.clock.wall() - START) / SECOND, tag)
            desk.tell(standing[path])
    return standing


@settings(max_examples=80)
@given(STEPS, st.sets(st.integers(0, 30), min_size=1, max_size=3))
def test_a_restart_changes_nothing_and_whoever_is_not_announced_is_spoken_for(
    steps: list[tuple[str, str, int]], restarts: set[int]
) -> None:
    told = []
    for places in (set(), restarts):
        with TemporaryDirectory(dir=QUICK) as folder:
            desk = Desk(Path(folder), TAGS)
            standing = play(desk, steps, places)
            told.append(desk.told)
    assert told[0] == told[1]
    last = {event.id: event for event in told[0]}
    silent = {event.id for event in last.values() if event.state is EventState.SUPPRESSED}
    assert silent <= {event.id for event in standing.values()}
    speaking = [event for event in groups(list(last.values())) if event.state is EventState.OPEN]
    shown = desk.suppression.snapshot()["shared"]
    assert [event.evidence["machines"] for event in speaking] == [", ".join(one["machines"]) for one in shown]
    assert sum(one["standing"] for one in shown) == len(silent)
    begun = [event.id for event in groups(told[0]) if event.evidence["gathered"] == 1.0 and not event.end]
    assert len(begun) == len(set(begun))
