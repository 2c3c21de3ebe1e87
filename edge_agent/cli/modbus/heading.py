"""Heading: which column of a vendor's table holds what; Korean and English words, and what the technician says."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edge_agent.cli.modbus.sheet import Row, Sheet

_WORDS: Final = {
    "address": "주소 레지스터 레지스터주소 레지스터번호 어드레스 번지 통신주소 통신번지 모드버스주소 modbus주소 "
    "메모리주소 데이터주소 디바이스 address addr register registeraddress registernumber registerno regaddress "
    "regaddr reg modbusaddress modbusregister dataaddress",
    "tag": "태그 태그명 태그이름 계측점 변수 변수명 심볼 tag tagname symbol variable variablename",
    "label": "명칭 이름 항목 항목명 내용 데이터명 데이터내용 데이터이름 파라미터 파라미터명 신호명 설명 기능 품목 "
    "name parameter parametername item description signal contents dataname",
    "label.ko": "한글명 한글명칭 국문명 label.ko",
    "label.en": "영문명 영문명칭 label.en",
    "type": "형식 자료형 자료형식 데이터형 데이터형식 데이터타입 데이터포맷 타입 포맷 type datatype format dataformat",
    "scale": "배율 스케일 승수 계수 환산 환산계수 분해능 해상도 최소단위 scale scaling multiplier factor gain "
    "resolution scalefactor",
    "decimals": "소수점 소수점자리 소수점자릿수 소수점위치 소수자리 decimal decimals decimalpoint decimalplaces dp",
    "scale_from": "소수점주소 소수점레지스터 소수점위치주소 소수점위치레지스터 소수점참조 소수점참조주소 "
    "scalefrom decimaladdress decimalpointaddress decimalregister decimalpointregister "
    "decimalpointref dpaddress dpregister",
    "offset": "오프셋 옵셋 offset",
    "unit": "단위 unit units uom engineeringunit",
    "function": "기능코드 펑션코드 펑션 함수코드 영역 영역구분 데이터영역 레지스터종류 레지스터타입 fc functioncode "
    "function area registertype funccode objecttype",
    "bit": "비트 비트번호 bit bitno bitnumber",
    "count": "개수 갯수 워드수 워드 레지스터수 길이 크기 데이터수 데이터길이 words length size count registers qty "
    "quantity noofregisters numberofregisters wordcount",
    "order": "워드순서 바이트순서 엔디안 order wordorder byteorder endian",
    "access": "접근 속성 읽기쓰기 읽기/쓰기 권한 access attribute r/w rw readwrite read/write",
    "role": "역할 구분 role",
    "machine": "설비 설비명 장비 machine",
    "low": "하한 low range.low",
    "high": "상한 high range.high",
    "note": "비고 메모 참고 설명2 note notes remark remarks comment comments",
    "": "번호 순번 연번 no 초기값 기본값 출하값 default factorydefault 범위 설정범위 range settingrange 최소 최대 "
    "min max",
}
FIELDS: Final = tuple(name for name in _WORDS if name)
"""What a column may be mapped to."""
_MEANINGS: Final = {word: name for name, words in _WORDS.items() for word in words.split()}
_BRACKETS: Final = re.compile(r"[(\[].*?[)\]]")
_SPACES: Final = re.compile(r"[\s_\-#:*]+")
_HEX: Final = re.compile(r"hex|16진|헥사", re.IGNORECASE)
_SEARCHED: Final = 60
"""Rows in which the headings are looked for."""
_ENOUGH: Final = 2


@dataclass(frozen=True, slots=True)
class Heading:
    """The row of headings. `addresses` are the columns that may hold the address, in their order."""

    row: Row
    columns: Mapping[str, int]
    """Field -> column, without `address`."""
    addresses: tuple[int, ...]
    unread: tuple[str, ...] = ()
    """Headings that mean nothing to us."""
    hexadecimal: frozenset[int] = field(default=frozenset())
    """Columns whose heading says that their numbers are hexadecimal."""


def meaning(text: str) -> str | None:
    """The field that a heading means, empty for one that people read and we need not; None for an unknown word."""
    whole = _plain(text)
    bare = _plain(_BRACKETS.sub("", text))
    return _MEANINGS.get(whole, _MEANINGS.get(bare) if bare else None)


def _plain(text: str) -> str:
    return _SPACES.sub("", unicodedata.normalize("NFKC", text)).rstrip(".").lower()


def find_heading(sheet: Sheet, given: Mapping[str, str]) -> Heading | None:
    """The first row that reads like headings, an address among them; None where there is none.

    `given` is what the technician says: heading as in the file -> field (`-`: don't read).
    """
    said = {_plain(word): name for word, name in given.items()}
    for row in sheet.rows[:_SEARCHED]:
        heading = _heading(row, said)
        if heading.addresses and len(heading.columns) + len(heading.addresses) >= _ENOUGH:
            return heading
    return None


def _heading(row: Row, said: Mapping[str, str]) -> Heading:
    columns: dict[str, int] = {}
    addresses: list[int] = []
    unread: list[str] = []
    ours = {name for name in said.values() if name != "-"}
    for column, text in enumerate(row.cells):
        own = said.get(_plain(text))
        name = own or meaning(text)
        if name is None or (name and name != "address" and name in columns and not own):
            unread += [text] if text else []
        elif own is None and name in ours:
            unread.append(text)
        elif name == "address":
            addresses.append(column)
        elif name and name != "-":
            columns[name] = column
    marked = frozenset(column for column, text in enumerate(row.cells) if _HEX.search(text))
    return Heading(row, columns, tuple(addresses), tuple(unread), marked)
