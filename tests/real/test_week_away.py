"""The hub is away for 7 simulated days at 1,000 values/s, and the journal may have 2 GiB (with --long).

Within the cap all the while, the oldest dropped, counted and told. Then a real InfluxDB comes back: live data is in it
within 5 s, and the backlog follows at 20 times the live rate or more. The short form is the same at a scale of one to
four thousand, 150 s and 512 KiB, and goes on until all has arrived; the long one watches the backlog for a minute.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import anyio
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.api import Frame, Tag, TagTable
from edge_agent.clock import SystemClock
from edge_agent.config.agent import JournalSection
from edge_agent.deliver import Delivery
from edge_agent.journal import Journal
from edge_agent.model import Machine
from edge_agent.news import News
from edge_agent.sinks.influxdb.client import InfluxDbSink
from tests.real.relay import Relay
from tests.servers.databases import InfluxDB
from tests.unit.sinks.influxdb.rows import section_of

pytestmark = pytest.mark.anyio

RATE: Final = 1000
"""Values a second: so many tags, once a second each."""
MACHINES: Final = 10
SECOND: Final = 1_000_000_000
TAGS: Final = TagTable(
    [
        Tag(f"f{number % 100}", Machine("busan", "line1", f"m{number // 100}", "bench"), "plc")
        for number in range(MACHINES * 100)
    ]
)
BESIDE: Final = 256 << 10
"""Bytes that the front, the cursor and the lock may take beside the log, whatever its size."""
_NOISE: Final = np.random.default_rng(7).normal(0.0, 1.0, 4 * RATE)
_SLOW: Final = np.arange(RATE) % 2 == 0


class Clock(SystemClock):
    """The machine's clock, and the time that was skipped."""

    skipped = 0.0

    def wall(self) -> int:
        return super().wall() + int(self.skipped * 1e9)

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped


def values_at(second: int) -> npt.NDArray[np.float64]:
    """One value of each tag: half of them slow with one decimal, half noisy in every bit."""
    start = second * 37 % (3 * RATE)
    noise = _NOISE[start : start + RATE]
    slow = np.round(300 + 50 * np.sin(second / 600 + np.arange(RATE)), 1)
    return np.where(_SLOW, slow, slow + noise * 1.000001 ** (second % 1000))


def bytes_of(folder: Path) -> tuple[int, int]:
    """What the log's segments take on the disk, and what all else of the journal does."""
    segments = rest = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size = path.stat().st_blocks * 512
            segments, rest = (segments + size, rest) if path.suffix == ".segment" else (segments, rest + size)
    return segments, rest


@dataclass
class Plant:
    """The agent's middle, a simulated clock, and what was seen of it."""

    folder: Path
    hub: InfluxDB
    cap: int
    url: str = ""
    """Where the hub is; its own address where nothing else is said."""
    clock: Clock = field(default_factory=Clock)
    seconds: int = 0
    """Frames so far."""
    most_bytes: int = 0
    """That the segments ever took; `most_beside`: the front, cursors and all else."""
    most_beside: int = 0
    news: News = field(default_factory=News)

    def __post_init__(self) -> None:
        token = self.folder / "token"
        token.write_text(self.hub.token)
        section = section_of(self.url or self.hub.url, token, org=self.hub.org, bucket=self.hub.bucket)
        limits = {"max_bytes": f"{self.cap}B", "min_free": "0B"}
        self.path = self.folder / "journal"
        self.journal = Journal.open(self.path, TAGS, JournalSection.model_validate(limits), self.clock)
        cursor = self.journal.cursor("hub")
        self.delivery = Delivery(section, lambda: InfluxDbSink(section, self.clock), cursor, self.news, self.clock)
        self.times: list[int] = []

    def accept(self) -> None:
        """A second's values, and what the journal has to tell."""
        now = max(self.clock.wall() // SECOND * SECOND, self.times[-1] + SECOND if self.times else 0)
        self.journal.append(Frame.of_floats(np.arange(RATE), now, values_at(self.seconds)), self.journal.notices())
        self.times.append(now)
        self.seconds += 1

    def look(self) -> None:
        segments, beside = bytes_of(self.path)
        self.most_bytes, self.most_beside = max(self.most_bytes, segments), max(self.most_beside, beside)

    async def be_away(self, seconds: int) -> None:
        """The time passes: a sync every 5 s, and the delivery knocks in vain now and then."""
        self.clock.skipped -= seconds
        for second in range(seconds):
            self.clock.skipped += 1.0
            self.accept()
            if second % 5 == 0:
                self.journal.sync()
            if second % max(30, seconds // 500) == 0:
                self.look()
                await self.knock()

    async def knock(self) -> None:
        """One step of the delivery, whose waiting is cut short."""
        knocked = anyio.Event()

        async def step() -> None:
            await self.delivery.step()
            knocked.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step)
            while not knocked.is_set():
                self.delivery.wake()
                await anyio.sleep(0.002)

    async def go_on(self) -> None:
        """Live, in real time."""
        due = self.clock.monotonic()
        while True:
            await anyio.to_thread.run_sync(self.accept)
            self.news.ring()
            await anyio.to_thread.run_sync(self.journal.sync)
            await anyio.to_thread.run_sync(self.look)
            due += 1.0
            await anyio.sleep(max(0.0, due - self.clock.monotonic()))

    @property
    def left(self) -> int:
        """Rows of the backlog."""
        return sum(each.left for each in self.delivery.cursor.state.ranges)

    def has_live(self, since: int) -> bool:
        """Whether the hub can be asked for a value that was accepted since."""
        return bool(self.hub.query_influxql(f"SELECT f0 FROM bench WHERE time >= {since} LIMIT 1"))


async def until(what: str, condition: Callable[[], object], deadline_s: float) -> None:
    with anyio.move_on_after(deadline_s):
        while not await anyio.to_thread.run_sync(condition):
            await anyio.sleep(0.02)
        return
    pytest.fail(f"waited {deadline_s:g} s for {what}")


async def come_back(plant: Plant, watch_s: float) -> dict[str, Any]:
    """The hub returns, live data goes on; until the backlog is through, or for so many seconds."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(plant.go_on)
        tasks.start_soon(plant.delivery.run)
        await anyio.to_thread.run_sync(plant.hub.start)
        since, begun = plant.clock.wall(), time.monotonic()
        await until("live data", lambda: plant.has_live(since), 60)
        live_after = time.monotonic() - begun
        before, watched, accepted = plant.journal.ledger("hub").delivered, time.monotonic(), plant.seconds
        with anyio.move_on_after(watch_s):
            while plant.left:
                await anyio.sleep(0.02)
        took = time.monotonic() - watched
        live = (plant.seconds - accepted) * RATE
        backlog = plant.journal.ledger("hub").delivered - before - live
        lag = plant.delivery.lag()
        tasks.cancel_scope.cancel()
    return {
        "live data after, s": round(live_after, 2),
        "backlog a second": round(backlog / took),
        "live a second": round(live / took),
        "live data behind at the end, s": round(lag, 2),
    }


async def finish(plant: Plant) -> None:
    """What still waits in the live lane and, where little is left, of the backlog."""
    plant.delivery.drain()
    with anyio.fail_after(60):
        while plant.delivery.cursor.behind:
            await plant.delivery.step()
    await plant.delivery.close()


def judge(plant: Plant) -> dict[str, int]:
    """The database holds what the ledger calls delivered, each value at its time, and every gap's record."""
    hub, ledger = plant.hub, plant.journal.ledger("hub")
    assert ledger.balanced
    assert ledger.collected == plant.seconds * RATE
    assert ledger.quarantined == 0
    assert set(ledger.dropped) <= {"retention"}
    found = hub.query_influxql("SELECT count(*) FROM bench")
    assert sum(n for row in found for name, n in row.items() if name != "time") == ledger.delivered
    second_of = {at: second for second, at in enumerate(plant.times)}
    for number in (0, 1, 457, 998):
        signal, machine = f"f{number % 100}", f"m{number // 100}"
        rows = hub.query_influxql(f"SELECT {signal} FROM bench WHERE machine = '{machine}'")
        assert len(rows) >= ledger.delivered // RATE - 1
        assert all(row[signal] == values_at(second_of[row["time"]])[number] for row in rows)
    return {"dropped": ledger.dropped.get("retention", 0), "waiting": ledger.waiting, "delivered": ledger.delivered}


def told_at_the_hub(hub: InfluxDB) -> int:
    """Rows of which gap records at the hub say that they were dropped."""
    events = hub.query_influxql("SELECT id, evidence FROM event WHERE detector = 'journal/hub'")
    return sum(int(json.loads(event["evidence"])["rows"]) for event in events if "retention" in event["id"])


async def away(folder: Path, hub: InfluxDB, seconds: int, cap: int, watch_s: float) -> dict[str, Any]:
    hub.stop()
    plant = Plant(folder, hub, cap)
    begun, cpu = time.monotonic(), time.process_time()
    await plant.be_away(seconds)
    plant.look()
    figures: dict[str, Any] = {
        "values": plant.seconds * RATE,
        "simulated in, s": round(time.monotonic() - begun, 1),
        "CPU-s": round(time.process_time() - cpu, 1),
    }
    assert plant.journal.ledger("hub").dropped, "more came than the cap holds"
    figures |= await come_back(plant, watch_s)
    figures |= {"cap": cap, "most bytes": plant.most_bytes, "beside the log": plant.most_beside}
    await finish(plant)
    figures |= judge(plant)
    if not plant.left:
        assert told_at_the_hub(hub) == figures["dropped"], "every row that was dropped is in a gap record at the hub"
    plant.journal.close()
    print(figures)
    assert plant.most_bytes <= cap
    assert plant.most_beside <= BESIDE
    return figures


@pytest.mark.timeout(240)
async def test_minutes_away_in_a_small_cap(
    tmp_path: Path, influxdb: InfluxDB, record_property: Callable[[str, object], None]
) -> None:
    figures = await away(tmp_path, influxdb, 150, 1 << 19, 120.0)
    record_property("figures", figures)
    assert figures["waiting"] == 0, "all that was kept has arrived"


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_a_week_away_in_two_gibibytes(
    tmp_path: Path, influxdb: InfluxDB, record_property: Callable[[str, object], None]
) -> None:
    figures = await away(tmp_path, influxdb, 7 * 86_400, 2 << 30, 60.0)
    record_property("figures", figures)
    assert figures["live data after, s"] <= 5.0
    assert figures["backlog a second"] >= 20 * figures["live a second"]
    assert figures["live data behind at the end, s"] <= 5.0


class Hole(Relay):
    """A relay whose address is a black hole until it is opened: the kernel drops whoever asks for a connection."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._listener.listen(0)
        self._held = [socket.socket() for _ in range(4)]

    def __enter__(self) -> Self:
        for one in self._held:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
        return self

    def open(self) -> None:
        """From now on the hub is there."""
        for one in self._held:
            one.close()
        super().__enter__()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", [2.0, 3.5, 7.5, 11.0, 20.0])
async def test_live_data_is_back_soon_after_a_black_hole(tmp_path: Path, influxdb: InfluxDB, seconds: float) -> None:
    """As behind a router that is off: nobody refuses, so each try takes its whole deadline."""
    with Hole(influxdb.port) as hole:
        plant = Plant(tmp_path, influxdb, 64 << 20, f"http://127.0.0.1:{hole.port}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(plant.go_on)
            tasks.start_soon(plant.delivery.run)
            await anyio.sleep(seconds)  # how long the hub is away is the test's input
            assert not plant.delivery.health.writes
            hole.open()
            since, begun = plant.clock.wall(), time.monotonic()
            await until("live data", lambda: plant.has_live(since), 60)
            after = time.monotonic() - begun
            tasks.cancel_scope.cancel()
        await finish(plant)
        plant.journal.close()
    print(f"away for {seconds:g} s, live data after {after:.1f} s")
    assert after <= 6.0, "a value a second, and 5 s"
