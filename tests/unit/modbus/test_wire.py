"""The line: whatever comes off the socket, in whatever pieces, a value is either the device's or not there."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.modbus.plan import Block, Limits, Plan, make_plan
from connectors.modbus.point import Span
from connectors.modbus.scan import GARBLED, NOT_ASKED, OK, TIMED_OUT, Scan
from connectors.modbus.wire import Line
from edge_agent.api import ProtocolError
from tests.unit.modbus.plant import Memory, answer, image_of

UNIT = 17
WANTED = [Span(3, 0, 2), Span(3, 30, 34), Span(4, 5, 6), Span(1, 3, 4), Span(1, 12, 29), Span(2, 0, 1)]
"""Blocks of different lengths, so that all may be in flight at once."""
rng = np.random.default_rng(1)
MEMORY: Memory = {f: [int(v) for v in rng.integers(0, 2 if f < 3 else 65536, 2000)] for f in (1, 2, 3, 4)}


class StillClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def wall(self) -> int:
        return int(1_700_000_000_000_000_000 + self.now * 1e9)

    def monotonic(self) -> float:
        return self.now


class Asked:
    """One request, as a device reads it."""

    def __init__(self, raw: bytes) -> None:
        self.transaction, self.protocol, self.length, self.unit, self.function, self.start, self.count = struct.unpack(
            ">HHHBBHH", raw
        )

    def reply(self, memory: Memory = MEMORY) -> bytes:
        payload = answer(memory, Span(self.function, self.start, self.start + self.count))
        return self._frame(bytes((self.function, len(payload))) + payload)

    def refusal(self, code: int) -> bytes:
        return self._frame(bytes((self.function | 0x80, code)))

    def _frame(self, pdu: bytes) -> bytes:
        return struct.pack(">HHHB", self.transaction, 0, len(pdu) + 1, self.unit) + pdu


def asked(out: bytes) -> list[Asked]:
    assert len(out) % 12 == 0
    found = [Asked(out[at : at + 12]) for at in range(0, len(out), 12)]
    assert all((a.protocol, a.length) == (0, 6) for a in found)
    return found


def scan_of(unit: int, blocks: Sequence[Block], size: int, window: int = 1, timeout: float = 1.0) -> Scan:
    scan = Scan(unit, blocks, size)
    scan.window, scan.timeout = window, timeout
    return scan


class Bench:
    """A line with one scan on it."""

    def __init__(self, plan: Plan, window: int = 1, limit: int = 64, timeout: float = 1.0) -> None:
        self.clock = StillClock()
        self.line = Line(self.clock, lambda: limit, "modbus://test:502")
        self.plan = plan
        self.scan = scan_of(UNIT, plan.blocks, plan.size, window, timeout)
        self.done = 0

    def start(self, which: Sequence[int] | None = None) -> list[Asked]:
        self.scan.begin(which)
        return asked(self.line.submit(self.scan, self._count))

    def _count(self) -> None:
        self.done += 1

    def feed(self, data: bytes) -> list[Asked]:
        return asked(self.line.feed(data))

    def image(self) -> bytes:
        return bytes(self.scan.image)


def plan_of(wanted: list[Span] = WANTED, gap: int = 0) -> Plan:
    return make_plan(wanted, Limits(gap=gap))


def test_one_request_at_a_time_unless_the_window_says_more() -> None:
    for window in (1, 3, 64):
        bench = Bench(plan_of(), window)
        waiting = bench.start()
        blocks = len(bench.plan.blocks)
        assert len(waiting) == min(window, blocks)
        most = len(waiting)
        while waiting:
            waiting += bench.feed(waiting.pop(0).reply())
            most = max(most, len(waiting))
        assert most == min(window, blocks)
        assert bench.done == 1
        assert bench.scan.outcome == [OK] * blocks
        assert bench.image() == image_of(MEMORY, bench.plan).tobytes()


def test_an_answer_may_be_cut_at_every_byte() -> None:
    plan = plan_of([Span(3, 0, 4)])
    whole = Bench(plan).start()[0].reply()
    for cut in range(len(whole) + 1):
        bench = Bench(plan)
        bench.start()
        assert bench.feed(whole[:cut]) == []
        assert bench.done == (cut == len(whole))
        bench.feed(whole[cut:])
        assert bench.done == 1
        assert bench.image() == image_of(MEMORY, plan).tobytes()


@settings(deadline=None)
@given(
    st.lists(st.builds(lambda f, a: Span(f, a, a + 1), st.integers(1, 4), st.integers(0, 1999)), min_size=1),
    st.integers(1, 8),
    st.integers(0, 2**32),
)
def test_answers_in_any_order_and_any_pieces(wanted: list[Span], window: int, seed: int) -> None:
    random = Random(seed)
    bench = Bench(plan_of(wanted), window)
    waiting, stream = bench.start(), b""
    while waiting or stream:
        if waiting:
            chosen = waiting.pop(random.randrange(len(waiting)))
            stream += chosen.reply()
        cut = random.randrange(len(stream) + 1)
        waiting += bench.feed(stream[:cut])
        stream = stream[cut:]
    assert bench.done == 1
    assert bench.line.strays == 0
    assert bench.image() == image_of(MEMORY, bench.plan).tobytes()


def test_what_is_no_modbus_says_so() -> None:
    bench = Bench(plan_of())
    bench.start()
    with pytest.raises(ProtocolError) as caught:
        bench.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert caught.value.object == "modbus://test:502"
    assert "48 54 54 50" in caught.value.cause.en


def test_the_specification_s_own_example() -> None:
    """V1.1b3, 6.3: registers 108 to 110 hold 022B, 0000, 0064."""
    bench = Bench(plan_of([Span(3, 107, 110)]))
    bench.start()
    bench.feed(bytes.fromhex("0001 0000 0009 11 03 06 022b 0000 0064"))
    assert bench.image() == bytes.fromhex("022b00000064")


@pytest.mark.parametrize("position", range(9))
@settings(deadline=None, max_examples=60)
@given(st.integers(1, 255))
def test_one_wrong_byte_in_the_header_and_nothing_is_used(position: int, flip: int) -> None:
    bench = Bench(plan_of([Span(3, 0, 4)]))
    reply = bytearray(bench.start()[0].reply())
    reply[position] ^= flip
    with suppress(ProtocolError):
        bench.feed(bytes(reply))
    assert bench.scan.outcome != [OK]
    assert bench.image() == bytes(8)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=300), max_size=5))
@example([b"\0\1\0\0\0\3\x11\x83\0"])
@example([bytes(5), bytes(300)])
@example([b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_garbage_never_crashes_and_never_is_a_value(pieces: list[bytes]) -> None:
    bench = Bench(plan_of([Span(3, 0, 4), Span(4, 0, 60)]), window=2)
    real = [a.reply()[:9] for a in bench.start()]
    with suppress(ProtocolError):
        for piece in pieces:
            bench.feed(piece)
    stream = b"".join(pieces)
    for head, outcome in zip(real, bench.scan.outcome, strict=True):
        assert outcome != OK or head in stream
    if OK not in bench.scan.outcome:
        assert not any(bench.image())


frames = st.builds(
    lambda tid, unit, pdu: struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu,
    st.integers(0, 4),
    st.sampled_from([UNIT, UNIT, 0, 255]),
    st.one_of(
        st.binary(min_size=2, max_size=253),
        st.builds(lambda f, n, body: bytes((f, n)) + body, st.integers(1, 4), st.just(8), st.binary(max_size=12)),
        st.builds(lambda code: bytes((0x83, code)), st.integers(0, 255)),
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(frames, max_size=8))
def test_well_formed_frames_that_were_not_asked_for_are_dropped(stream: list[bytes]) -> None:
    bench = Bench(plan_of([Span(3, 0, 4)]))
    head = bench.start()[0].reply()[:9]
    bench.feed(b"".join(stream))
    mine = [frame for frame in stream if frame[:2] == head[:2]]
    if not mine:
        assert bench.scan.outcome == [NOT_ASKED]
    elif mine[0][:9] == head and len(mine[0]) == 17:
        assert (bench.scan.outcome, bench.image()) == ([OK], mine[0][9:])
    else:
        assert bench.scan.outcome[0] not in (OK, NOT_ASKED)
        assert bench.image() == bytes(8)
    assert bench.line.strays == len(stream) - bool(mine)


def test_a_refusal_is_the_outcome_of_its_block_alone() -> None:
    bench = Bench(plan_of(), window=2)
    waiting = bench.start()
    while waiting:
        question = waiting.pop(0)
        waiting += bench.feed(question.refusal(2) if question.function == 4 else question.reply())
    functions = [block.span.function for block in bench.plan.blocks]
    assert [2 if f == 4 else OK for f in functions] == bench.scan.outcome
    assert bench.done == 1


def test_an_answer_of_the_wrong_shape_is_garbled_and_the_scan_goes_on() -> None:
    bench = Bench(plan_of([Span(3, 0, 4), Span(3, 100, 101)]))
    first = bench.start()[0]
    second = bench.feed(first.reply()[:5] + b"\5" + first.reply()[6:9] + b"\1\2")  # 2 of the 8 bytes
    assert bench.scan.outcome == [GARBLED, NOT_ASKED]
    bench.feed(second[0].reply())
    assert bench.scan.outcome == [GARBLED, OK]


def test_a_late_answer_is_dropped_even_while_the_same_block_is_read_again() -> None:
    bench = Bench(plan_of([Span(3, 0, 1)]))
    late = bench.start()[0]
    bench.clock.now += 1.5
    bench.line.expire()
    assert bench.scan.outcome == [TIMED_OUT]
    assert bench.done == 1
    assert bench.start() == []  # until the answer can't be taken for the old one any more
    (again,) = bench.feed(late.reply({3: [111]}))
    assert (bench.line.strays, bench.line.late) == (1, 1)
    assert bench.scan.late == [1.5]
    assert bench.scan.outcome == [NOT_ASKED]
    bench.feed(again.reply({3: [222]}))
    assert bench.image() == (222).to_bytes(2, "big")


def test_deadlines_are_each_request_s_own() -> None:
    bench = Bench(plan_of([Span(3, 200 * i, 200 * i + 1 + i) for i in range(3)]), window=2, timeout=1.0)
    first, second = bench.start()
    assert bench.line.deadline == bench.clock.now + 1.0
    bench.clock.now += 0.9
    (third,) = bench.feed(first.reply())
    bench.clock.now += 0.2
    assert bench.line.expire() == b""
    assert bench.scan.outcome == [OK, TIMED_OUT, NOT_ASKED]
    assert bench.done == 0
    assert bench.line.deadline == pytest.approx(bench.clock.now + 0.8)
    bench.feed(third.reply())
    assert bench.done == 1
    assert second.transaction != third.transaction


@pytest.mark.parametrize(("answers", "asks"), [(0, 1), (1, 3), (2, 4)])
def test_a_scan_of_a_unit_that_falls_silent_is_given_up(answers: int, asks: int) -> None:
    bench = Bench(plan_of([Span(3, 200 * i, 200 * i + 1 + i) for i in range(6)]))
    waiting, seen = bench.start(), 0
    while waiting:
        seen += 1
        question = waiting.pop()
        if seen <= answers:
            waiting += bench.feed(question.reply())
        else:
            bench.clock.now += 1.1
            waiting += asked(bench.line.expire())
    assert seen == asks
    assert bench.done == 1
    assert bench.scan.outcome.count(NOT_ASKED) == 6 - asks


def test_an_old_answer_under_a_new_number_is_known_by_its_length() -> None:
    """As gateways do that give every answer the number of the newest request."""
    bench = Bench(plan_of([Span(3, 0, 4), Span(3, 100, 102), Span(3, 200, 205)]))
    (first,) = bench.start()
    (old,) = bench.feed(first.reply())
    bench.clock.now += 1.1
    (new,) = asked(bench.line.expire())
    stale = bytearray(old.reply())
    stale[:2] = new.transaction.to_bytes(2, "big")
    assert bench.feed(bytes(stale)) == []
    assert (bench.scan.outcome, bench.line.late) == ([OK, TIMED_OUT, NOT_ASKED], 1)
    bench.feed(new.reply())
    assert bench.scan.outcome == [OK, TIMED_OUT, OK]


def test_what_is_owed_is_not_asked_for_again_until_another_answer_came_or_time_passed() -> None:
    plan = plan_of([Span(3, 0, 2), Span(3, 100, 102), Span(3, 200, 203)])
    for answered in (True, False):
        bench = Bench(plan)
        bench.start()
        bench.clock.now += 1.1
        assert bench.line.expire() == b""  # the second block is as long as the first
        assert bench.done == 1  # a scan whose first request gets no answer asks no more
        assert bench.start([1]) == []
        if answered:
            probe = scan_of(UNIT, [Block(Span(3, 0, 1), 0)], 2)
            probe.begin()
            (question,) = asked(bench.line.submit(probe, lambda: None))
            (second,) = bench.feed(question.reply())
        else:
            assert bench.line.deadline == pytest.approx(bench.clock.now + 1.0)
            bench.clock.now += 1.0
            (second,) = asked(bench.line.expire())
        bench.feed(second.reply())
        assert bench.scan.outcome == [NOT_ASKED, OK, NOT_ASKED]


def test_answers_whose_numbers_were_mixed_up_are_not_used() -> None:
    bench = Bench(plan_of([Span(3, 100 * i, 100 * i + 4 + i) for i in range(4)]), window=4)
    questions = bench.start()
    numbers = [question.transaction for question in questions]
    for question, number in zip(questions, reversed(numbers), strict=True):
        question.transaction = number
        bench.feed(question.reply())
    assert bench.scan.outcome == [NOT_ASKED, NOT_ASKED, GARBLED, GARBLED]  # the others still wait for their own
    assert not any(bench.image())
    assert bench.scan.doubts >= 4
    bench.clock.now += 1.1
    assert asked(bench.line.expire()) == []
    assert bench.scan.outcome == [TIMED_OUT, TIMED_OUT, GARBLED, GARBLED]
    assert bench.done == 1


def test_no_two_requests_of_one_length_are_in_flight_to_one_unit() -> None:
    bench = Bench(plan_of([Span(3, 100 * i, 100 * i + 2) for i in range(4)]), window=4)
    assert len(bench.start()) == 1
    other = scan_of(UNIT + 1, bench.plan.blocks, bench.plan.size, 4)
    other.begin()
    assert len(asked(bench.line.submit(other, lambda: None))) == 1


def test_answers_out_of_order_are_used_and_doubted() -> None:
    bench = Bench(plan_of([Span(3, 100 * i, 100 * i + 4 + i) for i in range(3)]), window=3)
    first, second, third = bench.start()
    for question in (second, first, third):
        bench.feed(question.reply())
    assert bench.scan.outcome == [OK] * 3
    assert bench.scan.doubts > 0
    assert bench.scan.accompanied == 2
    assert bench.image() == image_of(MEMORY, bench.plan).tobytes()


def test_a_pause_is_kept_between_an_answer_and_the_next_question() -> None:
    bench = Bench(plan_of([Span(3, 0, 4), Span(3, 100, 101)]))
    bench.scan.pause = 0.05
    (first,) = bench.start()
    assert bench.feed(first.reply()) == []
    assert bench.line.deadline == pytest.approx(bench.clock.now + 0.05)
    bench.clock.now += 0.06
    (second,) = asked(bench.line.expire())
    bench.feed(second.reply())
    assert bench.scan.outcome == [OK, OK]


def test_behind_a_gateway_units_take_turns_and_one_request_is_in_flight() -> None:
    clock = StillClock()
    line = Line(clock, lambda: 1, "gateway")
    blocks = [Block(Span(3, 0, 1), 0)] * 3
    scans = [scan_of(unit, blocks, 2, 4) for unit in (1, 2, 3)]
    done: list[int] = []
    out = b""
    for unit, scan in enumerate(scans, 1):
        scan.begin()
        out += line.submit(scan, _note(done, unit))
    order: list[int] = []
    while out:
        (question,) = asked(out)
        order.append(question.unit)
        out = line.feed(question.reply())
    assert order == [1, 1, 2, 3, 1, 2, 3, 2, 3]  # unit 1 was alone when it began
    assert done == [1, 2, 3]


def _note(done: list[int], unit: int) -> Callable[[], None]:
    return lambda: done.append(unit)


def test_transaction_ids_in_flight_are_never_given_again() -> None:
    clock = StillClock()
    line = Line(clock, lambda: 8, "test")
    slow = scan_of(9, [Block(Span(3, 0, 1), 0)], 2, timeout=1e9)
    slow.begin()
    (waiting,) = asked(line.submit(slow, lambda: None))
    quick = scan_of(1, [Block(Span(3, 0, 1), 0)], 2)
    for _ in range(70_000):
        quick.begin()
        (question,) = asked(line.submit(quick, lambda: None))
        assert question.transaction != waiting.transaction
        line.feed(question.reply())
    assert quick.outcome == [OK]
    line.feed(waiting.reply({3: [4711]}))
    assert bytes(slow.image) == (4711).to_bytes(2, "big")


def test_a_withdrawn_scan_leaves_nothing_behind() -> None:
    bench = Bench(plan_of(), window=3)
    waiting = bench.start()
    bench.line.withdraw(bench.scan)
    for question in waiting:
        assert bench.feed(question.reply()) == []
    assert bench.line.strays == len(waiting)
    assert bench.line.deadline is None
    assert bench.done == 0


def test_an_empty_scan_is_done_at_once() -> None:
    bench = Bench(make_plan([], Limits()))
    assert bench.start() == []
    assert bench.done == 1
