"""A relay in front of an OPC UA server that does one thing wrong at one step of the protocol, once.

Messages are put together by the length in their header (Part 6, 7.1.2.2); the step of a MSG chunk is the type of the
request in it (the numbers are those of the binary encodings, Part 6, A.3), so channels must not be encrypted.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

STEPS = {
    "CreateSession": 461,
    "ActivateSession": 467,
    "CloseSession": 473,
    "Read": 631,
    "CreateMonitoredItems": 751,
    "CreateSubscription": 787,
    "Publish": 826,
    "Republish": 832,
}
_NAMES = {number: name for name, number in STEPS.items()}
RESET, CLOSE, HALF_CLOSE, BLACK_HOLE, SWALLOW, DELAY = "reset", "close", "half-close", "black hole", "swallow", "delay"
FAULTS = (RESET, CLOSE, HALF_CLOSE, BLACK_HOLE, SWALLOW, DELAY)
_NOW = struct.pack("ii", 1, 0)


class StepRelay:
    """``with StepRelay(port) as relay``; `arm` says what goes wrong next. `seen` counts the requests by step.

    RESET cuts both sides with RST, CLOSE both with FIN, HALF_CLOSE ends only what goes to the client; after BLACK_HOLE
    nothing passes over that connection any more, either way, and both sides think that it stands; SWALLOW loses the one
    request; DELAY holds it for half a second.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.seen: Counter[str] = Counter()
        self.fired = threading.Event()
        """Set once the fault has happened."""
        self._armed: tuple[str, str] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._stopped = False
        self._open: set[socket.socket] = set()

    def arm(self, step: str, fault: str) -> None:
        """At the next request of this step (`Hello`, `OpenSecureChannel` or one of STEPS)."""
        self.fired.clear()
        self._armed = step, fault

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except ConnectionRefusedError:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
                client.close()
                continue
            except OSError:
                return
            self._open |= {client, server}
            line = _Line(client, server)
            threading.Thread(target=self._requests, args=(line,), daemon=True).start()
            threading.Thread(target=self._answers, args=(line,), daemon=True).start()

    def _requests(self, line: _Line) -> None:
        with suppress(OSError):
            for message in _messages(line.client):
                step = _step(message)
                self.seen[step] += 1
                if self._armed is not None and self._armed[0] == step:
                    fault, self._armed = self._armed[1], None
                    passes = line.break_with(fault)
                    self.fired.set()
                    if not passes:
                        continue
                if not line.dark:
                    line.server.sendall(message)
        line.end(line.server)

    def _answers(self, line: _Line) -> None:
        with suppress(OSError):
            while data := line.server.recv(65536):
                if not line.dark:
                    line.client.sendall(data)
        line.end(line.client)


class _Line:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.dark = False

    def break_with(self, fault: str) -> bool:
        """Whether the request still passes."""
        if fault == DELAY:
            time.sleep(0.5)
            return True
        if fault == BLACK_HOLE:
            self.dark = True
        elif fault == HALF_CLOSE:
            self.client.shutdown(socket.SHUT_WR)
        elif fault in (RESET, CLOSE):
            for one in (self.client, self.server):
                if fault == RESET:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
                    one.close()
                else:
                    one.shutdown(socket.SHUT_RDWR)
        return False

    def end(self, other: socket.socket) -> None:
        """One side is at its end; the other is told, unless nothing passes any more."""
        if not self.dark:
            with suppress(OSError):
                other.shutdown(socket.SHUT_WR)


def _messages(source: socket.socket) -> Iterator[bytes]:
    """Whole messages as they come."""
    held = b""
    while data := source.recv(65536):
        held += data
        while len(held) >= 8 and len(held) >= (size := int.from_bytes(held[4:8], "little")):
            yield held[:size]
            held = held[size:]


def _step(message: bytes) -> str:
    kind = message[:3]
    if kind == b"MSG":
        return _NAMES.get(int.from_bytes(message[26:28], "little"), "other")
    return {b"HEL": "Hello", b"OPN": "OpenSecureChannel", b"CLO": "CloseSecureChannel"}[kind]
