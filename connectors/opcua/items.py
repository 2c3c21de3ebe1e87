"""Monitored items on the server: created in calls as large as it allows, each refused one remembered and retried."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua import faults
from connectors.opcua.browse_path import BrowsePath
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.limits import PRODUCT, Limits
from connectors.opcua.node import NodeAddress
from connectors.opcua.plan import Item, Plan, portion
from connectors.opcua.refusals import Refusals
from connectors.opcua.session import ColumnSession
from connectors.opcua.wire import broken, split_created
from edge_agent.api import Frame

_NAMESPACES = int(ObjectIds.Server_NamespaceArray)
_LIMIT = int(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall)
_ID_TYPES = {
    UUID: ua.NodeIdType.Guid,
    bytes: ua.NodeIdType.ByteString,
    str: ua.NodeIdType.String,
    int: ua.NodeIdType.Numeric,
}


class MonitoredItems:
    """The items of one subscription. Vendor exceptions pass through."""

    def __init__(
        self, session: ColumnSession, plan: Plan, subscription: int, wall: Callable[[], int], limits: Limits
    ) -> None:
        """`subscription` is the server's id of it; `wall` tells ns since 1970."""
        self._session = session
        self._plan = plan
        self._subscription = subscription
        self._limits = limits
        self._inquiry = Inquiry(session, limits)
        self._learned = False
        self._ids: dict[int, int] = {}
        self._led: dict[int, ua.NodeId] = {}
        """Handle -> the node that its path led to."""
        self.refused = Refusals(plan.numbers, wall)
        self.bare: set[int] = set()
        """Handles of items whose deadband the server does not do: they are there without one."""

    async def learn(self) -> None:
        """Reads the namespace table, and at first how many items a call may carry."""
        wanted = (_NAMESPACES,) if self._learned else (_NAMESPACES, _LIMIT, *PRODUCT)
        namespaces, *facts = await self._limits.reads.each(wanted, self._session.read_values)
        self._inquiry.namespaces = [str(uri) for uri in namespaces] if isinstance(namespaces, list) else []
        if not self._learned:
            self._limits.tell(facts[1:], {"items": facts[0]})
            self._learned = True

    async def create(self, items: Sequence[Item]) -> Frame:
        """Creates them; the rows say which tags are newly refused, or refused for another reason than before."""
        known, verdicts = await self._found(items)
        verdicts |= await self._created(known)
        unfit = {handle for handle, code in verdicts.items() if code in faults.NO_FILTER} - self.bare
        if unfit:
            self.bare |= unfit
            verdicts = {handle: code for handle, code in verdicts.items() if handle not in unfit}
            verdicts |= await self._created([item for item in known if item.handle in unfit])
        return self.refused.judged([item.handle for item in items], verdicts)

    async def _created(self, known: Sequence[Item]) -> dict[int, int]:
        """Creates items that are there; handle -> status of those that the server refuses."""
        verdicts: dict[int, int] = {}
        position, room = 0, len(known)
        while position < len(known):
            chunk = portion(known, position, min(self._limits.items.size, room))
            try:
                raw = await self._session.create_items_raw(self._request(chunk))
            except UaStatusCodeError as error:
                if (
                    error.code == faults.BAD_TOO_MANY_MONITORED_ITEMS
                ):  # of the call as a whole: as many as there is room
                    if len(chunk) == 1:
                        return verdicts | {item.handle: error.code for item in known[position:]}
                    room = len(chunk) // 2
                    continue
                if error.code not in faults.TOO_BIG or len(chunk) == 1:
                    raise
                self._limits.items.halve(len(chunk), error.code)
                continue
            verdicts |= self._note(chunk, *split_created(raw))
            position += len(chunk)
        return verdicts

    async def retry_refused(self) -> Frame:
        """Asks again for what was refused; the namespace table is read anew."""
        await self.learn()
        return await self.create([self._plan.items[handle] for handle in self.refused])

    async def read(self, handles: Sequence[int]) -> dict[int, ua.DataValue]:
        """What the server says of their nodes at this moment; only of items that it once accepted."""
        made = [handle for handle in handles if handle in self._ids]
        nodes = [self._led.get(handle) or self._here(self._plan.items[handle]) for handle in made]
        elements = [self._plan.items[handle].element for handle in made]
        answers = await self._inquiry.read([(node, AttributeIds.Value) for node in nodes], elements, times=True)
        return dict(zip(made, answers, strict=True))

    async def create_anew(self, handles: Sequence[int] | None = None) -> Frame:
        """Deletes these items (all where None) and creates them again, so that the server sends their values afresh."""
        chosen = [item.handle for item in self._plan.subscribed] if handles is None else handles
        ids = [number for handle in chosen if (number := self._ids.pop(handle, None)) is not None]
        size = self._limits.items.size
        for chunk in (ids[start : start + size] for start in range(0, len(ids), size)):
            params = ua.DeleteMonitoredItemsParameters(SubscriptionId=self._subscription, MonitoredItemIds=chunk)
            await self._session.delete_monitored_items(params)
        return await self.create([self._plan.items[handle] for handle in chosen])

    async def _found(self, items: Sequence[Item]) -> tuple[list[Item], dict[int, int]]:
        """The items that are on this server now, paths led to their nodes; handle -> status of the others."""
        paths = [item.node for item in items if isinstance(item.node, BrowsePath)]
        targets = iter(await self._inquiry.translate(paths) if paths else ())
        known: list[Item] = []
        missing: dict[int, int] = {}
        for item in items:
            if isinstance(item.node, BrowsePath):
                target = next(targets)
                if isinstance(target, ua.NodeId):
                    self._led[item.handle] = target
                    known.append(replace(item, node=NodeAddress("", target.NamespaceIndex, target.Identifier)))
                else:
                    missing[item.handle] = target
            elif item.node.namespace_index(self._inquiry.namespaces) is None:
                missing[item.handle] = faults.BAD_NODE_ID_UNKNOWN
            else:
                known.append(item)
        return known, missing

    def _request(self, chunk: Sequence[Item]) -> ua.CreateMonitoredItemsParameters:
        return ua.CreateMonitoredItemsParameters(
            SubscriptionId=self._subscription,
            TimestampsToReturn=ua.TimestampsToReturn.Source,
            ItemsToCreate=[self._item(item) for item in chunk],
        )

    def _item(self, item: Item) -> ua.MonitoredItemCreateRequest:
        parameters = ua.MonitoringParameters(
            ClientHandle=item.handle, SamplingInterval=item.sampling, QueueSize=item.queue, DiscardOldest=True
        )
        if item.band is not None and item.handle not in self.bare:
            kind = ua.DeadbandType.Percent if item.band.percent else ua.DeadbandType.Absolute
            parameters.Filter = ua.DataChangeFilter(
                Trigger=ua.DataChangeTrigger.StatusValue, DeadbandType=kind, DeadbandValue=item.band.size
            )
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(
                NodeId=self._here(item), AttributeId=AttributeIds.Value, IndexRange=item.element
            ),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=parameters,
        )

    def _here(self, item: Item) -> ua.NodeId:
        """The node of an item that `_found` has found."""
        if isinstance(item.node, BrowsePath):
            raise TypeError("a path that was not followed")
        return node_id(item.node, item.node.namespace_index(self._inquiry.namespaces) or 0)

    def _note(self, chunk: Sequence[Item], statuses: Sequence[int], ids: Sequence[int]) -> dict[int, int]:
        """Keeps the ids of the good ones; handle -> status of the others."""
        if len(statuses) != len(chunk):
            raise broken(f"{len(statuses)} results for {len(chunk)} items")
        refused: dict[int, int] = {}
        for item, status, number in zip(chunk, statuses, ids, strict=True):
            if status >> 30:
                refused[item.handle] = status
            else:
                self._ids[item.handle] = number
        return refused


def node_id(node: NodeAddress, index: int) -> ua.NodeId:
    """The vendor's form of an address whose namespace has this index now."""
    identifier: Any = node.identifier
    return ua.NodeId(identifier, ua.Int16(index), _ID_TYPES[type(identifier)])
