from datetime import datetime, timedelta

import pytest

from connectors.opcua.expiry import InUse, notices
from connectors.opcua.identity import BUILT
from connectors.opcua.verify import Presented, misnamed
from edge_agent.api import Severity
from tests.unit.opcua.papers import NOW, URI, URL, paper

LONG = paper(start=NOW - timedelta(days=1), days=3650)


def told(now=NOW, **used):
    parts = {"own": LONG.cert, "path": (LONG.cert,)} | used
    return notices(InUse(**parts), URL, now, BUILT)


@pytest.mark.parametrize(
    ("days", "severity", "words"),
    [
        (60.1, None, ""),
        (59.9, Severity.NOTICE, "expires on 2026-07-30 (59 days left)"),
        (14.1, Severity.NOTICE, "(14 days left)"),
        (13.9, Severity.WARNING, "(13 days left)"),
        (3.1, Severity.WARNING, "(3 days left)"),
        (2.9, Severity.CRITICAL, "(2 days left)"),
        (0.1, Severity.CRITICAL, "(0 days left)"),
        (-0.1, Severity.CRITICAL, "expired on 2026-05-31"),
    ],
)
@pytest.mark.parametrize("whose", ["own", "path", "user"])
def test_sixty_fourteen_and_three_days_before_the_end(whose, days, severity, words):
    cert = paper(start=NOW - timedelta(days=100), days=100 + days).cert
    found = told(**{whose: (cert,) if whose == "path" else cert, "renewing": "edge-agent opcua identity renew x"})
    if severity is None:
        assert found == []
        return
    (notice,) = found
    assert notice.severity is severity
    assert words in notice.text.en
    assert ("identity renew x" in notice.text.ko) == (whose == "own")


def test_the_first_of_a_chain_to_end_counts():
    soon = paper("soon", 1, ca=True, start=NOW, days=10)
    (notice,) = told(path=(LONG.cert, soon.cert))
    assert "'soon' expires" in notice.text.en


def test_a_wrong_clock_is_told_in_place_of_dates():
    (notice,) = told(datetime.fromisoformat("1970-01-02T00:00:00+00:00"))
    assert notice.key == "clock"
    assert "1970-01-02" in notice.text.ko
    assert "expire" not in notice.text.en


def test_what_begins_later_points_at_the_clock():
    later = paper(start=NOW + timedelta(days=2), days=365)
    (notice,) = told(path=(later.cert,))
    assert "valid from 2026-06-03 only; the clock of this gateway says 2026-06-01" in notice.text.en


def test_doubts_about_a_pinned_certificate_are_told():
    leaf = paper(start=NOW, days=365, hosts=("elsewhere",))
    doubts = tuple(misnamed(Presented([leaf.cert], URL, "plc", URI)))
    (notice,) = told(path=(leaf.cert,), doubts=doubts)
    assert notice.severity is Severity.NOTICE
    assert notice.quiet
    assert "not for 'plc'; it names: elsewhere" in notice.text.en
