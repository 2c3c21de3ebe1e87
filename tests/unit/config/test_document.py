"""YAML to data with places: what words mean, where things stand, and that nothing can make the reader fall over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.document import MAX_DEPTH, parse
from edge_agent.config.scalar import key, scalar
from edge_agent.config.source import Source


def data(text: str) -> object:
    document, faults = parse(Source("a.yaml", text))
    assert faults == []
    assert document is not None
    return document.root.data


def code(text: str) -> list[tuple[str, int, int]]:
    _, faults = parse(Source("a.yaml", text))
    return [(fault.code, fault.line, fault.column) for fault in faults]


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        *[("", None), ("~", None), ("null", None), ("true", True), ("False", False)],
        *[("0", 0), ("-12", -12), ("+3", 3), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-1.", -1.0)],
        *[(word, word) for word in ("on", "off", "yes", "no", "y", "None", "12:30", "1_000", "2024-01-01", "1,5", "-")],
        *[(word, word) for word in ("0x03E8", "03E8h", "00001", "0o17", ".inf", ".nan", "1e999", "9" * 40, "1.2.3")],
    ],
)
def test_unquoted_words(word: str, meaning: object) -> None:
    assert scalar(word) == meaning
    assert type(scalar(word)) is type(meaning)


def test_numbers_as_keys_are_numbers() -> None:
    assert data("a: {31000: open, 0x8002: not_ready, '5': text, -3: x, 007: y}") == {
        "a": {31000: "open", 0x8002: "not_ready", "5": "text", -3: "x", "007": "y"}
    }
    assert key("x1") == "x1"


def test_quoted_words_are_text() -> None:
    assert data("a: '1'\nb: \"true\"\nc: !!str 00001\nd: |\n  1\n") == {"a": "1", "b": "true", "c": "00001", "d": "1\n"}


def test_anchors_and_merges() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\nd:\n  <<: [*a, {z: 4}]\n"
    assert data(text) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
        "d": {"x": 1, "y": 2, "z": 4},
    }


def test_hangul_is_composed() -> None:
    assert data("a: \u1112\u1161\u11ab") == {"a": "한"}


def test_places() -> None:
    text = "# 주석\nsite: {name: a}\nlinks:\n  - name: b\n    tags:\n    - 온도\n"
    document, _ = parse(Source("a.yaml", text))
    assert document is not None

    def at(*steps: str | int) -> tuple[int, int]:
        place = document.value_place(document.find(steps))
        return place.line, place.column

    assert at("site", "name") == (2, 14)
    assert at("links", 0, "name") == (4, 11)
    assert at("links", 0, "tags", 0) == (6, 7)
    assert at("links", "union-member", 0, "int", "name", "str") == (4, 11)
    found = document.find(("links", 0, "tags"))
    assert document.owner_place(found).column == 5
    assert document.owner_place(found).excerpt == "    tags:"


def test_duplicate_keys_keep_the_first_and_are_all_told() -> None:
    document, faults = parse(Source("a.yaml", "a: 1\nb: {x: 1, x: 2}\na: 3\n"))
    assert document is not None
    assert document.root.data == {"a": 1, "b": {"x": 1}}
    assert [(fault.line, fault.column) for fault in faults] == [(2, 11), (3, 1)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ("EA-142", 0, 0)),
        ("# nothing\n---\n", ("EA-142", 0, 0)),
        ("[1]", ("EA-142", 1, 1)),
        ("a: *b", ("EA-101", 1, 4)),
        ("a: &a [*a]", ("EA-101", 1, 8)),
        ("a: !!python/object:os.system x", ("EA-101", 1, 4)),
        ("a: !include b", ("EA-101", 1, 4)),
        ("? [a]\n: b", ("EA-101", 1, 3)),
        ("? *a\n: b", ("EA-101", 1, 3)),
        ("a: 1\n<<: 5", ("EA-101", 2, 5)),
        ("a: 1\n---\nb: 1", ("EA-101", 2, 1)),
        ("a: " + "[" * 100_000, ("EA-141", 1, 3 + MAX_DEPTH)),
        ("- " * 100_000, ("EA-141", 1, 2 * MAX_DEPTH + 1)),
    ],
)
def test_what_cannot_be_read(text: str, found: tuple[str, int, int]) -> None:
    assert code(text) == [found]


@given(st.text(alphabet=" \n\t-:{}[]#&*!|>'\"%@`?,ab1가：“\u3000\\.~<", max_size=60))
def test_any_text_gives_a_document_or_a_fault(text: str) -> None:
    document, faults = parse(Source("a.yaml", text))
    assert (document is None) <= bool(faults)
    for fault in faults:
        assert fault.line <= len(Source("a.yaml", text).lines)
