"""The planner against what must hold of every plan, and against a search for fewer blocks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.modbus.plan import Block, Limits, Plan, halves, hull, make_plan, payload_size, seam
from connectors.modbus.point import Span


@st.composite
def spans(draw: st.DrawFn, most: int = 4, room: int = 400) -> Span:
    function = draw(st.integers(1, 4))
    start = draw(st.integers(0, room))
    return Span(function, start, start + (draw(st.integers(1, most)) if function >= 3 else 1))


limits = st.builds(Limits, registers=st.integers(4, 125), bits=st.integers(1, 2000), gap=st.integers(0, 124))


def assert_right(plan: Plan, wanted: list[Span], limit: Limits, refused: set[Span]) -> None:
    end = 0
    for block in plan.blocks:
        most, gap = limit.of(block.span.function)
        assert 0 < block.span.end - block.span.start <= most
        assert not any(block.span.covers(no) for no in refused)
        assert block.offset == end
        assert block.offset % 2 == 0
        end = block.offset + block.size + block.size % 2
        used = {a for s in wanted if block.span.covers(s) for a in range(s.start, s.end)}
        assert min(used) == block.span.start
        assert max(used) == block.span.end - 1
        ordered = sorted(used)
        assert all(b - a - 1 <= gap for a, b in pairwise(ordered))
    assert plan.size == end
    for span in set(wanted):
        if any(span.covers(no) for no in refused):
            assert span in plan.refused
        else:
            assert plan.blocks[plan.block_of(span)].span.covers(span)
    assert set(plan.refused) <= set(wanted)


@settings(deadline=None)
@given(st.lists(spans(), min_size=1, max_size=60), limits, st.sets(spans(most=8), max_size=6))
def test_every_span_is_read_and_no_block_breaks_a_limit(wanted: list[Span], limit: Limits, refused: set[Span]) -> None:
    assert_right(make_plan(wanted, limit, refused), wanted, limit, refused)


def fewest(wanted: list[Span], most: int) -> int:
    """Exhaustive: the fewest windows of `most` addresses that hold every span whole (spans of one function code)."""
    if not wanted:
        return 0
    first = min(wanted)
    starts = range(max(0, first.end - most), first.start + 1)
    return 1 + min(fewest([s for s in wanted if not Span(s.function, at, at + most).covers(s)], most) for at in starts)


@settings(deadline=None)
@given(st.lists(spans(room=40).map(lambda s: s._replace(function=3)), max_size=7), st.integers(4, 8))
def test_no_other_cut_needs_fewer_blocks(wanted: list[Span], most: int) -> None:
    assert len(make_plan(wanted, Limits(registers=most, gap=124)).blocks) == fewest(wanted, most)


def cheapest(wanted: list[Span], most: int, refused: set[Span], worth: float, gap: int) -> float:
    """Exhaustive: every way to deal the spans out to blocks in their order; the least sum of worth and bytes."""
    outer = sorted(s for s in set(wanted) if not any(o != s and o.covers(s) for o in wanted))
    costs = [0.0]
    for j in range(1, len(outer) + 1):
        ways = []
        for i in range(j):
            block = hull(outer[i:j])
            gaps = [b.start - a.end for a, b in pairwise(outer[i:j])]
            if _size(block) <= most and max(gaps, default=0) <= gap and not any(block.covers(no) for no in refused):
                ways.append(costs[i] + worth + 2 * _size(block))
        costs.append(min(ways))
    return costs[-1]


def _size(span: Span) -> int:
    return span.end - span.start


@settings(deadline=None, max_examples=300)
@given(
    st.lists(spans(room=60).map(lambda s: s._replace(function=3)), min_size=1, max_size=12),
    st.integers(4, 20),
    st.sets(spans(room=60, most=3).map(lambda s: s._replace(function=3)), max_size=3),
    st.floats(0, 60),
    st.integers(0, 30),
)
def test_no_other_plan_is_cheaper(wanted: list[Span], most: int, refused: set[Span], worth: float, gap: int) -> None:
    readable = [s for s in wanted if not any(s.covers(no) for no in refused)]
    plan = make_plan(wanted, Limits(registers=most, gap=gap), refused, worth)
    cost = sum(worth + block.size for block in plan.blocks)
    assert cost == pytest.approx(cheapest(readable, most, refused, worth, gap))


@settings(deadline=None)
@given(
    st.lists(spans(), min_size=1, max_size=60), limits, st.sets(spans(most=8), max_size=6), st.floats(1, 300),
    st.integers(2, 5),
)  # fmt: skip  # one line a strategy is no clearer
def test_variety_breaks_no_limit_and_costs_little(
    wanted: list[Span], limit: Limits, refused: set[Span], worth: float, distinct: int
) -> None:
    plan = make_plan(wanted, limit, refused, worth, distinct)
    assert_right(plan, wanted, limit, refused)
    plain = make_plan(wanted, limit, refused, worth)
    assert plan.refused == plain.refused
    assert _price(plan, worth) <= 1.1 * _price(plain, worth) + 16  # the last byte of coils is not counted there


def _price(plan: Plan, worth: float) -> float:
    return sum(worth + block.size for block in plan.blocks)


def test_neighbours_differ_in_length() -> None:
    plan = make_plan([Span(3, 2 * i, 2 * i + 2) for i in range(10_000)], Limits(), distinct=5)
    assert [block.span.end - block.span.start for block in plan.blocks[:6]] == [124, 122, 120, 118, 116, 124]
    assert len(plan.blocks) == 167
    assert all(a.span.end == b.span.start for a, b in pairwise(plan.blocks))


@pytest.mark.parametrize(("worth", "blocks"), [(0.5, 3), (2.5, 2), (15.9, 2), (16.1, 1)])
def test_a_gap_is_read_over_while_its_bytes_cost_less_than_a_request(worth: float, blocks: int) -> None:
    wanted = [Span(3, 0, 2), Span(3, 3, 4), Span(3, 12, 13)]
    assert len(make_plan(wanted, Limits(gap=124), worth=worth).blocks) == blocks


def test_a_span_wider_than_the_device_s_limit_is_not_asked_for() -> None:
    plan = make_plan([Span(3, 0, 2), Span(3, 5, 6)], Limits(registers=1))
    assert (plan.refused, [b.span for b in plan.blocks]) == ((Span(3, 0, 2),), [Span(3, 5, 6)])


def test_ten_thousand_floats_take_162_requests() -> None:
    plan = make_plan([Span(3, 2 * i, 2 * i + 2) for i in range(10_000)], Limits())
    assert len(plan.blocks) == 162  # 62 of them fit into 125 registers
    assert plan.size == 40_000


def test_the_request_is_what_the_specification_says() -> None:
    """The bytes of the example in V1.1b3, 6.3: registers 108 to 110 (wire 107), behind an MBAP header."""
    block = Block(Span(3, 107, 110), 0)
    assert block.request(17) == bytes.fromhex("0000 0006 11 03 006b 0003")
    assert block.size == 6
    assert payload_size(Span(1, 19, 38)) == 3  # 6.1: coils 20 to 38


@pytest.mark.parametrize(
    ("gap", "blocks"),
    [(0, 3), (1, 2), (7, 2), (8, 1)],
)
def test_gaps_are_read_over_up_to_the_limit(gap: int, blocks: int) -> None:
    wanted = [Span(3, 0, 2), Span(3, 3, 4), Span(3, 12, 13)]
    assert len(make_plan(wanted, Limits(gap=gap)).blocks) == blocks


def test_refused_places_are_left_out_and_their_neighbours_kept() -> None:
    wanted = [Span(3, a, a + 1) for a in range(10)]
    plan = make_plan(wanted, Limits(), [Span(3, 4, 5), Span(3, 7, 9)])
    assert [b.span for b in plan.blocks] == [Span(3, 0, 4), Span(3, 5, 8), Span(3, 8, 10)]
    assert plan.refused == (Span(3, 4, 5),)
    with pytest.raises(KeyError):
        plan.block_of(Span(3, 4, 5))


def test_ten_thousand_refused_tags_are_planned_in_no_time() -> None:
    wanted = [Span(3, a, a + 1) for a in range(20_000)]
    assert len(make_plan(wanted, Limits(), wanted[::2]).refused) == 10_000


def learn(wanted: list[Span], illegal: set[int], most: int) -> tuple[Plan, int]:
    """What the poller does, with a device that lacks the addresses `illegal` and refuses more than `most`."""
    asked = 0
    refused: set[Span] = set()

    def readable(span: Span) -> bool:
        nonlocal asked
        asked += 1
        return span.end - span.start <= most and not illegal & set(range(span.start, span.end))

    def narrow(part: list[Span]) -> None:
        if len(part) == 1:
            refused.add(part[0])
            return
        left, right = halves(part)
        answers = [readable(hull(left)), readable(hull(right))]
        for half, fine in zip((left, right), answers, strict=True):
            if not fine:
                narrow(list(half))
        if all(answers):
            refused.add(seam(hull(left), hull(right)))

    for _ in range(500):
        plan = make_plan(wanted, Limits(), refused)
        bad = [b.span for b in plan.blocks if not readable(b.span)]
        if not bad:
            return plan, asked
        for block in bad:
            narrow(sorted(s for s in set(wanted) if block.covers(s)))
    raise AssertionError("never ended")


@settings(deadline=None)
@given(
    st.lists(spans(room=150).map(lambda s: s._replace(function=3)), min_size=1, max_size=30),
    st.sets(st.integers(0, 154), max_size=12),
    st.integers(4, 125),
)
def test_bisection_finds_exactly_the_unreadable(wanted: list[Span], illegal: set[int], most: int) -> None:
    plan, _ = learn(wanted, illegal, most)
    unreadable = {s for s in wanted if illegal & set(range(s.start, s.end))}
    assert set(plan.refused) == unreadable


def test_one_bad_tag_of_sixty_costs_two_blocks_and_few_questions() -> None:
    plan, asked = learn([Span(3, 2 * i, 2 * i + 2) for i in range(60)], {40}, 125)
    assert len(plan.blocks) == 2
    assert asked <= 2 * 6 + 3
