"""Verify: whether a server's certificate is to be believed (Part 4, 6.1.3). Pure; `trust` brings the files.

Two ways lead to trust, and they ask different things.

- **Pinned.** A person has accepted this very certificate by its thumbprint. Its key alone proves the server, so that
  wrong dates, names or usages are told (`Judgement.doubts`, `expiry`) but do not end collection: neither the day on
  which a PLC's certificate expires nor a gateway that starts without a clock may do that. Revocation and rejection
  count.
- **Vouched for.** A trusted CA, perhaps over CAs in between, issued it. Then everything in it counts: dates of all,
  signatures, revocation lists, usage, host name, application URI. The clock comes first, because a clock at 1970 makes
  each of them "not yet valid".

Without a revocation list of a CA nothing of it counts as revoked. An outdated list counts as well: what is revoked
stays so. A list counts only with the signature of the CA that it names; asyncua's own TrustStore looks at serial
numbers alone, of whichever issuer, which is why it is not used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from connectors.opcua import trust_faults
from connectors.opcua.certificate import application_uri, hosts_of, is_ca, subject_of
from edge_agent.api import Refused

LONGEST_CHAIN: Final = 5


@dataclass(frozen=True, slots=True)
class Presented:
    """What a server showed, and how it was reached."""

    chain: Sequence[x509.Certificate]
    """Its own certificate, then what it sent of its issuers."""
    url: str
    host: str
    """The host in the url."""
    application: str = ""
    """The application URI that the endpoint names; empty where it names none."""
    accept: str = ""
    """The command that accepts this very certificate."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """What people have judged."""

    trusted: Sequence[x509.Certificate] = ()
    issuers: Sequence[x509.Certificate] = ()
    rejected: Sequence[x509.Certificate] = ()
    revocations: Sequence[x509.CertificateRevocationList] = field(default=())


def path_of(shown: Presented, anchors: Anchors) -> list[x509.Certificate]:
    """The server's certificate and those that vouch for it, up to a trusted one; empty where none leads there."""
    path = [shown.chain[0]]
    known = [*anchors.trusted, *shown.chain[1:], *anchors.issuers]
    while path[-1] not in anchors.trusted:
        above = next((one for one in known if one not in path and is_ca(one) and _issued(one, path[-1])), None)
        if above is None or len(path) == LONGEST_CHAIN:
            return []
        path.append(above)
    return path


def objections(
    shown: Presented, path: Sequence[x509.Certificate], anchors: Anchors, now: datetime, at_least: datetime
) -> Iterator[Refused]:
    """What is wrong, the worst first. `path` as `path_of` gives it; `at_least`: an earlier clock is surely wrong."""
    yield from _revoked(shown, path, anchors)
    if now < at_least:
        yield trust_faults.clock_unset(shown.url, now, at_least)
    for one in path:
        if now < one.not_valid_before_utc:
            yield trust_faults.not_yet_valid(shown.url, subject_of(one), one.not_valid_before_utc, now)
        if now > one.not_valid_after_utc:
            yield trust_faults.expired(shown.url, subject_of(one), one.not_valid_after_utc, now)
    yield from misnamed(shown)


def is_pinned(path: Sequence[x509.Certificate]) -> bool:
    """Whether a person accepted this very certificate."""
    return len(path) == 1


def revoked(shown: Presented, path: Sequence[x509.Certificate], anchors: Anchors) -> Refused | None:
    """The one objection that a pinned certificate heeds."""
    return next(_revoked(shown, path, anchors), None)


def _revoked(shown: Presented, path: Sequence[x509.Certificate], anchors: Anchors) -> Iterator[Refused]:
    authorities = [*path[1:], *anchors.trusted, *anchors.issuers, *shown.chain[1:]]
    for one in path:
        for listed in anchors.revocations:
            entry = listed.get_revoked_certificate_by_serial_number(one.serial_number)
            signers = (ca for ca in authorities if ca.subject == listed.issuer)
            if entry is not None and listed.issuer == one.issuer and any(_signed(listed, ca) for ca in signers):
                yield trust_faults.revoked(shown.url, subject_of(one), entry.revocation_date_utc)


def _signed(listed: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return listed.is_signature_valid(cast(CertificateIssuerPublicKeyTypes, authority.public_key()))
    except TypeError:  # a key that signs nothing
        return False


def _issued(authority: x509.Certificate, cert: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def misnamed(shown: Presented) -> Iterator[Refused]:
    """What its usage, its host names and its application URI give reason to object to."""
    leaf = shown.chain[0]
    if not _for_servers(leaf):
        yield trust_faults.not_for_servers(shown.url, subject_of(leaf))
    if shown.host.lower() not in {name.lower() for name in hosts_of(leaf)}:
        yield trust_faults.other_host(shown.url, shown.host, ", ".join(hosts_of(leaf)), shown.accept)
    if shown.application and shown.application != application_uri(leaf):
        yield trust_faults.other_application(shown.url, shown.application, application_uri(leaf), shown.accept)


def _for_servers(cert: x509.Certificate) -> bool:
    """Usages that are not written down are not forbidden (RFC 5280, 4.2.1.3 and 4.2.1.12)."""
    try:
        usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
        if not (usage.digital_signature and usage.key_encipherment and usage.data_encipherment):
            return False
    except x509.ExtensionNotFound:
        pass
    except ValueError:
        return False
    try:
        return ExtendedKeyUsageOID.SERVER_AUTH in cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
