"""An HTTP proxy in front of a hub that notes when each write was answered: so "stored" means the hub's own 2xx."""

from __future__ import annotations

import http.client
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import numpy as np

_NS_PER_MS = 1_000_000


@dataclass
class Stored:
    """What was stored in a window. `delays`: source time to the hub's answer in ms, one a value."""

    delays: np.ndarray
    wire_bytes: int
    """Request heads and bodies."""

    @property
    def values(self) -> int:
        return len(self.delays)


@dataclass
class _Write:
    answered: int
    head: int
    body: bytes = field(repr=False)


class Witness:
    """``with Witness(port) as witness``: writes to `witness.url` go to the hub at `port`, one connection each way."""

    def __init__(self, port: int) -> None:
        self._writes: list[_Write] = []
        writes = self._writes

        class Proxy(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self.hub = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                head = len(self.raw_requestline) + len(str(self.headers))
                self.hub.request("POST", self.path, body, dict(self.headers))
                answer = self.hub.getresponse()
                content = answer.read()
                if answer.status // 100 == 2:
                    writes.append(_Write(time.time_ns(), head, body))
                with suppress(OSError):  # the agent would not wait any longer
                    self.send_response_only(answer.status)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        self._server.daemon_threads = True
        self.port = int(self._server.server_port)
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answered(self, since: int) -> bool:
        """Whether the hub answered for a write after this wall time (ns)."""
        return bool(self._writes) and self._writes[-1].answered >= since

    def stored(self, since: int, until: int) -> Stored:
        """What the hub answered for between two wall times (ns). Read afterwards, so that it slows no write."""
        delays, size = [np.empty(0)], 0
        for write in [w for w in self._writes if since <= w.answered < until]:
            times, counts = _points(zlib.decompress(write.body, 31))
            delays.append(np.repeat((write.answered - times * _NS_PER_MS) / _NS_PER_MS, counts))
            size += write.head + len(write.body)
        return Stored(np.concatenate(delays), size)


def _points(lines: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Time (ms) and number of values of each line of data; what says the state of a tag is none."""
    parts = [line.split(b" ") for line in lines.splitlines() if not line.startswith((b"quality,", b"event,"))]
    return (
        np.array([int(time_) for _, _, time_ in parts], np.int64),
        np.array([fields.count(b"=") for _, fields, _ in parts], np.int64),
    )
