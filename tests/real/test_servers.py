"""Each server the other tests rely on starts, answers with what it promises, and leaves no process behind."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography.x509.oid import ExtendedKeyUsageOID
from pymodbus.client import AsyncModbusTcpClient

from tests.fixtures_servers import require_service
from tests.servers import cache
from tests.servers.databases import Database, InfluxDB, VictoriaMetrics
from tests.servers.process import ServerFailed, ServerProcess, answers, free_port, poll
from tests.servers.sources import PASSWORD, USER, MbServer, NodeOpcua, Source, Uafast

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
MixedTypes = (
    ua.VariantType.Double,
    ua.VariantType.Float,
    ua.VariantType.Int32,
    ua.VariantType.UInt16,
    ua.VariantType.Int64,
    ua.VariantType.UInt64,
    ua.VariantType.Boolean,
    ua.VariantType.String,
)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def assert_gone(server: Database | Source) -> None:
    assert not is_alive(server.pid)
    assert not answers(server.port)


# --- Databases


def test_influxdb_keeps_its_data_and_port_over_an_outage(influxdb: InfluxDB) -> None:
    first, ns = influxdb.pid, time.time_ns()
    influxdb.write(f"furnace,site=s,line=l,machine=m pv=0.1,sv=-2.5 {ns}\n")
    assert influxdb.query_influxql("SELECT * FROM furnace") == [
        {"time": ns, "line": "l", "machine": "m", "pv": 0.1, "site": "s", "sv": -2.5}
    ]
    influxdb.stop()
    assert not is_alive(first)
    assert not answers(influxdb.port)
    influxdb.start()
    assert influxdb.pid != first
    influxdb.write(f"furnace,site=s,line=l,machine=m pv=0.2 {ns + 1}\n")
    influxdb.kill()
    influxdb.start()
    assert influxdb.count("furnace") == 3
    assert influxdb.measurements() == ["furnace"]
    grouped = influxdb.query_influxql("SELECT COUNT(pv) FROM furnace GROUP BY machine")
    assert [(row["machine"], row["count"]) for row in grouped] == [("m", 2)]
    influxdb.stop()
    assert_gone(influxdb)


def test_influxdb_refuses_a_stranger(influxdb: InfluxDB) -> None:
    influxdb.token = "another token"
    with pytest.raises(OSError, match="401"):
        influxdb.write("m v=1")


def test_victoria_keeps_one_value_a_millisecond(victoria: VictoriaMetrics) -> None:
    ms = time.time_ns() // 1_000_000
    for _ in range(2):
        victoria.write(f"furnace,machine=m pv=0.1,sv=-2.5 {ms}\n", "ms")
    (series,) = victoria.series('{__name__="furnace_pv"}')
    assert series["metric"]["machine"] == "m"
    assert (series["timestamps"], series["values"]) == ([ms], [0.1])
    victoria.stop()
    victoria.start()
    assert victoria.count("furnace") == 2
    victoria.stop()
    assert_gone(victoria)


# --- OPC UA


def utc_ns(value: ua.DataValue) -> int:
    # asyncua gives naive UTC datetimes; whole milliseconds survive the way through a float.
    assert value.SourceTimestamp is not None
    return round((value.SourceTimestamp - ua.get_win_epoch()).total_seconds() * 1e6) * 1000 - 11_644_473_600 * 10**9


async def read(client: Client, node_id: str) -> ua.DataValue:
    return await client.get_node(node_id).read_data_value(raise_on_bad_status=False)


async def test_uafast_publishes_its_formula(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=24, period_ms=20, mixed=True)
    async with Client(server.url) as client:
        for k in range(24):
            value = await read(client, server.node_id(k))
            assert value.Value.VariantType == MixedTypes[k % 8]
            assert value.Value.Value == server.value(k, server.tick_of(utc_ns(value)))
        while server.tick_of(utc_ns(await read(client, server.node_id(0)))) == 0:
            assert server.process.running
    last = server.stop()
    assert last["values"] == 24 * last["ticks"] > 0
    assert last["last_source_ns"] == server.source_ns(last["ticks"])
    assert_gone(server)


async def test_uafast_stops_changing_and_knows_bad_values(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=5, period_ms=1, ticks=40, bad_every=4)
    async with Client(server.url) as client:
        while utc_ns(await read(client, server.node_id(0))) != server.source_ns(40):
            assert server.process.running
        values = [await read(client, server.node_id(k)) for k in range(5)]
    assert [value.Value.Value for value in values] == [server.value(k, 40) for k in range(5)]
    assert [value.StatusCode.name for value in values] == ["BadSensorFailure", *["Good"] * 3, "BadSensorFailure"]
    assert server.stop()["values_per_tag"] == 40


class Collector:
    """asyncua's own handler: enough for a test of a few tags."""

    def __init__(self) -> None:
        self.got: list[tuple[int, float]] = []

    def datachange_notification(self, node: Any, value: float, data: Any) -> None:
        self.got.append((utc_ns(data.monitored_item.Value), value))


async def test_uafast_sends_every_tick_to_a_subscription(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=2, period_ms=10, ticks=100)
    collector = Collector()
    async with Client(server.url) as client:
        subscription = await client.create_subscription(50, collector)
        node = client.get_node(server.node_id(1))
        await subscription.subscribe_data_change(node, queuesize=500, sampling_interval=0)
        while not collector.got or collector.got[-1][0] < server.source_ns(100):
            await read(client, server.node_id(1))
        await subscription.delete()
    ticks = [server.tick_of(ns) for ns, _ in collector.got]
    assert ticks == list(range(ticks[0], 101))
    assert [value for _, value in collector.got] == [server.value(1, c) for c in ticks]


async def secure(client: Client, folder: Path) -> None:
    """Basic256Sha256, SignAndEncrypt, with a certificate of our own, as ``plant``."""
    client.application_uri = "urn:test:client"
    key, certificate = folder / "key.pem", folder / "certificate.der"
    await setup_self_signed_certificate(
        key,
        certificate,
        client.application_uri,
        socket.gethostname(),
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        {"commonName": "edge-agent test"},
    )
    client.set_user(USER)
    client.set_password(PASSWORD)
    await client.set_security(SecurityPolicyBasic256Sha256, certificate, key)


async def test_uafast_encrypts(uafast: Callable[..., Uafast], tmp_path: Path) -> None:
    server = uafast(n=1)
    client = Client(server.url)
    await secure(client, tmp_path)
    async with client:
        assert (await read(client, server.node_id(0))).StatusCode.is_good()


async def test_uafast_refuses_a_wrong_password(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=1)
    client = Client(server.url)
    client.set_user(USER)
    client.set_password("wrong")
    with pytest.raises(ua.UaStatusCodeError):
        async with client:
            pass


async def test_node_opcua_encrypts_and_offers_every_type(node_opcua: Callable[..., NodeOpcua], tmp_path: Path) -> None:
    server = node_opcua(period_ms=20)
    client = Client(server.url)
    await secure(client, tmp_path)
    async with client:
        assert await client.get_namespace_index("urn:test:node-opcua") == server.ns

        async def value(name: str) -> Any:
            return (await read(client, server.node_id(name))).Value.Value

        assert await value("Int64") == -(2**63)
        assert await value("UInt64") == 2**64 - 1
        assert await value("Float") == struct.unpack("f", struct.pack("f", 0.1))[0]
        assert await value("String") == "가열로 1호 온도 🔥"
        assert await value("ByteString") == bytes([0, 1, 254, 255])
        assert await value("DoubleArray") == [0.1, -2, 3e300]
        uncertain = await read(client, server.node_id("Uncertain"))
        assert (uncertain.StatusCode.name, uncertain.Value.Value) == ("UncertainLastUsableValue", 1.5)
        assert (await read(client, server.node_id("Bad"))).StatusCode.name == "BadSensorFailure"
        moving = await read(client, server.node_id("MovingInt64"))
        c = server.tick_of(utc_ns(moving))
        assert moving.Value.Value == (-1 if c % 2 else 1) * (2**62 + c)
    assert server.stop()["ticks"] > 0
    assert_gone(server)


async def test_node_opcua_lets_the_anonymous_in_and_comes_back(node_opcua: Callable[..., NodeOpcua]) -> None:
    server = node_opcua()
    server.kill()
    assert_gone(server)
    server.start()
    async with Client(server.url) as client:
        assert (await read(client, server.node_id("Double"))).Value.Value == 0.1
    server.stop()
    assert_gone(server)


# --- Modbus


async def test_mbserver_answers_its_map(mbserver: Callable[..., MbServer]) -> None:
    server = mbserver(period_ms=1, ticks=5, units=[3, 7], illegal=[(100, 109), (200, 200)])
    async with AsyncModbusTcpClient(server.host, port=server.port, timeout=0.3, retries=0) as client:
        while (await client.read_holding_registers(server.tick_register, count=4, device_id=7)).registers != [
            *[0, 0, 0],
            5,
        ]:
            assert server.process.running
        answer = await client.read_input_registers(8194, count=4, device_id=7)
        words = struct.pack(">4H", *answer.registers)
        assert struct.unpack(">2f", words) == (server.float_at(8194, 7, 5), server.float_at(8196, 7, 5))
        bits = (await client.read_coils(0, count=16, device_id=3)).bits
        assert bits == [server.bit_at(a, 3, 5) for a in range(16)]
        for first, count, code in [(98, 2, 0), (98, 3, 2), (109, 1, 2), (110, 90, 0), (150, 60, 2), (65535, 2, 2)]:
            answer = await client.read_holding_registers(first, count=count, device_id=7)
            assert getattr(answer, "exception_code", 0) == code, (first, count)
        assert (await client.write_register(0, 1, device_id=7)).exception_code == 1
        assert (await client.read_holding_registers(server.unit_register, device_id=3)).registers == [3]
    last = server.stop()
    assert last["exceptions"] == 4
    assert_gone(server)


async def test_mbserver_has_silent_units_and_knows_no_writing(mbserver: Callable[..., MbServer]) -> None:
    server = mbserver(units=[1])
    raw = bytes.fromhex
    reader, writer = await open_connection(server.port)
    identification, read_unit_2, read_unit_1 = (
        "000100000005012b0e0100",
        "000200000006020300000001",
        "000300000006010300000001",
    )
    writer.write(raw(identification) + raw(read_unit_2) + raw(read_unit_1))
    assert await reader.readexactly(9) == raw("00010000000301ab01")
    assert (await reader.readexactly(11))[:9] == raw("000300000005010302")
    writer.close()
    await writer.wait_closed()


async def open_connection(port: int) -> Any:
    import asyncio  # the raw bytes of one test

    return await asyncio.open_connection("127.0.0.1", port)


# --- Processes


def shell(folder: Path, script: str, name: str = "shell") -> ServerProcess:
    return ServerProcess(name, ["/bin/sh", "-c", script], folder)


def test_a_process_that_ends_at_once_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=r"ended with code 3(.|\n)*no such port"):
        shell(tmp_path, "echo no such port >&2; exit 3").start()


def test_a_process_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo chatter; exec sleep 100")
    with pytest.raises(ServerFailed, match="chatter"):
        process.start(deadline_s=0.3)
    assert not is_alive(process.pid)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = shell(tmp_path, """trap '' TERM; echo '{"event":"ready"}'; while :; do sleep 0.1; done""")
    process.start()
    assert process.stop(deadline_s=0.3) == {}
    assert process.returncode == -9


def test_a_second_start_does_not_see_the_first_ready_line(tmp_path: Path) -> None:
    once = tmp_path / "once"
    process = shell(
        tmp_path, f"""[ -e {once} ] || {{ touch {once}; echo '{{"event":"ready","n":1}}'; }}; exec sleep 100"""
    )
    assert process.start() == {"event": "ready", "n": 1}
    process.stop()
    with pytest.raises(ServerFailed, match="to get ready"):
        process.start(deadline_s=0.3)


def test_poll_tells_what_it_waited_for() -> None:
    with pytest.raises(ServerFailed, match="the moon"):
        poll("the moon", lambda: None, deadline_s=0.01)
    assert poll("the sun", lambda: 5) == 5


def test_a_free_port_is_not_one_for_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert 1024 < free_port() < lowest


# --- The cache


@pytest.mark.parametrize("name", cache.ARTEFACTS)
def test_the_script_and_the_tests_look_in_the_same_place(name: str) -> None:
    script = ROOT / ".ci" / "services"
    if not script.exists():
        pytest.skip("run from outside a checkout: there is no .ci/services to compare with")
    answer = subprocess.run([script, "--path", name], capture_output=True, text=True, check=True, timeout=30)
    assert answer.stdout == f"{cache.path_of(name)}\n"


def test_a_missing_server_skips_but_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_TEST_CACHE", str(tmp_path))
    with pytest.raises(cache.MissingService) as missing:
        cache.built("uafast")
    for ci, outcome in [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]:
        monkeypatch.setenv("CI", ci)
        with pytest.raises(outcome, match=r"\.ci/services uafast"):
            require_service(missing.value.name, missing.value.how)


def test_nothing_is_left_of_this_files_processes(influxdb_server: InfluxDB) -> None:
    """But the database that all tests of a worker share."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in children if int(pid) != influxdb_server.pid]
    assert [command for command in commands if str(cache.folder()) in command] == []
