"""Cells of vendors' tables: what is the same for all columns, and scales, byte orders and units."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from connectors.modbus.address import Area
from edge_agent.errors import Words


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
    areas: tuple[Area, ...] = ()
    """Where a PLC's areas lie in Modbus on this site."""


def plain(text: str) -> str:
    """The text for comparing: compatibility forms resolved, small letters, no blanks or underlines."""
    return re.sub(r"[\s_]+", "", unicodedata.normalize("NFKC", text)).lower()


_ONE: Final = ("", "-", "없음", "none", "n/a", "1:1", "x")
_DECIMALS: Final = re.compile(r"소수(?:점)?(?:이하)?(\d)자리|(\d)(?:decimals?|decimalplaces?|dp|자리)")
_PLACES: Final = re.compile(r"(\d)(?:자리)?|" + _DECIMALS.pattern)
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


def is_places(text: str) -> bool:
    """Whether a cell of decimal places holds a number of them, or nothing; else it may name a register."""
    word = plain(text)
    return word in _ONE or _PLACES.fullmatch(word) is not None


def decimals_of(text: str) -> float:
    """The scale of so many decimal places: `1` is 0.1. Raises CellFault."""
    word = plain(text)
    if word in _ONE:
        return 1.0
    match = _PLACES.fullmatch(word)
    if match is None:
        raise CellFault(
            "EA-164",
            "decimals",
            Words(f"소수점 자릿수가 아닙니다: {text}", f"not a number of decimal places: {text}"),
            Words(
                "자릿수(1)나, 소수점을 담은 레지스터의 주소(HR:10) 또는 그 줄의 이름을 쓰십시오",
                "write the number of places (1), or the register that holds it: HR:10, or its line's name",
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
