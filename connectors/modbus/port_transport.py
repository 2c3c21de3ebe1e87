"""An open serial port as asyncio knows transports: bytes in and out on the event loop, without a thread."""

import asyncio
import os
import termios
from collections import deque
from contextlib import suppress
from typing import Any, Final

_READ: Final = 4096


class PortTransport(asyncio.Transport):
    """An open terminal's bytes on the event loop. It owns the descriptor."""

    def __init__(self, descriptor: int, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[bytes] = deque()
        self._closed = False
        protocol.connection_made(self)
        self._loop.add_reader(descriptor, self._readable)

    def write(self, data: Any) -> None:
        """Sends now what the driver takes, and the rest when it takes more."""
        if self._closed:
            return
        self._unsent.append(bytes(data))
        if len(self._unsent) == 1:
            self._writable()

    def abort(self) -> None:
        """Closes at once; what the driver has not sent yet is thrown away, so that closing can't hang."""
        self._end(None)

    close = abort

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._end(None)

    def _writable(self) -> None:
        try:
            while self._unsent:
                rest = self._unsent[0][os.write(self._descriptor, self._unsent[0]) :]
                self._unsent.popleft()
                if rest:
                    self._unsent.appendleft(rest)
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._descriptor, self._writable)
            return
        except OSError as error:
            self._end(error)
            return
        self._loop.remove_writer(self._descriptor)

    def _end(self, error: OSError | None) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        with suppress(OSError, termios.error):
            termios.tcflush(self._descriptor, termios.TCIOFLUSH)
        os.close(self._descriptor)
        self._loop.call_soon(self._protocol.connection_lost, error)
