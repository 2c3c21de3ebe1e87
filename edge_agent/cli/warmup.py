"""`edge-agent warmup`: compiles every kernel into the cache, so that a start loads them instead (3 s against 0.3 s)."""

import time
from importlib import import_module
from typing import Final, TextIO

from edge_agent.cli.kernels import place_kernel_cache

KERNELS: Final = ("analytics.kernels.fused_numba", "connectors.opcua.kernel", "edge_agent.sinks.influxdb.kernel")
"""Modules whose kernels have explicit signatures: importing one compiles it, or loads it from the cache."""


def warm_up(out: TextIO) -> bool:
    """Compiles all kernels, a line each; False where numba does not work here (the agent runs all the same, slower)."""
    folder = place_kernel_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for module in KERNELS:
            began = time.perf_counter()
            import_module(module)
            out.write(f"{module}: {time.perf_counter() - began:.2f} s\n")
    except (ImportError, OSError) as error:
        out.write(f"no kernels, plain numpy will be used · 커널 없이 numpy로 동작합니다: {error}\n")
        return False
    out.write(f"{folder}\n")
    return True
