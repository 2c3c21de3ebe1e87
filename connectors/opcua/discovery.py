"""Discovery: what a server tells everybody, without a session: who it is and which endpoints it has.

FindServers and GetEndpoints (Part 4, 5.5.2 and 5.5.4). A discovery server on the usual port lists others, each of which
is asked too. Nothing here is trusted: it was sent in the clear.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from asyncua.ua.uaerrors import UaStatusCodeError
from cryptography import x509

from connectors.opcua.certificate import first_of_chain
from connectors.opcua.config import SOUND, with_port
from connectors.opcua.connection import visiting
from edge_agent.api import EdgeAgentError

MOST_SERVERS: Final = 32
"""More than a discovery server on a shop floor lists; the rest is not asked."""
RANKS: Final = SOUND
"""The policies to use, the best first."""
_NS_A_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate as a person compares it: thumbprints in capitals, validity in ns since 1970."""

    sha1: str
    sha256: str
    begins: int
    ends: int
    subject: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to connect. `tokens`: the kinds of user that it takes (Anonymous, UserName, Certificate …)."""

    url: str
    policy: str
    mode: str
    tokens: tuple[str, ...]
    certificate: Shown | None

    @property
    def is_binary(self) -> bool:
        """Whether it speaks opc.tcp, as the agent does."""
        return self.url.startswith("opc.tcp:")

    @property
    def rank(self) -> int:
        """Lower is better; what protects nothing or can't be used comes last."""
        if not self.is_binary or self.policy not in RANKS:
            return 2 * len(RANKS)
        return RANKS.index(self.policy) + (0 if self.mode == "SignAndEncrypt" else len(RANKS))

    @property
    def is_secure(self) -> bool:
        """Whether the agent uses it without being told to be careless."""
        return self.rank < 2 * len(RANKS)


@dataclass(frozen=True, slots=True)
class Server:
    """One server: where it was reached, its application name and URI, its endpoints, or why they are not known."""

    url: str
    name: str
    uri: str
    endpoints: tuple[Endpoint, ...] = ()
    error: EdgeAgentError | None = None

    @property
    def best(self) -> Endpoint | None:
        """The endpoint to use: the best protected one, else an unprotected one; None where none speaks opc.tcp."""
        return min((one for one in self.endpoints if one.is_binary), key=lambda one: one.rank, default=None)


async def discover(url: str, timeout: float) -> list[Server]:
    """The server at `url` first, then those that it knows of. Raises EdgeAgentError where nobody answers there."""
    url = with_port(url)
    known, endpoints = await _ask(url, timeout)
    here = next((one for one in known if _is_at(one, url)), known[0] if known else None)
    first = Server(url, *_names(here, endpoints), _endpoints(endpoints))
    rest = [one for one in known if one is not here and one.ApplicationUri != first.uri]
    return [first, *[await _listed(one, url, timeout) for one in rest[:MOST_SERVERS]]]


async def _ask(url: str, timeout: float) -> tuple[Sequence[Any], Sequence[Any]]:
    """FindServers and GetEndpoints over one channel; a server that knows no FindServers has no others to tell."""
    async with visiting("discover", url, timeout) as visitor:
        await visitor.connect_socket()
        await visitor.send_hello()
        await visitor.open_secure_channel()
        try:
            known = await visitor.find_servers()
        except UaStatusCodeError:
            known = []
        endpoints = await visitor.get_endpoints()
        await visitor.close_secure_channel()
    return known or [], endpoints or []


async def _listed(one: Any, asked: str, timeout: float) -> Server:
    """A server that another one told of. Where its host name is not known here, the host that told is tried."""
    urls = [url for url in one.DiscoveryUrls or [] if url.startswith("opc.tcp:")]
    tried = [with_port(url) for url in urls[:1]] + [_at_host(url, asked) for url in urls[:1]]
    failure: EdgeAgentError | None = None
    for url in dict.fromkeys(tried):
        try:
            _, endpoints = await _ask(url, timeout)
        except EdgeAgentError as error:
            failure = failure or error
        else:
            return Server(url, *_names(one, endpoints), _endpoints(endpoints))
    return Server(
        tried[0] if tried else "", str(one.ApplicationName.Text or ""), str(one.ApplicationUri or ""), (), failure
    )


def _is_at(one: Any, url: str) -> bool:
    return any(urlsplit(each).port == urlsplit(url).port for each in one.DiscoveryUrls or [])


def _at_host(url: str, other: str) -> str:
    """The url with the host of the other one."""
    host = urlsplit(other).hostname or ""
    host = f"[{host}]" if ":" in host else host
    parts = urlsplit(with_port(url))
    return parts._replace(netloc=f"{host}:{parts.port}").geturl()


def _names(one: Any, endpoints: Sequence[Any]) -> tuple[str, str]:
    about = one if one is not None else endpoints[0].Server if endpoints else None
    return ("", "") if about is None else (str(about.ApplicationName.Text or ""), str(about.ApplicationUri or ""))


def _endpoints(found: Sequence[Any]) -> tuple[Endpoint, ...]:
    made = (
        Endpoint(
            str(one.EndpointUrl or ""),
            (one.SecurityPolicyUri or "None").rpartition("#")[2],
            one.SecurityMode.name.strip("_"),
            tuple(dict.fromkeys(token.TokenType.name for token in one.UserIdentityTokens or [])),
            shown(bytes(one.ServerCertificate or b"")),
        )
        for one in found
    )
    return tuple(sorted(dict.fromkeys(made), key=lambda one: one.rank))


def shown(der: bytes) -> Shown | None:
    """What a person compares of a certificate (the first of a chain); None where it is none."""
    der = first_of_chain(der)
    try:
        cert = x509.load_der_x509_certificate(der)
    except ValueError:
        return None
    sha1 = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
    begins, ends = (
        round(at.timestamp()) * _NS_A_SECOND for at in (cert.not_valid_before_utc, cert.not_valid_after_utc)
    )
    return Shown(sha1, hashlib.sha256(der).hexdigest().upper(), begins, ends, cert.subject.rfc4514_string())
