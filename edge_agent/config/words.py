"""The catalogue of faults: for each kind a stable code, the cause and the cure, in Korean and in English.

A kind is a key of the catalogue (`syntax.tab`); several kinds share a code where they are the same mistake with
different cures. The README of this folder lists the codes; a test compares both.
"""

from typing import Final

from edge_agent.config.entry import Entry
from edge_agent.config.file_words import FILES
from edge_agent.config.place import Place
from edge_agent.config.syntax_words import SYNTAX
from edge_agent.config.value_words import VALUES
from edge_agent.errors import Fault, Words

MAX_SHOWN: Final = 60
"""Longest piece of the file that is repeated inside a sentence."""
CATALOGUE: Final[dict[str, Entry]] = {**SYNTAX, **VALUES, **FILES}


def say(words: Words, facts: dict[str, object]) -> Words:
    """The sentence with the facts filled in; facts that are Words themselves speak their own language."""
    return Words(
        words.ko.format_map({key: _fact(value, "ko") for key, value in facts.items()}),
        words.en.format_map({key: _fact(value, "en") for key, value in facts.items()}),
    )


def fault(kind: str, place: Place, **facts: object) -> Fault:
    """The fault of a kind at a place. Raises KeyError for an unknown kind or a missing fact."""
    entry = CATALOGUE[kind]
    return Fault(
        entry.code,
        place.file,
        place.line,
        place.column,
        say(entry.cause, facts),
        say(entry.cure, facts),
        place.excerpt,
    )


def _fact(value: object, language: str) -> str:
    return value.in_language(language) if isinstance(value, Words) else short(str(value), 300)


def short(text: str, length: int = MAX_SHOWN) -> str:
    """The text on one line, cut where it is long, control characters shown as escapes."""
    line = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text[: length + 1]
    )
    return line if len(line) <= length else line[: length - 1] + "…"
