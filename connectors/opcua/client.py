"""The OPC UA connector: connects, subscribes or polls, and goes on until something breaks.

The channel's renewal, the publishers and the silence watch are ours, in one task group.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import anyio

from connectors.opcua.config import OpcUaLink
from connectors.opcua.connection import CHANNEL_SECONDS, Connection, opened
from connectors.opcua.continuity import Continuity, Watched
from connectors.opcua.decoder import Decoder
from connectors.opcua.description import describe
from connectors.opcua.history import History
from connectors.opcua.limits import Limits
from connectors.opcua.notifier import EventBooks
from connectors.opcua.plan import make_plan
from connectors.opcua.polling import Polling
from connectors.opcua.subscription import Subscription
from connectors.opcua.survey import KOREAN_FIRST
from edge_agent.api import Clock, EdgeAgentError, Memory, NotConnected, Notice, Outlet, Severity, TimedOut, Words

SHORTEST_SILENCE: Final = 10.0
"""What the supervisor should wait at least; the connector's own watch may be quicker, down to LEAST_SILENCE."""
LEAST_SILENCE: Final = 3.0
STEADY_S: Final = 10.0
"""A connection that stood this long is replaced at once."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""The queues hold more than twice as much (plan.py), so that nothing is lost over a line that breaks all the time."""
NAMED: Final = 3
"""Tags that a notice names."""
EXAMINE_S: Final = 60.0
"""How often the certificates in use are looked at: dates pass, and people take trust back."""


class OpcUaConnector:
    """See `edge_agent.api.Connector`. Good for one `run`."""

    def __init__(
        self,
        link: OpcUaLink,
        numbers: list[int],
        clock: Clock,
        memory: Memory | None = None,
        *,
        kernel: bool = True,
        channel_seconds: float = CHANNEL_SECONDS,
    ) -> None:
        """Without `memory` no gap is known, so none is filled.

        `kernel=False`, or EDGE_AGENT_NUMBA=0 in the environment, keeps numba out.

        `channel_seconds` is the secure channel's lifetime; it is renewed after three quarters of it.
        """
        self.silence = max(SHORTEST_SILENCE, 3 * link.keep_alive)
        self._link = link
        self._plan = make_plan(link, numbers)
        self._clock = clock
        self._continuity = Continuity(link, self._plan.numbers, clock, memory)
        self._books = EventBooks(link, memory)
        self._limits = Limits(link.profile, link.url, memory, clock.wall)
        self._kernel = kernel
        self._channel_seconds = channel_seconds
        self._told: tuple[Notice, ...] = ()
        self._doubts: tuple[Notice, ...] = ()
        self._asked = False

    async def run(self, outlet: Outlet) -> None:
        """Connects and reads until something breaks for good; raises that as one of the agent's errors.

        When only the connection broke, the session goes on over another one, and nothing is lost that the server still
        holds. It is tried once, and again only after something came meanwhile: at once where the connection stood for
        STEADY_S, else after a pause that doubles.
        """
        await self._continuity.recall()
        try:
            await self._run(outlet)
        finally:
            self._continuity.keep()

    async def _run(self, outlet: Outlet) -> None:
        locales = KOREAN_FIRST if self._books.books else ("en",)  # sentences are for people, and these are there
        channel = self._channel_seconds
        async with opened(self._link, self._clock, channel_seconds=channel, locales=locales) as connection:
            flow = await self._begun(connection, outlet)
            pause = 0.0
            while True:
                began = self._clock.monotonic()
                failure = await self._read(connection, flow, outlet)
                if self._clock.monotonic() - began > STEADY_S:
                    pause = 0.0
                await anyio.sleep(pause)
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
                if not await self._resumed(connection, flow, failure):
                    raise failure
                outlet.reconnected(failure)

    async def _begun(self, connection: Connection, outlet: Outlet) -> "_Flow":
        """What values come by over this connection: a subscription made, or cyclic reads, or both."""
        session, plan, decoder = connection.session, self._plan, Decoder(kernel=self._kernel)
        keep_alive, subscription, polling, history = self._link.keep_alive, None, None, None
        if self._continuity.wanted:
            history = History(session, self._link, plan.numbers, self._continuity.gaps, outlet, self._clock)
            outlet = Watched(outlet, self._continuity.gaps)
        if plan.subscribed or self._books.books:
            subscription = Subscription(
                session, plan, outlet, self._clock, connection.url, decoder, self._books, self._limits
            )
            with connection.during("subscribe"), anyio.fail_after(self._link.timeout):
                keep_alive = await subscription.create(keep_alive)
        self.silence = max(self.silence, 3 * keep_alive)
        silence = max(LEAST_SILENCE, 3 * keep_alive)
        if plan.cycles:
            polling = Polling(session, plan, outlet, self._clock, decoder, silence, self._limits)
        flow = _Flow(decoder, subscription, polling, silence, history)
        if history is not None:
            history.tell = partial(self._say, flow, outlet)
            history.keep = partial(self._continuity.keep, soon=True)
        if subscription is not None:
            subscription.tell = partial(self._say, flow, outlet)
        if subscription is not None and subscription.notifiers is not None:
            subscription.notifiers.tell = partial(self._say, flow, outlet)
        return flow

    async def _resumed(self, connection: Connection, flow: "_Flow", failure: EdgeAgentError) -> bool:
        if not (isinstance(failure, NotConnected | TimedOut) and flow.can_go_on()):
            return False
        try:
            await connection.resume()
            self._continuity.gaps.resumed()
            if flow.subscription is not None:
                with connection.during("read"), anyio.fail_after(self._link.timeout):
                    await flow.subscription.recover()
        except EdgeAgentError:
            return False
        return True

    async def _read(self, connection: Connection, flow: "_Flow", outlet: Outlet) -> EdgeAgentError:
        """Reads until something breaks, and answers what."""
        failures: list[EdgeAgentError] = []
        async with anyio.create_task_group() as group:

            async def until_it_breaks(operation: str, work: Callable[[], Awaitable[None]]) -> None:
                try:
                    with connection.during(operation):
                        await work()
                except EdgeAgentError as error:
                    failures.append(error)
                    group.cancel_scope.cancel()

            for operation, work in flow.works(self._link):
                group.start_soon(until_it_breaks, operation, work)
            group.start_soon(until_it_breaks, "renew secure channel", connection.renew)
            group.start_soon(until_it_breaks, "examine certificates", lambda: self._examine(connection, flow, outlet))
            group.start_soon(self._described, connection, flow, outlet)
            if self._continuity.wanted:
                group.start_soon(self._continuity.tend)
        return failures[0]

    async def _examine(self, connection: Connection, flow: "_Flow", outlet: Outlet) -> None:
        """Tells what a person must know of the certificates, for ever; Refused where the server lost our trust."""
        while True:
            self._told = tuple(await connection.examine())
            self._say(flow, outlet)
            await anyio.sleep(EXAMINE_S)

    def _say(self, flow: "_Flow", outlet: Outlet) -> None:
        outlet.notice((*self._told, *flow.notices(self._link), *self._doubts))

    async def _described(self, connection: Connection, flow: "_Flow", outlet: Outlet) -> None:
        """Tells what the server says of the tags, once; where it won't or can't, the link goes on without."""
        if self._asked:
            return
        with suppress(EdgeAgentError), connection.during("describe"):
            self._doubts = await describe(
                connection.session, self._link.tags, self._plan.numbers.tolist(), outlet, self._limits
            )
            self._asked = True
        if self._doubts:
            self._say(flow, outlet)


class _Flow:
    """How values come over one connection, and go on over the next one of the same session."""

    def __init__(
        self,
        decoder: Decoder,
        subscription: Subscription | None,
        polling: Polling | None,
        silence: float,
        history: History | None,
    ) -> None:
        self.subscription, self._history = subscription, history
        self._decoder, self._polling, self._silence = decoder, polling, silence

    def can_go_on(self) -> bool:
        """Whether all that the session holds was made, and something came since this was last asked."""
        if self.subscription is not None:
            return self.subscription.made and self.subscription.heard_anew()
        return self._polling is not None and self._polling.heard_anew()

    def notices(self, link: OpcUaLink) -> tuple[Notice, ...]:
        """What a person should know of how the values come."""
        others = [*(self._history.notices if self._history is not None else ())]
        if self.subscription is not None and self.subscription.notifiers is not None:
            others += self.subscription.notifiers.notices
        surplus = self.subscription.surplus if self.subscription is not None and self.subscription.made else ()
        if surplus:
            others.append(_no_room(link, surplus))
        bare = self.subscription.bare if self.subscription is not None and self.subscription.made else ()
        if not bare:
            return tuple(others)
        names = _names(link, bare)
        text = Words(
            f"서버가 데드밴드를 처리하지 못하는 태그 {len(bare)}개: {names}. 에이전트가 대신 거릅니다. "
            "백분율 데드밴드는 태그에 range가 있을 때만 거를 수 있습니다",
            f"the server can't do the deadband of {len(bare)} tags: {names}. The agent does it, of those in per cent "
            "only where the tag has a range",
        )
        return (Notice("opcua_deadband", Severity.NOTICE, text, quiet=True), *others)

    def works(self, link: OpcUaLink) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """All that has to run at the same time, each with the operation that its errors are about."""
        subscription, polling = self.subscription, self._polling
        yield "read", self._decoder.tend
        if subscription is not None:
            for _ in range(subscription.publishers):
                yield "read", subscription.publish
            yield "subscribe", partial(subscription.tend, link.retry_items)
            yield "read", partial(subscription.watch, self._silence)
            yield "read", subscription.question
            if subscription.notifiers is not None:
                yield "read events", partial(subscription.notify, link.retry_items)
        if polling is not None:
            yield "find nodes", partial(polling.tend, link.retry_items)
            for cycle in polling.cycles:
                yield "read", partial(polling.poll, cycle)
            if subscription is None:
                yield "read", partial(polling.probe, link.keep_alive)
        if self._history is not None:
            yield "read history", self._history.tend


def _names(link: OpcUaLink, handles: Sequence[int]) -> str:
    return ", ".join(link.tags[handle].tag for handle in handles[:NAMED]) + (", …" if len(handles) > NAMED else "")


def _no_room(link: OpcUaLink, handles: Sequence[int]) -> Notice:
    names = _names(link, handles)
    text = Words(
        f"서버에 감시 항목(monitored item)의 자리가 없는 태그 {len(handles)}개: {names}. 값이 오지 않습니다. "
        "서버에서 감시 항목 수 한도를 늘리거나, 다른 클라이언트를 줄이거나, 이 태그들에 collect: poll을 적으십시오",
        f"the server has no room for monitored items of {len(handles)} tags: {names}. No values come of them. "
        "Raise the server's limit of monitored items, close other clients, or write collect: poll at these tags",
    )
    return Notice("opcua_no_room", Severity.WARNING, text)
