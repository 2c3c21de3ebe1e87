"""The agent as a service: what it tells systemd, how it stops, what it says after a start, and its exit codes."""

from __future__ import annotations

import json
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.ask import ask
from edge_agent.errors import NotConnected
from tests.real.rig import (
    all_good,
    balanced,
    collected,
    config,
    delivered,
    finish,
    hub,
    log,
    meters,
    run_command,
    start,
    stored,
)
from tests.servers.agent import AgentProcess
from tests.servers.databases import InfluxDB
from tests.servers.process import free_port, poll


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "n"))
        receiver.settimeout(20)
        yield receiver


def heard(systemd: socket.socket, wanted: str) -> list[str]:
    """Messages up to and with this one."""
    messages: list[str] = []
    while wanted not in messages:
        messages.append(systemd.recv(1000).decode())
    return messages


def test_systemd_hears_of_each_step(tmp_path: Path, mbserver: Any, systemd: socket.socket) -> None:
    env = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "100000"}
    agent = start(tmp_path, config([meters(mbserver().port)]), **env)
    assert heard(systemd, "READY=1")[-1] == "READY=1"
    assert heard(systemd, "WATCHDOG=1")
    agent.until("values", all_good())
    fed = heard(systemd, "WATCHDOG=1")
    finish(agent)
    assert "READY=1" not in fed + heard(systemd, "STOPPING=1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_stops_it_in_order(tmp_path: Path, mbserver: Any, influxdb: InfluxDB, number: int) -> None:
    sections = config([meters(mbserver().port)], [hub(influxdb)])
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
    agent.until("deliveries", delivered(40))
    row = finish(agent, number)
    assert row["waiting"] == 0, "the hub answers, so all is delivered before the end"
    assert row["quarantined"] == 0
    assert sum(len(stored(influxdb, f"meters_{k}")) for k in range(4)) == row["delivered"]
    assert not agent.socket.exists()
    assert not log(agent, "connector_failed")


def test_the_hub_is_told_why_there_is_a_gap(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    agent = start(tmp_path, config([meters(mbserver().port)], [hub(influxdb)]), HUB_TOKEN=influxdb.token)
    agent.until("deliveries", delivered())
    assert not influxdb.query_influxql("SELECT * FROM event"), "the first start leaves no gap"
    finish(agent)
    agent.start()
    agent.until("deliveries", delivered(8))
    agent.kill()
    agent.start()
    after = agent.until("deliveries", delivered(16))
    texts = [event["text"] for event in after["events"]]
    assert any("killed" in text["en"] and "강제 종료" in text["ko"] for text in texts), texts
    finish(agent)
    told = influxdb.query_influxql("SELECT * FROM event")
    assert len(told) == 2, told
    words = [str(sorted(map(str, event.values()))) for event in told]
    assert sum("stopped in order" in one or "정상적으로 멈춘" in one for one in words) == 1
    assert sum("killed" in one or "강제 종료" in one for one in words) == 1


@pytest.mark.parametrize(("lang", "words"), [("ko_KR.UTF-8", "오류 1건"), ("en_US.UTF-8", "1 fault")], ids=["ko", "en"])
def test_a_faulty_configuration_ends_with_78(tmp_path: Path, lang: str, words: str) -> None:
    link = meters(1) | {"conector": "modbus"}
    agent = AgentProcess(tmp_path / "agent", config([link]))
    done = run_command(agent, "run", str(agent.config), LANG=lang)
    assert done.returncode == 78, done
    assert words in done.stderr
    assert "agent.yaml:" in done.stderr
    assert "conector" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "agent" / "state").exists(), "nothing is begun on a faulty configuration"


def test_status_says_it_in_both_languages_and_a_second_agent_ends_with_75(tmp_path: Path, mbserver: Any) -> None:
    agent = start(tmp_path, config([meters(mbserver().port)]))
    done = run_command(agent, "run", str(agent.config))
    assert done.returncode == 75, done
    assert "already_running" in done.stderr
    assert balanced(agent.until("values", all_good())["ledger"][0]), "the first one is not disturbed"
    as_json = run_command(agent, "status", str(agent.config), "--json")
    assert as_json.returncode == 0
    assert as_json.stdout.count("\n") == 1
    snapshot = json.loads(as_json.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert snapshot["pid"] == agent.pid
    by_socket = run_command(agent, "status", str(agent.socket), "--json")
    assert json.loads(by_socket.stdout)["pid"] == agent.pid
    korean = run_command(agent, "status", str(agent.config), LANG="ko_KR.UTF-8", COLUMNS="120")
    english = run_command(agent, "status", str(agent.config), LANG="en_US.UTF-8", COLUMNS="120")
    assert korean.returncode == english.returncode == 0
    for view in (korean.stdout, english.stdout):
        assert "meters_0" in view
        assert "plant" in view
    assert korean.stdout != english.stdout
    assert any("가" <= letter <= "힣" for letter in korean.stdout)
    finish(agent)


def test_status_shows_each_fault_with_its_cure(tmp_path: Path) -> None:
    """On a narrow terminal too: what to do stands at the end of the line."""
    agent = start(tmp_path, config([meters(free_port())]))
    error = agent.until("its word", lambda s: s["links"][0]["error"])["links"][0]["error"]
    for lang, language in (("ko_KR.UTF-8", "ko"), ("C.UTF-8", "en")):
        view = run_command(agent, "status", str(agent.config), LANG=lang, COLUMNS="60").stdout
        assert "".join(error[language].split()) in "".join(view.split())
    finish(agent)


@pytest.mark.parametrize(
    ("lang", "words"), [("ko_KR.UTF-8", "응답하지 않습니다"), ("C", "no agent answers")], ids=["ko", "en"]
)
def test_status_without_an_agent_ends_with_69(tmp_path: Path, lang: str, words: str) -> None:
    agent = AgentProcess(tmp_path / "agent", config([meters(free_port())]))
    done = run_command(agent, "status", str(agent.config), LANG=lang)
    assert done.returncode == 69, done
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_that_nobody_takes_does_not_stop_it(tmp_path: Path, mbserver: Any) -> None:
    server = mbserver()
    agent = AgentProcess(tmp_path / "agent", config([meters(server.port)]))
    agent.command = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", *agent.command]
    agent.start()
    agent.until("values", all_good())
    server.stop()
    agent.until("the link's end", lambda s: s["links"][0]["state"] == "down")
    server.start()
    agent.until("the link's return", lambda s: s["links"][0]["state"] == "up")
    agent.signal(signal.SIGTERM)
    assert agent.wait(20) == 0


def test_odd_numbers_make_no_odd_json(tmp_path: Path, mbserver: Any) -> None:
    """A scale may carry a float to infinity: JSON has no word for it, and `status` must stay readable."""
    server = mbserver()
    link = meters(server.port, 2)
    link["devices"][0]["tags"][1]["scale"] = 1e308
    agent = start(tmp_path, config([link]))
    agent.until("values", lambda s: all(tag["seen"] for tag in s["machines"][0]["tags"]))
    done = run_command(agent, "status", str(agent.config), "--json", "--tags")
    snapshot = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    first, second = snapshot["machines"][0]["tags"]
    assert first["quality"] == "good"
    assert second["quality"] == "bad"
    finish(agent)


def test_a_terminal_that_goes_stops_it_in_order(tmp_path: Path, mbserver: Any) -> None:
    agent = AgentProcess(tmp_path / "agent", config([meters(mbserver().port)]))
    agent.command = ["env", "--default-signal=HUP", *agent.command]  # the tests themselves may run under nohup
    agent.start()
    agent.until("values", all_good())
    finish(agent, signal.SIGHUP)


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path, mbserver: Any) -> None:
    agent = AgentProcess(tmp_path / "agent", config([meters(mbserver().port)]))
    agent.command = ["nohup", *agent.command]
    agent.start()
    before = agent.until("values", all_good())
    agent.signal(signal.SIGHUP)
    agent.until("more values", collected(before["ledger"][0]["collected"] + 20))
    finish(agent)


def test_asking_never_ends_it(tmp_path: Path, mbserver: Any) -> None:
    """No descriptor is free for those who ask, and some hang up before the answer: it collects all the same."""
    agent = start(tmp_path, config([meters(mbserver().port)]))
    agent.until("values", all_good())
    limits = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
    lowest_free = next(n for n in range(1000) if not Path(f"/proc/{agent.pid}/fd/{n}").exists())
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    with pytest.raises(NotConnected):
        ask(agent.socket, 1.0)
    poll("its word", lambda: log(agent, "status_unavailable"))
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, limits)
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.connect(str(agent.socket))
    there = agent.until("an answer", all_good())
    agent.until("more values", collected(there["ledger"][0]["collected"] + 8))
    assert not log(agent, "answer_failed")
    finish(agent)


def test_closed_standard_streams_are_no_files_of_ours(tmp_path: Path, mbserver: Any) -> None:
    """As some old starters leave them. Nothing may take the numbers 0 to 2, least of all the journal."""
    agent = AgentProcess(tmp_path / "agent", config([meters(mbserver().port)]))
    agent.command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *agent.command]
    agent.start()
    agent.until("values", all_good())
    for number in range(3):
        assert str(Path(f"/proc/{agent.pid}/fd/{number}").readlink()) == "/dev/null"
    agent.signal(signal.SIGTERM)
    assert agent.wait(20) == 0


def test_two_agents_do_not_share_a_socket(tmp_path: Path, mbserver: Any) -> None:
    """A configuration copied with its absolute socket: the first keeps it, the second collects and says so."""
    link, shared = meters(mbserver().port), {"socket": str(tmp_path / "s")}
    first = AgentProcess(tmp_path / "first", config([link], runtime=shared))
    first.socket = tmp_path / "s"
    first.start()
    second = AgentProcess(tmp_path / "second", config([link], runtime=shared))
    second.spawn()
    poll("its word", lambda: log(second, "status_unavailable") and log(second, "link_up"))
    assert "another agent answers" in log(second, "status_unavailable")[0]
    assert first.status()["pid"] == first.pid
    assert finish(second)["collected"] > 0
    assert first.status()["pid"] == first.pid, "nor does the second take it away when it goes"
    finish(first)


def test_a_stop_does_not_wait_for_the_compiler(tmp_path: Path, mbserver: Any) -> None:
    """On a small machine the kernels of a first start take a minute, and systemd waits half of that."""
    sections = config([meters(mbserver().port)], detection={"engine": "numba"})
    agent = start(tmp_path, sections, NUMBA_CACHE_DIR=str(tmp_path / "cold"))
    there = agent.until("values", all_good())
    assert there["detection"]["engine"] == "starting"
    finish(agent)
    assert not log(agent, "detection_ready")


@pytest.mark.long
def test_status_of_an_agent_that_hangs_ends_with_69(tmp_path: Path, mbserver: Any) -> None:
    agent = start(tmp_path, config([meters(mbserver().port)]))
    agent.signal(signal.SIGSTOP)
    done = run_command(agent, "status", str(agent.socket), LANG="C")
    agent.signal(signal.SIGCONT)
    assert done.returncode == 69
    assert "no agent answers (timed out)" in done.stdout
    finish(agent)


@pytest.mark.parametrize("what", ["missing", "a folder", "not a text"])
def test_no_configuration_ends_with_78(tmp_path: Path, what: str) -> None:
    agent = AgentProcess(tmp_path / "agent", config([meters(1)]))
    agent.config.unlink()
    if what == "a folder":
        agent.config.mkdir()
    elif what == "not a text":
        agent.config.write_bytes(bytes(range(256)))
    done = run_command(agent, "run", str(agent.config), LANG="ko_KR.UTF-8")
    assert done.returncode == 78, done
    assert "agent.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    assert any("가" <= letter <= "힣" for letter in done.stderr)
