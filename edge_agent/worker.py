"""A thread of its own for one stage of the road, and the way there and back.

`anyio.to_thread` does the same for anybody and at any time; a trip with it costs 0.6 ms of CPU on a gateway that wakes
up ten times a second, with this 0.4 ms, of which the two wake-ups are most. A stage makes ten trips a second, for
ever: so the stages use this, and everything else uses `anyio.to_thread`.
"""

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import anyio

_Result = TypeVar("_Result")
_Work = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Worker:
    """Does one thing after another, in order. The thread is started with the first and ends with the worker."""

    def __init__(self, name: str) -> None:
        """`name` of the thread, for whoever looks at the process."""
        self._name = name
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._end: weakref.finalize[[None], Worker] | None = None

    async def run(self, work: Callable[[], _Result], *, abandon: bool = False) -> _Result:
        """Calls `work` in the thread and answers or raises what it does. A cancellation waits for its end.

        With `abandon` it does not: `work` is left alone with its thread, and what comes after it gets a new one.
        """
        if self._end is None:
            self._start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Result] = loop.create_future()
        self._queue.put((work, loop, done))
        try:
            with anyio.CancelScope(shield=not abandon):
                await done
            return done.result()
        finally:
            if not done.done() or done.cancelled():
                self._leave()

    def _start(self) -> None:
        Thread(target=_work_off, args=(self._queue,), name=self._name, daemon=True).start()
        self._end = weakref.finalize(self, self._queue.put, None)

    def _leave(self) -> None:
        """The thread ends after what it is at."""
        if self._end is not None:
            self._end()
        self._queue, self._end = SimpleQueue(), None


def _work_off(queue: "SimpleQueue[_Work | None]") -> None:
    while (one := queue.get()) is not None:
        work, loop, done = one
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - not handled here: it is raised where the result is waited for
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, done, result, error)
        del one, work, loop, done, result, error  # not kept until the next comes


def _settle(done: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
