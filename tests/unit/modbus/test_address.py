"""Address notations: the vectors of the manuals, and every way to be misunderstood."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.modbus.address import WHOLE, Address, AddressFault, Area, Notation, parse_address


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


HR0 = Address(3, 0)
PLC = Notation(
    areas=(
        Area("D", 0, HR0),
        Area("D", 10000, Address(4, 0)),
        Area("%MW", 0, Address(3, 100)),
        Area("M", 0, Address(1, 0)),
        Area("W", 0, Address(3, 512), "hex"),
        Area("X", 0, Address(2, 0), "octal"),
    )
)
LS = Notation(areas=(Area("%MW", 0, HR0), Area("%DW", 0, Address(3, 5000))))


@pytest.mark.parametrize(
    ("notation", "written", "expected"),
    [
        (Notation(area=4), "0x03E8", Address(4, 1000)),
        (Notation(area=3), "3E8H", Address(3, 1000)),
        (Notation(area=3), "40001", Address(3, 0)),
        (Notation(area=3, base=0), 3000, Address(3, 3000)),
        (Notation(area=3, base=1), "3000", Address(3, 2999)),
        (Notation(area=3, base=0), "40001", Address(3, 40001)),
        (Notation(area=3, base=1), 11115, Address(3, 11114)),
        (Notation(area=3, base=1), "0x0BB8", Address(3, 3000)),
        (Notation(area=3, base=1), "4x0001", Address(3, 0)),
        (Notation(area=3, base=1), "3000.A", Address(3, 2999, 10)),
        (Notation(areas=(Area("D", 1, HR0),)), "D0001", Address(3, 0)),
        (PLC, "D100", Address(3, 100)),
        (PLC, "d100.A", Address(3, 100, 10)),
        (PLC, "D10005", Address(4, 5)),
        (PLC, "M20", Address(1, 20)),
        (PLC, "W1A", Address(3, 538)),
        (PLC, "X17", Address(2, 15)),
        (PLC, "%MW100", Address(3, 200)),
        (LS, "%MW100", Address(3, 100)),
        (LS, "%MD50", Address(3, 100)),
        (LS, "%ML25", Address(3, 100)),
        (LS, "%MX1605", Address(3, 100, 5)),
        (LS, "M0051A", Address(3, 51, 10)),
        (LS, "M20", Address(3, 20)),
        (LS, "D100", Address(3, 5100)),
    ],
)
def test_reads_what_the_device_says_of_its_manual(notation: Notation, written: object, expected: Address) -> None:
    assert parse_address(written, notation) == expected


@pytest.mark.parametrize(
    ("notation", "written", "code"),
    [
        (Notation(base=1), 3000, "address_function"),
        (Notation(area=3, base=1), 0, "address_range"),
        (Notation(area=3), 3000, "address_ambiguous"),
        (LS, "M00512", "address_ambiguous"),
        (LS, "%IW3", "address_unknown"),
        (PLC, "X18", "address_unknown"),
        (PLC, "M20.3", "address_bit"),
        (Notation(areas=(Area("D", 100, HR0),)), "D99", "address_range"),
    ],
)
def test_refuses_what_the_device_does_not_explain(notation: Notation, written: object, code: str) -> None:
    with pytest.raises(AddressFault) as caught:
        parse_address(written, notation)
    assert caught.value.code == code
    assert caught.value.cure.ko
