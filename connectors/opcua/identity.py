"""Certificates: the agent's own, made once, and those of the servers it trusts (Part 6, 6.2.2; Part 4, 6.1.3).

Blocking file work throughout: call it in a worker thread. Folder layout under `security.identity`: `own.der`,
`own.key.pem` (mode 600), `trusted/` (filled by a person), `pending/` (the last refused certificate of each server).
"""

import hashlib
import os
import socket
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.opcua import faults
from connectors.opcua.config import OpcUaSecurity

YEARS: Final = 10
_BUILT: Final = datetime(2025, 1, 1, tzinfo=UTC)  # no clock of a running agent is really before this


@dataclass(frozen=True, slots=True)
class Identity:
    """The agent's certificate and key, DER, and the application URI that the certificate names."""

    certificate: bytes
    key: bytes
    uri: str
    path: str


def folder_of(security: OpcUaSecurity) -> Path:
    """The identity folder; a relative one is below the agent's state folder ($EDGE_AGENT_STATE, $STATE_DIRECTORY)."""
    state = os.environ.get("EDGE_AGENT_STATE") or os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(state) / security.identity


def own_identity(security: OpcUaSecurity, wall: int) -> Identity:
    """Loads the configured pair, or the self-made one, which is made on first use. `wall` is ns since 1970.

    Raises Refused for files that can't be read, written or understood.
    """
    if security.certificate is not None and security.private_key is not None:
        return _load(security.certificate, security.private_key)
    folder = folder_of(security)
    certificate, key = folder / "own.der", folder / "own.key.pem"
    try:
        if not (certificate.exists() and key.exists()):
            _make(certificate, key, datetime.fromtimestamp(wall / 1e9, UTC))
    except OSError as error:
        raise faults.unusable_file(str(folder), error) from error
    return _load(certificate, key)


def _load(certificate: Path, key: Path) -> Identity:
    try:
        cert = _parse(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise faults.unusable_file(str(certificate), error) from error
    try:
        data = key.read_bytes()
        load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
        private = load(data, None)
    except (OSError, ValueError, TypeError) as error:
        raise faults.unusable_file(str(key), error) from error
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity(
        cert.public_bytes(serialization.Encoding.DER), der, _uri_of(cert) or default_uri(), str(certificate)
    )


def default_uri() -> str:
    """The application URI where there is no certificate that names one."""
    return f"urn:{socket.gethostname()}:edge-agent"


def _uri_of(cert: x509.Certificate) -> str:
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")


def _parse(data: bytes) -> x509.Certificate:
    """One certificate, PEM or DER, the first where a chain follows; raises ValueError."""
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(first_of_chain(data))


def first_of_chain(der: bytes) -> bytes:
    """Servers may send their certificate with its chain behind it; the first one is theirs (Part 6, 6.2.4)."""
    if len(der) < 4 or der[0] != 0x30 or der[1] != 0x82:
        return der
    return der[: 4 + int.from_bytes(der[2:4], "big")]


def _make(certificate: Path, key_file: Path, now: datetime) -> None:
    certificate.parent.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(key_file, pem, 0o600)
    _write(certificate, _self_signed(key, now).public_bytes(serialization.Encoding.DER), 0o644)


def _self_signed(key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    host = socket.gethostname()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"edge-agent@{host}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "edge-agent"),
        ]
    )
    start = max(now, _BUILT) - timedelta(days=1)
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
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(default_uri()), x509.DNSName(host)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, also when the power goes."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as out:
            os.fchmod(handle, mode)
            out.write(data)
            out.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def require_trust(server: bytes, security: OpcUaSecurity, url: str, wall: int) -> None:
    """Raises Refused, with the thumbprint and what to do, unless a person has trusted this certificate or its CA."""
    der = first_of_chain(server)
    place = security.server_certificate or folder_of(security) / "trusted"
    trusted = _trusted(place, required=security.server_certificate is not None)
    if any(cert.public_bytes(serialization.Encoding.DER) == der for cert in trusted):
        return
    if _issued_by_one_of(der, trusted, datetime.fromtimestamp(wall / 1e9, UTC)):
        return
    pending = folder_of(security) / "pending" / f"{_file_name(url)}.der"
    try:
        pending.parent.mkdir(parents=True, exist_ok=True)
        _write(pending, der, 0o644)
    except OSError as error:
        raise faults.unusable_file(str(pending), error) from error
    sha1 = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
    raise faults.untrusted(url, sha1, hashlib.sha256(der).hexdigest().upper(), str(pending), str(place))


def _file_name(url: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in url.removeprefix("opc.tcp://"))[:80]


def _trusted(place: Path, *, required: bool) -> list[x509.Certificate]:
    if not place.exists() and not required:
        return []
    try:
        files = sorted(p for p in place.iterdir() if p.is_file()) if place.is_dir() else [place]
        return [_parse(path.read_bytes()) for path in files]
    except (OSError, ValueError) as error:
        raise faults.unusable_file(str(place), error) from error


def _issued_by_one_of(der: bytes, trusted: list[x509.Certificate], now: datetime) -> bool:
    """Whether a trusted CA signed it and both are valid now. A pinned certificate itself counts whatever its dates."""
    try:
        cert = x509.load_der_x509_certificate(der)
    except ValueError:
        return False
    return any(_valid(cert, now) and _valid(ca, now) and _is_ca(ca) and _signed(cert, ca) for ca in trusted)


def _valid(cert: x509.Certificate, now: datetime) -> bool:
    return cert.not_valid_before_utc <= now <= cert.not_valid_after_utc


def _is_ca(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _signed(cert: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
