"""What is known of courses, on disk: one file beside the checkpoint, `<path>.novelty.npz`, replaced as a whole.

`profile` and `tail` hold the kernels' states bit for bit, `grid` and `last` what is under way between two grid points,
`meta` (JSON as bytes) the tags' paths and grid steps. A tag whose step is not the stored one learns anew. A file that
cannot be read is set aside and all learn anew: opening never fails.
"""

import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from analytics.kernels import left_profile, tail
from edge_agent.detect.checkpoint import UNREADABLE, replace_file, set_aside
from edge_agent.detect.novelty import COLUMNS, Novelties
from edge_agent.errors import DetectionError

SCHEMA: Final = 1
_WIDTHS: Final = [left_profile.WIDTH, left_profile.WINDOW, left_profile.HISTORY, tail.WIDTH]


class NoveltyCheckpoint:
    """The file beside `path`."""

    def __init__(self, path: Path, novelties: Novelties) -> None:
        self._file, self._novelties = path.with_suffix(".novelty.npz"), novelties

    def save(self) -> None:
        """Raises DetectionError where the disk refuses."""
        known = self._novelties
        if not known.paths:
            return
        meta = {"schema": SCHEMA, "widths": _WIDTHS, "paths": known.paths, "steps": known.step.tolist()}
        packed = io.BytesIO()
        np.savez_compressed(
            packed, allow_pickle=False, profile=known.profile, tail=known.tail, grid=known.grid, last=known.last,
            meta=np.frombuffer(json.dumps(meta).encode(), np.uint8),
        )  # fmt: skip  # the columns in one line
        replace_file(self._file, packed.getvalue())

    def load(self) -> list[DetectionError]:
        """Fills in what is stored of the tags; says what could not be used."""
        if not self._novelties.paths or not self._file.exists():
            return []
        try:
            self._fill(*_read(self._file))
        except UNREADABLE as error:
            for row in range(len(self._novelties.paths)):
                self._novelties.reset(row)
            return [set_aside(self._file, error)]
        return []

    def _fill(self, columns: dict[str, Any], paths: list[str], steps: list[int]) -> None:
        known = self._novelties
        stored = {(path, step): row for row, (path, step) in enumerate(zip(paths, steps, strict=True))}
        for row, one in enumerate(zip(known.paths, known.step.tolist(), strict=True)):
            if one in stored:
                at = stored[one]
                known.profile[row], known.tail[row] = columns["profile"][at], columns["tail"][at]
                known.grid[row], known.last[row] = columns["grid"][at], columns["last"][at]


def _read(path: Path) -> tuple[dict[str, Any], list[str], list[int]]:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        columns = {name: file[name] for name in ("profile", "tail", "grid", "last")}
        meta = json.loads(file["meta"].tobytes())
    count = len(meta["paths"])
    if meta["schema"] != SCHEMA or meta["widths"] != _WIDTHS:
        raise ValueError(f"schema {meta['schema']}, widths {meta['widths']}")
    shapes = [columns[name].shape for name in ("profile", "tail", "grid", "last")]
    if shapes != [(count, left_profile.WIDTH), (count, tail.WIDTH), (count, COLUMNS), (count,)]:
        raise ValueError(f"columns of shapes {shapes}")
    _check_words(columns["profile"], columns["tail"])
    return columns, meta["paths"], meta["steps"]


def _check_words(profile: Any, calibration: Any) -> None:
    """The kernels index by these words without looking: nothing else may ever stand in them."""
    if profile.dtype != np.int64 or calibration.dtype != np.int64:
        raise ValueError("words of another type")
    if not np.isfinite(profile[:, left_profile.F_X :].view(np.float64)).all():
        raise ValueError("a product that is no number")
    ranges = (
        (profile, left_profile.I_HEAD, left_profile.ROWS - 1),
        (profile, left_profile.I_FRESH, left_profile.HISTORY - 1),
        (profile, left_profile.I_ROWS, 1 << 60),
        (profile, left_profile.I_RUN, 1 << 60),
        (calibration, tail.I_POS, tail.RING - 1),
        (calibration, tail.I_FILL, tail.RING),
        (calibration, tail.I_ROWS, 1 << 60),
        (calibration, tail.I_COUNT, 1 << 60),
    )
    for state, column, most in ranges:
        if ((state[:, column] < 0) | (state[:, column] > most)).any():
            raise ValueError(f"impossible state in word {column}")
