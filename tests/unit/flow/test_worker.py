"""A stage's own thread: order, results, errors, cancellation, and its end."""

import gc
import threading

import anyio
import pytest

from edge_agent.worker import Worker

pytestmark = pytest.mark.anyio


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


async def test_results_and_errors_come_back_and_all_is_done_in_one_thread() -> None:
    worker = Worker("one-thread")
    assert await worker.run(lambda: 41 + 1) == 42
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert {await worker.run(threading.get_ident) for _ in range(5)} == {threads("one-thread")[0].ident}


async def test_what_several_ask_for_is_done_in_order_and_never_at_once() -> None:
    worker, done, at_once = Worker("in-order"), [], threading.Lock()

    def work(number: int) -> None:
        assert at_once.acquire(blocking=False)
        done.append(number)
        at_once.release()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(worker.run, lambda number=number: work(number))
    assert done == list(range(20))


async def test_a_cancellation_waits_for_the_end_of_what_is_not_to_be_abandoned() -> None:
    worker, going, go = Worker("patient"), threading.Event(), threading.Event()

    def work() -> None:
        going.set()
        assert go.wait(20)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run, work)
        while not going.is_set():
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.05)
        go.set()
    assert await worker.run(lambda: "next") == "next"
    assert len(threads("patient")) == 1


async def test_what_is_abandoned_keeps_its_thread_and_the_next_gets_another() -> None:
    worker, go = Worker("hasty"), threading.Event()
    with anyio.move_on_after(0.05):
        await worker.run(lambda: go.wait(20), abandon=True)
    assert not go.is_set()
    assert await worker.run(lambda: "next") == "next"
    assert len(threads("hasty")) == 2
    go.set()
    with anyio.fail_after(20):
        while len(threads("hasty")) > 1:
            await anyio.sleep(0.01)


async def test_the_thread_ends_with_the_worker() -> None:
    worker = Worker("mortal")
    await worker.run(lambda: None)
    assert threads("mortal")
    del worker
    gc.collect()
    with anyio.fail_after(20):
        while threads("mortal"):
            await anyio.sleep(0.01)
