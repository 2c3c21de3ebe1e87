"""Told: one event as a server tells it (Part 4, 7.25.3), and the filter that asks for its fields (7.22.3). Pure.

What a server lacks comes as null; what it sends in another type than the standard's counts as lacking, so that one odd
event never costs the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import variant_from_binary

from connectors.opcua.decode import pass_variant
from connectors.opcua.node import node_text
from connectors.opcua.reading import ns_of
from connectors.opcua.traits import text_of
from connectors.opcua.wire import Cursor, Part

BASE: Final = int(ObjectIds.BaseEventType)
CONDITION: Final = int(ObjectIds.ConditionType)
SYSTEM: Final = int(ObjectIds.SystemEventType)
REFRESH_START: Final = int(ObjectIds.RefreshStartEventType)
REFRESH_END: Final = int(ObjectIds.RefreshEndEventType)
REFRESH_REQUIRED: Final = int(ObjectIds.RefreshRequiredEventType)
OVERFLOW: Final = int(ObjectIds.EventQueueOverflowEventType)
_ACKNOWLEDGEABLE: Final = int(ObjectIds.AcknowledgeableConditionType)
_ALARM: Final = int(ObjectIds.AlarmConditionType)
_FIELDS: Final = (
    (BASE, "EventId"),
    (BASE, "EventType"),
    (BASE, "SourceNode"),
    (BASE, "SourceName"),
    (BASE, "Time"),
    (BASE, "ReceiveTime"),
    (BASE, "Message"),
    (BASE, "Severity"),
    (CONDITION, ""),
    (CONDITION, "ConditionName"),
    (CONDITION, "BranchId"),
    (CONDITION, "Retain"),
    (_ALARM, "ActiveState/Id"),
    (_ALARM, "ActiveState/TransitionTime"),
    (_ACKNOWLEDGEABLE, "AckedState/Id"),
)
"""Type and browse path of each field; an empty path is the condition's own NodeId (Part 9, 5.5.2.13)."""
_TOP: Final = 1000
_SCALARS: Final = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 17, 21))
"""Built-in types (Part 6, table 1) that a field can have. The vendor's decoder believes counts: it sees no others."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event. Times are ns since 1970, None where absent; `active` and `acked` are None where it has no such state.

    `condition` is the node of the condition, empty where the event is of none; `branch` that of an earlier state.
    """

    id: bytes
    type: ua.NodeId
    source: str = ""
    source_name: str = ""
    time: int | None = None
    server_time: int | None = None
    message: str = ""
    severity: int = 1
    condition: str = ""
    name: str = ""
    branch: str = ""
    active: bool | None = None
    changed: int | None = None
    acked: bool | None = None

    @property
    def standard(self) -> int:
        """The number of its type, where that is one of the standard's; else 0."""
        number = self.type.Identifier
        return number if self.type.NamespaceIndex == 0 and isinstance(number, int) else 0


def split_events(raw: bytes, part: Part) -> Iterator[tuple[int, list[ua.Variant]]]:
    """The client handle and the fields of each event of an EventNotificationList; raises ProtocolError and whatever the
    vendor's decoder raises.
    """
    cursor = Cursor(raw, part.start, part.start + part.size)
    for _ in range(cursor.count(8)):
        handle = cursor.u32()
        yield handle, [_field(cursor) for _ in range(cursor.count(1))]


def _field(cursor: Cursor) -> ua.Variant:
    """A Variant; null for what no field can be."""
    start = cursor.pos
    pass_variant(cursor)
    if cursor.raw[start] not in _SCALARS:
        return ua.Variant()
    return variant_from_binary(Buffer(cursor.raw, start, cursor.pos - start))


def read_told(fields: Sequence[ua.Variant], namespaces: Sequence[str]) -> Told | None:
    """The event behind the fields of `event_filter`; None where not even its type is told."""
    values = [field.Value for field in fields] + [None] * (len(_FIELDS) - len(fields))
    event, kind, source, source_name, time, server_time, message, severity = values[:8]
    condition, name, branch, _, active, changed, acked = values[8:]
    if not isinstance(kind, ua.NodeId):
        return None
    return Told(
        event if isinstance(event, bytes) else b"",
        kind,
        _node(source, namespaces),
        _text(source_name),
        _moment(time),
        _moment(server_time),
        text_of(message)[1],
        min(max(severity, 1), _TOP) if isinstance(severity, int) else 1,
        _node(condition, namespaces),
        _text(name),
        _node(branch, namespaces),
        active if isinstance(active, bool) else None,
        _moment(changed),
        acked if isinstance(acked, bool) else None,
    )


def event_filter(severity: int, *, where: bool) -> ua.EventFilter:
    """Asks for the fields, and with `where` only for what is severe enough.

    Conditions and the server's own words pass whatever their severity: a condition often ends with a lower one than it
    began with, and a refresh is told by events of severity 1.
    """
    chosen = ua.EventFilter(SelectClauses=[_clause(kind, path) for kind, path in _FIELDS])
    if where and severity > 1:
        chosen.WhereClause = ua.ContentFilter(
            [
                _element(ua.FilterOperator.Or, ua.ElementOperand(ua.UInt32(1)), ua.ElementOperand(ua.UInt32(2))),
                _element(
                    ua.FilterOperator.GreaterThanOrEqual,
                    _clause(BASE, "Severity"),
                    ua.LiteralOperand(ua.Variant(severity, ua.VariantType.UInt16)),
                ),
                _element(ua.FilterOperator.Or, ua.ElementOperand(ua.UInt32(3)), ua.ElementOperand(ua.UInt32(4))),
                _of_type(CONDITION),
                _element(ua.FilterOperator.Or, ua.ElementOperand(ua.UInt32(5)), ua.ElementOperand(ua.UInt32(6))),
                _of_type(SYSTEM),
                _of_type(OVERFLOW),
            ]
        )
    return chosen


def _of_type(number: int) -> ua.ContentFilterElement:
    return _element(ua.FilterOperator.OfType, ua.LiteralOperand(ua.Variant(_standard(number), ua.VariantType.NodeId)))


def _element(operator: ua.FilterOperator, *operands: Any) -> ua.ContentFilterElement:
    return ua.ContentFilterElement(FilterOperator=operator, FilterOperands=list(operands))


def _clause(kind: int, path: str) -> ua.SimpleAttributeOperand:
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=_standard(kind),
        BrowsePath=[ua.QualifiedName(step, ua.UInt16(0)) for step in path.split("/") if step],
        AttributeId=ua.UInt32(AttributeIds.Value if path else AttributeIds.NodeId),
    )


def _standard(number: int) -> ua.NodeId:
    return ua.NodeId(ua.Int32(number), ua.Int16(0))


def _node(value: Any, namespaces: Sequence[str]) -> str:
    """As people write it; empty for none and for the null NodeId."""
    if not isinstance(value, ua.NodeId) or value.is_null():
        return ""
    return node_text(value.NamespaceIndex, value.Identifier, namespaces)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _moment(value: Any) -> int | None:
    return ns_of(value) if isinstance(value, datetime) else None
