"""The left matrix profile as numba machine code; importing compiles it or reads the cache.

The arithmetic is in `left_profile`. Raises ImportError where numba can't compile here.
"""

import inspect
import math
import zlib
from typing import Any, Final

import numpy as np
from numba import float64, int64, njit, types, void
from numba.core.errors import NumbaError

from analytics.kernels import left_profile as at
from analytics.kernels.layout import Float64, Int64

NAME: Final = "numba"


CHUNK: Final = 512
"""Lags that are moved on and then compared, while they are still near."""


def _moved(
    product: Float64, df: Float64, dg: Float64, inverse: Float64, out: Float64, new_df: float, new_dg: float
) -> None:
    for k in range(len(product)):
        product[k] += new_df * dg[k] + df[k] * new_dg
        out[k] = product[k] * inverse[k]


def _greatest(out: Float64) -> float:
    """Its own loop, told that no NaN is there: only so the compiler takes several at once. The result is the same."""
    best = -math.inf
    for k in range(len(out)):
        best = max(best, out[k])
    return best


_compiled_moved: Final[Any] = njit(nogil=True, error_model="numpy")(_moved)
_compiled_greatest: Final[Any] = njit(nogil=True, error_model="numpy", fastmath={"nnan", "nsz"})(_greatest)


def _scan(
    product: Float64, df: Float64, dg: Float64, inverse: Float64, out: Float64, new_df: float, new_dg: float
) -> int:
    best, where = -math.inf, 0
    for a in range(0, len(product), CHUNK):
        b = min(a + CHUNK, len(product))
        _compiled_moved(product[a:b], df[a:b], dg[a:b], inverse[a:b], out[a:b], new_df, new_dg)
        most = _compiled_greatest(out[a:b])
        if most > best:
            best, where = most, a
    while out[where] != best and where + 1 < len(out):
        where += 1
    return where


_inner: Final[Any] = njit(nogil=True, error_model="numpy")
_step: Final[Any] = at.build(_inner, _inner(_scan))


def _with_digest(digest: int) -> Any:
    def every_row(
        tags: Int64, offsets: Int64, values: Float64, floats: Float64, ints: Int64, scratch: Float64, out: Float64
    ) -> None:
        for g in range(len(tags) if digest else 0):  # never 0: makes the digest a part of the closure
            f, i = floats[tags[g]], ints[tags[g]]
            for row in range(offsets[g], offsets[g + 1]):
                out[row] = _step(f, i, scratch, values[row])

    return every_row


def _read_only(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C", readonly=True)


_SIGNATURE: Final = void(
    _read_only(int64), _read_only(int64), _read_only(float64), float64[:, ::1], int64[:, ::1], float64[::1],
    float64[::1],
)  # fmt: skip  # columns, then state, then results
try:
    _digest: Final = zlib.crc32(inspect.getsource(at).encode()) | 1 << 32
    _compiled: Final = njit(_SIGNATURE, nogil=True, cache=True, error_model="numpy")(_with_digest(_digest))
except NumbaError as error:
    raise ImportError(f"numba cannot compile the left matrix profile: {error}") from error


def distances(tags: Int64, offsets: Int64, values: Float64, state: Int64) -> Float64:
    """The distance of each value's window to the nearest earlier one, and moves `state` on; see `left_profile`.

    Row `tags[g]` of `state` owns values `offsets[g]` to `offsets[g + 1]`, in order of time. NaN where nothing is told.
    """
    out = np.empty(len(values))
    _compiled(tags, offsets, values, state.view(np.float64), state, np.empty(at.ROWS), out)
    return out
