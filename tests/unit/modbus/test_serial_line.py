"""A line whose frames carry no number: late, damaged, doubled or foreign, no wrong byte becomes a value."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.modbus.framing import Ascii, Framing, Rtu
from connectors.modbus.identity import Question
from connectors.modbus.plan import Block
from connectors.modbus.point import Span
from connectors.modbus.scan import GARBLED, NOT_ASKED, OK, TIMED_OUT, Scan
from connectors.modbus.serial_line import SerialLine, Tempo
from tests.unit.modbus.test_wire import StillClock

TEMPO = Tempo.rtu(9600, 10)
FRAMINGS: Sequence[Framing] = (Rtu(), Ascii())


def scan_of(unit: int, *spans: Span, timeout: float = 1.0, pause: float = 0.0) -> Scan:
    at, blocks = 0, []
    for span in spans:
        blocks.append(Block(span, at))
        at += 2 * (span.end - span.start)
    scan = Scan(unit, blocks, at)
    scan.timeout, scan.pause = timeout, pause
    scan.begin()
    return scan


class Desk:
    """A line under a clock that is moved by hand."""

    def __init__(self, framing: Framing | None = None, tempo: Tempo = TEMPO) -> None:
        self.clock = StillClock()
        self.framing = framing or Rtu()
        self.line = SerialLine(self.clock, self.framing, tempo, "desk")
        self.done: list[Scan] = []

    def submit(self, scan: Scan) -> bytes:
        return self.line.submit(scan, lambda: self.done.append(scan))

    def after(self, seconds: float) -> bytes:
        """Lets time pass; gives what is sent meanwhile."""
        end, out = self.clock.now + seconds, b""
        while (deadline := self.line.deadline) is not None and deadline <= end:
            self.clock.now = max(deadline, self.clock.now)
            out += self.line.expire()
        self.clock.now = end
        return out

    def hear(self, adu: bytes) -> bytes:
        return self.line.feed(self.framing.frame(adu))


def words(unit: int, *values: int, function: int = 3) -> bytes:
    return bytes((unit, function, 2 * len(values))) + b"".join(value.to_bytes(2, "big") for value in values)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_answer_in_any_pieces_is_taken_whole(framing: Framing) -> None:
    for size in range(1, 12):
        desk, scan = Desk(framing), scan_of(1, Span(3, 0, 3))
        assert desk.submit(scan) == framing.frame(bytes.fromhex("01 03 0000 0003"))
        frame = framing.frame(words(1, 0x0A0D, 0x3A03, 0xFFFF))
        for at in range(0, len(frame), size):
            assert not desk.done
            desk.line.feed(frame[at : at + size])
        assert desk.done == [scan]
        assert (scan.outcome, bytes(scan.image).hex()) == ([OK], "0a0d3a03ffff")


def test_three_and_a_half_characters_pass_between_an_answer_and_the_next_request() -> None:
    for tempo, silence in ((Tempo.rtu(9600, 10), 0.003646), (Tempo.rtu(115_200, 11), 0.00175), (Tempo(), 0.0)):
        desk, scan = Desk(tempo=tempo), scan_of(1, Span(3, 0, 1), Span(3, 10, 12))
        assert desk.submit(scan)
        sent = desk.hear(words(1, 5))
        if silence:
            assert sent == b""
            assert desk.after(silence - 1e-5) == b""
            sent = desk.after(2e-5)
        assert sent == Rtu().frame(bytes.fromhex("01 03 000a 0002"))


def test_a_late_answer_is_not_taken_for_that_of_the_next_request() -> None:
    desk, scan = Desk(), scan_of(1, Span(3, 0, 1))
    desk.submit(scan)
    desk.after(1.1)
    assert scan.outcome == [TIMED_OUT]
    again = scan_of(1, Span(3, 50, 51))
    assert desk.submit(again) == b""  # the same length of the same unit: the old answer may still come
    desk.hear(words(1, 4711))
    assert again.outcome == [NOT_ASKED]
    assert desk.line.late == 1
    assert scan.late == [pytest.approx(1.1)]
    assert desk.after(0.01) == Rtu().frame(bytes.fromhex("01 03 0032 0001"))
    desk.hear(words(1, 4712))
    assert bytes(again.image) == (4712).to_bytes(2, "big")


def test_an_answer_that_never_comes_is_waited_for_no_longer_than_twice() -> None:
    desk, scan = Desk(), scan_of(1, Span(3, 0, 1))
    desk.submit(scan)
    desk.after(1.1)
    again = scan_of(1, Span(3, 50, 51))
    assert desk.submit(again) == b""
    assert desk.after(0.8) == b""
    assert desk.after(0.3)


def test_another_unit_is_asked_as_soon_as_the_line_is_quiet() -> None:
    desk, dead, good = Desk(), scan_of(1, Span(3, 0, 1)), scan_of(2, Span(3, 0, 1))
    desk.submit(dead)
    assert desk.submit(good) == b""
    sent = 1.0 + 8 * TEMPO.character  # the time-out begins when the request has left
    assert desk.after(sent + 0.019) == b""
    assert desk.after(0.002) == Rtu().frame(bytes.fromhex("02 03 0000 0001"))
    desk.hear(words(1, 9))  # the first unit's, late, while the second is asked
    assert good.outcome == [NOT_ASKED]
    desk.hear(words(2, 7))
    assert (dead.outcome, good.outcome) == ([TIMED_OUT], [OK])
    assert bytes(good.image) == b"\0\7"


def test_a_line_that_somebody_else_fills_is_drained_before_the_next_request_but_not_for_ever() -> None:
    desk, scan = Desk(), scan_of(1, Span(3, 0, 1))
    desk.submit(scan)
    desk.after(1.1)
    other = scan_of(2, Span(3, 0, 1))
    desk.line.feed(b"\x55")
    assert desk.submit(other) == b""
    waited = 0.0
    while not (sent := desk.after(0.01)) and waited < 5:
        sent = desk.line.feed(b"\x55\x55")
        waited += 0.01
    assert 0.5 < waited < 1.5
    assert sent


def test_a_damaged_answer_costs_no_time_out_and_gives_no_value() -> None:
    for framing in FRAMINGS:
        desk, scan = Desk(framing), scan_of(1, Span(3, 0, 2))
        desk.submit(scan)
        frame = bytearray(framing.frame(words(1, 1000, 2000)))
        frame[8] ^= 0x01
        desk.line.feed(bytes(frame))
        desk.after(0.2)
        assert scan.outcome == [GARBLED]
        assert not any(scan.image)
        assert desk.line.damaged == 1


def test_noise_and_the_echo_of_the_request_do_not_hide_the_answer() -> None:
    for before in (b"\0", b"\xff\x01\x03", Rtu().frame(bytes.fromhex("01 03 0000 0002"))):
        desk, scan = Desk(), scan_of(1, Span(3, 0, 2))
        sent = desk.submit(scan)
        assert len(sent) == 8
        desk.line.feed(before[:5])
        desk.line.feed(before[5:])
        desk.after(0.3)
        desk.hear(words(1, 8, 9))
        assert (scan.outcome, bytes(scan.image)) == ([OK], b"\0\x08\0\x09"), before


def test_what_came_before_a_request_is_never_part_of_its_answer() -> None:
    desk = Desk()
    desk.hear(words(1, 4711))
    desk.after(1)
    scan = scan_of(1, Span(3, 0, 1))
    assert desk.submit(scan)
    desk.after(2)
    assert scan.outcome == [TIMED_OUT]


def test_a_slow_line_is_given_the_time_that_its_bytes_take() -> None:
    tempo = Tempo.rtu(1200, 11)
    desk, scan = Desk(tempo=tempo), scan_of(1, Span(3, 0, 100), timeout=0.3)
    desk.submit(scan)
    desk.after(8 * tempo.character + 0.29)
    for byte in Rtu().frame(words(1, *range(100))):
        desk.line.feed(bytes((byte,)))
        desk.after(tempo.character)
    assert scan.outcome == [OK]


def test_a_scan_that_is_given_up_keeps_the_line_until_its_answer_is_over() -> None:
    desk, gone, next_ = Desk(), scan_of(1, Span(3, 0, 1)), scan_of(2, Span(3, 0, 1))
    desk.submit(gone)
    desk.line.withdraw(gone)
    assert desk.submit(next_) == b""
    assert desk.after(0.5) == b""
    desk.hear(words(1, 3))
    assert desk.after(0.01) == Rtu().frame(bytes.fromhex("02 03 0000 0001"))


def test_time_that_passes_between_two_calls_is_never_forgotten() -> None:
    desk = Desk()
    for number in range(200):
        scan = scan_of(1, Span(3, 0, 1))
        sent = desk.submit(scan)
        while not sent:
            desk.clock.now += TEMPO.silence * number / 100  # so that the silence ends between the two calls
            deadline = desk.line.deadline
            assert deadline is not None
            desk.clock.now = max(desk.clock.now, deadline)
            sent = desk.line.expire()
        desk.hear(words(1, number))
        assert scan.outcome == [OK]


def test_an_exception_and_a_units_pause_and_an_identification() -> None:
    desk, scan = Desk(), scan_of(1, Span(3, 0, 1), Span(4, 0, 1), pause=0.1)
    desk.submit(scan)
    desk.hear(bytes.fromhex("01 83 02"))
    assert desk.after(0.09) == b""
    assert desk.after(0.02) == Rtu().frame(bytes.fromhex("01 04 0000 0001"))
    desk.hear(words(1, 5, function=4))
    assert scan.outcome == [2, OK]
    question = Question(1, bytes.fromhex("2b 0e 02 00"), 1.0)
    desk.after(0.1)
    assert desk.submit(question) == Rtu().frame(bytes.fromhex("01 2b 0e 02 00"))
    frame = Rtu().frame(bytes.fromhex("01 2b 0e 02 01 00 00 01 00 03") + b"LSE")
    for at in range(len(frame)):
        desk.line.feed(frame[at : at + 1])
    assert question.outcome == [OK]
    assert question.pdu.endswith(b"LSE")


def late_line(seed: int, framing: Framing, readings: int) -> tuple[int, int]:
    """Three units that answer with the number of the request, some of them late, twice or damaged, over `readings` of
    three blocks of one length each. Gives (good values, wrong values)."""
    rng, desk = Random(seed), Desk(framing)
    scans = [scan_of(unit, Span(3, 0, 1), Span(3, 9, 10), Span(3, 20, 21), timeout=0.2) for unit in (1, 2, 3)]
    asked: dict[tuple[int, int], int] = {}
    number = good = wrong = 0
    coming: list[tuple[float, int, bytes]] = []

    def say(sent: bytes) -> None:
        nonlocal number
        if not sent:
            return
        number += 1
        found = next(iter(framing.frames(sent[: len(sent)], frozenset())), None)
        assert found is None  # a request, no answer
        unit, start = request_of(framing, sent)
        asked[unit, start] = number % 65536
        frame = framing.frame(words(unit, number % 65536))
        fate = rng.random()
        delay = rng.uniform(0.001, 0.02) if fate < 0.8 else rng.uniform(0.15, 0.399)
        if 0.8 < fate < 0.84:
            frame = bytes((frame[0], frame[1], frame[2] ^ 1)) + frame[3:]
        if fate < 0.98:
            heappush(coming, (desk.clock.now + delay, number, frame))
        if 0.84 < fate < 0.88:
            heappush(coming, (desk.clock.now + delay + 0.002, number, frame))

    for _ in range(readings):
        desk.done.clear()
        for scan in rng.sample(scans, 3):
            scan.begin()
            say(desk.submit(scan))
        while len(desk.done) < 3:
            deadline = desk.line.deadline
            if coming and (deadline is None or coming[0][0] <= deadline):
                at, _, frame = heappop(coming)
                desk.clock.now = max(at, desk.clock.now)
                say(desk.line.feed(frame))
            else:
                assert deadline is not None
                desk.clock.now = max(deadline, desk.clock.now)
                say(desk.line.expire())
        for scan in scans:
            for block, outcome in zip(scan.blocks, scan.outcome, strict=True):
                if outcome == OK:
                    value = int.from_bytes(scan.image[block.offset : block.offset + 2], "big")
                    right = value == asked[scan.unit, block.span.start]
                    good, wrong = good + right, wrong + (not right)
    return good, wrong


def request_of(framing: Framing, sent: bytes) -> tuple[int, int]:
    raw = sent if isinstance(framing, Rtu) else bytes.fromhex(sent[1:-2].decode())
    return raw[0], int.from_bytes(raw[2:4], "big")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(FRAMINGS))
@example(1, FRAMINGS[0])
def test_no_answer_up_to_twice_the_time_out_becomes_anothers(seed: int, framing: Framing) -> None:
    good, wrong = late_line(seed, framing, 30)
    assert wrong == 0
    assert good > 30


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_million_reads_with_late_answers_give_no_wrong_value() -> None:
    good, wrong = late_line(5, Rtu(), 130_000)
    assert wrong == 0
    assert good > 800_000


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.sampled_from(FRAMINGS))
def test_any_bytes_are_survived_and_give_no_value(chunks: list[bytes], framing: Framing) -> None:
    desk, scan = Desk(framing), scan_of(1, Span(3, 0, 40))
    desk.submit(scan)
    for chunk in chunks:
        desk.line.feed(chunk)
    desk.after(5)
    assert scan.outcome[0] in (TIMED_OUT, GARBLED)
    assert not any(scan.image)
