"""The connector: a link's devices polled side by side over its one connection."""

from collections.abc import Sequence

import anyio

from connectors.modbus import tcp
from connectors.modbus.config import ModbusLink
from connectors.modbus.connection import Connection, unanswered
from connectors.modbus.poll import Poller
from connectors.modbus.wire import Line
from edge_agent.api import Clock, EdgeAgentError, Frame, Memory, Outlet, Words


class ModbusConnector:
    """One link: one TCP connection, all its devices polled over it side by side. See `edge_agent.api.Connector`."""

    def __init__(self, link: ModbusLink, numbers: Sequence[int], clock: Clock, memory: Memory | None = None) -> None:
        """`numbers[i]` is the tag number of `link.tag_list()[i]`."""
        self.silence = 10.0 + max(2 * device.interval + 4 * device.timeout for device in link.devices)
        self._link = link
        self._clock = clock
        self._name = f"modbus://{link.host}:{link.port}"
        self._pollers = [
            Poller(device, points, clock) for device, points in zip(link.devices, link.points(numbers), strict=True)
        ]

    async def run(self, outlet: Outlet) -> None:
        """Connects and polls until the connection breaks or every unit falls silent; raises why."""
        connection = await self._connect()
        try:
            await self._poll(connection, _InTurn(outlet))
        finally:
            await connection.close()

    async def _poll(self, connection: Connection, outlet: Outlet) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(connection.watch)
                for poller in self._pollers:
                    group.start_soon(poller.run, connection, outlet, self._mourn)
        except BaseExceptionGroup as group_of_errors:
            raise _reason(group_of_errors) from None

    async def _connect(self) -> Connection:
        link = self._link
        line = Line(self._clock, link.in_flight, self._name)
        return await tcp.connect(link.host, link.port, link.connect_timeout, line, self._clock)

    def _mourn(self) -> None:
        if all(poller.dead for poller in self._pollers):
            cause = Words("연결은 되었으나 답하는 장치가 없습니다", "connected, but no unit answers")
            raise unanswered("read", self._name, cause)


class _InTurn:
    """The outlet for several pollers: one `put` at a time, so the frames of a link stay in order."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._lock = anyio.Lock()
        self.alive = outlet.alive
        self.lost = outlet.lost

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
