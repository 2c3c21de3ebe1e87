"""The technician's tools for OPC UA against servers that were not written here: they find, list, read and watch."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.opcua.discovery import RANKS
from edge_agent.api import NotConnected, SystemClock
from edge_agent.cli.check import check
from edge_agent.cli.opcua.discovering import Order, discovered
from edge_agent.cli.opcua.door import url_of
from edge_agent.cli.speech import Speech
from edge_agent.errors import Unsupported
from tests.fixtures_servers import require_service
from tests.servers.cache import MissingService
from tests.servers.process import free_port
from tests.servers.sources import NodeOpcua, Source, Uafast

HEAD = """site: {name: plant}
machines:
  - {name: machine1, line: a, class: press}
sinks: []
journal: {path: journal}
"""


def running(kind: type[Source], folder: Path, **options) -> Iterator[Source]:
    try:
        source = kind(folder, **options)
    except MissingService as missing:
        require_service(missing.name, missing.how)
    with source:
        yield source


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory, server_pki: Path) -> Iterator[Uafast]:
    folder = tmp_path_factory.mktemp("uafast")
    yield from running(Uafast, folder, n=24, period_ms=100, mixed=True, pki=server_pki / "uafast")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, server_pki: Path) -> Iterator[NodeOpcua]:
    folder = tmp_path_factory.mktemp("node-opcua")
    yield from running(NodeOpcua, folder, period_ms=100, pki=server_pki / "node-opcua")


@pytest.fixture(params=["fast", "node"])
def server(request: pytest.FixtureRequest) -> Source:
    return request.getfixturevalue(request.param)


def discovery(url: str, language: str = "en", **options) -> tuple[int, str]:
    out = io.StringIO()
    return discovered(Order(url, Speech(language), **options), SystemClock(), out), out.getvalue()


def test_discover_tells_every_endpoint_and_the_best_one(server: Source) -> None:
    code, text = discovery(server.url, as_json=True)
    assert code == 0
    (found, *_) = json.loads(text)
    endpoints = found["endpoints"]
    assert {one["policy"] for one in endpoints} == {*RANKS, "None"}
    (best,) = [one for one in endpoints if one["best"]]
    assert (best["policy"], best["mode"]) == ("Aes256_Sha256_RsaPss", "SignAndEncrypt")
    assert {"Anonymous", "UserName"} <= set(best["tokens"])
    own = {hashlib.sha1(path.read_bytes()).hexdigest().upper() for path in server.pki.rglob("*.der")}
    if own:  # node-opcua keeps its certificate as PEM
        assert best["certificate"]["sha1"] in own
    assert best["certificate"]["begins"] < SystemClock().wall() < best["certificate"]["ends"]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_discover_writes_a_link_that_the_check_accepts(server: Source, tmp_path: Path, language: str) -> None:
    links = tmp_path / "links.yaml"
    code, text = discovery(server.url, language, output=links)
    assert code == 0
    assert "SHA-1" in text
    (tmp_path / "config.yaml").write_text(HEAD + links.read_text("utf-8"), "utf-8")
    (tmp_path / "tags.csv").write_text("tag,node\na,i=2258\n")
    out = io.StringIO()
    assert check(tmp_path / "config.yaml", language, out) == 0, out.getvalue()


def test_discover_where_nobody_listens() -> None:
    with pytest.raises(NotConnected, match="nothing listens"):
        discovery(f"opc.tcp://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("192.168.0.10", "opc.tcp://192.168.0.10:4840"),
        ("plc:4841", "opc.tcp://plc:4841"),
        ("[fe80::1]", "opc.tcp://[fe80::1]:4840"),
        ("opc.tcp://plc/path", "opc.tcp://plc:4840/path"),
    ],
)
def test_places(place: str, url: str) -> None:
    assert url_of(place) == url


@pytest.mark.parametrize("place", ["http://plc", "opc.tcp://user:pass@plc", "plc:99999", "a b", "opc.tcp://"])
def test_no_places(place: str) -> None:
    with pytest.raises(Unsupported):
        url_of(place)
