"""The inbox: in order, bounded, waiting before losing."""

import anyio
import anyio.to_thread
import numpy as np
import pytest

from edge_agent.inbox import Inbox
from edge_agent.model import Frame

pytestmark = pytest.mark.anyio


def frame(*values: float) -> Frame:
    return Frame.of_floats(np.arange(len(values)), 1, values)


async def test_take_gives_what_waits_in_order() -> None:
    inbox = Inbox(100)
    await inbox.put(frame(1, 2))
    await inbox.put(frame(3))
    got, events = inbox.take(1)
    assert Frame.concat(got).floats().tolist() == [1, 2, 3]
    assert events == []
    assert (inbox.door.waiting, inbox.door.collected) == (0, 3)


async def test_full_means_wait_and_nothing_is_lost() -> None:
    inbox = Inbox(10)
    taken: list[float] = []

    async def put_many() -> None:
        for i in range(50):
            await inbox.put(frame(*[float(i)] * 4))
        inbox.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put_many)
        with anyio.fail_after(10):
            while not inbox.closed or inbox.door.waiting:
                assert inbox.door.waiting <= 10
                got, _ = await anyio.to_thread.run_sync(inbox.take, 1)
                taken += Frame.concat(got).floats().tolist()
    assert taken == [float(i) for i in range(50) for _ in range(4)]


async def test_a_frame_larger_than_the_limit_passes_alone() -> None:
    inbox = Inbox(2)
    with anyio.fail_after(1):
        await inbox.put(frame(1, 2, 3))
    with anyio.move_on_after(0.05) as scope:
        await inbox.put(frame(4))
    assert scope.cancelled_caught
    got, _ = inbox.take(1)
    assert len(Frame.concat(got)) == 3


async def test_take_gives_up_after_its_wait() -> None:
    got, events = Inbox(5).take(0.01)
    assert len(got) == 0
    assert events == []


async def test_closed_inbox_does_not_wait() -> None:
    inbox = Inbox(5)
    inbox.close()
    with anyio.fail_after(20):
        await anyio.to_thread.run_sync(inbox.take, 100)
