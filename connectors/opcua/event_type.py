"""Event types: what kind of event a type stands for (Part 5, 6.4; Part 9), asked of the server where it is its own."""

from dataclasses import dataclass
from typing import Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua.inquiry import HAS_SUBTYPE, Inquiry, local_id
from connectors.opcua.node import node_text
from connectors.opcua.space import Key, key_of
from edge_agent.api import EventClass

_PROCESS: Final = (
    "LimitAlarmType",
    "ExclusiveLimitAlarmType",
    "NonExclusiveLimitAlarmType",
    "ExclusiveLevelAlarmType",
    "ExclusiveDeviationAlarmType",
    "ExclusiveRateOfChangeAlarmType",
    "NonExclusiveLevelAlarmType",
    "NonExclusiveDeviationAlarmType",
    "NonExclusiveRateOfChangeAlarmType",
    "DiscrepancyAlarmType",
)
_INSTRUMENT: Final = ("InstrumentDiagnosticAlarmType",)
_DEEPEST: Final = 16
_MOST: Final = 2000
"""Types that are remembered; a server has far fewer."""


@dataclass(frozen=True, slots=True)
class EventType:
    """Name of a type, and where the cause of its events lies as far as the type says."""

    name: str
    event_class: EventClass


class EventTypes:
    """The types of one server. Vendor exceptions pass through, but for a server that won't tell of a type."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry = inquiry
        self._known: dict[Key, EventType] = {}

    async def of(self, node: ua.NodeId) -> EventType:
        """The type behind this node; asks the server the first time."""
        key = key_of(node)
        if key not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = standard_type(node) or await self._asked(node)
        return self._known[key]

    async def _asked(self, node: ua.NodeId) -> EventType:
        text = node_text(node.NamespaceIndex, node.Identifier, self._inquiry.namespaces)
        try:
            (name,) = await self._inquiry.values([(node, int(AttributeIds.BrowseName))])
            above = await self._above(node)
        except (UaStatusCodeError, TimeoutError):
            name, above = None, None
        event_class = above.event_class if above is not None else EventClass.MACHINE
        return EventType(str(getattr(name, "Name", "") or text), event_class)

    async def _above(self, node: ua.NodeId) -> EventType | None:
        """The first of the standard's types above it."""
        for _ in range(_DEEPEST):
            (above,) = await self._inquiry.browse([node], HAS_SUBTYPE, forward=False)
            found = next((up for one in above if (up := local_id(one.NodeId, self._inquiry.namespaces))), None)
            if found is None:
                return None
            if (known := standard_type(found)) is not None:
                return known
            node = found
        return None


def standard_type(node: ua.NodeId) -> EventType | None:
    """One of the standard's own; None for any other."""
    number = node.Identifier
    if node.NamespaceIndex != 0 or not isinstance(number, int):
        return None
    name = ObjectIdNames.get(number, f"i={number}")
    return EventType(name, _class_of(name))


def _class_of(name: str) -> EventClass:
    if name in _PROCESS:
        return EventClass.PROCESS
    if name in _INSTRUMENT:
        return EventClass.INSTRUMENT
    return EventClass.OPERATOR if name.startswith(("Audit", "Dialog")) else EventClass.MACHINE
