"""Identity: the agent's own certificate and key, made once and renewed by a person (Part 6, 6.2.2).

Files under `security.identity`: `own.der` with `own.key.pem` (mode 600), after a renewal `previous.der` with its key;
`trust` keeps the certificates of others there. Blocking file work throughout: call it in a worker thread.

A renewal keeps the application URI, by which servers know the agent. It is decided by the file `next.der`, written last
of the new pair; whoever loads the identity then finishes the exchange, so that a power cut leaves one pair or the
other, never a half of each.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.opcua import faults
from connectors.opcua.certificate import application_uri, der_of, parse
from connectors.opcua.config import OpcUaSecurity
from edge_agent.replacement import replace

YEARS: Final = 10
KEY_BITS: Final = 2048
"""All three policies take 2048; some PLCs take no more."""
BUILT: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""No clock of a running agent is really before this."""
_GET_ADDRESS: Final = 0x8915
_LOOPBACK: Final = "127."


@dataclass(frozen=True, slots=True)
class Identity:
    """The agent's certificate and key, DER, and the application URI that the certificate names."""

    certificate: bytes
    key: bytes
    uri: str
    path: str

    @property
    def x509(self) -> x509.Certificate:
        """The certificate, parsed."""
        return parse(self.certificate)


def folder_of(security: OpcUaSecurity) -> Path:
    """The identity folder; a relative one is below the agent's state folder ($EDGE_AGENT_STATE, $STATE_DIRECTORY)."""
    state = os.environ.get("EDGE_AGENT_STATE") or os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(state) / security.identity


def previous_identity(security: OpcUaSecurity, wall: int) -> Identity | None:
    """What was ours before the last renewal, while it is valid; None where there is none. Raises Refused."""
    certificate = folder_of(security) / "previous.der"
    if security.certificate is not None or not certificate.exists():
        return None
    found = load_pair(certificate, certificate.with_name("previous.key.pem"))
    return found if _moment(wall) < found.x509.not_valid_after_utc else None


def own_identity(security: OpcUaSecurity, wall: int) -> Identity:
    """Loads the configured pair, or the self-made one, which is made on first use. `wall` is ns since 1970.

    Raises Refused for files that can't be read, written or understood.
    """
    if security.certificate is not None and security.private_key is not None:
        return load_pair(security.certificate, security.private_key)
    return identity_in(folder_of(security), wall)


def identity_in(folder: Path, wall: int) -> Identity:
    """The self-made pair of this folder, made where there is none; raises Refused."""
    certificate, key = folder / "own.der", folder / "own.key.pem"
    try:
        _finish(folder)
        if not (certificate.exists() and key.exists()):
            _make(certificate, key, default_uri(), _moment(wall))
    except OSError as error:
        raise faults.unusable_file(str(folder), error) from error
    return load_pair(certificate, key)


def renew(folder: Path, wall: int) -> Identity:
    """A new certificate and key for the same application URI; the old pair stays as `previous`. Raises Refused."""
    uri = identity_in(folder, wall).uri
    try:
        _make(folder / "next.der", folder / "next.key.pem", uri, _moment(wall))
    except OSError as error:
        raise faults.unusable_file(str(folder), error) from error
    return identity_in(folder, wall)


def _finish(folder: Path) -> None:
    """What a renewal has decided; raises OSError."""
    decided, key = folder / "next.der", folder / "next.key.pem"
    if not decided.exists():
        return
    if key.exists():
        for name, mode in (("der", 0o644), ("key.pem", 0o600)):
            replace(folder / f"previous.{name}", (folder / f"own.{name}").read_bytes(), mode)
    with suppress(FileNotFoundError):  # another process finishes it too
        key.replace(folder / "own.key.pem")
    with suppress(FileNotFoundError):
        decided.replace(folder / "own.der")


def load_pair(certificate: Path, key: Path) -> Identity:
    """A certificate and its key, PEM or DER; raises Refused, also where they do not belong together."""
    try:
        cert = parse(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise faults.unusable_file(str(certificate), error) from error
    try:
        data = key.read_bytes()
        load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
        private = load(data, None)
    except (OSError, ValueError, TypeError) as error:
        raise faults.unusable_file(str(key), error) from error
    if private.public_key() != cert.public_key():
        raise faults.unusable_file(str(key), ValueError(f"not the key of {certificate}"))
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity(der_of(cert), der, application_uri(cert) or default_uri(), str(certificate))


def default_uri() -> str:
    """The application URI where there is no certificate that names one."""
    return f"urn:{socket.gethostname()}:edge-agent"


def clock_floor(identity: Identity) -> datetime:
    """A clock before this is surely wrong: the agent's own certificate was made later."""
    return max(BUILT, identity.x509.not_valid_before_utc)


def _moment(wall: int) -> datetime:
    return datetime.fromtimestamp(wall / 1e9, UTC)


def _make(certificate: Path, key_file: Path, uri: str, now: datetime) -> None:
    """The certificate is written last: with it the pair is whole."""
    key = rsa.generate_private_key(65537, KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    replace(key_file, pem, 0o600)
    replace(certificate, der_of(_self_signed(key, uri, now)), 0o644)


def _self_signed(key: rsa.RSAPrivateKey, uri: str, now: datetime) -> x509.Certificate:
    host = socket.gethostname()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"edge-agent@{host}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "edge-agent"),
        ]
    )
    start = max(now, BUILT) - timedelta(days=1)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_cert_sign=True,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=start + timedelta(days=365 * YEARS + 2),
    )
    places = [x509.UniformResourceIdentifier(uri), x509.DNSName(host), *map(x509.IPAddress, _own_addresses())]
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectAlternativeName(places), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def _own_addresses() -> Iterator[IPv4Address]:
    """The IPv4 address of each network interface that has one now (netdevice(7)), without loopback."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for interface in sorted(path.name for path in Path("/sys/class/net").iterdir()):
            with suppress(OSError):
                request = struct.pack("256s", interface.encode()[:15])
                address = IPv4Address(fcntl.ioctl(asked, _GET_ADDRESS, request)[20:24])
                if not str(address).startswith(_LOOPBACK):
                    yield address
