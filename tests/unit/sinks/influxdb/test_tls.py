"""TLS in eight ways that are wrong: each is refused in words of its own, nothing is stored, all goes on once mended.

The same sink object writes before and after: no restart. What mends it is what a person would do.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.api import EdgeAgentError, ProtocolError, Refused, SystemClock, TimedOut
from edge_agent.sinks.influxdb.client import InfluxDbSink
from tests.unit.sinks.influxdb import hub as hubs
from tests.unit.sinks.influxdb.hub import Authority, FaultyHub, TlsHub
from tests.unit.sinks.influxdb.rows import scan, section_of

pytestmark = pytest.mark.anyio
HERE = "127.0.0.1"
Mend = Callable[[], FaultyHub]


@dataclass
class Bench:
    """A CA with a good certificate, and the files that the sink reads."""

    folder: Path
    stack: ExitStack
    ca: Authority = field(default_factory=Authority)

    def __post_init__(self) -> None:
        self.ca_file = self.ca.file(self.folder / "ca.pem")
        self.good = self.folder / "good"
        self.ca.sign(self.good, HERE)

    def tls(self, place: Path, port: int = 0) -> TlsHub:
        return self.stack.enter_context(TlsHub(place, port))

    def showing(self, place: Path) -> tuple[str, Mend]:
        """A hub with this certificate, mended by giving it the good one."""
        hub = self.tls(place)

        def mend() -> FaultyHub:
            hub.use(self.good)
            return hub

        return hub.url, mend


def expired(bench: Bench) -> tuple[str, Mend]:
    bench.ca.sign(bench.folder / "old", HERE, start=-3, days=2)
    return bench.showing(bench.folder / "old")


def not_yet_valid(bench: Bench) -> tuple[str, Mend]:
    bench.ca.sign(bench.folder / "new", HERE, start=1)
    return bench.showing(bench.folder / "new")


def wrong_host(bench: Bench) -> tuple[str, Mend]:
    bench.ca.sign(bench.folder / "other", "127.0.0.2")
    return bench.showing(bench.folder / "other")


def unknown_ca(bench: Bench) -> tuple[str, Mend]:
    """Mended at the agent: the CA's file is put in place."""
    other = Authority("another CA")
    other.sign(bench.folder / "foreign", HERE)
    hub = bench.tls(bench.folder / "foreign")

    def mend() -> FaultyHub:
        other.file(bench.ca_file)
        return hub

    return hub.url, mend


def revoked(bench: Bench) -> tuple[str, Mend]:
    stolen = bench.ca.sign(bench.folder / "stolen", HERE)
    bench.ca.revoke(bench.folder / "crl.pem", stolen)
    return bench.showing(bench.folder / "stolen")


def self_signed(bench: Bench) -> tuple[str, Mend]:
    hubs.make_certificate(bench.folder / "own", HERE)
    return bench.showing(bench.folder / "own")


def plaintext_port(bench: Bench) -> tuple[str, Mend]:
    plain = FaultyHub()
    plain.__enter__()

    def mend() -> FaultyHub:
        plain.__exit__()
        return bench.tls(bench.good, plain.port)

    return plain.url.replace("http:", "https:"), mend


def stalled_handshake(bench: Bench) -> tuple[str, Mend]:
    listener = socket.create_server((HERE, 0))
    port = listener.getsockname()[1]
    held: list[socket.socket] = []

    def take() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=take, daemon=True).start()

    def mend() -> FaultyHub:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in held:
            one.close()
        return bench.tls(bench.good, port)

    return f"https://{HERE}:{port}", mend


MATRIX = [
    (expired, Refused, "만료", "has expired", "renew"),
    (not_yet_valid, Refused, "아직 유효하지", "not valid yet", "clock"),
    (wrong_host, Refused, "이 주소의 것이 아닙니다", "for another address", "into url"),
    (unknown_ca, Refused, "CA를 모릅니다", "CA that is not known", "ca_file"),
    (revoked, Refused, "폐기되었습니다", "was revoked", "new certificate"),
    (self_signed, Refused, "자체 서명", "self-signed", "ca_file"),
    (plaintext_port, ProtocolError, "TLS(HTTPS)가 아닙니다", "does not speak TLS", "port"),
    (stalled_handshake, TimedOut, "handshake", "handshake was not answered", "proxy"),
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(tmp_path, stack)


@contextmanager
def refused_with(kind: type[EdgeAgentError], ko: str, en: str, cure: str) -> Iterator[None]:
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind
    assert ko in caught.value.cause.ko
    assert en in caught.value.cause.en
    assert cure in caught.value.hint.en
    assert caught.value.hint.ko


def sink_to(url: str, bench: Bench, **more: object) -> InfluxDbSink:
    token = bench.folder / "token"
    token.write_text(hubs.TOKEN)
    facts = {"timeout": "1s", "encoder": "python", "ca_file": str(bench.ca_file)} | more
    return InfluxDbSink(section_of(url, token, **facts), SystemClock())


@pytest.mark.parametrize(("wrong", "kind", "ko", "en", "cure"), MATRIX, ids=lambda case: getattr(case, "__name__", ""))
async def test_what_is_wrong_is_refused_and_goes_on_once_mended(bench, wrong, kind, ko, en, cure):
    url, mend = wrong(bench)
    lists = {"crl_file": str(bench.folder / "crl.pem")} if wrong is revoked else {}
    sink = sink_to(url, bench, **lists)
    for _ in range(2):
        with refused_with(kind, ko, en, cure):
            sink.write(scan(10))
    hub = mend()
    assert hub.points == {}
    assert (sink.write(scan(10))).refused == []
    assert hub.count("furnace") + hub.count("press") == 10
    sink.close()


async def test_without_a_list_nobody_is_told_of_what_was_revoked(bench):
    """Said in the README: Python's ssl has no OCSP."""
    url, mend = revoked(bench)
    sink = sink_to(url, bench)
    assert (sink.write(scan(10))).refused == []
    assert mend().requests == 1
    sink.close()


@pytest.mark.parametrize("days", [0.5, None])
async def test_a_list_that_is_too_old_or_missing_is_refused_and_read_anew(bench, days):
    file = bench.folder / "crl.pem"
    if days is not None:
        bench.ca.revoke(file, days=days)
    hub = bench.tls(bench.good)
    sink = sink_to(hub.url, bench, crl_file=str(file))
    words = ("crl_file", "crl_file", "current list") if days else ("CRL", "CRL", "PEM")
    with refused_with(Refused, *words):
        sink.write(scan(10))
    bench.ca.revoke(file, days=10)
    assert (sink.write(scan(10))).refused == []
    sink.close()


async def test_http_to_a_port_that_wants_https_keeps_everything(bench):
    """What such a server answers is a 400: no poison, and nothing for the quarantine."""
    with FaultyHub() as hub:
        hub.always = hubs.answer(400, "Client sent an HTTP request to an HTTPS server.\n")
        sink = sink_to(hub.url, bench)
        with refused_with(ProtocolError, "HTTPS만", "HTTPS only", "https://"):
            sink.write(scan(2))
        sink.close()
