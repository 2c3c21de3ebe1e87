"""What pydantic refused, as faults: each error type has its kind in the catalogue, its place, and its words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic_core import ErrorDetails

from edge_agent.config import advice
from edge_agent.config.base import NAME, SIGNAL, Secret
from edge_agent.config.document import Document, Found, Path
from edge_agent.config.place import Place
from edge_agent.config.schema import field_at, fields, sections_at
from edge_agent.config.source import masked
from edge_agent.config.table import HEADERS, RowNode
from edge_agent.config.words import fault, short
from edge_agent.errors import Fault, Words


class Group(StrEnum):
    """What a value should have been."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    LIST = "list"
    MAPPING = "mapping"
    PATH = "path"


EXPECTED: Final[dict[str, Words]] = {
    Group.INTEGER: Words("정수", "a whole number"),
    Group.NUMBER: Words("수", "a number"),
    Group.TEXT: Words("글자", "text"),
    Group.BOOLEAN: Words("true 또는 false", "true or false"),
    Group.LIST: Words("목록", "a list"),
    Group.MAPPING: Words("'키: 값' 묶음", "a group of 'key: value' lines"),
    Group.PATH: Words("파일 경로", "a path"),
}
GROUPS: Final[dict[str, Group]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), Group.INTEGER),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number", "decimal_type", "decimal_parsing"), Group.NUMBER),
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode", "bytes_type", "url_type"), Group.TEXT),
    **dict.fromkeys(("bool_type", "bool_parsing"), Group.BOOLEAN),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), Group.LIST),
    **dict.fromkeys(
        ("model_type", "dict_type", "mapping_type", "model_attributes_type", "dataclass_type"), Group.MAPPING
    ),
    "path_type": Group.PATH,
}
_LENGTHS: Final = ("too_short", "too_long", "string_too_short", "string_too_long", "bytes_too_short", "bytes_too_long")
_BOUNDS: Final = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of")
_CHOICES: Final = ("literal_error", "enum")
_URLS: Final = ("url_parsing", "url_syntax_violation", "url_too_long", "url_scheme")
KEYWORDS: Final[dict[str, str]] = {
    "duration": "duration",
    "size": "size",
    "secret_one_of": "secret.one_of",
    "range_order": "range.order",
    "opcua_node": "opcua.node",
    "opcua_certificate_and_key": "opcua.certificate",
    "opcua_publishing_interval": "opcua.publishing",
    "opcua_intervals": "opcua.intervals",
}
"""What a validator's ValueError says -> kind of fault."""
_ABOUT: Final = {"influxdb_plain_http": "url"}
"""Error of a whole mapping -> the key that it is about, where its name does not tell."""
_RULES: Final[dict[str, Words]] = {
    NAME: Words(
        "영문 소문자로 시작하고 소문자, 숫자, '-', '_'만 쓸 수 있습니다.",
        "It must start with a small Latin letter and may hold small letters, digits, '-' and '_'.",
    ),
    SIGNAL: Words(
        "영문 소문자로 시작하고 소문자, 숫자, '_'만 쓸 수 있습니다.",
        "It must start with a small Latin letter and may hold small letters, digits and '_'.",
    ),
}
_WITH_UNIT: Final = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*[^\d\s.][^\d]*")
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,8}")
_YES: Final = ("yes", "on", "y", "예", "사용", "1", "true")
_NO: Final = ("no", "off", "n", "아니오", "미사용", "0", "false")


@dataclass(frozen=True, slots=True)
class _Seen:
    """One error and where it is."""

    error: ErrorDetails
    found: Found
    section: Any

    @property
    def kind(self) -> str:
        return self.error["type"]

    @property
    def context(self) -> dict[str, Any]:
        return self.error.get("ctx", {})

    @property
    def value(self) -> Any:
        return self.error["input"]

    @property
    def is_default(self) -> bool:
        """Whether the path leads to no value in the file (a key that is absent)."""
        return len(self.found.path) == 0


def refusals(
    errors: Iterable[ErrorDetails], document: Document, section: Any, prefix: Path = ()
) -> Iterator[tuple[Path, Fault]]:
    """The faults for `errors` of one validation, each with the path of what it is about.

    `prefix` is where the validated data stands in the document, `section` its model.
    """
    unions: dict[Path, list[_Seen]] = {}
    for error in errors:
        location = (*prefix, *error["loc"])
        if error["type"] in ("extra_forbidden", "missing", "invalid_key"):
            found = document.find(location[:-1])
            yield (*found.path, location[-1]), _key_fault(error, document, found, section, prefix)
            continue
        found = document.find(location)
        seen = _Seen(error, found, section)
        if len(found.path) < len(location):
            unions.setdefault(found.path, []).append(seen)
        else:
            yield found.path, _value_fault([seen], document, prefix)
    for path, alternatives in unions.items():
        yield path, _value_fault(alternatives, document, prefix)


def _key_fault(error: ErrorDetails, document: Document, found: Found, section: Any, prefix: Path) -> Fault:
    key = str(error["loc"][-1])
    inner = found.path[len(prefix) :]
    known = sections_at(section, inner)
    if error["type"] == "missing":
        return _missing(key, document, found)
    allowed = set(fields(known))
    if "tags" in allowed:
        allowed.add("tags_file")
    place = found.node.key_place(document.source, key)
    if isinstance(found.node, RowNode):
        place = found.node.table.header_place(key)
        allowed |= {word for word, meaning in HEADERS.items() if meaning.partition(".")[0] in allowed}
    if Secret in known:
        place = Place(place.file, place.line, place.column, place.excerpt.partition(":")[0] + ": ****")
    return fault("key.unknown", place, key=short(key), advice=_other_level(key, found, section, prefix, allowed))


def _other_level(key: str, found: Found, section: Any, prefix: Path, allowed: set[str]) -> Words:
    """A key that is right one level up is a slip of the indentation; else the nearest key of this level."""
    words = advice.instead(key, allowed - found.node.data.keys() if isinstance(found.node.data, dict) else allowed)
    if advice.close(key, allowed) == key:
        return words
    inner = found.path[len(prefix) :]
    for end in range(len(inner) - 1, -1, -1):
        if key in fields(sections_at(section, inner[:end])):
            owner = _name_of(found.path[: len(prefix) + end])
            return Words(
                f"이 키는 {owner.ko}에 속합니다. 들여쓰기를 확인하여 그 자리로 옮기십시오.",
                f"This key belongs to {owner.en}. Check the indentation and move it there.",
            )
    return words


def _missing(key: str, document: Document, found: Found) -> Fault:
    node = found.node
    if isinstance(node, RowNode):
        if not node.has_column(key):
            korean = next((word for word, meaning in HEADERS.items() if meaning == key), key)
            add = Words(
                f"제목 줄에 '{korean}' 열을 추가하고 줄마다 값을 채우십시오.",
                f"Add a column '{key}' to the header and fill it on every line.",
            )
            place = node.table.cell_place(node.table.header_line, 0)
            return fault("key.missing", place, key=key, advice=add)
        fill = Words("이 칸에 값을 넣으십시오.", "Fill in this cell.")
        return fault("key.missing", node.key_place(document.source, key), key=key, advice=fill)
    owner = _name_of(found.path)
    near = advice.close(key, [str(other) for other in node.data]) if isinstance(node.data, dict) else None
    add = Words(f"{owner.ko}에 '{key}: 값'을 추가하십시오.", f"Add '{key}: value' to {owner.en}.")
    if near is not None and near not in ("name", "tag"):
        add = Words(
            f"{add.ko} '{near}'이(가) 잘못 쓴 것이라면 고치십시오.", f"{add.en} Perhaps '{near}' is a slip of the pen."
        )
    return fault("key.missing", document.owner_place(found), key=key, advice=add)


def _value_fault(alternatives: Sequence[_Seen], document: Document, prefix: Path) -> Fault:
    """The fault of one value; a union gives one error for each of its members."""
    plain = [seen for seen in alternatives if seen.kind not in GROUPS]
    seen = plain[0] if plain else alternatives[0]
    place = document.value_place(seen.found)
    key = _name_of(seen.found.path)
    if seen.kind == "model_type" and seen.context.get("class_name") == Secret.__name__:
        return fault("secret.inline", place, key=key)
    if seen.value is None:
        expected = _either(alternatives)
        return fault("value.empty", document.owner_place(seen.found), key=key, expected=expected)
    if seen.kind in GROUPS:
        expected = _either(alternatives)
        return fault(
            "type.wrong", place, key=key, expected=expected, got=_got(seen.value), advice=_retype(seen, prefix)
        )
    return _refused(seen, document, place, key, prefix)


def _refused(seen: _Seen, document: Document, place: Place, key: Words, prefix: Path) -> Fault:
    """A value of the right type that is refused all the same."""
    got, context = _got(seen.value), seen.context
    if seen.kind in _BOUNDS:
        return fault("bounds", place, key=key, got=got, limit=_limits(seen, prefix))
    if seen.kind in _LENGTHS:
        return fault("length", place, key=key, limit=_length(context))
    if seen.kind in _CHOICES:
        return _choice(seen, place, key, re.findall(r"'((?:[^'\\]|\\.)*)'", str(context.get("expected", ""))))
    if seen.kind == "string_pattern_mismatch":
        return _pattern(seen, place, key, str(context.get("pattern", "")))
    if seen.kind in _URLS:
        return fault("url", place, key=key, got=got)
    if seen.kind in ("value_error", "assertion_error"):
        return _keyword(seen, document, place, key)
    if {"ko", "en"} <= context.keys():
        place, _ = _about(seen.kind, seen, document, place)
        cause = Words(str(context["ko"]), str(context["en"]))
        return _own_words(place, cause, Words(str(context.get("cure_ko", "")), str(context.get("cure_en", ""))))
    return fault("value.refused", place, key=key, got=got, problem=short(seen.error["msg"], 120))


def _own_words(place: Place, cause: Words, cure: Words) -> Fault:
    cause = Words(masked(cause.ko), masked(cause.en))
    return fault("custom", place, cause=_sentence(cause), cure=_sentence(cure))


def _sentence(words: Words) -> Words:
    """With a full stop, and a capital letter where the sentence starts with a word of ours."""
    english = words.en[:1].upper() + words.en[1:] if words.en[:1].islower() and words.en[1:2].islower() else words.en
    return Words(_stopped(words.ko), _stopped(english))


def _stopped(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


def _about(name: str, seen: _Seen, document: Document, place: Place) -> tuple[Place, Any]:
    """Place and value that an error is about. One of a whole mapping mostly has a key of it in its name."""
    value = seen.found.node.data
    if not isinstance(value, dict):
        return place, value
    keys = [str(key) for key in value if f"_{key}_" in f"_{name}_"]
    key = max(keys, key=len) if keys else _ABOUT.get(name, "")
    if key not in value:
        return document.owner_place(seen.found), value
    below = document.find((*seen.found.path, key))
    return document.value_place(below), below.node.data


def _keyword(seen: _Seen, document: Document, place: Place, key: Words) -> Fault:
    """A ValueError of a validator: a keyword of the catalogue, or an error that brings its own words."""
    error = seen.context.get("error")
    cause, cure = getattr(error, "cause", None), getattr(error, "cure", None)
    if isinstance(cause, Words) and isinstance(cure, Words):
        return _own_words(place, cause, cure)
    keyword = str(error)
    kind = KEYWORDS.get(keyword)
    place, value = _about(keyword, seen, document, place)
    got = _got(value)
    if kind is None:
        return fault("value.refused", place, key=key, got=got, problem=short(keyword or seen.error["msg"], 120))
    hints = {"duration": advice.duration, "size": advice.size}
    hint = hints[kind](value) if kind in hints else ""
    return fault(kind, place, key=key, got=got, advice=hint)


def _choice(seen: _Seen, place: Place, key: Words, choices: list[str]) -> Fault:
    if isinstance(seen.value, str):
        return fault("choice", place, key=key, got=_got(seen.value), advice=advice.instead(seen.value, choices))
    listed = ", ".join(choices)
    words = Words(f"다음 가운데 하나를 쓰십시오: {listed}", f"Use one of: {listed}")
    return fault("choice", place, key=key, got=_got(seen.value), advice=words)


def _pattern(seen: _Seen, place: Place, key: Words, pattern: str) -> Fault:
    alternatives = re.fullmatch(r"\^\(([\w|-]+)\)\$", pattern)
    if alternatives:
        return _choice(seen, place, key, alternatives[1].split("|"))
    value = str(seen.value)
    got = _got(value)
    if pattern in _RULES:
        if len(value) > 63:
            return fault("length", place, key=key, limit=Words("63자 이하", "63 characters or fewer"))
        return fault("pattern", place, key=key, got=got, rule=_RULES[pattern], advice=advice.name(value, pattern))
    if "://" in pattern:
        return _address(value, place, key, pattern)
    rule = Words(f"정해진 형태: {pattern}", f"Its form is {pattern}.")
    words = Words("형태에 맞게 고치십시오.", "Correct it to that form.")
    return fault("pattern", place, key=key, got=got, rule=rule, advice=words)


def _address(value: str, place: Place, key: Words, pattern: str) -> Fault:
    scheme = "opc.tcp://192.168.0.10:4840" if "opc" in pattern else "http://192.168.0.10:8086"
    if "@" in value:
        rule = Words("주소 안에 사용자와 암호를 쓸 수 없습니다.", "User and password cannot stand inside an address.")
        words = Words(
            "'@' 앞부분을 지우고 사용자와 암호는 따로 적으십시오.",
            "Delete what is before the '@' and give user and password in keys of their own.",
        )
        return fault("pattern", place, key=key, got=Words("이 주소", "this address"), rule=rule, advice=words)
    rule = Words(f"'{scheme}' 형태여야 합니다.", f"It must look like '{scheme}'.")
    words = Words("프로토콜, 주소, 포트를 확인하십시오.", "Check protocol, address and port.")
    return fault("pattern", place, key=key, got=_got(value), rule=rule, advice=words)


def _name_of(path: Path) -> Words:
    """The value's key; `item n of key` in a list."""
    if not path:
        return Words("파일의 맨 위", "the top of the file")
    if isinstance(path[-1], str):
        return Words(path[-1], path[-1])
    outer = _name_of(path[:-1])
    return Words(f"{outer.ko} {path[-1] + 1}번째 항목", f"item {path[-1] + 1} of {outer.en}")


def _either(alternatives: Sequence[_Seen]) -> Words:
    groups = list(dict.fromkeys(GROUPS[seen.kind] for seen in alternatives if seen.kind in GROUPS))
    if not groups:
        return Words("값", "a value")
    return Words(
        " 또는 ".join(EXPECTED[group].ko for group in groups), " or ".join(EXPECTED[group].en for group in groups)
    )


def _got(value: Any) -> Words:
    """The value in a sentence."""
    if value is None:
        return Words("빈 값", "empty")
    if isinstance(value, bool):
        word = "true" if value else "false"
        return Words(word, word)
    if isinstance(value, int | float):
        return Words(f"수 {short(str(value))}", f"the number {short(str(value))}")
    if isinstance(value, str):
        return Words(f"'{short(value)}'", f"'{short(value)}'")
    if isinstance(value, list | tuple):
        return Words("목록", "a list")
    return Words("묶음", "a group") if isinstance(value, dict) else Words("이 값", "this value")


def _retype(seen: _Seen, prefix: Path) -> Words:
    """How the value is turned into what it should be."""
    group, value = GROUPS[seen.kind], seen.value
    if group in (Group.TEXT, Group.PATH) and isinstance(value, int | float):
        word = str(value).lower() if isinstance(value, bool) else value
        return Words(f'따옴표로 묶으십시오: "{word}"', f'Put it in quotes: "{word}"')
    if group in (Group.INTEGER, Group.NUMBER) and isinstance(value, int | float | str):
        return _renumber(value)
    if group is Group.BOOLEAN:
        return _reboolean(value)
    if group is Group.LIST:
        return _relist(value, seen)
    if group is Group.MAPPING:
        return _remap(value, seen, prefix)
    return Words("값을 한 줄의 글자로 고치십시오.", "Write a single text.")


def _renumber(value: float | str) -> Words:
    if isinstance(value, float):
        return Words("소수점 없는 수로 고치십시오.", "Write a number without a decimal point.")
    text = str(value).strip()
    if _HEXADECIMAL.fullmatch(text):
        return Words(f"10진수로 쓰십시오: {int(text, 16)}", f"Write it in decimal: {int(text, 16)}")
    try:
        float(text)
    except ValueError:
        pass
    else:
        bare = text.lstrip("0") or "0"
        return Words(f"따옴표 없이 수만 쓰십시오: {bare}", f"Write the bare number without quotes: {bare}")
    unit = _WITH_UNIT.fullmatch(text)
    if unit:
        return Words(f"단위를 빼고 수만 쓰십시오: {unit[1]}", f"Write the number without its unit: {unit[1]}")
    return Words("숫자로 고치십시오. 예: 502", "Write a number, for example 502.")


def _reboolean(value: Any) -> Words:
    word = str(value).strip().lower()
    if word in _YES or word in _NO:
        right = "true" if word in _YES else "false"
        return Words(f"'{right}'로 쓰십시오.", f"Write {right}.")
    return Words("true 또는 false로 쓰십시오.", "Write true or false.")


def _relist(value: Any, seen: _Seen) -> Words:
    if isinstance(value, dict):
        return Words(
            "항목마다 앞에 '- '를 붙여 목록으로 만드십시오. 항목이 하나여도 '- '가 필요합니다.",
            "Put '- ' before each item; a single item needs it too.",
        )
    if seen.found.key == "range":
        return Words("[하한, 상한]으로 쓰십시오. 예: [0, 1200]", "Write [lowest, highest], for example [0, 1200].")
    return Words(
        "아래 줄에 '- '로 시작하는 항목으로 쓰십시오.", "Write its items on the lines below, each starting with '- '."
    )


def _remap(value: Any, seen: _Seen, prefix: Path) -> Words:
    allowed = list(fields(sections_at(seen.section, seen.found.path[len(prefix) :])))
    listed = ", ".join(allowed[: advice.MAX_LISTED])
    keys = Words(f" 쓸 수 있는 키: {listed}", f" Keys: {listed}") if listed else Words("", "")
    if isinstance(value, list):
        return Words(f"앞의 '-'를 지우십시오.{keys.ko}", f"Delete the '-'.{keys.en}")
    tight = re.match(r"([A-Za-z]\w*):\S", value) if isinstance(value, str) else None
    if tight:
        return Words(f"'{tight[1]}:' 뒤를 한 칸 띄우십시오.{keys.ko}", f"Put one space after '{tight[1]}:'.{keys.en}")
    return Words(
        f"아래 줄에 빈칸 2칸 들여써서 '키: 값'으로 쓰십시오.{keys.ko}",
        f"Write 'key: value' lines below it, indented by two spaces.{keys.en}",
    )


def _limits(seen: _Seen, prefix: Path) -> Words:
    """Both ends of what is allowed, in the unit that the file uses."""
    context = dict(seen.context)
    field = field_at(seen.section, seen.found.path[len(prefix) :])
    for constraint in field.metadata if field is not None else ():
        for end in ("ge", "gt", "le", "lt", "multiple_of"):
            if hasattr(constraint, end):
                context.setdefault(end, getattr(constraint, end))
    ends = {end: _measure(bound, seen.value) for end, bound in context.items()}
    if "multiple_of" in ends:
        return Words(f"{ends['multiple_of']}의 배수", f"a multiple of {ends['multiple_of']}")
    korean = (("ge", "이상"), ("gt", "초과"), ("le", "이하"), ("lt", "미만"))
    english = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))
    return Words(
        " ".join(f"{ends[end]} {word}" for end, word in korean if end in ends),
        ", ".join(f"{word} {ends[end]}" for end, word in english if end in ends),
    )


def _measure(bound: Any, value: Any) -> str:
    if not isinstance(value, str) or not isinstance(bound, int | float):
        return f"{bound:g}" if isinstance(bound, float) else str(bound)
    if value.strip().endswith("B"):
        unit, step = next(
            (u, s) for u, s in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1024), ("B", 1)) if bound % s == 0
        )
        return f"{bound // step:g}{unit}"
    unit, step = next(
        (u, s)
        for u, s in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 0))
        if not s or (bound and bound % s == 0)
    )
    return f"{bound / step:g}{unit}" if step else f"{bound * 1000:g}ms"


def _length(context: dict[str, Any]) -> Words:
    if "min_length" in context:
        return Words(f"{context['min_length']}개 이상", f"{context['min_length']} or more")
    return Words(f"{context.get('max_length')}개 이하", f"{context.get('max_length')} or fewer")
