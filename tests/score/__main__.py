"""`./run score nab|vus|skab|tep|cycles --data ROOT --out OUT`: write the detectors' scores, then score them.

`./run score plant --out OUT [--seed N] [--machine ht1]`: the virtual plant's faults through live detection (see
`plant.py`); it needs no data, writes OUT/trials.csv and takes about half an hour for all six machines.

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
    parser.add_argument("data_set", choices=[*sorted(FOLDER), "plant"])
    parser.add_argument("--data", type=Path, default=SCORER.parents[1] / "data", help="the folder that holds them all")
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder for the scores")
    parser.add_argument("--scorer", type=Path, default=SCORER, help="the program that knows the labels")
    parser.add_argument("--seed", type=int, default=1, help="plant: another seed, another plant")
    parser.add_argument("--machine", action="append", default=[], help="plant: only this one; may come again")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.data_set == "plant":
        return _plant(asked.out, asked.seed, asked.machine)
    data = asked.data / FOLDER[asked.data_set]
    if not data.is_dir():
        parser.error(f"no folder {data}: --data names the folder that holds {FOLDER[asked.data_set]}/")
    module = importlib.import_module(f"tests.score.{asked.data_set}")
    module.write(data, asked.out)
    command = [sys.executable, str(asked.scorer), asked.data_set, str(asked.out), "--data", str(data)]
    code = subprocess.run(command, check=False).returncode
    if hasattr(module, "fixed"):
        print("with the limit that the calibration gives beforehand:", flush=True)
        code |= subprocess.run([*command, "--thresholds", str(module.fixed(asked.out))], check=False).returncode
    return code


def _plant(out: Path, seed: int, machines: list[str]) -> int:
    from tests.score import plant

    return 0 if plant.main(out, seed, machines) else 1


if __name__ == "__main__":
    sys.exit(main())
