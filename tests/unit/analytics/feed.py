"""Rows for kernels: parameters, blocks, and whole series through one engine."""

from types import ModuleType

import numpy as np

from analytics.kernels import fused_numba, fused_numpy
from analytics.kernels import layout as at
from analytics.kernels.block import Block
from tests.naive import NaiveParameters

ENGINES = (fused_numba, fused_numpy)
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def parameter_rows(*parameters: NaiveParameters) -> np.ndarray:
    return np.array([one.as_row() for one in parameters])


class Series:
    """One tag through one engine, row by row or in blocks; `mask` and `score` keep everything that came out."""

    def __init__(self, engine: ModuleType, parameters: NaiveParameters | None = None) -> None:
        self.engine = engine
        self.parameters = parameter_rows(parameters or NaiveParameters())
        self.state = at.new_state(1)
        self.time = START
        self.mask = np.empty(0, np.int64)
        self.score = np.empty(0)

    @property
    def phase(self) -> int:
        return int(self.state[0, at.I_PHASE])

    def feed(self, values, dt: float = 1.0, code: int = 0) -> np.ndarray:
        """Values `dt` seconds apart; the masks."""
        values = np.atleast_1d(np.asarray(values, float))
        times = self.time + (np.arange(1, len(values) + 1) * dt * SECOND).astype(np.int64)
        self.time = int(times[-1])
        block = Block.of_rows(np.zeros(len(values), np.int32), times, values, np.full(len(values), code, np.uint8), 1)
        mask, score, _ = self.engine.score_block(block, self.state, self.parameters)
        self.mask, self.score = np.append(self.mask, mask), np.append(self.score, score)
        return mask

    def settle(self) -> None:
        at.settle(self.state, np.array([0]))
