"""Tennessee Eastman: learned from the fault-free run `d00`; every other run is judged row by row, as live."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analytics.relation import Relation, Settings
from tests.score.skab import flags

SETTINGS = Settings(lags=2, smooth=1.0, calm=0.1, margin=1.15)
VARIABLES = 52


def write(data: Path, out: Path) -> None:
    """`dNN_te.csv` with `flag` and `score` (multiples of the limit) for each run."""
    relation = Relation.learn(_rows(data / "d00.dat.gz"), SETTINGS)
    for path in sorted(data.glob("d*_te.dat.gz")):
        judgement = relation.judge(_rows(path), relation.begin())
        score = np.nan_to_num(judgement.distance) / relation.limit
        flags(out / f"{path.name.partition('.')[0]}.csv", judgement.beyond, score)


def _rows(path: Path) -> npt.NDArray[np.float64]:
    """[rows, 52]; d00 comes the other way round."""
    with gzip.open(path) as file:
        table = np.loadtxt(file)
    return table.T if table.shape[0] == VARIABLES else table
