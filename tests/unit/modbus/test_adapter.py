"""Golden bytes of the serial frames: the specification's and others' examples, which a new pymodbus must not change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.adapter import ascii_adu, ascii_frame, rtu_frame, rtu_sum

GOLDEN_RTU = [
    ("02 07", "02 07 41 12"),  # MODBUS over Serial Line V1.02, 6.2.2: CRC 0x1241
    ("01 03 0000 0001", "01 03 00 00 00 01 84 0a"),
    ("11 03 006b 0003", "11 03 00 6b 00 03 76 87"),
    ("11 03 06 ae41 5652 4340", "11 03 06 ae 41 56 52 43 40 49 ad"),
    ("01 83 02", "01 83 02 c0 f1"),
    ("01 11", "01 11 c0 2c"),
]
GOLDEN_ASCII = [
    ("11 03 006b 0003", b":1103006B00037E\r\n"),
    ("f7 03 1389 000a", b":F7031389000A60\r\n"),
    ("01 83 02", b":0183027A\r\n"),
]


@pytest.mark.parametrize(("adu", "frame"), GOLDEN_RTU)
def test_rtu_frames_are_those_of_the_books(adu: str, frame: str) -> None:
    assert rtu_frame(bytes.fromhex(adu)).hex(" ") == bytes.fromhex(frame).hex(" ")


@pytest.mark.parametrize(("adu", "frame"), GOLDEN_ASCII)
def test_ascii_frames_are_those_of_the_books(adu: str, frame: bytes) -> None:
    assert ascii_frame(bytes.fromhex(adu)) == frame
    assert ascii_adu(frame) == bytes.fromhex(adu)


@given(st.binary(min_size=2, max_size=254))
def test_the_check_sum_is_the_one_of_the_specification(adu: bytes) -> None:
    value = 0xFFFF
    for byte in adu:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    assert rtu_sum(adu) == value.to_bytes(2, "little")
    assert rtu_frame(adu) == adu + rtu_sum(adu)


@given(st.binary(min_size=2, max_size=254).filter(lambda adu: adu[0] > 0), st.integers(1, 400), st.integers(1, 127))
def test_a_changed_digit_is_found_out(adu: bytes, place: int, flip: int) -> None:
    frame = bytearray(ascii_frame(adu))
    assert ascii_adu(bytes(frame)) == adu
    frame[1 + place % (len(frame) - 3)] ^= flip
    read = ascii_adu(bytes(frame))
    assert read is None or read == adu  # the digits a to f in the other case say the same
