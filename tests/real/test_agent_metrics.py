"""Figures for Prometheus: a real agent, a real request, judged by Prometheus's own parser."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.real.rig import all_good, config, delivered, finish, hub, log, meters, start
from tests.servers.databases import InfluxDB
from tests.servers.process import free_port, poll


def asked(port: int) -> dict[str, list[tuple[dict[str, str], float]]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].append((sample.labels, sample.value))
    return found


def total(found: dict[str, list[tuple[dict[str, str], float]]], name: str) -> float:
    return sum(value for _, value in found[f"edge_agent_{name}"])


def test_the_ledger_balances_in_the_figures_too(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    port = free_port()
    sections = config([meters(mbserver().port)], [hub(influxdb)], runtime={"metrics_port": port})
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
    agent.until("deliveries", lambda s: all_good()(s) and delivered(20)(s))
    found = asked(port)
    answered = total(found, "ledger_delivered_total") + total(found, "ledger_quarantined_total")
    waiting, dropped = total(found, "ledger_waiting"), total(found, "ledger_dropped_total")
    assert total(found, "ledger_collected_total") == answered + waiting + dropped
    assert answered >= 20
    assert {labels["sink"] for labels, _ in found["edge_agent_ledger_collected_total"]} == {"hub"}
    assert all(value == 1 for _, value in found["edge_agent_link_up"])
    assert total(found, "journal_accepted_total") >= total(found, "journal_durable_total")
    assert (total(found, "sink_up"), total(found, "journal_writable")) == (1, 1)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(b"\xff\r\n\r\n" * 4000)
    assert total(asked(port), "ledger_collected_total") >= total(found, "ledger_collected_total")
    finish(agent)


def test_a_port_that_is_taken_stops_nothing(tmp_path: Path, mbserver: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        agent = start(tmp_path, config([meters(mbserver().port)], runtime={"metrics_port": taken.getsockname()[1]}))
        agent.until("values", all_good())
        poll("its word", lambda: log(agent, "metrics_unavailable"))
        finish(agent)


def test_nobody_listens_unless_asked_to(tmp_path: Path, mbserver: Any) -> None:
    agent = start(tmp_path, config([meters(mbserver().port)]))
    there = agent.until("values", all_good())
    ours = {
        path.readlink().name for path in Path(f"/proc/{there['pid']}/fd").iterdir() if "socket" in str(path.readlink())
    }
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert not [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in ours]
    finish(agent)
