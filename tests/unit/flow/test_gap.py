"""The gap that a restart leaves: it begins where collection ended, not where the last value came."""

from edge_agent.gap import gap_events
from edge_agent.journal import OpenReport
from edge_agent.model import Severity

HOUR = 3600 * 1_000_000_000
NOON = 1_790_000_000_000_000_000


def test_a_quiet_night_before_a_stop_in_order_is_no_gap() -> None:
    report = OpenReport(clean=True, last_written=NOON, stopped=NOON + 9 * HOUR)
    (gap,) = gap_events(report, "busan", NOON + 9 * HOUR + HOUR // 60)
    assert (gap.start, gap.end) == (NOON + 9 * HOUR, NOON + 9 * HOUR + HOUR // 60)
    assert gap.evidence["seconds"] == 60
    assert gap.severity is Severity.NOTICE


def test_after_a_kill_it_begins_at_the_last_row() -> None:
    (gap,) = gap_events(OpenReport(clean=False, last_written=NOON), "busan", NOON + HOUR)
    assert (gap.start, gap.end) == (NOON, NOON + HOUR)
    assert gap.severity is Severity.WARNING


def test_a_first_start_has_none() -> None:
    assert gap_events(OpenReport(created=True), "busan", NOON) == []


def test_a_clock_that_went_back_makes_no_negative_gap() -> None:
    (gap,) = gap_events(OpenReport(clean=True, last_written=NOON, stopped=NOON), "busan", NOON - 2 * HOUR)
    assert (gap.start, gap.end, gap.evidence["seconds"]) == (NOON, NOON, 0)
