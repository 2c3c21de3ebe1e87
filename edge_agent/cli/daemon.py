"""`edge-agent run`: the daemon around the flow: state folder, lock, logs, signals, exit code."""

import fcntl
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

import anyio
import structlog

from edge_agent.cli import EXIT_BUSY
from edge_agent.cli.kernels import place_kernel_cache
from edge_agent.clock import SystemClock
from edge_agent.config.loader import Loaded, load
from edge_agent.errors import EdgeAgentError
from edge_agent.footprint import few_arenas, packed
from edge_agent.registry import Sections


def run_daemon(path: Path) -> int:
    """Runs until SIGTERM, SIGINT or SIGHUP; gives the exit code (0 stopped in order, 75 busy). Raises ConfigError."""
    _open_standard_streams()
    few_arenas()
    place_kernel_cache()
    _set_up_log()
    loaded = packed(lambda: load(path, Sections(), secrets_later=True))
    for warning in loaded.warnings:
        place = f"{warning.file}:{warning.line}"
        _log_of_agent().warning("configuration_warning", code=warning.code, place=place, text=warning.cause.en)
    with _only_one(loaded.config.runtime.state) as alone:
        if not alone:
            _log_of_agent().error("already_running", state=str(loaded.config.runtime.state))
            return EXIT_BUSY
        try:
            anyio.run(_run, loaded)
        except Exception as error:
            _log_of_agent().exception("agent_failed")
            if isinstance(error, ExceptionGroup) and (ours := _alone(error)) is not None:
                raise ours from error
            raise
    _leave_threads(1.0)
    return 0


def _log_of_agent() -> Any:
    return structlog.get_logger("agent")


def _alone(group: ExceptionGroup[Exception]) -> EdgeAgentError | None:
    """What the agent says on purpose, where a task group raised nothing else: it decides the exit code."""
    one: BaseException = group
    while isinstance(one, BaseExceptionGroup) and len(one.exceptions) == 1:
        one = one.exceptions[0]
    return one if isinstance(one, EdgeAgentError) else None


def _leave_threads(patience: float) -> None:
    """All is stored and closed: a thread that has not ended after `patience` seconds (a compiler) is not waited for."""
    end = time.monotonic() + patience
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        sys.stderr.flush()
        os._exit(0)


async def _run(loaded: Loaded) -> None:
    from edge_agent.flow import Agent

    stop = anyio.Event()
    agent = Agent(loaded, SystemClock())
    gc.freeze()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, stop)
        await agent.run(stop)
        tasks.cancel_scope.cancel()


async def _stop_on_signal(stop: anyio.Event) -> None:
    wanted = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: it is to outlive its terminal
        wanted.append(signal.SIGHUP)
    with anyio.open_signal_receiver(*wanted) as signals:
        async for _ in signals:
            stop.set()


@contextmanager
def _only_one(state: Path) -> Iterator[bool]:
    """True for the one agent that may use this state folder; a folder that cannot be written locks nobody out."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError:
        yield True
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _open_standard_streams() -> None:
    """Where whoever started us closed them: else the next file opened gets such a number, and what is printed to it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


class _Lasting:
    """A stream that may fail (a full disk, a log daemon that died) without anyone but the reader noticing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def _set_up_log() -> None:
    """One line a fact on standard error: with time and colour for a person, bare key=value for systemd's journal."""
    for_systemd = "JOURNAL_STREAM" in os.environ
    time_stamp = [] if for_systemd else [structlog.processors.TimeStamper(fmt="iso", utc=True)]
    stream = cast(TextIO, _Lasting(sys.stderr))
    render = (
        structlog.processors.LogfmtRenderer(key_order=["level", "logger", "event"])
        if for_systemd or not sys.stderr.isatty()
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            *time_stamp,
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.ERROR, stream=stream, format="level=%(levelname)s logger=%(name)s event=%(message)s"
    )
