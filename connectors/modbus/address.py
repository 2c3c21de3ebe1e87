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

What a device says of its own manual (`Notation`) makes more of them readable:

| with | written | function code, wire address |
|---|---|---|
| `area: IR` | `0x03E8`, `03E8h` | 4, 1000: hexadecimal always is the wire address |
| `area: HR`, `base: 1` | `3000`, `40001` | 3, 2999 and 40000: numbers count from 1, and are nothing but numbers |
| `area: HR`, `base: 0` | `3000`, `40001` | 3, 3000 and 40001 |
| `areas: {D0: HR:0}` | `D100`, `D100.A` | 3, 100; its bit 10 |
| `areas: {D1: HR:0}` | `D0001` | 3, 0 |
| `areas: {"%MW0": HR:0}` | `%MW100`, `%MD50`, `%ML25` | 3, 100: words, double and long words |
| | `%MX1605`, `M0051A` | bit 5 of 100, bit 10 of 51 |
| `areas: {M0: CO:0, W0: HR:512}` | `M20`, `W1A` | 1, 20; 3, 538: W, B, X, Y, SW, SB count in hexadecimal |
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

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
_PLC: Final = re.compile(r"(%?[A-Za-z]{1,3}?)(\d[0-9A-Fa-f]*)")
_IEC: Final = {"X": 0, "W": 1, "D": 2, "L": 4}
"""Last letter of an IEC address -> registers of one (0: a bit)."""
_LS_WORD: Final = 4
"""Digits of a word in LS's own notation; with a fifth it may be a bit, in these areas."""
_LS_BITS: Final = ("P", "M", "K", "L", "F")
HEXADECIMAL: Final = ("W", "B", "X", "Y", "SW", "SB")
"""Areas of Mitsubishi whose addresses are hexadecimal unless said."""
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


Digits = Literal["decimal", "hex", "octal"]
_RADIX: Final[dict[Digits, int]] = {"decimal": 10, "hex": 16, "octal": 8}


@dataclass(frozen=True, slots=True)
class Area:
    """Where a PLC's area lies: the address `first` of `letters` is at `at`, and so on from there."""

    letters: str
    first: int
    at: Address
    digits: Digits = "decimal"


@dataclass(frozen=True, slots=True)
class Notation:
    """How one device's manual writes addresses; see the module's head. `area` is a function code."""

    area: int | None = None
    base: int | None = None
    areas: tuple[Area, ...] = ()


PLAIN: Final = Notation()
"""Nothing is known of the manual."""


class AddressFault(ValueError):
    """An address that cannot be read, or that can be read in two ways."""

    def __init__(self, code: str, cause: Words, cure: Words) -> None:
        """`code` is stable: address_ambiguous, address_function, address_range, address_unknown, address_bit."""
        super().__init__(cause.en)
        self.code = code
        self.cause = cause
        self.cure = cure


def parse_address(written: object, notation: Notation = PLAIN) -> Address:
    """Reads any notation of the module's head, as a configuration file holds it (text, number, mapping).

    Raises AddressFault.
    """
    if isinstance(written, Mapping):
        return _of_mapping(written)
    if isinstance(written, float):
        return parse_address(_of_float(written), notation)
    if isinstance(written, bool) or not isinstance(written, int | str):
        raise _unknown(written)
    text = str(written).strip()
    if match := _BIT.fullmatch(text):
        return _with_bit(_of_text(match[1], notation), match[2], text)
    return _of_text(text, notation)


def _of_text(text: str, notation: Notation) -> Address:
    plain = text.isascii() and text.isdigit()
    if plain and notation.base is not None:
        return _of_bare(int(text), notation, text)
    if match := _NUMBERED.fullmatch(text):
        return _of_number(_LEADING[match[1] or match[3]], int(match[2] or match[4]), text)
    if match := _AREA.fullmatch(text):
        return _of_area(_AREAS[match[1].upper()], match[2].strip(), text)
    if notation.areas and (match := _PLC.fullmatch(text)):
        found = of_plc(match[1].upper(), match[2].upper(), notation.areas, text)
        if found is not None:
            return found
    if _HEX.fullmatch(text):
        if notation.area is None:
            raise _needs_function(text, _integer(text) or 0)
        return _checked(notation.area, _integer(text) or 0, text)
    if plain:
        raise _ambiguous(text, int(text))
    raise _unknown(text, notation)


def _of_bare(number: int, notation: Notation, text: str) -> Address:
    """A number that counts from the base that the manual has."""
    wire = number - (notation.base or 0)
    if notation.area is None:
        raise _needs_function(str(wire), wire)
    return _checked(notation.area, wire, text)


def of_plc(letters: str, digits: str, areas: Sequence[Area], text: str) -> Address | None:
    """An address of a PLC; None where none of the areas is its own. Raises AddressFault."""
    size = 1
    known = [area for area in areas if area.letters == letters]
    if not known and letters[:1] == "%" and letters[-1] in _IEC:
        size = _IEC[letters[-1]]
        known = [area for area in areas if area.letters == f"{letters[:-1]}W"]
    if not known and (known := [area for area in areas if area.letters == f"%{letters}W"]) and letters in _LS_BITS:
        if re.fullmatch(r"\d+[A-F]", digits):  # the last digit is the bit, in hexadecimal
            size, digits = 0, str(16 * int(digits[:-1]) + int(digits[-1], 16))
        elif len(digits) > _LS_WORD:
            raise _bit_or_word(text, letters, digits)
    if not known:
        return None
    number = _number_of(digits, known[0].digits, text)
    if size == 0:
        return _with_bit(_in_area(number // 16, known, text), f"{number % 16:X}", text)
    return _in_area(number * size, known, text)


def _in_area(number: int, known: Sequence[Area], text: str) -> Address:
    """The area that begins nearest below the number."""
    area = max(known, key=lambda one: (one.first <= number, one.first if one.first <= number else -one.first))
    return _checked(area.at.function, area.at.wire + number - area.first, text)


def _number_of(digits: str, kind: Digits, text: str) -> int:
    try:
        return int(digits, _RADIX[kind])
    except ValueError:
        raise _unknown(text) from None


def _bit_or_word(text: str, letters: str, digits: str) -> AddressFault:
    word, bit = f"%{letters}W{int(digits)}", f"%{letters}W{int(digits[:-1])}.{digits[-1]}"
    return AddressFault(
        "address_ambiguous",
        Words(f"주소 {text}은(는) 두 가지로 읽힙니다: {word}, 또는 비트 {bit}", f"{text} is {word}, or the bit {bit}"),
        Words(f"어느 쪽인지 쓰십시오: {word} / {bit}", f"say which: {word} / {bit}"),
    )


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


def _unknown(written: object, notation: Notation = PLAIN) -> AddressFault:
    text = str(written)
    if match := _PLC.fullmatch(text):
        letters = match[1].upper()
        known = ", ".join(sorted({area.letters for area in notation.areas})) or "-"
        return AddressFault(
            "address_unknown",
            Words(
                f"{text}: PLC 영역 {letters}이(가) 모드버스 어디에 있는지 모릅니다 (아는 영역: {known})",
                f"{text}: where the PLC's area {letters} lies in Modbus is not known (known areas: {known})",
            ),
            Words(
                f"PLC 설정에서 확인해 장치에 쓰십시오: areas: {{{letters}0: HR:0}}",
                f"look it up in the PLC's settings and write it into the device: areas: {{{letters}0: HR:0}}",
            ),
        )
    return AddressFault(
        "address_unknown",
        Words(f"주소로 읽을 수 없습니다: {written}", f"not an address: {written}"),
        Words(
            "40001, 4x0001, HR:2999, IR:0x3E8, {fc: 4, addr: 1000}, '40010.3' 중 한 가지로 쓰십시오",
            "write one of 40001, 4x0001, HR:2999, IR:0x3E8, {fc: 4, addr: 1000}, '40010.3'",
        ),
    )
