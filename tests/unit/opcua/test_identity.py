import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from connectors.opcua.config import OpcUaSecurity
from connectors.opcua.identity import first_of_chain, folder_of, own_identity, require_trust
from edge_agent.api import Refused

NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 10**9
URL = "opc.tcp://plc:4840/a"
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


@pytest.fixture(scope="module")
def keys():
    return rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)


def certificate(key, issuer=None, issuer_key=None, *, ca=False, start=datetime(2026, 1, 1, tzinfo=UTC)):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca" if ca else "plc")])
    return (
        x509.CertificateBuilder(
            issuer_name=issuer.subject if issuer else name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=start,
            not_valid_after=start + timedelta(days=365),
        )
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key or key, hashes.SHA256())
    )


def security(folder, **more):
    return OpcUaSecurity.model_validate({"identity": str(folder / "id")} | more)


def test_makes_an_identity_once(tmp_path):
    first = own_identity(security(tmp_path), NOW)
    again = own_identity(security(tmp_path), NOW + 10**18)
    assert first == again
    cert = x509.load_der_x509_certificate(first.certificate)
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [first.uri]
    assert cert.not_valid_before_utc < datetime(2026, 6, 1, tzinfo=UTC)
    assert cert.not_valid_after_utc > datetime(2036, 5, 1, tzinfo=UTC)
    assert stat.S_IMODE((tmp_path / "id" / "own.key.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "id").iterdir()) == ["own.der", "own.key.pem"]


def test_a_clock_at_1970_makes_a_certificate_that_is_valid_later(tmp_path):
    cert = x509.load_der_x509_certificate(own_identity(security(tmp_path), 0).certificate)
    assert cert.not_valid_before_utc.year == 2024
    assert cert.not_valid_after_utc.year >= 2034


def test_takes_the_configured_pair(tmp_path, keys):
    (tmp_path / "a.pem").write_bytes(certificate(keys[0]).public_bytes(PEM))
    (tmp_path / "a.key").write_bytes(
        keys[0].private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    pair = {"certificate": str(tmp_path / "a.pem"), "private_key": str(tmp_path / "a.key")}
    found = own_identity(security(tmp_path, **pair), NOW)
    assert x509.load_der_x509_certificate(found.certificate).subject.rfc4514_string() == "CN=plc"
    assert not (tmp_path / "id").exists()


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_names_the_file_that_can_not_be_used(tmp_path, content):
    if content is not None:
        (tmp_path / "a.pem").write_bytes(content)
    pair = {"certificate": str(tmp_path / "a.pem"), "private_key": str(tmp_path / "a.key")}
    with pytest.raises(Refused, match=r"a\.pem"):
        own_identity(security(tmp_path, **pair), NOW)


def test_an_unknown_server_is_refused_with_its_thumbprint_and_kept_for_trusting(tmp_path, keys):
    cert = certificate(keys[0])
    der = cert.public_bytes(DER)
    with pytest.raises(Refused) as caught:
        require_trust(der, security(tmp_path), URL, NOW)
    thumbprint = cert.fingerprint(hashes.SHA1()).hex().upper()
    assert thumbprint in caught.value.cause.ko
    assert thumbprint in caught.value.cause.en
    (pending,) = (tmp_path / "id" / "pending").iterdir()
    assert str(pending) in caught.value.hint.en
    trusted = tmp_path / "id" / "trusted"
    trusted.mkdir()
    (trusted / "plc.der").write_bytes(pending.read_bytes())
    require_trust(der, security(tmp_path), URL, NOW)
    with pytest.raises(Refused):
        require_trust(certificate(keys[0]).public_bytes(DER), security(tmp_path), URL, NOW)


def test_a_pinned_certificate_counts_whatever_its_dates(tmp_path, keys):
    old = certificate(keys[0], start=datetime(2015, 1, 1, tzinfo=UTC))
    (tmp_path / "plc.pem").write_bytes(old.public_bytes(PEM))
    pinned = security(tmp_path, server_certificate=str(tmp_path / "plc.pem"))
    require_trust(old.public_bytes(DER), pinned, URL, NOW)


def test_a_certificate_of_a_trusted_ca_is_trusted_while_both_are_valid(tmp_path, keys):
    ca = certificate(keys[0], ca=True)
    (tmp_path / "ca.pem").write_bytes(ca.public_bytes(PEM))
    pinned = security(tmp_path, server_certificate=str(tmp_path / "ca.pem"))
    good = certificate(keys[1], ca, keys[0]).public_bytes(DER)
    require_trust(good, pinned, URL, NOW)
    require_trust(good + ca.public_bytes(DER), pinned, URL, NOW)
    with pytest.raises(Refused):
        require_trust(good, pinned, URL, NOW + 400 * 86_400 * 10**9)
    with pytest.raises(Refused):  # says it was issued by the CA, but signed itself
        require_trust(certificate(keys[1], ca, keys[1]).public_bytes(DER), pinned, URL, NOW)


def test_a_server_certificate_that_is_no_ca_vouches_for_nobody(tmp_path, keys):
    other = certificate(keys[0])
    (tmp_path / "x.der").write_bytes(other.public_bytes(DER))
    pinned = security(tmp_path, server_certificate=str(tmp_path / "x.der"))
    with pytest.raises(Refused):
        require_trust(certificate(keys[1], other, keys[0]).public_bytes(DER), pinned, URL, NOW)


def test_a_missing_trust_file_is_named(tmp_path, keys):
    with pytest.raises(Refused, match=r"gone\.pem"):
        require_trust(
            certificate(keys[0]).public_bytes(DER),
            security(tmp_path, server_certificate=str(tmp_path / "gone.pem")),
            URL,
            NOW,
        )


def test_the_first_of_a_chain_is_the_servers(keys):
    one, two = certificate(keys[0]).public_bytes(DER), certificate(keys[1]).public_bytes(DER)
    assert first_of_chain(one + two) == one
    assert first_of_chain(one) == one
    assert first_of_chain(b"") == b""


def test_the_identity_folder_is_below_the_state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/other")
    assert folder_of(OpcUaSecurity()) == tmp_path / "identity" / "opcua"
    monkeypatch.setenv("EDGE_AGENT_STATE", "/var/lib/x")
    assert str(folder_of(OpcUaSecurity())) == "/var/lib/x/identity/opcua"
    assert str(folder_of(OpcUaSecurity.model_validate({"identity": "/etc/id"}))) == "/etc/id"
