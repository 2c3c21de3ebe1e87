"""Instruments on a serial line, on a pseudo-terminal: they answer at one baud rate only, as a line does.

The check sums are pymodbus's, so that ours are checked by another's.
"""

from __future__ import annotations

import os
import select
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from pymodbus.framer.rtu import FramerRTU


def framed(data: bytes) -> bytes:
    """Unit and PDU with their check sum."""
    return data + FramerRTU.compute_CRC(data).to_bytes(2, "big")


class RtuLine:
    """Units on one line: `registers` of each by unit number, `identity` in ASCII for function code 17.

    A unit answers holding and input registers from its list (exception 2 beyond it), 17 with its identity, and any
    other function with exception 1. At another baud rate than `baud` nobody answers. `asked` holds all requests.
    """

    def __init__(self, units: Mapping[int, list[int]], *, baud: int = 9600, identity: bytes = b"") -> None:
        self.units = units
        self.speed = getattr(termios, f"B{baud}")
        self.identity = identity
        self.asked: list[bytes] = []
        self.late = b""
        """Sent behind the next answer: noise, or an answer that comes twice."""
        self._master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stop, b".")
        self._thread.join(10)
        for fd in (self._master, self._slave, self._wake, self._stop):
            os.close(fd)

    @contextmanager
    def talking(self, data: bytes) -> Iterator[None]:
        """Meanwhile somebody else talks on the line, a frame every 10 ms."""
        enough = threading.Event()

        def talk() -> None:
            while not enough.wait(0.01):
                os.write(self._master, data)

        other = threading.Thread(target=talk)
        other.start()
        try:
            yield
        finally:
            enough.set()
            other.join(10)

    def _serve(self) -> None:
        heard = b""
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [])
            if self._wake in ready:
                return
            heard += os.read(self._master, 256)
            if len(heard) > 3 and framed(heard[:-2]) == heard:
                self.asked.append(heard)
                answer = self._answer(heard[:-2])
                if answer and termios.tcgetattr(self._master)[5] == self.speed:
                    os.write(self._master, framed(answer) + self.late)
                    self.late = b""
                heard = b""

    def _answer(self, asked: bytes) -> bytes:
        unit, function = asked[0], asked[1]
        if unit not in self.units:
            return b""
        if function == 17 and self.identity:
            return bytes((unit, 17, 1 + len(self.identity), unit)) + self.identity
        if function not in (3, 4):
            return bytes((unit, function | 0x80, 1))
        first, count = int.from_bytes(asked[2:4], "big"), int.from_bytes(asked[4:6], "big")
        words = self.units[unit][first : first + count]
        if len(words) < count:
            return bytes((unit, function | 0x80, 2))
        return bytes((unit, function, 2 * count)) + b"".join(word.to_bytes(2, "big") for word in words)
