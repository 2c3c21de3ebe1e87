"""The seam between polling and what lies under it: a connection reads scans, whatever it is made of.

The pollers of a link share one connection and each calls `read` on it, side by side. A connection takes what is to be
sent from the scan (`Scan.take`, `Scan.question`) and gives it the answers (`Scan.answer`) or the lack of them
(`Scan.time_out`); who may send next, framing, check sums, quiet times on a line and stale answers are its own affair.
"""

from typing import Protocol

from connectors.modbus.scan import Scan
from edge_agent.api import TimedOut, Words


class Reader(Protocol):
    """The connection, seen from a poller."""

    async def read(self, scan: Scan) -> None:
        """Reads `scan` on which `begin` was called; returns when it is complete, raises when the connection broke.

        An exception, a garbled answer or a time-out is an outcome of its block, never raised. When cancelled, what is
        in flight is forgotten, and its answer never taken for another's.
        """
        ...


class Connection(Reader, Protocol):
    """An open connection: TCP, a serial port, a dialled-in modem."""

    async def watch(self) -> None:
        """Waits until the connection is gone and raises why, as an EdgeAgentError; never returns."""
        ...

    async def close(self) -> None:
        """Drops the connection within 2 s; what was not sent yet is not sent any more."""
        ...


def unanswered(operation: str, name: str, cause: Words) -> TimedOut:
    """The error of a link `name` on which nobody answers."""
    return TimedOut(
        operation,
        name,
        cause,
        Words(
            "장치의 전원, 주소(IP)와 국번(unit), 케이블을 확인하십시오",
            "check the device's power, its IP address and unit number, and the cable",
        ),
    )
