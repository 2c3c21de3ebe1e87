from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from connectors.opcua.identity import BUILT
from connectors.opcua.verify import Anchors, Presented, is_pinned, objections, path_of, revoked
from tests.unit.opcua.papers import NOW, URI, URL, key, paper, revoking

ROOT = paper("root", 1, ca=True)
MIDDLE = paper("middle", 2, ROOT, ca=True)


def shown(*papers, host="plc", application=URI):
    return Presented([one.cert for one in papers], URL, host, application)


def anchors(trusted=(), issuers=(), revocations=()):
    return Anchors([one.cert for one in trusted], [one.cert for one in issuers], (), revocations)


def said(presented, known, now=NOW):
    """What is objected to, in the order of its weight."""
    return [str(one) for one in objections(presented, path_of(presented, known), known, now, BUILT)]


def test_nobody_vouches():
    leaf = paper()
    assert path_of(shown(leaf), anchors()) == []
    assert path_of(shown(leaf), anchors([paper()])) == []


def test_a_person_pinned_it():
    leaf = paper()
    path = path_of(shown(leaf), anchors([leaf]))
    assert is_pinned(path)
    assert said(shown(leaf), anchors([leaf])) == []


@pytest.mark.parametrize("sent", [True, False])
def test_a_chain_over_an_issuer_that_the_server_sends_or_we_keep(sent):
    leaf = paper("plc", 3, MIDDLE)
    presented = shown(leaf, MIDDLE) if sent else shown(leaf)
    known = anchors([ROOT], [] if sent else [MIDDLE])
    assert path_of(presented, known) == [leaf.cert, MIDDLE.cert, ROOT.cert]
    assert said(presented, known) == []


def test_an_issuer_that_nobody_trusts_vouches_for_nobody():
    leaf = paper("plc", 3, MIDDLE)
    assert path_of(shown(leaf, MIDDLE, ROOT), anchors([], [MIDDLE, ROOT])) == []


def test_a_missing_issuer_breaks_the_chain():
    assert path_of(shown(paper("plc", 3, MIDDLE)), anchors([ROOT])) == []


def test_what_names_a_ca_but_is_signed_by_another():
    assert path_of(shown(paper("plc", 3, ROOT, signer=key(4))), anchors([ROOT])) == []


def test_a_server_certificate_vouches_for_nobody():
    plain = paper("plain", 5)
    assert path_of(shown(paper("plc", 3, plain)), anchors([plain])) == []


def test_certificates_that_issue_each_other_end_the_search():
    one = paper("one", 4, ca=True)
    two = paper("two", 5, one, ca=True)
    again = paper("one", 4, two, ca=True)
    leaf = paper("plc", 3, two)
    assert path_of(shown(leaf, two, again), anchors([ROOT])) == []


def test_a_clock_at_1970_is_the_first_thing_said():
    leaf = paper("plc", 3, ROOT)
    first, second, *_ = said(shown(leaf), anchors([ROOT]), datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    assert "the clock of this gateway says 1970-01-01 00:01 UTC" in first
    assert "set the clock first" in first
    assert "valid from 2026-01-01" in second


@pytest.mark.parametrize(
    ("leaf", "host", "words"),
    [
        (paper("plc", 3, ROOT, start=NOW + timedelta(days=1)), "plc", "'plc' is valid from 2026-06-02"),
        (paper("plc", 3, ROOT, days=30), "plc", "'plc' expired on 2026-01-31"),
        (paper("plc", 3, ROOT), "192.168.0.9", "not for '192.168.0.9'; it names: plc"),
        (paper("plc", 3, ROOT, uri="urn:other"), "plc", "'urn:other', is not the one that the server says"),
        (paper("plc", 3, ROOT, usage=ExtendedKeyUsageOID.CLIENT_AUTH), "plc", "not that of an OPC UA server"),
    ],
)
def test_each_thing_that_is_wrong_has_its_words(leaf, host, words):
    (only,) = said(shown(leaf, host=host), anchors([ROOT]))
    assert words in only


def test_an_expired_authority_is_named():
    old = paper("old root", 1, ca=True, days=30)
    (only,) = said(shown(paper("plc", 3, old)), anchors([old]))
    assert "'old root' expired" in only


def test_host_names_are_compared_without_case_and_addresses_too():
    leaf = paper("plc", 3, ROOT, hosts=("PLC-7",), addresses=("192.168.0.9",))
    for host in ("plc-7", "192.168.0.9"):
        assert said(shown(leaf, host=host), anchors([ROOT])) == []


def test_revoked_by_its_authority_even_where_the_list_is_out_of_date():
    leaf, other = paper("plc", 3, ROOT), paper("plc", 3, ROOT)
    known = anchors([ROOT], revocations=[revoking(ROOT, leaf)])
    assert "revoked the certificate 'plc' on 2026-05-22" in said(shown(leaf), known)[0]
    assert said(shown(other), known) == []


def test_a_revoked_authority_in_between():
    leaf = paper("plc", 3, MIDDLE)
    known = anchors([ROOT], [MIDDLE], [revoking(ROOT, MIDDLE)])
    assert "revoked the certificate 'middle'" in said(shown(leaf), known)[0]


def test_a_pinned_certificate_is_refused_once_its_authority_revoked_it():
    leaf = paper("plc", 3, ROOT)
    known = anchors([leaf], [ROOT], [revoking(ROOT, leaf)])
    path = path_of(shown(leaf), known)
    assert is_pinned(path)
    assert revoked(shown(leaf), path, known) is not None


def test_a_list_counts_only_with_the_signature_and_name_of_the_issuer():
    leaf, stranger = paper("plc", 3, ROOT), paper("stranger", 6, ca=True)
    forged, foreign = revoking(ROOT, leaf, signer=key(6)), revoking(stranger, leaf)
    known = anchors([ROOT, stranger], revocations=[forged, foreign])
    assert said(shown(leaf), known) == []
