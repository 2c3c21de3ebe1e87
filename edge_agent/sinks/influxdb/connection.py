"""The HTTP side: one keep-alive connection. Blocking. Only here are urllib3, ssl and sockets seen.

urllib3 connects and sets up TLS, without its pool: so `close` can cut the socket under a thread that still waits on it.
What is said then is written and read here: through urllib3 and http.client a request costs 0.8 ms of CPU on a gateway
that wakes ten times a second for it, this 0.2. Connecting, sending and the answer as a whole have a time-out each. Only
the resolver's own limits end the look-up of a name (30 s or so).
"""

import socket
from contextlib import suppress
from typing import Final
from urllib.parse import quote, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from edge_agent import __version__
from edge_agent.api import EdgeAgentError
from edge_agent.sinks.influxdb.answer import AnswerFault, CutAnswer, DrippedAnswer, read_answer
from edge_agent.sinks.influxdb.config import HubSection
from edge_agent.sinks.influxdb.faults import tls_context, translated
from edge_agent.sinks.influxdb.reply import Reply
from edge_agent.sinks.influxdb.secret import authorization

_HEADERS: Final = (
    "Content-Encoding: gzip\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Accept: application/json\r\n"
    f"User-Agent: edge-agent/{__version__}\r\n"
)
_FAULTS: Final = (HTTPError, OSError, AnswerFault, CutAnswer, DrippedAnswer)


class HubConnection:
    """Posts bodies to one bucket. `name` is what errors call the hub."""

    def __init__(self, section: HubSection) -> None:
        """Opens nothing; the secret is read with the first request."""
        self._section = section
        self._url = urlsplit(section.url)
        target = quote(self._url.path.rstrip("/")) + section.write_path
        self._line = f"POST {target} HTTP/1.1\r\nHost: {_host(self._url.netloc)}\r\n{_HEADERS}"
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
        sock = connection.sock
        if not isinstance(sock, socket.socket):
            raise ConnectionAbortedError("closed")
        proof = "" if self._authorization is None else f"Authorization: {self._authorization}\r\n"
        head = f"{self._line}{proof}Content-Length: {len(content)}\r\n\r\n"
        sock.settimeout(self._section.timeout)
        # A hub may answer (413) and close before it has read everything: its answer is waiting all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(head.encode("ascii") + content)
        answer = read_answer(sock, self._section.timeout)
        if not answer.reusable:
            self._drop()
        return answer.reply()

    def _connect(self) -> HTTPConnection:
        host, port, section = self._url.hostname or "", self._url.port, self._section
        if self._url.scheme == "http":
            self._connection = HTTPConnection(host, port or 80, timeout=section.timeout)
        else:
            trust = tls_context(section.ca_file, section.crl_file)
            self._connection = HTTPSConnection(host, port or 443, timeout=section.timeout, ssl_context=trust)
        self._connection.connect()
        if self._closed:
            self._drop()
            raise ConnectionAbortedError("closed")
        return self._connection


def _host(netloc: str) -> str:
    """The Host header of a URL's address: as it stands there, without a user."""
    host = netloc.rpartition("@")[2]
    return host if host.isascii() else host.encode("idna").decode("ascii")
