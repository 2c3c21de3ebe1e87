"""Address notations: the vectors of the manuals, and every way to be misunderstood."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.modbus.address import WHOLE, Address, AddressFault, parse_address


@pytest.mark.parametrize(
    ("written", "function", "wire"),
    [
        ("40001", 3, 0),
        (40001, 3, 0),
        ("400001", 3, 0),
        ("4x0001", 3, 0),
        ("4X00001", 3, 0),
        ("49999", 3, 9998),
        ("465536", 3, 65535),
        (30001, 4, 0),
        (31001, 4, 1000),
        (301001, 4, 1000),
        ("3x1001", 4, 1000),
        ("10001", 2, 0),
        ("1x0001", 2, 0),
        ("00001", 1, 0),
        ("000001", 1, 0),
        ("HR:2999", 3, 2999),
        ("hr: 0x03E8", 3, 1000),
        ("IR:03E8h", 4, 1000),
        ("IR:3E8H", 4, 1000),
        ("HR:0h000A", 3, 10),
        ("DI:7", 2, 7),
        ("CO:0", 1, 0),
        ("HR:40001", 3, 40001),
        ({"fc": 3, "addr": 2999}, 3, 2999),
        ({"fc": 4, "addr": "0x3E8"}, 4, 1000),
    ],
)
def test_reads(written: object, function: int, wire: int) -> None:
    assert parse_address(written) == Address(function, wire, WHOLE)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("40010.3", Address(3, 9, 3)),
        (40010.3, Address(3, 9, 3)),
        (40010.0, Address(3, 9, 0)),
        ("40010.10", Address(3, 9, 10)),
        ("HR:6.A", Address(3, 6, 10)),
        ("IR:1006.15", Address(4, 1006, 15)),
        ("HR:0x1F.4", Address(3, 31, 4)),
        ({"fc": 4, "addr": 1006, "bit": 9}, Address(4, 1006, 9)),
    ],
)
def test_reads_bits_of_registers(written: object, expected: Address) -> None:
    assert parse_address(written) == expected


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (3000, "address_ambiguous"),
        ("3000", "address_ambiguous"),
        (0, "address_ambiguous"),
        ("20001", "address_ambiguous"),
        ("1234567", "address_ambiguous"),
        (40010.1, "address_ambiguous"),
        ("0x03E8", "address_function"),
        ("03E8h", "address_function"),
        ("3E8H", "address_function"),
        ("0x0001", "address_function"),
        ("40000", "address_range"),
        ("465537", "address_range"),
        ("HR:65536", "address_range"),
        ("HR:10000h", "address_range"),
        ({"fc": 3, "addr": -1}, "address_range"),
        ({"fc": 3, "addr": 1, "bit": 16}, "address_range"),
        ({"fc": 3, "addr": 1, "bit": -1}, "address_range"),
        ("00001.3", "address_bit"),
        ("DI:3.3", "address_bit"),
        ("40010.16", "address_unknown"),
        ("D0001", "address_unknown"),
        ("HR:", "address_unknown"),
        ("", "address_unknown"),
        (None, "address_unknown"),
        (True, "address_unknown"),
        ([40001], "address_unknown"),
        ({"fc": 16, "addr": 1}, "address_unknown"),
        ({"fc": 3}, "address_unknown"),
        ({"fc": True, "addr": 1}, "address_unknown"),
        ({"fc": 3, "addr": 1, "adr": 2}, "address_unknown"),
        (float("nan"), "address_unknown"),
        (1e22, "address_unknown"),
    ],
)
def test_refuses(written: object, code: str) -> None:
    with pytest.raises(AddressFault) as caught:
        parse_address(written)
    assert caught.value.code == code
    for words in (caught.value.cause, caught.value.cure):
        assert words.ko
        assert words.en


def test_an_ambiguous_number_shows_both_readings() -> None:
    with pytest.raises(AddressFault) as caught:
        parse_address("3000")
    fault = caught.value
    for text in (fault.cause.ko, fault.cause.en):
        assert "3000" in text
        assert "2999" in text
    assert "HR:3000 / HR:2999" in fault.cure.en


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(0, 65535), st.one_of(st.just(WHOLE), st.integers(0, 15)))
def test_what_is_printed_reads_back(function: int, wire: int, bit: int) -> None:
    address = Address(function, wire, bit if function >= 3 else WHOLE)
    assert parse_address(str(address)) == address


@settings(deadline=None)
@given(st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.dictionaries(st.text(max_size=4), st.integers())))
def test_anything_else_is_a_fault_never_a_crash(written: object) -> None:
    try:
        address = parse_address(written)
    except AddressFault:
        return
    assert 1 <= address.function <= 4
    assert 0 <= address.wire <= 65535
