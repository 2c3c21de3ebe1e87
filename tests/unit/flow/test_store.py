"""The store stage over a real journal that can't be written: in order, bounded, counted, and found again."""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from structlog.testing import capture_logs

from edge_agent.api import Answer
from edge_agent.clock import SystemClock
from edge_agent.config.agent import DetectionSection
from edge_agent.inbox import Inbox
from edge_agent.journal import Journal
from edge_agent.live import Live
from edge_agent.model import Frame
from edge_agent.news import News
from edge_agent.store import COMMIT_BYTES, EVENTS_SPACING_S, SPACING_S, Store
from edge_agent.suppression import Suppression
from tests.unit.journal.material import TABLE, event, section

pytestmark = pytest.mark.anyio
LIMIT = 1000


def frame(*values: float) -> Frame:
    return Frame.of_floats([int(value) % 8 for value in values], 1, values)


@asynccontextmanager
async def stage(path: Path) -> AsyncIterator[tuple[Store, Inbox, Journal]]:
    inbox, clock = Inbox(LIMIT), SystemClock()
    journal = Journal.open(path, TABLE, section("8MiB"), clock)
    suppression = Suppression(TABLE, DetectionSection(), clock, path.parent / "alarms.json", inbox.put_events)
    store = Store(inbox, Live(TABLE), None, suppression, journal, News(), clock, LIMIT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.run)
        with anyio.fail_after(30):
            yield store, inbox, journal
        inbox.close()
    journal.close()


def content(journal: Journal) -> list[float]:
    cursor, values = journal.cursor("judge"), []
    while (batch := cursor.read(100_000)) is not None:
        values += batch.frame.floats().tolist()
        cursor.advance(batch, Answer())
    return values


async def put(inbox: Inbox, values: range) -> None:
    for value in values:
        await inbox.put(frame(float(value)))


async def test_what_waits_for_the_journal_comes_in_order(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    async with stage(tmp_path / "state" / "journal") as (store, inbox, journal):
        await put(inbox, range(600))
        while inbox.door.pending < 600:
            await anyio.sleep(0.01)
        assert not journal.writable
        (tmp_path / "state").unlink()
        await put(inbox, range(600, 700))
        while inbox.door.accepted < 700:
            await store.turn()
            await anyio.sleep(0.05)
        assert content(journal) == [float(value) for value in range(700)]
        assert (inbox.door.pending, inbox.door.given_up) == (0, 0)


async def test_beyond_the_limit_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    async with stage(tmp_path / "state" / "journal") as (store, inbox, journal):
        for start in range(0, 3000, 100):
            await inbox.put(frame(*map(float, range(start, start + 100))))
            while inbox.door.waiting:
                await anyio.sleep(0.001)
        while (inbox.door.accepted + inbox.door.given_up + inbox.door.pending) < 3000:
            await anyio.sleep(0.01)
        assert inbox.door.pending <= LIMIT
        assert journal.view.lost == {"journal_unavailable": inbox.door.given_up}
        (tmp_path / "state").unlink()
        while inbox.door.pending:
            await store.turn()
            await anyio.sleep(0.05)
        kept = content(journal)
        assert kept == [float(value) for value in range(3000 - len(kept), 3000)]
        assert len(kept) + inbox.door.given_up == 3000
        assert journal.ledger("judge").balanced


async def test_many_small_frames_do_not_pile_up(tmp_path: Path) -> None:
    """A day of single values while the card is read-only must not take a gigabyte."""
    (tmp_path / "state").write_text("in the way")
    async with stage(tmp_path / "state" / "journal") as (store, inbox, _):
        for value in range(300):
            await inbox.put(frame(float(value)))
            while inbox.door.waiting:
                await anyio.lowlevel.checkpoint()
        while inbox.door.pending < 300:
            await anyio.sleep(0.01)
        assert len(store._pending) <= 3


async def test_at_the_stop_what_the_journal_never_took_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    async with stage(tmp_path / "state" / "journal") as (store, inbox, journal):
        await inbox.put(frame(1, 2, 3))
        while inbox.door.pending < 3:
            await anyio.sleep(0.01)
        await store.close()
        assert (inbox.door.pending, inbox.door.given_up) == (0, 3)
        assert journal.view.lost == {"journal_unavailable": 3}


async def test_the_stage_makes_no_progress_while_the_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the watchdog looks at stands still, though the event loop goes on."""
    async with stage(tmp_path / "journal") as (store, inbox, _):
        hangs, really = threading.Event(), os.pwrite

        def pwrite(fd: int, data: bytes, at: int) -> int:
            hangs.wait(20)
            return really(fd, data, at)

        monkeypatch.setattr(os, "pwrite", pwrite)
        await inbox.put(frame(1))
        while not inbox.door.pending:
            await anyio.sleep(0.01)
        stood = store.progress
        await anyio.sleep(1.5)
        assert store.progress == stood
        hangs.set()
        while store.progress == stood:
            await anyio.sleep(0.01)
        assert inbox.door.accepted == 1


async def test_a_disk_that_never_syncs_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And once more when it is over."""
    async with stage(tmp_path / "journal") as (store, inbox, _):
        really = os.fdatasync

        def refuse(fd: int) -> None:
            raise OSError(5, "Input/output error")

        with capture_logs() as logs:
            monkeypatch.setattr(os, "fdatasync", refuse)
            for value in range(3):
                await inbox.put(frame(float(value)))
                await store.turn()
                await store.sync()
            monkeypatch.setattr(os, "fdatasync", really)
            while inbox.door.accepted != 3:
                await store.turn()
                await anyio.sleep(0.05)
            await store.sync()
        assert [line["event"] for line in logs] == ["journal_refused", "journal_recovered"]


class SyncCount:
    """Counts what reaches fdatasync."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, really = 0, os.fdatasync

        def fdatasync(fd: int) -> None:
            self.count += 1
            really(fd)

        monkeypatch.setattr(os, "fdatasync", fdatasync)


async def test_an_event_is_durable_at_once_and_a_storm_does_not_wear_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path / "journal") as (store, inbox, journal), anyio.create_task_group() as tasks:
        tasks.start_soon(store.sync_often, 3600.0)
        await inbox.put(frame(1, 2, 3))
        while journal.view.rows < 3:
            await anyio.sleep(0.01)
        assert journal.durable_rows == 0, "rows have time"
        inbox.put_events([event()])
        while journal.durable_rows < 3:
            await anyio.sleep(0.01)
        syncs, began = SyncCount(monkeypatch), anyio.current_time()
        for number in range(300):
            inbox.put_events([event(str(number))])
            await anyio.sleep(0.001)
        while journal.hurried:
            await anyio.sleep(0.01)
        assert 1 <= syncs.count <= 2 + (anyio.current_time() - began) / EVENTS_SPACING_S
        tasks.cancel_scope.cancel()


async def test_much_is_made_durable_before_its_time_but_not_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path / "journal") as (store, inbox, journal), anyio.create_task_group() as tasks:
        tasks.start_soon(store.sync_often, 3600.0)
        syncs, began = SyncCount(monkeypatch), anyio.current_time()
        for number in range(100):
            noise = np.random.default_rng(number).normal(size=4000)
            await inbox.put(Frame.of_floats(np.zeros(4000), 1, noise))
        while journal.unsynced_bytes >= COMMIT_BYTES or not journal.durable_rows:
            await anyio.sleep(0.05)
        assert 1 <= syncs.count <= 2 + (anyio.current_time() - began) / SPACING_S
        tasks.cancel_scope.cancel()
