"""Which protection is chosen, what is refused, and who logs on: against servers of three makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import SOUND, OpcUaLink, OpcUaServer
from connectors.opcua.connection import opened
from connectors.opcua.identity import identity_in, renew
from connectors.opcua.trust import TrustFolder
from edge_agent.api import Refused, Severity, SystemClock
from tests.conformance.rig import Collector
from tests.real.secure_server import NODE, SecureServer, secure_server
from tests.servers.sources import PASSWORD, USER, NodeOpcua, Uafast
from tests.unit.opcua.papers import PEM, Paper, key_pem, paper, revoking

pytestmark = pytest.mark.anyio


class At(SystemClock):
    """A clock that is wrong by so much."""

    def __init__(self, wrong: timedelta) -> None:
        super().__init__()
        self._wrong = round(wrong.total_seconds()) * 10**9

    def wall(self) -> int:
        return super().wall() + self._wrong


@pytest.fixture(scope="module")
def server() -> Iterator[SecureServer]:
    with secure_server() as running:
        yield running


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's own pair, made once."""
    folder = tmp_path_factory.mktemp("own")
    identity_in(folder, SystemClock().wall())
    return folder


@pytest.fixture
def identity(tmp_path: Path, own: Path, server: SecureServer) -> Path:
    folder = tmp_path / "identity"
    folder.mkdir()
    for name in ("own.der", "own.key.pem"):
        (folder / name).write_bytes((own / name).read_bytes())
    server.agent, server.distrusted, server.hidden = (folder / "own.der").read_bytes(), None, set()
    return folder


def section(url: str, identity: Path, user: dict[str, Any] | None = None, **security: Any) -> OpcUaServer:
    keys = {"name": "plc", "connector": "opcua", "url": url, "security": {"identity": str(identity), **security}}
    return OpcUaServer.model_validate(keys | ({} if user is None else {"user": user}))


def put(place: Path, given: Paper) -> None:
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(given.pem)


@pytest.fixture
def trusting(identity: Path, server: SecureServer) -> Path:
    """The identity folder of somebody who trusts the server's CA."""
    put(identity / "trusted" / "root.pem", server.root)
    put(identity / "issuers" / "middle.pem", server.middle)
    return identity


async def used(made: OpcUaServer, clock: SystemClock | None = None) -> str:
    """The policy of a session that could be opened."""
    async with opened(made, clock or SystemClock()) as connection:
        return connection.policy


async def refusal(made: OpcUaServer, clock: SystemClock | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        await used(made, clock)
    return caught.value


@pytest.mark.parametrize("make", ["uafast", "node_opcua"])
async def test_the_best_policy_and_each_by_name(make: str, request: pytest.FixtureRequest, identity: Path) -> None:
    start: Callable[..., Uafast | NodeOpcua] = request.getfixturevalue(make)
    url = start(period_ms=1000).url
    await refusal(section(url, identity))
    folder = TrustFolder(identity)
    folder.accept(folder.entries("pending")[0])
    assert await used(section(url, identity)) == SOUND[0]
    for policy in SOUND:
        assert await used(section(url, identity, policy=policy)) == policy


async def test_the_best_that_a_server_has(server: SecureServer, trusting: Path) -> None:
    assert await used(section(server.url, trusting)) == "Aes128_Sha256_RsaOaep"
    error = await refusal(section(server.url, trusting, policy="Aes256_Sha256_RsaPss"))
    assert "no endpoint with Aes256_Sha256_RsaPss / SignAndEncrypt" in error.cause.en
    assert "Basic128Rsa15/SignAndEncrypt" in error.cause.en


async def test_never_anything_weak_of_its_own_accord(server: SecureServer, trusting: Path) -> None:
    server.hidden = {"Aes128_Sha256_RsaOaep", "Basic256Sha256"}
    error = await refusal(section(server.url, trusting))
    assert "it offers: Basic128Rsa15/SignAndEncrypt, Basic256/SignAndEncrypt, None/None" in error.cause.en
    assert "insecure" in error.hint.en


@pytest.mark.parametrize(
    "weak", [{"policy": "Basic256"}, {"policy": "Basic128Rsa15"}, {"policy": "Basic256Sha256", "mode": "Sign"}]
)
async def test_what_is_weak_with_a_reason_written_out(server: SecureServer, trusting: Path, weak: dict) -> None:
    assert await used(section(server.url, trusting, insecure="an old PLC", **weak)) == weak["policy"]


async def test_a_better_policy_that_somebody_took_out_of_the_list(server: SecureServer, trusting: Path) -> None:
    server.hidden = {"Aes128_Sha256_RsaOaep"}
    error = await refusal(section(server.url, trusting))
    assert "the server has Aes128_Sha256_RsaOaep, but the list that came in the clear ended at Basic256Sha256" in str(
        error
    )


@pytest.mark.parametrize("policy", ["best", "Basic256Sha256"])
async def test_a_user_with_a_certificate(server: SecureServer, trusting: Path, tmp_path: Path, policy: str) -> None:
    put(tmp_path / "user.pem", server.user)
    (tmp_path / "user.key").write_bytes(key_pem(4))
    user = {"certificate": str(tmp_path / "user.pem"), "private_key": str(tmp_path / "user.key")}
    await used(section(server.url, trusting, user, policy=policy))
    put(tmp_path / "user.pem", paper("stranger", 4))
    error = await refusal(section(server.url, trusting, user, policy=policy))
    assert "refused the user" in error.cause.en


@pytest.mark.parametrize("good", [True, False])
async def test_a_user_with_a_password(
    server: SecureServer, trusting: Path, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    monkeypatch.setenv("OPCUA_PASSWORD", PASSWORD if good else "guessed")
    made = section(server.url, trusting, {"name": USER, "password": {"env": "OPCUA_PASSWORD"}})
    if good:
        await used(made)
    else:
        assert "refused the user" in (await refusal(made)).cause.en


async def test_what_is_wrong_with_an_issued_certificate_is_said(server: SecureServer, trusting: Path) -> None:
    made = section(server.url, trusting)
    assert "expired on" in (await refusal(made, At(timedelta(days=30)))).cause.en
    early = await refusal(made, At(timedelta(days=-5)))
    assert "it is wrong, and makes every certificate 'not yet valid'" in early.cause.en
    booted = datetime(1970, 1, 1, 12, tzinfo=UTC) - datetime.now(UTC)
    assert "says 1970-01-01" in (await refusal(made, At(booted))).cause.en
    by_name = section(server.url.replace("127.0.0.1", "localhost"), trusting)
    assert "not for 'localhost'; it names: plc, 127.0.0.1" in (await refusal(by_name)).cause.en


@pytest.mark.parametrize(
    ("moment", "words"),
    [(datetime.now(UTC) + timedelta(days=30), "expired on"), (datetime(1970, 1, 1, 12, tzinfo=UTC), "says 1970-01-01")],
)
async def test_a_pinned_certificate_is_used_at_any_time_and_by_any_clock(
    server: SecureServer, identity: Path, moment: datetime, words: str
) -> None:
    folder = TrustFolder(identity)
    folder.accept(folder.remember(server.own.der, server.url, SystemClock().wall()))
    async with opened(section(server.url, identity), At(moment - datetime.now(UTC))) as connection:
        (notice,) = await connection.examine()
    assert words in notice.text.en
    assert notice.severity is Severity.CRITICAL


async def test_revoked_while_in_use(server: SecureServer, trusting: Path) -> None:
    await used(section(server.url, trusting))
    (trusting / "crl").mkdir()
    (trusting / "crl" / "middle.crl").write_bytes(revoking(server.middle, server.own).public_bytes(PEM))
    assert "revoked the certificate 'plc'" in (await refusal(section(server.url, trusting))).cause.en


async def test_a_certificate_that_expires_is_told_while_values_come(server: SecureServer, trusting: Path) -> None:
    keys = {"name": "plc", "connector": "opcua", "url": server.url, "security": {"identity": str(trusting)}}
    made = OpcUaLink.model_validate(keys | {"tags": [{"tag": "a", "node": NODE, "machine": "m"}]})
    out = Collector()
    async with anyio.create_task_group() as group:
        group.start_soon(OpcUaConnector(made, [0], SystemClock()).run, out)
        with anyio.fail_after(30):
            while not (out.notices and out.latest):
                await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    (notice,) = out.notices
    assert notice.severity is Severity.WARNING
    assert "the server's certificate 'plc' expires on" in notice.text.en


async def test_trust_that_is_taken_back_ends_the_connection(
    server: SecureServer, trusting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(section(server.url, trusting), SystemClock()) as connection:
        assert [notice.key for notice in await connection.examine()] == ["expiry of the server's certificate"]
        (trusting / "trusted" / "root.pem").unlink()
        with pytest.raises(Refused, match="has not been seen before"):
            await connection.examine()


async def test_a_renewed_certificate_that_the_server_does_not_know_yet(server: SecureServer, trusting: Path) -> None:
    """The one before is used meanwhile, and it is told; once the server knows the new one, that is used."""
    made = section(server.url, trusting)
    new = renew(trusting, SystemClock().wall()).certificate
    server.distrusted = new
    async with opened(made, SystemClock()) as connection:
        (renewal, _) = await connection.examine()
        assert "does not trust the agent's new certificate yet" in renewal.text.en
    server.distrusted, server.agent = None, new
    async with opened(made, SystemClock()) as connection:
        (expiry,) = await connection.examine()
        assert "the server's certificate 'plc' expires" in expiry.text.en


async def test_without_the_issuer_in_between_it_is_a_first_contact(server: SecureServer, identity: Path) -> None:
    put(identity / "trusted" / "root.pem", server.root)
    error = await refusal(section(server.url, identity))
    assert "has not been seen before" in error.cause.en
    (entry,) = TrustFolder(identity).entries("pending")
    assert (entry.certificate, entry.url) == (server.own.cert, server.url)
