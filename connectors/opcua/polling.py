"""Cyclic reads of one connection: nodes registered, cut into calls, each cycle on its own grid of time.

One Read is under way at a time: many small servers answer in turn anyway, and a fast cycle then waits for one call of
a slow one, not for all of them. A value that was read before, with the same source time, is no new sample and becomes
no row; a value without a source time is one at every reading.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

import anyio
import numpy as np
import numpy.typing as npt
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua import faults
from connectors.opcua.browse_path import BrowsePath
from connectors.opcua.deadband import Deadband
from connectors.opcua.decode import BARE
from connectors.opcua.decoder import Decoder
from connectors.opcua.frames import FrameMaker, said, settle
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.limits import Limits, Portion
from connectors.opcua.plan import LARGEST_CALL, Cycle, Plan
from connectors.opcua.refusals import Refusals
from connectors.opcua.rows import Rows
from connectors.opcua.session import ColumnSession, Encoded, value_of
from connectors.opcua.target import locate
from connectors.opcua.wire import broken, split_read
from edge_agent.api import Clock, Kind, Outlet, is_bad

LARGEST_READ: Final = 240_000
"""Bytes of a call to a server that tells how many nodes one may ask for, about: each call costs as much as a hundred
nodes."""
MOST_READS: Final = 10_000
_STATE: Final = ua.NodeId(ua.Int32(int(ObjectIds.Server_ServerStatus_State)), ua.Int16(0))


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One Read: whose values it asks for."""

    handles: npt.NDArray[np.uint32]
    nodes: Encoded
    elements: Sequence[bytes]

    @classmethod
    def of(cls, handles: Sequence[int], elements: Sequence[bytes]) -> Self:
        """`elements[i]` is the encoded ReadValueId of `handles[i]`."""
        return cls(np.array(handles, np.uint32), Encoded.of(elements), elements)

    def halves(self) -> "tuple[Call, Call]":
        """The same in two calls."""
        middle, handles = len(self.elements) // 2, self.handles.tolist()
        return Call.of(handles[:middle], self.elements[:middle]), Call.of(handles[middle:], self.elements[middle:])


class Polling:
    """`poll` each cycle at once with `tend`; where nothing is subscribed `probe` too."""

    def __init__(
        self,
        session: ColumnSession,
        plan: Plan,
        outlet: Outlet,
        clock: Clock,
        decoder: Decoder,
        patience: float,
        limits: Limits | None = None,
    ) -> None:
        """`patience`: seconds that a call may take before the connection counts as broken. `limits`: the server's."""
        self._session = session
        self._plan = plan
        self.cycles = plan.cycles
        self._outlet = outlet
        self._clock = clock
        self._decoder = decoder
        self._patience = patience
        self._inquiry = Inquiry(session, limits)
        self._maker = FrameMaker(plan.numbers)
        self._deadband = Deadband(len(plan.numbers))
        polled = np.array([handle for cycle in plan.cycles for handle in cycle.handles], np.intp)
        self._deadband.keep(polled, plan.bands[polled])
        self._ticks = np.zeros(len(plan.numbers), np.int64)
        """Each handle's last source time as the server gave it."""
        self._elements: dict[int, bytes] = {}
        self._calls: dict[Cycle, list[Call]] = {}
        self._due: dict[Cycle, float] = {}
        self._refused = Refusals(plan.numbers, clock.wall)
        self._turn = anyio.Lock()
        self._located = anyio.Event()
        self._heard = clock.monotonic()
        self._anew = False

    def heard_anew(self) -> bool:
        """Whether anything came since the last call, or since the beginning."""
        anew, self._anew = self._anew, False
        return anew

    async def tend(self, retry_seconds: float) -> None:
        """Finds the nodes, and again those that were not there, for ever."""
        if not self._located.is_set():
            await self._inquiry.learn()
            await self._locate([handle for cycle in self.cycles for handle in cycle.handles])
            self._located.set()
        while True:
            await anyio.sleep(retry_seconds)
            if missing := self._missing():
                await self._inquiry.learn()
                await self._locate(missing)

    def _missing(self) -> list[int]:
        """Those that were refused, and paths whose node is gone: it may have another id now."""
        gone = np.flatnonzero(self._maker.status == faults.BAD_NODE_ID_UNKNOWN).tolist()
        return [*self._refused, *(handle for handle in gone if isinstance(self._plan.items[handle].node, BrowsePath))]

    async def _locate(self, handles: Sequence[int]) -> None:
        places = await locate(self._inquiry, [self._plan.items[handle].node for handle in handles])
        found = {h: place for h, place in zip(handles, places, strict=True) if isinstance(place, ua.NodeId)}
        verdicts = {h: place for h, place in zip(handles, places, strict=True) if isinstance(place, int)}
        for handle, node in zip(found, await self._registered(list(found.values())), strict=True):
            self._elements[handle] = value_of(node, self._plan.items[handle].element)
        for handle in verdicts:
            self._elements.pop(handle, None)
        self._calls.clear()
        frame = self._refused.judged(handles, verdicts)
        if len(frame):
            await self._outlet.put(frame)

    async def _registered(self, nodes: Sequence[ua.NodeId]) -> Sequence[ua.NodeId]:
        """What the server wants them called while the session lasts (RegisterNodes, Part 4, 5.9.5), if it does."""
        size = self._inquiry.limits.reads.size
        with suppress(UaStatusCodeError):
            return await Portion(size).each(nodes, lambda part: self._session.register_nodes(list(part)))
        return nodes

    async def poll(self, cycle: Cycle) -> None:
        """Reads all of a cycle, every interval, for ever. Readings that could not be in time are counted."""
        await self._located.wait()
        due = self._due.setdefault(cycle, self._clock.monotonic())
        while True:
            await anyio.sleep(max(0.0, due - self._clock.monotonic()))
            await self._scan(cycle)
            due += cycle.interval
            if (over := int((self._clock.monotonic() - due) // cycle.interval)) > 0:
                due += over * cycle.interval
                self._outlet.lost("poll_skipped", over * len(cycle.handles), self._plan.numbers[list(cycle.handles)])
            self._due[cycle] = due

    async def _scan(self, cycle: Cycle) -> None:
        if cycle not in self._calls:
            self._calls[cycle] = self._calls_of(cycle)
        calls, place = self._calls[cycle], 0
        while place < len(calls):
            try:
                await self._read(calls[place])
            except UaStatusCodeError as error:
                if error.code not in faults.TOO_BIG:
                    raise
                if len(calls[place].elements) > 1:
                    if error.code != faults.BAD_ENCODING_ERROR:
                        self._inquiry.limits.reads.halve(len(calls[place].elements), error.code)
                    calls[place : place + 1] = calls[place].halves()
                    continue
                await self._cannot(calls[place], error.code)
            place += 1

    def _calls_of(self, cycle: Cycle) -> list[Call]:
        if told := self._inquiry.limits.told_reads:
            return calls_of(cycle.handles, self._elements, min(told, MOST_READS), LARGEST_READ)
        return calls_of(cycle.handles, self._elements, self._inquiry.limits.reads.size, LARGEST_CALL)

    async def _read(self, call: Call) -> None:
        async with self._turn:
            with anyio.fail_after(self._patience):
                raw = await self._session.read_raw(call.nodes)
        received = self._clock.wall()
        self._hear()
        rows = self._decoder.rows(raw, split_read(raw), BARE)
        if len(rows.handle) != len(call.handles):
            raise broken(f"{len(rows.handle)} values for {len(call.handles)} nodes")
        rows.handle = call.handles
        await self._put(rows, raw, received)

    async def _put(self, rows: Rows, raw: bytes, received: int) -> None:
        settle(rows, raw)
        news = self._news(rows)
        self._ticks[rows.handle] = rows.ticks
        if not news.all():
            rows = rows.part(np.flatnonzero(news))
        rows = self._deadband.outside(rows)
        if not len(rows.handle):
            self._outlet.alive()
            return
        await self._outlet.put(self._maker.make(rows, raw, received))

    def _news(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """What is another sample than the tag's last one; of bad ones, another status."""
        handle, maker = rows.handle, self._maker
        another = (rows.ticks == 0) | (rows.ticks != self._ticks[handle]) | (said(rows) != maker.bits[handle])
        news: npt.NDArray[np.bool_] = (rows.status != maker.status[handle]) | (another & ~is_bad(rows.status))
        return news

    async def _cannot(self, call: Call, code: int) -> None:
        """The server can't answer for this one node: that is a row of this tag, and the others go on."""
        self._hear()
        rows = Rows.empty(1)
        rows.handle, rows.kind[:], rows.bits[:], rows.status[:], rows.ticks[:] = call.handles, Kind.NONE, 0, code, 0
        await self._put(rows, b"", self._clock.wall())

    def _hear(self) -> None:
        self._heard = self._clock.monotonic()
        self._anew = True

    async def probe(self, seconds: float) -> None:
        """Reads the server's state whenever no answer came for so long, for ever: slow cycles let a session die."""
        while True:
            rest = self._heard + seconds - self._clock.monotonic()
            if rest > 0:
                await anyio.sleep(rest)
                continue
            async with self._turn:
                with anyio.fail_after(self._patience):
                    await self._session.read_raw(Encoded.of([value_of(_STATE)]))
            self._hear()
            self._outlet.alive()


def calls_of(handles: Iterable[int], elements: dict[int, bytes], most: int, largest: int) -> list[Call]:
    """The Reads for those of `handles` whose nodes are known: each of at most `most` nodes and `largest` bytes."""
    calls: list[Call] = []
    part: list[int] = []
    size = 0
    for handle in (handle for handle in handles if handle in elements):
        size += len(elements[handle])
        if part and (len(part) == most or size > largest):
            calls.append(Call.of(part, [elements[one] for one in part]))
            part, size = [], len(elements[handle])
        part.append(handle)
    if part:
        calls.append(Call.of(part, [elements[one] for one in part]))
    return calls
