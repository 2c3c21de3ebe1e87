"""43/14 and 17: the bytes of the specification's own examples, pieces, refusals, and whatever else may come."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.identity import Identity, Question, identify
from connectors.modbus.scan import GARBLED, OK


def objects(*named: tuple[int, bytes], more: int = 0, following: int = 0, conformity: int = 1) -> bytes:
    body = b"".join(bytes((number, len(value))) + value for number, value in named)
    return bytes((43, 14, 2, conformity, more, following, len(named))) + body


class Unit:
    """A reader that answers with these PDUs, by the PDU of the question."""

    def __init__(self, answers: dict[bytes, bytes | None]) -> None:
        self.answers = answers
        self.asked: list[bytes] = []

    async def read(self, scan: Question) -> None:
        index = scan.take()
        asked = scan.question(index)[1:]
        assert len(scan.requests[index]) - 4 == int.from_bytes(scan.requests[index][2:4], "big")
        self.asked.append(asked)
        answer = self.answers.get(asked)
        if answer is None:
            scan.time_out(index)
        else:
            frame = b"\x05" + answer
            scan.answer(index, frame, 0, len(frame), 1, 0.01)
        assert scan.complete


def asked(unit: Unit) -> Identity:
    return anyio.run(identify, unit, 5, 1.0)


def test_the_example_of_the_specification_in_one_piece():
    said = ((0, b"Company identification"), (1, b"Product code XX"), (2, b"V2.11"))
    unit = Unit({b"\x2b\x0e\x02\x00": objects(*said), b"\x11": b"\x91\x01"})
    assert dict(asked(unit).objects) == {
        "vendor": "Company identification", "product": "Product code XX", "revision": "V2.11",
    }  # fmt: skip
    assert unit.asked == [b"\x2b\x0e\x02\x00", b"\x11"]


def test_pieces_are_put_together_and_never_without_end():
    first = objects((0, b"Autonics"), more=0xFF, following=2)
    unit = Unit({b"\x2b\x0e\x02\x00": first, b"\x2b\x0e\x02\x02": objects((2, "온도".encode("cp949")), (130, b"x"))})
    assert dict(asked(unit).objects) == {"vendor": "Autonics", "revision": "온도", "130": "x"}
    endless = Unit({b"\x2b\x0e\x02\x00": objects((0, b"a"), more=0xFF, following=0)})
    assert dict(asked(endless).objects) == {"vendor": "a"}
    assert len(endless.asked) == 2


def test_a_server_id_is_read_as_far_as_it_is_legible():
    found = asked(Unit({b"\x11": b"\x11\x0a\x09\xffTK4S v1\x00"}))
    assert (found.text, found.server_id[:2]) == ("TK4S v1", b"\x09\xff")


@pytest.mark.parametrize("answer", [None, b"\xab\x01", b"\x91\x02"])
def test_units_that_know_neither_say_nothing(answer):
    found = asked(Unit({b"\x2b\x0e\x02\x00": answer, b"\x11": answer}))
    assert (found.text, dict(found.objects), found.server_id) == ("", {}, b"")


@given(st.binary(max_size=40), st.sampled_from([b"\x2b\x0e\x02\x00", b"\x11"]))
def test_whatever_comes_is_whole_refused_or_garbled(data, question):
    scan = Question(5, question, 1.0)
    scan.begin()
    scan.take()
    scan.answer(0, data, 0, len(data), 1, 0.0)
    whole = scan.outcome[0] != GARBLED
    assert whole == scan.fits(0, data, 0, len(data))
    assert not whole or (data[0] == 5 and data[1] & 0x7F == question[0])
    assert bool(scan.pdu) == whole
    if scan.outcome[0] == OK:
        anyio.run(identify, Unit({question: data[1:]}), 5, 1.0)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=12)), max_size=5), st.integers(0, 60))
def test_a_cut_answer_is_not_whole(named, cut):
    whole = objects(*named)
    scan = Question(5, b"\x2b\x0e\x02\x00", 1.0)
    assert scan.fits(0, b"\x05" + whole, 0, len(whole) + 1)
    assert not scan.fits(0, b"\x05" + whole[:cut], 0, min(cut, len(whole)) + 1) or cut >= len(whole)
