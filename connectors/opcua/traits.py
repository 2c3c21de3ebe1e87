"""Traits: what a server says of its variables: data type, access, unit, range, texts of states, description.

Part 8, 5.3 for the properties, Part 3, 5.6.2 for the attributes. The vendor's exceptions pass through.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from connectors.opcua.inquiry import HAS_PROPERTY, HAS_SUBTYPE, Attribute, Inquiry, local_id
from connectors.opcua.space import Key, key_of

ENUMERATION: Final = int(ObjectIds.Enumeration)
_BUILT_IN: Final = {int(kind): kind.name for kind in ua.VariantType if 1 <= int(kind) <= 25}
_ABSTRACT: Final = {26: "Number", 27: "Integer", 28: "UInteger"}
NO_ROWS: Final = frozenset(("ExtensionObject", "DataValue", "DiagnosticInfo", "NodeId", "ExpandedNodeId"))
"""Types whose values would all be rows with BadTypeMismatch."""
_LIKE_STATES: Final = frozenset(("Boolean", "Enumeration"))
_ATTRIBUTES: Final = (
    AttributeIds.DataType,
    AttributeIds.ValueRank,
    AttributeIds.UserAccessLevel,
    AttributeIds.Description,
)
_CURRENT_READ: Final = 1
_DEEPEST_TYPE: Final = 16
Text = tuple[str, str]
"""Locale and text."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of one variable. `type` is the built-in type's name, `Enumeration`, or empty; None: not told."""

    type: str = ""
    type_name: str = ""
    """The server's own name of the type, where it is not built in."""
    is_array: bool = False
    is_readable: bool = True
    description: Text = ("", "")
    unit: str = ""
    range: tuple[float, float] | None = None
    states: tuple[tuple[int, Text], ...] = ()

    @property
    def is_state(self) -> bool:
        """Whether its values are names of states rather than measurements."""
        return self.type in _LIKE_STATES or bool(self.states)


@dataclass(slots=True)
class _DataType:
    """A data type of the server: its built-in base, its name, its enumeration's texts."""

    base: str
    name: str
    states: tuple[tuple[int, Text], ...] = ()


async def traits_of(
    inquiry: Inquiry, nodes: Sequence[ua.NodeId], properties: Sequence[Mapping[str, ua.NodeId]]
) -> list[Traits]:
    """The traits of each variable; `properties` as the walk found them, or `find_properties`."""
    raw = await inquiry.values([(node, number) for node in nodes for number in _ATTRIBUTES])
    rows = [raw[at : at + len(_ATTRIBUTES)] for at in range(0, len(raw), len(_ATTRIBUTES))]
    types = await _data_types(inquiry, {key_of(row[0]): row[0] for row in rows if isinstance(row[0], ua.NodeId)})
    meanings = await read_meanings(inquiry, properties)
    return [_traits(row, types, meaning) for row, meaning in zip(rows, meanings, strict=True)]


def _traits(row: Sequence[Any], types: Mapping[Key, _DataType], meaning: "Meaning") -> Traits:
    kind, rank, access, description = row
    found = types.get(key_of(kind)) if isinstance(kind, ua.NodeId) else None
    base, name, states = (found.base, found.name, found.states) if found is not None else ("", "", ())
    return Traits(
        base,
        name,
        isinstance(rank, int) and rank >= 0,
        not isinstance(access, int) or bool(access & _CURRENT_READ),
        text_of(description),
        meaning.unit,
        meaning.range,
        meaning.states or states,
    )


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the properties of a variable say of its values; empty and None where they say nothing."""

    unit: str = ""
    range: tuple[float, float] | None = None
    states: tuple[tuple[int, Text], ...] = ()


async def find_properties(inquiry: Inquiry, nodes: Sequence[ua.NodeId]) -> list[dict[str, ua.NodeId]]:
    """The properties of each variable, by browse name."""
    found = await inquiry.browse(nodes, HAS_PROPERTY)
    return [_by_name(references, inquiry.namespaces) for references in found]


def _by_name(references: Sequence[Any], namespaces: Sequence[str]) -> dict[str, ua.NodeId]:
    named = ((str(one.BrowseName.Name), local_id(one.NodeId, namespaces)) for one in references)
    return {name: node for name, node in named if node is not None}


async def read_meanings(inquiry: Inquiry, properties: Sequence[Mapping[str, ua.NodeId]]) -> list[Meaning]:
    """Reads the properties; what can't be understood is as if it wasn't there."""
    wanted: list[Attribute] = [(node, AttributeIds.Value) for each in properties for node in each.values()]
    values = iter(await inquiry.values(wanted))
    return [_meaning({name: next(values) for name in each}) for each in properties]


def _meaning(values: Mapping[str, Any]) -> Meaning:
    unit, ends = values.get("EngineeringUnits"), values.get("EURange") or values.get("InstrumentRange")
    return Meaning(unit_text(unit), _range(ends), _states(values))


def unit_text(unit: Any) -> str:
    """An EUInformation (Part 8, 5.6.4.3) as text; its UNECE code (`CEL`) where it has no display name."""
    if not isinstance(unit, ua.EUInformation):
        return ""
    text = str(unit.DisplayName.Text or "").strip()
    number = unit.UnitId if isinstance(unit.UnitId, int) and unit.UnitId > 0 else 0
    code = number.to_bytes(4, "big").lstrip(b"\0") if number < 1 << 32 else b""
    return text or (code.decode("ascii") if code.isalnum() else "")


def _range(ends: Any) -> tuple[float, float] | None:
    if not isinstance(ends, ua.Range):
        return None
    low, high = ends.Low, ends.High
    is_sound = all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high)) and low < high
    return (float(low), float(high)) if is_sound else None


def _states(values: Mapping[str, Any]) -> tuple[tuple[int, Text], ...]:
    """EnumValues (number and text), EnumStrings (texts from 0), or the two texts of a TwoStateDiscrete."""
    if isinstance(listed := values.get("EnumValues"), list):
        pairs = [(one.Value, text_of(one.DisplayName)) for one in listed if isinstance(one, ua.EnumValueType)]
    elif isinstance(listed := values.get("EnumStrings"), list):
        pairs = list(enumerate(map(text_of, listed)))
    else:
        pairs = [(1, text_of(values.get("TrueState"))), (0, text_of(values.get("FalseState")))]
    return tuple(sorted((int(number), text) for number, text in pairs if text[1]))


def text_of(value: Any) -> Text:
    """A LocalizedText as locale and text."""
    if isinstance(value, ua.LocalizedText):
        return str(value.Locale or ""), str(value.Text or "").strip()
    return "", value.strip() if isinstance(value, str) else ""


async def _data_types(inquiry: Inquiry, wanted: Mapping[Key, ua.NodeId]) -> dict[Key, _DataType]:
    """Each data type's built-in base, found by going up the type tree (Part 3, 8)."""
    known = {key: _DataType(name, "") for key in wanted if (name := _built_in(key))}
    for key, node in wanted.items():
        if key not in known:
            known[key] = await _own_type(inquiry, node)
    return known


def _built_in(key: Key) -> str:
    namespace, number = key
    if namespace or not isinstance(number, int):
        return ""
    return _BUILT_IN.get(number, _ABSTRACT.get(number, "Enumeration" if number == ENUMERATION else ""))


async def _own_type(inquiry: Inquiry, node: ua.NodeId) -> _DataType:
    """A type of the server's own: `Duration` is a Double, `RunState` an Enumeration with texts."""
    (name,) = await inquiry.values([(node, AttributeIds.BrowseName)])
    base = await _base(inquiry, node)
    states: tuple[tuple[int, Text], ...] = ()
    if base == "Enumeration":
        (properties,) = await find_properties(inquiry, [node])
        (meaning,) = await read_meanings(inquiry, [properties])
        states = meaning.states
    return _DataType(base, str(getattr(name, "Name", "") or ""), states)


async def _base(inquiry: Inquiry, node: ua.NodeId) -> str:
    for _ in range(_DEEPEST_TYPE):
        (above,) = await inquiry.browse([node], HAS_SUBTYPE, forward=False)
        found = next((up for one in above if (up := local_id(one.NodeId, inquiry.namespaces)) is not None), None)
        if found is None:
            return ""
        if name := _built_in(key_of(found)):
            return name
        node = found
    return ""
