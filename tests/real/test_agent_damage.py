"""Files that a dying card leaves behind: the agent starts on them, says what is lost, and counts every value."""

from __future__ import annotations

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

TAGS = 120
"""Many, so that segments fill soon."""
WAITING = 9
"""Segments at least that the hub has not seen."""
Harm = Callable[[Path], None]


@dataclass
class Base:
    """A state folder with several segments and a cursor in the middle of them, and the servers it belongs to."""

    folder: Path
    row: dict[str, Any]
    hub: InfluxDB
    plant: MbServer

    def sections(self, bucket: str, **more: Any) -> dict[str, Any]:
        small = {"segment_bytes": "8KiB", "max_bytes": "64MiB", "sync_interval": "200ms"}
        link = meters(self.plant.port, TAGS, interval="20ms")
        return config([link], [hub(self.hub, bucket=bucket)], journal=small, detection={"engine": "numpy"}, **more)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, influxdb_server: InfluxDB) -> Iterator[Base]:
    folder, database = tmp_path_factory.mktemp("base"), influxdb_server.emptied()
    try:
        plant = MbServer(folder, period_ms=20)
    except MissingService as missing:
        require_service(missing.name, missing.how)
    with plant:
        one = Base(folder / "agent" / "state", {}, database, plant)
        agent = start(folder, one.sections(database.bucket), HUB_TOKEN=database.token)
        agent.until("some segments", lambda s: delivered(100)(s) and s["journal"]["segments"] >= 2)
        one.row = finish(agent)
        seen = len(segments(one.folder))
        agent = start(folder, one.sections("nowhere"), HUB_TOKEN=database.token)
        agent.until("more segments", lambda s: s["journal"]["segments"] >= seen + WAITING)
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


def one_byte(path: Path) -> None:
    scribble(path, 0.5, 1)


def middle(path: Path) -> None:
    scribble(path, 0.3, 1500)


def end(path: Path) -> None:
    scribble(path, 0.6, 1 << 16)


def all_of_it(path: Path) -> None:
    scribble(path, 0, 1 << 16)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


HARMS: dict[str, dict[int, Harm]] = {
    "parts_of_some_and_the_end_of_the_last": {-8: one_byte, -6: middle, -4: truncated, -1: end},
    "whole_ones_and_the_middle_of_the_last": {-7: all_of_it, -5: emptied, -3: Path.unlink, -1: middle},
    "all_of_the_last": {-1: all_of_it},
    "the_last_truncated": {-1: truncated},
}
"""What may happen to the log, at once: which segments, counted from the end. The last but one is always whole."""
SHORT = ("parts_of_some_and_the_end_of_the_last", "whole_ones_and_the_middle_of_the_last")
"""Those of every run; the others with --long."""


@pytest.mark.parametrize(
    "harm",
    [pytest.param(harm, id=name, marks=() if name in SHORT else pytest.mark.long) for name, harm in HARMS.items()],
)
def test_a_damaged_log(base: Base, tmp_path: Path, harm: dict[int, Harm], request: pytest.FixtureRequest) -> None:
    bucket = request.node.callspec.id
    base.hub.make_bucket(bucket)
    state = tmp_path / "agent" / "state"
    shutil.copytree(base.folder, state)
    paths = segments(state)
    for which, damage in harm.items():
        damage(paths[which])
    agent = start(tmp_path, base.sections(bucket), HUB_TOKEN=base.hub.token)
    there = agent.until("deliveries", more_delivered({"ledger": [base.row | {"waiting": 0}]}, TAGS))
    agent.until("new values", lambda s: all_good()(s) and more_delivered(there)(s))
    row = finish(agent)
    damaged = row["dropped"].get("damaged", 0)
    nameless = lost(row).get("unknown", 0)
    assert set(lost(row)) <= {"damaged", "unknown"}
    assert nameless <= base.row["dropped"].get("poll_skipped", 0), (
        "polls left out, whose reason was in the damaged part"
    )
    assert damaged < base.row["waiting"] / 2, "what lies beside the damage is not lost"
    assert row["waiting"] == 0
    assert base.hub.count("bench", bucket) == row["delivered"] - base.row["delivered"]
    assert damaged > 0 or len(harm) == 1, "a write that never ended is no loss, and the end of the log looks like one"
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


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (random.Random(1).randbytes(5000), "detection.npz"),
        pytest.param(b"", "detection.json", marks=pytest.mark.long),
        pytest.param(None, "detection.npz", marks=pytest.mark.long),
    ],
    ids=["garbage", "empty", "folder"],
)
def test_a_damaged_cursor_and_checkpoint(
    base: Base, tmp_path: Path, content: bytes | None, part: str, request: pytest.FixtureRequest
) -> None:
    """The position is lost, so all that is kept is sent again: twice is harmless, never is not. Detection learns anew
    and says so.
    """
    bucket = f"cursor_{request.node.callspec.id}"
    base.hub.make_bucket(bucket)
    state = tmp_path / "agent" / "state"
    shutil.copytree(base.folder, state)
    (state / part).touch()
    for path in (*cursor_files(state), state / part):
        replaced(path, content)
    agent = start(tmp_path, base.sections(bucket), HUB_TOKEN=base.hub.token)
    agent.until("deliveries", lambda s: delivered(values_read(base.row))(s) and s["detection"]["engine"] == "numpy")
    row = finish(agent)
    assert row["waiting"] == 0
    assert lost(row) == {}
    assert base.hub.count("bench", bucket) == row["delivered"] >= values_read(base.row)
    assert "read checkpoint" in log(agent, "detection_impaired")[0]
    assert not log(agent, "detection_failed")


def test_everything_is_garbage(base: Base, tmp_path: Path) -> None:
    """A state folder full of nonsense in every file, and folders where files should be."""
    base.hub.make_bucket("everything")
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


def test_a_folder_where_the_socket_should_be_and_a_socket_that_a_killed_agent_left(base: Base, tmp_path: Path) -> None:
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
    agent.kill()
    assert agent.socket.exists(), "a killed agent leaves it behind"
    agent.start()
    agent.until("values", all_good())
    assert finish(agent)["collected"] > first["collected"]
    assert not agent.socket.exists()
