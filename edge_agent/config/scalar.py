"""What a word in the file means: YAML 1.2's core schema, less the readings that surprise in a factory.

`true`, `false`, `null` and decimal numbers are themselves; all else is text. So `on`, `no`, `12:30`, `2024-01-01` and
`1_000` stay text, and so do register addresses that are notations rather than numbers: `0x03E8`, `03E8h`, `00001`.
`.inf` and `.nan` are text too: no setting of the agent is infinite.
"""

import math
import re
from typing import Final

Scalar = str | int | float | bool | None

_CONSTANTS: Final[dict[str, Scalar]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})")
_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,16}")
_NUMERIC: Final = frozenset("0123456789+-.")


def scalar(text: str) -> Scalar:
    """The value of an unquoted word."""
    if text and text[0] in _NUMERIC:
        return _number(text)
    return _CONSTANTS.get(text, text)


def key(text: str) -> str | int:
    """An unquoted key: numbers, hexadecimal ones too, are numbers (raw values of sentinels); all else is text."""
    if text and text[0] in _NUMERIC:
        if _HEXADECIMAL.fullmatch(text):
            return int(text, 16)
        if _INTEGER.fullmatch(text):
            return int(text)
    return text


def _number(text: str) -> Scalar:
    if _INTEGER.fullmatch(text):
        return int(text)
    if text.isdecimal() or not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    return number if math.isfinite(number) else text
