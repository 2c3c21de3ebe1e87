"""How soon an OPC UA link reads again after its connection, server or line failed, as the agent supervises it.

`p50_ms` and `p99_ms` (the longest of a few) are the times from the fault, or from when a restarted server answers
again, to the next good value; `lost` counts samples that the server took meanwhile and that did not come.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import anyio
import numpy as np

from tests.bench.record import Record
from tests.real.opcua_relay import BLACK_HOLE, CLOSE, HALF_CLOSE, RESET, StepRelay
from tests.real.test_opcua_faults import PERIOD_MS, TAGS, Supervised, link_over, supervised
from tests.servers.sources import Uafast

TIMES = 5


def bench(folder: Path) -> list[Record]:
    """A reset, a close, a half-close, a line that swallows everything, and a server that restarts."""
    with Uafast(folder, TAGS, PERIOD_MS) as server:
        broken = [
            anyio.run(_broken, server, fault, TIMES if fault != BLACK_HOLE else 2)
            for fault in (RESET, CLOSE, HALF_CLOSE, BLACK_HOLE)
        ]
        return [*broken, anyio.run(_restarted, server)]


async def _broken(server: Uafast, fault: str, times: int) -> Record:
    with StepRelay(server.port) as relay:
        async with supervised(link_over(relay, server)) as one:
            await one.until_more(20)
            took = []
            for _ in range(times):
                relay.arm("Publish", fault)
                await anyio.to_thread.run_sync(relay.fired.wait, 30)
                took.append(await _next(one))
                await one.until_more(20)
        rows = one.good(0)
    missing = int((np.diff(rows.time) // (PERIOD_MS * 1_000_000) - 1).sum())
    return _record(f"opcua_resume_{fault.replace(' ', '_').replace('-', '_')}", took, missing)


async def _restarted(server: Uafast) -> Record:
    with StepRelay(server.port) as relay:
        async with supervised(link_over(relay, server)) as one:
            await one.until_more(20)
            took = []
            for _ in range(TIMES):
                server.kill()
                await anyio.sleep(2)
                await anyio.to_thread.run_sync(server.start)
                took.append(await _next(one))
                await one.until_more(50)
    return _record("opcua_resume_restart", took, None)


async def _next(one: Supervised) -> float:
    """Seconds until a good value comes that was not there yet."""
    began, before = time.perf_counter(), len(one.good(0))
    while len(one.good(0)) == before:
        await anyio.sleep(0.002)
    return time.perf_counter() - began


def _record(name: str, took: list[float], lost: int | None) -> Record:
    return Record(name, p50_ms=1e3 * median(took), p99_ms=1e3 * max(took), lost=lost)
