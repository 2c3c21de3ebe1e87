"""The stage in the middle of the road: inbox -> suppression, live view, detection, journal. One at a time, in order."""

import asyncio
import math
from collections import deque
from typing import Final

import anyio
import anyio.to_thread
import structlog

from edge_agent.clock import Clock
from edge_agent.errors import JournalError
from edge_agent.inbox import Inbox
from edge_agent.journal import Journal
from edge_agent.live import Live
from edge_agent.loss import COUNT_S, Losses
from edge_agent.model import Event, Frame
from edge_agent.news import News
from edge_agent.score import Scoring
from edge_agent.suppression import Suppression
from edge_agent.suppression.group_words import is_spoken_for
from edge_agent.worker import Worker

_log = structlog.get_logger("journal")
IDLE_S: Final = 1.0
"""The stage turns at least this often, so that the watchdog sees it alive when nothing comes."""
TRIP_S: Final = 1.0
"""So long the stage goes on in its thread before it looks at the event loop again: each trip has its price."""
COMMIT_BYTES: Final = 32 << 10
"""So much that is accepted and not durable is made durable before the interval is over …"""
SPACING_S: Final = 0.5
"""… but at least this long after the last time, however much comes."""
EVENTS_SPACING_S: Final = 0.1
"""Events are made durable at once, in a storm of them at least this long after the last time."""
_JOINED: Final = 10_000
"""While the journal refuses, what waits is joined to frames of up to this many values: many small ones cost memory."""


class Store:
    """Takes what the links put, shows it, scores it, and hands it to the journal.

    While the journal refuses (disk full, read-only) frames wait here, at most `limit` values; beyond that the oldest
    are given up and counted as dropped (`journal_unavailable`). Live view and detection go on all the while.
    """

    def __init__(
        self,
        inbox: Inbox,
        live: Live,
        scoring: Scoring | None,
        suppression: Suppression,
        journal: Journal,
        news: News,
        clock: Clock,
        limit: int,
    ) -> None:
        self._inbox, self._live, self._scoring, self._journal = inbox, live, scoring, journal
        self._suppression = suppression
        self._news, self._clock, self._limit = news, clock, limit
        self._pending: deque[tuple[Frame, list[Event]]] = deque()
        self._refused = False
        self._unsynced = False
        self._said = ""
        """The cause that was logged last; empty once it was logged that it is over."""
        self._writer = Worker("journal")
        self._syncer = anyio.CapacityLimiter(1)
        self._pressed, self._pressing = anyio.Event(), IDLE_S
        self._loop: asyncio.AbstractEventLoop | None = None
        self._losses = Losses(live.tags, live.tags[0].machine.site if len(live.tags) else "", clock)
        self._counted = -COUNT_S
        self.progress = clock.monotonic()
        """Monotonic time of the stage's last turn: what the watchdog looks at."""

    async def run(self) -> None:
        """Runs until the inbox is closed and empty."""
        while not self._inbox.closed or self._inbox.door.waiting:
            await self._writer.run(self._turns)

    def _turns(self) -> None:
        """What comes in TRIP_S seconds, without the event loop."""
        end = self._clock.monotonic() + TRIP_S
        while (rest := end - self._clock.monotonic()) > 0 and not self._inbox.closed:
            self._turn(rest)
        if self._inbox.closed:
            self._turn(0.0)

    async def turn(self) -> None:
        """Takes what waits in the inbox, and tries again what the journal refused."""
        await self._writer.run(lambda: self._turn(0.0))

    def _turn(self, wait: float) -> None:
        frames, events = self._inbox.take(wait)
        self.progress = self._clock.monotonic()
        for frame in frames:
            self._live.update(frame)
            if self._scoring is not None:
                self._scoring.offer(frame)
        events = self._suppression.judge(events)
        self._live.note([event for event in events if not is_spoken_for(event)])
        if frames or events:
            self._pend(Frame.concat(frames), events)
        if self._pending:
            self._append_pending()
            self._press()
        if self.progress - self._counted >= COUNT_S:
            self._count_losses()

    async def count_losses(self, *, last: bool = False) -> None:
        """What links lost before it became rows is counted in the journal, and told to the hub once in a while."""
        await self._writer.run(lambda: self._count_losses(last=last))

    def _count_losses(self, *, last: bool = False) -> None:
        self._counted = self._clock.monotonic()
        if lost := self._inbox.take_losses():
            count = self._losses.count(lost, self._journal)
            self._inbox.move(losing=-count, given_up=count)
        self._inbox.put_events(self._losses.events(all_=last))

    def _pend(self, frame: Frame, events: list[Event]) -> None:
        if self._refused and self._pending and len(self._pending[-1][0]) + len(frame) <= _JOINED:
            before, earlier = self._pending.pop()
            frame, events = Frame.concat([before, frame]), [*earlier, *events]
        self._pending.append((frame, events))

    def _append_pending(self) -> None:
        try:
            while self._pending:
                frame, events = self._pending[0]
                self._journal.append(frame, events)
                self._pending.popleft()
                self._inbox.move(pending=-len(frame), accepted=len(frame))
        except JournalError as error:
            self._refused = True
            self._say(error)
            self._give_up(self._limit)
        else:
            self._refused = False
            self._say(None)
        self._news.ring()

    def _say(self, error: JournalError | None) -> None:
        """Logs what changed: trouble once for each kind, and its end once rows are accepted and made durable again."""
        if error is not None and self._said != error.cause.en:
            _log.error("journal_refused", error=str(error))
            self._said = error.cause.en
        elif error is None and self._said and not self._refused and not self._unsynced:
            _log.info("journal_recovered")
            self._said = ""

    def _give_up(self, limit: int) -> None:
        """The oldest go until at most `limit` values wait."""
        while self._inbox.door.pending > limit:
            frame, _ = self._pending.popleft()
            count = self._losses.count([("journal_unavailable", len(frame), frame.tag)], self._journal)
            self._inbox.move(pending=-count, given_up=count)

    async def close(self) -> None:
        """At stop: what the journal would not take until now is given up, and counted."""
        await self._writer.run(lambda: self._give_up(0))
        await self.count_losses()

    async def sync_often(self, interval: float) -> None:
        """Makes what was accepted durable every `interval` seconds, or sooner where there is much, or an event."""
        self._loop = asyncio.get_running_loop()
        while True:
            begun, self._pressing = anyio.current_time(), IDLE_S
            while (rest := begun + min(interval, self._patience()) - anyio.current_time()) > 0:
                with anyio.move_on_after(rest):
                    await self._pressed.wait()
                    self._pressed = anyio.Event()
            await self.sync()

    def _press(self) -> None:
        """Wakes `sync_often` where there is less time than it knows of."""
        patience = self._patience()
        if patience < self._pressing and self._loop is not None:
            self._pressing = patience
            self._loop.call_soon_threadsafe(lambda: self._pressed.set())

    def _patience(self) -> float:
        """Seconds from one sync to the next, as things stand."""
        if self._journal.hurried:
            return EVENTS_SPACING_S
        return SPACING_S if self._journal.unsynced_bytes >= COMMIT_BYTES else math.inf

    async def sync(self) -> None:
        """Makes everything accepted durable, and passes on what the journal has to tell."""
        try:
            await anyio.to_thread.run_sync(self._journal.sync, limiter=self._syncer)
        except JournalError as error:
            self._unsynced = True
            self._say(error)
        else:
            self._unsynced = False
            self._say(None)
        if self._suppression.due:
            await anyio.to_thread.run_sync(self._suppression.save, limiter=self._syncer)
        self._inbox.put_events(self._journal.notices())
