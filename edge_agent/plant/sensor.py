"""Sensors: what stands between a true value and what the agent sees of it.

lag (first order) → gain·x + offset → noise → slow drift (Ornstein-Uhlenbeck) → resolution → range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

DRIFT_TIME: Final = 1800.0
"""Correlation time of the slow drift, seconds."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One channel. `lag` in seconds; `noise` and `drift` are standard deviations and `resolution` a step, all in the
    channel's unit; 0 switches a part off."""

    name: str
    noise: float = 0.0
    resolution: float = 0.0
    lag: float = 0.0
    drift: float = 0.0
    gain: float = 1.0
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf


class SensorBank:
    """All channels of one machine, as columns. Draws two normal numbers a channel and reading, always."""

    def __init__(self, sensors: Sequence[Sensor], rng: np.random.Generator) -> None:
        """`rng` is the machine's own generator: the order of draws is part of what a seed means."""
        self.names = tuple(sensor.name for sensor in sensors)
        self.offset = np.array([sensor.offset for sensor in sensors])
        """Offsets of the channels: a fault may move one."""
        self._rng = rng
        self._noise, self._lag, self._drift, self._gain, self._low, self._high = (
            np.array([getattr(sensor, column) for sensor in sensors])
            for column in ("noise", "lag", "drift", "gain", "low", "high")
        )
        resolution = np.array([sensor.resolution for sensor in sensors])
        self._coarse = np.flatnonzero(resolution)
        self._step = resolution[self._coarse]
        self._state: Float64 | None = None
        self._wander = self._drift * rng.standard_normal(len(sensors))

    def read(self, true: Float64, dt: float) -> Float64:
        """What the instruments show of the true values, one a channel, `dt` seconds after the last reading."""
        if self._state is None:
            self._state = true.astype(np.float64)
        self._state = self._state + dt / np.maximum(self._lag, dt) * (true - self._state)
        draws = self._rng.standard_normal((2, len(self.names)))
        self._wander *= 1.0 - dt / DRIFT_TIME
        self._wander += self._drift * sqrt(2 * dt / DRIFT_TIME) * draws[1]
        shown = self._gain * self._state + self.offset + self._noise * draws[0] + self._wander
        if self._coarse.size:
            shown[self._coarse] = np.round(shown[self._coarse] / self._step) * self._step
        clipped: Float64 = np.minimum(np.maximum(shown, self._low), self._high)
        return clipped
