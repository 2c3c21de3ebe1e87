"""Giving memory back takes nothing away: kernels still compile and run after it."""

import subprocess
import sys

import pytest

CODE = """
from numba import float64, njit
from edge_agent.footprint import give_back
def resident():
    return int(open('/proc/self/statm').read().split()[1]) * 4096
first = njit(float64(float64))(lambda x: x + 1)
before = resident()
dropped = give_back()
assert dropped > 0
assert resident() < before - 10_000_000, (before, resident())
assert first(1.0) == 2.0
assert njit(float64(float64))(lambda x: x * 3)(2.0) == 6.0
"""


def test_llvm_leaves_memory_and_comes_back_when_needed() -> None:
    pytest.importorskip("numba")
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=50)
