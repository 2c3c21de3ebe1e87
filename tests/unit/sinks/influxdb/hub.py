"""A small HTTP hub that stores what it is sent and can be told to misbehave in every way a real one does."""

import gzip
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.sinks.influxdb.lines import Point, read_lines

TOKEN = "token-of-the-tests"

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class FaultyHub:
    """`next` holds a behaviour for each coming request; without one a request is stored and answered with 204.

    `poison` says which points are refused: with `partial` the others are stored and counted as InfluxDB does, else
    nothing is. `points` maps (measurement, tags, time) to the fields stored; `requests` counts.
    """

    scheme = "Token"

    def __init__(self, port: int = 0) -> None:
        self.next: deque[Behaviour] = deque()
        self.always: Behaviour | None = None
        self.poison: Callable[[Point], bool] = lambda point: False
        self.message = "field type conflict"
        self.partial = True
        self.most_bytes = 1 << 40
        self.token = TOKEN
        self.points: dict[tuple[str, tuple[tuple[str, str], ...], int], dict[str, str]] = {}
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.connections = 0
        self.asleep = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> int:
        return len(self.paths)

    def count(self, measurement: str) -> int:
        return sum(len(fields) for (name, _, _), fields in self.points.items() if name == measurement)

    def values(self, measurement: str, field: str) -> dict[int, str]:
        """Time to the text stored, over all series."""
        return {t: f[field] for (name, _, t), f in self.points.items() if name == measurement and field in f}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.asleep.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                hub.connections += 1

            def do_POST(self) -> None:
                hub.paths.append(self.path)
                behaviour = hub.next.popleft() if hub.next else hub.always or hub.store
                behaviour(self)

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    self.close_connection = True

        return Handler

    def store(self, request: BaseHTTPRequestHandler) -> None:
        """What a good hub does, within its rules."""
        body = gzip.decompress(_read(request))
        if request.headers["Authorization"] != f"{self.scheme} {self.token}":
            return respond(request, 401, {"code": "unauthorized", "message": "unauthorized access"})
        if len(body) > self.most_bytes:
            return respond(request, 413, {"code": "request too large", "message": "too large"})
        self.bodies.append(body)
        points = read_lines(body)
        bad = [self.poison(point) for point in points]
        if any(bad) and not self.partial:
            return respond(request, 400, {"code": "invalid", "message": self.message})
        for point, is_bad in zip(points, bad, strict=True):
            if not is_bad:
                self.points.setdefault((point.measurement, point.tags, point.time), {}).update(point.fields)
        if any(bad):
            message = f"failure writing points to database: partial write: {self.message} dropped={sum(bad)}"
            return respond(request, 422, {"code": "unprocessable entity", "message": message})
        return respond(request, 204)

    def stall(self, request: BaseHTTPRequestHandler) -> None:
        """Reads everything and says nothing until the test ends."""
        _read(request)
        self.asleep.wait(30)

    def slow(self, request: BaseHTTPRequestHandler) -> None:
        """A line on which more than a kilobyte takes longer than anybody waits."""
        if int(request.headers["Content-Length"]) > 1024:
            return self.stall(request)
        return self.store(request)

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        """Answers one byte at a time, without end: no single read ever times out."""
        _read(request)
        request.wfile.write(b"HTTP/1.1 204 No Content\r\nX-Slow: ")
        while not self.asleep.wait(0.05):
            request.wfile.write(b"x")


def _read(request: BaseHTTPRequestHandler) -> bytes:
    return request.rfile.read(int(request.headers["Content-Length"]))


def respond(request: BaseHTTPRequestHandler, status: int, body: object = None, **headers: str) -> None:
    """JSON for a dict, a text as it is, nothing for None."""
    content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def answer(status: int, body: object = None, **headers: str) -> Behaviour:
    """Reads the request, stores nothing and answers."""

    def behave(request: BaseHTTPRequestHandler) -> None:
        _read(request)
        respond(request, status, body, **headers)

    return behave


def answer_early(status: int) -> Behaviour:
    """Answers and closes without reading the body, as proxies do with what is too large."""

    def behave(request: BaseHTTPRequestHandler) -> None:
        respond(request, status)
        request.wfile.flush()
        request.close_connection = True

    return behave


def say(raw: bytes) -> Behaviour:
    """Reads the request, sends these bytes and closes."""

    def behave(request: BaseHTTPRequestHandler) -> None:
        _read(request)
        request.wfile.write(raw)
        request.close_connection = True

    return behave


def reset(request: BaseHTTPRequestHandler) -> None:
    """Resets the connection in the middle of the body."""
    request.rfile.read(10)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
    request.close_connection = True


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """Closes the connection without an answer, as a server does with one that was idle too long."""
    request.close_connection = True


class TlsHub(FaultyHub):
    """The same hub behind TLS, with the certificate `<place>.crt` and the key `<place>.key`."""

    def __init__(self, place: Path, port: int = 0) -> None:
        super().__init__(port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.use(place)
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def use(self, place: Path) -> None:
        """Shows this certificate from now on."""
        self._context.load_cert_chain(place.with_suffix(".crt"), place.with_suffix(".key"))


class Hub3(FaultyHub):
    """InfluxDB 3 by its documents, with `accept_partial=true`.

    https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/#partial-writes
    """

    scheme = "Bearer"

    def store(self, request: BaseHTTPRequestHandler) -> None:
        body = gzip.decompress(_read(request))
        if request.headers["Authorization"] != f"{self.scheme} {self.token}":
            return respond(request, 401, {"error": "the request was not authenticated"})
        points = read_lines(body)
        bad = [number for number, point in enumerate(points, 1) if self.poison(point)]
        for number, point in enumerate(points, 1):
            if number not in bad:
                self.points.setdefault((point.measurement, point.tags, point.time), {}).update(point.fields)
        if not bad:
            return respond(request, 204)
        lines = body.decode().splitlines()
        data = [
            {"original_line": lines[number - 1], "line_number": number, "error_message": self.message} for number in bad
        ]
        return respond(request, 400, {"error": "partial write of line protocol occurred", "data": data})


def make_certificate(place: Path, address: str) -> None:
    """A self-signed certificate for an IP address, valid now."""
    Authority().sign(place, address, self_signed=True)


class Authority:
    """A CA of the tests: `file` is its certificate as PEM, `sign` gives certificates, `revoke` a list."""

    def __init__(self, name: str = "CA of the tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._now = datetime.now(UTC)
        self._revoked: list[x509.RevokedCertificate] = []
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            self._builder(self._name, self._key, -1, 2)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, start: float, days: float
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + timedelta(days=start))
            .not_valid_after(self._now + timedelta(days=start + days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def file(self, path: Path) -> Path:
        """Writes the CA's certificate."""
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def sign(
        self, place: Path, address: str, *, start: float = -1, days: float = 2, self_signed: bool = False
    ) -> x509.Certificate:
        """A certificate for an IP address from `start` (days from now), for so many `days`; with its key."""
        key = self._key if self_signed else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub of the tests")])
        builder = self._builder(self._name if self_signed else subject, key, start, days)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        certificate = builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        place.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem, form, nothing = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        place.with_suffix(".key").write_bytes(key.private_bytes(pem, form, nothing))
        return certificate

    def revoke(self, path: Path, *certificates: x509.Certificate, days: float = 2) -> Path:
        """Writes the list of what was revoked so far, valid for so many `days` from yesterday on."""
        when = self._now - timedelta(hours=1)
        self._revoked += [
            x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(when).build()
            for one in certificates
        ]
        begin = self._now - timedelta(days=1)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(begin)
        builder = builder.next_update(begin + timedelta(days=days))
        for one in self._revoked:
            builder = builder.add_revoked_certificate(one)
        signed = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return path
