"""What is wrong where YAML's grammar is broken, in words for somebody who never heard of a grammar.

libyaml says what it expected ("did not find expected key"); what was meant is guessed from the line: a tab, a missing
space after a colon, full-width punctuation from a Korean keyboard, a value that must be quoted.
"""

import re
from typing import Final

import yaml

from edge_agent.config.source import Source
from edge_agent.config.words import fault
from edge_agent.errors import Fault

_PROBLEMS: Final[tuple[tuple[str, str], ...]] = (
    ("control characters are not allowed", "encoding.control"),
    ("found unknown escape character", "syntax.escape"),
    ("did not find expected hexdecimal number", "syntax.escape"),
    ("found unexpected end of stream", "syntax.quote_open"),
    ("found unexpected document indicator", "syntax.quote_open"),
    ("did not find expected ',' or ']'", "syntax.bracket_open"),
    ("did not find expected ',' or '}'", "syntax.brace_open"),
    ("block sequence entries are not allowed", "syntax.dash"),
    ("did not find expected '-' indicator", "syntax.list_indent"),
    ("could not find expected ':'", "syntax.colon_missing"),
    ("did not find expected comment or line break", "syntax.block_text"),
    ("did not find expected alphabetic or numeric character", "syntax.quote_sign"),
    ("did not find expected whitespace or line break", "syntax.quote_sign"),
    ("found character that cannot start any token", "syntax.quote_sign"),
    ("found unknown directive", "syntax.quote_sign"),
    ("could not find expected directive name", "syntax.quote_sign"),
    ("found undefined tag handle", "syntax.quote_sign"),
    ("did not find expected tag URI", "syntax.quote_sign"),
    ("did not find expected key", "syntax.key_expected"),
    ("found unexpected ':'", "syntax.flow_colon"),
    ("did not find expected node content", "syntax.content"),
    ("did not find expected <document start>", "syntax.root_indent"),
)
_BRACKETS: Final = ("syntax.bracket_open", "syntax.brace_open")
_CLOSING: Final = {"[": "]", "{": "}"}
_SIGN_KINDS: Final = ("syntax.quote_sign", "syntax.other", "syntax.block_text", "syntax.content")
_AT_CONTEXT: Final = ("syntax.quote_open", "syntax.colon_missing")
_WIDE: Final = re.compile("[：“”‘’，［］｛｝－\u3000\xa0]")
_NO_SPACE: Final = re.compile(r"^(\s*(?:- +)?[^\W\d][\w.-]*):(?=[^\s/:])")
_QUOTED: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_SIGNS: Final = "%@`*&!|>"


def syntax_fault(error: yaml.YAMLError, source: Source) -> Fault:
    """The fault for what the parser raised."""
    problem = str(getattr(error, "problem", None) or error)
    kind = next((kind for words, kind in _PROBLEMS if words in problem), "syntax.other")
    line, column = _mark(error, source, "context_mark" if kind in _AT_CONTEXT else "problem_mark")
    seen = _seen(source, line)
    if seen is not None:
        return seen
    text = source.line(line)
    if "mapping values are not allowed" in problem:
        kind = "syntax.colon_twice" if re.search(r":\s", text[: column - 1]) else "syntax.indent"
    if kind in _BRACKETS:
        opened = _mark(error, source, "context_mark")
        if opened[0] < line:
            kind, (line, column) = "syntax.unclosed", opened
            text = source.line(line)
    if kind in _SIGN_KINDS and text[column - 1 : column] in tuple(_SIGNS):
        kind = "syntax.quote_sign"
    elif kind == "syntax.quote_sign":
        kind, column = _sign_before(text, column)
    sign = text[column - 1 : column]
    facts = {"sign": sign, "closing": _CLOSING.get(sign, sign), "key": _key(text), "word": _word(text, column)}
    return fault(kind, source.place(line, column), problem=problem, character="", **facts)


def _mark(error: yaml.YAMLError, source: Source, which: str) -> tuple[int, int]:
    """Line and column from 1; behind the last line with text the end of that line."""
    mark = getattr(error, which, None) or getattr(error, "problem_mark", None)
    if mark is None:
        return 1, 1
    line, column = mark.line + 1, mark.column + 1
    last = next((number for number in range(len(source.lines), 0, -1) if source.line(number).strip()), 1)
    return (line, column) if line <= last else (last, len(source.line(last)) + 1)


def _seen(source: Source, line: int) -> Fault | None:
    """A mistake that can be seen in the line or in the one before it, whatever the parser says."""
    before = next((number for number in range(line - 1, 0, -1) if source.line(number).strip()), line)
    for number in dict.fromkeys((line, before)):
        text = source.line(number)
        indent = text[: len(text) - len(text.lstrip())]
        if "\t" in indent:
            return fault("syntax.tab", source.place(number, indent.index("\t") + 1))
        plain = _QUOTED.sub(lambda found: "." * len(found[0]), text.partition(" #")[0])
        if plain.lstrip().startswith("#"):
            continue
        wide = _WIDE.search(plain)
        if wide is not None and (number == line or ":" not in plain):
            place = source.place(number, wide.start() + 1)
            return fault("syntax.wide", place, sign=wide[0], character=f"U+{ord(wide[0]):04X}")
        tight = _NO_SPACE.match(plain)
        if tight is not None:
            return fault("syntax.colon_space", source.place(number, tight.end()), key=tight[1].strip(" -"))
    return None


def _sign_before(text: str, column: int) -> tuple[str, int]:
    """The special character that the parser had already passed when it gave up."""
    for place in range(min(column, len(text)), 0, -1):
        if text[place - 1] in _SIGNS:
            return "syntax.quote_sign", place
    return "syntax.other", column


def _key(text: str) -> str:
    return text.strip().removeprefix("- ").partition(":")[0].strip()[:60]


def _word(text: str, column: int) -> str:
    """The value that starts at `column`."""
    return re.split(r"\s+#|\s*[,}\]]", text[column - 1 :], maxsplit=1)[0].strip().replace('"', "")
