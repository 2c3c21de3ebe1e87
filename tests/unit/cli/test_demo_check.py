"""The demo's judgement: what it takes for good, and that it can say no."""

from typing import Any

import pytest

from edge_agent.cli.audit import Comparison, Kept, compare, compare_sampled
from edge_agent.cli.demo_check import Findings, LedgerLine, _balanced, _complete, _found, _reread
from edge_agent.plant.demo_config import expected_paths
from tests.unit.cli.snapshots import NOW, event, snapshot, tag

SECOND = 1_000_000_000
LABEL = {"fault": "eccentric", "t_start": NOW, "affected": ["load_difference", "peak_load"]}


def published(*rows: tuple[int, Any], tag: str = "x") -> list[dict[str, Any]]:
    return [{"machine": "m", "tag": tag, "time": time, "value": value, "status": 0} for time, value in rows]


def kept(rows: dict[int, Any], name: str = "x") -> Kept:
    return Kept(len(rows), True, {f"s/l/m/{name}": rows})


def test_everything_published_while_connected_must_be_kept() -> None:
    lines = published((1, 0.5), (2, 0.6), (3, 0.7), (4, 0.8), (5, 0.9))
    assert compare(kept({2: 0.6, 3: 0.7, 4: 0.8}), lines) == Comparison(3, 3, 0)
    assert compare(kept({2: 0.6, 4: 0.8}), lines) == Comparison(3, 2, 0)


def test_a_wrong_or_invented_value_is_strange() -> None:
    lines = published((1, 0.5), (2, 0.6))
    assert compare(kept({1: 0.5, 2: 0.61}), lines) == Comparison(2, 1, 1)
    assert not compare(kept({1: 0.5, 2: 0.6, 7: 1.0}), lines).complete


def test_reads_and_other_machines_are_passed_over() -> None:
    lines = [*published((1, 0.5)), *published((1, 0.5), tag="y"), {"machine": "m", "read": {}, "time": 1}]
    assert compare(kept({1: 0.5}), lines) == Comparison(1, 1, 0)
    assert not compare(Kept(), lines).complete


def test_a_polled_value_must_have_been_shown_at_about_that_time() -> None:
    lines = published((0, 930.1), (10 * SECOND, 930.4000000000001), (20 * SECOND, None))
    assert compare_sampled(kept({9 * SECOND: 930.1, 12 * SECOND: 930.4, 25 * SECOND: None}), lines).complete
    assert not compare_sampled(kept({5 * SECOND: 930.4}), lines).complete
    assert not compare_sampled(kept({15 * SECOND: 930.1}), lines).complete


def findings(*events: dict[str, Any]) -> Findings:
    found = Findings()
    found.take(snapshot(now_ns=NOW + 3 * SECOND, events=list(events)))
    return found


def test_what_the_agent_says_of_itself_is_no_false_alarm() -> None:
    own = event(0, start_ns=NOW - 9 * SECOND) | {"class": "agent", "path": "demo"}
    _, silent = _found(findings(own, event(1, start_ns=NOW + SECOND)), LABEL)
    assert silent.good
    _, silent = _found(findings(own | {"class": "machine"}, event(1, start_ns=NOW + SECOND)), LABEL)
    assert not silent.good


def test_a_fault_is_found_in_a_tag_in_which_it_can_be_seen() -> None:
    hit = event(0, start_ns=NOW + SECOND)
    detected, silent = _found(findings(hit), LABEL)
    assert detected.good
    assert "began +1.0 s, told +3.0 s" in detected.figures[1]
    assert silent.good


@pytest.mark.parametrize(
    "other",
    [
        event(0, start_ns=NOW + SECOND, path="demo/heat/ht1/load_difference"),
        event(0, start_ns=NOW + SECOND, path="demo/forming/press200/lube_pressure"),
    ],
)
def test_an_event_elsewhere_is_no_detection(other: dict[str, Any]) -> None:
    detected, silent = _found(findings(other), LABEL)
    assert not detected.good
    assert silent.good
    assert "1 on other tags" in silent.figures[1]


def test_an_event_before_the_fault_is_a_false_one() -> None:
    early = event(0, start_ns=NOW - 5 * SECOND)
    detected, silent = _found(findings(early), LABEL)
    assert not detected.good
    assert not silent.good


def test_without_a_label_there_is_nothing_to_find() -> None:
    (detected,) = _found(findings(event(0, start_ns=NOW + 1)), None)
    assert not detected.good


def test_a_tag_counts_as_seen_only_with_a_good_value() -> None:
    found = Findings()
    shot = snapshot(machines=[{"path": "demo/heat/ht1", "label": {}, "tags": [tag("zone1_pv", "", "", None)]}])
    found.take(shot)
    assert len(found.unseen) == len(expected_paths())
    shot["machines"][0]["tags"][0]["value"] = 930.0
    found.take(shot)
    assert len(found.unseen) == len(expected_paths()) - 1


def test_the_ledger_must_balance_and_the_journal_hold_it() -> None:
    line = LedgerLine("journal", 900, 900, True)
    assert _balanced([line], 0).good
    assert not _balanced([line], -9).good
    assert not _balanced([], 0).good
    assert not _balanced([LedgerLine("hub", 900, 0, False)], 0).good
    assert _reread([line], Kept(900, True)).good
    assert not _reread([line], Kept(899, True)).good
    assert not _reread([line], Kept(900, False)).good


def test_an_empty_comparison_proves_nothing() -> None:
    assert not _complete(Comparison(0, 0, 0), "OPC UA").good
    assert _complete(Comparison(5, 5, 0), "OPC UA").good
