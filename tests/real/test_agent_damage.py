"""Files that a dying card leaves behind: the agent starts on them, says what is lost, and counts every value."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures_servers import require_service
from tests.real.rig import (
    all_good,
    collected,
    config,
    delivered,
    finish,
    hub,
    log,
    lost,
    meters,
    more_delivered,
    start,
    values_read,
)
from tests.servers.agent import AgentProcess
from tests.servers.cache import MissingService
from tests.servers.databases import InfluxDB
from tests.servers.process import poll
from tests.servers.sources import MbServer

TAGS = 20
Harm = Callable[[Path], None]


@dataclass
class Base:
    """A state folder with several segments and a cursor in the middle of them, and the servers it belongs to."""

    folder: Path
    row: dict[str, Any]
    hub: InfluxDB
    plant: MbServer
    oldest_waiting: int
    """Number of the first segment that the hub has not seen all of."""

    def sections(self, bucket: str, **more: Any) -> dict[str, Any]:
        small = {"segment_bytes": "16KiB", "max_bytes": "64MiB", "sync_interval": "200ms"}
        link = meters(self.plant.port, TAGS, interval="20ms")
        return config([link], [hub(self.hub, bucket=bucket)], journal=small, detection={"engine": "numpy"}, **more)

    def make_bucket(self, name: str) -> None:
        org = json.loads(self.hub.call("GET", "/api/v2/orgs"))["orgs"][0]["id"]
        wanted = {"orgID": org, "name": name, "retentionRules": []}
        self.hub.call("POST", "/api/v2/buckets", body=json.dumps(wanted).encode())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    folder = tmp_path_factory.mktemp("base")
    try:
        database, plant = InfluxDB(folder / "hub"), MbServer(folder, period_ms=20)
    except MissingService as missing:
        require_service(missing.name, missing.how)
    with database, plant:
        one = Base(folder / "agent" / "state", {}, database, plant, 0)
        agent = start(folder, one.sections(database.bucket), HUB_TOKEN=database.token)
        agent.until("some segments", lambda s: delivered(100)(s) and s["journal"]["segments"] >= 2)
        one.row = finish(agent)
        one.oldest_waiting = len(segments(one.folder))
        agent = start(folder, one.sections("nowhere"), HUB_TOKEN=database.token)
        agent.until("more segments", lambda s: s["journal"]["segments"] >= one.oldest_waiting + 4)
        one.row = finish(agent)
        assert one.row["waiting"] > 0
        yield one


def segments(state: Path) -> list[Path]:
    return sorted((state / "journal").glob("*.segment"))


def scribble(path: Path, start: float, length: int) -> None:
    """Random bytes from a share of the file on."""
    data = bytearray(path.read_bytes())
    at = int(len(data) * start)
    data[at : at + length] = random.Random(7).randbytes(length)
    path.write_bytes(data)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


HARMS: dict[str, Harm] = {
    "one_byte": lambda state: scribble(segments(state)[-3], 0.5, 1),
    "middle_of_one": lambda state: scribble(segments(state)[-3], 0.3, 3000),
    "all_of_one": lambda state: scribble(segments(state)[-3], 0, 1 << 16),
    "end_of_last": lambda state: scribble(segments(state)[-1], 0.6, 1 << 16),
    "middle_of_last": lambda state: scribble(segments(state)[-1], 0.4, 500),
    "all_of_last": lambda state: scribble(segments(state)[-1], 0, 1 << 16),
    "one_truncated": lambda state: truncated(segments(state)[-3]),
    "last_truncated": lambda state: truncated(segments(state)[-1]),
    "one_empty": lambda state: segments(state)[-2].write_bytes(b"") and None,
    "one_gone": lambda state: segments(state)[-2].unlink(),
}
"""What may happen to the log. At most what lies in two segments is lost."""


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_damaged_log(base: Base, tmp_path: Path, harm: Harm, request: pytest.FixtureRequest) -> None:
    bucket = request.node.callspec.id
    base.make_bucket(bucket)
    state = tmp_path / "agent" / "state"
    shutil.copytree(base.folder, state)
    harm(state)
    agent = start(tmp_path, base.sections(bucket), HUB_TOKEN=base.hub.token)
    there = agent.until("deliveries", more_delivered({"ledger": [base.row | {"waiting": 0}]}, TAGS))
    agent.until("new values", lambda s: all_good()(s) and more_delivered(there)(s))
    row = finish(agent)
    damaged = row["dropped"].get("damaged", 0)
    assert set(lost(row)) <= {"damaged"}
    assert damaged < base.row["waiting"] / 2, "what lies beside the damage is not lost"
    assert row["waiting"] == 0
    assert base.hub.count("bench", bucket) == row["delivered"] - base.row["delivered"]
    assert damaged > 0 or "last" in bucket, "a write that never ended is no loss, and the end of the log looks like one"
    assert told(agent, base, bucket)


def told(agent: AgentProcess, base: Base, bucket: str) -> bool:
    """The log of the start, or an event at the hub, says that something is damaged."""
    opened = log(agent, "journal_opened")[0]
    events = base.hub.query_influxql("SELECT * FROM event", bucket)
    return "level=warning" in opened or any("damaged" in str(event) or "손상" in str(event) for event in events)


def cursor_files(state: Path) -> list[Path]:
    return sorted((state / "journal" / "cursors").glob("*.cursor"))


def replaced(path: Path, content: bytes | None) -> None:
    """By these bytes, or (None) by a folder that is not empty."""
    path.unlink()
    if content is None:
        path.mkdir()
        (path / "x").write_text("x")
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", [b"", random.Random(1).randbytes(5000), None], ids=["empty", "garbage", "folder"])
def test_a_damaged_cursor(base: Base, tmp_path: Path, content: bytes | None, request: pytest.FixtureRequest) -> None:
    """The position is lost, so all that is kept is sent again: twice is harmless, never is not."""
    bucket = f"cursor_{request.node.callspec.id}"
    base.make_bucket(bucket)
    state = tmp_path / "agent" / "state"
    shutil.copytree(base.folder, state)
    for path in cursor_files(state):
        replaced(path, content)
    agent = start(tmp_path, base.sections(bucket), HUB_TOKEN=base.hub.token)
    agent.until("deliveries", delivered(values_read(base.row)))
    row = finish(agent)
    assert row["waiting"] == 0
    assert lost(row) == {}
    assert base.hub.count("bench", bucket) == row["delivered"] >= values_read(base.row)


def test_everything_is_garbage(base: Base, tmp_path: Path) -> None:
    """A state folder full of nonsense in every file, and folders where files should be."""
    base.make_bucket("everything")
    chance = random.Random(3)
    state = tmp_path / "agent" / "state"
    shutil.copytree(base.folder, state)
    for path in sorted(state.rglob("*")):
        if path.is_file():
            path.write_bytes(chance.randbytes(chance.randrange(9000)))
    (state / "status.sock").mkdir()
    sections = base.sections("everything", runtime={"socket": str(tmp_path / "s")})
    agent = AgentProcess(tmp_path / "agent", sections, env={"HUB_TOKEN": base.hub.token})
    agent.socket = tmp_path / "s"
    agent.start()
    agent.until("deliveries", lambda s: all_good()(s) and delivered(10 * TAGS)(s))
    row = finish(agent)
    assert set(lost(row)) <= {"damaged"}
    assert base.hub.count("bench", "everything") == row["delivered"]
    assert "level=warning" in log(agent, "journal_opened")[0]
    assert not log(agent, "detection_failed")


@pytest.mark.parametrize(
    ("name", "content"),
    [("detection.npz", random.Random(2).randbytes(3000)), ("detection.json", b""), ("detection.npz", None)],
    ids=["garbage", "empty", "folder"],
)
def test_a_damaged_checkpoint(base: Base, tmp_path: Path, name: str, content: bytes | None) -> None:
    """Detection learns anew and says so."""
    state = tmp_path / "agent" / "state"
    state.mkdir(parents=True)
    shutil.copy(base.folder / "detection.npz", state)
    shutil.copy(base.folder / "detection.json", state) if (base.folder / "detection.json").exists() else None
    (state / name).touch()
    replaced(state / name, content)
    sections = config([meters(base.plant.port)], detection={"engine": "numpy"})
    agent = start(tmp_path, sections)
    agent.until("values", lambda s: all_good()(s) and s["detection"]["engine"] == "numpy")
    finish(agent)
    assert "read checkpoint" in log(agent, "detection_impaired")[0]
    assert not log(agent, "detection_failed")


def test_a_folder_where_the_socket_should_be(base: Base, tmp_path: Path) -> None:
    """Nobody can ask, so the log says it; collection goes on, which the next start shows."""
    agent = AgentProcess(tmp_path / "agent", config([meters(base.plant.port)]))
    agent.socket.mkdir(parents=True)
    (agent.socket / "x").write_text("x")
    agent.spawn()
    poll("its word", lambda: log(agent, "status_unavailable") and log(agent, "link_up"))
    first = finish(agent)
    assert first["collected"] > 0
    shutil.rmtree(agent.socket)
    agent.start()
    agent.until("values", collected(first["collected"] + 4))
    assert finish(agent)["collected"] > first["collected"]


def test_a_socket_that_a_killed_agent_left(base: Base, tmp_path: Path) -> None:
    agent = start(tmp_path, config([meters(base.plant.port)]))
    agent.until("values", collected(4))
    agent.kill()
    assert agent.socket.exists()
    agent.start()
    agent.until("values", all_good())
    finish(agent)
    assert not agent.socket.exists()
