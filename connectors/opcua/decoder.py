"""The decoder of one connection: Python and numpy at first, the numba walk once mixed values come fast."""

import importlib
import importlib.util
import os
import sys
from typing import Final

import anyio.to_thread

from connectors.opcua.decode import NAMED, Walk, decode
from connectors.opcua.rows import Rows
from connectors.opcua.wire import Part
from edge_agent.api import kernel_faults

SLOW_ROWS_A_SECOND: Final = 5_000
"""More rows than this decoded in Python in one second, and the numba walk is worth its memory."""
KERNEL: Final = "connectors.opcua.kernel"


class Decoder:
    """Bytes to rows. `weigh` once a second decides whether numba is worth loading."""

    def __init__(self, *, kernel: bool) -> None:
        """`kernel`: whether the numba walk may be loaded when mixed responses come fast."""
        self._kernel = kernel and os.environ.get("EDGE_AGENT_NUMBA") != "0"
        self._walk: Walk | None = load_walk() if self._kernel and KERNEL in sys.modules else None
        self._slow_rows = 0

    def rows(self, raw: bytes, part: Part, head: int = NAMED) -> Rows:
        """See `decode`."""
        rows, fast = decode(raw, part, self._walk, head)
        if not fast:
            self._slow_rows += len(rows.handle)
        return rows

    async def weigh(self) -> None:
        """Loads the walk when the rows since the last call were many."""
        there = "numba" in sys.modules  # detection has paid for it
        worth_it = self._slow_rows > (0 if there else SLOW_ROWS_A_SECOND)
        self._slow_rows = 0
        if self._walk is None and self._kernel and worth_it:
            self._walk = await anyio.to_thread.run_sync(load_walk, abandon_on_cancel=True)
            self._kernel = self._walk is not None

    async def tend(self) -> None:
        """`weigh` once a second, for ever."""
        while True:
            await anyio.sleep(1.0)
            await self.weigh()


def load_walk() -> Walk | None:
    """The numba walk, compiled or from its cache (seconds the first time); None where numba is not installed or fails.

    It fails where its cache has no place or the disk is full; Python then decodes the same, more slowly.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        walk: Walk = importlib.import_module(KERNEL).walk
    except kernel_faults():
        return None
    return walk
