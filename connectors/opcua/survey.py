"""Survey: what a technician wants to know of a server before any tag is written: its tree and its variables' traits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from connectors.opcua.browse_path import parse_path
from connectors.opcua.config import OpcUaServer
from connectors.opcua.connection import Connection, opened
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.items import node_id
from connectors.opcua.limits import Limits
from connectors.opcua.node import node_text, parse_node
from connectors.opcua.space import OBJECTS, OF_THE_SERVER, Space, properties_of, root_of, walk
from connectors.opcua.traits import Text, Traits, text_of, traits_of
from edge_agent.api import Clock, Refused, Words

KOREAN_FIRST: Final = ("ko", "ko-KR", "en", "en-US")
ENGLISH_FIRST: Final = ("en", "en-US", "ko", "ko-KR")
Tell = Callable[[str, int], None]
"""Hears what is being done (`browse`, `read`) and how far it is."""
Choose = Callable[[Space], Sequence[int]]
"""Which variables of the space are wanted, by their places."""


class Shelf(Protocol):
    """Where walked spaces are kept."""

    def take(self, namespaces: list[str], started: str) -> Space | None:
        """The space kept of a server with this table and start."""
        ...

    def put(self, space: Space, started: str) -> None:
        """Keeps it."""
        ...


@dataclass(frozen=True, slots=True)
class Variable:
    """One chosen variable: its place in the space, its address by namespace URI, its traits, its labels."""

    place: int
    node: str
    traits: Traits
    labels: tuple[Text, ...]


@dataclass(frozen=True, slots=True, repr=False)  # asyncio writes down the result of a task that ends: seconds for these
class Survey:
    """The tree, and what was read of the chosen variables."""

    space: Space
    variables: tuple[Variable, ...]
    was_kept: bool
    """Whether the tree was walked at an earlier time."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is walked: below `start` (a node id or a browse path; empty for Objects), at most `most` nodes."""

    start: str = ""
    with_server: bool = False
    most: int = 200_000


async def survey(
    server: OpcUaServer, extent: Extent, shelf: Shelf, choose: Choose, clock: Clock, tell: Tell, *, traits: bool = True
) -> Survey:
    """Walks, chooses, reads. Without `traits` only the tree is asked for. Raises EdgeAgentError."""
    async with opened(server, clock, locales=KOREAN_FIRST) as connection:
        with connection.during("browse"):
            inquiry = Inquiry(connection.session, Limits(server.profile))
            await inquiry.learn()
            space = shelf.take(inquiry.namespaces, inquiry.started)
            was_kept = space is not None
            if space is None:
                space = await _walked(connection, inquiry, extent, tell)
                shelf.put(space, inquiry.started)
            places = choose(space)
            known = await _read(inquiry, space, places, tell) if traits else [Traits()] * len(places)
    english = (
        await _english(server, space, places, clock) if traits and _speaks_korean(inquiry) else [("", "")] * len(places)
    )
    found = (_variable(space, place, each, text) for place, each, text in zip(places, known, english, strict=True))
    return Survey(space, tuple(found), was_kept)


async def _walked(connection: Connection, inquiry: Inquiry, extent: Extent, tell: Tell) -> Space:
    start = (
        await find_node(connection, inquiry, extent.start)
        if extent.start
        else ua.NodeId(ua.Int32(OBJECTS), ua.Int16(0))
    )
    name, label = await inquiry.values([(start, AttributeIds.BrowseName), (start, AttributeIds.DisplayName)])
    skip = frozenset() if extent.with_server else OF_THE_SERVER
    return await walk(
        inquiry, root_of(start, name, label), skip, most=extent.most, tell=lambda count: tell("browse", count)
    )


async def _read(inquiry: Inquiry, space: Space, places: Sequence[int], tell: Tell) -> list[Traits]:
    """The traits, some at a time: the answers of a large server never all wait in memory."""
    found: list[Traits] = []
    step = max(100, inquiry.limits.reads.size)
    for start in range(0, len(places), step):
        part = places[start : start + step]
        nodes = [space.nodes[place].id for place in part]
        found += await traits_of(inquiry, nodes, [properties_of(space, place) for place in part])
        tell("read", len(found))
    return found


def _speaks_korean(inquiry: Inquiry) -> bool:
    languages = {locale.partition("-")[0].lower() for locale in inquiry.locales}
    return {"ko", "en"} <= languages


async def _english(server: OpcUaServer, space: Space, places: Sequence[int], clock: Clock) -> list[Text]:
    """The display names again, in a session that asks for English first."""
    async with opened(server, clock, locales=ENGLISH_FIRST) as connection:
        with connection.during("browse"):
            inquiry = Inquiry(connection.session, Limits(server.profile))
            await inquiry.learn()
            wanted = [(space.nodes[place].id, int(AttributeIds.DisplayName)) for place in places]
            return [text_of(value) for value in await inquiry.values(wanted)]


def _variable(space: Space, place: int, traits: Traits, english: Text) -> Variable:
    node = space.nodes[place]
    text = node_text(node.id.NamespaceIndex, node.id.Identifier, space.namespaces)
    return Variable(place, text, traits, ((node.locale, node.label), english))


async def find_node(connection: Connection, inquiry: Inquiry, text: str) -> ua.NodeId:
    """The node of an address or a browse path. Raises Refused where the server has none."""
    found: ua.NodeId | int | None
    try:
        if text.startswith("/"):
            (found,) = await inquiry.translate([parse_path(text)])
        else:
            address = parse_node(text)
            index = address.namespace_index(inquiry.namespaces)
            found = None if index is None else node_id(address, index)
    except ValueError as error:
        raise _not_there(connection.url, text) from error
    if not isinstance(found, ua.NodeId):
        raise _not_there(connection.url, text)
    return found


def _not_there(url: str, text: str) -> Refused:
    return Refused(
        "find node",
        url,
        Words(f"서버에 {text} 노드가 없습니다", f"the server has no node {text}"),
        Words(
            "예: nsu=urn:press;s=Load, ns=2;i=1001, /Objects/nsu=urn:press;Line/Load. opcua browse 로 찾으십시오",
            "for example nsu=urn:press;s=Load, ns=2;i=1001, /Objects/nsu=urn:press;Line/Load; see opcua browse",
        ),
    )
