"""NAB: one value after the other, as live. `score` is the novelty's alarm score, as the benchmark counts alarms.

It is scored twice: with the threshold that is best for the corpus, as the benchmark does, and with the one that the
calibration gives for a budget of false alarms.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analytics.kernels.novelty import new_novelties
from analytics.kernels.novelty_numba import judge
from analytics.kernels.tail import alarm_limit

BUDGET = 1.0, 300.0
"""One false alarm a week at a row in five minutes, as most of these series are: the limit that nobody has tuned."""
Column = npt.NDArray[np.float64]


def write(data: Path, out: Path) -> None:
    """One CSV with the alarm score of each row for each file of `data`/data, at the same relative path."""
    for path, values in series(data / "data"):
        scores(out / path, judged(values)[1])


def fixed(folder: Path) -> Path:
    """The limit that the calibration alone gives, as the scorer wants it, in a new file of `folder`."""
    target = folder / "limits.json"
    profiles = "standard", "reward_low_FP_rate", "reward_low_FN_rate"
    target.write_text(json.dumps(dict.fromkeys(profiles, alarm_limit(*BUDGET))))
    return target


def judged(values: Column) -> tuple[Column, Column]:
    """Score and alarm score of one series."""
    return judge(np.zeros(1, np.int64), np.array([0, len(values)]), values, new_novelties(1))


def series(folder: Path) -> list[tuple[Path, Column]]:
    """Each file's path below `folder`, without `.gz`, and its values."""
    found = sorted(path for end in ("*.csv", "*.csv.gz") for path in folder.rglob(end))
    return [(_plain(path.relative_to(folder)), _values(path)) for path in found]


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".gz" else path


def _values(path: Path) -> Column:
    """What is no number is NaN."""
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        return np.array([_number(row["value"]) for row in csv.DictReader(file)])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def scores(target: Path, column: Column) -> None:
    """The file that the scorer reads."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["score"])
        table.writerows([value] for value in column.tolist())
