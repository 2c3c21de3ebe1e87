"""The live view as text, in both languages, at 80 columns and wide."""

import io
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from edge_agent.cli.alarms.listing import lines as listed
from edge_agent.cli.view import render
from tests.unit.cli.snapshots import NOW, crowded, event, snapshot, tag


def text(shot: dict[str, Any], language: str = "ko", width: int = 80, height: int | None = None) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(render(shot, language, width, height))
    return out.getvalue().splitlines()


def colours(shot: dict[str, Any], language: str = "ko") -> str:
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=True, color_system="standard").print(render(shot, language, 100))
    return out.getvalue()


def line_with(lines: list[str], word: str) -> str:
    return next(line for line in lines if word in line)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ko", "1호 침탄로|1존 현재온도|930.1 °C|양호|184,250,123 Wh|아니오|이상 없음|일치|쓰기 가능"),
        ("en", "furnace 1|zone 1 temperature|930.1 °C|good|119.0 tonf|no|nothing unusual|balanced"),
    ],
)
def test_it_says_everything_in_the_language_asked_for(language: str, words: str) -> None:
    joined = "\n".join(text(snapshot(), language, 100))
    for word in words.split("|"):
        assert word in joined
    assert bool(re.search("[가-힣]", joined)) is (language == "ko")


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (120, 40), (200, 60), (40, 30)])
def test_it_fits_the_terminal(language: str, width: int, height: int) -> None:
    shot = crowded() | {"events": [event(n) for n in range(30)]}
    lines = text(shot, language, width, height)
    assert len(lines) <= height
    assert max(cell_len(line.rstrip()) for line in lines) <= width


def test_hangul_counts_double_so_that_columns_stand_in_line() -> None:
    lines = [line for line in text(crowded(), "ko", 80) if "측정값" in line]
    assert len(lines) == 40
    ends = {cell_len(line[: line.index("°C")]) for line in lines}
    assert len(ends) == 1


def test_a_bad_value_is_never_shown_as_a_number() -> None:
    shot = snapshot()
    bad = tag("zone2_pv", "2존 현재온도", "zone 2", None, quality="bad", status_name="BadSensorFailure", age_s=75.0)
    shot["machines"][0]["tags"].append(bad)
    lines = text(shot, "ko", 100)
    assert re.search(r"2존 현재온도 +BadSensorFailure 불량 +1분", line_with(lines, "2존"))
    assert "불량 1" in line_with(lines, "1호 침탄로")
    assert "uncertain" in "\n".join(text(_uncertain(), "en", 100))


@pytest.mark.parametrize(("language", "shown"), [("ko", "운전 (2)"), ("en", "running (2)")])
@pytest.mark.parametrize("value", [2, 2.0])
def test_a_state_says_what_its_number_means(language: str, shown: str, value: float) -> None:
    shot = snapshot()
    state = tag("mode", "운전 상태", "mode", value, unit="", role="state", state={"ko": "운전", "en": "running"})
    shot["machines"][0]["tags"].append(state)
    line = line_with(text(shot, language, 100), "운전 상태" if language == "ko" else "mode")
    assert shown in line
    state |= {"value": None, "state": None, "quality": "bad", "status_name": "BadTimeout"}
    assert shown not in "\n".join(text(shot, language, 100))


def _uncertain() -> dict[str, Any]:
    shot = snapshot()
    shot["machines"][1]["tags"][0] |= {"quality": "uncertain", "status_name": "UncertainLastUsableValue"}
    return shot


def test_quality_has_a_colour_too() -> None:
    shot = _uncertain()
    shot["machines"][0]["tags"][0] |= {"quality": "bad"}
    painted = colours(shot)
    assert re.search(r"\x1b\[1;31m불량", painted)
    assert re.search(r"\x1b\[33m불확실", painted)
    assert re.search(r"\x1b\[32m양호", painted)


def test_tags_take_turns_where_they_do_not_fit_and_bad_ones_stay() -> None:
    shot = crowded()
    shot["machines"][0]["tags"][39] |= {"quality": "bad", "value": None, "status_name": "BadTimeout"}
    seen: set[str] = set()
    for turn in range(12):
        shot["now_ns"] = NOW + turn * 5_000_000_000
        lines = text(shot, "en", 80, 24)
        assert "BadTimeout" in "\n".join(lines)
        seen |= set(re.findall(r"signal \d+", "\n".join(lines)))
    assert seen == {f"signal {n}" for n in range(40)}


def test_events_are_newest_first_and_the_rest_is_counted() -> None:
    shot = crowded() | {"events": [event(n) for n in range(9)]}
    lines = text(shot, "en", 80, 24)
    shown = [line for line in lines if "anomaly" in line]
    assert [line.split("anomaly ")[1][0] for line in shown] == ["0", "1", "2"]
    assert "(+6)" in line_with(lines, "events")
    assert len([line for line in text(shot, "en", 80) if "anomaly" in line]) == 9


def test_an_event_says_when_how_bad_and_whether_it_is_over() -> None:
    shot = snapshot(events=[event(0, severity="critical", state="closed")])
    assert re.search(r"\d\d:\d\d:\d\d 위험 종료 이상 0", "\n".join(text(shot)))


def test_the_ledger_shows_each_door_and_whether_it_balances() -> None:
    row = line_with(text(snapshot(), "ko", 100), "원장")
    assert "900 = 전송 890 + 대기 4 + 격리 1 + 폐기 5 (superseded 5)" in row
    assert "일치" in row
    shot = snapshot()
    shot["ledger"][0]["balanced"] = False
    assert "불일치" in line_with(text(shot), "원장")
    assert "NOT balanced" in line_with(text(shot, "en"), "ledger")


def test_a_link_that_is_down_says_why() -> None:
    shot = snapshot()
    shot["links"][0] |= {
        "state": "waiting",
        "reconnects": 3,
        "error": {"ko": "[EA-201] 접속할 수 없습니다", "en": "[EA-201] nobody listens", "code": "EA-201"},
    }
    lines = text(shot, "ko")
    assert "재접속 대기" in line_with(lines, "furnace-plc")
    assert "↻3" in line_with(lines, "● furnace-plc")
    assert line_with(lines, "EA-201").startswith("  ! furnace-plc")


def test_a_notice_stands_at_its_link_as_red_as_it_is_bad() -> None:
    shot = snapshot()
    shot["links"][0]["notices"] = [{"severity": "critical", "ko": "2일 남음", "en": "2 days left"}]
    assert line_with(text(shot, "en"), "2 days left").startswith("  ! furnace-plc")
    assert "\x1b[1;31m  ! furnace-plc: 2일 남음" in colours(shot)


@pytest.mark.parametrize(("language", "mark"), [("ko", "보안 없음"), ("en", "INSECURE")])
def test_a_link_without_protection_is_red_with_its_reason_for_as_long_as_it_is(language: str, mark: str) -> None:
    shot = snapshot()
    shot["links"][0]["insecure"] = {"ko": "안전하지 않은 연결 (None): 낡음", "en": "INSECURE (None): old"}
    assert mark in line_with(text(shot, language), "● furnace-plc")
    reason = shot["links"][0]["insecure"][language]
    assert f"\x1b[1;31m  ! furnace-plc: {reason}" in colours(shot, language)
    assert all(cell_len(line) <= 80 for line in text(shot, language, 80, 24))


@pytest.mark.parametrize(
    ("detection", "words"),
    [
        ({"engine": "off", "learning": 0, "ready": 0}, "detection off"),
        ({"engine": "starting", "learning": 0, "ready": 0}, "detection starting"),
        ({"engine": "numpy", "learning": 33, "ready": 13}, "learning 13/46"),
        ({"engine": "numba", "learning": 0, "ready": 46}, "detection 46"),
        (
            {"engine": "numba", "learning": 0, "ready": 46, "cycles": [{"learning": True}, {"learning": False}]},
            "detection 46 · cycles 1/2",
        ),
        ({"engine": "numba", "learning": 0, "ready": 46, "novelty": [{"learning": True}]}, "46 · novelty 0/1"),
    ],
)
def test_detection_says_what_it_does(detection: dict[str, Any], words: str) -> None:
    assert words in text(snapshot(detection=detection), "en", 100)[0]


def test_a_journal_that_cannot_be_written_is_said() -> None:
    shot = snapshot()
    shot["journal"]["writable"] = False
    assert "쓰기 불가" in line_with(text(shot), "저널")


@pytest.mark.parametrize(
    ("seconds", "ko"), [(0.2, "0초"), (59.4, "59초"), (75, "1분"), (7300, "2시간"), (400_000, "5일")]
)
def test_ages_are_in_the_unit_that_fits(seconds: float, ko: str) -> None:
    shot = snapshot()
    shot["machines"][1]["tags"][0]["age_s"] = seconds
    assert line_with(text(shot, "ko", 100), "최대 하중").rstrip().endswith(ko)


def test_a_tag_without_a_label_goes_by_its_name() -> None:
    shot = snapshot()
    shot["machines"][1]["tags"] = [tag("peak_load", "", "", 1.0, age_s=None)]
    assert "peak_load" in "\n".join(text(shot, "ko", 100))


SHELF = {
    "path": "demo/heat/ht1",
    "detector": "",
    "label": {"ko": "1호 침탄로", "en": "furnace 1"},
    "by": "홍길동",
    "reason": "열전대 교체",
    "since_ns": NOW,
    "until_ns": NOW + 3_600_000_000_000,
}
ALARMS = {
    "shelved": [SHELF],
    "out_of_service": [SHELF | {"until_ns": 0, "detector": "range"}],
    "floods": [{"path": "demo", "label": {"ko": "demo", "en": "demo"}, "since_ns": NOW, "gathered": 7, "standing": 3}],
    "shared": [{"utilities": ["power"], "machines": ["a", "b"], "since_ns": NOW, "gathered": 2, "standing": 1}],
    "standing": {"open": 1, "shelved": 2, "out_of_service": 0, "suppressed": 4},
    "error": None,
}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "ko",
            "알리지 않는 알람 보류 1 · 사용 중지 1 · 알람 홍수 1 · 공용 유틸|까지 · 홍길동 · 열전대 교체|(range)",
        ),
        ("en", "alarms not announced shelved 1 · out of service 1 · alarm floods 1|7 alarms gathered, 3 still stand"),
    ],
)
def test_what_is_not_announced_is_said_until_it_is(language: str, words: str) -> None:
    joined = "\n".join(text(snapshot() | {"alarms": ALARMS}, language, 120))
    for word in words.split("|"):
        assert word in joined
    assert "not announced" not in "\n".join(text(snapshot(), "en", 120))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_where_there_is_little_room_it_is_one_line(width: int, height: int) -> None:
    lines = text(crowded() | {"alarms": ALARMS, "events": [event(n) for n in range(30)]}, "ko", width, height)
    assert len(lines) <= height
    assert line_with(lines, "보류 1")
    assert not any("홍길동" in line for line in lines)


@pytest.mark.parametrize(("language", "word"), [("ko", "묶음"), ("en", "gathered")])
def test_the_list_of_alarms_names_each_by_number_and_state(language: str, word: str) -> None:
    alarm = {"id": "0123456789abcdef", "severity": "warning", "state": "suppressed", "start_ns": NOW}
    alarm |= {"path": "demo/heat/ht1/zone1_pv", "text": {"ko": "온도가 높습니다", "en": "too hot"}}
    lines = listed(ALARMS | {"alarms": [alarm]}, language)
    (line,) = (line for line in lines if "01234567 " in line)
    assert (word in line, "demo/heat/ht1/zone1_pv: " in line) == (True, True)
    assert [line.split()[-1] for line in lines if line.startswith("▌")] == ["7", "1", "1", "1", "1"]
