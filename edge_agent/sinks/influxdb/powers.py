"""Powers of ten as 128-bit fractions, and the three logarithms a shortest printer needs. Pure integers, exact.

The algorithm is Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020): `g(k)` is
floor(10^k · 2^-r) + 1, scaled so that its top bit is bit 127. The paper proves that 126 such bits are enough for
float64; float32 does with the upper 64.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

LOWEST: Final = -292
HIGHEST: Final = 324
"""The powers that float64 needs, from the largest value to the smallest subnormal."""


def g(k: int) -> int:
    """floor(10^k · 2^-r) + 1 with r chosen so that 2^127 <= g < 2^128."""
    power: int = 10 ** abs(k)
    if k >= 0:
        shift = power.bit_length() - 128
        return (power >> shift if shift >= 0 else power << -shift) + 1
    fraction = (1 << (power.bit_length() + 127)) // power
    return (fraction >> (fraction.bit_length() - 128)) + 1


def halves() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The upper and the lower 64 bits of g(LOWEST) … g(HIGHEST)."""
    powers = [g(k) for k in range(LOWEST, HIGHEST + 1)]
    upper = np.array([p >> 64 for p in powers], np.uint64)
    lower = np.array([p & 0xFFFF_FFFF_FFFF_FFFF for p in powers], np.uint64)
    return upper, lower
