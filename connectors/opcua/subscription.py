"""One subscription: publishers that keep several requests in flight, and what comes back turned into frames.

Each publisher holds one PublishRequest open. While one response is decoded and put, the other publishers' requests are
at the server, so it never waits for us. Responses are taken in the order they came (the lock is fair). A publisher
whose `put` waits asks for nothing: so back-pressure reaches the server, whose queues then fill (see `plan.py`).

A subscription outlives its connection: once the session goes on over another one, `recover` fetches what was under way,
and the same work starts again.
"""

import struct
from collections.abc import Callable
from collections.abc import Sequence as Many
from contextlib import suppress
from typing import Final

import anyio
import numpy as np
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from connectors.opcua import faults
from connectors.opcua.deadband import Deadband, numbers
from connectors.opcua.decoder import Decoder
from connectors.opcua.frames import FrameMaker, said, settle
from connectors.opcua.items import MonitoredItems
from connectors.opcua.limits import PUBLISHERS, Limits
from connectors.opcua.notifier import EventBooks, Notifiers
from connectors.opcua.plan import Plan
from connectors.opcua.sequence import Sequence
from connectors.opcua.session import ColumnSession
from connectors.opcua.silence import Silence
from connectors.opcua.wire import (
    DATA_CHANGE,
    EVENTS,
    STATUS_CHANGE,
    Message,
    Part,
    split_publish,
    split_republish,
    status_of,
)
from edge_agent.api import (
    Clock,
    Frame,
    NotConnected,
    Outlet,
    Words,
    is_bad,
    overflowed,
    unanswered,
)

RESYNC_SPACING: Final = 10.0
LOOK_SECONDS: Final = 1.0
"""How often silent tags are looked for."""
MOST_QUESTIONS: Final = 500
"""Silent tags that are read at a time."""
_HANDLE: Final = struct.Struct("<I")
WATCH_SECONDS: Final = 0.25
"""How often it is looked whether anything came."""


class Subscription:
    """The data path of one connection. `create` first, then `publish`, as often as `publishers` says, `tend` and
    `watch` at once.
    """

    def __init__(
        self,
        session: ColumnSession,
        plan: Plan,
        outlet: Outlet,
        clock: Clock,
        url: str,
        decoder: Decoder,
        books: EventBooks | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`books`: what is known of the server's events; None, or without a book, where none are wanted. `limits`: what
        is known of the server's."""
        self._session = session
        self._plan = plan
        self._outlet = outlet
        self._clock = clock
        self._url = url
        self._maker = FrameMaker(plan.numbers)
        self._sequence = Sequence()
        self._lock = anyio.Lock(fast_acquire=True)  # uncontended, as a rule: no round of the event loop for it
        self._acknowledge: list[ua.SubscriptionAcknowledgement] = []
        self._limits = limits if limits is not None else Limits()
        self._resumed = False
        self.publishers = PUBLISHERS
        """How many the server bears."""
        self.tell: Callable[[], None] = _nothing
        """Called when `bare` or `surplus` may have changed."""
        self.made = False
        """Whether all items were asked for: from then on the subscription can go on over another connection."""
        self._stale = anyio.Event()
        self._decoder = decoder
        self._deadband = Deadband(len(plan.numbers))
        self._silence = Silence(plan.intervals, clock.monotonic())
        self._heard = clock.monotonic()
        self._anew = False
        self._id = 0
        self._items: MonitoredItems
        self.notifiers: Notifiers | None = None
        """Of events; None where none are wanted."""
        if books is not None and books.books:
            self.notifiers = Notifiers(session, books, len(plan.numbers), outlet, clock, self._limits)

    async def create(self, keep_alive: float) -> float:
        """Creates the subscription; values can come from now on. Answers the keep-alive time in use, in seconds.

        `keep_alive` is the wish in seconds: where the server publishes more slowly, fewer publishes make one.
        """
        params = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=self._plan.publishing,
            RequestedLifetimeCount=self._plan.lifetime_count,
            RequestedMaxKeepAliveCount=self._plan.keep_alive_count,
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
        )
        result = await self._session.create_subscription(params, _never_called)
        self._id = int(result.SubscriptionId)
        self._items = MonitoredItems(self._session, self._plan, self._id, self._clock.wall, self._limits)
        await self._items.learn()
        self.publishers = self._limits.publishers
        if result.RevisedPublishingInterval * result.RevisedMaxKeepAliveCount > 1500 * keep_alive:
            return await self._hasten(keep_alive, result.RevisedPublishingInterval)
        return float(result.RevisedPublishingInterval * result.RevisedMaxKeepAliveCount / 1000)

    async def _hasten(self, keep_alive: float, publishing: float) -> float:
        params = ua.ModifySubscriptionParameters(
            SubscriptionId=self._id,
            RequestedPublishingInterval=publishing,
            RequestedLifetimeCount=max(self._plan.lifetime_count, 3),
            RequestedMaxKeepAliveCount=max(1, int(1000 * keep_alive / publishing)),
        )
        result = await self._session.update_subscription(params)
        return float(result.RevisedPublishingInterval * result.RevisedMaxKeepAliveCount / 1000)

    async def publish(self) -> None:
        """One publisher; returns only when the server wants fewer of them."""
        while True:
            acknowledged, self._acknowledge = self._acknowledge, []
            try:
                raw = await self._session.publish_raw(acknowledged)
            except UaStatusCodeError as error:
                self._acknowledge = acknowledged + self._acknowledge
                if await self._is_one_too_many(error):
                    return
                continue
            received = self._clock.wall()
            self._heard = self._clock.monotonic()
            self._anew = True
            async with self._lock:
                await self._take(split_publish(raw), raw, received)
                self._heard = self._clock.monotonic()

    async def _is_one_too_many(self, error: UaStatusCodeError) -> bool:
        """Whether this publisher should go; raises what is no matter of too many or too long waiting."""
        if error.code == faults.BAD_TOO_MANY_PUBLISH_REQUESTS and self.publishers > 1:
            self.publishers -= 1
            if not self._resumed:  # else the server may still hold requests of the connection before
                self._limits.fewer_publishers(self.publishers)
            return True
        if error.code not in (faults.BAD_TIMEOUT, faults.BAD_TOO_MANY_PUBLISH_REQUESTS):
            raise error
        await anyio.sleep(self._plan.publishing / 1000)
        return False

    async def _take(self, message: Message, raw: bytes, received: int) -> None:
        if not message.parts:
            self._outlet.alive()
            return
        missing = self._sequence.take(message.sequence)
        if missing is None:
            return
        for number in missing:
            with self._sequence.handling(number):
                await self._fetch_missing(number)
        with self._sequence.handling(message.sequence):
            await self._put(message.parts, raw, received)
        self._acknowledge.append(ua.SubscriptionAcknowledgement(message.subscription, message.sequence))

    async def _fetch_missing(self, number: int) -> None:
        """Asks once more for a message that did not come; where that fails, all tags are read afresh."""
        try:
            raw = await self._session.republish_raw(self._id, number)
        except (UaStatusCodeError, TimeoutError):
            # How many values it held is not known: one a message is the least. Each tag's present value follows.
            self._outlet.lost("republish_failed", 1)
            self._stale.set()
            return
        await self._put(split_republish(raw, self._id).parts, raw, self._clock.wall())
        self._acknowledge.append(ua.SubscriptionAcknowledgement(self._id, number))

    def heard_anew(self) -> bool:
        """Whether anything came since the last call, or since the beginning."""
        anew, self._anew = self._anew, False
        return anew

    async def recover(self) -> None:
        """Fetches the messages that were under way when the connection broke (Part 4, 5.14.5), as far as the server
        kept them, before publishing goes on; a number that is missing then shows as after any loss.
        """
        async with self._lock:
            while (number := self._sequence.next) is not None:
                try:
                    raw = await self._session.republish_raw(self._id, number)
                except UaStatusCodeError:
                    break
                self._sequence.take(number)
                with self._sequence.handling(number):
                    await self._put(split_republish(raw, self._id).parts, raw, self._clock.wall())
                self._acknowledge.append(ua.SubscriptionAcknowledgement(self._id, number))
            self._resumed = True
            self._maker.repeats()
            self._heard = self._clock.monotonic()

    async def _put(self, parts: Many[Part], raw: bytes, received: int) -> None:
        for part in parts:
            if part.type == DATA_CHANGE:
                await self._put_values(part, raw, received)
            elif part.type == STATUS_CHANGE:
                self._end(status_of(raw, part))
            elif part.type == EVENTS and self.notifiers is not None:
                await self.notifiers.take(raw, part, received)
            else:
                self._outlet.alive()

    async def _put_values(self, part: Part, raw: bytes, received: int) -> None:
        rows = self._decoder.rows(raw, part)
        for scan in rows.scans():
            frame = self._maker.make(self._deadband.outside(scan), raw, received)
            over = overflowed(frame.status)
            if over.any():
                self._outlet.lost("overflow", int(over.sum()), frame.tag[over])
            if len(frame):
                await self._outlet.put(frame)
            else:
                self._outlet.alive()
        self._silence.heard[rows.handle] = self._heard

    def _end(self, status: int) -> None:
        name = str(ua.StatusCode(ua.UInt32(status)).name)
        raise NotConnected(
            "read",
            self._url,
            Words(f"서버가 구독을 끝냈습니다: {name}", f"the server ended the subscription: {name}"),
            Words("자동으로 다시 연결합니다", "the agent connects again by itself"),
        )

    async def tend(self, retry_seconds: float) -> None:
        """Creates the items, then retries refused ones and renews all after a loss, for ever."""
        items = self._items
        if not self.made:
            await self._tell(await items.create(self._plan.subscribed))
            self.made = True
        while True:
            self._keep_deadbands()
            self.tell()
            with anyio.move_on_after(retry_seconds):
                await self._stale.wait()
            if self._stale.is_set():
                self._stale = anyio.Event()
                await self._tell(await items.create_anew())
                await anyio.sleep(RESYNC_SPACING)
            elif items.refused:
                await self._tell(await items.retry_refused())

    async def notify(self, retry_seconds: float) -> None:
        """Sees to the events, for ever."""
        if self.notifiers is not None:
            await self.notifiers.tend(self._id, retry_seconds)

    def _keep_deadbands(self) -> None:
        """Of items whose server does not."""
        bare = np.array(sorted(self._items.bare), np.intp)
        self._deadband.keep(bare, self._plan.bands[bare])

    @property
    def surplus(self) -> Many[int]:
        """Handles of tags for which the server has no room: BadTooManyMonitoredItems."""
        return sorted(
            handle for handle, code in self._items.refused.items() if code == faults.BAD_TOO_MANY_MONITORED_ITEMS
        )

    @property
    def bare(self) -> Many[int]:
        """Handles of tags whose deadband the server does not do."""
        return sorted(self._items.bare)

    async def _tell(self, frame: Frame) -> None:
        if len(frame):
            async with self._lock:
                await self._outlet.put(frame)

    async def question(self) -> None:
        """Asks what became of tags that are silent, for ever; writes what is not known yet, and makes their items anew.

        What a server does not answer in time or at all is asked again later: that says nothing of the subscription.
        """
        while True:
            await anyio.sleep(LOOK_SECONDS)
            handles = self._silence.due(self._clock.monotonic(), MOST_QUESTIONS)
            if not len(handles) or not self.made or self._lock.locked():  # what it said may wait behind us
                continue
            self._silence.asked(handles, self._clock.monotonic())
            with suppress(UaStatusCodeError, TimeoutError):
                answers = await self._items.read(handles.tolist())
                await self._weigh(answers, self._clock.wall())

    async def _weigh(self, answers: dict[int, ua.DataValue], received: int) -> None:
        """Compares what was read with each tag's last row; where it is something else twice, it takes that one's place.

        The source's time is no evidence: many servers give the time of the reading.
        """
        if not answers:
            return
        body = [_HANDLE.pack(handle) + struct_to_binary(answer) for handle, answer in answers.items()]
        raw = _HANDLE.pack(len(body)) + b"".join(body)
        rows = self._decoder.rows(raw, Part(DATA_CHANGE, 0, len(raw)))
        settle(rows, raw)
        handle = rows.handle.astype(np.intp)
        known = self._maker.bits[handle]
        with np.errstate(invalid="ignore"):
            near = np.abs(numbers(rows.kind, rows.bits) - numbers(rows.kind, known)) <= self._plan.bands[handle]
        strange = (rows.status >> 30 != self._maker.status[handle] >> 30) | (
            ~is_bad(rows.status) & (said(rows) != known) & ~near
        )
        async with self._lock:
            sure = np.flatnonzero(self._silence.judged(handle, strange))
            if not len(sure):
                return
            frame = self._maker.make(rows.part(sure), raw, received)
            forgotten = frame.tag[~is_bad(frame.status)]
            if len(forgotten):
                self._outlet.lost("item_forgotten", len(forgotten), forgotten)
            await self._outlet.put(frame)
            self._maker.repeats(handle[sure])
        await self._tell(await self._items.create_anew(handle[sure].tolist()))

    async def watch(self, silence: float) -> None:
        """Raises TimedOut when nothing came for `silence` seconds."""
        while True:
            await anyio.sleep(min(WATCH_SECONDS, silence / 4))
            now = self._clock.monotonic()
            if self._lock.locked():  # we are the ones who wait: for the agent's queue
                self._heard = now
            if now - self._heard > silence:
                raise unanswered("read", self._url)


def _never_called(_: object) -> None:
    """asyncua wants a callback for each subscription; our publishers take the responses themselves."""


def _nothing() -> None:
    return
