"""The middle of the agent as a process that is made to be killed: store stage, journal, delivery and InfluxDB sink.

    python -m tests.real.courier FOLDER URL ORG BUCKET

All is imported once; each line on standard input begins a life, which is a fork, so that a hundred of them cost as much
as ten starts of a whole agent. `work T`: takes in rows until it is killed; T is the monotonic time at which the order
was given. `finish T`: takes in nothing, delivers all that waits, stops in order. `born PID` and `ended PID CODE` come
back. Each life appends to FOLDER/said, one line a write: `began ROWS`, `accepted ROWS` after each frame and before the
next one, and `flushed SECONDS` once a batch of this life has been delivered.

Rows are a function of their number (`row_times`, `row_values`), and so go on where the last life was killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import numpy as np
import numpy.typing as npt
import structlog

from edge_agent.clock import SystemClock
from edge_agent.config.agent import DetectionSection, JournalSection
from edge_agent.deliver import Delivery
from edge_agent.inbox import Inbox
from edge_agent.journal import Journal
from edge_agent.live import Live
from edge_agent.model import Event, Frame
from edge_agent.news import News
from edge_agent.sinks.influxdb.client import InfluxDbSink
from edge_agent.store import Store
from edge_agent.suppression import Suppression
from tests.unit.sinks.influxdb.rows import MS, T0, event_of, section_of, tag_table

TAGS: Final = tag_table(5, 0)
FRAME: Final = 100
"""Rows that are accepted at once: ten times all tags."""
EVENT_EVERY: Final = 1000
"""Rows from one event to the next."""
PAUSE_S: Final = 0.005
JOURNAL: Final = {"segment_bytes": "128KiB", "max_bytes": "256MiB", "min_free": "0B"}


def row_times(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """All tags at once, every ms."""
    return T0 + rows // len(TAGS) * MS


def row_values(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each another one than its neighbours'."""
    return rows * 7919 % 1_000_003 / 100


def frame_at(row: int) -> Frame:
    """The frame that begins with this row."""
    rows = np.arange(row, row + FRAME)
    return Frame.of_floats(rows % len(TAGS), row_times(rows), row_values(rows))


def events_at(row: int) -> list[Event]:
    """The events that are accepted together with the frame that begins with this row."""
    return [event_of(id=f"e{row}", start=T0 + row * MS)] if row % EVENT_EVERY == 0 else []


def open_journal(folder: Path) -> Journal:
    """The journal that all lives share."""
    return Journal.open(folder / "journal", TAGS, JournalSection.model_validate(JOURNAL), SystemClock())


class Courier:
    """One life."""

    def __init__(self, folder: Path, facts: dict[str, str], given: float) -> None:
        self._said = os.open(folder / "said", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._given, self._clock, self._news = given, SystemClock(), News()
        self._journal, self._inbox = open_journal(folder), Inbox(100_000)
        suppression = Suppression(TAGS, DetectionSection(), self._clock, folder / "alarms.json", self._inbox.put_events)
        self._store = Store(self._inbox, Live(TAGS), None, suppression, self._journal, self._news, self._clock, 100_000)
        section = section_of(facts.pop("url"), folder / "token", **facts)
        make = partial(InfluxDbSink, section, self._clock)
        cursor = self._journal.cursor("hub")
        self._delivery = Delivery(section, make, cursor, self._news, self._clock, self._inbox.put_events)
        self._say("began", self._journal.view.rows)

    def _say(self, word: str, figure: float) -> None:
        os.write(self._said, f"{word} {figure}\n".encode())

    async def work(self) -> None:
        """Until the kill comes, or whoever forked us is gone."""
        parent = os.getppid()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._delivery.run)
            tasks.start_soon(self._store.sync_often, 0.5)
            tasks.start_soon(self._tell_of_the_first_flush)
            while os.getppid() == parent:
                await self._take_in()
                await anyio.sleep(PAUSE_S)
            tasks.cancel_scope.cancel()

    async def _take_in(self) -> None:
        row = self._journal.view.rows
        await self._inbox.put(frame_at(row))
        self._inbox.put_events(events_at(row))
        await self._store.turn()
        if not self._inbox.door.pending:
            self._say("accepted", row + FRAME)

    async def _tell_of_the_first_flush(self) -> None:
        while not self._delivery.health.writes:
            await anyio.sleep(0.001)
        self._say("flushed", self._clock.monotonic() - self._given)

    async def finish(self) -> None:
        """Delivers all that is owed, and stops."""
        self._delivery.drain()
        cursor = self._delivery.cursor
        while cursor.waiting or cursor.state.ranges:
            await self._delivery.step()
        await self._delivery.close()
        self._journal.close()


def live(order: str, folder: Path, facts: dict[str, str]) -> None:
    """One life, from its birth on."""
    word, given = order.split()
    courier = Courier(folder, facts, float(given))
    anyio.run(courier.finish if word == "finish" else courier.work)


def serve(orders: Iterable[str], folder: Path, facts: dict[str, Any]) -> None:
    """A fork for each order, one at a time."""
    for order in orders:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                live(order, folder, dict(facts))
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        print("born", pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print("ended", pid, os.waitstatus_to_exitcode(status), flush=True)


async def nothing() -> None:
    """Has the event loop imported before the first fork."""


def main() -> None:
    """Reads orders until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    folder, url, org, bucket = sys.argv[1:]
    anyio.run(nothing)
    serve(sys.stdin, Path(folder), {"url": url, "org": org, "bucket": bucket, "encoder": "python"})


if __name__ == "__main__":
    main()
