"""Novelty as numba machine code; importing compiles it or reads the cache. The arithmetic is in `novelty`.

Raises ImportError where numba can't compile here.
"""

import inspect
import zlib
from typing import Any, Final

import numpy as np
from numba import float64, int64, njit, types, void
from numba.core.errors import NumbaError

from analytics.kernels import novelty as at
from analytics.kernels import tail
from analytics.kernels.layout import Float64, Int64

NAME: Final = "numba"
_step: Final[Any] = at.build(njit(nogil=True, error_model="numpy"))


def _with_digest(digest: int) -> Any:
    def every_row(
        tags: Int64, offsets: Int64, values: Float64, floats: Float64, ints: Int64, parameters: Float64,
        scratch: Float64, score: Float64, alarm: Float64,
    ) -> None:  # fmt: skip  # columns, then state, then results
        for g in range(len(tags) if digest else 0):  # never 0: makes the digest a part of the closure
            f, i = floats[tags[g]], ints[tags[g]]
            for row in range(offsets[g], offsets[g + 1]):
                score[row], alarm[row] = _step(f, i, parameters, scratch, values[row])

    return every_row


def _read_only(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C", readonly=True)


_SIGNATURE: Final = void(
    _read_only(int64), _read_only(int64), _read_only(float64), float64[:, ::1], int64[:, ::1], _read_only(float64),
    float64[::1], float64[::1], float64[::1],
)  # fmt: skip  # columns, then state, then results
try:
    _sources: Final = inspect.getsource(at) + inspect.getsource(tail)
    _digest: Final = zlib.crc32(_sources.encode()) | 1 << 32
    _compiled: Final = njit(_SIGNATURE, nogil=True, cache=True, error_model="numpy")(_with_digest(_digest))
except NumbaError as error:
    raise ImportError(f"numba cannot compile the novelty detector: {error}") from error


def judge(tags: Int64, offsets: Int64, values: Float64, state: Int64) -> tuple[Float64, Float64]:
    """Score and alarm score of each value, and moves `state` on; see `novelty`.

    Row `tags[g]` of `state` owns values `offsets[g]` to `offsets[g + 1]`, in order of time.
    """
    score, alarm = np.empty(len(values)), np.empty(len(values))
    columns = tags, offsets, values
    _compiled(*columns, state.view(np.float64), state, at.PARAMETERS, np.empty(tail.RING), score, alarm)
    return score, alarm
