"""Cells with types of vendors' tables: INT16, WORD, REAL, 부호 있는 16비트 … -> the configuration's names."""

import re
from typing import Final

from connectors.modbus.point import BOOL, WORDS
from edge_agent.cli.modbus.cell import CellFault, Reading, plain
from edge_agent.errors import Words

_FLOAT: Final = re.compile(r"float|half|real|실수|부동|single|double(?!word)|ieee|^f(?:16|32|64)$")
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
    if "bcd" in word:
        return _known(text, f"bcd{size}")
    if _FLOAT.search(word):
        return _known(text, f"float{16 if '16' in word or 'half' in word else max(size, 32)}")
    if _INTEGER.search(word):
        return _known(text, _integer(text, word, size))
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
