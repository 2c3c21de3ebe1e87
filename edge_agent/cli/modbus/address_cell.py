"""Cells with addresses of vendors' tables: notations, function codes, bare numbers, ranges, bits."""

import re
import unicodedata
from dataclasses import replace
from typing import Final

import yaml

from connectors.modbus.address import (
    COILS,
    DISCRETE_INPUTS,
    HOLDING_REGISTERS,
    INPUT_REGISTERS,
    WHOLE,
    Address,
    AddressFault,
    Notation,
    parse_address,
)
from edge_agent.cli.modbus.cell import CellFault, Reading, plain
from edge_agent.errors import Words

AREAS: Final = {"CO": COILS, "DI": DISCRETE_INPUTS, "HR": HOLDING_REGISTERS, "IR": INPUT_REGISTERS}
_RANGE: Final = re.compile(r"(\S+?)\s*(?:~|-|–|to|…|\.\.)\s*(\S+)")
_AROUND: Final = re.compile(r"^[\s(\[]*(?:see|ref\.?)?\s*|\s*(?:참조|참고)?[\s)\]]*$", re.IGNORECASE)
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


def reference_of(text: str, function: int, reading: Reading) -> Address:
    """The register that another column's cell names, such as `31002`, `(D101)`, `HR:1 참조`; a bare number lies in the
    area `function`. Raises CellFault."""
    word = _AROUND.sub("", text).strip()
    if word.isascii() and word.isdigit() and not re.fullmatch(r"[34]\d{4,5}", word):
        return _address(word, function, reading, hexadecimal=False)
    return _address(word, 0, replace(reading, area=function), hexadecimal=False)


def _address(text: str, area: int, reading: Reading, hexadecimal: bool) -> Address:
    if text.startswith("{"):
        return _agreed(_parsed(_mapping(text), reading), text, area)
    if not hexadecimal and any(text.upper().startswith(each.letters) for each in reading.areas):
        return _agreed(_parsed(text, reading), text, area)
    if (hexadecimal or reading.hexadecimal) and re.fullmatch(r"[0-9A-Fa-f]{1,4}", text):
        text = f"0x{text}"
    function = area or reading.area
    if function and re.fullmatch(r"0[xX][0-9A-Fa-f]{1,4}|0?[hH]?[0-9A-Fa-f]{1,4}[hH]", text):
        return _parsed(f"{_name(function)}:{text}", reading)
    if text.isascii() and text.isdigit() and (counted := _counted(text, function, reading)):
        return counted
    return _agreed(_parsed(text, reading), text, area)


def _agreed(found: Address, text: str, area: int) -> Address:
    """The address, where the table's own function code does not say another area. Raises CellFault."""
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
    return _parsed(f"{_name(function)}:{int(text) - reading.base}", reading)


def _mapping(text: str) -> object:
    """`{fc: 4, addr: 1000}`, as the configuration has it."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _parsed(written: object, reading: Reading) -> Address:
    try:
        return parse_address(written, Notation(areas=reading.areas))
    except AddressFault as fault:
        raise CellFault("EA-162", "address", fault.cause, _more(fault)) from None


def _more(fault: AddressFault) -> Words:
    """What to do, here also by an option for all lines at once."""
    if fault.code in ("address_ambiguous", "address_function"):
        return Words(
            f"모든 줄에 같다면 --area HR --base 0 처럼 지정하고, 아니면 표에 {fault.cure.ko}",
            f"if it is the same on all lines say it with --area HR --base 0, else {fault.cure.en} in the table",
        )
    if fault.code == "address_unknown" and fault.cure.en.startswith("look it up in the PLC"):
        return Words(
            f"{fault.cure.ko}. 여기서는 --plc D0=HR:0 처럼 지정하십시오",
            f"{fault.cure.en}; here say it with --plc D0=HR:0",
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
