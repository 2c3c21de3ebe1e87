"""Controllers: proportional-integral, with the anti-windup that real temperature controllers have."""

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


class PiController:
    """One or several loops as columns: u = clip(bias + gain·e + I, 0, 1).

    The integral moves only while u is unsaturated, or when the error drives it back from its limit.
    """

    def __init__(self, gain: float, reset_time: float, integral: Float64, *, bias: float = 0.0) -> None:
        """`reset_time` in seconds; `integral` is the integral part at the start, one value a loop."""
        self._gain = gain
        self._reset_time = reset_time
        self._bias = bias
        self.integral = integral.astype(np.float64)

    def output(self, error: Float64, dt: float) -> Float64:
        """The outputs, 0…1, for set value minus process value, `dt` seconds after the last call."""
        raw = self._bias + self._gain * error + self.integral
        free = ((raw < 1) | (error < 0)) & ((raw > 0) | (error > 0))
        moved = self.integral + error * (self._gain / self._reset_time * dt)
        self.integral = np.where(free, _within(moved, -self._bias, 1 - self._bias), self.integral)
        return _within(raw, 0.0, 1.0)


def _within(values: Float64, low: float, high: float) -> Float64:
    """`np.clip`, without its overhead of 10 µs: a furnace takes thousands of steps to heat."""
    clipped: Float64 = np.minimum(np.maximum(values, low), high)
    return clipped
