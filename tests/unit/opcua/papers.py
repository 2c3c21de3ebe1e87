"""Certificates for these tests: servers, CAs and revocation lists, with RSA keys made once a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
URL = "opc.tcp://plc:4840/a"
URI = "urn:plc:server"
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def key_pem(number: int) -> bytes:
    return key(number).private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@dataclass
class Paper:
    """A certificate and its key."""

    cert: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        return self.cert.public_bytes(DER)

    @property
    def pem(self) -> bytes:
        return self.cert.public_bytes(PEM)


def paper(
    name: str = "plc",
    number: int = 0,
    issuer: Paper | None = None,
    *,
    ca: bool = False,
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    days: float = 365,
    hosts: tuple[str, ...] = ("plc",),
    addresses: tuple[str, ...] = (),
    uri: str = URI,
    usage: ExtendedKeyUsageOID = ExtendedKeyUsageOID.SERVER_AUTH,
    signer: rsa.RSAPrivateKey | None = None,
) -> Paper:
    """A certificate with key `number`, signed by `issuer` or by itself, or falsely by `signer`."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        issuer_name=issuer.cert.subject if issuer else subject,
        subject_name=subject,
        public_key=key(number).public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=start + timedelta(days=days),
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if not ca:
        named = [x509.UniformResourceIdentifier(uri), *map(x509.DNSName, hosts)]
        named += [x509.IPAddress(ip_address(one)) for one in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(named), critical=False)
        uses = x509.KeyUsage(True, True, True, True, False, True, False, False, False)
        builder = builder.add_extension(uses, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signing = signer or (issuer.key if issuer else key(number))
    return Paper(builder.sign(signing, hashes.SHA256()), key(number))


def revoking(ca: Paper, *revoked: Paper, signer: rsa.RSAPrivateKey | None = None) -> x509.CertificateRevocationList:
    """A list of the CA, or one that somebody else signed in its name."""
    builder = x509.CertificateRevocationListBuilder(
        ca.cert.subject, last_update=NOW - timedelta(days=9), next_update=NOW - timedelta(days=2)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder(one.cert.serial_number, NOW - timedelta(days=10)).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(signer or ca.key, hashes.SHA256())
