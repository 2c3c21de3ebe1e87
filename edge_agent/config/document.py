"""A YAML file as plain data, with the place of every key and value.

The tree is built from libyaml's events, not by a composer: composers recurse, so a file of 100,000 brackets ends the
process, and they let aliases grow without end. Here depth and size (with each alias counted as often as it is used)
are bounded, and duplicate keys, which YAML forbids and most readers accept in silence, are faults.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from edge_agent.config.place import Place
from edge_agent.config.scalar import Scalar, scalar
from edge_agent.config.scalar import key as scalar_key
from edge_agent.config.source import Source
from edge_agent.config.syntax import syntax_fault
from edge_agent.config.words import fault
from edge_agent.errors import Fault

MAX_DEPTH: Final = 50
MAX_NODES: Final = 2_000_000
"""Values in one file, aliases counted as often as they are used."""

_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "<<"

Path: TypeAlias = tuple[str | int, ...]
"""Where a value is in the data: keys and list positions from the root."""


class Node:
    """One value: `data` is what it means, `mark` (line, column from 0) where it starts."""

    __slots__ = ("data", "mark", "size")

    def __init__(self, data: Any, mark: tuple[int, int]) -> None:
        self.data = data
        self.mark = mark
        self.size = 1

    def child(self, step: str | int) -> "Node | None":
        """The value under a key or at a position; None where there is none."""
        return None

    def place(self, source: Source) -> Place:
        """Where the value starts; `source` is the file of the tree."""
        return source.place(self.mark[0] + 1, self.mark[1] + 1)

    def key_place(self, source: Source, key: str) -> Place:
        """Where `key` is written; the value's own place where it is not."""
        return self.place(source)


class ListNode(Node):
    """A sequence."""

    __slots__ = ("items",)

    def __init__(self, mark: tuple[int, int]) -> None:
        super().__init__([], mark)
        self.items: list[Node] = []

    def child(self, step: str | int) -> Node | None:
        return self.items[step] if isinstance(step, int) and 0 <= step < len(self.items) else None

    def add(self, node: Node) -> None:
        """Appends a value."""
        self.items.append(node)
        self.data.append(node.data)
        self.size += node.size


class MapNode(Node):
    """A mapping. `items` and `keys` are by the key as text, `data` has numbers as numbers (`{31000: sensor_open}`)."""

    __slots__ = ("items", "keys", "merged")

    def __init__(self, mark: tuple[int, int]) -> None:
        super().__init__({}, mark)
        self.items: dict[str, Node] = {}
        self.keys: dict[str, tuple[int, int]] = {}
        self.merged: list[Node] = []

    def child(self, step: str | int) -> Node | None:
        return self.items.get(str(step))

    def key_place(self, source: Source, key: str) -> Place:
        mark = self.keys.get(key)
        return self.place(source) if mark is None else source.place(mark[0] + 1, mark[1] + 1)

    def put(self, word: str | int, node: Node, mark: tuple[int, int]) -> None:
        """Sets a key."""
        key = str(word)
        self.items[key] = node
        self.keys[key] = mark
        self.data[word] = node.data
        self.size += node.size

    def drop(self, key: str) -> None:
        """Takes a key away."""
        del self.items[key], self.keys[key], self.data[key]

    def _take(self, part: "MapNode") -> None:
        for key, node in part.items.items():
            if key not in self.items:
                self.put(scalar_key(key), node, part.keys[key])

    def merge(self) -> None:
        """Takes over what `<<` names, where the mapping does not say otherwise itself."""
        for other in self.merged:
            for part in other.items if isinstance(other, ListNode) else (other,):
                if isinstance(part, MapNode):
                    self._take(part)


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a path: the deepest value that exists, the steps that lead there, and the mapping around it."""

    node: Node
    path: Path
    parents: tuple[Node, ...]

    @property
    def key(self) -> str | None:
        """The key of the value, None in a list."""
        return self.path[-1] if self.path and isinstance(self.path[-1], str) else None


class Document:
    """A file that was read: `root.data` is its plain data."""

    def __init__(self, source: Source, root: Node) -> None:
        self.source = source
        self.root = root

    def find(self, location: Sequence[str | int]) -> Found:
        """The value at `location`. Steps that are no key or position (names of a union's members) are passed over."""
        node, path, parents = self.root, [], []
        for step in location:
            below = node.child(step)
            if below is not None:
                parents.append(node)
                path.append(step)
                node = below
        return Found(node, tuple(path), tuple(parents))

    def value_place(self, found: Found) -> Place:
        """Where the value starts."""
        return found.node.place(self.source)

    def owner_place(self, found: Found) -> Place:
        """Where the key of the value is, or the value itself in a list: what a fault of a whole mapping points at."""
        if found.key is None:
            return self.value_place(found)
        return found.parents[-1].key_place(self.source, found.key)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is not closed yet, with the key that waits for its value."""

    node: ListNode | MapNode
    anchor: str | None
    key: str | int | None = None
    key_mark: tuple[int, int] = (0, 0)
    merge: bool = False


@dataclass(slots=True)
class _Builder:
    source: Source
    faults: list[Fault] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    root: Node | None = None

    def build(self, events: Iterator[Any]) -> None:
        documents = 0
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._stop("syntax.documents", event)

    def _stop(self, kind: str, event: Any, **facts: Any) -> None:
        raise _StopError(fault(kind, self._place(event), **facts))

    def _place(self, event: Any) -> Place:
        return self.source.place(event.start_mark.line + 1, event.start_mark.column + 1)

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        place = (mark.line, mark.column)
        text: str = event.value if event.value.isascii() else unicodedata.normalize("NFC", event.value)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None and type(top.node) is MapNode:
            top.merge = text == _MERGE and event.implicit[0]
            self._key(top, scalar_key(text) if event.implicit[0] else text, place)
            return
        data: Scalar = text
        if event.tag is None or event.tag == "!":
            data = scalar(text) if event.implicit[0] else text
        elif event.tag != _TEXT_TAG:
            self._stop("syntax.tag", event, tag=event.tag)
        self._attach(Node(data, place), event.anchor)

    def _key(self, top: _Open, text: str | int, mark: tuple[int, int]) -> None:
        first = top.node.keys.get(str(text)) if isinstance(top.node, MapNode) and not top.merge else None
        if first is not None:
            place = self.source.place(mark[0] + 1, mark[1] + 1)
            self.faults.append(fault("key.duplicate", place, key=text, first=first[0] + 1))
        top.key, top.key_mark = text, mark

    def _open(self, event: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self._stop("file.deep", event, limit=MAX_DEPTH)
        if self.stack and self.stack[-1].key is None and type(self.stack[-1].node) is MapNode:
            self._stop("syntax.key", event)
        if event.tag is not None and event.tag != "!":
            self._stop("syntax.tag", event, tag=event.tag)
        mark = (event.start_mark.line, event.start_mark.column)
        node = MapNode(mark) if type(event) is yaml.MappingStartEvent else ListNode(mark)
        self.stack.append(_Open(node, event.anchor))

    def _close(self) -> None:
        done = self.stack.pop()
        if isinstance(done.node, MapNode) and done.node.merged:
            done.node.merge()
        if done.node.size > MAX_NODES:
            raise _StopError(fault("file.complex", done.node.place(self.source), limit=MAX_NODES))
        self._attach(done.node, done.anchor)

    def _alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None or (self.stack and self.stack[-1].key is None and type(self.stack[-1].node) is MapNode):
            self._stop("syntax.alias" if node is None else "syntax.key", event, name=event.anchor)
        else:
            self._attach(node, None)

    def _attach(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(top.node, ListNode):
            top.node.add(node)
            return
        if top.merge:
            self._merge(top.node, node)
        elif top.key is not None and str(top.key) not in top.node.items:
            top.node.put(top.key, node, top.key_mark)
        top.key, top.merge = None, False

    def _merge(self, into: MapNode, node: Node) -> None:
        parts = node.items if isinstance(node, ListNode) else [node]
        if all(isinstance(part, MapNode) for part in parts):
            into.merged.append(node)
        else:
            self.faults.append(fault("syntax.merge", node.place(self.source)))


class _StopError(Exception):
    """The file can't be read further."""

    def __init__(self, reason: Fault) -> None:
        super().__init__(reason)
        self.reason = reason


def parse(source: Source) -> tuple[Document | None, list[Fault]]:
    """The document, None where its syntax is broken; and all faults found on the way."""
    builder = _Builder(source)
    try:
        builder.build(yaml.parse(source.text, Loader=yaml.CSafeLoader))
    except _StopError as stop:
        return None, [*builder.faults, stop.reason]
    except yaml.YAMLError as error:
        return None, [*builder.faults, syntax_fault(error, source)]
    root = builder.root
    if root is None or root.data is None:
        return None, [fault("file.empty", Place(source.name, 0, 0))]
    if not isinstance(root, MapNode):
        return None, [*builder.faults, fault("file.no_mapping", root.place(source))]
    return Document(source, root), builder.faults
