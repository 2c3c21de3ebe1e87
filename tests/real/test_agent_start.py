"""The agent starts whatever it finds: nobody there, folders that can't be written, a clock that is wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_agent.api import Answer
from edge_agent.clock import SystemClock
from edge_agent.config.loader import load
from edge_agent.journal import Journal
from edge_agent.registry import Sections
from tests.fixtures_servers import require_service
from tests.real.rig import (
    all_good,
    balanced,
    collected,
    config,
    delivered,
    finish,
    hub,
    log,
    lost,
    meters,
    more_delivered,
    mounted,
    plc,
    start,
    stored,
    tags,
    values_read,
)
from tests.servers.agent import AgentProcess
from tests.servers.databases import InfluxDB
from tests.servers.process import free_port

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
HOUR_NS = 3_600_000_000_000


def test_nobody_is_there(tmp_path: Path, influxdb: InfluxDB, mbserver: Any, uafast: Any) -> None:
    influxdb.stop()
    ports = free_port(), free_port()
    nodes = {f"plc_{k}": f"ns=2;i={1000 + k}" for k in range(3)}
    sections = config([meters(ports[0]), plc(f"opc.tcp://127.0.0.1:{ports[1]}/", nodes)], [hub(influxdb)])
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
    alone = agent.until(
        "a word on each", lambda s: all(one["error"] for one in [*s["links"], *s["ledger"]]) and collected(7)(s)
    )
    for one in alone["links"]:
        assert one["state"] in ("down", "connecting")
        assert one["error"]["code"] == "EA-201"
        assert all(one["error"][language] for language in ("ko", "en"))
    for tag in tags(alone):
        assert (tag["quality"], tag["status_name"], tag["seen"]) == ("bad", "BadNoCommunication", False)
        assert tag["value"] is None
    assert alone["ledger"][0]["state"] == "retrying"
    assert balanced(alone["ledger"][0])
    mbserver(port=ports[0])
    uafast(n=3, period_ms=100, port=ports[1])
    influxdb.start()
    there = agent.until("all tags", all_good(), 40)
    agent.until("deliveries", more_delivered(there))
    finish(agent)
    assert len(log(agent, "agent_started")) == 1
    statuses = influxdb.query_influxql("SELECT * FROM quality")
    assert {row["signal"] for row in statuses if row["quality"] == 2} == {tag["name"] for tag in tags(alone)}
    assert all(stored(influxdb, tag["name"]) for tag in tags(alone))


def test_the_state_folder_is_a_file(tmp_path: Path, mbserver: Any) -> None:
    """No journal, no lock, no socket, no checkpoint can be made; all is kept in memory until someone helps."""
    socket = tmp_path / "s"
    sections = config([meters(mbserver().port)], runtime={"socket": str(socket)}, detection={"engine": "numpy"})
    agent = AgentProcess(tmp_path / "agent", sections)
    agent.socket = socket
    in_the_way = tmp_path / "agent" / "state"
    in_the_way.write_text("")
    agent.start()
    there = agent.until("all tags", lambda s: all_good()(s) and s["detection"]["engine"] == "numpy")
    assert there["journal"]["writable"] is False
    assert there["journal"]["error"]["ko"]
    row = there["ledger"][0]
    assert row["balanced"]
    assert row["on_the_way"] > 0
    in_the_way.unlink()
    later = agent.until("the journal", lambda s: s["journal"]["writable"] and collected(row["on_the_way"] + 8)(s))
    assert later["ledger"][0]["balanced"]
    assert lost(later["ledger"][0]) == {}
    assert finish(agent)["collected"] >= row["on_the_way"]
    assert log(agent, "journal_recovered")


def test_the_state_folder_stays_a_file(tmp_path: Path, mbserver: Any) -> None:
    """Stopped while nothing could be kept: exit 0, and the ledger says what was given up."""
    agent = AgentProcess(tmp_path / "agent", config([meters(mbserver().port)], runtime={"socket": str(tmp_path / "s")}))
    agent.socket = tmp_path / "s"
    (tmp_path / "agent" / "state").write_text("")
    agent.start()
    agent.until("values", collected(20))
    row = finish(agent)
    assert row["dropped"]["journal_unavailable"] == values_read(row) >= 20


def test_the_disk_is_read_only(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    """As an SD card that gave up: what it holds still reaches the hub, and once it can be written all goes on."""
    influxdb.stop()
    with mounted(tmp_path / "agent" / "state", "-t", "tmpfs", "-o", "size=32m") as state:
        sections = config(
            [meters(mbserver().port)], [hub(influxdb)], runtime={"socket": str(tmp_path / "s"), "queue_values": 1000}
        )
        agent = AgentProcess(tmp_path / "agent", sections, env={"HUB_TOKEN": influxdb.token})
        agent.socket = tmp_path / "s"
        agent.start()
        agent.until("values", collected(40))
        before = finish(agent)
        remount(state, "ro")
        influxdb.start()
        agent.start()
        on_card = agent.until("what the card holds", delivered(before["waiting"]))
        assert on_card["journal"]["writable"] is False
        assert "read-only" in on_card["journal"]["error"]["en"]
        assert on_card["ledger"][0]["balanced"]
        agent.until("values", all_good())
        remount(state, "rw")
        again = agent.until("the journal", lambda s: s["journal"]["writable"])
        agent.until("deliveries", more_delivered(again))
        row = finish(agent)
        assert row["waiting"] == 0
        assert lost(row) == {}
        assert row["delivered"] == sum(len(stored(influxdb, f"meters_{k}")) for k in range(4))


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def faketime(clock: Path) -> dict[str, str]:
    """The environment of a process whose wall clock (alone) says what the file `clock` says.

    Without the "fix" libfaketime takes monotonic deadlines of `pthread_cond_timedwait` for other ones, and each such
    wait ends at once: a thread that waits for the interpreter's lock then burns what its holder needs. Beside two busy
    loops the agent took 5.7 times the CPU and answered after 6.7 s instead of 0.03, whether the clock jumped or not.
    """
    if FAKETIME is None:
        require_service("libfaketime", "apt-get install libfaketime")
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "FAKETIME_CACHE_DURATION": "1",
        "NO_FAKE_STAT": "1",
    }


def ticking(port: int) -> dict[str, Any]:
    """A link whose one tag counts the server's ticks: its values must come in order, whatever the clock says."""
    one = meters(port, 1)
    one["devices"][0]["tags"] = [{"tag": "tick", "machine": "m0", "address": "HR:65520", "type": "uint64"}]
    return one


@pytest.mark.timeout(300)
@pytest.mark.parametrize("clock", ["@1970-01-01 00:00:10", "-2h"], ids=["1970", "back"])
def test_the_clock_is_wrong_and_then_put_right(tmp_path: Path, mbserver: Any, influxdb: InfluxDB, clock: str) -> None:
    """1970: no battery behind the clock, no network yet. Two hours back: it was corrected while the agent ran."""
    file = tmp_path / "clock"
    file.write_text("+0" if clock == "-2h" else clock)
    sections = config([ticking(mbserver(period_ms=50).port)], [hub(influxdb)], detection={"engine": "numpy"})
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token, **faketime(file))
    first = agent.until("deliveries", lambda s: delivered(20)(s) and s["detection"]["engine"] != "starting", 90)
    file.write_text("-2h" if clock == "-2h" else "+0")
    jumped = agent.until("the other time", lambda s: abs(s["now_ns"] - first["now_ns"]) > HOUR_NS)
    later = agent.until("deliveries", more_delivered(jumped, 20), 90)
    assert all_good()(later)
    busy = ("polls that could not be in time", "late data has arrived")  # on a machine that has much else to do
    told = [event for event in later["events"] if not any(words in event["text"]["en"] for words in busy)]
    assert told == [], "a clock that is put right is no fault of the plant"
    assert later["links"][0]["reconnects"] == 0
    assert later["ledger"][0]["balanced"]
    row = finish(agent)
    assert row["waiting"] == 0
    agent.start()
    agent.until("deliveries", more_delivered({"ledger": [row]}, 8), 90)
    finish(agent)
    ticks = in_journal_order(agent.config)
    assert len(ticks) >= 40, "20 before, 20 after and 8 after a start were waited for; few of them can be bad"
    assert ticks == sorted(ticks)
    assert len(stored(influxdb, "tick")) > 0


def in_journal_order(config_path: Path) -> list[int]:
    """The values of all good rows, as they stand in the journal."""
    loaded = load(config_path, Sections())
    journal = Journal.open(loaded.config.journal.path, loaded.tags, loaded.config.journal, SystemClock())
    cursor = journal.cursor("judge")
    values: list[int] = []
    while (batch := cursor.read(100_000)) is not None:
        values += batch.frame.bits[batch.frame.status == 0].tolist()
        cursor.advance(batch, Answer())
    journal.close()
    return values
