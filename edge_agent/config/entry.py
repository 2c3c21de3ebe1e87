"""One kind of fault in the catalogue."""

from dataclasses import dataclass

from edge_agent.errors import Words


@dataclass(frozen=True, slots=True)
class Entry:
    """Code, cause and cure. Words in braces are filled in by whoever finds the fault."""

    code: str
    cause: Words
    cure: Words


def entry(code: str, cause_ko: str, cause_en: str, cure_ko: str, cure_en: str) -> Entry:
    """The entry from its four sentences."""
    return Entry(code, Words(cause_ko, cause_en), Words(cure_ko, cure_en))
