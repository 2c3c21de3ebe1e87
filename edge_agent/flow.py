"""The whole road on one screen.

    links (supervised) → inbox → store ─┬→ live view              (events through suppression first)
                                        ├→ scoring → events ↩ inbox
                                        └→ journal ─┬→ deliveries (a cursor a sink) → hub
                                                    └→ rollups → the long store

The stages stand inside each other in the order in which they stop: links first, then what stores and scores, then the
deliveries, so that at the end nothing is left between two stages and the ledger balances.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
import structlog

from edge_agent import footprint, notify, registry
from edge_agent.clock import Clock
from edge_agent.config.loader import Loaded
from edge_agent.deliver import CLOSE_S, Delivery
from edge_agent.errors import JournalError
from edge_agent.gap import gap_events
from edge_agent.inbox import Inbox
from edge_agent.journal import Journal
from edge_agent.journal.roller import Roller
from edge_agent.live import Live
from edge_agent.memory import Memories
from edge_agent.metrics import Metrics
from edge_agent.model.frame import Int64
from edge_agent.newest import newest
from edge_agent.news import News
from edge_agent.rolling import Rolling
from edge_agent.score import Scoring
from edge_agent.status import Rates, StatusServer, ledger_rows
from edge_agent.store import Store
from edge_agent.supervise import LinkHealth, LinkSupervisor
from edge_agent.suppression import Suppression

_log = structlog.get_logger("agent")
STOP_S: Final = 5.0
"""An orderly stop gives sinks and rollups so long together, once the links are down and all is durable."""
DRAIN_S: Final = STOP_S - CLOSE_S
"""Of these, what waits for a hub that answers is delivered for so long, and then sinks have CLOSE_S to let go; the rest
goes on after the next start."""
LEAST_S: Final = 0.5
"""Rollups have so long, even where the sinks took all: the next start does the rest."""
STALLED_S: Final = 15.0
"""The watchdog is not fed when the store stage has not turned for this long."""


class Agent:
    """Everything of one run, made from a checked configuration; `run` goes on until `stop` is set."""

    def __init__(self, loaded: Loaded, clock: Clock) -> None:
        config = self.config = loaded.config
        self.clock, self.tags = clock, loaded.tags
        self.state_folder = config.runtime.state
        self.started = clock.monotonic()
        self.inbox = Inbox(config.runtime.queue_values)
        self.live = Live(loaded.tags)
        self.journal = Journal.open(config.journal.path, loaded.tags, config.journal, clock)
        self._opened, self._collected_before = self.journal.report, self.journal.view.collected
        self.news = News()
        self.scoring = self._make_scoring() if config.detection.enabled else None
        self.suppression = Suppression(
            loaded.tags, config.detection, clock, self.state_folder / "alarms.json", self.inbox.put_events
        )
        self.store = Store(
            self.inbox,
            self.live,
            self.scoring,
            self.suppression,
            self.journal,
            self.news,
            clock,
            config.runtime.queue_values,
        )
        self.memories = Memories(self.state_folder / "learned", self._newest)
        self.links = [self._make_link(link.name, loaded.numbers[link.name]) for link in config.links]
        self.deliveries = [
            Delivery(
                section,
                partial(registry.make_sink, section, clock),
                self.journal.cursor(section.name),
                self.news,
                clock,
                self.inbox.put_events,
                config.site.name,
            )
            for section in config.sinks
        ]
        self.rollups = Rolling(Roller(self.journal, loaded.tags, config.journal, clock), self.inbox)
        self.rates = Rates(self)

    def _make_scoring(self) -> Scoring:
        from edge_agent.detect import Detection  # only where detection is on: it costs memory

        config = self.config
        checkpoint = self.state_folder / "detection"
        return Scoring(
            lambda: Detection(self.tags, config.detection, self.clock, checkpoint),
            self.inbox,
            self.clock,
            config.runtime.queue_values,
            config.detection.checkpoint_interval,
        )

    def _newest(self, numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        return newest(self.journal.path, [self.tags.paths[number] for number in numbers], since, past=past)

    def _make_link(self, name: str, numbers: list[int]) -> LinkSupervisor:
        link = next(link for link in self.config.links if link.name == name)
        health = LinkHealth(name, link.connector, since=self.started, insecure=link.insecure())
        health.site = site = self.config.site.name
        health.machines = {one.name: f"{site}/{one.line}/{one.name}" for one in self.config.machines}
        make = partial(registry.make_connector, link, numbers, self.clock, self.memories.of(name))
        return LinkSupervisor(health, numbers, make, self.inbox, self.clock, self.tags.describe)

    async def run(self, stop: anyio.Event) -> None:
        """Collects until `stop` is set, then stops in order: nothing collected is lost on the way."""
        self._say_how_the_journal_opened()
        self.inbox.put_events(gap_events(self.journal.report, self.config.site.name, self.clock.wall()))
        async with anyio.create_task_group() as background:
            background.start_soon(StatusServer(self).run)
            if (port := self.config.runtime.metrics_port) is not None:
                background.start_soon(Metrics(self, port).run)
            background.start_soon(self.rates.run)
            background.start_soon(self.store.sync_often, self.config.journal.sync_interval)
            background.start_soon(self.rollups.run)
            background.start_soon(self.memories.run)
            background.start_soon(footprint.keep_small)
            background.start_soon(notify.feed_watchdog, self._progressing)
            async with anyio.create_task_group() as delivering:
                for delivery in self.deliveries:
                    delivering.start_soon(delivery.run)
                await self._collect(stop)
                end = anyio.current_time() + STOP_S
                await self.store.sync()
                for delivery in self.deliveries:
                    delivery.drain()
                delivering.cancel_scope.deadline = anyio.current_time() + DRAIN_S
            async with anyio.create_task_group() as closing:
                for delivery in self.deliveries:
                    closing.start_soon(delivery.close)
            await self.store.sync()
            await self.store.count_losses(last=True)
            await self.store.turn()
            await self.store.close()
            await anyio.to_thread.run_sync(self.suppression.save)
            await self.memories.write()
            background.cancel_scope.cancel()
        await self.rollups.close(max(end - anyio.current_time(), LEAST_S))
        self._close_journal()
        _log.info("agent_stopped", ledger=ledger_rows(self))

    async def _collect(self, stop: anyio.Event) -> None:
        async with anyio.create_task_group() as storing:
            storing.start_soon(self.store.run)
            if self.scoring is not None:
                storing.start_soon(self.scoring.run)
            async with anyio.create_task_group() as linking:
                for supervisor in self.links:
                    linking.start_soon(supervisor.run)
                notify.notify("READY=1")
                _log.info("agent_started", links=len(self.links), tags=len(self.tags), sinks=len(self.deliveries))
                await stop.wait()
                notify.notify("STOPPING=1")
                linking.cancel_scope.cancel()
            self.inbox.close()
            if self.scoring is not None:
                self.scoring.close()
        await self.store.turn()

    def _say_how_the_journal_opened(self) -> None:
        report, view = self.journal.report, self.journal.view
        facts = {
            "torn_bytes": report.torn_bytes,
            "torn_rows": report.torn_rows,
            "damaged": len(report.damaged),
            "set_aside": list(report.set_aside),
            "missing_rows": report.missing_rows,
            "moved_aside": report.moved_aside,
            "error": str(report.error or ""),
        }
        found = {name: fact for name, fact in facts.items() if fact}
        say = _log.warning if found else _log.info
        say("journal_opened", rows=view.rows, segments=len(view.segments), clean=report.clean, **found)

    def _close_journal(self) -> None:
        try:
            self.journal.close()
        except JournalError as error:
            _log.error("journal_refused", error=str(error))

    @property
    def on_the_way(self) -> int:
        """Values collected in this run that the journal has not accepted yet."""
        return self.inbox.door.on_the_way

    @property
    def door_balanced(self) -> bool:
        """Whether every value that came through the door in this run is accepted, lost with a reason, or on the way.

        The journal's own count must say the same, except at the instant when it is just taking rows, and where it was
        opened only later in this run and so found rows of earlier ones.
        """
        door = self.inbox.door
        if not door.balanced:
            return False
        taken = self.journal.view.collected - self._collected_before
        return (
            door.pending + door.losing > 0
            or self.journal.report is not self._opened
            or taken == door.accepted + door.given_up
        )

    def _progressing(self) -> bool:
        return self.clock.monotonic() - self.store.progress < STALLED_S
