"""Every message about certificates and security, word by word in both languages: tests/cases/opcua_security.

After a change of words: run with EDGE_AGENT_NEW_CASES=1, and read the difference.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.opcua import faults, trust_faults
from connectors.opcua.expiry import InUse, notices
from connectors.opcua.identity import BUILT
from edge_agent.api import EdgeAgentError
from tests.unit.opcua.papers import NOW, URL, paper

CASE = Path(__file__).parents[2] / "cases" / "opcua_security"
ACCEPT = "edge-agent opcua trust accept /var/lib/edge-agent/identity/opcua " + "A1" * 20
CODES = {
    0x8012: "BadCertificateInvalid",
    0x8013: "BadSecurityChecksFailed",
    0x8014: "BadCertificateTimeInvalid",
    0x8016: "BadCertificateHostNameInvalid",
    0x8017: "BadCertificateUriInvalid",
    0x801A: "BadCertificateUntrusted",
    0x801D: "BadCertificateRevoked",
    0x801F: "BadUserAccessDenied",
    0x8055: "BadSecurityPolicyRejected",
}


def errors() -> Iterator[EdgeAgentError]:
    day = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
    yield trust_faults.unknown(URL, "A1" * 20, "B2" * 32, ACCEPT)
    yield trust_faults.changed(URL, "A1" * 20, "C3" * 20, ACCEPT)
    yield trust_faults.rejected(URL, "A1" * 20, ACCEPT)
    yield trust_faults.revoked(URL, "plc", day)
    yield trust_faults.clock_unset(URL, datetime(1970, 1, 1, 0, 2, tzinfo=UTC), BUILT)
    yield trust_faults.not_yet_valid(URL, "plc", day, day - timedelta(days=3))
    yield trust_faults.expired(URL, "plc", day, day + timedelta(days=3))
    yield trust_faults.other_host(URL, "192.168.0.9", "plc-7, 10.0.0.7", ACCEPT)
    yield trust_faults.other_application(URL, "urn:plc:new", "urn:plc:old", ACCEPT)
    yield trust_faults.not_for_servers(URL, "plc")
    yield trust_faults.unreadable("/x/trusted/a.der", ValueError("no certificate"))
    yield trust_faults.unwritable("/x/pending/a.der", PermissionError(13, "Permission denied"))
    yield faults.no_endpoint(URL, "Basic256Sha256 / SignAndEncrypt", ["Basic256/Sign", "None/None"])
    yield faults.downgraded(URL, "Basic256Sha256", "Aes256_Sha256_RsaPss")
    yield faults.closed_early("open secure channel", URL, "/x/own.der")
    yield faults.unusable_file("/x/own.key.pem", ValueError("not the key of /x/own.der"))
    for code, name in CODES.items():
        yield faults.of_status("log on", URL, code << 16, name)


def notes(language: str) -> Iterator[str]:
    own, plc = paper("edge-agent@gw", 0, start=NOW - timedelta(days=90), days=100), paper("plc", 1, start=NOW, days=2)
    used = InUse(own.cert, (plc.cert,), plc.cert, (trust_faults.not_for_servers(URL, "plc"),), "edge-agent … renew")
    for now in (
        NOW + timedelta(hours=1),
        NOW + timedelta(days=2, hours=1),
        NOW - timedelta(days=1),
        datetime(1970, 1, 2, tzinfo=UTC),
    ):
        for one in notices(used, URL, now, BUILT):
            yield f"{one.severity.name}: {one.text.in_language(language)}"


@pytest.mark.parametrize("language", ["ko", "en"])
def test_messages_are_as_they_stand_in_the_case(language: str) -> None:
    lines = [*(error.in_language(language) for error in errors()), *notes(language)]
    found, golden = "\n".join(lines) + "\n", CASE / f"messages.{language}.txt"
    if os.environ.get("EDGE_AGENT_NEW_CASES"):
        golden.write_text(found, "utf-8")
    assert found == golden.read_text("utf-8")
