"""The HTTP side: one keep-alive connection through urllib3. Blocking. Only here are urllib3, ssl and sockets seen.

urllib3's connection is used without its pool: so `close` can cut the socket under a thread that still waits on it.
What sockets time by themselves is each step: connecting, sending a body, one read. An answer has one time-out for all
of it, so that one that drips is given up too. Only the resolver's own limits end the look-up of a name (30 s or so).
"""

import http.client
import io
import socket
import time
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from edge_agent import __version__
from edge_agent.api import EdgeAgentError
from edge_agent.sinks.influxdb.config import HubSection
from edge_agent.sinks.influxdb.faults import DRIPPED, tls_context, translated
from edge_agent.sinks.influxdb.reply import Reply
from edge_agent.sinks.influxdb.secret import authorization

_LONGEST_ANSWER: Final = 64 * 1024
_FAULTS: Final = (HTTPError, OSError, http.client.HTTPException)


class _WholeLines(io.BufferedReader):
    """Where the answer breaks off in the middle of its head, http.client takes what it has for the whole of it."""

    _begun = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size and (line or self._begun):
            raise http.client.IncompleteRead(line)
        self._begun = True
        return line


class _Timed(io.RawIOBase):
    """A socket's bytes, all of them within one time-out of the socket."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._sock, self._raw = sock, raw
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(max(self._until - time.monotonic(), 0.001))
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            raise TimeoutError(DRIPPED if self._begun else "timed out") from None
        self._begun = True
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose head is there to its last line, or IncompleteRead."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp = _WholeLines(_Timed(sock, self.fp.detach()))


class HubConnection:
    """Posts bodies to one bucket. `name` is what errors call the hub."""

    def __init__(self, section: HubSection) -> None:
        """Opens nothing; the secret is read with the first request."""
        self._section = section
        self._url = urlsplit(section.url)
        self._target = quote(self._url.path.rstrip("/")) + section.write_path
        self._connection: HTTPConnection | None = None
        self._authorization: str | None = None
        self._closed = False
        self.name = f"{section.url} ({section.place})"

    def close(self) -> None:
        """Cuts the connection, even under a thread that waits on it, and makes no other."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        """The next request makes a new connection, and for that reads the CA file again."""
        connection, self._connection = self._connection, None
        if connection is not None and isinstance(connection.sock, socket.socket):
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        if connection is not None:
            connection.close()

    def token_changed(self) -> bool:
        """Reads the secret anew; whether it is another one than the last request used."""
        before, self._authorization = self._authorization, authorization(self._section, self.name)
        return self._authorization != before

    def post(self, content: bytes) -> Reply:
        """One request; once more over a new connection if the hub had closed the idle one. Errors as a sink's."""
        if self._authorization is None:
            self._authorization = authorization(self._section, self.name)
        kept_alive = self._connection
        if kept_alive is not None and kept_alive.is_connected:
            try:
                return self._request(kept_alive, content)
            except ConnectionError:
                pass
            except _FAULTS as error:
                raise self._broken("write", error) from error
        self._drop()
        try:
            connection = self._connect()
        except _FAULTS as error:
            raise self._broken("connect", error) from error
        try:
            return self._request(connection, content)
        except _FAULTS as error:
            raise self._broken("write", error) from error

    def _broken(self, operation: str, error: Exception) -> EdgeAgentError:
        """After a fault nothing more is said over this connection."""
        self._drop()
        return translated(operation, self.name, error)

    def _request(self, connection: HTTPConnection, content: bytes) -> Reply:
        headers = {
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
            "User-Agent": f"edge-agent/{__version__}",
            "Accept": "application/json",
        }
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        # A hub may answer (413) and close before it has read everything: its answer is waiting all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", self._target, body=content, headers=headers, preload_content=False)
        response = connection.getresponse()
        try:
            body = response.read(_LONGEST_ANSWER)
        finally:
            response.close()  # one that was not read to its end holds the socket open
        if len(body) == _LONGEST_ANSWER:
            self._drop()
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, body)

    def _connect(self) -> HTTPConnection:
        host, port, section = self._url.hostname or "", self._url.port, self._section
        if self._url.scheme == "http":
            self._connection = HTTPConnection(host, port or 80, timeout=section.timeout)
        else:
            trust = tls_context(section.ca_file, section.crl_file)
            self._connection = HTTPSConnection(host, port or 443, timeout=section.timeout, ssl_context=trust)
        self._connection.response_class = _Response
        self._connection.connect()
        if self._closed:
            self._drop()
            raise ConnectionAbortedError("closed")
        return self._connection
