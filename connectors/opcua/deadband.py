"""Deadbands that the agent keeps itself: of tags that are read, and where a server can't do it. Pure."""

import numpy as np
import numpy.typing as npt

from connectors.opcua.rows import Rows
from edge_agent.api import Kind

Floats = npt.NDArray[np.float64]


class Deadband:
    """One link's. A row is passed on when it is farther than the band from the last that was, or of another status."""

    def __init__(self, count: int) -> None:
        """For handles below `count`, none of which has a band yet."""
        self._band = np.zeros(count)
        self._value = np.full(count, np.nan)
        self._status = np.zeros(count, np.uint32)
        self._any = False

    def keep(self, handles: npt.NDArray[np.intp], band: Floats) -> None:
        """From now on for these handles too; a band that is not finite is none."""
        self._band[handles] = np.where(np.isfinite(band), band, 0.0)
        self._any = bool(self._band.any())

    def outside(self, rows: Rows) -> Rows:
        """What is passed on. Rows that come twice for a tag are, all of them."""
        if not self._any:
            return rows
        handle = rows.handle.astype(np.intp)
        value = numbers(rows.kind, rows.bits)
        with np.errstate(invalid="ignore"):  # infinities: they are judged later, and are no neighbours of anything
            near = np.abs(value - self._value[handle]) <= self._band[handle]
        inside = near & (rows.status == self._status[handle]) & (self._band[handle] > 0)
        if inside.any() and len(np.unique(handle)) < len(handle):
            inside[:] = False
        passed = ~inside
        self._value[handle[passed]] = value[passed]
        self._status[handle[passed]] = rows.status[passed]
        return rows.part(np.flatnonzero(passed)) if inside.any() else rows


def numbers(kind: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64]) -> Floats:
    """The values of number rows; NaN of the others."""
    floats = (kind == Kind.FLOAT64) | (kind == Kind.FLOAT32)
    return np.select(
        [floats, kind == Kind.INT64, kind == Kind.UINT64],
        [bits.view(np.float64), bits.view(np.int64).astype(np.float64), bits.astype(np.float64)],
        np.nan,
    )
