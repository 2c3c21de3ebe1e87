"""The stage in the middle of the road: inbox -> live view, detection, journal. One at a time, in order."""

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
from edge_agent.model import Event, Frame
from edge_agent.score import Scoring

_log = structlog.get_logger("journal")
IDLE_S: Final = 1.0
"""The stage turns at least this often, so that the watchdog sees it alive when nothing comes."""


class News:
    """Wakes whoever waits for new rows in the journal."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """There is something new."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self, most: float) -> None:
        """Returns at the next ring, or after `most` seconds."""
        event = self._event
        with anyio.move_on_after(most):
            await event.wait()


class Store:
    """Takes what the links put, shows it, scores it, and hands it to the journal.

    While the journal refuses (disk full, read-only) frames wait here, at most `limit` values; beyond that the oldest
    are given up and counted as dropped (`journal_unavailable`). Live view and detection go on all the while.
    """

    def __init__(
        self, inbox: Inbox, live: Live, scoring: Scoring | None, journal: Journal, news: News, clock: Clock, limit: int
    ) -> None:
        self._inbox, self._live, self._scoring, self._journal = inbox, live, scoring, journal
        self._news, self._clock, self._limit = news, clock, limit
        self._pending: deque[tuple[Frame, list[Event]]] = deque()
        self._refused = False
        self._writer = anyio.CapacityLimiter(1)
        self.pending = 0
        """Values that were collected and that the journal has not accepted yet."""
        self.progress = clock.monotonic()
        """Monotonic time of the stage's last turn: what the watchdog looks at."""

    async def run(self) -> None:
        """Runs until the inbox is closed and empty."""
        while not self._inbox.closed or self._inbox.values:
            frame, events = await self._inbox.take(IDLE_S)
            self.progress = self._clock.monotonic()
            if len(frame):
                self._live.update(frame)
                if self._scoring is not None:
                    self._scoring.offer(frame)
            self._live.note(events)
            await self.accept(frame, events)

    async def accept(self, frame: Frame, events: list[Event]) -> None:
        """Gives rows and events to the journal, behind those that wait."""
        if len(frame) or events:
            self._pending.append((frame, events))
            self.pending += len(frame)
        if self._pending:
            await anyio.to_thread.run_sync(self._append_pending, limiter=self._writer)
            self._news.ring()

    def _append_pending(self) -> None:
        try:
            while self._pending:
                frame, events = self._pending[0]
                self._journal.append(frame, events)
                self._pending.popleft()
                self.pending -= len(frame)
        except JournalError as error:
            if not self._refused:
                _log.error("journal_refused", error=str(error))
            self._refused = True
            self._give_up_oldest()
        else:
            if self._refused:
                _log.info("journal_recovered")
            self._refused = False

    def _give_up_oldest(self) -> None:
        while self.pending > self._limit:
            frame, _ = self._pending.popleft()
            self.pending -= len(frame)
            self._journal.lose("journal_unavailable", len(frame))

    async def sync_often(self, interval: float) -> None:
        """Makes what was accepted durable every `interval` seconds."""
        while True:
            await anyio.sleep(interval)
            await self.sync()

    async def sync(self) -> None:
        """Makes everything accepted durable, and passes on what the journal has to tell."""
        try:
            await anyio.to_thread.run_sync(self._journal.sync, limiter=self._writer)
        except JournalError as error:
            if not self._refused:
                _log.error("journal_refused", error=str(error))
            self._refused = True
        self._inbox.put_events(self._journal.notices())
