"""Space: the tree of a server's objects and variables as a walk found it, each node once, by its shortest path.

References make a graph, with loops; the walk goes level by level and takes each node where it met it first. Properties
of variables are kept beside them (EURange, EngineeringUnits …) and not walked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from connectors.opcua.inquiry import HAS_PROPERTY, Inquiry, local_id

OBJECT: Final = 1
VARIABLE: Final = 2
MOST_NODES: Final = 200_000
"""Nodes of one walk: about 150 MB."""
DEEPEST: Final = 64
PROPERTIES: Final = frozenset(
    ("EURange", "EngineeringUnits", "InstrumentRange", "EnumStrings", "EnumValues", "TrueState", "FalseState")
)
"""Properties of variables that say what a value means (Part 8, 5.3)."""
OF_THE_SERVER: Final = frozenset(int(number) for number in (ObjectIds.Server, ObjectIds.Aliases, ObjectIds.Locations))
"""Below Objects, but about the server: thousands of nodes that are no signals."""
OBJECTS: Final = int(ObjectIds.ObjectsFolder)
Key = tuple[int, Any]
"""Namespace index and identifier: what makes two node ids the same."""


@dataclass(slots=True)
class SpaceNode:
    """One node. `parent` is its place in `Space.nodes`, -1 at the root; `namespace` is that of the browse name."""

    id: ua.NodeId
    parent: int
    namespace: int
    name: str
    locale: str
    label: str
    node_class: int
    is_property: bool = False
    properties: dict[str, ua.NodeId] | None = None


@dataclass(slots=True)
class Space:
    """What a walk found. `namespaces` is the server's table at that time."""

    namespaces: list[str]
    nodes: list[SpaceNode] = field(default_factory=list)
    is_whole: bool = True
    """False where the walk ended at MOST_NODES or DEEPEST."""

    def variables(self) -> Iterator[int]:
        """Places of the variables, properties of objects among them."""
        return (at for at, node in enumerate(self.nodes) if node.node_class == VARIABLE)

    def line(self, at: int) -> list[SpaceNode]:
        """The node and those above it, from the root down."""
        found = []
        while at >= 0:
            found.append(self.nodes[at])
            at = self.nodes[at].parent
        return found[::-1]

    def path(self, at: int) -> str:
        """`/Objects/line/t17`: for people and for filters, without namespaces."""
        return "/" + "/".join(node.name for node in self.line(at))


async def walk(
    inquiry: Inquiry,
    root: SpaceNode,
    skip: frozenset[int] = OF_THE_SERVER,
    *,
    most: int = MOST_NODES,
    tell: Callable[[int], None] = lambda count: None,
) -> Space:
    """Everything below `root`, without the nodes `i=…` in `skip` and what only they have. `tell` hears the count."""
    space = Space(inquiry.namespaces, [root])
    seen = {key_of(root.id)} | {(0, number) for number in skip}
    level = [0]
    for _ in range(DEEPEST):
        below: list[int] = []
        for start in range(0, len(level), inquiry.limits.browses.size):
            part = level[start : start + inquiry.limits.browses.size]
            found = await inquiry.browse([space.nodes[at].id for at in part], classes=OBJECT | VARIABLE)
            for at, references in zip(part, found, strict=True):
                below += _take(space, at, references, seen, most)
            tell(len(space.nodes))
            if not space.is_whole:
                return space
        level = below
        if not level:
            return space
    space.is_whole = False
    return space


def _take(space: Space, parent: int, references: Sequence[Any], seen: set[Key], most: int) -> list[int]:
    """Adds what is new below `parent`; the places of those to be walked."""
    owner = space.nodes[parent]
    added: list[int] = []
    for one in references:
        node = local_id(one.NodeId, space.namespaces)
        if node is None:
            continue
        is_property = (one.ReferenceTypeId.NamespaceIndex, one.ReferenceTypeId.Identifier) == (0, HAS_PROPERTY)
        name = str(one.BrowseName.Name or "")
        if is_property and owner.node_class == VARIABLE:
            if name in PROPERTIES and one.BrowseName.NamespaceIndex == 0:
                owner.properties = (owner.properties or {}) | {name: node}
            continue
        key = key_of(node)
        if key in seen:
            continue
        if len(space.nodes) >= most:
            space.is_whole = False
            return added
        seen.add(key)
        if not is_property:
            added.append(len(space.nodes))
        space.nodes.append(_node(one, node, parent, name, is_property))
    return added


def _node(one: Any, node: ua.NodeId, parent: int, name: str, is_property: bool) -> SpaceNode:
    label = one.DisplayName
    return SpaceNode(
        node,
        parent,
        int(one.BrowseName.NamespaceIndex),
        name,
        str(label.Locale or ""),
        str(label.Text or ""),
        int(one.NodeClass),
        is_property,
    )


def root_of(node: ua.NodeId, name: Any, label: Any) -> SpaceNode:
    """The node at which a walk begins; `name` and `label` are its BrowseName and DisplayName, None where unknown."""
    text = str(name.Name or "") if name is not None else "Objects"
    return SpaceNode(
        node,
        -1,
        int(name.NamespaceIndex) if name is not None else 0,
        text,
        str(label.Locale or "") if label is not None else "",
        str(label.Text or "") if label is not None else "",
        OBJECT,
    )


def key_of(node: ua.NodeId) -> Key:
    """What makes two node ids the same: servers write small numbers in three ways."""
    return node.NamespaceIndex, node.Identifier


def properties_of(space: Space, at: int) -> Mapping[str, ua.NodeId]:
    """The properties that say what the values of a variable mean."""
    return space.nodes[at].properties or {}
