"""History: after a gap the raw values are read from the server's own history, where it keeps one (Part 11, 6.5.3).

Live values go first: a gap is known only when its tag's first live value has come, and is asked for a moment later, in
small calls with pauses between them. The rows are ordinary ones with their source time and status, and Flag.BACKFILL.
Whatever goes wrong in here is tried again a few times, then given up and told; the link goes on without.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
import numpy as np
import numpy.typing as npt
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua import faults
from connectors.opcua.config import OpcUaLink
from connectors.opcua.connection import STUMBLES
from connectors.opcua.decode import BARE
from connectors.opcua.decoder import Decoder
from connectors.opcua.frames import past_frame, source_times
from connectors.opcua.gaps import Gap, Gaps, alike, inside
from connectors.opcua.inquiry import Inquiry
from connectors.opcua.refill import Refill, asleep, given_up, unable
from connectors.opcua.session import ColumnSession
from connectors.opcua.target import locate
from connectors.opcua.wire import Past, broken, split_history
from edge_agent.api import (
    Clock,
    Frame,
    Notice,
    Outlet,
    ProtocolError,
    Severity,
    Words,
)

AFTER_S: Final = 2.0
"""Live values have this long to begin before anything is asked."""
LOOK_S: Final = 0.5
ROWS_A_SECOND: Final = 10_000
LEAST_PAUSE_S: Final = 0.02
VALUES: Final = 500
"""Values of a node in one call, at most …"""
NODES: Final = 10
"""… and nodes: so that an answer is small beside what is live."""
MOST_TRIES: Final = 3
RETRY_S: Final = 10.0
_MOST_EMPTY: Final = 100
"""Answers in a row that hold nothing and say that there is more."""
_NAMED: Final = 3
"""Tags that a notice names."""
_LIMIT: Final = int(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData)
_HISTORY_READ: Final = 4
"""The bit of AccessLevel (Part 3, 8.57)."""
_NO_DATA: Final = frozenset((0x00A5_0000, 0x809B_0000, 0x80B1_0000))
"""GoodNoData, BadNoData, BadNoDataAvailable."""
_NEVER: Final = frozenset(
    (0x800B_0000, 0x801F_0000, 0x8034_0000, 0x8035_0000, 0x803A_0000, 0x803D_0000, 0x8040_0000, 0x8071_0000)
) | {0x8072_0000}
"""BadServiceUnsupported, BadUserAccessDenied, BadNodeIdUnknown, BadAttributeIdInvalid, BadNotReadable, BadNotSupported,
BadNotImplemented, BadHistoryOperationInvalid, BadHistoryOperationUnsupported: asking again is of no use."""
_NO_POINTS: Final = 0x804B_0000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Int32 = npt.NDArray[np.int32]


@dataclass(slots=True)
class _Ask:
    """A gap that is being read, and where its answer goes on."""

    gap: Gap
    node: ua.NodeId
    point: bytes = b""
    empty: int = 0


@dataclass(slots=True)
class _Taken:
    """What one answer brought."""

    rows: list[tuple[Gap, Frame]] = field(default_factory=list)
    done: list[Gap] = field(default_factory=list)
    """Of which there is no more."""
    going_on: list[_Ask] = field(default_factory=list)
    left: list[_Ask] = field(default_factory=list)
    """Whose continuation points nobody will use."""


class History:
    """Fills the gaps over one session; `tend` for ever. Vendor exceptions of a broken connection pass through."""

    def __init__(
        self, session: ColumnSession, link: OpcUaLink, numbers: Int32, gaps: Gaps, outlet: Outlet, clock: Clock
    ) -> None:
        """`outlet` is the one that does not tell `gaps`; `numbers[handle]` the tags' numbers."""
        self._session = session
        self._tags = link.tags
        self._addresses = [tag.address for tag in link.tags]
        self._elements = [tag.element for tag in link.tags]
        self._wanted = [handle for handle, tag in enumerate(link.tags) if link.fills(tag)]
        self._timeout = link.timeout
        self._numbers, self._gaps, self._outlet, self._clock = numbers, gaps, outlet, clock
        self.tell: Callable[[], None] = _nobody
        """Called when there is another notice."""
        self.keep: Callable[[], None] = _nobody
        """Called when gaps were found, and when they were filled."""
        self._decoder = Decoder(kernel=False)
        self._nodes: dict[int, ua.NodeId] = {}
        self._most, self._values = NODES, VALUES
        self._learned = False
        self._unable: set[int] = set()
        self._asleep: set[int] = set()
        self._failed: dict[int, str] = {}
        self._refill = Refill()
        self._noted = 0
        """Gaps that were open when they were kept last."""
        self._called = link.name, link.machine or ""

    # -- what a person should know -------------------------------------------------------------------------------------

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What of the tags' history can't be had."""
        reason = next(iter(self._failed.values()), "")
        said = (
            ("opcua_history", self._unable, unable),
            ("opcua_historizing", self._asleep, asleep),
            ("opcua_history_gap", self._failed, given_up),
        )
        return tuple(
            Notice(key, Severity.NOTICE, text(self._names(handles), reason)) for key, handles, text in said if handles
        )

    def _names(self, handles: Collection[int]) -> Words:
        some = sorted(handles)
        named = ", ".join(self._tags[handle].tag for handle in some[:_NAMED]) + (", …" if len(some) > _NAMED else "")
        return Words(f"태그 {len(some)}개 ({named})", f"{len(some)} tags ({named})")

    # -- the work ------------------------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Learns what the server has, then fills the gaps that are there and those that come, for ever."""
        try:
            await anyio.sleep(AFTER_S)
            while True:
                if not self._learned:
                    with suppress(TimeoutError, ProtocolError, *STUMBLES):
                        await self._learn()
                if self._learned:
                    await self._fill()
                await anyio.sleep(LOOK_S if self._learned else RETRY_S)
        finally:
            self._tell_refill()

    async def _learn(self) -> None:
        """Where the nodes are now, and which of them have a history that we may read."""
        inquiry = Inquiry(self._session)
        await inquiry.learn()
        (limit,) = await self._session.read_values((_LIMIT,))
        self._most = min(limit, NODES) if isinstance(limit, int) and limit > 0 else NODES
        places = await locate(inquiry, [self._addresses[handle] for handle in self._wanted])
        self._nodes = {
            handle: place for handle, place in zip(self._wanted, places, strict=True) if isinstance(place, ua.NodeId)
        }
        levels = await self._told(inquiry, AttributeIds.UserAccessLevel)
        recording = await self._told(inquiry, AttributeIds.Historizing)
        self._unable = {handle for handle, level in levels.items() if not level & _HISTORY_READ}
        self._asleep = {handle for handle, on in recording.items() if not on} - self._unable
        self._learned = True
        self.tell()

    async def _told(self, inquiry: Inquiry, attribute: AttributeIds) -> dict[int, int]:
        """What the nodes say of themselves, by handle; those that say nothing are not in it."""
        values = await inquiry.values([(node, int(attribute)) for node in self._nodes.values()])
        return {handle: value for handle, value in zip(self._nodes, values, strict=True) if isinstance(value, int)}

    async def _fill(self) -> None:
        """All gaps that are due, one call after the other."""
        self._note()
        while due := self._due():
            batch = alike(due, self._most)
            asked = self._clock.monotonic()
            try:
                await self._read([_Ask(gap, self._nodes[gap.handle]) for gap in batch])
            except UaStatusCodeError as error:
                self._refused(batch, int(error.code), type(error).__name__)
            except TimeoutError:
                self._smaller()
                self._put_off(batch, "Timeout")
            except ProtocolError as error:
                self._put_off(batch, error.cause.en)
            except STUMBLES as error:
                self._put_off(batch, type(error).__name__)
            await anyio.sleep(max(0.0, asked + LEAST_PAUSE_S - self._clock.monotonic()))
        self._note()
        self._tell_refill()

    def _note(self) -> None:
        if len(self._gaps) != self._noted:
            self._noted = len(self._gaps)
            self.keep()

    def _tell_refill(self) -> None:
        if self._refill.rows:
            refill, self._refill = self._refill, Refill()
            self._outlet.events([refill.event(*self._called)])

    def _due(self) -> list[Gap]:
        now = self._clock.monotonic()
        for handle in {gap.handle for gap in self._gaps} & self._unable:
            self._gaps.forget(handle)
        return [gap for gap in self._gaps if gap.due <= now and gap.handle in self._nodes]

    async def _read(self, asks: list[_Ask]) -> None:
        """One question and its continuations, to their end."""
        details = ua.ReadRawModifiedDetails(
            IsReadModified=False,
            StartTime=_moment(min(ask.gap.after for ask in asks)),
            EndTime=_moment(max(ask.gap.before for ask in asks), later=1),
            NumValuesPerNode=ua.UInt32(self._values),
            ReturnBounds=False,
        )
        try:
            while asks:
                with anyio.fail_after(self._timeout):
                    raw = await self._session.history_raw(details, [self._place(ask) for ask in asks])
                answers = split_history(raw)
                if len(answers) != len(asks):
                    raise broken(f"{len(answers)} histories for {len(asks)} nodes")
                taken = _Taken()
                for ask, answer in zip(asks, answers, strict=True):
                    self._take(ask, answer, raw, taken, alone=len(asks) == 1)
                asks = taken.going_on
                await self._put(taken)
                await self._release(details, taken.left)
        except (TimeoutError, ProtocolError):
            await self._release(details, asks)
            raise

    def _place(self, ask: _Ask) -> ua.HistoryReadValueId:
        return ua.HistoryReadValueId(
            NodeId=ask.node, IndexRange=self._elements[ask.gap.handle], ContinuationPoint=ask.point or None
        )

    async def _put(self, taken: _Taken) -> None:
        """Hands the rows over, and only then calls them filled in: the connection may end at any moment."""
        frame = Frame.concat([frame for _, frame in taken.rows])
        if len(frame):
            await self._outlet.put(frame)
            self._refill.add(frame)
        for gap, rows in taken.rows:
            self._gaps.filled(gap, int(rows.time[-1]))
        for gap in taken.done:
            self._gaps.close(gap)
        await anyio.sleep(max(LEAST_PAUSE_S, len(frame) / ROWS_A_SECOND))

    async def _release(self, details: ua.ReadRawModifiedDetails, asks: Sequence[_Ask]) -> None:
        """Lets go of continuation points, of which a server has few (Part 4, 7.9)."""
        held = [self._place(ask) for ask in asks if ask.point]
        if held:
            with suppress(UaStatusCodeError, TimeoutError), anyio.fail_after(self._timeout):
                await self._session.history_raw(details, held, release=True)

    def _take(self, ask: _Ask, answer: Past, raw: bytes, taken: _Taken, *, alone: bool) -> None:
        """The rows of one node's answer, and what it means for its gap."""
        code = answer.status & 0xFFFF_0000
        ask.point = answer.continuation
        if code in _NO_DATA:
            taken.done.append(ask.gap)
        elif answer.status >> 31:
            self._refused([ask.gap], code, ua.StatusCode(ua.UInt32(answer.status)).name)
            taken.left.append(ask)
        else:
            count, frame = self._rows(ask.gap, answer, raw)
            if len(frame):
                taken.rows.append((ask.gap, frame))
            self._judge(ask, count, taken, progress=len(frame) > 0, alone=alone)

    def _rows(self, gap: Gap, answer: Past, raw: bytes) -> tuple[int, Frame]:
        """How many values came, and those of them that are of the gap."""
        if not answer.values.size:
            return 0, Frame.empty()
        rows = self._decoder.rows(raw, answer.values, BARE)
        part = rows.part(inside(source_times(rows.ticks), gap))
        return len(rows.handle), past_frame(part, raw, int(self._numbers[gap.handle]), self._clock.wall())

    def _judge(self, ask: _Ask, count: int, taken: _Taken, *, progress: bool, alone: bool) -> None:
        """Whether there is more to be had of a gap of which `count` values came."""
        gap = ask.gap
        if progress:
            gap.tries = ask.empty = 0
        else:
            ask.empty += 1
        if ask.point and ask.empty <= _MOST_EMPTY:
            taken.going_on.append(ask)
        elif ask.point:
            taken.left.append(ask)
            self._put_off([gap], "no end")
        elif count < self._values or (alone and not progress):
            taken.done.append(gap)
        else:  # so many as were asked for, and no word of more: there may be
            gap.alone = gap.alone or not progress

    def _refused(self, gaps: Sequence[Gap], code: int, name: str) -> None:
        if code in faults.TOO_BIG and self._smaller():
            return
        if code in _NEVER:
            for gap in gaps:
                self._unable.add(gap.handle)
                self._gaps.forget(gap.handle)
            self.tell()
            return
        if code == _NO_POINTS:
            self._most = max(1, self._most // 2)
        self._put_off(gaps, name)

    def _smaller(self) -> bool:
        """Asks for less from now on, where that is possible."""
        if self._most == 1 and self._values == 1:
            return False
        if self._most > 1:
            self._most //= 2
        else:
            self._values = max(1, self._values // 4)
        return True

    def _put_off(self, gaps: Sequence[Gap], reason: str) -> None:
        """Tries again, later each time; not for ever."""
        for gap in gaps:
            gap.tries += 1
            gap.due = self._clock.monotonic() + RETRY_S * (gap.tries - 1)
            if gap.tries > MOST_TRIES:
                self._failed[gap.handle] = reason
                self._gaps.close(gap)
                self.tell()


def _moment(ns: int, *, later: int = 0) -> datetime:
    """The vendor's time, in µs: cut, so that what is asked for is a little more than the gap."""
    return _EPOCH + timedelta(microseconds=ns // 1000 + later)


def _nobody() -> None:
    """Where nobody wants to know."""
