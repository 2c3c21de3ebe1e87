"""Reading: all that a server tells about a few nodes at this moment, for a person who looks for a fault."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from connectors.opcua.browse_path import parse_path
from connectors.opcua.config import OpcUaServer
from connectors.opcua.connection import opened
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.limits import Limits
from connectors.opcua.node import node_text, parse_node
from connectors.opcua.survey import KOREAN_FIRST
from connectors.opcua.target import locate
from connectors.opcua.traits import Text, Traits, find_properties, text_of, traits_of
from edge_agent.api import Clock

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = (
    AttributeIds.BrowseName,
    AttributeIds.DisplayName,
    AttributeIds.AccessLevel,
    AttributeIds.UserAccessLevel,
    AttributeIds.Historizing,
    AttributeIds.MinimumSamplingInterval,
)
_ELEMENTS: Final = 8
"""Elements of an array that are shown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One node. Times are ns since 1970, None where the server gives none; `status` is of the value or of the node."""

    asked: str
    node: str
    name: str
    label: Text
    value: Any
    """A number, a bool or a text; None where there is none."""
    status: int
    source_time: int | None
    server_time: int | None
    received: int
    traits: Traits
    access: int | None
    user_access: int | None
    historizing: bool | None
    sampling: float | None
    """Shortest sampling interval in ms, as the server says; 0: on change, -1: it does not know."""


async def read_nodes(server: OpcUaServer, texts: Sequence[str], clock: Clock) -> list[Reading]:
    """Reads each node once; an unknown one has the status that says so.

    `texts` are node ids or browse paths. Raises EdgeAgentError, and ValueError for what is neither.
    """
    addresses = [parse_path(text) if text.startswith("/") else parse_node(text) for text in texts]
    async with opened(server, clock, locales=KOREAN_FIRST) as connection:
        with connection.during("read"):
            inquiry = Inquiry(connection.session, Limits(server.profile))
            await inquiry.learn()
            found = await locate(inquiry, addresses)
            known = [place for place in found if isinstance(place, ua.NodeId)]
            readings = iter(await _read(inquiry, known, clock))
    return [
        _missing(text, place, clock.wall()) if isinstance(place, int) else _named(text, next(readings))
        for text, place in zip(texts, found, strict=True)
    ]


async def _read(inquiry: Inquiry, nodes: Sequence[ua.NodeId], clock: Clock) -> list[Reading]:
    values = await inquiry.read([(node, int(AttributeIds.Value)) for node in nodes], times=True)
    received = clock.wall()
    plain = await inquiry.values([(node, int(number)) for node in nodes for number in _PLAIN])
    traits = await traits_of(inquiry, nodes, await find_properties(inquiry, nodes))
    return [
        _reading(node_text(node.NamespaceIndex, node.Identifier, inquiry.namespaces), value, row, each, received)
        for node, value, row, each in zip(nodes, values, _rows(plain), traits, strict=True)
    ]


def _rows(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[at : at + len(_PLAIN)] for at in range(0, len(values), len(_PLAIN))]


def _reading(node: str, value: ua.DataValue, row: Sequence[Any], traits: Traits, received: int) -> Reading:
    name, label, access, user_access, historizing, sampling = row
    return Reading(
        "",
        node,
        str(getattr(name, "Name", "") or ""),
        text_of(label),
        plain_value(value.Value.Value) if value.Value is not None else None,
        int(value.StatusCode.value) if value.StatusCode is not None else 0,
        ns_of(value.SourceTimestamp),
        ns_of(value.ServerTimestamp),
        received,
        traits,
        access if isinstance(access, int) else None,
        user_access if isinstance(user_access, int) else None,
        historizing if isinstance(historizing, bool) else None,
        float(sampling) if isinstance(sampling, int | float) else None,
    )


def _named(text: str, made: Reading) -> Reading:
    fields = {name: getattr(made, name) for name in Reading.__slots__}
    return Reading(**fields | {"asked": text})


def _missing(text: str, status: int, now: int) -> Reading:
    return Reading(text, "", "", ("", ""), None, status, None, None, now, Traits(), None, None, None, None)


def ns_of(moment: datetime | None) -> int | None:
    """A server's time as ns since 1970; None where it is absent (1601 counts as absent, Part 6, 5.2.2.5)."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if aware.year <= 1601:
        return None
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000


def plain_value(value: Any) -> Any:
    """A value for people: a number, a bool or a text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat()
        case ua.LocalizedText():
            return text_of(value)[1]
        case ua.QualifiedName():
            return f"{value.NamespaceIndex}:{value.Name}"
        case ua.NodeId():
            return node_text(value.NamespaceIndex, value.Identifier)
        case list():
            shown = ", ".join(str(plain_value(each)) for each in value[:_ELEMENTS])
            return f"[{shown}{', …' if len(value) > _ELEMENTS else ''}] ({len(value)})"
        case _:
            return str(value)
