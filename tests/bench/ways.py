"""The paths from the wire: to the frame, and the whole way into InfluxDB; each beside the plain library loop."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.record import Record
from tests.bench.witness import Witness
from tests.servers.agent import AgentProcess, machines, opcua_tags
from tests.servers.databases import InfluxDB
from tests.servers.sources import MbServer, Uafast

TAGS = 10_000
FEW = 1_000
SECONDS = 8.0
WARM_S = 3.0
MACHINES = 60
"""10,000 tags on 60 machines: 167 signals each, as the schema wants (at most 180 fields)."""


def _child(way: str, url: str, *more: object, tags: int = TAGS) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.collect", way, url, str(tags), str(SECONDS), *map(str, more)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _cost(result: dict[str, Any]) -> float:
    return result["cpu_s"] / max(result["values"], 1) * 1e6


def _record(name: str, result: dict[str, Any], library: dict[str, Any] | None) -> Record:
    return Record(
        name,
        values_per_s=result["values"] / result["seconds"],
        cpu_s_per_million=_cost(result),
        rss_mb=result["rss_mb"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        lost=result["lost"],
        seen_s=result.get("seen_s"),
        ratio_to_library=_cost(result) / _cost(library) if library else None,
    )


def opcua_to_frame(folder: Path) -> list[Record]:
    """10,000 tags at 10 Hz, subscribed; encrypted; of eight types; the library's handler beside it on one server.

    And published as often as the server can: at the source's own interval what is measured as latency is mostly when
    the subscription happened to begin.
    """
    with Uafast(folder / "uafast", n=TAGS, period_ms=100) as source:
        ours, library = _child("opcua", source.url, 100), _child("asyncua", source.url)
        prompt = _child("opcua", source.url, 100, "", 10)
        secure = _child("opcua", source.url, 100, folder / "identity")
    with Uafast(folder / "mixed", n=TAGS, period_ms=100, mixed=True) as source:
        mixed = _child("opcua", source.url, 100)
    return [
        _record("opcua_to_frame", ours, library),
        _record("opcua_to_frame_prompt", prompt, library),
        _record("opcua_to_frame_secure", secure, library),
        _record("opcua_to_frame_mixed", mixed, library),
    ]


def opcua_poll(folder: Path) -> list[Record]:
    """10,000 nodes read every second; the library's read beside it."""
    with Uafast(folder / "uafast", n=TAGS, period_ms=100) as source:
        ours, library = _child("opcua_poll", source.url, 1000), _child("asyncua_poll", source.url)
    return [_record("opcua_poll", ours, library)]


def opcua_large(folder: Path) -> list[Record]:
    """300,000 values/s from 10,000 tags, and 100,000 tags that change once a second."""
    with Uafast(folder / "fast", n=TAGS, period_ms=33) as source:
        fast = _child("opcua", source.url, 33)
    with Uafast(folder / "many", n=100_000, period_ms=1000) as source:
        many = _child("opcua", source.url, 1000, tags=100_000)
    return [_record("opcua_to_frame_300k", fast, None), _record("opcua_to_frame_100k_tags", many, None)]


def modbus_to_frame(folder: Path) -> list[Record]:
    """10,000 float32 at 10 Hz with one and with four requests in flight; the library's loop beside it."""
    with MbServer(folder / "modbus", period_ms=100) as source:
        url = f"tcp://127.0.0.1:{source.port}"
        library = _child("pymodbus", url)
        return [_record(f"modbus_to_frame_{w}", _child("modbus", url, w), library) for w in (1, 4)]


def _sink(database: InfluxDB, url: str) -> dict[str, Any]:
    return {
        "name": "hub",
        "sink": "influxdb",
        "url": url,
        "org": database.org,
        "bucket": database.bucket,
        "token": {"env": "HUB_TOKEN"},
        "encoder": "numba",
    }


def opcua_link(source: Uafast, tags: int = TAGS) -> dict[str, Any]:
    """The link of the whole-way cases."""
    return {
        "name": "plc",
        "connector": "opcua",
        "url": source.url,
        "security": {"policy": "None", "insecure": "loopback"},
        "publishing_interval": "100ms",
        "tags": opcua_tags(source.node_id, tags, MACHINES),
    }


def modbus_link(source: MbServer) -> dict[str, Any]:
    """10,000 float32 of one unit, dealt out to the machines as the OPC UA ones are."""
    per = -(-TAGS // MACHINES)
    tags = [
        {"tag": f"t{k}", "machine": f"m{k // per}", "address": f"HR:{2 * k}", "type": "float32", "interval": "100ms"}
        for k in range(TAGS)
    ]
    return {
        "name": "meters",
        "connector": "modbus",
        "host": "127.0.0.1",
        "port": source.port,
        "devices": [{"unit": 1, "window": 4, "interval": "100ms", "tags": tags}],
    }


def agent_config(link: dict[str, Any], database: InfluxDB, detection: bool, url: str = "") -> dict[str, Any]:
    return {
        "site": {"name": "bench"},
        "machines": machines(MACHINES),
        "links": [link],
        "sinks": [_sink(database, url or database.url)],
        "detection": {"enabled": detection},
    }


def _whole_way(name: str, folder: Path, link: dict[str, Any], database: InfluxDB, detection: bool) -> Record:
    """The agent in its steady state: values a second from two snapshots of its own, CPU and bytes from outside.

    Writing a snapshot of 10,000 tags costs as much as a second's work, so CPU is measured between the two.
    """
    with Witness(database.port) as witness:
        config = agent_config(link, database, detection, witness.url)
        agent = AgentProcess(folder / name, config, env={"HUB_TOKEN": database.token})
        with agent:
            tags = len(link_tags(link))
            agent.until("all tags", lambda s: s["ledger"][0]["delivered"] > 3 * tags, 60)
            _settle(agent, 3 * tags)
            time.sleep(WARM_S)  # connecting and learning are over
            before = agent.status()
            time.sleep(1)
            since, cpu, disk, began = time.time_ns(), agent.cpu_seconds(), agent.written_bytes(), time.monotonic()
            time.sleep(SECONDS)
            cpu, disk = agent.cpu_seconds() - cpu, agent.written_bytes() - disk
            took, until, rss = time.monotonic() - began, time.time_ns(), agent.rss_bytes() / 1e6
            after = agent.status()
        stored = witness.stored(since, until)
    assert after["ledger"][0]["balanced"], after["ledger"]
    seconds = after["uptime_s"] - before["uptime_s"]
    rate = (after["ledger"][0]["delivered"] - before["ledger"][0]["delivered"]) / seconds
    values = max(rate * took, 1)
    p50, p99 = np.percentile(stored.delays, (50, 99)) if stored.values else (None, None)
    return Record(
        name,
        rate,
        cpu / values * 1e6,
        rss,
        p50,
        p99,
        lost=lost(after) - lost(before),
        wire_bytes_per_value=stored.wire_bytes / max(stored.values, 1),
        disk_bytes_per_value=disk / values,
    )


def _settle(agent: AgentProcess, rows: int) -> None:
    """Waits, at most 40 s, until the backlog of the first, slow writes is gone; seldom asked, for asking costs much."""
    for _ in range(20):
        if agent.status()["ledger"][0]["waiting"] < rows:
            return
        time.sleep(2)


def link_tags(link: dict[str, Any]) -> list[Any]:
    """The tags of a link, on whichever device they are."""
    tags: list[Any] = link["tags"] if "tags" in link else link["devices"][0]["tags"]
    return tags


def lost(status: dict[str, Any]) -> int:
    """Values that the ledger or the link says will never reach the hub.

    What the link lost is in the ledger too, up to 10 s later; the link says it at once.
    """
    row, link = status["ledger"][0], status["links"][0]["lost"]
    later = sum(count for reason, count in row["dropped"].items() if reason not in link)
    return later + int(row["quarantined"]) + sum(link.values())


def opcua_to_influxdb(folder: Path) -> list[Record]:
    """10,000 OPC UA tags at 10 Hz -> detection -> journal -> InfluxDB; once more without detection."""
    with InfluxDB(folder / "influxdb") as database, Uafast(folder / "uafast", n=TAGS, period_ms=100) as source:
        link = opcua_link(source)
        return [
            _whole_way("opcua_to_influxdb", folder, link, database, detection=True),
            _whole_way("opcua_to_influxdb_plain", folder, link, database, detection=False),
        ]


def opcua_to_stored(folder: Path) -> list[Record]:
    """1,000 and 10,000 OPC UA tags at 10 Hz: from a value's source time to the hub's answer.

    Published as often as the server can: at the source's own interval a value would wait there for up to 100 ms,
    according to when the subscription happened to begin, and that would be all one measured.
    """
    records = []
    for name, tags in (("opcua_to_stored", FEW), ("opcua_to_stored_10000", TAGS)):
        place = folder / name
        with InfluxDB(place / "influxdb") as database, Uafast(place / "uafast", n=tags, period_ms=100) as source:
            link = opcua_link(source, tags) | {"publishing_interval": "10ms"}
            records.append(_whole_way(name, place, link, database, detection=True))
    return records


def modbus_to_influxdb(folder: Path) -> list[Record]:
    """10,000 float32 at 10 Hz -> detection -> journal -> InfluxDB."""
    with InfluxDB(folder / "influxdb") as database, MbServer(folder / "modbus", period_ms=100) as source:
        return [_whole_way("modbus_to_influxdb", folder, modbus_link(source), database, detection=True)]


def cold_start(folder: Path) -> list[Record]:
    """exec -> first value accepted by the journal, kernels warm; the median and the worst of five starts."""
    took, cost = [], 0.0
    with Uafast(folder / "uafast", n=1000, period_ms=100) as source:
        link = opcua_link(source) | {"tags": opcua_tags(source.node_id, 1000, MACHINES)}
        for _ in range(5):
            config = {"site": {"name": "bench"}, "machines": machines(MACHINES), "links": [link]}
            agent = AgentProcess(folder / "agent", config)
            began = time.monotonic()
            agent.spawn()
            agent.until("first value", lambda s: s["journal"]["accepted"] > 0 and s["links"][0]["state"] == "up", 60)
            took.append((time.monotonic() - began) * 1e3)
            cost = max(cost, agent.rss_bytes() / 1e6)
            agent.stop()
    return [Record("cold_start", p50_ms=statistics.median(took), p99_ms=max(took), rss_mb=cost)]


WAYS: dict[str, Callable[[Path], list[Record]]] = {
    "opcua_to_frame": opcua_to_frame,
    "opcua_poll": opcua_poll,
    "opcua_large": opcua_large,
    "modbus_to_frame": modbus_to_frame,
    "opcua_to_influxdb": opcua_to_influxdb,
    "opcua_to_stored": opcua_to_stored,
    "modbus_to_influxdb": modbus_to_influxdb,
    "cold_start": cold_start,
}
