"""A walked space as bytes, so that a server need not be walked again for another filter. Pure.

Compressed JSON: `{"format", "namespaces", "started", "whole", "nodes"}`; a node is a list of the fields of SpaceNode in
their order, node ids by index of `namespaces`. What is not exactly this is no space.
"""

import json
from typing import Any, Final

import zstandard
from asyncua import ua

from connectors.opcua.items import node_id
from connectors.opcua.node import node_text, parse_node
from connectors.opcua.space import Space, SpaceNode

_FORMAT: Final = 1
_LARGEST: Final = 1 << 30


def dump(space: Space, started: str) -> bytes:
    """The space, and when its server had started."""
    whole = {
        "format": _FORMAT,
        "namespaces": space.namespaces,
        "started": started,
        "whole": space.is_whole,
        "nodes": [_row(node) for node in space.nodes],
    }
    return zstandard.ZstdCompressor(level=3).compress(json.dumps(whole, ensure_ascii=False).encode())


def parse(data: bytes, namespaces: list[str], started: str) -> Space | None:
    """The space of a server with this table and start; None where the bytes are of another one, or damaged."""
    try:
        whole = json.loads(zstandard.ZstdDecompressor().decompress(data, max_output_size=_LARGEST))
        if (whole["format"], whole["namespaces"], whole["started"]) != (_FORMAT, namespaces, started):
            return None
        return Space(namespaces, [_node(row) for row in whole["nodes"]], bool(whole["whole"]))
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, IndexError):
        return None


def _row(node: SpaceNode) -> list[Any]:
    properties = {name: _text(each) for name, each in (node.properties or {}).items()}
    return [
        _text(node.id),
        node.parent,
        node.namespace,
        node.name,
        node.locale,
        node.label,
        node.node_class,
        node.is_property,
        properties,
    ]


def _node(row: list[Any]) -> SpaceNode:
    text, parent, namespace, name, locale, label, node_class, is_property, properties = row
    known = {each: _id(one) for each, one in properties.items()}
    return SpaceNode(_id(text), parent, namespace, name, locale, label, node_class, is_property, known or None)


def _text(node: ua.NodeId) -> str:
    return node_text(node.NamespaceIndex, node.Identifier)


def _id(text: str) -> ua.NodeId:
    address = parse_node(text)
    return node_id(address, address.index)
