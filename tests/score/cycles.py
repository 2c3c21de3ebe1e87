"""Cycles of three processes against their golden curves, one configuration for all, in one pass.

The first third of each file is fault-free by its README: it stands for the golden cycles a person chose.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from analytics.cycles.golden import Golden
from analytics.cycles.template import Cycle

LIMIT = 2.0
"""A cycle that scores beyond this (1 good cycle in 100) is not learned from."""


def write(data: Path, out: Path) -> None:
    """Writes OUT/<process>.csv (cycle, score) for each DATA/<process>/cycles.csv.gz."""
    for source in sorted(data.glob("*/cycles.csv.gz")):
        cycles = dict(read_cycles(source))
        first = (max(cycles) + 1) // 3
        golden = Golden([cycle for number, cycle in cycles.items() if number < first])
        with (out / f"{source.parent.name}.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["cycle", "score"])
            rows.writerows((n, 0.0 if n < first else golden.score(c, LIMIT).score) for n, c in cycles.items())


def read_cycles(source: Path) -> Iterator[tuple[int, Cycle]]:
    """The cycles of a file in order: number, then seconds since its start and channels."""
    with gzip.open(source, "rt", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for number, group in groupby(rows, key=lambda row: row[0]):
            table = np.array(list(group), dtype=float)
            yield int(number), Cycle(table[:, 1], np.ascontiguousarray(table[:, 2:].T))
