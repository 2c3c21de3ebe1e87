import os
import shlex
import stat
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from connectors.opcua.certificate import as_thumbprint, chain_of, first_of_chain, thumbprint
from connectors.opcua.config import OpcUaSecurity
from connectors.opcua.identity import BUILT
from connectors.opcua.judgement import Shown, judge
from connectors.opcua.trust import TrustFolder, command
from edge_agent.api import Refused
from tests.unit.opcua.papers import DER, NOW_NS, PEM, URI, URL, paper, revoking


def judged(folder, chain, *, url=URL, wall=NOW_NS, **more):
    security = OpcUaSecurity.model_validate({"identity": str(folder)} | more)
    return judge(Shown(chain, url, URI), security, wall, BUILT)


def refusal(folder, chain, **more):
    with pytest.raises(Refused) as caught:
        judged(folder, chain, **more)
    return caught.value


def test_an_unknown_server_is_pending_until_a_person_accepts_it(tmp_path):
    leaf = paper()
    error = refusal(tmp_path, leaf.der)
    print_ = leaf.cert.fingerprint(hashes.SHA1()).hex().upper()
    for words in (error.cause.ko, error.cause.en):
        assert print_ in words
    for words in (error.hint.ko, error.hint.en):
        assert words.endswith(f"opcua trust accept {tmp_path} {print_}")
    assert error.cured_at == tmp_path / "trusted"
    folder = TrustFolder(tmp_path)
    (entry,) = folder.entries()
    assert (entry.state, entry.url, entry.first_seen) == ("pending", URL, NOW_NS)
    folder.accept(entry)
    assert judged(tmp_path, leaf.der).doubts == ()
    (entry,) = folder.entries()
    assert (entry.state, entry.url, entry.first_seen) == ("trusted", URL, NOW_NS)


def test_first_seen_stays_and_only_the_last_of_each_server_waits(tmp_path):
    first, second = paper(), paper()
    refusal(tmp_path, first.der)
    refusal(tmp_path, first.der, wall=NOW_NS + 5)
    (entry,) = TrustFolder(tmp_path).entries("pending")
    assert entry.first_seen == NOW_NS
    refusal(tmp_path, second.der, wall=NOW_NS + 7)
    (entry,) = TrustFolder(tmp_path).entries("pending")
    assert (entry.certificate, entry.first_seen) == (second.cert, NOW_NS + 7)
    refusal(tmp_path, second.der, url="opc.tcp://other:4840")
    assert len(TrustFolder(tmp_path).entries("pending")) == 2


def test_another_certificate_than_the_accepted_one_is_told_apart(tmp_path):
    first, second = paper(), paper()
    refusal(tmp_path, first.der)
    folder = TrustFolder(tmp_path)
    folder.accept(folder.entries()[0])
    error = refusal(tmp_path, second.der)
    assert "another certificate than before" in error.cause.en
    assert thumbprint(first.cert) in error.cause.en
    assert thumbprint(second.cert) in error.hint.en


def test_rejected_is_told_and_taken_back(tmp_path):
    leaf = paper()
    refusal(tmp_path, leaf.der)
    folder = TrustFolder(tmp_path)
    folder.reject(folder.entries()[0])
    assert "was rejected" in refusal(tmp_path, leaf.der).cause.en
    (entry,) = folder.entries()
    assert entry.state == "rejected"
    folder.accept(entry)
    judged(tmp_path, leaf.der)
    folder.reject(folder.entries()[0])
    assert "was rejected" in refusal(tmp_path, leaf.der).cause.en


def test_rejecting_outweighs_an_authority_that_vouches(tmp_path):
    root = paper("root", 1, ca=True)
    leaf = paper("plc", 3, root)
    folder = TrustFolder(tmp_path)
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "root.pem").write_bytes(root.pem)
    judged(tmp_path, leaf.der)
    folder.reject(folder.remember(leaf.der, URL, NOW_NS))
    assert "was rejected" in refusal(tmp_path, leaf.der).cause.en


def test_one_accepted_certificate_leaves_no_other_question_about_it(tmp_path):
    leaf = paper()
    refusal(tmp_path, leaf.der)
    refusal(tmp_path, leaf.der, url="opc.tcp://plc.local:4840")
    folder = TrustFolder(tmp_path)
    folder.accept(folder.entries()[0])
    assert [entry.state for entry in folder.entries()] == ["trusted"]


def test_what_is_wrong_with_a_pinned_certificate_is_told_but_does_not_end_collection(tmp_path):
    leaf = paper(hosts=("elsewhere",), days=30)
    folder = TrustFolder(tmp_path)
    folder.accept(folder.remember(leaf.der, URL, NOW_NS))
    for wall in (NOW_NS, 0):
        (misnamed,) = judged(tmp_path, leaf.der, wall=wall).doubts
        assert "not for 'plc'" in misnamed.cause.en


def test_a_person_may_pin_what_an_authority_vouches_for_in_vain(tmp_path):
    root = paper("root", 1, ca=True)
    leaf = paper("plc", 3, root, hosts=("elsewhere",))
    folder = TrustFolder(tmp_path)
    folder.accept(folder.remember(root.der, "", NOW_NS))
    error = refusal(tmp_path, leaf.der)
    assert "not for 'plc'" in error.cause.en
    assert error.hint.en.endswith(f"opcua trust accept {tmp_path} {thumbprint(leaf.cert)}")
    (waiting,) = folder.entries("pending")
    folder.accept(waiting)
    assert len(judged(tmp_path, leaf.der).doubts) == 1


def test_issuers_and_revocation_lists_are_read_from_their_folders(tmp_path):
    root = paper("root", 1, ca=True)
    middle = paper("middle", 2, root, ca=True)
    leaf = paper("plc", 3, middle)
    for name, data in (("trusted/root.crt", root.pem), ("issuers/middle.der", middle.der)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
    judged(tmp_path, leaf.der)
    (tmp_path / "crl").mkdir()
    (tmp_path / "crl" / "middle.crl").write_bytes(revoking(middle, leaf).public_bytes(PEM))
    assert "revoked" in refusal(tmp_path, leaf.der).cause.en
    (tmp_path / "crl" / "middle.crl").write_bytes(revoking(middle).public_bytes(DER))
    judged(tmp_path, leaf.der)


def test_the_configured_file_is_trusted_too(tmp_path):
    leaf = paper()
    (tmp_path / "plc.pem").write_bytes(leaf.pem)
    judged(tmp_path / "id", leaf.der, server_certificate=str(tmp_path / "plc.pem"))
    assert not (tmp_path / "id").exists()


@pytest.mark.parametrize("place", ["trusted/x.der", "crl/x.crl", "issuers/x.pem"])
def test_a_file_that_is_none_is_named(tmp_path, place):
    (tmp_path / place).parent.mkdir()
    (tmp_path / place).write_bytes(b"no certificate")
    assert place in str(refusal(tmp_path, paper().der))


def test_a_broken_file_is_told_but_takes_no_trust_from_others(tmp_path):
    folder, leaf = TrustFolder(tmp_path), paper()
    folder.accept(folder.remember(leaf.der, URL, NOW_NS))
    (tmp_path / "trusted" / "half.der").write_bytes(leaf.der[:100])
    (doubt,) = judged(tmp_path, leaf.der).doubts
    assert "trusted/half.der" in str(doubt)


def test_files_that_are_no_certificates_by_name_are_left_alone(tmp_path):
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "README.txt").write_text("put certificates here")
    (tmp_path / "trusted" / "half.json").write_text("{")
    assert TrustFolder(tmp_path).entries() == []


def test_a_missing_trust_file_is_named(tmp_path):
    assert "gone.pem" in str(refusal(tmp_path, paper().der, server_certificate=str(tmp_path / "gone.pem")))


def test_what_a_server_shows_that_is_no_certificate(tmp_path):
    from edge_agent.api import ProtocolError

    with pytest.raises(ProtocolError):
        judged(tmp_path, b"\x30\x82\xff\xffnonsense")


def test_chosen_by_thumbprint_by_its_beginning_or_by_url(tmp_path):
    one, two = paper(), paper()
    folder = TrustFolder(tmp_path)
    folder.remember(one.der, URL, NOW_NS)
    folder.remember(two.der, "opc.tcp://other:4840", NOW_NS)
    print_ = thumbprint(one.cert)
    spaced = " ".join(print_[at : at + 4] for at in range(0, 40, 4)).lower()
    for which in (print_, print_[:8], spaced, ":".join(print_[at : at + 2] for at in range(0, 40, 2)), URL):
        (found,) = folder.find(which)
        assert found.certificate == one.cert
    assert folder.find("") == folder.find("plc") == folder.find("ABCDE") == []
    assert as_thumbprint("cafe") == ""


def test_the_first_of_a_chain_is_the_servers():
    one, two = paper().der, paper().der
    assert first_of_chain(one + two) == one
    assert first_of_chain(one) == one
    assert first_of_chain(b"") == b""
    assert [cert.public_bytes(DER) for cert in chain_of(one + two)] == [one, two]


def test_what_is_written_belongs_to_the_owner_of_the_folder(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 61184, 61184)
    folder = TrustFolder(state / "identity" / "opcua")
    entry = folder.accept(folder.remember(paper().der, URL, NOW_NS))
    for path in (entry.path, entry.path.with_suffix(".json"), entry.path.parent, folder.root, folder.root.parent):
        assert path.stat().st_uid == 61184
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o640
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o750


def test_a_command_is_one_that_can_be_typed(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert command("trust accept", Path("/var/my state"), "AB") == "edge-agent opcua trust accept '/var/my state' AB"
    monkeypatch.setattr(os, "geteuid", lambda: 61184)  # the user that systemd makes up
    words = shlex.split(command("trust list", Path("/var/lib/edge-agent")))
    assert words == ["sudo", "edge-agent", "opcua", "trust", "list", "/var/lib/edge-agent"]
