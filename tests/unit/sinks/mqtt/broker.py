"""A small MQTT 5 broker that can be told to misbehave, for what a real one cannot be made to answer on demand.

It takes CONNECT, PUBLISH (QoS 0 and 1), SUBSCRIBE (acknowledged, nothing is forwarded), PINGREQ and DISCONNECT, keeps
what was published and acknowledged, and publishes no will: it only remembers it.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
RECEIVE_MAXIMUM, REASON_STRING, MAXIMUM_QOS, RETAIN_AVAILABLE, MAXIMUM_PACKET = 0x21, 0x1F, 0x24, 0x25, 0x27


@dataclass
class Published:
    topic: str
    payload: bytes
    retain: bool
    qos: int

    @property
    def facts(self) -> Any:
        return json.loads(self.payload)


@dataclass
class FaultyBroker:
    """``with FaultyBroker() as broker``: `broker.port` answers. Change the fields at any time.

    `connack` and `puback` are reason codes; `poison` decides which messages get 0x99; `silent` reads and never answers,
    `reset` breaks the connection at the next packet, `ends_with` sends a DISCONNECT with this code at the next PUBLISH,
    `raw` is sent instead of a CONNACK. `facts` are the properties of the CONNACK, encoded.
    """

    connack: int = 0
    puback: int = 0
    poison: Callable[[Published], bool] = lambda _: False
    silent: bool = False
    reset: bool = False
    ends_with: int | None = None
    raw: bytes | None = None
    facts: bytes = b""
    held: int = 0
    """Acknowledgements kept back: the answer to a PUBLISH comes only when this many more have come."""
    published: list[Published] = field(default_factory=list)
    connections: int = 0
    most_in_flight: int = 0
    goodbyes: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"mqtt://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, EOFError), client.makefile("rb") as stream:
            waiting: list[bytes] = []
            while True:
                kind, flags, body = read_packet(stream)
                if self.reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if not self.silent:
                    self._answer(client, kind, flags, body, waiting)

    def _answer(self, client: socket.socket, kind: int, flags: int, body: bytes, waiting: list[bytes]) -> None:
        match kind:
            case 1:
                client.sendall(self.raw or packet(CONNACK, bytes([0, self.connack]) + properties(self.facts)))
            case 3:
                self._publish(client, flags, body, waiting)
            case 8:
                client.sendall(packet(SUBACK, body[:2] + b"\x00\x01"))
            case 12:
                client.sendall(packet(PINGRESP, b""))
            case 14:
                self.goodbyes += 1

    def _publish(self, client: socket.socket, flags: int, body: bytes, waiting: list[bytes]) -> None:
        length = int.from_bytes(body[:2], "big")
        mid, rest = body[2 + length : 4 + length], body[4 + length :]
        assert rest[0] == 0, "no properties"
        message = Published(body[2 : 2 + length].decode(), rest[1:], bool(flags & 1), flags >> 1 & 3)
        if self.ends_with is not None:
            client.sendall(packet(DISCONNECT, bytes([self.ends_with, 0])))
            return
        code = 0x99 if self.poison(message) else self.puback
        if code < 0x80:
            self.published.append(message)
        said = text(REASON_STRING, f"code {code}") if code else b""
        waiting.append(packet(PUBACK, mid + bytes([code]) + properties(said)))
        self.most_in_flight = max(self.most_in_flight, len(waiting))
        if len(waiting) > self.held:
            client.sendall(b"".join(waiting))
            waiting.clear()


def read_packet(stream: Any) -> tuple[int, int, bytes]:
    """Kind, flags, and what follows the fixed header (MQTT 5, 2.1)."""
    head = stream.read(1)
    if not head:
        raise EOFError
    length, shift = 0, 0
    while True:
        byte = stream.read(1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head[0] >> 4, head[0] & 15, stream.read(length)


def _length(n: int) -> bytes:
    out = bytearray()
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def packet(kind: int, body: bytes) -> bytes:
    return bytes([kind << 4]) + _length(len(body)) + body


def properties(encoded: bytes) -> bytes:
    return _length(len(encoded)) + encoded


def text(identifier: int, value: str) -> bytes:
    data = value.encode()
    return bytes([identifier]) + struct.pack("!H", len(data)) + data
