"""Address notations of Modbus manuals -> function code, wire address, bit.

A *wire address* counts from 0 and is what travels in the request (Modbus Application Protocol V1.1b3, 4.4); a *register
number* counts from 1. `40001` is holding register number 1, wire address 0. Where a notation can be read in two ways it
is refused and both readings are shown: an address that is off by one reads a neighbour and looks right.

| written | function code, wire address |
|---|---|
| `40001`, `400001`, `4x0001` | 3, 0: holding register by number (5 or 6 digits) |
| `30001`, `301001`, `3x1001` | 4: input register by number |
| `10001`, `100001`, `1x0001` | 2: discrete input by number |
| `00001`, `000001` | 1: coil by number |
| `HR:2999`, `IR:0x3E8`, `DI:7`, `CO:03E8h` | 3, 4, 2, 1 with the wire address |
| `{fc: 4, addr: 1000}` | the same, in words |
| `40010.3`, `HR:6.A` | bit 3, bit 10 of a register (0 is the lowest) |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_agent.api import Words

COILS: Final = 1
DISCRETE_INPUTS: Final = 2
HOLDING_REGISTERS: Final = 3
INPUT_REGISTERS: Final = 4
WHOLE: Final = -1
"""`Address.bit` of an address that means the whole register or coil."""

_AREAS: Final = {"CO": COILS, "DI": DISCRETE_INPUTS, "HR": HOLDING_REGISTERS, "IR": INPUT_REGISTERS}
_NAMES: Final = {function: area for area, function in _AREAS.items()}
_LEADING: Final = {"0": COILS, "1": DISCRETE_INPUTS, "3": INPUT_REGISTERS, "4": HOLDING_REGISTERS}
_BIT: Final = re.compile(r"(.+)\.(1[0-5]|[0-9]|[A-Fa-f])")
_NUMBERED: Final = re.compile(r"([0134])(\d{4,5})|([134])[xX](\d{4,5})")
_AREA: Final = re.compile(r"(CO|DI|HR|IR):(.+)", re.IGNORECASE)
_HEX: Final = re.compile(r"0[xX]([0-9A-Fa-f]{1,4})|0[hH]([0-9A-Fa-f]{1,4})|([0-9A-Fa-f]{1,5})[hH]")
_LAST: Final = 0xFFFF


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a value begins: reading function code 1 to 4, wire address from 0, bit 0..15 of a register or WHOLE."""

    function: int
    wire: int
    bit: int = WHOLE

    @property
    def is_register(self) -> bool:
        """Whether it lies in 16-bit registers; else it is a single coil or discrete input."""
        return self.function >= HOLDING_REGISTERS

    def __str__(self) -> str:
        bit = "" if self.bit == WHOLE else f".{self.bit}"
        return f"{_NAMES[self.function]}:{self.wire}{bit}"


class AddressFault(ValueError):
    """An address that cannot be read, or that can be read in two ways."""

    def __init__(self, code: str, cause: Words, cure: Words) -> None:
        """`code` is stable: address_ambiguous, address_function, address_range, address_unknown, address_bit."""
        super().__init__(cause.en)
        self.code = code
        self.cause = cause
        self.cure = cure


def parse_address(written: object) -> Address:
    """Reads any notation of the module's head, as a configuration file holds it (text, number, mapping).

    Raises AddressFault.
    """
    if isinstance(written, Mapping):
        return _of_mapping(written)
    if isinstance(written, float):
        return parse_address(_of_float(written))
    if isinstance(written, bool) or not isinstance(written, int | str):
        raise _unknown(written)
    text = str(written).strip()
    if match := _BIT.fullmatch(text):
        return _with_bit(_of_text(match[1]), match[2], text)
    return _of_text(text)


def _of_text(text: str) -> Address:
    if match := _NUMBERED.fullmatch(text):
        return _of_number(_LEADING[match[1] or match[3]], int(match[2] or match[4]), text)
    if match := _AREA.fullmatch(text):
        return _of_area(_AREAS[match[1].upper()], match[2].strip(), text)
    if _HEX.fullmatch(text):
        raise _needs_function(text, _integer(text) or 0)
    if text.isascii() and text.isdigit():
        raise _ambiguous(text, int(text))
    raise _unknown(text)


def _of_number(function: int, number: int, text: str) -> Address:
    if not 1 <= number <= _LAST + 1:
        raise _out_of_range(text, Words("레지스터 번호는 1부터 65536까지", "register numbers go from 1 to 65536"))
    return Address(function, number - 1)


def _of_area(function: int, where: str, text: str) -> Address:
    wire = _integer(where)
    if wire is None:
        raise _unknown(text)
    return _checked(function, wire, text)


def _checked(function: int, wire: int, text: str) -> Address:
    if not 0 <= wire <= _LAST:
        raise _out_of_range(text, Words("와이어 주소는 0부터 65535까지", "wire addresses go from 0 to 65535"))
    return Address(function, wire)


def _integer(text: str) -> int | None:
    if match := _HEX.fullmatch(text):
        return int(match[1] or match[2] or match[3], 16)
    return int(text) if text.isascii() and text.isdigit() else None


def _of_mapping(written: Mapping[object, object]) -> Address:
    function, wire, bit = written.get("fc"), written.get("addr"), written.get("bit")
    known = written.keys() <= {"fc", "addr", "bit"}
    if isinstance(wire, str):
        wire = _integer(wire.strip())
    if not known or type(function) is not int or type(wire) is not int or function not in _NAMES:
        raise _unknown(dict(written))
    address = _checked(function, wire, str(dict(written)))
    return address if bit is None else _with_bit(address, str(bit), str(dict(written)))


def _with_bit(address: Address, digit: str, text: str) -> Address:
    if not address.is_register:
        raise AddressFault(
            "address_bit",
            Words(f"{text}: 코일과 접점 입력에는 비트 번호가 없습니다", f"{text}: coils and inputs have no bits"),
            Words(f"{address} 로 쓰십시오", f"write {address}"),
        )
    bit = int(digit, 16) if digit.isalpha() else int(digit) if digit.isdigit() else 16
    if bit > 15:
        raise _out_of_range(text, Words("비트 번호는 0부터 15까지", "bits go from 0 to 15"))
    return Address(address.function, address.wire, bit)


def _of_float(written: float) -> str:
    """YAML reads an unquoted 40010.3 as a number, and 40010.10 as the same number as 40010.1."""
    text = repr(written)
    if text.endswith(".1"):
        raise AddressFault(
            "address_ambiguous",
            Words(
                f"{text}: 따옴표가 없어 비트 1인지 비트 10인지 알 수 없습니다",
                f"{text}: without quotes bit 1 and bit 10 look the same",
            ),
            Words(f"'{text}' 또는 '{text}0' 처럼 따옴표로 묶으십시오", f"put it in quotes: '{text}' or '{text}0'"),
        )
    return text


def _ambiguous(text: str, number: int) -> AddressFault:
    both = f"HR:{number} / HR:{max(number - 1, 0)}"
    return AddressFault(
        "address_ambiguous",
        Words(
            f"주소 {text}은(는) 두 가지로 읽힙니다: 와이어 주소 {number}, "
            f"또는 레지스터 번호 {number}(와이어 {number - 1})",
            f"address {text} can be read in two ways: wire address {number}, "
            f"or register number {number} (wire address {number - 1})",
        ),
        Words(
            f"어느 쪽인지 쓰십시오: {both} (입력 레지스터는 IR:, 접점 입력은 DI:, 코일은 CO:)",
            f"say which: {both} (IR: for input registers, DI: for discrete inputs, CO: for coils)",
        ),
    )


def _needs_function(text: str, wire: int) -> AddressFault:
    return AddressFault(
        "address_function",
        Words(f"주소 {text}에 영역이 없습니다(와이어 {wire})", f"address {text} (wire {wire}) does not name its area"),
        Words(
            f"HR:{text}(홀딩 레지스터, 기능 코드 03) 또는 IR:{text}(입력 레지스터, 기능 코드 04)로 쓰십시오",
            f"write HR:{text} (holding register, function code 03) or IR:{text} (input register, function code 04)",
        ),
    )


def _out_of_range(text: str, limits: Words) -> AddressFault:
    return AddressFault(
        "address_range",
        Words(f"{text}: 범위를 벗어났습니다. {limits.ko}입니다", f"{text} is out of range: {limits.en}"),
        Words("설명서의 주소표를 다시 확인하십시오", "look the address up in the manual again"),
    )


def _unknown(written: object) -> AddressFault:
    return AddressFault(
        "address_unknown",
        Words(f"주소로 읽을 수 없습니다: {written}", f"not an address: {written}"),
        Words(
            "40001, 4x0001, HR:2999, IR:0x3E8, {fc: 4, addr: 1000}, '40010.3' 중 한 가지로 쓰십시오",
            "write one of 40001, 4x0001, HR:2999, IR:0x3E8, {fc: 4, addr: 1000}, '40010.3'",
        ),
    )
