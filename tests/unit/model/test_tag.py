"""The tag table numbers tags by configuration order and knows them by path."""

import pytest

from edge_agent.model import Label, Machine, Tag, TagTable
from edge_agent.model.tag import NO_TAG

PRESS = Machine("siheung", "l1", "press1", "press", Label("프레스", ""))


def test_numbers_and_paths() -> None:
    table = TagTable([Tag("tonnage", PRESS, "plc"), Tag("spm", PRESS, "other")])
    assert table.paths == ("siheung/l1/press1/tonnage", "siheung/l1/press1/spm")
    assert table.number("siheung/l1/press1/spm") == 1
    assert table.number("nowhere") == NO_TAG
    assert list(table.of_link("other")) == [1]


def test_order_changes_the_fingerprint() -> None:
    a, b = Tag("a", PRESS, "l"), Tag("b", PRESS, "l")
    assert TagTable([a, b]).fingerprint != TagTable([b, a]).fingerprint
    assert TagTable([a, b]).fingerprint == TagTable([a, b]).fingerprint


def test_a_path_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="siheung/l1/press1/a"):
        TagTable([Tag("a", PRESS, "x"), Tag("a", PRESS, "y")])


def test_label_falls_back_to_the_other_language() -> None:
    assert PRESS.label.in_language("en", "press1") == "프레스"
    assert Label().in_language("ko", "press1") == "press1"
