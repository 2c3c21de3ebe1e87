"""Several sinks at once, each isolated: one agent, real InfluxDB, VictoriaMetrics and mosquitto, and three in trouble.

From the start nothing listens for one sink, one is a black hole (the packets that ask for a connection vanish), one
takes everything and answers nothing. Later VictoriaMetrics is stopped in the middle of its work, and then the broker
killed. The others must have each value all the same, as soon as if they were alone: again and again nothing waits for
them, while the first write of the stalled sink has still not come back.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.clock import SystemClock
from edge_agent.config.loader import load
from edge_agent.journal import Journal
from edge_agent.model import is_good
from edge_agent.registry import Sections
from tests.real import relay
from tests.real.relay import Relay
from tests.real.rig import Snapshot, balanced, config, hub, lost, meters, named, start, values_read
from tests.servers.agent import AgentProcess
from tests.servers.broker import Mosquitto
from tests.servers.databases import InfluxDB, VictoriaMetrics
from tests.servers.process import free_port
from tests.unit.sinks.mqtt.subscriber import Subscriber

WELL = ("hub", "archive", "broker")
TROUBLED = ("dead", "hole", "stall")
TURNS = 5
"""So often nothing must wait for a sink, with new values each time."""


@contextmanager
def black_hole() -> Iterator[int]:
    """A port where the queue of connections is full: the kernel drops whoever asks for one."""
    with ExitStack() as held:
        pit = held.enter_context(socket.socket())
        pit.bind(("127.0.0.1", 0))
        pit.listen(0)
        for _ in range(4):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(pit.getsockname())
        yield int(pit.getsockname()[1])


def sinks_of(
    influxdb: InfluxDB, victoria: VictoriaMetrics, mosquitto: Mosquitto, hole: int, stall: int
) -> list[dict[str, Any]]:
    facts = {"org": "any", "bucket": "any", "timeout": "60s"}
    archive = hub(influxdb, name="archive", url=victoria.url, **facts)
    dead = hub(influxdb, name="dead", url=f"http://127.0.0.1:{free_port()}")
    void = hub(influxdb, name="hole", url=f"http://127.0.0.1:{hole}", timeout="60s")
    silent = hub(influxdb, name="stall", url=f"http://127.0.0.1:{stall}", timeout="60s")
    broker = {"name": "broker", "sink": "mqtt", "url": mosquitto.url, "client_id": "gateway1", "timeout": "3s"}
    return [dead, void, silent, hub(influxdb), archive, broker]


def row_of(snapshot: Snapshot, sink: str) -> dict[str, Any]:
    row: dict[str, Any] = named(snapshot["ledger"], sink)
    return row


def has_everything(sinks: tuple[str, ...], since: int) -> Callable[[Snapshot], bool]:
    """A condition: more was collected than then, and for none of these sinks does any of it wait."""
    return lambda s: all(row_of(s, one)["collected"] > since and not row_of(s, one)["waiting"] for one in sinks)


def keep_up(agent: AgentProcess, sinks: tuple[str, ...]) -> float:
    """Each sink has everything again and again; gives the greatest delay of live data that was seen, s."""
    longest, snapshot = 0.0, agent.status()
    for _ in range(TURNS):
        for sink in sinks:
            snapshot = agent.until(f"all at {sink}", has_everything((sink,), row_of(snapshot, sink)["collected"]))
            longest = max([longest, *(row_of(snapshot, one)["lanes"]["live_lag_s"] for one in sinks)])
    return longest


@pytest.mark.timeout(180)
def test_no_sink_slows_or_blocks_another(
    tmp_path: Path,
    mbserver: Any,
    influxdb: InfluxDB,
    victoria: VictoriaMetrics,
    mosquitto: Mosquitto,
    record_property: Callable[[str, object], None],
) -> None:
    with black_hole() as hole, Relay(influxdb.port) as line, Subscriber(mosquitto.port) as seen:
        line.mode, source = relay.STALL, mbserver()
        sections = config([meters(source.port)], sinks_of(influxdb, victoria, mosquitto, hole, line.port))
        agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
        lag = {"three in trouble": keep_up(agent, WELL)}
        now = agent.status()
        assert row_of(now, "dead")["error"]["code"] == "EA-201"
        assert [row_of(now, one)["state"] for one in ("hole", "stall")] == ["starting"] * 2, "their first write goes on"
        assert [row_of(now, one)["delivered"] for one in TROUBLED] == [0] * 3
        victoria.process.signal(signal.SIGSTOP)
        try:
            lag["and one stopped"] = keep_up(agent, ("hub", "broker"))
            agent.until("some that wait", lambda s: row_of(s, "archive")["waiting"] > 8)
        finally:
            victoria.process.signal(signal.SIGCONT)
        agent.until("all at archive", has_everything(("archive",), row_of(agent.status(), "archive")["collected"]))
        mosquitto.kill()
        lag["and one killed"] = keep_up(agent, ("hub", "archive"))
        mosquitto.start()
        agent.until("all at broker", has_everything(("broker",), row_of(agent.status(), "broker")["collected"]))
        line.mode = relay.PASS
        agent.until("all at stall", has_everything(("stall",), row_of(agent.status(), "stall")["collected"]))
        seen.until("the last values", lambda: len(seen.of("edge/plant/l1/m0/meters_3")) >= TURNS)
        source.stop()
        agent.until("the link's end", lambda s: s["links"][0]["state"] == "down")
        last = agent.until("all", lambda s: all(has_everything((one,), 0)(s) for one in (*WELL, "stall")))
        agent.kill()
        judge({row["sink"]: row for row in last["ledger"]}, good_rows(agent.config), influxdb, victoria)
    record_property("figures", lag)
    print("greatest delay of live data, s:", lag)


def good_rows(path: Path) -> int:
    """In the journal, read again: those that databases have a place for."""
    loaded = load(path, Sections())
    journal = Journal.open(loaded.config.journal.path, loaded.tags, loaded.config.journal, SystemClock())
    batch = journal.cursor("judge").read(1_000_000)
    journal.close()
    assert batch is not None
    return int(is_good(batch.frame.status).sum())


def judge(rows: dict[str, Any], good: int, influxdb: InfluxDB, victoria: VictoriaMetrics) -> None:
    """Each sink's ledger is exact, each destination has what it says, and those in trouble have lost nothing."""
    assert all(balanced(row) and not lost(row) and not row["quarantined"] for row in rows.values()), rows
    assert len({row["collected"] for row in rows.values()}) == 1
    assert influxdb.count("bench") == good - rows["hub"]["dropped"].get("superseded", 0)
    assert victoria.count("bench") == good - rows["archive"]["dropped"].get("superseded", 0)
    for sink in ("dead", "hole"):
        assert rows[sink]["delivered"] == 0
        assert rows[sink]["waiting"] == values_read(rows[sink])


@pytest.mark.timeout(120)
def test_a_stop_makes_all_durable_before_it_waits_for_a_sink(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    """While a sink that never answers is given its time, a power cut would cost nothing any more."""
    with Relay(influxdb.port) as line:
        line.mode = relay.STALL
        silent = hub(influxdb, name="stall", url=f"http://127.0.0.1:{line.port}", timeout="60s")
        sections = config([meters(mbserver().port)], [silent], journal={"sync_interval": "1h"})
        agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
        agent.until("rows on the way to the disk", lambda s: s["journal"]["accepted"] > s["journal"]["durable"] + 10)
        agent.signal(signal.SIGTERM)
        last = agent.until("all durable", lambda s: s["journal"]["accepted"] == s["journal"]["durable"])
        assert row_of(last, "stall")["waiting"] > 10
        assert agent.wait(30) == 0
