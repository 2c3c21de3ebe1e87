"""The unit is valid, tight, and tells its service what the guide says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.shipped import shipped
from tests.fixtures_servers import require_service

UNIT = shipped("deploy") / "systemd" / "edge-agent.service"
SERIAL = shipped("deploy") / "systemd" / "edge-agent.service.d" / "serial.conf"


@pytest.fixture(params=["plain", "serial"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit with a program that exists here, once with the serial drop-in."""
    if shutil.which("systemd-analyze") is None:
        require_service("systemd-analyze", "apt install systemd")
    placed = tmp_path / UNIT.name
    placed.write_text(UNIT.read_text("utf-8").replace("/opt/edge-agent/bin/edge-agent", sys.executable), "utf-8")
    if request.param == "serial":
        drop_in = tmp_path / f"{UNIT.name}.d" / SERIAL.name
        drop_in.parent.mkdir()
        drop_in.write_bytes(SERIAL.read_bytes())
    return placed


def analyze(*arguments: str | Path) -> None:
    done = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert not done.stderr.strip(), done.stderr


def test_verify(unit: Path) -> None:
    analyze("verify", unit)


def test_security(unit: Path) -> None:
    analyze("security", "--offline=true", "--threshold=15", "--no-pager", unit)


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "DynamicUser=yes",
        "StateDirectory=edge-agent",
        "CacheDirectory=edge-agent",
        "LoadCredential=influx-token:/etc/edge-agent/influx-token",
    ],
)
def test_the_promises_of_the_guide_stand_in_the_unit(line: str) -> None:
    assert line in UNIT.read_text("utf-8").splitlines()


def test_kernels_may_be_compiled() -> None:
    assert not any(line.startswith("MemoryDenyWriteExecute") for line in UNIT.read_text("utf-8").splitlines())


@pytest.mark.parametrize("guide", ["README.md", "README.ko.md"])
def test_both_guides_give_the_same_commands(guide: str) -> None:
    text = (shipped("deploy") / guide).read_text("utf-8")
    for command in (
        "python3 -m venv /opt/edge-agent",
        "--require-hashes -r requirements.lock",
        "install -m 0600 /dev/null /etc/edge-agent/influx-token",
        "install -m 0644 deploy/systemd/edge-agent.service /etc/systemd/system/",
        "systemctl enable --now edge-agent",
        "serial.conf",
    ):
        assert command in text
