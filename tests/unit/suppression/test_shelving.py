"""Shelving and out of service: recorded with a name, not announced, and told when it is over and still stands."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge_agent.errors import AlarmError
from edge_agent.model import EventClass, EventState, Label, Severity
from edge_agent.suppression.shelf import LONGEST_NAME, LONGEST_REASON
from edge_agent.suppression.suppression import MOST_SHELVES
from tests.unit.suppression.material import HOUR, SECOND, START, Desk, opened, over, states

DAY = 24 * HOUR
LONG_NAME, LONG_REASON = "x" * (LONGEST_NAME + 1), "x" * (LONGEST_REASON + 1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_nothing_is_changed_where_nothing_is_shelved(desk: Desk) -> None:
    event = opened()
    assert desk.tell(event) == [event]
    assert desk.tell(over(event)) == [over(event)]
    assert desk.tell() == []


def test_a_shelved_machine_is_recorded_and_not_announced(desk: Desk) -> None:
    desk.shelve("ht1")
    other = opened("b" * 20, "site/forming/pr1/load")
    told, untouched = desk.tell(opened(), other)
    assert untouched == other
    assert told.state is EventState.SHELVED
    assert told.evidence == {"value": 951.5, "suppressed_by": "홍길동", "suppression_reason": "열전대 교체"}
    assert re.fullmatch(r"\[보류: 홍길동, 202.*까지\] 온도가 높습니다", told.text.ko)
    assert re.fullmatch(r"\[shelved by 홍길동 until 202.*\] too hot", told.text.en)
    assert (told.id, told.path, told.detector, told.start) == (opened().id, opened().path, "range", START)
    (end,) = desk.tell(over(opened()))
    assert (end.state, end.text.en) == (EventState.CLOSED, "[not announced: 홍길동] too hot")


def test_shelving_is_a_record_that_says_who_why_and_until_when(desk: Desk) -> None:
    (record,) = desk.shelve("pr1/load")
    assert (record.path, record.detector, record.state) == ("site/forming/pr1/load", "alarm/shelved", "shelved")
    assert (record.event_class, record.severity, record.start) == (EventClass.OPERATOR, Severity.NOTICE, START)
    assert record.evidence == {"by": "홍길동", "reason": "열전대 교체", "until_ms": (START + 8 * HOUR * SECOND) / 1e6}
    assert record.text.ko.startswith("프레스 1호 하중: 알람 보류, 2023-11-1")
    assert record.text.en.startswith("press 1 load: alarms shelved until 2023-11-1")
    desk.clock.go(HOUR)
    desk.suppression.unshelve("site/forming/pr1/load", "김철수")
    (end,) = desk.tell()
    assert (end.id, end.detector, end.start, end.end) == (record.id, "alarm/shelved", START, START + HOUR * SECOND)
    assert (end.state, end.evidence["ended_by"]) == (EventState.CLOSED, "김철수")


def test_what_stands_is_told_as_shelved_and_again_as_it_was_when_it_is_unshelved(desk: Desk) -> None:
    event = opened()
    desk.tell(event)
    assert states(desk.shelve()) == [("range", "shelved"), ("alarm/shelved", "shelved")]
    desk.suppression.unshelve("ht1", "홍길동")
    again, record = desk.tell()
    assert again == event
    assert record.state is EventState.CLOSED
    assert desk.tell() == []


def test_at_its_end_what_still_stands_is_told_and_what_is_over_is_not(desk: Desk) -> None:
    gone, standing = opened("a" * 20), opened("b" * 20, detector="rate")
    desk.shelve(seconds=2 * HOUR)
    desk.tell(gone, standing)
    desk.tell(over(gone))
    desk.clock.go(2 * HOUR - 1)
    assert desk.tell() == []
    desk.clock.go(1)
    record, told = desk.tell()
    assert told == standing
    assert (record.state, record.end) == (EventState.CLOSED, START + 2 * HOUR * SECOND)
    assert "기한 만료" in record.text.ko
    assert desk.suppression.snapshot()["shelved"] == []


def test_what_gets_worse_while_shelved_is_told_worse_when_that_is_over(desk: Desk) -> None:
    desk.shelve()
    desk.tell(opened())
    worse = opened(severity=Severity.CRITICAL)
    assert states(desk.tell(worse)) == [("range", "shelved")]
    desk.clock.go(8 * HOUR)
    assert desk.tell()[-1] == worse


def test_out_of_service_lasts_until_returned(desk: Desk) -> None:
    desk.suppression.take_out_of_service("site/heat/ht1", "홍길동", "내화물 보수")
    (record,) = desk.tell()
    assert (record.detector, record.state) == ("alarm/out_of_service", "out_of_service")
    desk.tell(opened())
    desk.clock.go(400 * DAY)
    assert desk.tell() == []
    (shown,) = desk.suppression.snapshot()["out_of_service"]
    assert (shown["path"], shown["by"], shown["reason"], shown["until_ns"]) == (
        "site/heat/ht1",
        "홍길동",
        "내화물 보수",
        0,
    )
    with pytest.raises(AlarmError):
        desk.suppression.unshelve("ht1", "홍길동")
    desk.suppression.return_to_service("ht1", "홍길동")
    assert states(desk.tell()) == [("range", "open"), ("alarm/out_of_service", "closed")]


def test_out_of_service_goes_before_shelved(desk: Desk) -> None:
    desk.shelve("ht1/temperature", HOUR)
    desk.suppression.take_out_of_service("ht1", "홍길동", "보수")
    assert states(desk.tell(opened()))[-1] == ("range", "out_of_service")
    desk.suppression.return_to_service("ht1", "홍길동")
    assert states(desk.tell()) == [("range", "shelved"), ("alarm/out_of_service", "closed")]


def test_one_alarm_can_be_shelved_by_its_number(desk: Desk) -> None:
    one, two = opened("ab12" * 5), opened("cd34" * 5, detector="stale")
    desk.tell(one, two)
    assert states(desk.shelve("ab12ab12")) == [("range", "shelved"), ("alarm/shelved/range", "shelved")]
    desk.tell(over(one))
    assert states(desk.tell(replace(one, id="ef56" * 5))) == [("range", "shelved")]
    desk.suppression.unshelve("site/heat/ht1/temperature", "홍길동")
    assert ("range", "open") in states(desk.tell())


def test_what_the_agent_says_of_itself_is_never_suppressed(desk: Desk) -> None:
    desk.suppression.take_out_of_service("ht1", "홍길동", "보수")
    loss = opened(path="site/heat/ht1", detector="agent/overflow", event_class=EventClass.AGENT)
    assert desk.tell(loss)[-1] == loss


def test_a_machine_whose_name_begins_alike_is_another_one(desk: Desk) -> None:
    desk.shelve("ht1")
    other = opened(path="site/heat/ht10/temperature")
    assert desk.tell(other) == [other]


@pytest.mark.parametrize(
    "name", ["", "ht", "temperature", "site/heat", "nowhere", "aaa", "b" * 20, "ht1/temperature/range"]
)
def test_a_name_that_is_nothing_or_several_things_is_refused(desk: Desk, name: str) -> None:
    desk.tell(opened())
    with pytest.raises(AlarmError) as refused:
        desk.shelve(name)
    assert refused.value.code == "EA-402"
    assert desk.suppression.snapshot()["shelved"] == []


def test_a_refusal_names_what_was_meant(desk: Desk) -> None:
    with pytest.raises(AlarmError) as refused:
        desk.shelve("temperature")
    for path in ("site/heat/ht1/temperature", "site/forming/pr1/temperature"):
        assert path in refused.value.hint.ko
        assert path in refused.value.hint.en


@pytest.mark.parametrize("seconds", [0, 59.9, 7 * DAY + 1, float("nan"), float("inf"), -HOUR])
def test_shelving_has_an_end_within_bounds(desk: Desk, seconds: float) -> None:
    with pytest.raises(AlarmError):
        desk.shelve(seconds=seconds)


@pytest.mark.parametrize(
    ("by", "reason"),
    [("", "x"), ("  ", "x"), ("x", ""), ("x\ny", "x"), ("x", "a\x1b[31m"), (LONG_NAME, "x"), ("x", LONG_REASON)],
)
def test_who_and_why_are_said_on_a_line_each(desk: Desk, by: str, reason: str) -> None:
    with pytest.raises(AlarmError):
        desk.suppression.shelve("ht1", HOUR, by, reason)
    with pytest.raises(AlarmError):
        desk.suppression.take_out_of_service("ht1", by, reason)


def test_shelving_again_takes_the_place_of_the_first(desk: Desk) -> None:
    desk.shelve(seconds=HOUR)
    desk.clock.go(60)
    assert states(desk.shelve(seconds=3 * HOUR)) == [("alarm/shelved", "closed"), ("alarm/shelved", "shelved")]
    desk.clock.go(2 * HOUR)
    assert states(desk.tell(opened())) == [("range", "shelved")]


def test_there_is_a_bound(desk: Desk) -> None:
    desk.tell(*(opened(f"{k:020d}", detector=f"link/plc/{k}") for k in range(MOST_SHELVES + 1)))
    shelf = desk.suppression.shelve("ht1", HOUR, "a", "b")
    crowd = {(shelf.path, str(k), False): replace(shelf, detector=str(k)) for k in range(MOST_SHELVES)}
    desk.suppression._shelves = crowd
    with pytest.raises(AlarmError, match=str(MOST_SHELVES)):
        desk.suppression.shelve("pr1", HOUR, "a", "b")


# -- after a restart ---------------------------------------------------------------------------------------------------


def test_it_outlives_a_restart_and_ends_while_the_agent_is_down(desk: Desk) -> None:
    desk.shelve(seconds=HOUR)
    desk.tell(opened())
    desk.suppression.save()
    desk.start()
    assert desk.tell() == []
    assert len(desk.suppression.snapshot()["shelved"]) == 1
    desk.clock.go(2 * HOUR)
    desk.start()
    record, event = desk.tell()
    assert (record.state, record.end, event) == (EventState.CLOSED, START + HOUR * SECOND, opened())


def test_an_order_is_durable_before_it_is_answered(desk: Desk) -> None:
    desk.suppression.take_out_of_service("ht1", "홍길동", "보수")
    desk.start()
    assert states(desk.tell(opened())) == [("alarm/out_of_service", "out_of_service"), ("range", "out_of_service")]


@pytest.mark.parametrize("back", [400 * DAY, 3 * HOUR])
def test_a_clock_set_back_does_not_lengthen_it(desk: Desk, back: int) -> None:
    desk.shelve(seconds=HOUR)
    desk.tell(opened())
    desk.suppression.save()
    desk.clock.time -= back * SECOND
    desk.start()
    assert desk.tell() == []
    desk.clock.go(HOUR)
    assert states(desk.tell()) == [("alarm/shelved", "closed"), ("range", "open")]


def test_whatever_an_event_says_is_kept(desk: Desk) -> None:
    odd = opened(text=Label("온도 \ud800", "\x00 \U0001f525"), evidence={"value": float("nan"), "limit": 1e308})
    desk.shelve()
    desk.tell(odd)
    desk.suppression.save()
    desk.start()
    desk.suppression.unshelve("ht1", "a")
    again = desk.tell()[0]
    assert (again.text, str(again.evidence)) == (odd.text, str(odd.evidence))


NO_FILES = [b"", b"{", b"\xff\xfe", b"[]", b"null", b"3", b"[" * 100_000, b'{"schema": 2, "crc": 0}']


@pytest.mark.parametrize("content", [*NO_FILES, "cut", "turned", "later"])
def test_a_damaged_file_is_set_aside_and_said_and_nothing_is_suppressed(desk: Desk, content: bytes | str) -> None:
    desk.shelve()
    whole = desk.path.read_bytes()
    turns = {"cut": whole[:-9], "turned": whole.replace(b"ht1", b"ht2"), "later": whole.replace(b"1,", b"2,", 1)}
    content = turns[content] if isinstance(content, str) else content
    assert content != whole
    desk.path.write_bytes(content)
    with capture_logs() as logs:
        desk.start()
    assert [log["event"] for log in logs] == ["alarms_file_damaged"]
    assert desk.path.with_name("alarms.json.damaged").read_bytes() == content
    said, event = desk.tell(opened())
    assert (said.path, said.event_class, said.detector) == ("site", EventClass.AGENT, "alarm/file")
    assert "alarms.json.damaged" in said.text.ko
    assert event == opened()
    assert desk.suppression.snapshot()["shelved"] == []


def test_where_the_disk_refuses_an_order_changes_nothing(desk: Desk) -> None:
    desk.path.mkdir()
    with pytest.raises(AlarmError) as refused:
        desk.shelve()
    assert "alarms.json" in str(refused.value)
    assert desk.tell(opened()) == [opened()]
    with capture_logs() as logs:
        desk.suppression.save()
        desk.suppression.save()
    assert [log["event"] for log in logs] == ["alarms_not_written"]
    assert desk.suppression.snapshot()["error"]["code"] == "EA-402"
    desk.path.rmdir()
    desk.suppression.save()
    assert desk.suppression.snapshot()["error"] is None
    assert json.loads(desk.path.read_bytes())["standing"]
