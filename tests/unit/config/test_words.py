"""The catalogue: complete, in both languages, documented; and every error type of pydantic finds its words."""

import re
import string
from pathlib import Path

import pytest
from pydantic_core import ErrorDetails
from pydantic_core._pydantic_core import list_all_errors  # not public, and the only full list with examples

import edge_agent.config
from edge_agent.config.agent import AgentConfig
from edge_agent.config.document import parse
from edge_agent.config.refusal import BOUNDS, CHOICES, GROUPS, KEYS, KEYWORDS, LENGTHS, URLS, Refusals
from edge_agent.config.source import Source
from edge_agent.config.words import CATALOGUE, fault, short

ROOM = Path(edge_agent.config.__file__).parent
HANGUL = re.compile("[가-힣]")


def holes(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("kind", CATALOGUE)
def test_entry_speaks_both_languages(kind: str) -> None:
    entry = CATALOGUE[kind]
    assert re.fullmatch(r"EA-1\d\d", entry.code)
    for words in (entry.cause, entry.cure):
        assert words.ko
        assert words.en
        if holes(words.ko) < {"advice", "cause", "cure"} and words.ko.startswith("{"):
            continue
        assert HANGUL.search(words.ko)
        assert not HANGUL.search(re.sub(r"\{\{.*?\}\}", "", words.en))


def test_readme_lists_exactly_the_codes() -> None:
    listed = re.findall(
        r"^\| (EA-1\d\d) \| [^|]*[가-힣][^|]* \| [^|]+ \|$", (ROOM / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == {entry.code for entry in CATALOGUE.values()}


def test_every_kind_is_used() -> None:
    sources = [path.read_text("utf-8") for path in ROOM.glob("*.py") if not path.name.endswith("_words.py")]
    unused = [kind for kind in CATALOGUE if not any(f'"{kind}"' in text for text in sources)]
    assert unused == []


def test_keywords_are_in_the_catalogue() -> None:
    assert set(KEYWORDS.values()) <= set(CATALOGUE)


@pytest.mark.parametrize("example", list_all_errors(), ids=lambda example: example["type"])
def test_every_error_type_of_pydantic_becomes_a_fault(example: dict) -> None:
    document, _ = parse(Source("a.yaml", "site:\n  name: [1]\n"))
    assert document is not None
    error = ErrorDetails(
        type=example["type"],
        loc=("site", "name"),
        msg=example["example_message_python"],
        input="x",
        ctx=(example.get("example_context") or {}) | ({"min_length": 5} if example["type"] == "too_short" else {}),
    )
    ((path, found),) = Refusals(document, AgentConfig).faults([error])
    assert path[0] == "site"
    assert (found.file, found.line) == ("a.yaml", 1 if example["type"] == "missing" else 2)
    for language in ("ko", "en"):
        assert "{" not in found.cause.in_language(language)
        assert found.cure.in_language(language)


def test_error_types_that_we_name_exist() -> None:
    known = {example["type"] for example in list_all_errors()}
    assert {*GROUPS, *BOUNDS, *CHOICES, *KEYS, *LENGTHS, *URLS} - known - {"string_sub_type", "path_type"} == {
        "list_empty"
    }  # raised by a connector


def test_types_of_wrong_values_are_all_grouped() -> None:
    """A new pydantic may bring new types of `should have been …`; each should get words better than the fallback."""
    known = {example["type"] for example in list_all_errors() if example["type"].endswith("_type")}
    no_section_has = {
        *("date_type", "datetime_type", "time_type", "time_delta_type", "uuid_type", "complex_type", "fraction_type"),
        *("frozen_dict_type", "ordered_dict_type", "counter_type", "deque_type", "named_tuple_type"),
        *("callable_type", "arguments_type", "dataclass_exact_type", "json_type"),
    }
    assert known - set(GROUPS) - no_section_has == set()


def test_facts_that_look_like_templates_are_left_alone() -> None:
    document, _ = parse(Source("a.yaml", "'{0}{key}': 1\n"))
    assert document is not None
    place = document.value_place(document.find(()))
    assert "{0}{key}" in fault("key.unknown", place, key="{0}{key}", advice="{x}").cause.ko


def test_short_keeps_to_one_line() -> None:
    assert short("a\nb") == "a\\nb"
    assert short("a" * 100) == "a" * 59 + "…"
