"""Inquiry: many reads and browses of one session, cut into calls as large as the server allows. Read-only.

MaxNodesPerRead and MaxNodesPerBrowse (Part 5, 6.3.11) are honoured; where a server tells none, or says *too many* all
the same, calls are halved and the size that worked is kept. The vendor's exceptions pass through.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from connectors.opcua.browse_path import BrowsePath
from connectors.opcua.limits import PRODUCT, Limits
from connectors.opcua.session import ColumnSession

_FACTS: Final = (
    int(ObjectIds.Server_NamespaceArray),
    int(ObjectIds.Server_ServerStatus_StartTime),
    int(ObjectIds.Server_ServerCapabilities_LocaleIdArray),
    int(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead),
    int(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse),
    int(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds),
    *PRODUCT,
)
NO_MATCH: Final = 0x806F_0000
HIERARCHICAL: Final = int(ObjectIds.HierarchicalReferences)
HAS_PROPERTY: Final = int(ObjectIds.HasProperty)
HAS_SUBTYPE: Final = int(ObjectIds.HasSubtype)
_VALUE: Final = 13
_NO_CONTINUATION_POINTS: Final = 0x804B_0000
_REFERENCES: Final = 20_000
"""References in one answer, about: the rest is fetched by BrowseNext."""
_LEAST_REFERENCES: Final = 100
T = TypeVar("T")
R = TypeVar("R")
Attribute = tuple[ua.NodeId, int]
"""A node and the number of one of its attributes (Part 6, Annex A.1)."""


class Inquiry:
    """`learn` first. One call is under way at a time: many small servers answer in turn anyway."""

    def __init__(self, session: ColumnSession, limits: Limits | None = None) -> None:
        """`limits`: what is known of the server's; without, they are learned for this inquiry alone."""
        self._session = session
        self.limits = limits if limits is not None else Limits()
        self.namespaces: list[str] = []
        self.started = ""
        """When the server started, as it says: a sign that it is the same as last time."""
        self.locales: list[str] = []

    async def learn(self) -> None:
        """Reads the namespace table, the languages and the limits."""
        namespaces, started, locales, reads, browses, translations, *product = await self.values(
            [(ua.NodeId(ua.Int32(number), ua.Int16(0)), _VALUE) for number in _FACTS]
        )
        self.namespaces = _texts(namespaces)
        self.locales = _texts(locales)
        self.started = str(started or "")
        self.limits.tell(product, {"reads": reads, "browses": browses, "translations": translations})

    async def read(
        self, wanted: Sequence[Attribute], elements: Iterable[str | None] = repeat(None), *, times: bool = False
    ) -> list[ua.DataValue]:
        """One DataValue for each, MaxAge 0; of arrays one of the `elements` each (IndexRange), where it is not None.

        `times` asks for the server's times too.
        """
        stamps = ua.TimestampsToReturn.Both if times else ua.TimestampsToReturn.Neither

        async def ask(part: Sequence[tuple[Attribute, str | None]]) -> list[ua.DataValue]:
            nodes = [
                ua.ReadValueId(NodeId=node, AttributeId=number, IndexRange=element) for (node, number), element in part
            ]
            parameters = ua.ReadParameters(MaxAge=0.0, TimestampsToReturn=stamps, NodesToRead=nodes)
            return list(await self._session.read(parameters))

        return await self.limits.reads.each(list(zip(wanted, elements, strict=False)), ask)

    async def values(self, wanted: Sequence[Attribute]) -> list[Any]:
        """The values of the attributes as Python has them; None for each that is bad or not there."""
        return [_value(one) for one in await self.read(wanted)]

    async def browse(
        self, nodes: Sequence[ua.NodeId], reference: int = HIERARCHICAL, *, forward: bool = True, classes: int = 0
    ) -> list[list[ua.ReferenceDescription]]:
        """The references of each node, of this type and its subtypes, to nodes of these classes (bits, 0 for all).

        A node that the server does not let us browse has none.
        """
        direction = ua.BrowseDirection.Forward if forward else ua.BrowseDirection.Inverse
        make = _Description(direction, ua.NodeId(ua.Int32(reference), ua.Int16(0)), classes)
        answers = await self.limits.browses.each(nodes, lambda part: self._browsed(part, make))
        for at, answer in enumerate(answers):
            if answer is None:  # it had no continuation point left for this one
                answers[at] = (await self._browsed([nodes[at]], make))[0]
        return [answer or [] for answer in answers]

    async def translate(self, paths: Sequence[BrowsePath]) -> list[ua.NodeId | int]:
        """The node that each path leads to (Part 4, 5.8.4), or the status code that says why there is none.

        Of several nodes with the same browse names the first one is taken, as the server has them.
        """
        wanted = [self._vendor_path(path) for path in paths]
        known = [one for one in wanted if one is not None]

        async def ask(part: Sequence[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
            return list(await self._session.translate_browsepaths_to_nodeids(list(part)))

        results = iter(await self.limits.translations.each(known, ask))
        return [_target(next(results), self.namespaces) if one is not None else NO_MATCH for one in wanted]

    def _vendor_path(self, path: BrowsePath) -> ua.BrowsePath | None:
        """None where the server lacks one of its namespaces."""
        indices = [step.namespace_index(self.namespaces) for step in path.steps]
        if None in indices:
            return None
        elements = [
            ua.RelativePathElement(
                ReferenceTypeId=ua.NodeId(ua.Int32(HIERARCHICAL), ua.Int16(0)),
                IsInverse=False,  # type: ignore[arg-type]  # the vendor's Boolean is bool
                IncludeSubtypes=True,  # type: ignore[arg-type]  # the same
                TargetName=ua.QualifiedName(step.name, ua.UInt16(index or 0)),
            )
            for step, index in zip(path.steps, indices, strict=True)
        ]
        return ua.BrowsePath(ua.NodeId(ua.Int32(path.root), ua.Int16(0)), ua.RelativePath(elements))

    async def _browsed(
        self, part: Sequence[ua.NodeId], make: "_Description"
    ) -> list[list[ua.ReferenceDescription] | None]:
        """One Browse with its BrowseNexts; None where the server was short of continuation points."""
        parameters = ua.BrowseParameters(
            View=ua.ViewDescription(Timestamp=ua.get_win_epoch()),
            RequestedMaxReferencesPerNode=max(_LEAST_REFERENCES, _REFERENCES // len(part)),
            NodesToBrowse=[make.of(node) for node in part],
        )
        results = await self._session.browse(parameters)
        found: list[list[ua.ReferenceDescription] | None] = [
            None if one.StatusCode.value == _NO_CONTINUATION_POINTS and len(part) > 1 else list(one.References or [])
            for one in results
        ]
        open_ends = {at: one.ContinuationPoint for at, one in enumerate(results) if one.ContinuationPoint}
        while open_ends:
            open_ends = await self._continued(open_ends, found)
        return found

    async def _continued(
        self, open_ends: dict[int, bytes], found: list[list[ua.ReferenceDescription] | None]
    ) -> dict[int, bytes]:
        """One round of BrowseNext; what is still open."""
        places = list(open_ends)

        async def ask(part: Sequence[bytes]) -> list[ua.BrowseResult]:
            parameters = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=list(part))
            return list(await self._session.browse_next(parameters))

        results = await self.limits.browses.each(list(open_ends.values()), ask)
        still: dict[int, bytes] = {}
        for place, one in zip(places, results, strict=True):
            known = found[place]
            if one.StatusCode.value >> 31 or known is None:
                one.StatusCode.check()  # the list would have a hole that nobody sees
                continue
            known += one.References or []
            if one.ContinuationPoint:
                still[place] = one.ContinuationPoint
        return still


@dataclass(frozen=True, slots=True)
class _Description:
    """What a browse asks about each node."""

    direction: ua.BrowseDirection
    reference: ua.NodeId
    classes: int

    def of(self, node: ua.NodeId) -> ua.BrowseDescription:
        return ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=self.direction,
            ReferenceTypeId=self.reference,
            IncludeSubtypes=True,
            NodeClassMask=ua.UInt32(self.classes),
            ResultMask=ua.UInt32(0x3F),
        )


def _value(answer: ua.DataValue) -> Any:
    is_bad = answer.StatusCode is not None and answer.StatusCode.value >> 30
    return None if answer.Value is None or is_bad else answer.Value.Value


def _target(result: ua.BrowsePathResult, namespaces: Sequence[str]) -> ua.NodeId | int:
    for one in result.Targets or []:
        whole = one.RemainingPathIndex == 0xFFFF_FFFF
        if whole and (node := local_id(one.TargetId, namespaces)) is not None:
            return node
    return int(result.StatusCode.value) if result.StatusCode.value >> 31 else NO_MATCH


def local_id(node: Any, namespaces: Sequence[str]) -> ua.NodeId | None:
    """An ExpandedNodeId (Part 6, 5.2.2.10) as a NodeId of this server; None where it is on another server."""
    if getattr(node, "ServerIndex", 0):
        return None
    uri = getattr(node, "NamespaceUri", None)
    if uri and uri not in namespaces:
        return None
    index = namespaces.index(uri) if uri else node.NamespaceIndex
    return ua.NodeId(node.Identifier, ua.Int16(index), node.NodeIdType)


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
