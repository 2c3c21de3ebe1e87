"""SKAB: each file's first 400 rows are of a machine that is well; the rest is judged row by row, as live."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analytics.relation import Relation, Settings

LEARN = 400
"""Rows, as the benchmark says."""
SETTINGS = Settings(lags=2, smooth=0.1, calm=0.2, margin=1.7)
_NO_SIGNAL = {"datetime", "anomaly", "changepoint"}


def write(data: Path, out: Path) -> None:
    """One CSV with `flag` and `score` (multiples of the limit) for each file of `data`, at the same relative path."""
    for path in sorted(data.rglob("*.csv.gz")):
        rows = _signals(path)
        relation = Relation.learn(rows[:LEARN], SETTINGS)
        judgement = relation.judge(rows, relation.begin())
        target = out / path.relative_to(data).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        score = np.nan_to_num(judgement.distance) / relation.limit
        flags(target, judgement.beyond, score)


def flags(target: Path, beyond: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> None:
    """The file that the scorer reads."""
    with target.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("flag", "score"))
        table.writerows(zip(beyond.astype(int).tolist(), score.tolist(), strict=True))


def _signals(path: Path) -> npt.NDArray[np.float64]:
    """The sensors' columns; the labels' are not looked at."""
    with gzip.open(path, "rt", newline="") as file:
        table = csv.reader(file, delimiter=";")
        keep = [at for at, name in enumerate(next(table)) if name not in _NO_SIGNAL]
        return np.array([[float(row[at]) for at in keep] for row in table])
