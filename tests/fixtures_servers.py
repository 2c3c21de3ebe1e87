"""Fixtures that start real servers on 127.0.0.1 and end them by pid: for one test, InfluxDB 2 for all of a worker.

``influxdb``, ``influxdb1`` and ``victoria`` are running databases; ``uafast``, ``mbserver``, ``gateway`` and
``node_opcua`` are factories: ``uafast(n=100, period_ms=50, mixed=True)`` answers a running server. tests/servers/ has
what each offers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

from tests.servers.broker import Mosquitto
from tests.servers.cache import MissingService
from tests.servers.databases import Database, InfluxDB, InfluxDB1, VictoriaMetrics
from tests.servers.sources import Gateway, MbServer, NodeOpcua, Source, Uafast

SomeDatabase = TypeVar("SomeDatabase", bound=Database)
SomeSource = TypeVar("SomeSource", bound=Source)


def require_service(name: str, how: str) -> NoReturn:
    """End this test because a service is missing: as skipped, but with ``CI=true`` as failed."""
    reason = f"{name} is not on this machine; to get it: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextmanager
def required() -> Iterator[None]:
    try:
        yield
    except MissingService as missing:
        require_service(missing.name, missing.how)


def _database(kind: type[SomeDatabase], folder: Path) -> Iterator[SomeDatabase]:
    with required():
        database = kind(folder)
    with database:
        yield database


def _factory(kind: type[SomeSource], folder: Path, **always: Any) -> Iterator[Callable[..., SomeSource]]:
    with ExitStack() as started:

        def start(**options: Any) -> SomeSource:
            with required():
                source = kind(folder, **always | options)
            started.enter_context(source)
            return source

        yield start


@pytest.fixture(scope="session")
def influxdb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """The InfluxDB 2 behind `influxdb`: a worker runs one test at a time, so they share it, and spare its start."""
    yield from _database(InfluxDB, tmp_path_factory.mktemp("influxdb"))


@pytest.fixture
def influxdb(influxdb_server: InfluxDB) -> InfluxDB:
    """A running InfluxDB 2 with an empty bucket; a test may stop, freeze or kill it."""
    return influxdb_server.emptied()


@pytest.fixture
def influxdb_alone(tmp_path: Path) -> Iterator[InfluxDB]:
    """One for this test only, which leaves behind what a new bucket does not cover: dashboards, mappings."""
    yield from _database(InfluxDB, tmp_path / "influxdb")


@pytest.fixture
def influxdb1(tmp_path: Path) -> Iterator[InfluxDB1]:
    """A running InfluxDB 1 with an empty database and one user."""
    yield from _database(InfluxDB1, tmp_path / "influxdb1")


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    """A running, empty VictoriaMetrics."""
    yield from _database(VictoriaMetrics, tmp_path / "victoria")


@pytest.fixture(scope="session")
def server_pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the OPC UA servers keep their certificates: made once a session, for making them takes a second."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture
def uafast(tmp_path: Path, server_pki: Path) -> Iterator[Callable[..., Uafast]]:
    """Starts fast OPC UA servers: ``uafast(n=…, period_ms=…, mixed=…, ticks=…, bad_every=…)``."""
    yield from _factory(Uafast, tmp_path, pki=server_pki / "uafast")


@pytest.fixture
def node_opcua(tmp_path: Path, server_pki: Path) -> Iterator[Callable[..., NodeOpcua]]:
    """Starts OPC UA servers of another make: ``node_opcua(period_ms=…, ticks=…)``."""
    yield from _factory(NodeOpcua, tmp_path, pki=server_pki / "node-opcua")


@pytest.fixture
def mbserver(tmp_path: Path) -> Iterator[Callable[..., MbServer]]:
    """Starts Modbus TCP servers: ``mbserver(units=…, illegal=…, period_ms=…, ticks=…, delay_ms=…)``."""
    yield from _factory(MbServer, tmp_path)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts Modbus gateways of another make: ``gateway(units={1: 20, 2: None}, gives_up_ms=…)``."""
    yield from _factory(Gateway, tmp_path)


@pytest.fixture
def mosquitto_with(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Starts MQTT brokers: ``mosquitto_with(users=…, rights=…, tls=…, more=…)``."""
    with ExitStack() as started:

        def start(**options: Any) -> Mosquitto:
            with required():
                broker = Mosquitto(tmp_path / "mosquitto", **options)
            return started.enter_context(broker)

        yield start


@pytest.fixture
def mosquitto(mosquitto_with: Callable[..., Mosquitto]) -> Mosquitto:
    """A running MQTT broker that everybody may use."""
    return mosquitto_with()
