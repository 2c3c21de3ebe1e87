"""The OPC UA connector: connects, subscribes, and reads until something breaks.

The channel's renewal, the publishers and the silence watch are ours, in one task group.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import anyio

from connectors.opcua.config import OpcUaLink
from connectors.opcua.connection import CHANNEL_SECONDS, Connection, opened
from connectors.opcua.description import describe
from connectors.opcua.plan import make_plan
from connectors.opcua.subscription import Subscription
from edge_agent.api import Clock, EdgeAgentError, NotConnected, Notice, Outlet, TimedOut

SHORTEST_SILENCE: Final = 10.0
"""What the supervisor should wait at least; the connector's own watch may be quicker, down to LEAST_SILENCE."""
LEAST_SILENCE: Final = 3.0
STEADY_S: Final = 10.0
"""A connection that stood this long is replaced at once."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""The queues hold more than twice as much (plan.py), so that nothing is lost over a line that breaks all the time."""
EXAMINE_S: Final = 60.0
"""How often the certificates in use are looked at: dates pass, and people take trust back."""


class OpcUaConnector:
    """See `edge_agent.api.Connector`. Good for one `run`."""

    def __init__(
        self,
        link: OpcUaLink,
        numbers: list[int],
        clock: Clock,
        *,
        kernel: bool = True,
        channel_seconds: float = CHANNEL_SECONDS,
    ) -> None:
        """`kernel=False`, or EDGE_AGENT_NUMBA=0 in the environment, keeps numba out.

        `channel_seconds` is the secure channel's lifetime; it is renewed after three quarters of it.
        """
        self.silence = max(SHORTEST_SILENCE, 3 * link.keep_alive)
        self._link = link
        self._plan = make_plan(link, numbers)
        self._clock = clock
        self._kernel = kernel
        self._channel_seconds = channel_seconds
        self._certificates: tuple[Notice, ...] = ()
        self._doubts: tuple[Notice, ...] = ()
        self._asked = False

    async def run(self, outlet: Outlet) -> None:
        """Connects and reads until something breaks for good; raises that as one of the agent's errors.

        When only the connection broke, the session goes on over another one, and nothing is lost that the server still
        holds. It is tried once, and again only after something came meanwhile: at once where the connection stood for
        STEADY_S, else after a pause that doubles.
        """
        async with opened(self._link, self._clock, channel_seconds=self._channel_seconds) as connection:
            subscription = Subscription(
                connection.session, self._plan, outlet, self._clock, connection.url, kernel=self._kernel
            )
            with connection.during("subscribe"), anyio.fail_after(self._link.timeout):
                keep_alive = await subscription.create(self._link.keep_alive)
            self.silence = max(self.silence, 3 * keep_alive)
            silence = max(LEAST_SILENCE, 3 * keep_alive)
            pause = 0.0
            while True:
                began = self._clock.monotonic()
                failure = await self._read(connection, subscription, outlet, silence)
                if self._clock.monotonic() - began > STEADY_S:
                    pause = 0.0
                await anyio.sleep(pause)
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
                if not await self._resumed(connection, subscription, failure):
                    raise failure
                outlet.reconnected(failure)

    async def _resumed(self, connection: Connection, subscription: Subscription, failure: EdgeAgentError) -> bool:
        if not (subscription.made and isinstance(failure, NotConnected | TimedOut) and subscription.heard_anew()):
            return False
        try:
            await connection.resume()
            with connection.during("read"), anyio.fail_after(self._link.timeout):
                await subscription.recover()
        except EdgeAgentError:
            return False
        return True

    async def _read(
        self, connection: Connection, subscription: Subscription, outlet: Outlet, silence: float
    ) -> EdgeAgentError:
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

            for _ in range(subscription.publishers):
                group.start_soon(until_it_breaks, "read", subscription.publish)
            group.start_soon(until_it_breaks, "subscribe", lambda: subscription.tend(self._link.retry_items))
            group.start_soon(until_it_breaks, "read", lambda: subscription.watch(silence))
            group.start_soon(until_it_breaks, "read", subscription.question)
            group.start_soon(until_it_breaks, "renew secure channel", connection.renew)
            group.start_soon(until_it_breaks, "examine certificates", lambda: self._examine(connection, outlet))
            group.start_soon(self._described, connection, outlet)
        return failures[0]

    async def _examine(self, connection: Connection, outlet: Outlet) -> None:
        """Tells what a person must know of the certificates, for ever; Refused where the server lost our trust."""
        while True:
            self._certificates = tuple(await connection.examine())
            outlet.notice((*self._certificates, *self._doubts))
            await anyio.sleep(EXAMINE_S)

    async def _described(self, connection: Connection, outlet: Outlet) -> None:
        """Tells what the server says of the tags, once; where it won't or can't, the link goes on without."""
        if self._asked:
            return
        with suppress(EdgeAgentError), connection.during("describe"):
            self._doubts = await describe(connection.session, self._link.tags, self._plan.numbers.tolist(), outlet)
            self._asked = True
        if self._doubts:
            outlet.notice((*self._certificates, *self._doubts))
