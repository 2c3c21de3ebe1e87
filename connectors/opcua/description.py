"""Description: units, ranges and texts of states that a server has for the tags of a link, read once a connection.

First the values, then what they are called: it begins when values flow, goes in small calls with pauses between them,
and a server that refuses or is too slow for it is left in peace. Links with more than MOST tags are not asked; their
tables have units and ranges from `edge-agent opcua browse`.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

import anyio
from asyncua import ua

from connectors.opcua.config import OpcUaTag
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.limits import Limits
from connectors.opcua.session import ColumnSession
from connectors.opcua.target import locate
from connectors.opcua.traits import Text, Traits, find_properties, traits_of
from edge_agent.api import Description, Label, Notice, Outlet, Severity, Words

MOST: Final = 5000
AFTER_S: Final = 1.0
_STEP: Final = 100
_PAUSE_S: Final = 0.1
_NAMED: Final = 3
"""Tags that a notice names."""
_FAR: Final = 10.0
"""Ranges of which one is this many times as wide as the other are no matter of taste: a scale is wrong."""
_SAME: Final = {"cel": "°c", "degc": "°c", "deg c": "°c", "fah": "°f", "degf": "°f", "p1": "%", "percent": "%"}


async def describe(
    session: ColumnSession, tags: Sequence[OpcUaTag], numbers: Sequence[int], outlet: Outlet, limits: Limits
) -> tuple[Notice, ...]:
    """Tells the outlet what the server says of each tag; the notices about what the configuration says otherwise.

    `numbers[i]` is the number of `tags[i]`. The vendor's exceptions pass through.
    """
    if len(tags) > MOST:
        return ()
    await anyio.sleep(AFTER_S)
    inquiry = Inquiry(session, limits)
    await inquiry.learn()
    doubts: list[Words] = []
    for start in range(0, len(tags), _STEP):
        part = range(start, min(start + _STEP, len(tags)))
        nodes = await locate(inquiry, [tags[at].address for at in part])
        known = [(at, node) for at, node in zip(part, nodes, strict=True) if isinstance(node, ua.NodeId)]
        there = [node for _, node in known]
        traits = await traits_of(inquiry, there, await find_properties(inquiry, there))
        for (at, _), found in zip(known, traits, strict=True):
            if (told := _description(found)) is not None:
                outlet.describe(numbers[at], told)
            doubts += _doubts(tags[at], found)
        await anyio.sleep(_PAUSE_S)
    return _notices(doubts)


def _description(found: Traits) -> Description | None:
    """None where the server says nothing."""
    states = tuple((number, _label(text)) for number, text in found.states)
    low, high = found.range or (None, None)
    return Description(found.unit, low, high, states) if found.unit or found.range or states else None


def _label(text: Text) -> Label:
    korean = text[0].lower().startswith("ko") or any("가" <= sign <= "힣" for sign in text[1])
    return Label(ko=text[1]) if korean else Label(en=text[1])


def _doubts(tag: OpcUaTag, found: Traits) -> Iterator[Words]:
    if tag.unit and found.unit and unit_key(tag.unit) != unit_key(found.unit):
        yield Words(
            f"{tag.tag} 단위 {tag.unit} (서버: {found.unit})", f"{tag.tag} unit {tag.unit} (server: {found.unit})"
        )
    if tag.range is not None and found.range is not None and _far(tag.range, found.range):
        ends, other = (f"{low:g} … {high:g}" for low, high in (tag.range, found.range))
        yield Words(f"{tag.tag} 범위 {ends} (서버: {other})", f"{tag.tag} range {ends} (server: {other})")


def unit_key(unit: str) -> str:
    """The same for two ways to write one unit."""
    text = unicodedata.normalize("NFKC", unit).replace(" ", "").casefold()
    return _SAME.get(text, text)


def _far(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether the ranges have nothing in common, or one is much wider."""
    if one[1] < other[0] or other[1] < one[0]:
        return True
    widths = sorted((one[1] - one[0], other[1] - other[0]))
    return widths[1] >= _FAR * widths[0]


def _notices(doubts: Sequence[Words]) -> tuple[Notice, ...]:
    if not doubts:
        return ()
    more = len(doubts) - _NAMED
    korean, english = (", ".join(text) for text in zip(*((one.ko, one.en) for one in doubts[:_NAMED]), strict=True))
    rest = Words(f" 외 {more}건", f" and {more} more") if more > 0 else Words("", "")
    text = Words(
        f"설정과 서버의 말이 다릅니다: {korean}{rest.ko}. 설정을 씁니다. 어느 쪽이 맞는지 확인하십시오",
        f"the configuration says other than the server: {english}{rest.en}. The configuration holds; see who is right",
    )
    return (Notice("opcua_description", Severity.NOTICE, text),)
