"""What a request costs on a link: seconds for itself, and seconds for each byte of its answer. Learned from trips.

A trip is the time from sending a request to having its answer, of requests that were alone on the line. Trips grow
with the length of the answer in a straight line (on a serial line one character takes 10 or 11 bits' time), so the line
through them says what a request costs beside its bytes.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from connectors.modbus.plan import USUAL

_ENOUGH: Final = 100
"""Trips before the line through them is believed."""
_MEMORY: Final = 4000.0
"""Trips after which old ones count 1/e."""
_SPIKE: Final = 4.0
"""A trip longer than so many mean ones is the machine's own hiccup and counts as this."""
_NARROW: Final = 4.0
"""Variance of the sizes (bytes squared) below which they say nothing of the cost of a byte."""
LEAST: Final = 8.0
MOST: Final = 250.0
"""Bytes that a request may be worth: from the bytes of its own frames to those of the longest answer."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Price:
    """Seconds of a request without payload, and of a byte of payload."""

    request: float
    byte: float

    @property
    def worth(self) -> float:
        """How many bytes cost as much as one more request."""
        return min(MOST, max(LEAST, self.request / self.byte)) if self.byte > 0 else MOST

    def of(self, size: int) -> float:
        """Seconds of a request with `size` bytes of payload."""
        return self.request + self.byte * size

    @classmethod
    def serial(cls, baud: int, bits: int = 11, turnaround: float = 0.005) -> Self:
        """RTU at `baud` with `bits` a character; the device begins its answer after `turnaround` s.

        A request has 8 characters, an answer 5 beside its payload, and before each the line is quiet for 3.5
        characters, at least 1.75 ms (Modbus over Serial Line V1.02, 2.5.1.1).
        """
        character = bits / baud
        return cls(13 * character + 2 * max(3.5 * character, 0.00175) + turnaround, character)


class Trips:
    """The line through the trips of one link, old ones forgotten slowly."""

    def __init__(self, sums: tuple[float, ...] = (0.0,) * 6) -> None:
        """`sums` of an earlier one: weight, size, trip, size², size * trip, trip²."""
        self._sums = np.array(sums, np.float64)

    @property
    def sums(self) -> tuple[float, ...]:
        """What to keep, to go on later."""
        return tuple(float(value) for value in self._sums)

    def add(self, sizes: Floats, trips: Floats) -> None:
        """Takes trips (s) with answers of `sizes` bytes of payload."""
        if self._sums[0] > 0:
            trips = np.minimum(trips, _SPIKE * self._sums[2] / self._sums[0])
        one = float(len(sizes))
        fresh = np.array(
            (one, sizes.sum(), trips.sum(), sizes.dot(sizes), sizes.dot(trips), trips.dot(trips)), np.float64
        )
        self._sums = self._sums * max(0.0, 1 - one / _MEMORY) + fresh

    @property
    def price(self) -> Price | None:
        """None where too few trips, or too few different sizes, were seen.

        The cost of a byte is taken two standard errors above the line, so that noise alone never makes gaps look
        costless.
        """
        n, x, y, xx, xy, yy = self.sums
        if n < _ENOUGH or (variance := xx / n - (x / n) ** 2) < _NARROW:
            return None
        slope = (xy / n - x * y / n**2) / variance
        rest = max(0.0, yy / n - (y / n) ** 2 - slope**2 * variance)
        byte = max(0.0, slope) + 2 * sqrt(rest / (n * variance))
        return Price(max(y / n - byte * x / n, 0.1 * y / n), byte)

    @property
    def worth(self) -> float:
        """How many bytes cost as much as one more request; USUAL where it is not known."""
        price = self.price
        return USUAL if price is None else price.worth
