"""The connector: a link's devices polled side by side over its one connection."""

from collections.abc import Callable, Sequence
from typing import Final

import anyio

from connectors.modbus.budget import SHARE, Budget
from connectors.modbus.config import ModbusLink
from connectors.modbus.connection import Connection, unanswered
from connectors.modbus.learned import Learned
from connectors.modbus.poll import Poller
from connectors.modbus.session import open_link
from connectors.modbus.talk import Bus
from edge_agent.api import Clock, EdgeAgentError, Frame, Memory, Notice, Outlet, Words

_KEEP_EVERY: Final = 10.0
_TELL_EVERY: Final = 2.0


class ModbusConnector:
    """One link: one connection, all its devices polled over it side by side. See `edge_agent.api.Connector`."""

    def __init__(self, link: ModbusLink, numbers: Sequence[int], clock: Clock, memory: Memory | None = None) -> None:
        """`numbers[i]` is the tag number of `link.tag_list()[i]`."""
        self.silence = 10.0 + max(2 * device.interval + 4 * device.timeout for device in link.devices)
        self.silence += link.connect_timeout if link.transport == "dial_in" else 0.0
        self._link = link
        self._clock = clock
        self._name = link.place
        points = link.points(numbers)
        self._learned = Learned(link, self._name, points, clock, memory)
        bus = Bus(Budget(clock, SHARE if link.shared else 1.0), self._learned.trips)
        self._pollers = [
            Poller(device, own, self._learned.units[device.unit], bus, clock, known)
            for device, own, known in zip(link.devices, points, self._learned.known, strict=True)
        ]

    async def run(self, outlet: Outlet) -> None:
        """Connects and polls until the connection breaks or every unit falls silent; raises why."""
        connection = await open_link(self._link, self._clock, self._limit())
        try:
            await self._poll(connection, _InTurn(outlet))
        except EdgeAgentError:
            self._keep(broken=True)
            raise
        finally:
            await connection.close()

    async def _poll(self, connection: Connection, outlet: Outlet) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(connection.watch)
                group.start_soon(self._remember)
                group.start_soon(self._tell, outlet)
                for poller in self._pollers:
                    group.start_soon(poller.run, connection, outlet, self._mourn)
        except BaseExceptionGroup as group_of_errors:
            raise _reason(group_of_errors) from None

    async def _tell(self, outlet: Outlet) -> None:
        """Says which units answer too late, for as long as they do."""
        told: list[str] | None = None
        while True:
            found = self._late()
            if told != [one.key for one in found]:
                told = [one.key for one in found]
                outlet.notice(found)
            await anyio.sleep(_TELL_EVERY)

    def _late(self) -> list[Notice]:
        return [one for unit in self._learned.units.values() if (one := unit.notice()) is not None]

    async def _remember(self) -> None:
        """Keeps what was learned, now and then and at the end."""
        try:
            while True:
                await anyio.sleep(_KEEP_EVERY)
                self._keep(broken=False)
        finally:
            self._keep(broken=False)

    def _keep(self, *, broken: bool) -> None:
        self._learned.keep([poller.known for poller in self._pollers], broken=broken)

    def _limit(self) -> Callable[[], int]:
        """Most requests in flight over all units at the moment."""
        gateway = self._learned.gateway
        first, *others = [unit.window for unit in self._learned.units.values()] if gateway is None else [gateway]
        return (lambda: first.size + sum(window.size for window in others)) if others else (lambda: first.size)

    def _mourn(self) -> None:
        if all(poller.dead for poller in self._pollers):
            cause = Words("연결은 되었으나 답하는 장치가 없습니다", "connected, but no unit answers")
            if late := self._late():
                ko, en = "; ".join(one.text.ko for one in late), "; ".join(one.text.en for one in late)
                cause = Words(f"연결은 되었으나 제때 답하는 장치가 없습니다. {ko}", f"no unit answers in time: {en}")
            raise unanswered("read", self._name, cause)


class _InTurn:
    """The outlet for several pollers: one `put` at a time, so the frames of a link stay in order."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._lock = anyio.Lock()
        self.alive = outlet.alive
        self.lost = outlet.lost
        self.notice = outlet.notice
        self.describe = outlet.describe
        self.events = outlet.events
        self.reconnected = outlet.reconnected

    async def put(self, frame: Frame) -> None:
        async with self._lock:
            await self._outlet.put(frame)


def _reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The agent's own error in a group of nothing else, else the group: a bug must not look like a broken link."""
    ours, others = group.split(EdgeAgentError)
    if ours is None or others is not None:
        return group
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
