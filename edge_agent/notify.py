"""systemd's notification protocol (sd_notify(3)): READY, STATUS, WATCHDOG and STOPPING over a datagram socket."""

import os
import socket
from collections.abc import Callable

import anyio


def notify(message: str) -> bool:
    """Sends one message to systemd; False where nobody asked for it (no NOTIFY_SOCKET)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(1.0)
        try:
            sender.sendto(message.encode(), address)
        except OSError:
            return False
    return True


def watchdog_interval() -> float | None:
    """Seconds between two signs of life, half of what systemd allows; None where it set no watchdog for us."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdecimal() and int(microseconds) else None


async def feed_watchdog(progressing: Callable[[], bool]) -> None:
    """Tells systemd that the agent lives as long as `progressing` says so: fed by work done, not by a timer."""
    interval = watchdog_interval()
    while interval is not None:
        if progressing():
            notify("WATCHDOG=1")
        await anyio.sleep(interval)
