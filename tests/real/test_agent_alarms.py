"""Alarms of a running agent through its commands: shelved over a kill, told again when that is over."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from edge_agent.cli.app import app
from tests.real.rig import config, meters, start
from tests.real.test_agent_metrics import asked
from tests.servers.agent import AgentProcess, machines
from tests.servers.process import free_port

DETECTION = {"engine": "numpy", "on_delay": "100ms", "off_delay": "1s"}


def command(agent: AgentProcess, *words: str) -> tuple[int, str]:
    """`edge-agent alarms` with these words; its exit code and what it said."""
    done = CliRunner().invoke(app, ["alarms", *words, str(agent.config), "--language", "ko"])
    return done.exit_code, done.output


def alarm(snapshot: dict[str, Any], path: str = "plant/l1/m0", detector: str = "outage") -> str:
    """The state in which an alarm was told last; empty where it was not."""
    found = (event["state"] for event in snapshot["events"] if (event["path"], event["detector"]) == (path, detector))
    return next(found, "")


def recorded(agent: AgentProcess, folder: Path) -> list[str]:
    """The journal's events as CSV, a line each."""
    file = folder / "events.csv"
    words = ["journal", "export", str(agent.config), "--events", "--language", "en", "-o", str(file)]
    subprocess.run([sys.executable, "-m", "edge_agent", *words], capture_output=True, timeout=60, check=True)
    return file.read_text("utf-8-sig").splitlines()


def test_an_alarm_is_shelved_over_a_kill_and_told_when_that_is_over(tmp_path: Path) -> None:
    agent = start(tmp_path, config([meters(free_port())], detection=DETECTION))
    agent.until("the alarm", lambda s: alarm(s) == "open")
    code, said = command(agent, "shelve", "m0", "--for", "8h", "--by", "홍길동", "--reason", "배선 교체")
    assert (code, "plant/l1/m0" in said, "보류했습니다" in said) == (0, True, True)
    told = agent.until("shelved", lambda s: alarm(s) == "shelved")
    assert [(one["path"], one["by"], one["reason"]) for one in told["alarms"]["shelved"]] == [
        ("plant/l1/m0", "홍길동", "배선 교체")
    ]
    assert told["alarms"]["standing"] == {"open": 0, "shelved": 1, "out_of_service": 0, "suppressed": 0}

    agent.signal(signal.SIGKILL)
    agent.wait(20)
    agent.start()
    assert agent.status()["alarms"]["shelved"] == told["alarms"]["shelved"]
    code, said = command(agent, "list")
    assert (code, "보류 1" in said, "홍길동 · 배선 교체" in said) == (0, True, True)
    code, listed = command(agent, "list", "--json")
    (standing,) = json.loads(listed)["alarms"]
    assert (code, standing["state"], standing["detector"]) == (0, "shelved", "outage")

    code, said = command(agent, "out-of-service", standing["id"][:8], "--by", "김철수", "--reason", "기기 수리")
    assert code == 0
    agent.until("out of service", lambda s: alarm(s) == "out_of_service")
    assert command(agent, "return-to-service", standing["id"][:8], "--by", "김철수")[0] == 0
    agent.until("shelved again", lambda s: alarm(s) == "shelved")
    assert command(agent, "unshelve", "m0", "--by", "홍길동")[0] == 0
    told = agent.until("told again", lambda s: alarm(s) == "open")
    assert told["alarms"]["shelved"] == told["alarms"]["out_of_service"] == []

    assert command(agent, "unshelve", "m0", "--by", "홍길동") == (1, unshelved_already())
    code, said = command(agent, "shelve", "m0", "--for", "8d", "--by", "홍길동", "--reason", "x")
    assert (code, "EA-402" in said, "7일" in said) == (1, True, True)
    assert command(agent, "shelve", "m0", "--for", "8", "--by", "홍길동", "--reason", "x")[0] == 2
    for reason in ("가" * 201, "가" * 5000, "", "a\nb"):
        code, said = command(agent, "shelve", "m0", "--for", "8h", "--by", "홍길동", "--reason", reason)
        assert (code, "EA-402" in said, "200자" in said) == (1, True, True)
    agent.signal(signal.SIGTERM)
    assert agent.wait(20) == 0
    assert command(agent, "list")[0] == 69
    records = [line for line in recorded(agent, tmp_path) if ",operator," in line]
    for detector, name in (("alarm/shelved", "홍길동"), ("alarm/out_of_service/outage", "김철수")):
        (record,) = (line for line in records if f",{detector}," in line)
        assert (",over," in record, f"by {name}" in record) == (True, True)


def unshelved_already() -> str:
    """What is said where there is nothing to end."""
    return "[EA-402] unshelve m0: 보류하거나 사용 중지한 것이 아닙니다 → 조치: 지금 해당하는 것: -\n"


def test_a_line_that_loses_all_its_machines_tells_ten_and_one_for_the_rest(tmp_path: Path) -> None:
    link = meters(free_port(), tags=24)
    for number, tag in enumerate(link["devices"][0]["tags"]):
        tag["machine"] = f"m{number // 2}"
    port = free_port()
    sections = config([link], detection=DETECTION, runtime={"metrics_port": port})
    agent = start(tmp_path, sections | {"machines": machines(12)})
    told = agent.until("the flood", lambda s: s["alarms"]["standing"]["suppressed"] == 2)
    assert alarm(told, "plant", "alarm/flood") == "open"
    assert sum(event["detector"] == "outage" for event in told["events"]) == 10
    counted = {labels["state"]: value for labels, value in asked(port)["edge_agent_alarms"]}
    assert counted == {"open": 10, "shelved": 0, "out_of_service": 0, "suppressed": 2}
    code, said = command(agent, "list")
    assert (code, "▌알람 홍수 1" in said, "모은 알람 2건, 남은 것 2건" in said) == (0, True, True)
    agent.signal(signal.SIGTERM)
    assert agent.wait(20) == 0
    assert sum(",outage," in line for line in recorded(agent, tmp_path)) == 12


def test_machines_that_share_a_utility_and_go_off_together_are_one_event(tmp_path: Path, mbserver: Any) -> None:
    link = meters(mbserver(units=[1]).port, tags=2)
    for number, tag in enumerate(link["devices"][0]["tags"]):
        tag |= {"machine": f"m{number}", "range": [-2e30, -1e30]}
    two = [machine | {"shares": ["cooling_water"]} for machine in machines(2)]
    agent = start(tmp_path, config([link], detection=DETECTION) | {"machines": two})
    shared = "alarm/shared/cooling_water"
    told = agent.until("one event of both", lambda s: alarm(s, "plant", shared) == "open")
    (group,) = (event for event in told["events"] if event["detector"] == shared)
    assert (group["evidence"]["utilities"], group["evidence"]["machines"]) == (
        "cooling_water",
        "plant/l1/m0, plant/l1/m1",
    )
    assert "냉각수(cooling_water)" in group["text"]["ko"]
    assert [event["path"] for event in told["events"] if event["detector"] == "range"] == ["plant/l1/m0/meters_0"]
    code, said = command(agent, "list")
    assert (code, "▌공용 유틸리티 1" in said, " 묶음 plant/l1/m1/meters_1: " in said) == (0, True, True)
