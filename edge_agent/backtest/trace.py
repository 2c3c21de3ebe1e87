"""Trace: each tag's values and scores, thinned to so many points that a picture needs, however long the run.

Time is cut into `buckets` equal pieces that begin at the first row. When the rows go beyond the last piece, pieces are
joined two by two and each covers twice the time: memory stays the same and every minimum and maximum is kept.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.kernels.block import Block
from edge_agent.model import Frame, is_good

_CELLS: Final = 2_000_000
_MOST: Final = 1200
_LEAST: Final = 100
Curve = npt.NDArray[np.float32]


class Trace:
    """`low`, `high` and `top` [tags, buckets]: least and largest good value, and largest score; NaN where none."""

    def __init__(self, tags: int) -> None:
        self.buckets = int(np.clip(_CELLS // max(tags, 1), _LEAST, _MOST)) // 2 * 2
        self.low: Curve = np.full((tags, self.buckets), np.nan, np.float32)
        self.high: Curve = np.full((tags, self.buckets), np.nan, np.float32)
        self.top: Curve = np.full((tags, self.buckets), np.nan, np.float32)
        self.start: int | None = None
        self.width = 1_000_000_000
        """ns of a bucket."""

    def values(self, frame: Frame) -> None:
        """Draws a frame's good numbers. Rows of any order, none much before the first ones."""
        value = frame.floats()
        with np.errstate(over="ignore"):
            value = np.where(is_good(frame.status) & np.isfinite(value), value, np.nan).astype(np.float32)
        place = self._places(frame.time)
        cell = frame.tag * self.buckets + place
        np.fmin.at(self.low.reshape(-1), cell, value)
        np.fmax.at(self.high.reshape(-1), cell, value)

    def score(self, block: Block, score: npt.NDArray[np.float64]) -> None:
        """Draws the scores of a block."""
        place = self._places(block.time)
        tags = np.repeat(block.tags, np.diff(block.offsets))
        np.fmax.at(self.top.reshape(-1), tags * self.buckets + place, score.astype(np.float32))

    def times(self) -> npt.NDArray[np.int64]:
        """The middle of each bucket, ns since 1970 UTC."""
        return (self.start or 0) + self.width // 2 + self.width * np.arange(self.buckets, dtype=np.int64)

    def _places(self, time: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if self.start is None:
            self.start = int(time.min())
        last = int(time.max()) - self.start
        while last >= self.buckets * self.width:
            self._join()
        out: npt.NDArray[np.int64] = np.maximum((time - self.start) // self.width, 0)
        return out

    def _join(self) -> None:
        half = self.buckets // 2
        for curve, join in ((self.low, np.fmin), (self.high, np.fmax), (self.top, np.fmax)):
            curve[:, :half] = join(curve[:, ::2], curve[:, 1::2])
            curve[:, half:] = np.nan
        self.width *= 2
