"""The HTTP side: one keep-alive connection through urllib3. Blocking. Only here are urllib3, ssl and sockets seen.

urllib3's connection is used without its pool: so `drop` can cut the socket under a thread that still waits on it.
"""

import http.client
import socket
import ssl
from contextlib import suppress
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HttpTimeout

from edge_agent import __version__
from edge_agent.api import EdgeAgentError, NotConnected, ProtocolError, Refused, TimedOut, Words
from edge_agent.sinks.influxdb.config import InfluxDbSection
from edge_agent.sinks.influxdb.reply import Reply
from edge_agent.sinks.influxdb.secret import read_token

_LONGEST_ANSWER: Final = 64 * 1024


class HubConnection:
    """Posts bodies to one bucket. `name` is what errors call the hub."""

    def __init__(self, section: InfluxDbSection) -> None:
        """Opens nothing; the token is read with the first request."""
        self._section = section
        self._url = urlsplit(section.url)
        query = {"org": section.org, "bucket": section.bucket, "precision": section.precision}
        self._target = f"{quote(self._url.path.rstrip('/'))}/api/v2/write?{urlencode(query)}"
        self._connection: HTTPConnection | None = None
        self._token: str | None = None
        self.name = f"{section.url} (bucket {section.bucket})"

    def drop(self) -> None:
        """Cuts the connection, even under a thread that waits on it; the next request makes a new one.

        A new connection reads the CA file again.
        """
        connection, self._connection = self._connection, None
        if connection is not None and isinstance(connection.sock, socket.socket):
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        if connection is not None:
            connection.close()

    def token_changed(self) -> bool:
        """Reads the token anew; whether it is another one than the last request used."""
        before, self._token = self._token, read_token(self._section.token, self.name)
        return self._token != before

    def post(self, content: bytes) -> Reply:
        """One request; once more over a new connection if the hub had closed the idle one. Errors as a sink's."""
        if self._token is None:
            self._token = read_token(self._section.token, self.name)
        kept_alive = self._connection
        if kept_alive is not None and kept_alive.is_connected:
            try:
                return self._request(kept_alive, content)
            except ConnectionError:
                pass
            except (HTTPError, OSError, http.client.HTTPException) as error:
                raise translated(error, self.name) from error
        self.drop()
        try:
            return self._request(self._connect(), content)
        except (HTTPError, OSError, http.client.HTTPException) as error:
            raise translated(error, self.name) from error

    def _request(self, connection: HTTPConnection, content: bytes) -> Reply:
        headers = {
            "Authorization": f"Token {self._token}",
            "Content-Encoding": "gzip",
            "Content-Type": "text/plain; charset=utf-8",
            "User-Agent": f"edge-agent/{__version__}",
            "Accept": "application/json",
        }
        # A hub may answer (413) and close before it has read everything: its answer is waiting all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", self._target, body=content, headers=headers, preload_content=False)
        response = connection.getresponse()
        body = response.read(_LONGEST_ANSWER)
        if len(body) == _LONGEST_ANSWER:
            self.drop()
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, body)

    def _connect(self) -> HTTPConnection:
        host, port, timeout = self._url.hostname or "", self._url.port, self._section.timeout
        if self._url.scheme == "http":
            self._connection = HTTPConnection(host, port or 80, timeout=timeout)
        else:
            self._connection = HTTPSConnection(host, port or 443, timeout=timeout, ssl_context=self._trust())
        self._connection.connect()
        return self._connection

    def _trust(self) -> ssl.SSLContext:
        file = self._section.ca_file
        try:
            return ssl.create_default_context(cafile=file)
        except OSError as error:  # SSLError is one too
            raise Refused(
                "read CA file",
                str(file),
                Words(f"CA 파일을 읽을 수 없습니다 ({error})", f"the CA file cannot be read ({error})"),
                Words("PEM 형식 파일의 경로와 권한을 확인하십시오", "check path, rights and that it is a PEM file"),
            ) from error


def translated(error: Exception, name: str) -> EdgeAgentError:
    """What an exception of urllib3, ssl or the socket means for the hub called `name`."""
    if isinstance(error, SSLError) and error.args and isinstance(error.args[0], ssl.SSLError):
        error = error.args[0]
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(name, error.verify_message)
    if isinstance(error, TimeoutError) or (
        isinstance(error, HttpTimeout) and not isinstance(error, NewConnectionError)
    ):
        return timed_out(name)
    if isinstance(error, ssl.SSLError):
        return _no_tls(name, str(error))
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return _no_http(name, repr(error))
    return NotConnected(
        "write",
        name,
        Words(f"허브에 연결할 수 없습니다 ({error})", f"the hub cannot be reached ({error})"),
        Words(
            "허브의 전원, 네트워크, url의 주소와 포트를 확인하십시오. 데이터는 보관 중입니다",
            "check the hub's power, the network, and address and port of `url`; data is kept meanwhile",
        ),
    )


def timed_out(name: str) -> TimedOut:
    """The hub did not answer within the deadline."""
    return TimedOut(
        "write",
        name,
        Words("허브가 제시간에 응답하지 않습니다", "the hub did not answer in time"),
        Words(
            "회선과 허브의 부하를 확인하십시오. 다음에는 더 작게 나누어 보냅니다",
            "check the line and the hub's load; the next attempt sends smaller pieces",
        ),
    )


def _untrusted(name: str, why: str) -> Refused:
    return Refused(
        "connect",
        name,
        Words(f"허브의 인증서를 신뢰할 수 없습니다 ({why})", f"the hub's certificate is not trusted ({why})"),
        Words(
            "사설 인증서라면 ca_file에 CA를 지정하고, 인증서의 이름과 기간, 이 장치의 시계를 확인하십시오",
            "for a private CA set ca_file; check the certificate's names and dates, and this machine's clock",
        ),
    )


def _no_tls(name: str, why: str) -> ProtocolError:
    return ProtocolError(
        "connect",
        name,
        Words(f"TLS 연결에 실패했습니다 ({why})", f"TLS could not be set up ({why})"),
        Words(
            "포트가 HTTPS용인지, 허브가 TLS 1.2 이상을 쓰는지 확인하십시오",
            "check that the port speaks HTTPS and the hub TLS 1.2 or newer",
        ),
    )


def _no_http(name: str, why: str) -> ProtocolError:
    return ProtocolError(
        "write",
        name,
        Words(f"HTTP가 아닌 응답입니다 ({why})", f"the answer is not HTTP ({why})"),
        Words("url의 주소와 포트를 확인하십시오", "check address and port of `url`"),
    )
