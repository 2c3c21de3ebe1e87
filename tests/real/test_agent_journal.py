"""`edge-agent journal` beside a running agent, and on what it leaves: nothing is locked, changed or wrongly blamed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.ask import ask
from tests.real.rig import balanced, collected, config, delivered, finish, hub, meters, run_command, start
from tests.servers.agent import AgentProcess
from tests.servers.databases import InfluxDB


def journal(agent: AgentProcess, command: str, *words: str) -> tuple[int, str]:
    done = run_command(agent, "journal", command, agent.command[-1], *words, "--language", "en")
    assert "EA-000" not in done.stderr
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr or done.stdout


def sheet(agent: AgentProcess, *words: str) -> list[list[str]]:
    code, text = journal(agent, "export", *words)
    assert code == 0, text
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))[1:]


@pytest.mark.timeout(120)
def test_it_is_read_while_the_agent_runs_and_after_it_was_killed(tmp_path: Path, mbserver: Any) -> None:
    agent = start(tmp_path, config([meters(mbserver().port)]))
    agent.until("values", collected(100))
    code, text = journal(agent, "verify")
    assert (code, "Sound." in text) == (0, True), text
    code, text = journal(agent, "stat", "--json")
    facts = json.loads(text)
    assert facts["raw"]["rows"] >= 100
    assert list(facts["machines"]) == ["plant/l1/m0"]
    rows, minutes = sheet(agent), sheet(agent, "--minutes")
    assert {row[7] for row in rows} == {"good"}
    assert sum(int(row[5]) for row in minutes) >= len(rows) - 40 > 0
    assert agent.until("more values", collected(150))["ledger"][0]["balanced"], "nobody was in the way"
    agent.kill()
    code, text = journal(agent, "verify")
    assert (code, "Sound." in text) == (0, True), text
    assert sum(int(row[5]) for row in sheet(agent, "--minutes")) == len(sheet(agent)) >= 150
    agent.start()
    finish(agent)
    assert sum(int(row[5]) for row in sheet(agent, "--minutes")) == len(sheet(agent)) >= 150
    facts = json.loads(journal(agent, "stat", "--json")[1])
    assert facts["rollups"]["rows"] > 0
    assert facts["raw"]["rows_in_front"] == 0


@pytest.mark.timeout(120)
def test_a_stretch_is_sent_again(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    """By the running agent, without one, and not by an agent that can't be asked or knows no such sink."""
    agent = start(tmp_path, config([meters(mbserver().port)], [hub(influxdb)]), HUB_TOKEN=influxdb.token)
    agent.until("values", delivered(60))
    code, text = journal(agent, "replay", "--sink", "hub", "--from", "1h")
    assert (code, "by the running agent" in text) == (0, True), text
    agent.until("values sent again", lambda s: s["ledger"][0]["lanes"]["again"].get("delivered", 0) >= 60)
    done = run_command(
        agent, "journal", "replay", agent.command[-1], "--sink", "hub", "--from", "1h", "--language", "ko"
    )
    assert (done.returncode, "실행 중인 에이전트가" in done.stdout) == (0, True), done.stdout
    refused = ask(agent.socket, order="replay", sink="hbu", **{"from": 0, "to": 1})["error"]
    assert ("hub" in refused["ko"], "restart the agent" in refused["en"]) == (True, True), refused
    assert "to: ns" in ask(agent.socket, order="replay", sink="hub", to="noon")["error"]["en"]
    agent.socket.unlink()
    code, text = journal(agent, "replay", "--sink", "hub", "--from", "1h")
    assert (code, "stop it" in text) == (75, True), text
    finish(agent)
    code, text = journal(agent, "replay", "--sink", "hbu", "--from", "1h")
    assert (code, "hub" in text) == (1, True)
    code, text = journal(agent, "replay", "--sink", "hub", "--from", "1h")
    assert (code, "after the next start" in text) == (0, True), text
    agent.start()
    agent.until("deliveries", lambda s: s["ledger"][0]["delivered"] >= 60 and not s["ledger"][0]["waiting"])
    assert balanced(finish(agent))
