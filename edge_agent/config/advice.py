"""What was probably meant: close words, times and sizes in other spellings, names that would be allowed."""

import difflib
import re
import unicodedata
from collections.abc import Collection
from typing import Final

from edge_agent.config.table import HEADERS, ROLES
from edge_agent.config.words import short
from edge_agent.errors import Words

MAX_LISTED: Final = 15
_SHORTEST: Final = 3
"""Shorter words are near to everything."""
_SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "ip": ("host", "url"),
    "endpoint": ("url",),
    "server": ("url", "host"),
    "address": ("url", "host"),
    "addr": ("address",),
    "register": ("address",),
    "slave": ("unit",),
    "slave_id": ("unit",),
    "unit_id": ("unit",),
    "국번": ("unit",),
    "id": ("name", "unit"),
    "이름": ("name",),
    "name": ("tag",),
    "nodeid": ("node",),
    "node_id": ("node",),
    "period": ("interval",),
    "poll": ("interval",),
    "polling": ("interval",),
    "sampling_interval": ("sampling", "interval"),
    "factor": ("scale",),
    "gain": ("scale",),
    "datatype": ("type",),
    "protocol": ("connector",),
    "type": ("connector", "sink", "class"),
    "machine_class": ("class",),
    "database": ("bucket",),
    "organization": ("org",),
    "organisation": ("org",),
    "username": ("user",),
    "equipment": ("machine",),
}
_TIME: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(\S*)\s*")
_TIME_UNITS: Final[dict[str, str]] = {
    **dict.fromkeys(("", "sec", "secs", "second", "seconds", "초", "s"), "s"),
    **dict.fromkeys(("msec", "millisecond", "milliseconds", "밀리초", "ms"), "ms"),
    **dict.fromkeys(("m", "mins", "minute", "minutes", "분", "min"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours", "시간", "h"), "h"),
    **dict.fromkeys(("day", "days", "일", "d"), "d"),
}
_SIZE_UNITS: Final[dict[str, str]] = {
    **dict.fromkeys(("", "byte", "bytes", "b"), "B"),
    **dict.fromkeys(("k", "kb", "kib"), "KiB"),
    **dict.fromkeys(("m", "mb", "mib"), "MiB"),
    **dict.fromkeys(("g", "gb", "gib"), "GiB"),
}


def close(word: str, known: Collection[str]) -> str | None:
    """The known word that `word` is most likely a slip of; None where nothing is near."""
    plain = word.strip().lower()
    meaning = plain.replace(" ", "")
    for synonym in (HEADERS.get(meaning, ""), ROLES.get(meaning, ""), *_SYNONYMS.get(plain, ())):
        if synonym in known:
            return synonym
    by_form = {_form(other): other for other in known}
    form = _form(plain)
    if form in by_form or len(form) < _SHORTEST:
        return by_form.get(form)
    found = difflib.get_close_matches(form, by_form, n=1, cutoff=0.6)
    return by_form[found[0]] if found else None


def _form(word: str) -> str:
    """Without what is easily confused; Hangul as single letters, so that 배을 is near to 배율."""
    return unicodedata.normalize("NFD", re.sub(r"[\s_-]", "", word.lower()))


def instead(word: str, known: Collection[str], listed: Words | None = None) -> Words:
    """`Did you mean …` and the choices, `listed` where they go by other names."""
    names = sorted(map(str, known))
    if not names:
        return Words("이 줄을 지우십시오.", "Delete this line.")
    near = close(word, known)
    if listed is None:
        plain = ", ".join(names[:MAX_LISTED]) + (" …" if len(names) > MAX_LISTED else "")
        listed = Words(plain, plain)
    if near is None:
        return Words(f"다음 가운데 하나를 쓰십시오: {listed.ko}", f"Use one of: {listed.en}")
    if len(names) == 1:
        return Words(f"'{near}'(으)로 쓰십시오.", f"Write '{near}'.")
    return Words(
        f"'{near}'을(를) 쓰려던 것입니까? 쓸 수 있는 것: {listed.ko}",
        f"Did you mean '{near}'? What can stand here: {listed.en}",
    )


def duration(value: object) -> Words:
    """How the time would be written."""
    match = _TIME.fullmatch(str(value))
    unit = _TIME_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        return Words("예: 500ms, 1s, 5min, 1h, 30d", "Write for example 500ms, 1s, 5min, 1h, 30d.")
    if not match[2]:
        number = match[1]
        return Words(
            f"단위를 붙이십시오: {number}초라면 {number}s, {number}밀리초라면 {number}ms",
            f"Add the unit: {number}s for seconds, {number}ms for milliseconds.",
        )
    return Words(f"'{match[1]}{unit}'(으)로 쓰십시오.", f"Write {match[1]}{unit}.")


def size(value: object) -> Words:
    """How the size would be written."""
    for name, step in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if type(value) is int and value and value % step == 0:
            return Words(f"'{value // step}{name}'(으)로 쓰십시오.", f"Write {value // step}{name}.")
    match = _TIME.fullmatch(str(value))
    unit = _SIZE_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None or "." in match[1] or not match[2]:
        return Words("예: 512KiB, 64MiB, 2GiB", "Write for example 512KiB, 64MiB, 2GiB.")
    return Words(f"'{match[1]}{unit}'(으)로 쓰십시오.", f"Write {match[1]}{unit}.")


def name(value: str, pattern: str) -> Words:
    """An allowed name near to what was written."""
    joint = "_" if "-" not in pattern.replace("a-z", "").replace("0-9", "") else "-"
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", value.strip()).lower()
    near = re.sub(r"[^a-z0-9_-]+", joint, snake).strip("_-")
    near = near.replace("-", joint) if joint == "_" else near
    if near and value.isascii() and re.search(pattern, near):
        return Words(f"'{near}'(으)로 쓰면 됩니다.", f"'{near}' would do.")
    if re.search("[가-힣]", value):
        return Words(
            f"영문 소문자 이름을 정하고(예: furnace{joint}1), 한글 이름은 label: {{ko: {short(value)}}} 에 적으십시오.",
            f"Choose a name in small Latin letters (furnace{joint}1); put the Korean one into label: "
            f"{{ko: {short(value)}}}.",
        )
    return Words(f"예: furnace{joint}1", f"Write for example furnace{joint}1.")
