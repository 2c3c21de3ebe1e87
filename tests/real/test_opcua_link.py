"""The link itself: security, users, servers that stop, hang or swallow everything, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink
from connectors.opcua.trust import TrustFolder
from edge_agent.api import EdgeAgentError, NotConnected, ProtocolError, Refused, SystemClock, TimedOut
from tests.conformance.rig import Collector, established
from tests.real.relay import Relay
from tests.real.test_opcua_values import collect, link
from tests.servers.process import free_port
from tests.servers.sources import PASSWORD, USER, NodeOpcua, Uafast

pytestmark = pytest.mark.anyio

POLICIES = ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]


@pytest.fixture
def identity(tmp_path_factory: pytest.TempPathFactory, server_pki: Path) -> Path:
    """A fresh identity folder, with the key pair made once a session: making it takes half a second."""
    folder = tmp_path_factory.mktemp("identity")
    for name in ("own.der", "own.key.pem"):
        kept = server_pki / name
        if kept.exists():
            shutil.copy(kept, folder / name)
    yield folder
    for name in ("own.der", "own.key.pem"):
        if (folder / name).exists():
            shutil.copy(folder / name, server_pki / name)


def secured(url: str, node: str, identity: Path, *, policy: str = "Basic256Sha256", **more) -> OpcUaLink:
    weak = {"insecure": "loopback"} if policy == "None" else {}
    security = {"identity": str(identity), "policy": policy, **weak, **more.pop("security", {})}
    return link(url, {"a": node}, security=security, **more)


async def failure(made: OpcUaLink, out: Collector | None = None, **options) -> EdgeAgentError:
    """What `run` raises."""
    connector = OpcUaConnector(made, list(range(len(made.tag_list()))), SystemClock(), **options)
    with anyio.fail_after(30), pytest.raises(EdgeAgentError) as caught:
        await connector.run(out or Collector())
    return caught.value


async def trusting(made: OpcUaLink, identity: Path) -> None:
    """What a technician does: sees the refusal, compares the thumbprint, accepts the certificate."""
    refusal = await failure(made)
    assert isinstance(refusal, Refused)
    assert "thumbprint" in refusal.cause.en
    folder = TrustFolder(identity)
    (entry,) = folder.entries("pending")
    assert entry.thumbprint in refusal.cause.en
    folder.accept(entry)


@pytest.mark.parametrize("policy", POLICIES)
async def test_signed_and_encrypted(uafast: Callable[..., Uafast], identity: Path, policy: str) -> None:
    server = uafast(n=1, period_ms=50)
    made = secured(server.url, server.node_id(0), identity, policy=policy)
    await trusting(made, identity)
    out = await collect(made, lambda out: len(out.frames) > 5)
    assert out.latest[0][1] == 0


async def test_signed_and_encrypted_with_another_make(node_opcua: Callable[..., NodeOpcua], identity: Path) -> None:
    server = node_opcua(period_ms=50)
    made = secured(
        server.url,
        server.node_id("MovingDouble"),
        identity,
        user={"name": USER, "password": {"env": "OPCUA_TEST_PASSWORD"}},
    )
    await trusting(made, identity)
    out = await collect(made, lambda out: len(out.frames) > 5)
    assert out.latest[0][1] == 0


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPCUA_TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("OPCUA_WRONG_PASSWORD", PASSWORD + "x")


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize(("variable", "good"), [("OPCUA_TEST_PASSWORD", True), ("OPCUA_WRONG_PASSWORD", False)])
async def test_user_and_password(
    uafast: Callable[..., Uafast], identity: Path, secure: bool, variable: str, good: bool
) -> None:
    server = uafast(n=1, period_ms=50)
    user = {"name": USER, "password": {"env": variable}}
    made = secured(server.url, server.node_id(0), identity, policy="Basic256Sha256" if secure else "None", user=user)
    if secure:
        await trusting(made, identity)
    if good:
        await collect(made, lambda out: out.frames)
        return
    error = await failure(made)
    assert isinstance(error, Refused)
    assert "password" in error.cause.en
    assert PASSWORD not in str(error)


async def test_a_changed_server_certificate_is_refused(
    uafast: Callable[..., Uafast], identity: Path, tmp_path: Path
) -> None:
    server = uafast(n=1)
    made = secured(server.url, server.node_id(0), identity)
    await trusting(made, identity)
    server.stop()
    with Uafast(tmp_path / "other", n=1, pki=tmp_path / "other-pki", port=server.port):
        error = await failure(made)
    assert isinstance(error, Refused)
    assert "thumbprint" in error.cause.en


class ChannelRelay(Relay):
    """Passes everything on and counts OpenSecureChannel messages (Part 6, 7.1.2.2: they begin with OPN)."""

    opened = 0

    def _pump(self, source: socket.socket, target: socket.socket, since: str) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.opened += data.startswith(b"OPN")
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


async def test_the_channel_is_renewed_while_values_flow(uafast: Callable[..., Uafast], identity: Path) -> None:
    server = uafast(n=200, period_ms=50)
    nodes = {f"t{k}": server.node_id(k) for k in range(server.n)}
    with ChannelRelay(server.port) as relay:
        made = link(f"opc.tcp://127.0.0.1:{relay.port}", nodes, security={"identity": str(identity)})
        await trusting(made, identity)
        opened, frames = [], []

        def renewed_and_well(out: Collector) -> bool:
            """Forty frames after the renewal."""
            if out.frames and not opened:
                opened.append(relay.opened)
            if opened and relay.opened > opened[0] and not frames:
                frames.append(len(out.frames))
            return bool(frames) and len(out.frames) > frames[0] + 40

        out = await collect(made, renewed_and_well, channel_seconds=8.0)
    times = out.of(7).time
    assert len(times) > 40
    assert (times[1:] - times[:-1] == server.period_ms * 1_000_000).all()


async def test_nobody_listens() -> None:
    error = await failure(link(f"opc.tcp://127.0.0.1:{free_port()}", {"a": "i=2258"}))
    assert isinstance(error, NotConnected)
    assert "nothing listens" in error.cause.en


async def test_an_unknown_host() -> None:
    error = await failure(link("opc.tcp://no-such-host.invalid:4840", {"a": "i=2258"}, timeout="5s"))
    assert isinstance(error, NotConnected | TimedOut)


@pytest.fixture
def pit():
    """A listener that accepts, reads and answers `answer` (nothing when empty)."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        state = {"answer": b"", "stop": False}
        thread = threading.Thread(target=_swallow, args=(server, state))
        thread.start()
        yield server.getsockname()[1], state
        state["stop"] = True
        thread.join()


def _swallow(server: socket.socket, state: dict) -> None:
    taken: list[socket.socket] = []
    while not state["stop"]:
        try:
            one, _ = server.accept()
        except TimeoutError:
            continue
        taken.append(one)
        if state["answer"]:
            one.recv(1000)
            one.sendall(state["answer"])
    for one in taken:
        one.close()


async def test_a_black_hole_is_left_after_the_deadline(pit) -> None:
    port, _ = pit
    with anyio.fail_after(8):
        error = await failure(link(f"opc.tcp://127.0.0.1:{port}", {"a": "i=2258"}, timeout="500ms"))
    assert isinstance(error, TimedOut)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ACKF\xff\xff\xff\x7f" + bytes(50), bytes(100), b"ERRF" + bytes(12)],
)
async def test_what_is_no_opc_ua_server(pit, answer: bytes) -> None:
    port, state = pit
    state["answer"] = answer
    error = await failure(link(f"opc.tcp://127.0.0.1:{port}", {"a": "i=2258"}, timeout="500ms"))
    assert isinstance(error, NotConnected | TimedOut | ProtocolError)


async def test_a_stopped_server_ends_the_run_and_leaves_nothing(
    uafast: Callable[..., Uafast], caplog: pytest.LogCaptureFixture
) -> None:
    server = uafast(n=10, period_ms=50)
    made = link(server.url, {f"t{k}": server.node_id(k) for k in range(10)})
    before = asyncio.all_tasks()
    out = Collector()
    errors: list[EdgeAgentError] = []

    async def run() -> None:
        errors.append(await failure(made, out))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await out.until_all(range(10))
        server.kill()
    assert isinstance(errors[0], NotConnected)
    assert asyncio.all_tasks() == before
    gc.collect()  # futures that nobody asked would complain now
    assert caplog.messages == []


async def test_every_run_leaves_no_task_and_no_connection(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=10, period_ms=50)
    made = link(server.url, {f"t{k}": server.node_id(k) for k in range(10)})
    before = asyncio.all_tasks()
    for _ in range(5):
        await collect(made, lambda out: len(out.latest) == 10)
        assert asyncio.all_tasks() == before
    with anyio.fail_after(5):
        while established(server.port):
            await anyio.sleep(0.02)


async def test_cancelled_at_any_moment_leaves_nothing(uafast: Callable[..., Uafast]) -> None:
    server = uafast(n=300, period_ms=50)
    made = link(server.url, {f"t{k}": server.node_id(k) for k in range(300)})
    before = asyncio.all_tasks()
    for step in range(12):
        connector = OpcUaConnector(made, list(range(300)), SystemClock())
        with anyio.move_on_after(0.015 * step):
            await connector.run(Collector())
        assert asyncio.all_tasks() == before
    with anyio.fail_after(5):
        while established(server.port):
            await anyio.sleep(0.02)


async def test_several_requests_wait_at_the_server(uafast: Callable[..., Uafast]) -> None:
    from connectors.opcua.session import ColumnSession

    server = uafast(n=10, period_ms=50)
    waiting, most = 0, 0
    plain = ColumnSession.publish_raw

    async def counted(self, acknowledgements):
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        try:
            return await plain(self, acknowledgements)
        finally:
            waiting -= 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ColumnSession, "publish_raw", counted)
        made = link(server.url, {f"t{k}": server.node_id(k) for k in range(10)})
        await collect(made, lambda out: len(out.frames) > 10)
    assert most >= 3
