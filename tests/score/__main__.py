"""`./run score nab|vus|skab|tep|cycles --data ROOT --out OUT`: write the detectors' scores, then score them.

ROOT is laid out like the shared data (`nab/…`, `skab/…`, `tep/…`, `cycles/…`). Each data set is a module of this
package with one function `write(data, out)`: it goes over each file once, in order, learns only from the rows before,
never opens a label, and writes one CSV per file into `out`. One configuration serves a whole data set.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

FOLDER = {"nab": "nab", "vus": "nab", "skab": "skab", "tep": "tep", "cycles": "cycles"}
"""Data set to its folder below ROOT."""

SCORER = Path(__file__).parents[2] / "../shared/bench/score_anomaly.py"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run score", description=__doc__)
    parser.add_argument("data_set", choices=sorted(FOLDER))
    parser.add_argument("--data", type=Path, default=SCORER.parents[1] / "data", help="the folder that holds them all")
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder for the scores")
    parser.add_argument("--scorer", type=Path, default=SCORER, help="the program that knows the labels")
    asked = parser.parse_args()
    data = asked.data / FOLDER[asked.data_set]
    if not data.is_dir():
        parser.error(f"no folder {data}: --data names the folder that holds {FOLDER[asked.data_set]}/")
    asked.out.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"tests.score.{asked.data_set}")
    module.write(data, asked.out)
    command = [sys.executable, str(asked.scorer), asked.data_set, str(asked.out), "--data", str(data)]
    code = subprocess.run(command, check=False).returncode
    if hasattr(module, "fixed"):
        print("with the limit that the calibration gives beforehand:", flush=True)
        code |= subprocess.run([*command, "--thresholds", str(module.fixed(asked.out))], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
