"""Browse paths and node addresses: what is written is read back; what is none is refused."""

from __future__ import annotations

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.browse_path import BrowsePath, Step, parse_path, path_text
from connectors.opcua.node import node_text, parse_node
from connectors.opcua.space import Space, SpaceNode
from connectors.opcua.space_file import dump, parse

NAMESPACES = ["http://opcfoundation.org/UA/", "urn:own", "http://maker.example/a/b", ""]
names = st.text(min_size=1, max_size=12).filter(lambda text: text == text.strip())
steps = st.lists(st.tuples(st.integers(0, 4), names), min_size=1, max_size=5)
identifiers = st.one_of(st.integers(0, 2**32 - 1), names, st.uuids(), st.binary(min_size=1, max_size=9))


@given(steps)
def test_a_written_path_is_read_back(made: list[tuple[int, str]]) -> None:
    path = parse_path(path_text([(0, "Objects"), *made], NAMESPACES))
    assert path.root == 85
    assert [(step.namespace_index(NAMESPACES), step.name) for step in path.steps] == made


def test_a_namespace_holds_until_another_one() -> None:
    assert parse_path("/Objects/nsu=urn:a/b;Line/Load&/2/3:x") == BrowsePath(
        85, (Step("urn:a/b", 0, "Line"), Step("urn:a/b", 0, "Load/2"), Step("", 3, "x"))
    )


@pytest.mark.parametrize("text", ["", "/", "Objects/x", "/Objects", "/Objects//x", "/Somewhere/x", "/Objects/70000:x"])
def test_no_paths(text: str) -> None:
    with pytest.raises(ValueError, match="opcua_path"):
        parse_path(text)


@given(st.integers(0, 4), identifiers)
def test_a_written_address_is_read_back(index: int, identifier: object) -> None:
    address = parse_node(node_text(index, identifier, NAMESPACES))
    assert (address.namespace_index(NAMESPACES), address.identifier) == (index, identifier)


def test_a_space_is_read_back_and_a_torn_one_is_none() -> None:
    made = Space(NAMESPACES, [SpaceNode(ua.NodeId(85), -1, 0, "Objects", "", "", 1)])
    made.nodes.append(
        SpaceNode(ua.NodeId("온도", 2), 0, 2, "온도", "ko", "온도", 2, properties={"EURange": ua.NodeId(7, 1)})
    )
    data = dump(made, "then")
    back = parse(data, NAMESPACES, "then")
    assert back is not None
    assert back.nodes[1].properties == made.nodes[1].properties
    assert [(node.id, node.parent, node.name, node.label) for node in back.nodes] == [
        (node.id, node.parent, node.name, node.label) for node in made.nodes
    ]
    assert parse(data, NAMESPACES, "later") is None
    assert parse(data, NAMESPACES[:2], "then") is None
    assert all(parse(data[:at], NAMESPACES, "then") is None for at in range(len(data)))
