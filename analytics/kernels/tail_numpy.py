"""Calibration without numba, equal to `tail_numba` to the last bit.

Round r takes the r-th row of each tag at once. Rows of quiet tags that stay under their threshold, nearly all of them,
are calculated together; the others take `tail`'s own steps one by one.
"""

from typing import Final

import numpy as np

from analytics.kernels import tail as at
from analytics.kernels.layout import Float64, Int64

NAME: Final = "numpy"
_step: Final = at.build(lambda function: function)


def _quiet(rows: Int64, d: Float64, state: Int64, parameters: Float64) -> tuple[Float64, Float64]:
    f, p = state.view(np.float64)[rows], parameters[rows]
    limit = f[:, at.F_LIMIT].copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(limit > 0.0, at.BODY * d / limit, 0.0)
    shape = np.minimum(np.maximum(f[:, at.F_SHAPE], 0.0), at.SHAPE_MOST)
    sigma = np.maximum(np.maximum(f[:, at.F_MEAN] * (1.0 - shape), p[:, at.P_FLOOR]), at.TINY)
    seen = state[rows, at.I_ROWS] + 1
    f[:, at.F_LIMIT] = np.maximum(limit - sigma / np.minimum(seen, at.MEMORY), 0.0)
    turn = seen % np.maximum(p[:, at.P_FORGET].astype(np.int64) // 2, 1) == 0
    f[turn, at.F_BEFORE] = f[turn, at.F_RECORD]
    f[turn, at.F_RECORD] = 0.0
    known = np.maximum(f[:, at.F_RECORD], f[:, at.F_BEFORE])
    f[:, at.F_RECORD] = np.maximum(f[:, at.F_RECORD], score)
    state[rows] = f.view(np.int64)
    state[rows, at.I_ROWS] = seen
    return score, np.where(score > known, score, 0.0)


def _round(rows: Int64, d: Float64, state: Int64, parameters: Float64, scratch: Float64) -> tuple[Float64, Float64]:
    score, alarm, floats = np.zeros(len(rows)), np.zeros(len(rows)), state.view(np.float64)
    quiet = (state[rows, at.I_ROWS] >= at.RING) & (state[rows, at.I_SPAN] == 0) & (d <= floats[rows, at.F_LIMIT])
    score[quiet], alarm[quiet] = _quiet(rows[quiet], d[quiet], state, parameters)
    for k in np.flatnonzero(~quiet):
        row = rows[k]
        score[k], alarm[k] = _step(floats[row], state[row], parameters[row], scratch, d[k])
    return score, alarm


def calibrate(
    tags: Int64, offsets: Int64, distance: Float64, state: Int64, parameters: Float64
) -> tuple[Float64, Float64]:
    """As `tail_numba.calibrate`."""
    score, alarm, scratch = np.empty(len(distance)), np.empty(len(distance)), np.empty(at.RING)
    lengths = np.diff(offsets)
    for r in range(int(lengths.max(initial=0))):
        some = lengths > r
        at_rows = offsets[:-1][some] + r
        score[at_rows], alarm[at_rows] = _round(tags[some], distance[at_rows], state, parameters, scratch)
    return score, alarm
