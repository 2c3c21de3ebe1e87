"""The whole way on real sockets: OPC UA and Modbus servers -> agent -> InfluxDB, everything killed on the way.

The agent is killed 8 times (100 with --long; test_kills.py kills its middle more often) at random moments, the hub
stopped for a while, the plant's servers restarted. Each start is timed up to its first flush into the database. At the
end the database is judged twice, to the last value:

- against the plant: what the OPC UA server published is a function of tag and tick, so within each span in which one
  run of the agent was connected there is no hole, and no value that was never published;
- against the journal, read again offline: every good row that was accepted is in the database, once, with its value,
  and nothing else is.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from edge_agent.api import Answer
from edge_agent.clock import SystemClock
from edge_agent.config.loader import load
from edge_agent.journal import Journal
from edge_agent.model import is_good
from edge_agent.registry import Sections
from tests.servers.agent import AgentProcess, machines, opcua_tags
from tests.servers.databases import InfluxDB
from tests.servers.sources import MbServer, Uafast

TAGS, METERS = 40, 20
PERIOD_MS = 50
MS = 1_000_000


@dataclass
class Incarnation:
    """One life of the OPC UA server, and the spans in which a run of the agent was surely connected to it."""

    t0_ns: int
    spans: list[tuple[int, int]] = field(default_factory=list)


def config(source: Uafast, meters: MbServer, database: InfluxDB) -> dict[str, Any]:
    registers = [
        {"tag": f"f{k}", "machine": "m0", "address": f"HR:{2 * k}", "type": "float32", "interval": "100ms"}
        for k in range(METERS)
    ]
    return {
        "site": {"name": "plant"},
        "machines": machines(2),
        "links": [
            {
                "name": "plc",
                "connector": "opcua",
                "url": source.url,
                "security": {"policy": "None", "insecure": "loopback"},
                "publishing_interval": "50ms",
                "tags": opcua_tags(source.node_id, TAGS, 2, "50ms"),
            },
            {
                "name": "meters",
                "connector": "modbus",
                "host": "127.0.0.1",
                "port": meters.port,
                "devices": [{"unit": 1, "interval": "100ms", "tags": registers}],
            },
        ],
        "sinks": [
            {
                "name": "hub",
                "sink": "influxdb",
                "url": database.url,
                "org": database.org,
                "bucket": database.bucket,
                "token": {"env": "HUB_TOKEN"},
            }
        ],
        "journal": {"sync_interval": "200ms"},
    }


def delivered_all(snapshot: dict[str, Any]) -> bool:
    row = snapshot["ledger"][0]
    return row["waiting"] == 0 and row["on_the_way"] == 0 and row["delivered"] > 0


def link_state(name: str, state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda s: next(link["state"] for link in s["links"] if link["name"] == name) == state


@pytest.mark.timeout(400)
def test_the_database_holds_what_the_plant_published(
    tmp_path: Path,
    influxdb: InfluxDB,
    uafast: Any,
    mbserver: Any,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(3)
    source, meters = uafast(n=TAGS, period_ms=PERIOD_MS), mbserver(period_ms=PERIOD_MS)
    agent = AgentProcess(tmp_path / "agent", config(source, meters, influxdb), env={"HUB_TOKEN": influxdb.token})
    lives = [Incarnation(source.t0_ns)]
    kills = 100 if request.config.getoption("--long") else 8
    flushes = []
    for run in range(kills):
        if run == kills // 4:
            influxdb.stop()
        if run == kills // 2:
            influxdb.start()
        begun = monotonic()
        agent.start()
        if not kills // 4 <= run < kills // 2:
            agent.until("the first flush", lambda s: s["ledger"][0]["state"] == "ok", 90)
            flushes.append(monotonic() - begun)
        lives[-1].spans.append(connected_for(agent, chance.uniform(0.2, 1.5), lives[-1].t0_ns))
        if run == 3 * kills // 4:
            restart_the_plant(agent, source, meters)
            lives.append(Incarnation(source.t0_ns))
            lives[-1].spans.append(connected_for(agent, 0.5, source.t0_ns))
        agent.kill()
    agent.start()
    source.stop()
    meters.stop()
    agent.until("the links' end", link_state("plc", "down"), 60)
    agent.until("the links' end", link_state("meters", "down"), 60)
    final = agent.until("all delivered", delivered_all, 60)
    agent.stop()
    assert agent.returncode == 0
    record_property("first_flush_s", flushes)
    print(f"first flush after a start: median {statistics.median(flushes):.2f} s, longest {max(flushes):.2f} s")
    judge_ledger(final["ledger"][0])
    stored = database_content(influxdb)
    judge_by_plant(stored, lives, source)
    judge_by_journal(stored, agent.config)


def restart_the_plant(agent: AgentProcess, source: Uafast, meters: MbServer) -> None:
    source.kill()
    meters.kill()
    agent.until("the plant's end", lambda s: all(link["state"] == "down" for link in s["links"]), 30)
    source.start()
    meters.start()
    agent.until("the plant's return", lambda s: all(link["state"] == "up" for link in s["links"]), 60)


def connected_for(agent: AgentProcess, seconds: float, since: int) -> tuple[int, int]:
    """Lets the agent run; gives the source times between which it was surely connected and had accepted all."""
    fresh = agent.until("every tag", lambda s: all(t["seen"] and t["time_ns"] >= since for t in plc_tags(s)), 30)
    enough = fresh["now_ns"] + int(seconds * 1e9)
    reached = agent.until("some time", lambda s: s["now_ns"] >= enough)
    agent.until("acceptance", lambda s: s["ledger"][0]["collected"] >= collected_by(reached))
    return max(t["time_ns"] for t in plc_tags(fresh)), min(t["time_ns"] for t in plc_tags(reached))


def collected_by(snapshot: dict[str, Any]) -> int:
    row = snapshot["ledger"][0]
    return row["collected"] + row["on_the_way"]


def plc_tags(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    return [tag for machine in snapshot["machines"] for tag in machine["tags"] if tag["name"].startswith("t")]


def database_content(database: InfluxDB) -> dict[str, dict[int, float]]:
    """tag name -> time (ms) -> value."""
    names = [f"t{k}" for k in range(TAGS)] + [f"f{k}" for k in range(METERS)]
    values: dict[str, dict[int, float]] = {name: {} for name in names}
    for row in database.query_influxql("SELECT * FROM bench"):
        for name in names:
            if row.get(name) is not None:
                time = row["time"] // MS
                assert time not in values[name], "a point stands twice"
                values[name][time] = row[name]
    return values


def judge_ledger(row: dict[str, Any]) -> None:
    assert row["balanced"], row
    assert row["quarantined"] == 0
    assert set(row["dropped"]) <= {"superseded", "poll_skipped"}, row


def judge_by_plant(stored: dict[str, dict[int, float]], lives: list[Incarnation], source: Uafast) -> None:
    period = PERIOD_MS * MS
    for k in range(TAGS):
        series = stored[f"t{k}"]
        for life in lives:
            for begin, end in life.spans:
                ticks = range((begin - life.t0_ns) // period, (end - life.t0_ns) // period + 1)
                expected = {(life.t0_ns + c * period) // MS: source.value(k, c) for c in ticks}
                missing = {time for time, value in expected.items() if series.get(time) != value}
                assert not missing, f"t{k}: {len(missing)} of {len(ticks)} values between {begin} and {end}"
        for time, value in series.items():
            life = max((life for life in lives if life.t0_ns // MS <= time), key=lambda life: life.t0_ns)
            assert value == source.value(k, (time - life.t0_ns // MS) // PERIOD_MS), f"t{k} at {time}"


def judge_by_journal(stored: dict[str, dict[int, float]], config_path: Path) -> None:
    loaded = load(config_path, Sections())
    journal = Journal.open(loaded.config.journal.path, loaded.tags, loaded.config.journal, SystemClock())
    assert journal.report.clean
    kept: dict[str, dict[int, float]] = {name: {} for name in stored}
    cursor = journal.cursor("judge")
    while (batch := cursor.read(100_000)) is not None:
        frame = batch.frame.rows(np.flatnonzero(is_good(batch.frame.status)))
        for number, time, value in zip(frame.tag.tolist(), frame.time.tolist(), frame.floats().tolist(), strict=True):
            kept[batch.tags[number].name][time // MS] = value
        cursor.advance(batch, Answer())
    journal.close()
    for name, series in kept.items():
        assert series.keys() == stored[name].keys(), name
        assert all(np.float32(stored[name][t]) == np.float32(v) for t, v in series.items()), name
        assert len(series) > 10, name
