"""What is learned, each by itself: patience, window, pace, breaker, budget, known, and what is kept of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from connectors.modbus.breaker import LONGEST, Breaker
from connectors.modbus.budget import Budget
from connectors.modbus.config import ModbusLink
from connectors.modbus.known import Known
from connectors.modbus.learned import Learned
from connectors.modbus.pace import FIRST, Pace
from connectors.modbus.patience import Patience
from connectors.modbus.plan import Limits, halves, hull
from connectors.modbus.point import Span
from connectors.modbus.search import Search
from connectors.modbus.window import FIRST_WAIT, Kept, Window
from edge_agent.memory import LinkMemory
from tests.unit.modbus.test_wire import StillClock
from tests.unit.modbus.virtual import VirtualClock, link_of, run

rng = np.random.default_rng(3)


# -- patience ----------------------------------------------------------------------------------------------------------


def test_the_time_out_follows_the_slowest_of_a_thousand_and_never_exceeds_the_configured() -> None:
    patience = Patience(1.0)
    trips = rng.uniform(0.01, 0.03, 5000)
    patience.answered(trips[:100])
    assert patience.timeout == 1.0
    patience.answered(trips[100:])
    assert patience.slowest == pytest.approx(np.quantile(trips, 0.999), rel=0.3)
    assert 3 * trips.max() <= patience.timeout <= 0.4
    slow = Patience(1.0)
    slow.answered(np.full(5000, 0.9))
    assert slow.timeout == 1.0


def test_a_device_whose_p999_is_just_under_600_ms_is_heard_out() -> None:
    """stephane/libmodbus#776: with 300 ms 707 of 1,000 failed, with 500 ms 5, with 600 ms none."""
    patience = Patience(2.0)
    patience.answered(rng.choice([0.31, 0.45, 0.55], p=[0.7, 0.295, 0.005], size=1000))
    assert patience.timeout >= 0.6


def test_after_a_time_out_the_configured_one_holds_for_a_while() -> None:
    patience = Patience(1.0)
    patience.answered(np.full(1000, 0.01))
    assert patience.timeout < 0.3
    patience.expired()
    assert patience.timeout == 1.0
    patience.answered(np.full(60, 0.01))
    assert patience.timeout < 0.3


def test_old_trips_are_forgotten_and_what_is_kept_says_the_same() -> None:
    patience = Patience(5.0)
    patience.answered(np.full(10_000, 1.0))
    patience.answered(np.full(3_000_000 // 10, 0.01)[:20_000])
    for _ in range(40):
        patience.answered(np.full(5000, 0.01))
    assert patience.timeout < 0.5
    assert Patience(5.0, patience.buckets).timeout == patience.timeout


# -- window ------------------------------------------------------------------------------------------------------------


def grown(bound: int, now: float = 0.0) -> Window:
    window = Window(bound, now)
    for _ in range(200):
        window.clean(50, 40 if window.size > 1 else 0, now)
    return window


@pytest.mark.parametrize("bound", [1, 2, 3, 4, 16])
def test_a_window_grows_to_its_bound_and_no_further(bound: int) -> None:
    assert Window(bound, 0.0).size == 1
    assert grown(bound).size == bound


def test_the_first_doubt_makes_it_one_and_each_trial_waits_longer() -> None:
    window, now = grown(4), 0.0
    for doubt in range(4):
        window.doubt(now)
        assert window.size == 1
        window.doubt(now)  # with one in flight that says nothing
        assert window.kept.doubts == doubt + 1
        wait = FIRST_WAIT * 2**doubt
        window.clean(1000, 0, now + wait - 1)
        assert window.size == 1
        now += wait
        window.clean(1000, 0, now)
        assert window.size == 2
        window.clean(1000, 100, now)


def test_requests_one_after_the_other_prove_nothing() -> None:
    window = Window(4, 0.0)
    for _ in range(100):
        window.clean(50, 0, 0.0)
    assert window.size == 2
    assert window.kept.proven == 1


def test_a_trial_that_took_the_connection_with_it_counts_as_doubt() -> None:
    window = Window(4, 0.0)
    window.clean(1000, 0, 0.0)
    assert window.kept == Kept(1, True, 0)
    again = Window(4, 5.0, window.kept)
    assert (again.size, again.kept) == (1, Kept(1, False, 1))
    assert Window(2, 0.0, Kept(proven=4)).size == 2


# -- pace --------------------------------------------------------------------------------------------------------------


def test_a_pause_grows_while_requests_are_lost_and_shrinks_when_it_is_not_needed() -> None:
    pace = Pace()
    pace.lost(1)
    assert pace.pause == 0.0
    pace.lost(1)
    assert pace.pause == FIRST
    while pace.pause < 0.016:
        pace.lost(2)
    for _ in range(100):
        pace.answered(100)
    assert pace.pause < 0.016


def test_a_trial_of_a_shorter_pause_that_loses_goes_back_and_waits_longer() -> None:
    pace = Pace(0.016)
    pace.answered(5000)
    assert pace.pause == 0.008
    pace.lost(1)
    assert pace.pause == 0.016
    pace.answered(6000)
    assert pace.pause == 0.016
    assert Pace(0.016).pause == 0.016


# -- breaker and budget ------------------------------------------------------------------------------------------------


def test_a_breaker_opens_after_two_misses_and_probes_from_one_second_to_ten_minutes() -> None:
    breaker, now, waits = Breaker(), 100.0, []
    breaker.missed(now)
    assert not breaker.open
    for _ in range(12):
        breaker.missed(now)
        assert breaker.open
        waits.append(breaker.retry_at - now)
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == LONGEST == 600
    breaker.answered()
    assert not breaker.open
    assert breaker.retry_at == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 3), st.floats(0, 60), st.booleans()), min_size=1, max_size=60))
def test_what_is_lost_never_exceeds_its_share(probes: list[tuple[float, float, bool]]) -> None:
    """Probes one after the other, each when the budget says, some of them answered at once."""

    async def main() -> None:
        clock = VirtualClock()
        budget, began = Budget(clock, 0.1), clock.monotonic()
        for seconds, rest, answers in probes:
            await budget.grant(seconds, 1.0)
            lost = 0.0 if answers else seconds
            await asyncio.sleep(lost)
            budget.settle(seconds, lost)
            await asyncio.sleep(rest)
            saved = 2.0
            most = 0.1 * (clock.monotonic() - began) + saved + max(one for one, _, _ in probes)
            assert budget.lost <= most + 1e-6

    run(main())


def test_a_share_of_all_never_waits() -> None:
    async def main() -> None:
        clock = VirtualClock()
        budget, began = Budget(clock, 1.0), clock.monotonic()
        for k in range(20):
            await budget.grant(1.0, 1.0)
            assert clock.monotonic() == began + k
            await asyncio.sleep(1.0)
            budget.settle(1.0, 1.0)

    run(main())


def test_of_those_that_wait_the_least_doubtful_is_first_and_an_answer_frees_the_next_at_once() -> None:
    async def main() -> None:
        clock, order = VirtualClock(), []
        budget, began = Budget(clock, 0.1), clock.monotonic()
        budget.settle(0.0, 3.0)  # one more than was saved up: ten seconds to wait

        async def probe(name: str, doubt: float, lost: float) -> None:
            await budget.grant(1.0, doubt)
            order.append((name, clock.monotonic() - began))
            budget.settle(1.0, lost)

        async with asyncio.TaskGroup() as tasks:
            for name, doubt, lost in (("dead", 3.0, 1.0), ("new", 1.0, 1.0), ("well", 0.1, 0.0)):
                tasks.create_task(probe(name, doubt, lost))
        assert order == [("well", 10.0), ("new", 10.0), ("dead", 20.0)]

    run(main())


def test_a_unit_that_answered_for_long_may_miss_one_reading_and_no_more() -> None:
    breaker = Breaker()
    assert not breaker.trusted, "nothing is known of it"
    for _ in range(20):
        breaker.answered()
    breaker.missed(0.0)
    assert breaker.trusted
    breaker.missed(1.0)
    assert not breaker.trusted
    breaker.answered()
    breaker.missed(2.0)
    assert not breaker.trusted, "it has just come back"


# -- search ------------------------------------------------------------------------------------------------------------


def searched(wanted: list[Span], missing: set[int], most: int, granted: int = 1) -> tuple[Known, int]:
    """One search of the block over all of `wanted`, on a device with holes and a limit."""
    import anyio

    asked = 0

    async def ask(span: Span) -> int:
        nonlocal asked
        asked += 1
        assert span.end > span.start
        if span.end - span.start > most:
            return 3
        return 2 if missing & set(range(span.start, span.end)) else 0

    search = Search(ask, Known(), granted)
    assert anyio.run(search.run, wanted)
    return search.known, asked


singles = [Span(3, at, at + 1) for at in range(100)]


@pytest.mark.parametrize("most", [1, 2, 10, 16, 64, 99])
def test_a_limit_is_found_in_a_few_questions(most: int) -> None:
    known, asked = searched(singles, set(), most)
    assert (known.registers, dict(known.refused), known.seams) == (most, {}, frozenset())
    assert asked <= 30


def test_a_border_is_not_taken_for_a_limit_where_more_was_granted() -> None:
    """Registers 49 and 50 can't be read in one request; 60 elsewhere could."""
    import anyio

    async def ask(span: Span) -> int:
        return 2 if span.start < 50 < span.end else 0

    search = Search(ask, Known(), 60)
    assert anyio.run(search.run, singles)
    assert search.known == Known(seams=frozenset({Span(3, 49, 51)}))


def test_what_is_granted_when_asked_again_is_no_refusal() -> None:
    known, asked = searched(singles, set(), 125)
    assert (known, asked) == (Known(), 1)


@settings(deadline=None)
@given(st.sets(st.integers(0, 99), max_size=5), st.integers(1, 125))
def test_only_what_is_missing_is_refused(missing: set[int], most: int) -> None:
    known, _ = searched(singles, missing, most)
    assert {span.start for span in known.refused} <= missing
    assert known.registers is None or known.registers == most or missing


def test_halves_of_two_are_one_and_one() -> None:
    left, right = halves(singles[:2])
    assert (hull(left), hull(right)) == (Span(3, 0, 1), Span(3, 1, 2))


# -- what is kept ------------------------------------------------------------------------------------------------------


def learned(link: ModbusLink, memory: LinkMemory) -> Learned:
    return Learned(link, "modbus://x:502", link.points(range(100)), StillClock(), memory)


def test_all_comes_back_and_other_tags_begin_anew(tmp_path: Path) -> None:
    link, memory = link_of({1: [0, 2], 2: [0]}), LinkMemory(tmp_path / "a.json")
    first = learned(link, memory)
    first.units[1].pace.pause = 0.008
    first.units[2].patience.answered(np.full(500, 0.01))
    assert first.gateway is not None
    for _ in range(20):
        first.gateway.clean(200, 100, 100.0)
    known = Known({Span(3, 0, 2): 2}, frozenset({Span(3, 4, 6)}), 10, None)
    first.keep([known, Known()], broken=False)
    memory.write(memory.take() or b"")
    again = learned(link, LinkMemory(tmp_path / "a.json"))
    assert again.known == [known, Known()]
    assert again.units[1].pace.pause == 0.008
    assert again.units[2].patience.timeout == first.units[2].patience.timeout < 0.3
    assert again.gateway is not None
    assert again.gateway.size == first.gateway.size == 4
    assert again.units[1].window is again.units[2].window is again.gateway
    other = learned(link_of({1: [0, 6], 2: [0]}), LinkMemory(tmp_path / "a.json"))
    assert other.known == [Known(), Known()]
    assert other.units[1].pace.pause == 0.008


NONSENSE: list[Any] = [-1, 1e300, "x", None, [5], False, [[3, 5, 4, 2]], [[9, 0, 1, 2]], [[99, 1]]]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@pytest.mark.parametrize(
    ("part", "key"),
    [("device 0", "refused"), ("device 0", "seams"), ("device 0", "registers"), ("unit 1", "pause"),
     ("unit 1", "trips"), ("window 1", "proven"), ("window 1", "doubts"), ("line", "sums")],
)  # fmt: skip  # one line a place is no clearer
def test_a_memory_that_makes_no_sense_is_forgotten_and_said(
    tmp_path: Path, part: str, key: str, nonsense: object
) -> None:
    link, memory = link_of({1: [0, 2]}), LinkMemory(tmp_path / "a.json")
    learned(link, memory).keep([Known()], broken=False)
    identity = memory._all()[part]["identity"]
    memory.keep(part, identity, {**memory.recall(part, identity), key: nonsense})
    with capture_logs() as logs:
        made = learned(link, memory)
    same = nonsense is False and key in ("pause", "doubts")  # equal to the 0 that is kept already
    legal = same or (key == "registers" and nonsense is None)
    assert [log["event"] for log in logs] == ([] if legal else ["memory_ignored"])
    assert made.units[1].window.size == 1
    assert made.known == [Known()]


def test_limits_are_the_narrower_of_the_manual_s_and_the_device_s() -> None:
    known = Known(registers=10)
    assert known.limits(Limits(registers=60, bits=500, gap=3)) == Limits(10, 500, 3)
    assert known.limits(Limits(registers=5)).registers == 5
    assert known.limited(1, 77).bits == 77
    refused = Known({Span(3, 0, 1): 2, Span(4, 0, 1): 2}, frozenset({Span(3, 5, 7)}))
    assert refused.without(3) == Known({Span(4, 0, 1): 2})
