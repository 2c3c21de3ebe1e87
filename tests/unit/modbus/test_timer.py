"""The timers that wake a connection: they ring once, at the last time that was set, and not after they were closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from connectors.modbus.timer import KernelTimer, LoopTimer, Timer, exact_timer

pytestmark = pytest.mark.anyio

TIMERS = [KernelTimer, LoopTimer]


@pytest.mark.parametrize("kind", TIMERS)
async def test_it_rings_once_and_not_before_its_time(kind: Callable[[], Timer]) -> None:
    timer, rung = kind(), anyio.Event()
    count: list[float] = []

    def ring() -> None:
        count.append(time.monotonic())
        rung.set()

    began = time.monotonic()
    timer.start(30.0, ring)
    timer.start(0.0123, ring)
    with anyio.fail_after(20):
        await rung.wait()
    await anyio.sleep(0.05)
    timer.close()
    assert len(count) == 1
    assert count[0] >= began + 0.0123 - 1e-4


@pytest.mark.parametrize("kind", TIMERS)
async def test_it_may_be_set_again_from_its_own_ring(kind: Callable[[], Timer]) -> None:
    timer, rung = kind(), anyio.Event()
    left = [0.0, 0.001, 0.0]

    def ring() -> None:
        if left:
            timer.start(left.pop(), ring)
        else:
            rung.set()

    timer.start(0.0, ring)
    with anyio.fail_after(20):
        await rung.wait()
    timer.close()


@pytest.mark.parametrize("kind", TIMERS)
async def test_it_does_not_ring_once_cancelled_or_closed(kind: Callable[[], Timer]) -> None:
    cancelled, closed = kind(), kind()
    for timer in (cancelled, closed):
        timer.start(0.001, pytest.fail)
    cancelled.cancel()
    closed.close()
    closed.close()
    await anyio.sleep(0.05)
    cancelled.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_it_leaves_no_descriptor_behind() -> None:
    before = descriptors()
    timers = [exact_timer() for _ in range(20)]
    assert all(isinstance(timer, KernelTimer) for timer in timers)
    for timer in timers:
        timer.close()
    assert descriptors() == before
