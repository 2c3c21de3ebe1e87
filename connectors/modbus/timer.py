"""Wakes a connection at its line's next deadline.

The event loop's own waits are rounded up to whole milliseconds (epoll counts in them), which is much where two frames
must be 1.75 ms apart. Linux's timerfd is exact; Python has had it as `os.timerfd_create` only since 3.13.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

_CLOCK_MONOTONIC: Final = 1


class Timer(Protocol):
    """Calls back once, `delay` s after the last `start`."""

    def start(self, delay: float, callback: Callable[[], None]) -> None: ...
    def cancel(self) -> None: ...
    def close(self) -> None:
        """It never rings again. May be called twice."""
        ...


class LoopTimer:
    """The event loop's own: exact to 1 ms."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, delay: float, callback: Callable[[], None]) -> None:
        self.cancel()
        self._handle = asyncio.get_running_loop().call_later(delay, callback)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    close = cancel


class _Setting(ctypes.Structure):
    """struct itimerspec of 64-bit Linux: an interval (0: once), then the delay; each in s and ns."""

    _fields_ = (
        ("every_s", ctypes.c_int64),
        ("every_ns", ctypes.c_int64),
        ("s", ctypes.c_int64),
        ("ns", ctypes.c_int64),
    )


class KernelTimer:
    """The kernel's: exact to some 50 µs. It owns a descriptor. Raises OSError where there is none."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._set = libc.timerfd_settime
        self._set.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.POINTER(_Setting), ctypes.c_void_p)
        self._callback: Callable[[], None] | None = None
        self._setting = _Setting()
        self._descriptor: int = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "no timerfd")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._ring)

    def start(self, delay: float, callback: Callable[[], None]) -> None:
        if self._descriptor >= 0:
            self._callback = callback
            self._arm(max(1, int(delay * 1e9)))

    def cancel(self) -> None:
        if self._callback is not None:
            self._callback = None
            self._arm(0)

    def close(self) -> None:
        if self._descriptor >= 0:
            self._callback = None
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _arm(self, ns: int) -> None:
        self._setting.s, self._setting.ns = divmod(ns, 1_000_000_000)
        self._set(self._descriptor, 0, self._setting, None)

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it was set anew after it had rung
            os.read(self._descriptor, 8)
            callback, self._callback = self._callback, None
            if callback is not None:
                callback()


def exact_timer() -> Timer:
    """The kernel's timer, or the loop's where descriptors have run out."""
    try:
        return KernelTimer()
    except (OSError, AttributeError):  # AttributeError: a C library without timerfd
        return LoopTimer()
