"""Cells of vendors' tables -> what the configuration writes: addresses, types, scales, orders, units."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from connectors.modbus.address import (
    COILS,
    DISCRETE_INPUTS,
    HOLDING_REGISTERS,
    INPUT_REGISTERS,
    WHOLE,
    Address,
    AddressFault,
    parse_address,
)
from connectors.modbus.point import BOOL, WORDS
from edge_agent.errors import Words

AREAS: Final = {"CO": COILS, "DI": DISCRETE_INPUTS, "HR": HOLDING_REGISTERS, "IR": INPUT_REGISTERS}


class CellFault(ValueError):
    """A cell that is not understood: `field` says which column is meant."""

    def __init__(self, code: str, column: str, cause: Words, cure: Words) -> None:
        super().__init__(cause.en)
        self.code = code
        self.column = column
        self.cause = cause
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Reading:
    """What the technician adds to the table: how bare numbers count, where they lie, what words for types mean."""

    area: int = 0
    """Function code of addresses that name none; 0 where it was not said."""
    base: int | None = None
    """Whether decimal numbers count from 0 (wire addresses) or from 1 (register numbers)."""
    hexadecimal: bool = False
    type: str = ""
    types: Mapping[str, str] = field(default_factory=dict)


def plain(text: str) -> str:
    """The text for comparing: compatibility forms resolved, small letters, no blanks or underlines."""
    return re.sub(r"[\s_]+", "", unicodedata.normalize("NFKC", text)).lower()


# Addresses.

_RANGE: Final = re.compile(r"(\S+?)\s*(?:~|-|–|to|…|\.\.)\s*(\S+)")
_AREA_WORDS: Final = (
    (HOLDING_REGISTERS, r"holding|홀딩|보유|\bhr\b|\b4x|출력레지스터|아날로그출력"),
    (INPUT_REGISTERS, r"input ?reg|입력 ?레지스터|\bir\b|\b3x|아날로그 ?입력|analog ?input"),
    (DISCRETE_INPUTS, r"discrete|input ?(?:status|contact)|접점 ?입력|입력 ?접점|디지털 ?입력|\bdi\b|\b1x"),
    (COILS, r"coil|코일|디지털 ?출력|\bco\b|\bdo\b|\b0x\b"),
)
_CODES: Final = re.compile(r"(?:0x|fc|func\w*|function\w*|기능 ?코드)?[\s:.=]*0?([1-9]|1[56])h?")


def area_of(text: str) -> int | None:
    """The reading function code in a cell such as `03`, `FC04`, `03/06`, `Holding Register`, `입력 레지스터`.

    0 where it only writes, None where it is not understood.
    """
    small = unicodedata.normalize("NFKC", text).strip().lower()
    found = [_CODES.fullmatch(part.strip()) for part in re.split(r"[/,&+ㆍ·]|\bor\b|및", small)]
    if codes := [int(match[1]) for match in found if match]:
        return next((code for code in codes if code <= INPUT_REGISTERS), 0)
    return next((area for area, words in _AREA_WORDS if re.search(words, small)), None)


def address_of(text: str, area: int, reading: Reading, *, hexadecimal: bool = False) -> tuple[Address, int]:
    """The address, and how many registers a range (`40001~40002`) spans, else 0. Raises CellFault."""
    if match := _RANGE.fullmatch(text):
        first, last = (_address(end, area, reading, hexadecimal) for end in match.groups())
        span = last.wire - first.wire + 1
        if first.function == last.function and 0 < span <= 125:
            return first, span
        raise _not_a_range(text)
    return _address(text, area, reading, hexadecimal), 0


def _address(text: str, area: int, reading: Reading, hexadecimal: bool) -> Address:
    if (hexadecimal or reading.hexadecimal) and re.fullmatch(r"[0-9A-Fa-f]{1,4}", text):
        text = f"0x{text}"
    function = area or reading.area
    if function and re.fullmatch(r"0[xX][0-9A-Fa-f]{1,4}|0?[hH]?[0-9A-Fa-f]{1,4}[hH]", text):
        return _parsed(f"{_name(function)}:{text}")
    if text.isascii() and text.isdigit() and (counted := _counted(text, function, reading)):
        return counted
    found = _parsed(text)
    if area and found.function != area:
        raise _contradiction(text, area, found)
    return found


def _counted(text: str, function: int, reading: Reading) -> Address | None:
    """A bare number whose area and base are known; None where its notation says it, or where one is missing."""
    if re.fullmatch(r"[0134]\d{4,5}", text) and not (text[0] == "0" and function > COILS):
        return None
    if not function:
        return None
    if reading.base is None:
        raise _needs_base(text, function)
    return _parsed(f"{_name(function)}:{int(text) - reading.base}")


def _parsed(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressFault as fault:
        raise CellFault("EA-162", "address", fault.cause, _more(fault)) from None


def _more(fault: AddressFault) -> Words:
    """What to do, here also by an option for all lines at once."""
    if fault.code in ("address_ambiguous", "address_function"):
        return Words(
            f"모든 줄에 같다면 --area HR --base 0 처럼 지정하고, 아니면 표에 {fault.cure.ko}",
            f"if it is the same on all lines say it with --area HR --base 0, else {fault.cure.en} in the table",
        )
    return fault.cure


def _name(function: int) -> str:
    return next(name for name, code in AREAS.items() if code == function)


def _needs_base(text: str, function: int) -> CellFault:
    area, number = _name(function), int(text)
    return CellFault(
        "EA-162",
        "address",
        Words(
            "번호만 있는 주소는 두 가지로 읽힙니다: 0부터 센 와이어 주소, 또는 1부터 센 레지스터 번호",
            "a bare number can be read in two ways: a wire address from 0, or a register number from 1",
        ),
        Words(
            f"설명서를 보고 --base 0({text} → {area}:{number}) 또는 --base 1({text} → {area}:{max(number - 1, 0)})을 "
            "지정하십시오. 모르면 `modbus read`로 표시기와 비교하십시오",
            f"after the manual give --base 0 ({text} is {area}:{number}) or --base 1 ({text} is "
            f"{area}:{max(number - 1, 0)}); compare with the display (`modbus read`) where it does not say",
        ),
    )


def _contradiction(text: str, area: int, found: Address) -> CellFault:
    return CellFault(
        "EA-162",
        "address",
        Words(
            f"{text} 는 {_name(found.function)} 영역 번호인데 표의 기능 코드는 {area:02d}입니다",
            f"{text} is a number of area {_name(found.function)}, but the table says function code {area:02d}",
        ),
        Words(
            f"맞는 쪽을 표에 쓰십시오: {found} 또는 {_name(area)}:…",
            f"write the right one into the table: {found}, or {_name(area)}:…",
        ),
    )


def _not_a_range(text: str) -> CellFault:
    return CellFault(
        "EA-162",
        "address",
        Words(f"주소 범위로 읽을 수 없습니다: {text}", f"not a range of addresses: {text}"),
        Words("첫 주소만 쓰십시오", "write the first address only"),
    )


def bit_of(text: str) -> int:
    """`3`, `bit 3`, `b3`, `비트3`; WHOLE for an empty cell. Raises CellFault."""
    if text in ("", "-"):
        return WHOLE
    match = re.fullmatch(r"(?:bit|b|비트|#)?(\d{1,2})번?", plain(text))
    if match is None or int(match[1]) > 15:
        raise CellFault(
            "EA-162",
            "bit",
            Words(f"비트 번호가 아닙니다: {text}", f"not the number of a bit: {text}"),
            Words("0부터 15까지 하나를 쓰십시오. 비트마다 한 줄입니다", "write one of 0 to 15, a line for each bit"),
        )
    return int(match[1])


# Types.

_FLOAT: Final = re.compile(r"float|real|실수|부동|single|double(?!word)|ieee|^f(?:16|32|64)$")
_INTEGER: Final = re.compile(
    r"int|정수|signed|word|워드|short|long|byte|바이트|부호|^[isu](?:8|16|32|64)$|\d+(?:bit|비트)$"
)
_UNSIGNED: Final = re.compile(r"unsigned|uint|usint|udint|ulint|ushort|ulong|부호(?:가)?없|word|워드|^u|byte|바이트")
_SIGNED: Final = re.compile(
    r"(?<!un)signed|부호(?:가)?있|(?<!u)(?<!us)(?<!ud)(?<!ul)int|정수|short|long|^[is](?:8|16|32|64)$"
)
_BOOL: Final = re.compile(r"bool(?:ean)?|bit|비트|접점|digital|on/off|discrete|1(?:bit|비트)|코일|coil")
_TEXT: Final = re.compile(r"(?:ascii|string|char|문자|str|text)")
_SIZE: Final = re.compile(r"(?<!\d)(8|16|32|64)(?!\d)")
_WIDE: Final = (
    (64, r"lint|qword|lreal|double(?!word)|4(?:word|워드)"),
    (32, r"dint|dword|더블|double|long|2(?:word|워드)"),
)
_NO_SIZE: Final = re.compile(r"(?<!\d)(?!754)\d{3,}")
_BYTE: Final = re.compile(r"sint|byte|바이트|char")


def type_of(text: str, count: int, reading: Reading) -> str:
    """The type that a cell means; `count` registers (0 where not said) decide where the word leaves it open.

    Raises CellFault.
    """
    word = plain(text)
    if word in ("", "-"):
        if reading.type:
            return reading.type
        raise _no_type()
    if word in reading.types:
        return reading.types[word]
    if word in WORDS or word == BOOL:
        return word
    if _TEXT.match(word):
        return _text(text, word, count)
    if _BOOL.fullmatch(word):
        return BOOL
    if _NO_SIZE.search(word):
        raise _unknown_type(text)
    size = _size(word, count)
    if _FLOAT.search(word):
        return _known(text, f"float{max(size, 32) if '16' not in word else 16}")
    if _INTEGER.search(word):
        return _known(text, _integer(text, word, size))
    if f"{word}{size}" in WORDS:
        return f"{word}{size}"
    raise _unknown_type(text)


def _size(word: str, count: int) -> int:
    if match := _SIZE.search(word):
        return int(match[1])
    wide = next((bits for bits, words in _WIDE if re.search(words, word)), 0)
    if wide:
        return wide
    if _BYTE.search(word):
        return 8
    return 16 * count if count in (1, 2, 4) else 16


def _integer(text: str, word: str, size: int) -> str:
    unsigned, signed = _UNSIGNED.search(word), _SIGNED.search(word)
    if not unsigned and not signed:
        raise CellFault(
            "EA-163",
            "type",
            Words(f"형식 '{text}': 부호가 있는지 없는지 알 수 없습니다", f"type '{text}': signed or unsigned?"),
            Words(
                f"설명서를 보고 --type '{text}=int{size}' 또는 --type '{text}=uint{size}' 로 지정하십시오",
                f"look it up and say --type '{text}=int{size}' or --type '{text}=uint{size}'",
            ),
        )
    return f"{'uint' if unsigned else 'int'}{size}"


def _text(text: str, word: str, count: int) -> str:
    length = re.search(r"\d+", word)
    size = int(length[0]) if length else 2 * count
    if 1 <= size <= 250:
        return f"text{size}"
    raise CellFault(
        "EA-163",
        "type",
        Words(f"형식 '{text}': 글자 수가 없습니다", f"type '{text}': how many characters?"),
        Words(f"--type '{text}=text16' 처럼 바이트 수를 지정하십시오", f"say it in bytes: --type '{text}=text16'"),
    )


def _known(text: str, name: str) -> str:
    if name in WORDS:
        return name
    raise _unknown_type(text)


def _no_type() -> CellFault:
    return CellFault(
        "EA-163",
        "type",
        Words("형식이 없습니다", "there is no type"),
        Words("모두 같다면 --type int16 처럼 지정하십시오", "if it is the same for all say --type int16"),
    )


def _unknown_type(text: str) -> CellFault:
    known = ", ".join(WORDS)
    return CellFault(
        "EA-163",
        "type",
        Words(f"모르는 형식입니다: {text}", f"unknown type: {text}"),
        Words(
            f"--type '{text}=int16' 처럼 지정하십시오 ({known}, bool, text8)",
            f"say what it is: --type '{text}=int16' ({known}, bool, text8)",
        ),
    )


# Scales, orders, units.

_ONE: Final = ("", "-", "없음", "none", "n/a", "1:1", "x")
_DECIMALS: Final = re.compile(r"소수(?:점)?(?:이하)?(\d)자리|(\d)(?:decimals?|decimalplaces?|dp|자리)")
_POWER: Final = re.compile(r"10(?:\^|e|\*\*)\(?([-+]?\d)\)?")
_FACTOR: Final = re.compile(r"[x×*]?(\d*[.,]?\d+(?:e[-+]?\d+)?)(?:배)?")
_QUOTIENT: Final = re.compile(r"(?:(\d+)?[/÷:])(\d*[.,]?\d+)")


def scale_of(text: str) -> float:
    """`0.1`, `x0.1`, `1/10`, `/10`, `10^-1`, `소수점 1자리` are all 0.1. Raises CellFault."""
    word = plain(text)
    if word in _ONE:
        return 1.0
    if match := _DECIMALS.fullmatch(word):
        return float(Fraction(1, 10 ** int(match[1] or match[2])))
    if match := _POWER.fullmatch(word):
        return float(Fraction(10) ** int(match[1]))
    if (match := _QUOTIENT.fullmatch(word)) and (below := Fraction(match[2].replace(",", "."))):
        return float(int(match[1] or 1) / below)
    if (match := _FACTOR.fullmatch(word)) and (factor := float(match[1].replace(",", "."))):
        return factor
    raise CellFault(
        "EA-164",
        "scale",
        Words(f"배율로 읽을 수 없습니다: {text}", f"not a scale: {text}"),
        Words("0.1, ×0.1, 1/10 중 한 가지로 쓰십시오", "write it as 0.1, ×0.1 or 1/10"),
    )


def decimals_of(text: str) -> float:
    """The scale of so many decimal places: `1` is 0.1. Raises CellFault."""
    word = plain(text)
    if word in _ONE:
        return 1.0
    match = re.fullmatch(r"(\d)(?:자리)?|" + _DECIMALS.pattern, word)
    if match is None:
        raise CellFault(
            "EA-164",
            "decimals",
            Words(f"소수점 자릿수가 아닙니다: {text}", f"not a number of decimal places: {text}"),
            Words(
                "자릿수를 쓰십시오. 다른 레지스터에서 읽는 소수점이면 비우고 나중에 설정에 적으십시오",
                "write the number of places; leave it empty where the point stands in another register",
            ),
        )
    return float(Fraction(1, 10 ** int(next(group for group in match.groups() if group))))


def number_of(text: str, column: str) -> float | None:
    """A plain number, None for an empty cell. Raises CellFault."""
    word = plain(text).replace(",", ".")
    if word in ("", "-"):
        return None
    try:
        number = float(word)
    except ValueError:
        number = float("nan")
    if number - number == 0:
        return number
    raise CellFault(
        "EA-164",
        column,
        Words(f"숫자가 아닙니다: {text}", f"not a number: {text}"),
        Words("숫자만 쓰거나 비우십시오", "write a number only, or leave it empty"),
    )


_ORDER: Final = re.compile(r"abcd|cdab|badc|dcba")
_ORDERS: Final = {
    "ABCD": r"상위(?:워드)?(?:우선|먼저)|high(?:word)?first|msw|bigendian|빅엔디안|hilo",
    "CDAB": r"하위(?:워드)?(?:우선|먼저)|low(?:word)?first|lsw|wordswap|swap(?:ped)?word|lohi",
}


def order_of(text: str) -> str:
    """The byte order in a cell of orders or of types; empty where it says none."""
    word = plain(text).replace("-", "").replace(",", "")
    if match := _ORDER.search(word):
        return match[0].upper()
    return next((order for order, words in _ORDERS.items() if re.search(words, word)), "")


def unit_of(text: str) -> str:
    """The unit with squeezed signs (℃, ㎾, ％) written out; empty for a dash."""
    out = "".join(unicodedata.normalize("NFKC", sign) if _squeezed(sign) else sign for sign in text)
    return "" if out in ("-", "–", "없음", "none", "N/A") else out


def _squeezed(sign: str) -> bool:
    return "\u3300" <= sign <= "\u33ff" or "\uff00" <= sign <= "\uffef" or sign in "℃℉Ω"
