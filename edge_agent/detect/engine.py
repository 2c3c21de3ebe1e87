"""Which arithmetic runs: numba's machine code, or numpy with equal results where numba can't run."""

import importlib
import pickle
import time
from typing import Final, Protocol

import numpy as np

from analytics.kernels import layout as at
from analytics.kernels.block import Block, Float64, Int64
from analytics.kernels.layout import Masks
from edge_agent.errors import DetectionError, Words

NO_KERNELS: Final = (
    ImportError,
    OSError,
    RuntimeError,
    AttributeError,
    SystemError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    pickle.PickleError,
)
"""What comes of a machine that can't compile, of a cache that can't be written, and of one that holds garbage."""


class Engine(Protocol):
    """A module of `analytics.kernels` that can score blocks."""

    NAME: str

    def score_block(self, block: Block, state: Int64, parameters: Float64) -> tuple[Masks, Float64, Int64]:
        """Mask and score of each row, and the positions of rows where a group of detectors began or ceased to fire."""
        ...


def load_engine(name: str) -> tuple[Engine, DetectionError | None]:
    """The engine asked for ("numba" or "numpy"), or numpy and the reason why it is not numba."""
    if name == "numba":
        try:
            from analytics.kernels import fused_numba
        except NO_KERNELS as error:
            return load_engine("numpy")[0], no_numba(error)
        return fused_numba, None
    from analytics.kernels import fused_numpy

    return fused_numpy, None


def no_numba(error: Exception) -> DetectionError:
    """What a technician is told where numba's kernels can't be used."""
    return DetectionError(
        "load kernels",
        "numba",
        Words(f"numba 커널을 쓸 수 없습니다: {error}", f"the numba kernels cannot be used: {error}"),
        Words(
            "numpy로 계속 탐지합니다(결과는 같고 느립니다). NUMBA_CACHE_DIR이 쓰기 가능한 폴더인지 확인하십시오",
            "detection goes on with numpy (same results, slower); check that NUMBA_CACHE_DIR is a writable folder",
        ),
    )


def warm_up() -> dict[str, float]:
    """Compiles the kernels into NUMBA_CACHE_DIR, or reads them from there; seconds each took.

    Raises DetectionError where numba can't be used.
    """
    begun = time.perf_counter()
    engine, error = load_engine("numba")
    if error is not None:
        raise error
    loaded = time.perf_counter()
    rows = np.zeros(1, np.int64)
    block = Block.of_rows(rows, rows, np.zeros(1), np.zeros(1, np.uint8), 1)
    engine.score_block(block, at.new_state(1), at.aligned(1, at.PARAMETERS))
    first = time.perf_counter()
    for kernels in ("left_profile_numba", "tail_numba"):
        importlib.import_module(f"analytics.kernels.{kernels}")
    times = {"detect.load": loaded - begun, "detect.first_block": first - loaded}
    return times | {"detect.novelty": time.perf_counter() - first}
