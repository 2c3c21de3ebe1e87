"""What pydantic refused, as faults: each error type has its kind in the catalogue, its place, and its words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import ErrorDetails

from edge_agent.config import advice, wording
from edge_agent.config.base import NAME, SIGNAL, Secret
from edge_agent.config.document import Document, Found, Path
from edge_agent.config.place import Place
from edge_agent.config.schema import field_at, fields, sections_at
from edge_agent.config.source import masked
from edge_agent.config.table import RowNode, headers_for
from edge_agent.config.wording import Group, shown
from edge_agent.config.words import fault, short
from edge_agent.errors import Fault, Words

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
KEYS: Final = ("extra_forbidden", "missing", "invalid_key")
LENGTHS: Final = (
    *("too_short", "too_long", "list_empty"),
    *("string_too_short", "string_too_long", "bytes_too_short", "bytes_too_long"),
)
BOUNDS: Final = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of")
CHOICES: Final = ("literal_error", "enum")
URLS: Final = ("url_parsing", "url_syntax_violation", "url_too_long", "url_scheme")
KEYWORDS: Final[dict[str, str]] = {
    "duration": "duration",
    "size": "size",
    "false_alarms": "false_alarms",
    "novelty_role": "novelty.role",
    "secret_one_of": "secret.one_of",
    "range_order": "range.order",
    "opcua_node": "opcua.node",
    "opcua_path": "opcua.path",
    "opcua_certificate_and_key": "opcua.certificate",
    "opcua_without_insecure": "opcua.insecure",
    "opcua_insecure_needless": "opcua.needless",
    "opcua_user_kind": "opcua.user",
    "opcua_user_needs_channel": "opcua.user_channel",
    "opcua_publishing_interval": "opcua.publishing",
    "opcua_intervals": "opcua.intervals",
    "opcua_history_limit": "opcua.history_limit",
    "opcua_poll_interval": "opcua.poll",
    "opcua_poll_queue": "opcua.poll_queue",
    "opcua_poll_deadband": "opcua.poll_deadband",
    "opcua_deadband": "opcua.deadband",
    "opcua_element": "opcua.element",
    "opcua_events": "opcua.events",
    "opcua_events_machine": "opcua.events_machine",
}
"""What a validator's ValueError says -> kind of fault."""
_ABOUT: Final = {"opcua_path": "node", "influxdb_plain_http": "url", "mqtt_plain_mqtt": "url"}
"""Error of a whole mapping -> the key that it is about, where its name does not tell."""
_TAG_LISTS: Final = ("tags", "devices")
_NAME_LENGTH: Final = 63
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """One error, where it is, and the model of the data it is in."""

    error: ErrorDetails
    found: Found
    section: Any
    inner: Path
    """Path of the value within the section."""

    @property
    def kind(self) -> str:
        return self.error["type"]

    @property
    def context(self) -> dict[str, Any]:
        return self.error.get("ctx", {})

    @property
    def value(self) -> Any:
        return self.error["input"]


class Refusals:
    """The errors of one validation: of `section`'s model, with the data that stands at `prefix` in the document."""

    def __init__(self, document: Document, section: Any, prefix: Path = ()) -> None:
        self.document = document
        self.section = section
        self.prefix = prefix

    def faults(self, errors: Sequence[ErrorDetails]) -> Iterator[tuple[Path, Fault]]:
        """Each fault with the path of what it is about."""
        errors = [self._as_written(error) for error in errors]
        meant = set(self._meant(errors))
        unions: dict[Path, list[_Seen]] = {}
        for error in errors:
            location = (*self.prefix, *error["loc"])
            if error["type"] in KEYS:
                if error["type"] != "missing" or location not in meant:
                    yield self._key_fault(error, location)
                continue
            found = self.document.find(location)
            seen = _Seen(error, found, self.section, found.path[len(self.prefix) :])
            if len(found.path) < len(location):
                unions.setdefault(found.path, []).append(seen)
            elif not _is_echo(seen):
                yield found.path, self._value_fault([seen])
        for path, alternatives in unions.items():
            yield path, self._value_fault(alternatives)

    def _as_written(self, error: ErrorDetails) -> ErrorDetails:
        """Where the file has a mapping in place of a list of one, the error is in the mapping."""
        location: list[Any] = []
        for step in error["loc"]:
            if step != 0 or not self._is_mapping((*self.prefix, *location)):
                location.append(step)
        error["loc"] = tuple(location)
        return error

    def _is_mapping(self, path: Path) -> bool:
        found = self.document.find(path)
        return found.path == path and isinstance(found.node.data, dict)

    def _meant(self, errors: Iterable[ErrorDetails]) -> Iterator[Path]:
        """Paths of missing keys that are there under a wrong name: one mistake, one fault."""
        absent = {(*self.prefix, *error["loc"]) for error in errors if error["type"] == "missing"}
        for error in errors:
            if error["type"] == "extra_forbidden":
                location = (*self.prefix, *error["loc"])
                near = advice.close(str(location[-1]), [str(path[-1]) for path in absent if path[:-1] == location[:-1]])
                if near is not None:
                    yield (*location[:-1], near)

    # Keys.

    def _key_fault(self, error: ErrorDetails, location: Path) -> tuple[Path, Fault]:
        found = self.document.find(location[:-1])
        path = (*found.path, location[-1])
        if error["type"] != "missing":
            return path, self._unknown_key(str(location[-1]), found)
        if isinstance(location[-1], int):
            place, key = self.document.value_place(found), _called(found)
            count = location[-1] + 1
            return found.path, fault("length", place, key=key, limit=Words(f"{count}개", f"{count} items"))
        if location[-1] in _TAG_LISTS and "connector" in found.node.data:
            return path, self._no_tags(found, self.document.owner_place(found))
        return path, self._missing_key(location[-1], found)

    def _unknown_key(self, key: str, found: Found) -> Fault:
        inner = found.path[len(self.prefix) :]
        sections = sections_at(self.section, inner)
        allowed = set(fields(sections))
        if "tags" in allowed:
            allowed.add("tags_file")
        place = found.node.key_place(self.document.source, key)
        listed, kind = None, "key.unknown"
        if isinstance(found.node, RowNode):
            place = found.node.table.header_place(key)
            words, listed = headers_for(allowed)
            allowed, kind = allowed | words, "table.unknown"
        if Secret in sections:
            quoted = place.excerpt.partition(":")[0] + ": ****"
            place = Place(place.file, place.line, place.column, quoted if place.column <= len(quoted) else "")
        hint = self._upwards(key, inner, allowed)
        present = found.node.data if isinstance(found.node.data, dict) else {}
        return fault(kind, place, key=key, advice=hint or advice.instead(key, allowed - set(present), listed))

    def _upwards(self, key: str, inner: Path, allowed: set[str]) -> Words | None:
        """A key that is right further up is a slip of the indentation."""
        for end in range(len(inner) - 1, -1, -1):
            if key not in allowed and key in fields(sections_at(self.section, inner[:end])):
                owner = _called(self.document.find((*self.prefix, *inner[:end])))
                return Words(
                    f"이 키는 {owner.ko}에 속합니다. 들여쓰기를 확인하여 그 자리로 옮기십시오.",
                    f"This key belongs to {owner.en}. Check the indentation and move it there.",
                )
        return None

    def _missing_key(self, key: str, found: Found) -> Fault:
        node = found.node
        if isinstance(node, RowNode):
            return _missing_cell(key, node, self.document)
        owner = _called(found)
        add = Words(f"{owner.ko}에 '{key}: 값'을 추가하십시오.", f"Add '{key}: value' to {owner.en}.")
        return fault("key.missing", self.document.owner_place(found), key=key, advice=add)

    def _no_tags(self, found: Found, place: Place) -> Fault:
        """For a link, and for a device of a link."""
        link = self.document.find(found.path[:2]).node.data
        return fault("tags.none", place, name=link.get("name", "") if isinstance(link, dict) else "")

    # Values.

    def _value_fault(self, alternatives: Sequence[_Seen]) -> Fault:
        """The fault of one value; a union gives one error for each of its members."""
        plain = [seen for seen in alternatives if seen.kind not in GROUPS]
        seen = plain[0] if plain else alternatives[0]
        place, key = self.document.value_place(seen.found), _called(seen.found)
        if not seen.value and seen.found.key in _TAG_LISTS:
            return self._no_tags(seen.found, self.document.owner_place(seen.found))
        if seen.kind == "model_type" and seen.context.get("class_name") == Secret.__name__ and seen.value is not None:
            return fault("secret.inline", place, key=key)
        groups = [GROUPS[other.kind] for other in alternatives if other.kind in GROUPS]
        if seen.value is None:
            return self._empty(seen, key, wording.expected(groups))
        if seen.kind in GROUPS:
            keys = list(fields(sections_at(seen.section, seen.inner)))
            hint = wording.turned(GROUPS[seen.kind], seen.value, seen.found.key, keys)
            got = shown(seen.value, with_type=True)
            return fault("type.wrong", place, key=key, expected=wording.expected(groups), got=got, advice=hint)
        return self._refused(seen, place, key)

    def _empty(self, seen: _Seen, key: Words, what: Words) -> Fault:
        node = seen.found.node
        if isinstance(node, RowNode):
            return fault("table.empty", node.place(self.document.source), key=key)
        return fault("value.empty", self.document.owner_place(seen.found), key=key, expected=what)

    def _refused(self, seen: _Seen, place: Place, key: Words) -> Fault:
        """A value of the right type that is refused all the same."""
        got, context = shown(seen.value), seen.context
        if seen.kind in BOUNDS:
            return fault("bounds", place, key=key, got=got, limit=wording.limits(_ends(seen), seen.value))
        if seen.kind in LENGTHS:
            limit = wording.length(context, isinstance(seen.value, str))
            return fault("length" if seen.value else "length.empty", place, key=key, limit=limit)
        if seen.kind in CHOICES:
            return _choice(seen.value, place, key, re.findall(r"'((?:[^'\\]|\\.)*)'", str(context.get("expected", ""))))
        if seen.kind == "string_pattern_mismatch":
            return _pattern(str(seen.value), place, key, str(context.get("pattern", "")))
        if seen.kind in URLS:
            return _address(str(seen.value), place, key, "http://")
        if seen.kind in ("value_error", "assertion_error"):
            return self._keyword(seen, place, key)
        if {"ko", "en"} <= context.keys():
            place, _ = self._about(seen.kind, seen, place)
            cause = Words(str(context["ko"]), str(context["en"]))
            return own_words(place, cause, Words(str(context.get("cure_ko", "")), str(context.get("cure_en", ""))))
        return fault("value.refused", place, key=key, got=got, problem=short(seen.error["msg"], 120))

    def _keyword(self, seen: _Seen, place: Place, key: Words) -> Fault:
        """A ValueError of a validator: a keyword of the catalogue, or an error that brings its own words."""
        error = seen.context.get("error")
        cause, cure = getattr(error, "cause", None), getattr(error, "cure", None)
        place, value = self._about(str(error), seen, place)
        if isinstance(cause, Words) and isinstance(cure, Words):
            return own_words(place, cause, cure)
        kind, got = KEYWORDS.get(str(error)), shown(value)
        if kind is None:
            return fault("value.refused", place, key=key, got=got, problem=short(str(error), 120))
        hints = {"duration": advice.duration, "size": advice.size}
        return fault(kind, place, key=key, got=got, advice=hints[kind](value) if kind in hints else "")

    def _about(self, name: str, seen: _Seen, place: Place) -> tuple[Place, Any]:
        """Place and value that an error is about. One of a whole mapping mostly has a key of it in its name."""
        value = seen.found.node.data
        if not isinstance(value, dict):
            return place, value
        keys = [str(key) for key in value if f"_{key}_" in f"_{name}_"]
        key = max(keys, key=len) if keys else _ABOUT.get(name, "")
        if key not in value:
            return self.document.owner_place(seen.found), value
        below = self.document.find((*seen.found.path, key))
        return self.document.value_place(below), below.node.data


def _is_echo(seen: _Seen) -> bool:
    """Pydantic counts only the sound items of a list: `too_short` then repeats that others are refused."""
    return seen.kind == "too_short" and len(seen.value or ()) >= seen.context.get("min_length", 0)


def _called(found: Found) -> Words:
    if isinstance(found.node, RowNode) and found.node.header:
        return Words(found.node.header, found.node.header)
    data = found.node.data
    name = data.get("name") or data.get("tag") if isinstance(data, dict) else ""
    return wording.place_name(found.path, short(name) if isinstance(name, str) else "")


def _missing_cell(key: str, node: RowNode, document: Document) -> Fault:
    cell = node.child(key)
    if isinstance(cell, RowNode):
        return fault("table.empty", cell.place(document.source), key=cell.header)
    return fault("table.column", node.table.cell_place(node.table.header_line, 0), key=headers_for({key})[1])


def _ends(seen: _Seen) -> dict[str, Any]:
    """All bounds of the field, not only the one that was crossed."""
    names = ("ge", "gt", "le", "lt", "multiple_of")
    ends = {end: bound for end, bound in seen.context.items() if end in names}
    field = field_at(seen.section, seen.inner)
    for constraint in field.metadata if field is not None else ():
        ends |= {end: getattr(constraint, end) for end in names if hasattr(constraint, end)}
    return ends


def _choice(value: Any, place: Place, key: Words, choices: list[str]) -> Fault:
    word = value if isinstance(value, str) else ""
    return fault("choice", place, key=key, got=shown(value), advice=advice.instead(word, choices))


def _pattern(value: str, place: Place, key: Words, pattern: str) -> Fault:
    alternatives = re.fullmatch(r"\^\(([\w|-]+)\)\$", pattern)
    if alternatives:
        return _choice(value, place, key, alternatives[1].split("|"))
    if "://" in pattern:
        return _address(value, place, key, "opc.tcp://" if "opc" in pattern else "http://")
    if pattern in _RULES and len(value) > _NAME_LENGTH:
        return fault("length", place, key=key, limit=wording.length({"max_length": _NAME_LENGTH}, text=True))
    rule = _RULES.get(pattern, Words(f"정해진 형태: {pattern}", f"Its form is {pattern}."))
    hint = (
        advice.name(value, pattern)
        if pattern in _RULES
        else Words("형태에 맞게 고치십시오.", "Correct it to that form.")
    )
    return fault("pattern", place, key=key, got=shown(value), rule=rule, advice=hint)


def _address(value: str, place: Place, key: Words, scheme: str) -> Fault:
    if "@" in value:
        return fault("address.user", place, key=key)
    example = f"{scheme}192.168.0.10:{4840 if 'opc' in scheme else 8086}"
    return fault("address", place, key=key, got=shown(value), example=example)


def own_words(place: Place, cause: Words, cure: Words, kind: str = "custom") -> Fault:
    """What a connector or sink found, in its own words."""
    cause = Words(masked(cause.ko), masked(cause.en))
    return fault(kind, place, cause=_sentence(cause), cure=_sentence(cure))


def _sentence(words: Words) -> Words:
    """With a full stop, and a capital letter where the sentence starts with a word of ours."""
    english = words.en[:1].upper() + words.en[1:] if re.match(r"[a-z]+[ ,]", words.en) else words.en
    return Words(_stopped(words.ko), _stopped(english))


def _stopped(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."
