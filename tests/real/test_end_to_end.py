"""The whole way on real sockets: real OPC UA server -> agent -> real InfluxDB, with everything killed on the way.

What the source publishes is a function of tag and tick, so the database can be judged to the last value: within each
span in which one run of the agent was connected there is no hole, no value is wrong, and no point stands twice.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.servers.agent import AgentProcess, machines, opcua_tags
from tests.servers.databases import InfluxDB

TAGS = 40
PERIOD_MS = 50


def config(source: Any, database: InfluxDB) -> dict[str, Any]:
    return {
        "site": {"name": "plant"},
        "machines": machines(2),
        "links": [
            {
                "name": "plc",
                "connector": "opcua",
                "url": source.url,
                "security": {"policy": "None"},
                "publishing_interval": "50ms",
                "tags": opcua_tags(source.node_id, TAGS, 2, "50ms"),
            }
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
        "detection": {"engine": "numpy"},
    }


def stored(database: InfluxDB) -> dict[int, dict[int, float]]:
    """tag number -> time (ns) -> value, of everything in the database."""
    values: dict[int, dict[int, float]] = {k: {} for k in range(TAGS)}
    for row in database.query_influxql("SELECT * FROM bench"):
        for k in range(TAGS):
            if row.get(f"t{k}") is not None:
                assert row["time"] not in values[k], "a point stands twice"
                values[k][row["time"]] = row[f"t{k}"]
    return values


def delivered_all(snapshot: dict[str, Any]) -> bool:
    row = snapshot["ledger"][0]
    return row["waiting"] == 0 and row["delivered"] > 0


@pytest.mark.timeout(300)
def test_killed_twenty_times_with_the_hub_and_the_plant_interrupted(
    tmp_path: Path, influxdb: InfluxDB, uafast: Any, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(3)
    source = uafast(n=TAGS, period_ms=PERIOD_MS)
    agent = AgentProcess(tmp_path / "agent", config(source, influxdb), env={"HUB_TOKEN": influxdb.token})
    spans: list[tuple[int, int]] = []
    kills = 100 if request.config.getoption("--long") else 20
    for run in range(kills):
        agent.start()
        if run == kills // 3:
            influxdb.stop()
        first = agent.until(
            "values", lambda s: s["machines"] and all(t["seen"] for m in s["machines"] for t in m["tags"])
        )
        alive_until = poll_time(agent, chance.uniform(0.3, 1.5))
        spans.append((newest(first), alive_until))
        agent.kill()
        if run == kills // 2:
            influxdb.start()
    agent.start()
    agent.until("all delivered", delivered_all, 60)
    source_stopped = source.stop()
    assert source_stopped["ticks"] > 0
    final = agent.until("link down told", lambda s: s["links"][0]["state"] == "down", 60)
    final = agent.until("the rest delivered", delivered_all, 60)
    agent.stop()
    judge(stored(influxdb), spans, source, final)


def newest(snapshot: dict[str, Any]) -> int:
    return max(tag["time_ns"] for machine in snapshot["machines"] for tag in machine["tags"])


def poll_time(agent: AgentProcess, seconds: float) -> int:
    """Lets the agent run for a while; gives the newest value's time that it had accepted by then."""
    start = agent.status()
    reached = start["now_ns"] + int(seconds * 1e9)
    snapshot = agent.until("some time", lambda s: s["now_ns"] >= reached)
    accepted = agent.until(
        "acceptance",
        lambda s: s["journal"]["accepted"] >= snapshot["journal"]["accepted"] + 1 and not s["ledger"][0]["on_the_way"],
    )
    return min(newest(snapshot), newest(accepted))


def judge(
    values: dict[int, dict[int, float]], spans: list[tuple[int, int]], source: Any, final: dict[str, Any]
) -> None:
    row = final["ledger"][0]
    assert row["balanced"], row
    assert row["quarantined"] == 0
    assert not row["dropped"], row
    for k, series in values.items():
        for time, value in series.items():
            assert value == source.value(k, source.tick_of(time)), f"t{k} at {time}"
        for begin, end in spans:
            ticks = range(source.tick_of(begin), source.tick_of(end) + 1)
            missing = [c for c in ticks if source.source_ns(c) not in series]
            assert not missing, f"t{k}: {len(missing)} of {len(ticks)} values missing between {begin} and {end}"
