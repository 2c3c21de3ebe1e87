"""The demonstration itself, as a user runs it: unattended, with a fault, and with a real InfluxDB behind the agent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.databases import InfluxDB
from tests.servers.process import clean_environment


def demo(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env=clean_environment(kept | {"TMPDIR": str(folder), "COLUMNS": "120", **env}),
    )


@pytest.mark.timeout(200)
def test_the_check_passes_and_leaves_nothing_behind(tmp_path: Path, influxdb: InfluxDB) -> None:
    where = ("--influx", influxdb.url, "--org", influxdb.org, "--bucket", influxdb.bucket)
    done = demo(
        tmp_path, "--check", "--seconds", "60", "--language", "en", *where, INFLUX_TOKEN=influxdb.token
    )
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
    done = demo(tmp_path, "--seconds", "6", "--language", "ko")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1호 침탄로" in done.stdout
    assert "일치" in done.stdout
    assert not list(tmp_path.glob("edge-agent-demo-*"))
