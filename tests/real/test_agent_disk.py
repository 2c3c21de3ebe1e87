"""The disk fills up, comes back, freezes: collection, live view and detection go on, and nothing goes uncounted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.real.rig import (
    Snapshot,
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
    start,
    stored,
    tags,
    values_read,
)
from tests.servers.agent import AgentProcess
from tests.servers.databases import InfluxDB

SMALL = {"sync_interval": "200ms", "segment_bytes": "16KiB", "max_bytes": "64MiB"}


def fill(folder: Path) -> Path:
    """Takes all the room that is left."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def given_up(count: int) -> Any:
    """A condition: the journal refuses, and at least so many values were given up."""
    return lambda s: not s["journal"]["writable"] and s["ledger"][0]["dropped"].get("journal_unavailable", 0) >= count


def test_the_disk_fills_up_and_is_freed(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    journal = tmp_path / "journal"
    with mounted(journal, "-t", "tmpfs", "-o", "size=1m"):
        sections = config(
            [meters(mbserver(period_ms=20).port, 40, interval="20ms")],
            [hub(influxdb)],
            journal=SMALL | {"path": str(journal)},
            runtime={"queue_values": 1000},
            detection={"engine": "numpy"},
        )
        agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
        agent.until("deliveries", delivered(20))
        filler = fill(journal)
        full = agent.until("values given up", given_up(100))
        assert "no space" in full["journal"]["error"]["en"]
        assert "공간" in full["journal"]["error"]["ko"]
        assert full["ledger"][0]["balanced"]
        assert full["ledger"][0]["on_the_way"] <= 1000 + 400
        assert is_alive(agent, full)
        filler.unlink()
        freed = agent.until("the journal", lambda s: s["journal"]["writable"])
        after = agent.until("deliveries", more_delivered(freed, 20))
        assert after["ledger"][0]["balanced"]
        row = finish(agent)
        assert row["waiting"] == 0
        assert set(lost(row)) == {"journal_unavailable"}
        assert sum(len(stored(influxdb, f"meters_{k}")) for k in range(40)) == row["delivered"]
        assert len(log(agent, "journal_refused")) == 1
        assert len(log(agent, "journal_recovered")) == 1
        assert not log(agent, "detection_failed")
        agent.start()
        again = agent.until("values", all_good())["ledger"][0]
        assert lost(again) == lost(row), "the loss is known after a restart"
        assert balanced(again)
        finish(agent)


def is_alive(agent: AgentProcess, before: Snapshot) -> bool:
    """Links, live view and detection go on beyond what `before` shows."""
    later = agent.until("newer values", lambda s: all(a["time_ns"] > b["time_ns"] for a, b in both(s, before)))
    assert later["links"][0]["state"] == "up"
    assert later["detection"]["engine"] == "numpy"
    assert later["detection"]["skipped"] == before["detection"]["skipped"]
    return True


def both(one: Snapshot, other: Snapshot) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    yield from zip(tags(one), tags(other), strict=True)


def test_it_starts_and_stops_on_a_full_disk(tmp_path: Path, mbserver: Any) -> None:
    """Nothing but a full disk from beginning to end: exit 0, and the ledger owns up to every value."""
    state = tmp_path / "agent" / "state"
    with mounted(state, "-t", "tmpfs", "-o", "size=64k"):
        fill(state)
        sections = config(
            [meters(mbserver().port)], runtime={"queue_values": 1000}, detection={"engine": "numpy"}, journal=SMALL
        )
        agent = start(tmp_path, sections)
        agent.until("its word", lambda s: not s["journal"]["writable"])
        there = agent.until("values", lambda s: all_good()(s) and collected(40)(s))
        assert not there["journal"]["writable"], "it says so all the while, not only between two attempts"
        assert is_alive(agent, there)
        row = finish(agent)
        assert row["dropped"]["journal_unavailable"] == values_read(row) >= 40


def test_the_checkpoint_has_no_room(tmp_path: Path, mbserver: Any) -> None:
    """Detection's own files are on the full disk, the journal is not: both go on."""
    state = tmp_path / "agent" / "state"
    with mounted(state, "-t", "tmpfs", "-o", "size=64k"):
        sections = config(
            [meters(mbserver().port)],
            detection={"engine": "numpy", "checkpoint_interval": "200ms"},
            journal=SMALL | {"path": str(tmp_path / "journal")},
        )
        agent = start(tmp_path, sections)
        agent.until("values", all_good())
        filler = fill(state)
        impaired = agent.until("its word", lambda s: s["detection"]["error"])
        assert impaired["detection"]["error"]["code"] == "EA-401"
        assert is_alive(agent, impaired)
        filler.unlink()
        agent.until("a checkpoint", lambda s: s["detection"]["error"] is None)
        finish(agent)
    assert log(agent, "detection_impaired")


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """No write to this file system comes back until the end: as a card that hangs."""
    subprocess.run(["fsfreeze", "--freeze", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(folder)], check=True)


@pytest.mark.long
def test_the_watchdog_is_not_fed_while_the_disk_hangs(tmp_path: Path, mbserver: Any) -> None:
    image, journal = tmp_path / "image", tmp_path / "journal"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        mounted(journal, "-o", "loop", source=str(image)),
    ):
        systemd.bind(str(tmp_path / "n"))
        sections = config([meters(mbserver().port)], journal=SMALL | {"path": str(journal / "j")})
        agent = start(tmp_path, sections, NOTIFY_SOCKET=str(tmp_path / "n"), WATCHDOG_USEC="1000000")
        agent.until("values", collected(8))
        with frozen(journal):
            systemd.settimeout(3)
            fed = feeds(systemd)
            assert 10 < fed < 60, "fed while the stage may still be busy, and then no more"
            hanging = agent.status()
            assert hanging["ledger"][0]["on_the_way"] > 0
            assert hanging["ledger"][0]["balanced"]
        systemd.settimeout(20)
        assert systemd.recv(100) == b"WATCHDOG=1", "it works again, so it is fed again"
        row = finish(agent)
        assert lost(row) == {}
        assert row["collected"] >= hanging["ledger"][0]["collected"] + hanging["ledger"][0]["on_the_way"]


def feeds(systemd: socket.socket) -> int:
    """How often the watchdog is fed until it has been quiet for the socket's timeout."""
    count = 0
    with suppress(TimeoutError):
        while systemd.recv(100):
            count += 1
    return count


def test_the_hub_is_away_for_too_long(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    """More values wait than the journal may hold: the oldest go, are counted, and the hub hears of it."""
    influxdb.stop()
    sections = config(
        [meters(mbserver(period_ms=20).port, 120, interval="20ms")],
        [hub(influxdb)],
        journal=SMALL | {"segment_bytes": "8KiB", "max_bytes": "32KiB"},
    )
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
    away = agent.until("retention", lambda s: s["ledger"][0]["dropped"].get("retention", 0) > 0)
    assert balanced(away["ledger"][0])
    assert away["journal"]["bytes"] <= 32 * 1024
    influxdb.start()
    agent.until("deliveries", more_delivered(away, 100))
    row = finish(agent)
    assert (row["waiting"], set(lost(row))) == (0, {"retention"})
    assert influxdb.count("bench") == row["delivered"]
    assert any("journal was full" in str(one) or "저널이 가득" in str(one) for one in events(influxdb))


def events(influxdb: InfluxDB) -> list[dict[str, Any]]:
    return influxdb.query_influxql("SELECT * FROM event")


def test_the_disk_is_full_when_it_is_killed(tmp_path: Path, mbserver: Any) -> None:
    """A kill in the middle of trouble: what was accepted before is there, whole."""
    journal = tmp_path / "journal"
    with mounted(journal, "-t", "tmpfs", "-o", "size=1m"):
        sections = config(
            [meters(mbserver(period_ms=20).port, 60, interval="20ms")],
            journal=SMALL | {"path": str(journal)},
            runtime={"queue_values": 1000},
        )
        agent = start(tmp_path, sections)
        agent.until("values", collected(100))
        filler = fill(journal)
        full = agent.until("values given up", given_up(1))
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
        filler.unlink()
        agent.start()
        later = agent.until("values", all_good())["ledger"][0]
        assert balanced(later)
        assert later["waiting"] >= full["ledger"][0]["waiting"]
        finish(agent)
