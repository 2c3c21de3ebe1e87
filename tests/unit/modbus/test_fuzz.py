"""Coverage-guided fuzzing of the lines, the long form of what hypothesis does in test_wire and test_serial_line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUNS = 200_000


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", ["tcp", "rtu", "ascii", "identity"])
def test_no_bytes_make_a_line_fail_or_a_wrong_value(way: str, tmp_path: Path) -> None:
    """Each input found to reach new code begins the next: fuzz.py says what must hold."""
    pytest.importorskip("atheris", reason="atheris has no wheel for this machine")
    command = [sys.executable, "-m", "tests.unit.modbus.fuzz", way, f"-runs={RUNS}", "-max_len=2000", str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr
    assert len(list(tmp_path.iterdir())) > 20, "it found its way into the code"
