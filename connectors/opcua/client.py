"""The OPC UA connector: connects, subscribes, and reads until something breaks.

The only place that sees the vendor's exceptions. Nothing of asyncua runs here in tasks of its own: no watchdog, no
reconnect, no publish loop; the channel's renewal, the publishers and the silence watch are ours, in one task group.
"""

import logging
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies, uacrypto
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography.exceptions import InvalidSignature

from connectors.opcua import faults
from connectors.opcua.config import OpcUaLink
from connectors.opcua.identity import default_uri, first_of_chain, own_identity, require_trust
from connectors.opcua.plan import make_plan
from connectors.opcua.session import ColumnSession
from connectors.opcua.subscription import PUBLISHERS, Subscription
from edge_agent.api import Clock, EdgeAgentError, Outlet, socket_error

logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # what it has to say is raised, in our words

SHORTEST_SILENCE: Final = 10.0
"""What the supervisor should wait at least; the connector's own watch may be quicker, down to LEAST_SILENCE."""
LEAST_SILENCE: Final = 3.0
CLOSE_SECONDS: Final = 1.8
SESSION_SECONDS: Final = 60
"""How long the server keeps our session when we vanish without a word."""
CHANNEL_SECONDS: Final = 3600
DEFAULT_PORT: Final = 4840
_POLICIES: Final[dict[str, Any]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_STUMBLES: Final = (
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


class OpcUaConnector:
    """See `edge_agent.api.Connector`. Good for one `run`."""

    def __init__(
        self,
        link: OpcUaLink,
        numbers: list[int],
        clock: Clock,
        *,
        kernel: bool = True,
        channel_seconds: float = CHANNEL_SECONDS,
    ) -> None:
        """`kernel=False`, or EDGE_AGENT_NUMBA=0 in the environment, keeps numba out.

        `channel_seconds` is the secure channel's lifetime; it is renewed after three quarters of it.
        """
        self.silence = max(SHORTEST_SILENCE, 3 * link.keep_alive)
        self._link = link
        self._plan = make_plan(link, numbers)
        self._clock = clock
        self._kernel = kernel
        self._channel_seconds = channel_seconds
        self._url = _with_port(link.url)
        self._certificate = ""
        self._failure: EdgeAgentError | None = None

    async def run(self, outlet: Outlet) -> None:
        """Connects and reads until something breaks; raises that as one of the agent's errors."""
        client = Client(self._url, timeout=self._link.timeout)
        session = ColumnSession.install(client.uaclient)
        try:
            await self._open(client)
            await self._read(client, session, outlet)
        finally:
            await _close(client)

    @contextmanager
    def _during(self, operation: str) -> Iterator[None]:
        """Translates what the vendor raises while `operation` is tried."""
        try:
            yield
        except UaStatusCodeError as error:
            name = type(error).__name__
            raise faults.of_status(operation, self._url, int(error.code), name) from error
        except ConnectionError as error:
            if self._certificate and operation in ("open secure channel", "log on"):
                raise faults.closed_early(operation, self._url, self._certificate) from error
            raise socket_error(operation, self._url, error) from error
        except OSError as error:
            raise socket_error(operation, self._url, error) from error
        except _STUMBLES as error:
            raise faults.garbage(operation, self._url, error) from error

    async def _open(self, client: Client) -> None:
        """Socket, channel, session."""
        link = self._link
        client.name = client.description = "edge-agent"
        client.application_uri = default_uri()
        client.session_timeout = SESSION_SECONDS * 1000
        client.secure_channel_timeout = round(self._channel_seconds * 1000)
        user = password = None
        if link.user is not None:
            user = link.user.name
            password = await anyio.to_thread.run_sync(link.user.password.read)
        if link.security.policy != "None":
            await self._secure(client)
        with self._during("connect"), anyio.fail_after(link.timeout):
            await client.connect_socket()
        with self._during("open secure channel"), anyio.fail_after(link.timeout):
            await client.send_hello()
            await client.open_secure_channel()
        with self._during("log on"), anyio.fail_after(link.timeout):
            await client.create_session()
            await client.activate_session(user, password)

    async def _secure(self, client: Client) -> None:
        """Chooses the endpoint, checks the server's certificate against the trusted ones, sets up the channel."""
        security, wall = self._link.security, self._clock.wall()
        identity = await anyio.to_thread.run_sync(own_identity, security, wall)
        self._certificate = identity.path
        server = await self._server_certificate()
        await anyio.to_thread.run_sync(require_trust, server, security, self._url, wall)
        client.application_uri = identity.uri
        with self._during("prepare security"):
            await client.set_security(
                _POLICIES[security.policy],
                uacrypto.CertProperties(identity.certificate, "der"),
                uacrypto.CertProperties(identity.key, "der"),
                server_certificate=uacrypto.CertProperties(first_of_chain(server), "der"),
                mode=ua.MessageSecurityMode[security.mode],
            )

    async def _server_certificate(self) -> bytes:
        """What the server shows for the configured policy and mode; Refused where it has no such endpoint."""
        security = self._link.security
        policy, mode = _POLICIES[security.policy].URI, ua.MessageSecurityMode[security.mode]
        visitor = Client(self._url, timeout=self._link.timeout)
        try:
            with self._during("ask for endpoints"), anyio.fail_after(self._link.timeout):
                endpoints = await visitor.connect_and_get_server_endpoints()
        finally:
            visitor.disconnect_socket()
        for endpoint in endpoints:
            if (endpoint.SecurityPolicyUri, endpoint.SecurityMode) == (policy, mode) and endpoint.ServerCertificate:
                return bytes(endpoint.ServerCertificate)
        offered = sorted({f"{_policy_name(e.SecurityPolicyUri)}/{e.SecurityMode.name.strip('_')}" for e in endpoints})
        raise faults.no_endpoint(self._url, f"{security.policy}/{security.mode}", offered)

    async def _read(self, client: Client, session: ColumnSession, outlet: Outlet) -> None:
        subscription = Subscription(session, self._plan, outlet, self._clock, self._url, kernel=self._kernel)
        with self._during("subscribe"), anyio.fail_after(self._link.timeout):
            keep_alive = await subscription.create(self._link.keep_alive)
        self.silence = max(self.silence, 3 * keep_alive)
        silence = max(LEAST_SILENCE, 3 * keep_alive)
        async with anyio.create_task_group() as group:

            async def until_it_breaks(operation: str, work: Callable[[], Awaitable[None]]) -> None:
                try:
                    with self._during(operation):
                        await work()
                except EdgeAgentError as error:
                    self._failure = self._failure or error
                    group.cancel_scope.cancel()

            for _ in range(PUBLISHERS):
                group.start_soon(until_it_breaks, "read", subscription.publish)
            group.start_soon(until_it_breaks, "subscribe", lambda: subscription.tend(self._link.retry_items))
            group.start_soon(until_it_breaks, "read", lambda: subscription.watch(silence))
            group.start_soon(until_it_breaks, "renew secure channel", lambda: self._renew(client))
        if self._failure is not None:
            raise self._failure

    async def _renew(self, client: Client) -> None:
        """Renews the channel after 75 % of its lifetime (Part 4, 5.5.2), for ever."""
        while True:
            await anyio.sleep(client.secure_channel_timeout * 0.75 / 1000)
            with anyio.fail_after(self._link.timeout):
                await client.open_secure_channel(renew=True)
            client.uaclient.revolve_security_token()


async def _close(client: Client) -> None:
    """Says goodbye where the server still listens; lets go of the socket in any case, within CLOSE_SECONDS."""
    protocol = client.uaclient.protocol
    transport = protocol.transport if protocol is not None else None
    with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(OSError, *_STUMBLES):
        await client.close_session()
        await client.close_secure_channel()
    client.disconnect_socket()
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()  # nobody takes what is left: closing politely would wait for it


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    return url if parts.port else parts._replace(netloc=f"{parts.netloc}:{DEFAULT_PORT}").geturl()


def _policy_name(uri: str | None) -> str:
    return (uri or "None").rpartition("#")[2]
