import os
import stat
from datetime import UTC, datetime

import pytest
from cryptography import x509

from connectors.opcua.certificate import application_uri, hosts_of
from connectors.opcua.config import OpcUaSecurity
from connectors.opcua.identity import clock_floor, folder_of, identity_in, own_identity, renew
from edge_agent.api import Refused
from tests.unit.opcua.papers import NOW_NS, key_pem, paper


def security(folder, **more):
    return OpcUaSecurity.model_validate({"identity": str(folder / "id")} | more)


def test_makes_an_identity_once(tmp_path):
    first = own_identity(security(tmp_path), NOW_NS)
    again = own_identity(security(tmp_path), NOW_NS + 10**18)
    assert first == again
    cert = x509.load_der_x509_certificate(first.certificate)
    assert application_uri(cert) == first.uri
    assert hosts_of(cert)
    assert cert.not_valid_before_utc < datetime(2026, 6, 1, tzinfo=UTC)
    assert cert.not_valid_after_utc > datetime(2036, 5, 1, tzinfo=UTC)
    assert clock_floor(first) == cert.not_valid_before_utc
    assert stat.S_IMODE((tmp_path / "id" / "own.key.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "id").iterdir()) == ["own.der", "own.key.pem"]


def test_a_clock_at_1970_makes_a_certificate_that_is_valid_later(tmp_path):
    cert = x509.load_der_x509_certificate(own_identity(security(tmp_path), 0).certificate)
    assert cert.not_valid_before_utc.year == 2024
    assert cert.not_valid_after_utc.year >= 2034


def test_takes_the_configured_pair(tmp_path):
    (tmp_path / "a.pem").write_bytes(paper().pem)
    (tmp_path / "a.key").write_bytes(key_pem(0))
    pair = {"certificate": str(tmp_path / "a.pem"), "private_key": str(tmp_path / "a.key")}
    found = own_identity(security(tmp_path, **pair), NOW_NS)
    assert x509.load_der_x509_certificate(found.certificate).subject.rfc4514_string() == "CN=plc"
    assert not (tmp_path / "id").exists()


def test_a_key_of_another_certificate_is_refused(tmp_path):
    (tmp_path / "a.pem").write_bytes(paper().pem)
    (tmp_path / "a.key").write_bytes(key_pem(1))
    pair = {"certificate": str(tmp_path / "a.pem"), "private_key": str(tmp_path / "a.key")}
    with pytest.raises(Refused, match="not the key of"):
        own_identity(security(tmp_path, **pair), NOW_NS)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_names_the_file_that_can_not_be_used(tmp_path, content):
    if content is not None:
        (tmp_path / "a.pem").write_bytes(content)
    pair = {"certificate": str(tmp_path / "a.pem"), "private_key": str(tmp_path / "a.key")}
    with pytest.raises(Refused, match=r"a\.pem"):
        own_identity(security(tmp_path, **pair), NOW_NS)


def test_a_renewal_keeps_the_uri_and_the_old_pair(tmp_path):
    old = identity_in(tmp_path, NOW_NS)
    new = renew(tmp_path, NOW_NS + 10**18)
    assert new.uri == old.uri
    assert new.key != old.key
    assert new.x509.not_valid_after_utc > old.x509.not_valid_after_utc
    assert (tmp_path / "previous.der").read_bytes() == old.certificate
    assert stat.S_IMODE((tmp_path / "previous.key.pem").stat().st_mode) == 0o600
    assert not (tmp_path / "next.der").exists()
    assert identity_in(tmp_path, NOW_NS) == new


def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 61184, 61184)
    identity_in(tmp_path / "identity" / "opcua", NOW_NS)
    renew(tmp_path / "identity" / "opcua", NOW_NS)
    made = list((tmp_path / "identity").rglob("*"))
    assert {path.name for path in made} == {"opcua", "own.der", "own.key.pem", "previous.der", "previous.key.pem"}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(61184, 61184)}


def test_a_power_cut_at_any_step_of_a_renewal_leaves_one_pair_or_the_other(tmp_path):
    old, new = identity_in(tmp_path / "old", NOW_NS), identity_in(tmp_path / "new", NOW_NS)
    was, key = (tmp_path / "old" / "own.der").read_bytes(), (tmp_path / "old" / "own.key.pem").read_bytes()
    will, new_key = (tmp_path / "new" / "own.der").read_bytes(), (tmp_path / "new" / "own.key.pem").read_bytes()
    steps = [
        ({"own.der": was, "own.key.pem": key, "next.key.pem": new_key}, old),
        ({"own.der": was, "own.key.pem": key, "next.key.pem": new_key, "next.der": will}, new),
        ({"own.der": was, "own.key.pem": new_key, "next.der": will}, new),
        ({"own.der": will, "own.key.pem": new_key}, new),
    ]
    for number, (there, wanted) in enumerate(steps):
        folder = tmp_path / f"step{number}"
        folder.mkdir()
        for name, data in there.items():
            (folder / name).write_bytes(data)
        assert identity_in(folder, NOW_NS).certificate == wanted.certificate


def test_the_identity_folder_is_below_the_state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/other")
    assert folder_of(OpcUaSecurity()) == tmp_path / "identity" / "opcua"
    monkeypatch.setenv("EDGE_AGENT_STATE", "/var/lib/x")
    assert str(folder_of(OpcUaSecurity())) == "/var/lib/x/identity/opcua"
    assert str(folder_of(OpcUaSecurity.model_validate({"identity": "/etc/id"}))) == "/etc/id"
