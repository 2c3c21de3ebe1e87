"""Judgement: one server's certificate against the files of the trust folder, at each connection.

Blocking file work: call `judge` in a worker thread.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from connectors.opcua import trust_faults
from connectors.opcua.certificate import chain_of, sha256, thumbprint
from connectors.opcua.config import OpcUaSecurity
from connectors.opcua.faults import garbage
from connectors.opcua.identity import folder_of
from connectors.opcua.trust import Entry, TrustFolder, certificates_in, command
from connectors.opcua.verify import Anchors, Presented, is_pinned, misnamed, objections, path_of, revoked
from edge_agent.api import Refused


@dataclass(frozen=True, slots=True)
class Judgement:
    """A certificate that is trusted, with those that vouch for it.

    `doubts` are what is wrong with the names in one that a person pinned all the same (its dates are for `expiry`), and
    files of the trust folder that can't be read: neither ends the collection from a server that is trusted.
    """

    path: tuple[x509.Certificate, ...]
    doubts: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server showed: its certificate with what follows it, DER, at which URL, and the URI it goes by."""

    chain: bytes
    url: str
    application: str = ""


def judge(shown: Shown, security: OpcUaSecurity, wall: int, at_least: datetime) -> Judgement:
    """Raises Refused, with what to do, unless a person trusts this certificate or a CA that vouches for it.

    `wall` is ns since 1970; a clock before `at_least` is surely wrong.
    """
    try:
        return _judged(shown, security, wall, at_least)
    except Refused as error:
        error.cured_at = folder_of(security) / "trusted"
        raise


def _judged(shown: Shown, security: OpcUaSecurity, wall: int, at_least: datetime) -> Judgement:
    try:
        chain = chain_of(shown.chain)
    except ValueError as error:
        raise garbage("read server certificate", shown.url, error) from error
    host = urlsplit(shown.url).hostname or ""
    folder = TrustFolder(folder_of(security))
    presented = Presented(chain, shown.url, host, shown.application, _accepting(folder, chain[0]))
    entries, broken = folder.legible("trusted", "issuers", "rejected")
    anchors = _anchors(folder, entries, security)
    if chain[0] in anchors.rejected:
        raise trust_faults.rejected(shown.url, thumbprint(chain[0]), presented.accept)
    path = path_of(presented, anchors)
    if not path and broken:  # it may be the very one that is looked for
        raise broken[0]
    if not path:
        folder.remember(shown.chain, shown.url, wall)
        raise _untrusted(shown, chain[0], folder, entries)
    now = datetime.fromtimestamp(wall / 1e9, UTC)
    if (gone := revoked(presented, path, anchors)) is not None:
        raise gone
    if is_pinned(path):
        return Judgement(tuple(path), (*misnamed(presented), *broken))
    if (wrong := next(objections(presented, path, anchors, now, at_least), None)) is not None:
        folder.remember(shown.chain, shown.url, wall)
        raise wrong
    return Judgement(tuple(path), tuple(broken))


def _anchors(folder: TrustFolder, entries: list[Entry], security: OpcUaSecurity) -> Anchors:
    def of(state: str) -> list[x509.Certificate]:
        return [entry.certificate for entry in entries if entry.state == state]

    named = security.server_certificate
    trusted = of("trusted") + (certificates_in(named) if named is not None else [])
    return Anchors(trusted, of("issuers"), of("rejected"), folder.revocations())


def _untrusted(shown: Shown, leaf: x509.Certificate, folder: TrustFolder, entries: list[Entry]) -> Refused:
    """Nobody has judged it yet."""
    print_, accept = thumbprint(leaf), _accepting(folder, leaf)
    before = next((one for one in entries if one.state == "trusted" and one.url == shown.url), None)
    if before is not None:
        return trust_faults.changed(shown.url, print_, before.thumbprint, accept)
    return trust_faults.unknown(shown.url, print_, sha256(leaf), accept)


def _accepting(folder: TrustFolder, leaf: x509.Certificate) -> str:
    return command("trust accept", folder.root, thumbprint(leaf))
