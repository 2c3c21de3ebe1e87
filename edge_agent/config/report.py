"""Faults as text for a person at a terminal: place, cause, the line with a caret under the fault, the cure."""

import unicodedata
from collections.abc import Iterable
from typing import Final

from edge_agent.errors import ConfigError, Fault

WIDTH: Final = 100
"""Columns of a quoted line; of longer ones the part around the fault is shown."""
_BEFORE: Final = 60


def fault_text(fault: Fault, language: str) -> str:
    """One fault in 'ko' or 'en', several lines, without a line end."""
    place = ":".join(str(part) for part in (fault.file, fault.line, fault.column) if part != 0)
    out = [f"{place}: [{fault.code}] {fault.cause.in_language(language)}"]
    if fault.excerpt.strip():
        line, caret = _quoted(fault.excerpt, fault.column)
        out += [f"    | {line}", f"    | {' ' * caret}^"]
    out.append(f"    → {fault.cure.in_language(language)}")
    return "\n".join(out)


def faults_text(faults: Iterable[Fault], language: str) -> str:
    """Faults with an empty line between them."""
    return "\n\n".join(fault_text(fault, language) for fault in faults)


def error_text(error: ConfigError, language: str) -> str:
    """All faults, with their number at the end: where the eye is when a long list has scrolled by."""
    count = len(error.faults)
    total = (
        f"오류 {count}건. 위 항목을 고친 뒤 다시 확인하십시오."
        if language == "ko"
        else f"{count} fault{'s' if count > 1 else ''}. Correct the items above and check again."
    )
    return f"{faults_text(error.faults, language)}\n\n{error.object}: {total}"


def _quoted(line: str, column: int) -> tuple[str, int]:
    """The line as it can be shown, and how many columns stand before the fault. Tabs are made visible."""
    at = max(column - 1, 0)
    start = at - _BEFORE if len(line) > WIDTH and at > _BEFORE else 0
    end = start + WIDTH
    shown = "".join(map(_visible, line[start:end]))
    before, after = "…" if start else "", "…" if end < len(line) else ""
    return f"{before}{shown}{after}", len(before) + sum(map(_columns, shown[: at - start]))


def _visible(sign: str) -> str:
    return "⇥" if sign == "\t" else sign if sign.isprintable() else "▯"


def _columns(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
