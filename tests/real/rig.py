"""What the tests of the running agent share: short configurations, and what the agent says in status and log."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers.agent import AgentProcess, machines
from tests.servers.databases import Database
from tests.servers.process import poll

Snapshot = dict[str, Any]


def meters(port: int, tags: int = 4, name: str = "meters", unit: int = 1, **device: Any) -> dict[str, Any]:
    """A Modbus link to one unit: float32 tags `<name>_0` … read every 100 ms."""
    registers = [
        {"tag": f"{name}_{k}", "machine": "m0", "address": f"HR:{2 * k}", "type": "float32"} for k in range(tags)
    ]
    unit_section = {"unit": unit, "interval": "100ms", "timeout": "500ms", "tags": registers} | device
    return {"name": name, "connector": "modbus", "host": "127.0.0.1", "port": port, "devices": [unit_section]}


def plc(url: str, nodes: Mapping[str, str], name: str = "plc", **more: Any) -> dict[str, Any]:
    """An OPC UA link without security: tag name -> node."""
    tags = [{"tag": tag, "node": node, "machine": "m0", "interval": "100ms"} for tag, node in nodes.items()]
    security = {"policy": "None", "insecure": "loopback"}
    link = {"name": name, "connector": "opcua", "url": url, "tags": tags, "security": security}
    return link | {"publishing_interval": "100ms", "keep_alive": "1s"} | more


def hub(database: Database, **more: Any) -> dict[str, Any]:
    """An InfluxDB sink called `hub`; the token is in HUB_TOKEN unless `more` says another place."""
    where = {"url": database.url, "org": database.org, "bucket": database.bucket, "token": {"env": "HUB_TOKEN"}}
    return {"name": "hub", "sink": "influxdb", "timeout": "2s"} | where | more


def config(links: Iterable[Mapping[str, Any]], sinks: Iterable[Mapping[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """A site with the machine m0 of class `bench`, without detection unless `more` says so."""
    sections = {"detection": {"enabled": False}, "journal": {"sync_interval": "200ms"}} | more
    return {"site": {"name": "plant"}, "machines": machines(1), "links": [*links], "sinks": [*sinks]} | sections


def start(folder: Path, sections: Mapping[str, Any], *, ready: bool = True, **env: str) -> AgentProcess:
    """The agent, started; without `ready` not waited for."""
    agent = AgentProcess(folder / "agent", sections, env=env)
    if ready:
        agent.start()
    else:
        agent.spawn()
    return agent


def named(rows: Iterable[dict[str, Any]], name: str) -> dict[str, Any]:
    """The link, tag or sink of this name."""
    return next(row for row in rows if row.get("name", row.get("sink")) == name)


def link(snapshot: Snapshot, name: str) -> dict[str, Any]:
    """A link of the status."""
    return named(snapshot["links"], name)


def tags(snapshot: Snapshot, prefix: str = "") -> list[dict[str, Any]]:
    """The tags whose name begins like this."""
    return [tag for one in snapshot["machines"] for tag in one["tags"] if tag["name"].startswith(prefix)]


def all_good(prefix: str = "") -> Any:
    """A condition: every such tag was seen and is good."""
    return lambda s: all(tag["seen"] and tag["quality"] == "good" for tag in tags(s, prefix))


def collected(count: int) -> Any:
    """A condition: at least so many values came through the door."""
    return lambda s: s["ledger"][0]["collected"] + s["ledger"][0]["on_the_way"] >= count


def delivered(count: int = 1) -> Any:
    """A condition: at least so many values reached the hub."""
    return lambda s: s["ledger"][0]["delivered"] >= count


def more_delivered(than: Snapshot, by: int = 1) -> Any:
    """A condition: all that had come at the time of a snapshot, and some more, has reached the hub."""
    row = than["ledger"][0]
    return delivered(row["delivered"] + row["waiting"] + row["on_the_way"] + by)


def balanced(row: Mapping[str, Any]) -> bool:
    """The ledger's equation, computed here from its terms, and what the agent says of itself."""
    terms = row["delivered"] + row["waiting"] + row["quarantined"] + sum(row["dropped"].values())
    return bool(row["balanced"]) and row["collected"] == terms


def lost(row: Mapping[str, Any]) -> dict[str, int]:
    """What the ledger calls dropped, without what a busy machine drops by itself: polls for which there was no time,
    and values that fell into one millisecond with the next.
    """
    return {reason: count for reason, count in row["dropped"].items() if reason not in ("poll_skipped", "superseded")}


def values_read(row: Mapping[str, Any]) -> int:
    """The values collected that were really read: polls for which there was no time are collected and dropped."""
    return int(row["collected"]) - int(row["dropped"].get("poll_skipped", 0))


def log(agent: AgentProcess, event: str = "") -> list[str]:
    """The lines of the agent's log, of all its runs, with this event."""
    lines = agent.err.read_text("utf-8", errors="replace").splitlines() if agent.err.exists() else []
    return [line for line in lines if re.search(rf"\bevent={event}\b", line)] if event else lines


def stopped_ledger(agent: AgentProcess) -> list[dict[str, Any]]:
    """What the last line of the log says that the agent left behind."""
    found = re.search(r'event=agent_stopped ledger="(.*)"', log(agent, "agent_stopped")[-1])
    assert found is not None
    rows: list[dict[str, Any]] = ast.literal_eval(found[1].replace('\\"', '"').replace("\\\\", "\\"))
    return rows


def finish(agent: AgentProcess, number: int = signal.SIGTERM) -> dict[str, Any]:
    """Stops the agent in order; gives the ledger's first row after judging that every value is accounted for."""
    agent.signal(number)
    assert agent.wait(20) == 0, agent.tail()
    rows = stopped_ledger(agent)
    assert all(balanced(row) and row["on_the_way"] == 0 for row in rows), rows
    return rows[0]


def stored(database: Any, tag: str, measurement: str = "bench") -> dict[int, float]:
    """time (ms) -> value, as the database has it."""
    rows = database.query_influxql(f'SELECT "{tag}" FROM "{measurement}"')
    return {row["time"] // 1_000_000: row[tag] for row in rows}


def descriptors(pid: int) -> int:
    """How many file descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def threads(pid: int) -> int:
    """How many threads a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def run_command(agent: AgentProcess, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`edge-agent` with these arguments, in the agent's folder and with a bare environment."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    return subprocess.run(
        [*agent.command[:3], *arguments],
        cwd=agent.folder,
        env=bare | env,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )


@contextmanager
def mounted(folder: Path, *options: str, source: str = "none") -> Iterator[Path]:
    """A file system of its own at `folder`; the test is skipped where this user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["mount", *options, source, str(folder)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"only root may mount a small disk: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        poll("the disk to be free", lambda: not subprocess.run(["umount", str(folder)], check=False).returncode, 20)
