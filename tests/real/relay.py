"""A relay in front of a server that can be told to misbehave: what a bad line, a proxy or a dying hub does."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

PASS, GARBAGE, RESET, STALL, HALF, LOGIN_PAGE, BUSY = "pass", "garbage", "reset", "stall", "half", "login page", "busy"
MID_BODY, CUT_HEAD, DRIP, HALF_OPEN, DEAF = "reset in the body", "cut head", "drip", "half open", "deaf"
_PAGE = b"<html><body>Please log in to the factory's network</body></html>"
_ANSWERS = {
    GARBAGE: b"\x00\xff\x16\x03 this is not HTTP \xfe\r\n\r\n",
    HALF: b"HTTP/1.1 20",
    CUT_HEAD: b"HTTP/1.1 204 No Content\r\nX-Influxdb-Build: OSS\r\n",
    LOGIN_PAGE: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(_PAGE), _PAGE),
    BUSY: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n",
}


class Relay:
    """``with Relay(port) as relay``: connections to `relay.port` go to `port`, or wherever `relay.mode` sends them.

    A change of mode cuts the connections there are. `RESET` breaks a connection once the request has begun, `STALL`
    takes everything and answers nothing, `HALF` breaks off in the middle of an answer, `CUT_HEAD` after a line of its
    head; `MID_BODY` resets after 300 bytes, `DRIP` answers a byte at a time, `DEAF` does not read at all. `HALF_OPEN`
    cuts nothing: what comes over the connections that there are vanishes, as behind a router that forgot them.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._mode = PASS
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def mode(self) -> str:
        """What happens to new connections."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._mode = mode
        if mode != HALF_OPEN:
            self._cut()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()

    def _cut(self) -> None:
        with self._lock:
            connections, self._open = self._open, set()
        for one in connections:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client, self._mode), daemon=True).start()

    def _serve(self, client: socket.socket, mode: str) -> None:
        with client, suppress(OSError):
            if mode in (PASS, HALF_OPEN):
                self._pass(client, since=mode)
            elif mode == DEAF:
                while self._mode == DEAF:
                    time.sleep(0.02)
            elif mode == DRIP:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 204 No Content\r\nX-Slow: ")
                while self._mode == DRIP:
                    client.sendall(b"x")
                    time.sleep(0.02)
            elif mode == MID_BODY:
                client.recv(300, socket.MSG_WAITALL)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif mode == STALL:
                while client.recv(65536):
                    pass
            else:
                client.recv(65536)
                if mode == RESET:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    client.sendall(_ANSWERS[mode])

    def _pass(self, client: socket.socket, since: str) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            with self._lock:
                self._open.add(server)
            back = threading.Thread(target=self._pump, args=(server, client, since), daemon=True)
            back.start()
            self._pump(client, server, since)
            back.join(5)

    def _pump(self, source: socket.socket, target: socket.socket, since: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._mode in (since, PASS):
                    target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
