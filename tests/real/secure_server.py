"""asyncua's server in a thread of this process, for what servers do wrong about security; one start takes seconds.

Its certificate comes from a CA over another one. It offers, apart from nothing at all: Basic256 and Basic128Rsa15
encrypted, Basic256Sha256 signed, and Aes128_Sha256_RsaOaep and Basic256Sha256 encrypted. `hidden` takes policies out of
the list that is asked for next, not out of the signed one that follows. Users: anonymous, `plant`, and whoever has the
certificate in `user`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.server import Server
from asyncua.server.user_managers import User, UserRole

from tests.servers.process import free_port
from tests.servers.sources import PASSWORD, USER
from tests.unit.opcua.papers import DER, paper

URI = "urn:test:secure"
NODE = "i=2258"
_P = ua.SecurityPolicyType
POLICIES = [
    _P.NoSecurity,
    _P.Basic256_SignAndEncrypt,
    _P.Basic128Rsa15_SignAndEncrypt,
    _P.Basic256Sha256_Sign,
    _P.Basic256Sha256_SignAndEncrypt,
    _P.Aes128Sha256RsaOaep_SignAndEncrypt,
]


class SecureServer:
    """Running between `start` and `stop`."""

    def __init__(self) -> None:
        now = datetime.now(UTC) - timedelta(days=1)
        self.port = free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        self.root = paper("root", 1, ca=True, start=now)
        self.middle = paper("middle", 2, self.root, ca=True, start=now)
        self.own = paper("plc", 3, self.middle, start=now, days=11, addresses=("127.0.0.1",), uri=URI)
        self.user = paper("operator", 4, start=now)
        self.hidden: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _start(self) -> None:
        server = self._server = Server(user_manager=self)
        await server.init()
        await server.set_application_uri(URI)
        server.set_endpoint(self.url)
        server.iserver.certificate, server.iserver.private_key = self.own.cert, self.own.key
        server.set_security_policy(POLICIES)
        server.set_certificate_validator(self._validate)
        told = server.iserver.get_endpoints

        async def get_endpoints(params: Any = None, sockname: Any = None) -> list[ua.EndpointDescription]:
            """Without a session it is asked first, for a session once more."""
            hidden, self.hidden = self.hidden, set()
            found = await told(params, sockname)
            return [one for one in found if one.SecurityPolicyUri.partition("#")[2] not in hidden]

        server.iserver.get_endpoints = get_endpoints
        await server.start()

    async def _validate(self, certificate: Any, _: Any) -> None:
        if self.distrusted == certificate.public_bytes(DER):
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> User | None:
        """What the server asks about each session. Anonymous users are let in."""
        known = (username, password) in ((USER, PASSWORD), (None, None))
        stranger = username is None and certificate is not None and certificate not in (self.user.der, self.agent)
        return User(role=UserRole.User) if known and not stranger else None

    distrusted: bytes | None = None
    """A client's certificate that the server does not know yet."""
    agent: bytes | None = None
    """The certificate of the client's application: asyncua hands it over for anonymous users."""


@contextmanager
def secure_server() -> Iterator[SecureServer]:
    server = SecureServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
