"""Notifiers: the objects of a server whose events are taken, as items of the subscription that values come by.

So a session that goes on over another connection keeps its events too: what was under way is fetched with the values.
Each (re)connection is followed by a ConditionRefresh; what it repeats, and what it leaves out, is the book's to judge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import anyio
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua import faults
from connectors.opcua.condition_book import ConditionBook
from connectors.opcua.config import OpcUaEvents, OpcUaLink
from connectors.opcua.connection import STUMBLES
from connectors.opcua.event_type import EventTypes
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.limits import Limits
from connectors.opcua.session import ColumnSession
from connectors.opcua.target import locate
from connectors.opcua.told import (
    OVERFLOW,
    REFRESH_END,
    REFRESH_REQUIRED,
    REFRESH_START,
    Told,
    event_filter,
    read_told,
    split_events,
)
from connectors.opcua.wire import Part
from edge_agent.api import Clock, Event, Memory, Notice, Outlet, ProtocolError, Severity, Words

QUEUE: Final = 1000
"""Events that the server keeps for us: a storm of alarms comes within seconds."""
REFRESH_SPACING: Final = 1.0
"""Seconds between two refreshes, and before one is asked for again while another goes on."""
PART: Final = "events"


@dataclass(slots=True)
class _Notifier:
    """One item. `id` is the server's, 0 while there is none; `status` why not."""

    section: OpcUaEvents
    book: ConditionBook
    id: int = 0
    status: int = 0


class EventBooks:
    """What is known of one link's events, over connections and restarts."""

    def __init__(self, link: OpcUaLink, memory: Memory | None) -> None:
        self._memory = memory
        self.sections = link.event_list()
        self.books = [ConditionBook(link.name, one.machine, one.severity) for one in self.sections]
        self._identity = f"{link.url} " + " ".join(f"{one.node}>{one.machine}" for one in self.sections)
        self._open: list[str] = []
        self._recall()

    def keep(self) -> None:
        """Notes what is known now: soon where conditions began or ended, for nobody else knows that they are open."""
        if self._memory is None or not self.books:
            return
        now_open = [event.id for book in self.books for event in book.open.values()]
        soon, self._open = now_open != self._open, now_open
        self._memory.keep(PART, self._identity, {"books": [book.kept() for book in self.books]}, soon=soon)

    def _recall(self) -> None:
        if self._memory is None or not self.books:
            return
        learned: Mapping[str, Any] = self._memory.recall(PART, self._identity)
        try:
            for book, kept in zip(self.books, learned.get("books", ()), strict=False):
                book.recall(kept)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._memory.forget(PART, f"{type(error).__name__}: {error}")


class Notifiers:
    """The event items of one subscription. `take` what comes; `tend` for as long as a connection stands."""

    def __init__(
        self, session: ColumnSession, books: EventBooks, first: int, outlet: Outlet, clock: Clock, limits: Limits
    ) -> None:
        """`first` is the client handle of the first item: those below are of tags."""
        self._session, self._outlet, self._clock, self._books = session, outlet, clock, books
        self._inquiry = Inquiry(session, limits)
        self._types = EventTypes(self._inquiry)
        self._items = {
            first + at: _Notifier(section, book)
            for at, (section, book) in enumerate(zip(books.sections, books.books, strict=True))
        }
        self._refresh = anyio.Event()
        self._refusal = 0
        self.tell: Callable[[], None] = _nothing
        """Called when `notices` have changed."""

    async def take(self, raw: bytes, part: Part, received: int) -> None:
        """An EventNotificationList: what is new in it is told. What can't be read is a loss, and ends nothing."""
        try:
            listed = list(split_events(raw, part))
        except (ProtocolError, *STUMBLES):
            self._outlet.lost("event_unreadable", 1)
            return
        events: list[Event] = []
        for handle, fields in listed:
            events += await self._one(handle, fields, received)
        if events:
            self._books.keep()
        self._outlet.events(events)

    async def _one(self, handle: int, fields: Sequence[ua.Variant], received: int) -> list[Event]:
        item = self._items.get(handle)
        told = read_told(fields, self._inquiry.namespaces)
        if item is None or told is None:
            self._outlet.lost("event_unreadable", 1)
            return []
        said = self._of_refresh(item.book, told, received)
        return item.book.take(told, await self._types.of(told.type), received) if said is None else said

    def _of_refresh(self, book: ConditionBook, told: Told, received: int) -> list[Event] | None:
        """What the server says of its own telling; None for an event."""
        match told.standard:
            case number if number == REFRESH_START:
                book.refresh()
            case number if number == REFRESH_END:
                return book.refreshed(received)
            case number if number == REFRESH_REQUIRED:
                self.refresh()
            case number if number == OVERFLOW:
                self._outlet.lost("event_overflow", 1)  # how many is not told: one is the least
                if not book.abandon():  # else it is the refresh that is too much, and the next one would be again
                    self.refresh()
            case _:
                return None
        return []

    def refresh(self) -> None:
        """Asks for a ConditionRefresh soon."""
        self._refresh.set()

    async def tend(self, subscription: int, retry_seconds: float) -> None:
        """Makes the items, refreshes when asked to, and asks again for what was refused, for ever."""
        await self._inquiry.learn()
        for item in self._items.values():
            item.book.abandon()
        self.refresh()
        while True:
            if any(not item.id for item in self._items.values()):
                await self._create(subscription)
                self.tell()
            if self._refresh.is_set():
                await self._refreshed(subscription)
            missing = any(not item.id for item in self._items.values())
            with anyio.move_on_after(retry_seconds if missing else None):
                await self._refresh.wait()

    async def _refreshed(self, subscription: int) -> None:
        """One ConditionRefresh; a server without conditions refuses it, and nothing is lost by that."""
        self._refresh = anyio.Event()
        try:
            status = await self._session.condition_refresh(subscription)
        except UaStatusCodeError as error:
            status = int(error.code)
        if status == faults.BAD_REFRESH_IN_PROGRESS:
            self.refresh()
        self._refusal = status if status >> 31 else 0
        await anyio.sleep(REFRESH_SPACING)

    # -- items ---------------------------------------------------------------------------------------------------------

    async def _create(self, subscription: int) -> None:
        missing = {handle: item for handle, item in self._items.items() if not item.id}
        nodes = await locate(self._inquiry, [item.section.address for item in missing.values()])
        for (handle, item), node in zip(missing.items(), nodes, strict=True):
            if isinstance(node, int):
                item.status = node
            else:
                await self._make(subscription, handle, item, node)

    async def _make(self, subscription: int, handle: int, item: _Notifier, node: ua.NodeId) -> None:
        """With the server as the judge of severity; where it is none, we are."""
        for where in (True, False) if item.section.severity > 1 else (False,):
            result = await self._ask(subscription, handle, node, event_filter(item.section.severity, where=where))
            item.status = int(result.StatusCode.value)
            if not item.status >> 31 and not (where and _doubts(result.FilterResult)):
                item.id = int(result.MonitoredItemId)
                return
            if not item.status >> 31:
                await self._delete(subscription, int(result.MonitoredItemId))
            elif item.status not in faults.NO_FILTER:
                return

    async def _ask(
        self, subscription: int, handle: int, node: ua.NodeId, chosen: ua.EventFilter
    ) -> ua.MonitoredItemCreateResult:
        parameters = ua.MonitoringParameters(
            ClientHandle=handle, SamplingInterval=0.0, QueueSize=QUEUE, DiscardOldest=True, Filter=chosen
        )
        request = ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.EventNotifier),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=parameters,
        )
        made = ua.CreateMonitoredItemsParameters(
            SubscriptionId=subscription, TimestampsToReturn=ua.TimestampsToReturn.Neither, ItemsToCreate=[request]
        )
        (result,) = await self._session.create_monitored_items(made)
        return result

    async def _delete(self, subscription: int, number: int) -> None:
        parameters = ua.DeleteMonitoredItemsParameters(SubscriptionId=subscription, MonitoredItemIds=[number])
        await self._session.delete_monitored_items(parameters)

    @property
    def notices(self) -> Sequence[Notice]:
        """What a person should know of events that do not come."""
        return [
            _refused(item.section.node, str(ua.StatusCode(ua.UInt32(item.status)).name))
            for item in self._items.values()
            if not item.id and item.status
        ]


def _refused(node: str, status: str) -> Notice:
    text = Words(
        f"서버가 {node}의 이벤트를 주지 않습니다({status}). events의 node가 이벤트를 알리는 객체인지 확인하십시오",
        f"the server gives no events of {node} ({status}): check that node of events is an object that notifies",
    )
    return Notice(f"opcua_events/{node}", Severity.WARNING, text)


def _doubts(result: Any) -> bool:
    """Whether the server took the filter but not its where clause."""
    clause = getattr(result, "WhereClauseResult", None)
    return any(int(one.StatusCode.value) >> 31 for one in getattr(clause, "ElementResults", None) or ())


def _nothing() -> None:
    """Where nobody wants to know."""
