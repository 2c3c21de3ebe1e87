"""A serial line on which several processes are units, each on a pseudo-terminal of its own, and the agent on another.

What one sends, all others hear, as it comes: two at a time are mixed, as on a wire. Bytes take no time.
"""

from __future__ import annotations

import os
import select
import threading
import tty
from typing import Self


class SerialBus:
    """`path` is the agent's port; `join` gives a unit its own. Use as a context, and join before units start."""

    def __init__(self) -> None:
        self._agent, self.path, theirs = _pair()
        self._units: list[int] = []
        self._kept = [theirs]
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry)

    def join(self) -> str:
        """The port of one more unit."""
        ours, path, theirs = _pair()
        self._units.append(ours)
        self._kept.append(theirs)
        return path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stop, b".")
        self._thread.join(10)
        for fd in (self._agent, *self._units, *self._kept, self._wake, self._stop):
            os.close(fd)

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([self._agent, self._wake, *self._units], [], [])
            if self._wake in ready:
                return
            for fd in ready:
                data = os.read(fd, 512)
                for end in (self._agent, *self._units):
                    if end != fd:
                        os.write(end, data)


def _pair() -> tuple[int, str, int]:
    """Our end, the path of the other, and the other itself: held open, for a port that nobody has open hangs up."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    return ours, os.ttyname(theirs), theirs
