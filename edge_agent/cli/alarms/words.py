"""What the list and the live view say of shelved alarms, in both languages."""

from collections.abc import Mapping
from typing import Any, Final

from edge_agent.suppression.words import when

_HEADINGS: Final = {
    "ko": {"standing": "진행 중인 알람", "shelved": "보류", "out_of_service": "사용 중지"},
    "en": {"standing": "Alarms under way", "shelved": "Shelved", "out_of_service": "Out of service"},
}


def heading(kind: str, count: int, language: str) -> str:
    """A heading with how many there are below it."""
    return f"▌{_HEADINGS[language][kind]} {count}"


def shelf_line(shelf: Mapping[str, Any], language: str) -> str:
    """Which alarms, until when, who and why."""
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
