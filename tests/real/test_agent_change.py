"""The configuration changes between two runs while values wait: old rows keep their old names and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.real.rig import (
    all_good,
    config,
    delivered,
    finish,
    hub,
    log,
    lost,
    meters,
    more_delivered,
    start,
    stored,
    tags,
    values_read,
)
from tests.servers.agent import AgentProcess, machines
from tests.servers.databases import InfluxDB

STAYS, GOES, MOVES, COMES = 10, 20, 30, 40
"""Addresses of the tags, which are the whole part of their values as well (see mbserver), doubled."""


def register(tag: str, address: int, machine: str = "m0") -> dict[str, Any]:
    return {"tag": tag, "machine": machine, "address": f"HR:{2 * address}", "type": "float32"}


def sections(port: int, sinks: list[dict[str, Any]], *registers: dict[str, Any]) -> dict[str, Any]:
    link = meters(port)
    link["devices"][0]["tags"] = list(registers)
    more = {"machines": [*machines(1), {"name": "m1", "line": "l2", "class": "oven"}]}
    return config([link], sinks, detection={"engine": "numpy"}) | more


def reconfigure(agent: AgentProcess, changed: dict[str, Any]) -> None:
    agent.config.write_text(yaml.safe_dump(changed, allow_unicode=True, sort_keys=False), "utf-8")


def whole_parts(influxdb: InfluxDB, tag: str, measurement: str = "bench") -> set[int]:
    return {int(value) for value in stored(influxdb, tag, measurement).values()}


def places(influxdb: InfluxDB, measurement: str) -> set[tuple[str, str]]:
    return {(row["line"], row["machine"]) for row in influxdb.query_influxql(f'SELECT * FROM "{measurement}"')}


def test_tags_go_come_and_move(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    port = mbserver(units=[1]).port
    unit = 4096
    influxdb.stop()
    before = [register("stays", STAYS), register("goes", GOES), register("moves", MOVES)]
    agent = start(tmp_path, sections(port, [hub(influxdb)], *before), HUB_TOKEN=influxdb.token)
    agent.until("values", lambda s: all_good()(s) and s["ledger"][0]["collected"] > 30)
    first = finish(agent)
    assert first["waiting"] == values_read(first)
    influxdb.start()
    after = [register("moves", MOVES, "m1"), register("comes", COMES), register("stays", STAYS)]
    reconfigure(agent, sections(port, [hub(influxdb)], *after))
    agent.start()
    there = agent.until("values", all_good())
    assert {tag["name"] for tag in tags(there)} == {"moves", "comes", "stays"}
    agent.until("deliveries", more_delivered({"ledger": [first]}, 30))
    second = finish(agent)
    assert (second["waiting"], lost(second)) == (0, {})
    assert whole_parts(influxdb, "goes") == {GOES + unit}
    assert whole_parts(influxdb, "stays") == {STAYS + unit}
    assert whole_parts(influxdb, "comes") == {COMES + unit}
    assert whole_parts(influxdb, "moves") == whole_parts(influxdb, "moves", "oven") == {MOVES + unit}
    assert places(influxdb, "bench") == {("l1", "m0")}
    assert places(influxdb, "oven") == {("l2", "m1")}
    before_change = max(stored(influxdb, "moves"))
    assert before_change < min(stored(influxdb, "moves", "oven")), "each under the name of its time"
    assert len(stored(influxdb, "goes")) == values_read(first) // 3
    assert influxdb.count("bench") + influxdb.count("oven") == second["delivered"]
    assert not log(agent, "detection_failed")


def test_a_new_hub_gets_what_is_kept_and_the_old_one_goes_on(
    tmp_path: Path, mbserver: Any, influxdb: InfluxDB, victoria: Any
) -> None:
    """A second sink is added later: it begins with the oldest row kept; the first one's ledger is not touched."""
    port = mbserver().port
    agent = start(tmp_path, sections(port, [hub(influxdb)], register("stays", STAYS)), HUB_TOKEN=influxdb.token)
    agent.until("deliveries", delivered(10))
    first = finish(agent)
    second_hub = hub(victoria, name="second", org="any", bucket="any")
    reconfigure(agent, sections(port, [hub(influxdb), second_hub], register("stays", STAYS)))
    agent.start()
    agent.until("both", lambda s: all(row["delivered"] > first["delivered"] + 5 for row in s["ledger"]))
    row = finish(agent)
    assert row["waiting"] == 0
    assert influxdb.count("bench") == row["delivered"]
    assert victoria.count("bench") == row["delivered"]


def test_a_tag_changes_its_type(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    """float32 becomes uint16 under the same name: the old rows are read as what they were."""
    port = mbserver(units=[1], ticks=0).port
    influxdb.stop()
    agent = start(tmp_path, sections(port, [hub(influxdb)], register("stays", STAYS)), HUB_TOKEN=influxdb.token)
    agent.until("values", lambda s: s["ledger"][0]["collected"] > 10)
    first = finish(agent)
    influxdb.start()
    whole = register("stays", STAYS) | {"address": "HR:65524", "type": "uint16"}
    reconfigure(agent, sections(port, [hub(influxdb)], whole))
    agent.start()
    agent.until("deliveries", more_delivered({"ledger": [first]}, 10))
    row = finish(agent)
    values = [value for _, value in sorted(stored(influxdb, "stays").items())]
    assert values[: values_read(first)] == [STAYS + 4096.0] * values_read(first)
    assert set(values[values_read(first) :]) == {1.0}
    assert len(values) == row["delivered"]
