"""`edge-agent simulate` as a process: says where its servers are, takes orders, labels faults, ends when told to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

DEADLINE_S = 50.0


def until(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    path = tmp_path / "plant.yaml"
    path.write_text(
        "speed: 10\nservers: [{server: press-plc}]\n"
        "faults: [{machine: press200, fault: brake, at: 1, until: 3, severity: 0.5}]\n",
        "utf-8",
    )
    return path


def test_a_plant_runs_takes_orders_and_ends_when_told_to(plant: Path, tmp_path: Path) -> None:
    labels, said = tmp_path / "labels.jsonl", tmp_path / "said"
    command = [sys.executable, "-m", "edge_agent", "simulate", str(plant), "--labels", str(labels), "-l", "en"]
    command += ["--fault", "press200:lube@2:0.7"]
    environment = os.environ | {"TMPDIR": str(tmp_path / "t")}
    (tmp_path / "t").mkdir()
    with said.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, env=environment)
    assert process.stdin is not None
    try:
        assert until(lambda: "orders:" in said.read_text()), said.read_text()
        assert "opc.tcp://127.0.0.1:" in said.read_text()
        process.stdin.write(b"fault press200:eccentric\nfault ht1:fan\n")
        process.stdin.flush()
        assert until(lambda: "eccentric" in labels.read_text() and "refused" in said.read_text()), said.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(DEADLINE_S)
        process.stdin.close()
    assert code == 0, said.read_text()
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert {line["fault"] for line in lines if "fault" in line} == {"brake", "lube", "eccentric"}
    assert any(line["fault"] == "brake" and line["t_end"] for line in lines if "fault" in line)
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.parametrize("given", ["press200:melt", "ht9:fan", "press200:"])
def test_a_fault_that_the_plant_does_not_know_is_refused(plant: Path, given: str) -> None:
    from edge_agent.cli.simulate import breakage
    from edge_agent.plant.plan import read_plan

    with pytest.raises(ValueError, match=r"press200|is not name"):
        breakage(given, read_plan(plant))
