"""Parts of sentences: what a value is, what it should be, how one is turned into the other, what the bounds are."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

from edge_agent.config.words import short
from edge_agent.errors import Words


class Group(StrEnum):
    """What a value should have been."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    LIST = "list"
    MAPPING = "mapping"
    PATH = "path"


EXPECTED: Final[dict[Group, Words]] = {
    Group.INTEGER: Words("정수", "a whole number"),
    Group.NUMBER: Words("수", "a number"),
    Group.TEXT: Words("글자", "text"),
    Group.BOOLEAN: Words("true 또는 false", "true or false"),
    Group.LIST: Words("목록", "a list"),
    Group.MAPPING: Words("'키: 값' 묶음", "a group of 'key: value' lines"),
    Group.PATH: Words("파일 경로", "a path"),
}
MAX_KEYS: Final = 15
_WITH_UNIT: Final = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*[^\d\s.][^\d]*")
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,8}")
_YES: Final = ("yes", "on", "y", "예", "사용", "1", "true")
_NO: Final = ("no", "off", "n", "아니오", "미사용", "0", "false")
_KOREAN_ENDS: Final = (("ge", "이상"), ("gt", "초과"), ("le", "이하"), ("lt", "미만"))
_ENGLISH_ENDS: Final = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))
_SIZES: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_TIMES: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def place_name(path: Sequence[str | int], name: str = "") -> Words:
    """What stands at a path: its key, or `item n of key`; with the item's own name where it has one."""
    if not path:
        return Words("파일의 맨 위", "the top of the file")
    last = path[-1]
    if isinstance(last, str):
        return Words(last, last)
    outer = place_name(path[:-1])
    called = f" ({name})" if name else ""
    return Words(f"{outer.ko} {last + 1}번째 항목{called}", f"item {last + 1} of {outer.en}{called}")


def expected(groups: Iterable[Group]) -> Words:
    """What a value should have been, one or the other."""
    words = [EXPECTED[group] for group in dict.fromkeys(groups)] or [Words("값", "a value")]
    return Words(" 또는 ".join(word.ko for word in words), " or ".join(word.en for word in words))


def shown(value: Any, *, with_type: bool = False) -> Words:
    """The value in a sentence."""
    if isinstance(value, bool):
        word = "true" if value else "false"
        return Words(word, word)
    if isinstance(value, int | float):
        return Words(f"수 {short(str(value))}", f"the number {short(str(value))}")
    if isinstance(value, str):
        quoted = f"'{short(value)}'"
        return Words(f"글자 {quoted}", f"the text {quoted}") if with_type else Words(quoted, quoted)
    if isinstance(value, list | tuple):
        return Words("목록", "a list")
    return Words("묶음", "a group") if isinstance(value, dict) else Words("이 값", "this value")


def turned(group: Group, value: Any, key: str | None, keys: Sequence[str]) -> Words:
    """How `value` at `key` becomes what it should be; `keys` are those of the group that is expected."""
    if group in (Group.TEXT, Group.PATH) and isinstance(value, int | float):
        word = str(value).lower() if isinstance(value, bool) else value
        return Words(f'따옴표로 묶으십시오: "{word}"', f'Put it in quotes: "{word}"')
    if group in (Group.INTEGER, Group.NUMBER) and isinstance(value, int | float | str):
        return _to_number(value)
    if group is Group.BOOLEAN:
        return _to_boolean(value)
    if group is Group.LIST:
        return _to_list(value, key)
    if group is Group.MAPPING:
        return _to_mapping(value, key, keys)
    return Words("값을 한 줄의 글자로 고치십시오.", "Write a single text.")


def _to_number(value: float | str) -> Words:
    if isinstance(value, bool):
        return Words("숫자로 고치십시오.", "Write a number.")
    if isinstance(value, float):
        return Words("소수점 없는 수로 고치십시오.", "Write a number without a decimal point.")
    text = str(value).strip()
    if _HEXADECIMAL.fullmatch(text):
        return Words(f"10진수로 쓰십시오: {int(text, 16)}", f"Write it in decimal: {int(text, 16)}")
    if re.fullmatch(r"[-+]?\d+(\.\d+)?", text):
        bare = re.sub(r"^([-+]?)0+(?=\d)", r"\1", text)
        return Words(f"따옴표 없이 수만 쓰십시오: {bare}", f"Write the bare number without quotes: {bare}")
    unit = _WITH_UNIT.fullmatch(text)
    if unit:
        return Words(f"단위를 빼고 수만 쓰십시오: {unit[1]}", f"Write the number without its unit: {unit[1]}")
    return Words("숫자로 고치십시오.", "Write a number.")


def _to_boolean(value: Any) -> Words:
    word = str(value).strip().lower()
    if word in _YES or word in _NO:
        right = "true" if word in _YES else "false"
        return Words(f"'{right}'로 쓰십시오.", f"Write {right}.")
    return Words("true 또는 false로 쓰십시오.", "Write true or false.")


def _to_list(value: Any, key: str | None) -> Words:
    if key == "range":
        return Words("[하한, 상한]으로 쓰십시오. 예: [0, 1200]", "Write [lowest, highest], for example [0, 1200].")
    if isinstance(value, dict):
        return Words(
            "항목마다 앞에 '- '를 붙여 목록으로 만드십시오. 항목이 하나여도 '- '가 필요합니다.",
            "Put '- ' before each item; a single item needs it too.",
        )
    return Words(
        "아래 줄에 '- '로 시작하는 항목으로 쓰십시오.", "Write its items on the lines below, each starting with '- '."
    )


def _to_mapping(value: Any, key: str | None, keys: Sequence[str]) -> Words:
    listed = ", ".join(keys[:MAX_KEYS])
    known = Words(f" 쓸 수 있는 키: {listed}", f" Keys: {listed}") if listed else Words("", "")
    if isinstance(value, list):
        return Words(f"앞의 '-'를 지우십시오.{known.ko}", f"Delete the '-'.{known.en}")
    tight = re.match(r"([A-Za-z]\w*):\S", value) if isinstance(value, str) else None
    if tight:
        return Words(f"'{tight[1]}:' 뒤를 한 칸 띄우십시오.{known.ko}", f"Put one space after '{tight[1]}:'.{known.en}")
    if key == "label":
        example = f"label: {{ko: {short(str(value))}}}"
        return Words(f"언어를 함께 적으십시오: {example}", f"Say the language too: {example}")
    return Words(
        f"아래 줄에 빈칸 2칸 들여써서 '키: 값'으로 쓰십시오.{known.ko}",
        f"Write 'key: value' lines below it, indented by two spaces.{known.en}",
    )


def limits(ends: dict[str, Any], value: Any) -> Words:
    """What is allowed (`ge`, `gt`, `le`, `lt`, `multiple_of` -> bound), in the unit that the file uses for `value`."""
    shown_ends = {end: _measure(bound, value) for end, bound in ends.items()}
    if set(shown_ends) == {"multiple_of"}:
        return Words(f"{shown_ends['multiple_of']}의 배수", f"a multiple of {shown_ends['multiple_of']}")
    return Words(
        " ".join(f"{shown_ends[end]} {word}" for end, word in _KOREAN_ENDS if end in shown_ends),
        ", ".join(f"{word} {shown_ends[end]}" for end, word in _ENGLISH_ENDS if end in shown_ends),
    )


def _measure(bound: Any, value: Any) -> str:
    if not isinstance(bound, int | float):
        return str(bound)
    if not isinstance(value, str):
        return f"{bound:,}"
    if value.strip().endswith("B"):
        return next((f"{bound // step:g}{unit}" for unit, step in _SIZES if bound and bound % step == 0), f"{bound:g}B")
    return next((f"{bound / step:g}{unit}" for unit, step in _TIMES if bound % step == 0), f"{bound * 1000:g}ms")


def length(context: dict[str, Any], text: bool) -> Words:
    """How long a text or a list may be, from pydantic's context."""
    korean, english = ("자", "characters") if text else ("개", "items")
    if "min_length" in context:
        return Words(f"{context['min_length']}{korean} 이상", f"{context['min_length']} {english} or more")
    return Words(f"{context.get('max_length')}{korean} 이하", f"{context.get('max_length')} {english} or fewer")
