"""What registers can mean: whatever an instrument holds, its display finds it."""

import struct

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.modbus.address import Address
from connectors.modbus.plan import Limits
from connectors.modbus.scan import OK
from edge_agent.api import SystemClock
from edge_agent.cli.modbus.guess import Guess, guesses, matches, plausible, points
from edge_agent.cli.modbus.sample import take

START = Address(4, 1000)
FORMATS = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f", "int64": "q", "float64": "d"}


class Holding:
    """A reader whose unit holds these bytes from START."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self, scan) -> None:
        index = scan.take()
        _, _, _, unit, function, first, count = struct.unpack(">HHBBBHH", b"\0" + scan.requests[index])[0:7]
        at = 2 * (first - START.wire)
        body = self.data[at : at + 2 * count]
        answer = bytes((unit, function, len(body))) + body
        scan.answer(index, answer, 0, len(answer), 1, 0.001)


def read(data: bytes) -> list[Guess]:
    count = len(data) // 2
    return guesses(anyio.run(take, Holding(data), 1, points(START, count), Limits(), 1.0, SystemClock()))


def placed(value: bytes, order: str) -> bytes:
    """The bytes of a value, high first, in a byte order."""
    if order in ("CDAB", "DCBA"):
        words = [value[at : at + 2] for at in range(0, len(value), 2)]
        value = b"".join(reversed(words))
    if order in ("BADC", "DCBA"):
        value = b"".join(value[at : at + 2][::-1] for at in range(0, len(value), 2))
    return value


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    st.sampled_from([0, 1, 2]),
    st.integers(-30_000, 30_000),
    st.integers(0, 2),
)
def test_what_the_display_shows_is_among_the_matches(kind, order, places, number, offset):
    number = abs(number) if kind.startswith("u") else number
    shown = f"{number / 10**places:.{places}f}"
    raw = struct.pack(">" + FORMATS[kind], float(shown) if kind.startswith("float") else number)
    data = (b"\x12\x34" * offset + placed(raw, order) + bytes(8))[: 2 * (offset + 4)]
    found = matches(read(data), shown)
    scale = 1.0 if kind.startswith("float") else {0: 1.0, 1: 0.1, 2: 0.01}[places]
    swap = {"CDAB": "ABCD", "DCBA": "BADC"}
    order = swap.get(order, order) if len(raw) == 2 else order
    where = (Address(4, 1000 + offset), kind, order, scale)
    assert where in [(one.address, one.type, one.order, one.scale) for one in found]


def test_the_usual_reading_comes_first():
    assert [g.type for g in matches(read(bytes((0, 235))), "23.5")][:2] == ["int16", "uint16"]
    first = matches(read(struct.pack(">f", 23.5) + bytes(4)), "23.5")[0]
    assert (first.type, first.order, first.scale) == ("float32", "ABCD", 1.0)
    assert first.tag == {"tag": "ir_1000", "address": "IR:1000", "type": "float32"}
    low_first = matches(read(placed(struct.pack(">f", 23.5), "CDAB")), "23,5")[0]
    assert low_first.tag["order"] == "CDAB"


def test_without_a_display_usual_types_and_sizes_are_offered():
    offered = plausible(read(struct.pack(">f", 60.02) + bytes(4)), START)
    assert offered
    assert {one.address for one in offered} == {START}
    assert ("float32", "ABCD") in [(one.type, one.order) for one in offered]
    assert not any(one.type == "float32" and one.order == "CDAB" for one in offered)  # 1e-27: no such instrument


@pytest.mark.parametrize("shown", ["", "abc", "1e5", "--", "12,3.4"])
def test_what_is_no_number_matches_nothing(shown):
    assert matches(read(bytes(4)), shown) == []


def test_texts_are_read_in_either_byte_order():
    found = read("TK4S 온도".encode("cp949") + b"\0")
    assert "TK4S 온도" in [one.value for one in found if one.type == "text"]
    assert anyio.run(take, Holding(b"\0\1"), 1, points(START, 1), Limits(), 1.0, SystemClock())[0].outcome == OK
