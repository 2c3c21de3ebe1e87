"""What the list and the live view say of shelved alarms, in both languages."""

from collections.abc import Mapping
from typing import Any, Final

from edge_agent.suppression.words import when

_HEADINGS: Final = {
    "standing": {"ko": "진행 중인 알람", "en": "Alarms under way"},
    "shelved": {"ko": "보류", "en": "Shelved"},
    "out_of_service": {"ko": "사용 중지", "en": "Out of service"},
    "floods": {"ko": "알람 홍수", "en": "Alarm floods"},
    "shared": {"ko": "공용 유틸리티", "en": "Shared utilities"},
}


def heading(kind: str, count: int, language: str) -> str:
    """A heading with how many there are below it."""
    return f"▌{_HEADINGS[kind][language]} {count}"


def line_of(one: Mapping[str, Any], language: str) -> str:
    """Which alarms of a shelf, until when, who and why; or how many another event speaks for."""
    if "utilities" in one:
        return _group(f"{', '.join(one['utilities'])}: {', '.join(one['machines'])}", one, language)
    if "gathered" in one:
        name = one["label"][language]
        return _group(str(one["path"]) + (f" {name}" if name != one["path"] else ""), one, language)
    return _shelf(one, language)


def _group(what: str, group: Mapping[str, Any], language: str) -> str:
    since, count, standing = when(group["since_ns"]), group["gathered"], group["standing"]
    if language == "ko":
        return f"{what} · {since}부터 · 모은 알람 {count}건, 남은 것 {standing}건"
    return f"{what} · since {since} · {count} alarms gathered, {standing} still stand"


def _shelf(shelf: Mapping[str, Any], language: str) -> str:
    what = str(shelf["path"]) + (f" ({shelf['detector']})" if shelf["detector"] else "")
    name = shelf["label"][language]
    what += f" {name}" if name != shelf["path"] else ""
    if shelf["until_ns"]:
        until = when(shelf["until_ns"])
        term = f"{until}까지" if language == "ko" else f"until {until}"
    else:
        since = when(shelf["since_ns"])
        term = f"{since}부터" if language == "ko" else f"since {since}"
    return f"{what} · {term} · {shelf['by']} · {shelf['reason']}"
