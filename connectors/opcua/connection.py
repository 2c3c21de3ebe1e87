"""Connection: socket, secure channel and session to one server, for the daemon and for the technician's tools alike.

The only place that opens a session, and the only one, with `discovery`, that sees the vendor's exceptions. Nothing of
asyncua runs in tasks of its own: no watchdog, no reconnect, no publish loop; whoever opens also renews the channel.
"""

import logging
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies, uacrypto
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key

from connectors.opcua import faults
from connectors.opcua.certificate import first_of_chain
from connectors.opcua.config import OpcUaSecurity, OpcUaServer, OpcUaUser, with_port
from connectors.opcua.expiry import InUse, notices
from connectors.opcua.identity import (
    Identity,
    clock_floor,
    default_uri,
    folder_of,
    load_pair,
    own_identity,
    previous_identity,
)
from connectors.opcua.judgement import Shown, judge
from connectors.opcua.session import ColumnSession
from connectors.opcua.trust import command
from edge_agent.api import Clock, EdgeAgentError, Notice, socket_error

logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # what it has to say is raised, in our words

CLOSE_SECONDS: Final = 1.8
RESUME_SECONDS: Final = 1.5
"""How long each step may take of going on with a session over another connection: a new one is the other way."""
SESSION_SECONDS: Final = 60
"""How long the server keeps our session when we vanish without a word."""
CHANNEL_SECONDS: Final = 3600
_POLICIES: Final[dict[str, Any]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
    "Basic256": security_policies.SecurityPolicyBasic256,
    "Basic128Rsa15": security_policies.SecurityPolicyBasic128Rsa15,
}
STUMBLES: Final = (
    UaError,
    InvalidSignature,
    uacrypto.InvalidSignature,  # type: ignore[attr-defined]  # its own class, beside the one it imports
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    AssertionError,
    struct.error,
)
"""What asyncua raises over bytes it did not expect: it checks little before it unpacks."""


@contextmanager
def translated(operation: str, url: str, certificate: str = "") -> Iterator[None]:
    """Turns what the vendor raises during `operation` into our errors; `certificate`: ours, where one is used."""
    try:
        yield
    except UaStatusCodeError as error:
        raise faults.of_status(operation, url, int(error.code), type(error).__name__) from error
    except ConnectionError as error:
        if certificate and operation in faults.SECURED:
            raise faults.closed_early(operation, url, certificate) from error
        raise socket_error(operation, url, error) from error
    except OSError as error:
        raise socket_error(operation, url, error) from error
    except STUMBLES as error:
        raise faults.garbage(operation, url, error) from error


@asynccontextmanager
async def visiting(operation: str, url: str, timeout: float) -> AsyncIterator[Client]:
    """A client without a session, for what a server tells everybody; raises EdgeAgentError."""
    visitor = Client(url, timeout=timeout)
    try:
        with translated(operation, url), anyio.fail_after(timeout):
            yield visitor
    finally:
        visitor.disconnect_socket()


@dataclass(frozen=True, slots=True)
class _Choice:
    """The policy to use, and what the server showed for it."""

    policy: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class _User:
    """Who logs on: nobody, a name with its password, or a certificate with its key."""

    name: str | None = None
    password: str | None = None
    certificate: x509.Certificate | None = None
    key: PrivateKeyTypes | None = None


@dataclass(frozen=True, slots=True)
class _Secured:
    """The two sides of a secured channel."""

    identity: Identity
    shown: Shown


class Connection:
    """One server's client. `open` once, `close` at the end; in between `session` and `during`. Good for one use."""

    def __init__(
        self,
        server: OpcUaServer,
        clock: Clock,
        *,
        channel_seconds: float = CHANNEL_SECONDS,
        locales: Sequence[str] = ("en",),
        previous: Identity | None = None,
    ) -> None:
        """`channel_seconds` is the secure channel's lifetime; `renew` renews it after three quarters of it.

        `locales`: the languages that texts should be in, the best first. `previous`: whom to be in place of the present
        identity.
        """
        self._previous = previous
        self.url = with_port(server.url)
        self._link = server
        self._clock = clock
        self._channel_seconds = channel_seconds
        self._client = Client(self.url, timeout=server.timeout)
        self._client.set_locale(list(locales))
        self.session = ColumnSession.install(self._client.uaclient)
        self._certificate = ""
        self.policy = ""
        """The security policy in use; empty without one."""
        self._secured: _Secured | None = None
        self._user = _User()

    def during(self, operation: str) -> AbstractContextManager[None]:
        """Translates what the vendor raises while `operation` is tried."""
        return translated(operation, self.url, self._certificate)

    async def open(self) -> None:
        """Socket, channel, session; raises EdgeAgentError. `close` in any case."""
        link, client = self._link, self._client
        client.name = client.description = "edge-agent"
        client.application_uri = default_uri()
        client.session_timeout = SESSION_SECONDS * 1000
        client.secure_channel_timeout = round(self._channel_seconds * 1000)
        user = self._user = await anyio.to_thread.run_sync(_user_of, link.user, abandon_on_cancel=True)
        if link.security.policy != "None":
            await self._secure()
        await self._open_channel(link.timeout)
        with self.during("log on"), anyio.fail_after(link.timeout):
            session = await client.create_session()
            self._check_offer(session.ServerEndpoints)
            if user.key is not None:
                client.user_private_key = user.key
            await client.activate_session(user.name, user.password, user.certificate)

    async def _open_channel(self, timeout: float) -> None:
        with self.during("connect"), anyio.fail_after(timeout):
            await self._client.connect_socket()
        with self.during("open secure channel"), anyio.fail_after(timeout):
            await self._client.send_hello()
            await self._client.open_secure_channel()

    async def resume(self) -> None:
        """The same session over a new channel (ActivateSession, Part 4, 5.6.3), so that its subscriptions and all in
        their queues are kept; raises EdgeAgentError where the server does not answer soon or knows it no more.
        """
        user, timeout = self._user, min(self._link.timeout, RESUME_SECONDS)
        self._hang_up()
        await self._open_channel(timeout)
        self.session.rebind_authentication_token()
        with self.during("log on"), anyio.fail_after(timeout):
            await self._client.activate_session(user.name, user.password, user.certificate)

    async def _secure(self) -> None:
        """Chooses the endpoint, checks the server's certificate against the trusted ones, sets up the channel."""
        security, wall = self._link.security, self._clock.wall()
        identity = self._previous
        if identity is None:
            # the first one makes the pair: nobody else may begin with that before it is through
            identity = await anyio.to_thread.run_sync(own_identity, security, wall)
        self._certificate = identity.path
        chosen = await self._choose()
        self._secured = _Secured(identity, chosen.shown)
        judging = partial(judge, chosen.shown, security, wall, clock_floor(identity))
        await anyio.to_thread.run_sync(judging, abandon_on_cancel=True)
        self.policy = chosen.policy
        self._client.application_uri = identity.uri
        with self.during("prepare security"):
            await self._client.set_security(
                _POLICIES[chosen.policy],
                uacrypto.CertProperties(identity.certificate, "der"),
                uacrypto.CertProperties(identity.key, "der"),
                server_certificate=uacrypto.CertProperties(first_of_chain(chosen.shown.chain), "der"),
                mode=ua.MessageSecurityMode[security.mode],
            )

    async def _choose(self) -> _Choice:
        """The best endpoint of those that the configuration allows; Refused where the server has none of them."""
        async with visiting("ask for endpoints", self.url, self._link.timeout) as visitor:
            endpoints = await visitor.connect_and_get_server_endpoints()
        security = self._link.security
        best = _best(endpoints, security)
        if best is not None:
            shown = Shown(bytes(best.ServerCertificate), self.url, best.Server.ApplicationUri or "")
            return _Choice(_policy_name(best.SecurityPolicyUri), shown)
        offered = sorted({f"{_policy_name(e.SecurityPolicyUri)}/{e.SecurityMode.name.strip('_')}" for e in endpoints})
        raise faults.no_endpoint(self.url, f"{' | '.join(security.choices)} / {security.mode}", offered)

    def _check_offer(self, endpoints: Sequence[ua.EndpointDescription]) -> None:
        """The endpoints once more, now signed: somebody in between may have left out the best (Part 4, 5.7.2.2)."""
        best = _best(endpoints, self._link.security) if self.policy else None
        choices = self._link.security.choices
        if best is not None and choices.index(_policy_name(best.SecurityPolicyUri)) < choices.index(self.policy):
            raise faults.downgraded(self.url, self.policy, _policy_name(best.SecurityPolicyUri))

    async def examine(self) -> list[Notice]:
        """What a person must know of the certificates in use; raises Refused where the server is trusted no longer."""
        if self._secured is None:
            return []
        return await anyio.to_thread.run_sync(self._examine, abandon_on_cancel=True)

    def _examine(self) -> list[Notice]:
        if self._secured is None:
            return []
        own, security, wall = self._secured.identity, self._link.security, self._clock.wall()
        judgement = judge(self._secured.shown, security, wall, clock_floor(own))
        renewing = command("identity renew", folder_of(security)) if security.certificate is None else ""
        in_use = InUse(
            own.x509, judgement.path, self._user.certificate, judgement.doubts, renewing, own is self._previous
        )
        return notices(in_use, self.url, datetime.fromtimestamp(wall / 1e9, UTC), clock_floor(own))

    async def renew(self) -> None:
        """Renews the channel after 75 % of its lifetime (Part 4, 5.5.2), for ever."""
        client = self._client
        while True:
            await anyio.sleep(client.secure_channel_timeout * 0.75 / 1000)
            with anyio.fail_after(self._link.timeout):
                await client.open_secure_channel(renew=True)
            client.uaclient.revolve_security_token()

    async def close(self) -> None:
        """Says goodbye where the server still listens; lets go of the socket in any case, within CLOSE_SECONDS."""
        client = self._client
        protocol = client.uaclient.protocol
        transport = protocol.transport if protocol is not None else None
        with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(OSError, *STUMBLES):
            await client.close_session()
            await client.close_secure_channel()
        client.disconnect_socket()
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()  # nobody takes what is left: closing politely would wait for it

    def _hang_up(self) -> None:
        """Lets go of a socket over which nothing comes any more, without a word."""
        protocol = self._client.uaclient.protocol
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()
        self._client.disconnect_socket()


@asynccontextmanager
async def opened(
    server: OpcUaServer, clock: Clock, *, channel_seconds: float = CHANNEL_SECONDS, locales: Sequence[str] = ("en",)
) -> AsyncIterator[Connection]:
    """An open connection, closed at the end; see `Connection`. Raises EdgeAgentError.

    A server that does not trust the agent's renewed certificate yet is tried once more with the one before.
    """
    make = partial(Connection, server, clock, channel_seconds=channel_seconds, locales=locales)
    connection = make()
    try:
        try:
            await connection.open()
        except EdgeAgentError as error:
            previous = await _previous_for(error, server, clock)
            if previous is None:
                raise
            await connection.close()
            connection = make(previous=previous)
            await connection.open()
        yield connection
    finally:
        await connection.close()


async def _previous_for(error: EdgeAgentError, server: OpcUaServer, clock: Clock) -> Identity | None:
    """The identity before the last renewal, where the error may be about the present one."""
    if server.security.policy == "None" or not faults.doubts_us(error):
        return None
    return await anyio.to_thread.run_sync(previous_identity, server.security, clock.wall(), abandon_on_cancel=True)


def _user_of(section: OpcUaUser | None) -> _User:
    """Reads the secrets; raises Refused. Blocking."""
    if section is None:
        return _User()
    if section.certificate is not None and section.private_key is not None:
        own = load_pair(section.certificate, section.private_key)
        return _User(certificate=own.x509, key=load_der_private_key(own.key, None))
    return _User(section.name, section.password.read() if section.password is not None else None)


def _best(endpoints: Sequence[ua.EndpointDescription], security: OpcUaSecurity) -> ua.EndpointDescription | None:
    """The first that fits, in the order of the choices; None where none does."""
    mode = ua.MessageSecurityMode[security.mode]
    fitting = {
        _policy_name(one.SecurityPolicyUri): one
        for one in reversed(endpoints)
        if one.SecurityMode == mode and one.ServerCertificate and (one.EndpointUrl or "").startswith("opc.tcp:")
    }
    return next((fitting[policy] for policy in security.choices if policy in fitting), None)


def _policy_name(uri: str | None) -> str:
    return (uri or "None").rpartition("#")[2]
