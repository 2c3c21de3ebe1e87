"""The socket under paho: few system calls instead of four a message.

paho reads a packet in three pieces and sends each by itself. Here bytes are read as many as there are, and sent when
the caller has no more to say (`flush`) or 16 KiB have gathered. What gathers is bounded by the messages in flight.
"""

import select
import socket
import ssl
from contextlib import suppress
from typing import Any, Final

_READ: Final = 65_536
_GATHERED: Final = 16_384
_LAST_WORDS_S: Final = 1.0


class Wire:
    """What paho takes for a socket, over a connected one; not blocking once paho has it."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock` is connected, its TLS handshake done."""
        self._sock = sock
        self._come = b""
        self._at = 0
        self._going = bytearray()
        self.ended = False

    # What paho calls.

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; raises BlockingIOError where none have come, and gives none at the end."""
        if self._at >= len(self._come):
            try:
                self._come, self._at = self._sock.recv(_READ), 0
            except ssl.SSLWantReadError as error:
                raise BlockingIOError from error
        data = self._come[self._at : self._at + size]
        self._at += len(data)
        self.ended = not data
        return data

    def send(self, data: bytes | bytearray) -> int:
        """Takes all of it; sends when enough has gathered."""
        self._going += data
        if len(self._going) >= _GATHERED:
            self.flush()
        return len(data)

    def fileno(self) -> int:
        """The socket's descriptor, -1 once closed."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """As a socket's."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Sends what has gathered, if it goes at once, and closes."""
        with suppress(OSError):
            self._sock.settimeout(_LAST_WORDS_S)
            self.flush()
        self._sock.close()

    # What the broker's connection calls.

    def flush(self) -> None:
        """Sends what goes without waiting."""
        with suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while self._going:
                del self._going[: self._sock.send(self._going)]

    def drop(self) -> None:
        """Closes without another word."""
        self._going.clear()
        self._sock.close()

    def shutdown(self) -> None:
        """Ends the connection under a thread that waits on it."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def wait(self, timeout: float) -> bool:
        """Until there is something to read (True), what has gathered can be sent, or `timeout` seconds are over.

        Raises OSError or ValueError on a closed socket.
        """
        if self._at < len(self._come) or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | (select.POLLOUT if self._going else 0))
        events = dict(poll.poll(timeout * 1000))
        return any(event & ~select.POLLOUT for event in events.values())


def dial(address: tuple[str, int], context: ssl.SSLContext | None, timeout: float) -> Wire:
    """A connection, through TLS where there is a context; `timeout` is for each step of it. Raises OSError."""
    plain: socket.socket = socket.create_connection(address, timeout)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock: Any = plain if context is None else context.wrap_socket(plain, server_hostname=address[0])
    except BaseException:
        plain.close()
        raise
    return Wire(sock)
