"""A plant server as a process: speaks JSON lines, takes orders on standard input, ends with its parent."""

import ctypes
import json
import os
import signal
import stat
import sys
from collections.abc import Mapping
from typing import Any, Final

import anyio
import anyio.abc

from edge_agent.plant.order import Order
from edge_agent.plant.station import Station

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> None:
    """Asks the kernel for SIGTERM when the parent ends (prctl(2)).

    With a pipe on standard input its end says the same more exactly (the kernel means the parent's *thread*), so then
    nothing is asked for.
    """
    if not _stdin_speaks():
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def say(event: str, facts: Mapping[str, Any] | None = None) -> None:
    """One JSON line on standard output."""
    sys.stdout.write(json.dumps({"event": event, **(facts or {})}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


async def serve(station: Station) -> None:
    """Opens, says ready, runs until SIGTERM, SIGINT or the end of standard input; says stopped."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, tasks.cancel_scope)
        facts = await station.open()
        say("ready", {"pid": os.getpid(), **facts})
        if _stdin_speaks():
            tasks.start_soon(_take_orders, station, tasks.cancel_scope)
        tasks.start_soon(station.run)
    with anyio.CancelScope(shield=True), anyio.move_on_after(5.0):
        await station.close()
    say("stopped")


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


def _stdin_speaks() -> bool:
    """Whether standard input is a pipe or a socket: /dev/null, files and terminals give no orders."""
    mode = os.fstat(0).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


async def _take_orders(station: Station, scope: anyio.CancelScope) -> None:
    rest = b""
    while True:
        await anyio.wait_readable(0)
        data = os.read(0, 4096)
        if not data:
            scope.cancel()
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            _take(station, line.decode(errors="replace"))


def _take(station: Station, line: str) -> None:
    try:
        station.order(Order.parse_line(line))
    except ValueError as error:
        say("refused", {"order": line, "reason": str(error)})
    except KeyError:
        say("refused", {"order": line, "reason": "this machine knows no such fault"})
    else:
        say("taken", {"order": line})
