"""VUS-PR on the series of NAB: `score` is the novelty's dense score."""

from __future__ import annotations

from pathlib import Path

from tests.score.nab import judged, scores, series


def write(data: Path, out: Path) -> None:
    """One CSV with the score of each row for each file of `data`/data, at the same relative path."""
    for path, values in series(data / "data"):
        scores(out / path, judged(values)[0])
