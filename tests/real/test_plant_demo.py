"""The demonstration itself, as a user runs it: unattended, with a fault, and with a real InfluxDB behind the agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.databases import InfluxDB
from tests.servers.process import clean_environment, poll


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edge_agent", "demo", *arguments]


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ}
    return clean_environment(kept | {"TMPDIR": str(folder), "COLUMNS": "120", **more})


def demo(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=170, check=False, env=environment(folder, **env)
    )


@pytest.mark.timeout(200)
def test_the_check_passes_and_leaves_nothing_behind(tmp_path: Path, influxdb: InfluxDB) -> None:
    where = ("--influx", influxdb.url, "--org", influxdb.org, "--bucket", influxdb.bucket)
    done = demo(tmp_path, "--check", "--seconds", "10", "--language", "en", *where, INFLUX_TOKEN=influxdb.token)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All holds." in done.stdout
    assert "stored in InfluxDB" in done.stdout
    assert "65 / 65" in done.stdout
    assert not list(tmp_path.glob("edge-agent-demo-*"))


def test_a_missing_token_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = demo(tmp_path, "--language", "en", "--influx", "http://127.0.0.1:1", "--org", "o", "--bucket", "b")
    assert done.returncode == 1
    assert "INFLUX_TOKEN" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(120)
def test_a_short_look_ends_by_itself_in_order(tmp_path: Path) -> None:
    done = demo(tmp_path, "--seconds", "3", "--language", "ko")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1호 침탄로" in done.stdout
    assert "일치" in done.stdout
    assert not list(tmp_path.glob("edge-agent-demo-*"))


def of_the_demo(folder: Path) -> dict[int, str]:
    """Processes whose command line speaks of this folder: the agent and the plant's servers."""
    found: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found[int(path.parent.name)] = words
    return found


def hears_ctrl_c() -> None:
    """A shell starts what it runs in the background, as this suite may be run, deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        signal.SIGKILL,
    ],
)
def test_however_it_ends_no_process_stays_behind(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM is made a Ctrl-C where it arrives, so the way from there on is one."""
    with (tmp_path / "said").open("wb") as said:
        running: subprocess.Popen[Any] = subprocess.Popen(
            command("--language", "en"), stdout=said, stderr=said, env=environment(tmp_path), preexec_fn=hears_ctrl_c
        )
    try:
        poll("the agent to answer", lambda: list(tmp_path.glob("edge-agent-demo-*/state/status.sock")), 60.0)
        assert len(of_the_demo(tmp_path)) == 4
        running.send_signal(number)
        code = running.wait(60)
    finally:
        running.kill()
        running.wait()
    poll("all its processes to end", lambda: not of_the_demo(tmp_path), 30.0)
    if number != signal.SIGKILL:
        assert code == 0, (tmp_path / "said").read_text()
        assert not list(tmp_path.glob("edge-agent-demo-*"))
