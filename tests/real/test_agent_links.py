"""Links that fail beside links that work; and what an agent costs while nothing happens."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.real.relay import Relay
from tests.real.rig import (
    Snapshot,
    all_good,
    balanced,
    collected,
    config,
    delivered,
    descriptors,
    finish,
    hub,
    link,
    log,
    meters,
    more_delivered,
    plc,
    start,
    tags,
    threads,
)
from tests.servers.agent import AgentProcess
from tests.servers.databases import InfluxDB
from tests.servers.sources import PASSWORD, USER


def two_units(port: int) -> dict[str, Any]:
    """One link with unit 1 (tags `one_…`) and unit 9 (`nine_…`), as behind a gateway."""
    both = meters(port, name="one")
    both["devices"] += meters(port, name="nine", unit=9)["devices"]
    return both


def gone(prefix: str) -> Any:
    """A condition: every such tag says that its device does not answer."""
    return lambda s: all(tag["status_name"] == "BadNoCommunication" for tag in tags(s, prefix))


def test_a_silent_unit_leaves_its_neighbour_alone(tmp_path: Path, mbserver: Any) -> None:
    server = mbserver(units=[1])
    agent = start(tmp_path, config([two_units(server.port)]))
    told = agent.until("a word on unit 9", lambda s: gone("nine")(s) and all_good("one")(s))
    assert link(told, "one")["state"] == "up"
    before = told["ledger"][0]["collected"]
    later = agent.until("more of unit 1", lambda s: collected(before + 60)(s) and all_good("one")(s))
    assert later["links"][0]["reconnects"] == 0
    assert not any(tag["seen"] and tag["value"] is not None for tag in tags(later, "nine"))
    server.stop()
    mbserver(port=server.port, units=[1, 9])
    agent.until("both units", all_good())
    finish(agent)


def with_user(url: str, node: str, password: Path) -> dict[str, Any]:
    return plc(url, {"plc_0": node}, user={"name": USER, "password": {"file": str(password)}})


def refused(snapshot: Snapshot) -> bool:
    error = link(snapshot, "plc")["error"]
    return error is not None and error["code"] == "EA-203"


@pytest.mark.parametrize("make", ["uafast", pytest.param("node_opcua", marks=pytest.mark.long)])
def test_a_wrong_password_is_said_and_can_be_put_right(
    tmp_path: Path, mbserver: Any, make: str, request: pytest.FixtureRequest
) -> None:
    factory = request.getfixturevalue(make)
    server = factory(n=1, period_ms=100) if make == "uafast" else factory(period_ms=100)
    node = server.node_id(0) if make == "uafast" else server.node_id("Double")
    password = tmp_path / "password"
    password.write_text("sesame-of-nobody")
    agent = start(tmp_path, config([meters(mbserver().port), with_user(server.url, node, password)]))
    told = agent.until("the server's word", lambda s: refused(s) and all_good("meters")(s))
    error = link(told, "plc")["error"]
    assert "password" in error["en"]
    assert "비밀번호" in error["ko"]
    assert "sesame" not in error["en"] + error["ko"] + "\n".join(log(agent))
    first = link(told, "plc")["reconnects"]
    agent.until("60 more values", collected(told["ledger"][0]["collected"] + 60))
    later = agent.status()
    assert link(later, "meters")["reconnects"] == 0
    assert link(later, "plc")["reconnects"] == first, "a refusal is not repeated every second: accounts get locked"
    assert [tag["quality"] for tag in tags(later, "plc")] == ["bad"]
    assert len(log(agent, "link_down")) == 1
    if make == "uafast":
        password.write_text(PASSWORD)
        agent.until("the right password", all_good())
    finish(agent)


def settled(agent: AgentProcess) -> None:
    agent.until("the start to be over", lambda s: s["detection"]["engine"] != "starting" and s["uptime_s"] > 2)


def test_nothing_happens_at_no_cost(tmp_path: Path, mbserver: Any, uafast: Any) -> None:
    """A quiet PLC and a meter that is read seldom, detection on, no hub: hardly any CPU time in four seconds."""
    source = uafast(n=1, period_ms=100, ticks=0)
    links = [meters(mbserver().port, interval="5s"), plc(source.url, {"plc_0": source.node_id(0)})]
    agent = start(tmp_path, config(links, detection={"engine": "numpy"}))
    agent.until("values", all_good())
    settled(agent)
    before = agent.cpu_seconds()
    time.sleep(4)
    spent = agent.cpu_seconds() - before
    assert spent < 0.2, f"{spent:.2f} s of CPU time in 4 s"
    finish(agent)


def test_links_that_break_again_and_again_leave_nothing_behind(tmp_path: Path, mbserver: Any, uafast: Any) -> None:
    """Eight links, each broken three times: as many descriptors and threads as before."""
    source, server = uafast(n=4, period_ms=100), mbserver()
    with Relay(server.port) as line, Relay(source.port) as bus:
        links = [meters(line.port, name=f"meters{k}") for k in range(6)]
        url = f"opc.tcp://127.0.0.1:{bus.port}/"
        links += [plc(url, {f"plc{k}_0": source.node_id(k)}, name=f"plc{k}") for k in range(2)]
        agent = start(tmp_path, config(links))
        agent.until("values", all_good())
        break_all(agent, line, bus, 1)
        before = descriptors(agent.pid), threads(agent.pid)
        for turn in (2, 3):
            break_all(agent, line, bus, turn)
        assert descriptors(agent.pid) <= before[0] + 2
        assert threads(agent.pid) <= before[1] + 4, "the pool of workers may breathe"
        assert balanced(agent.status()["ledger"][0])
        finish(agent)


def break_all(agent: AgentProcess, line: Relay, bus: Relay, turn: int) -> None:
    line.mode = bus.mode = "pass"
    agent.until(f"return {turn}", lambda s: all(one["reconnects"] >= turn for one in s["links"]) and all_good()(s), 40)


def test_it_stops_while_nobody_answers(tmp_path: Path, mbserver: Any, uafast: Any, influxdb: InfluxDB) -> None:
    """Every server is there and silent (as a host that hangs): the stop is in order, and soon."""
    source, server = uafast(n=2, period_ms=100), mbserver()
    nodes = {f"plc_{k}": source.node_id(k) for k in range(2)}
    sections = config([meters(server.port), plc(source.url, nodes)], [hub(influxdb, timeout="30s")])
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
    agent.until("deliveries", lambda s: all_good()(s) and delivered(20)(s))
    hanging = [source.process, server.process, influxdb.process]
    for one in hanging:
        one.signal(signal.SIGSTOP)
    try:
        before = time.monotonic()
        row = finish(agent)
        assert time.monotonic() - before < 15, "systemd waits 30 s, then it kills"
    finally:
        for one in hanging:
            one.signal(signal.SIGCONT)
    assert row["delivered"] >= 20
    agent.start()
    agent.until("deliveries", more_delivered({"ledger": [row]}))
    finish(agent)


def test_a_host_that_hangs_is_noticed(tmp_path: Path, mbserver: Any, uafast: Any) -> None:
    """The sockets stay open and nothing comes: within seconds no old value looks fresh, and later all is well."""
    source, server = uafast(n=2, period_ms=100), mbserver()
    nodes = {f"plc_{k}": source.node_id(k) for k in range(2)}
    agent = start(tmp_path, config([meters(server.port), plc(source.url, nodes, timeout="2s")]))
    agent.until("values", all_good())
    for one in (source.process, server.process):
        one.signal(signal.SIGSTOP)
    agent.until("bad tags", lambda s: all(tag["quality"] == "bad" for tag in tags(s)), 30)
    for one in (source.process, server.process):
        one.signal(signal.SIGCONT)
    agent.until("good tags", all_good(), 40)
    finish(agent)
