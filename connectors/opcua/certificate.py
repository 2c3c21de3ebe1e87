"""Certificate: what stands in one, in the words of OPC UA (Part 6, 6.2.2). Pure."""

import re
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

_PEM: Final = b"-----BEGIN"
_LONG_FORM: Final = {0x82: 2, 0x83: 3}
"""First byte of a DER length -> how many bytes of length follow; a certificate is never shorter than 256 bytes."""


def parse(data: bytes) -> x509.Certificate:
    """One certificate, PEM or DER, the first where a chain follows; raises ValueError."""
    if _PEM in data:
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(first_of_chain(data))


def chain_of(data: bytes) -> list[x509.Certificate]:
    """The server's certificate and the issuers that it sent behind it, DER or PEM; raises ValueError."""
    if _PEM in data:
        return x509.load_pem_x509_certificates(data)
    found = []
    while data:
        one = first_of_chain(data)
        found.append(x509.load_der_x509_certificate(one))
        data = data[len(one) :]
    return found


def first_of_chain(der: bytes) -> bytes:
    """Servers may send their certificate with its chain behind it; the first one is theirs (Part 6, 6.2.4)."""
    size = _LONG_FORM.get(der[1]) if len(der) > 4 and der[0] == 0x30 else None
    return der if size is None else der[: 2 + size + int.from_bytes(der[2 : 2 + size], "big")]


def der_of(cert: x509.Certificate) -> bytes:
    """As it goes over the wire."""
    return cert.public_bytes(Encoding.DER)


def thumbprint(cert: x509.Certificate) -> str:
    """SHA-1 of the DER form, 40 capital hex digits: what every server's certificate page shows (Part 4, 7.2)."""
    return cert.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - the thumbprint of Part 4 is SHA-1


def sha256(cert: x509.Certificate) -> str:
    """SHA-256 of the DER form, 64 capital hex digits."""
    return cert.fingerprint(hashes.SHA256()).hex().upper()


def as_thumbprint(text: str) -> str:
    """A thumbprint as a person types it, whole or its beginning, without colons and spaces; empty where it is none."""
    bare = re.sub(r"[\s:]", "", text).upper()
    return bare if re.fullmatch(r"[0-9A-F]{6,64}", bare) else ""


def subject_of(cert: x509.Certificate) -> str:
    """The common name, or the whole subject where there is none."""
    names = cert.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else cert.subject.rfc4514_string() or "-"


def application_uri(cert: x509.Certificate) -> str:
    """The URI in the subjectAltName, which names the application (Part 6, 6.2.2); empty where there is none."""
    return next(iter(_alternatives(cert, x509.UniformResourceIdentifier)), "")


def hosts_of(cert: x509.Certificate) -> tuple[str, ...]:
    """Host names, then IP addresses that the certificate is for."""
    return (*_alternatives(cert, x509.DNSName), *_alternatives(cert, x509.IPAddress))


def _alternatives(cert: x509.Certificate, kind: type[x509.GeneralName]) -> list[str]:
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in names if isinstance(name, kind)]


def is_ca(cert: x509.Certificate) -> bool:
    """Whether it may vouch for others."""
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def strength_of(cert: x509.Certificate) -> str:
    """Kind of key and hash: `RSA 2048, SHA256`."""
    key = cert.public_key()
    kind = f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__.lstrip("_")
    used = cert.signature_hash_algorithm
    return f"{kind}, {used.name.upper()}" if used is not None else kind
