"""One delivery per sink: journal -> sink, from its cursor, one write in flight.

The writer clocks itself: the next batch is whatever came while the last one was written (at most `max_batch_rows`).
A batch that could not be delivered is read again and tried again, for ever; only the sink's own answer or the journal's
stated retention lets a row go, and the ledger counts both.

Live first: where what waits is too much or too old (the hub or the agent was away), it is left behind, and live data
goes on at the end of the log. What was left behind follows between the live batches, oldest first, at most
`backfill_rate` rows a second in batches small enough that a live row never waits for more than one of them.
"""

import math
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import structlog

from edge_agent.alarm import refused_event, set_aside_event
from edge_agent.api import Answer, Batch, EdgeAgentError, Overloaded, Refused, Secret, Section, Sink, TimedOut, Words
from edge_agent.backoff import Backoff
from edge_agent.clock import Clock
from edge_agent.config.base import SinkSection
from edge_agent.journal import Cursor
from edge_agent.journal.place import Rebuff
from edge_agent.model import Event
from edge_agent.news import News
from edge_agent.watermark import Watermark
from edge_agent.worker import Worker

_log = structlog.get_logger("sink")

MOST_BATCHES: Final = 20
"""More than this many full batches waiting are left behind. Two were one second of 100,000 values/s: a hub that took
longer for the first write after that (it tells each tag's status anew) was left behind again and again."""
MOST_AGE_S: Final = 5.0
"""Rows that have waited longer than this are left behind."""
TURN_S: Final = 0.25
"""A batch of the backlog is what `backfill_rate` gives in this time."""
LEAST_TURN: Final = 500
"""… but at least so many rows, for each write has its price."""
REFUSED_S: Final = 300.0
"""A sink that was refused (token, rights, no such bucket) is tried again after this long, or once its files change."""
LOOK_S: Final = 1.0
"""How often the files of a refused sink are looked at."""
WRITE_S: Final = 600.0
"""No write takes longer: each sink has shorter deadlines of its own, this one is for those that forget them."""
CLOSE_S: Final = 2.0
TRIP_S: Final = 1.0
"""So long live batches are written in one trip to the thread."""
_Delivered = tuple[Batch, Answer]


@dataclass
class Lane:
    """How it goes with live data, or with the backlog. Times are monotonic seconds."""

    backfill: bool
    error: EdgeAgentError | None = None
    since: float = 0.0
    """Nothing that was accepted after this time has come through; while there is an error."""
    backoff: Backoff = field(default_factory=lambda: Backoff(0.5, 4.0))
    due: float = 0.0
    """Not before this time is the next batch read."""
    rate: float = 0.0
    """Rows a second, of late."""


class SinkHealth:
    """What `status` shows of a sink beside its ledger."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.writes = 0
        self.live, self.late = Lane(backfill=False), Lane(backfill=True)
        self.watermark = Watermark()
        """Of live data."""

    @property
    def error(self) -> EdgeAgentError | None:
        """Why it does not go on."""
        return self.live.error or self.late.error

    @property
    def state(self) -> str:
        """starting, ok, retrying."""
        return "retrying" if self.error is not None else "ok" if self.writes else "starting"


class Delivery:
    """Keeps one sink supplied until cancelled."""

    def __init__(
        self,
        section: SinkSection,
        make: Callable[[], Sink],
        cursor: Cursor,
        news: News,
        clock: Clock,
        tell: Callable[[Sequence[Event]], None] = lambda _: None,
        site: str = "",
    ) -> None:
        """`make` gives the sink; where it raises, that is a fault of this sink only, and it is tried again. `tell`
        takes events for people, about `site`.
        """
        self.health = SinkHealth(section.name)
        self.cursor = cursor
        self.section = section
        self._make, self._news, self._clock, self._tell, self._site = make, news, clock, tell, site
        self._sink = self._try_to_make()
        self._began = self._tried = clock.monotonic()
        self._is_up = False
        self._late_rows = _late_rows(section)
        self._most_age = max(MOST_AGE_S, 3 * section.spacing)
        self._files = tuple(_files(section))
        self._worker = Worker(f"sink {section.name}")
        self._draining, self._woken = anyio.Event(), anyio.Event()
        self._not_taken: set[str] = set()
        """Paths of tags of which it was said that the sink does not take them."""

    def _try_to_make(self) -> Sink | None:
        """None where it can't be made now: the first write tries again, and says why."""
        try:
            return self._make()
        except Exception:  # noqa: BLE001 - this is the sink's supervisor: its fault must not stop the others
            _log.exception("sink_failed", sink=self.health.name)
            return None

    async def run(self) -> None:
        """Runs until `drain` was called and all that could be delivered is; or until cancelled."""
        while not (self._draining.is_set() and self.health.state == "retrying"):
            if not await self.step(TRIP_S) and self._draining.is_set():
                return

    def drain(self) -> None:
        """At stop: deliver what waits, without waiting for more, and give up at the first failure."""
        self._draining.set()
        self._woken.set()
        self._news.ring()

    def wake(self) -> None:
        """Tries at once, whatever the reason for waiting: somebody knows that it can go on."""
        self._woken.set()
        self._woken = anyio.Event()
        self.health.late.due = 0.0
        self._news.ring()

    def lag(self) -> float:
        """Seconds that live data is behind at most; 0 where nothing waits. What was left behind is not there either:
        while the sink takes nothing, it is the time since it took the last.
        """
        live = self.health.live
        if live.error is None and not self.cursor.behind:
            return 0.0
        return self._clock.monotonic() - (live.since if live.error is not None else self._fresh)

    @property
    def _fresh(self) -> float:
        fresh = self.health.watermark.fresh
        return self._began if fresh is None else fresh

    async def step(self, patience: float = 0.0) -> bool:
        """Reads and writes a live batch, and then one of the backlog if it is due; False if there was nothing.

        With `patience` it waits so many seconds for live rows, and writes on as they come.
        """
        live, late = self.health.live, self.health.late
        wrote = await self._turn(live, patience)
        failed = wrote and live.error is not None
        if not failed and self.cursor.state.ranges and (self._draining.is_set() or self._is_due(late)):
            wrote = await self._turn(late) or wrote
        return wrote

    def _is_due(self, lane: Lane) -> bool:
        return self._clock.monotonic() >= lane.due

    async def _turn(self, lane: Lane, patience: float = 0.0) -> bool:
        """A batch of a lane; False when there was nothing to do. Waits out the back-off after a failure."""
        began = self._clock.monotonic()
        try:
            delivered = await self._deliver(lane, patience)
            if delivered is None:
                lane.rate = 0.0
                return False
            self._say_what_was_not_taken(*delivered)
        except EdgeAgentError as error:
            await self._failed(lane, error)
        except TimeoutError:
            await self._failed(lane, _too_long(self.health.name))
        except Exception as error:  # noqa: BLE001 - this is the sink's supervisor: its fault must not stop the others
            _log.exception("sink_failed", sink=self.health.name)
            await self._failed(lane, _unexpected(self.health.name, error))
        else:
            await self._succeeded(lane, delivered[0], began)
            await self._pause(began + self.section.spacing - self._clock.monotonic())
        return True

    async def _deliver(self, lane: Lane, patience: float) -> _Delivered | None:
        """Batches of a lane and the sink's answers, which the cursor has taken: the last of them; None for none.

        All in one trip to a worker thread, for the trips cost more than what is done there. Where nobody waits for the
        answer any more (a stop, a write without an end) the sink is closed under it, and the next write has a new one.
        """
        if not lane.backfill:
            await self._let_pass()
        wanted, ended = threading.Event(), threading.Event()
        wanted.set()

        def deliver() -> _Delivered | None:
            try:
                return self._exchange(lane, wanted) if lane.backfill else self._keep_up(patience, wanted)
            finally:
                ended.set()

        try:
            with anyio.fail_after(WRITE_S):
                return await self._worker.run(deliver, abandon=True)
        finally:
            if not ended.is_set():
                wanted.clear()
                self._news.ring()
                with anyio.move_on_after(CLOSE_S, shield=True):
                    await self.close()
                    await anyio.to_thread.run_sync(ended.wait, CLOSE_S, abandon_on_cancel=True)
                self._sink = None

    def _keep_up(self, patience: float, wanted: threading.Event) -> _Delivered | None:
        """Live batches as they come, until the patience is over or the event loop has something to do."""
        end, last = self._clock.monotonic() + patience, None
        while True:
            heard = self._news.heard
            self.health.watermark.note(self.cursor.end, self._clock.monotonic())
            delivered = self._exchange(self.health.live, wanted) if self.cursor.waits() else None
            self.health.watermark.reach(self.cursor.state.row)
            last = delivered or last
            if (delivered is not None and self._is_for_the_loop(*delivered)) or not wanted.is_set():
                return last
            rest = min(end, self._next_turn()) - self._clock.monotonic()
            if rest <= 0 or self._draining.is_set():
                return last
            if delivered is None:
                self._news.wait(rest, heard)

    def _is_for_the_loop(self, batch: Batch, answer: Answer) -> bool:
        """Whether more is to be done now than to write on: to say something, to wait, to leave something behind."""
        return bool(
            not self._is_up
            or self.health.live.error is not None
            or any(refusal.rows for refusal in answer.refused)
            or self.section.spacing
            or self.cursor.behind > self.section.max_batch_rows
        )

    def _next_turn(self) -> float:
        """When the backlog is to be looked at again."""
        return self.health.late.due if self.cursor.state.ranges else math.inf

    def _exchange(self, lane: Lane, wanted: threading.Event) -> _Delivered | None:
        self._tried = self._clock.monotonic()
        rows = self._late_rows if lane.backfill else self.section.max_batch_rows
        batch = self.cursor.read(rows, backfill=lane.backfill)
        if batch is None or not wanted.is_set():
            return None
        if self._sink is None:
            self._sink = self._make()
        answer = self._sink.write(batch)
        if wanted.is_set():
            self.cursor.advance(batch, answer)
            self.health.writes += 1
        return batch, answer

    async def _let_pass(self) -> None:
        """Leaves behind what waits, where that is too much or too old. Nothing is left behind at a stop."""
        rows = self.cursor.behind
        if not rows or self._draining.is_set():
            return
        if rows > MOST_BATCHES * self.section.max_batch_rows or await self._age() > self._most_age:
            left = await self._worker.run(self.cursor.leave_behind)
            if left and self.health.error is None:
                _log.info("backlog_left_behind", sink=self.health.name, rows=left)

    async def _age(self) -> float:
        """Seconds since the oldest row that waits was accepted, or more; what an earlier run left is by wall clock."""
        fresh = self.health.watermark.fresh
        if fresh is not None:
            return self._clock.monotonic() - fresh
        since = await self._worker.run(self.cursor.waiting_since)
        return abs(self._clock.wall() - since) / 1e9

    async def _pause(self, seconds: float) -> None:
        """Waits, unless it is time to drain or somebody wakes us."""
        if seconds > 0 and not self._draining.is_set():
            with anyio.move_on_after(seconds):
                await self._woken.wait()

    async def _succeeded(self, lane: Lane, batch: Batch, began: float) -> None:
        now = self._clock.monotonic()
        if self.health.live.error is not None or lane.error is not None or not self._is_up:
            self._is_up = True
            _log.info("sink_up", sink=self.health.name, backfill=lane.backfill)
            await self._recovered(lane, now)
        lane.backoff.reset()
        if lane.backfill:
            self._give_time(lane, len(batch.frame), began, now)

    async def _recovered(self, lane: Lane, now: float) -> None:
        """The sink takes something again. The backlog goes on at once, unless that is what it does not take."""
        if self.health.live.error is not None:
            self.health.late.due = now
        self.health.live.error = lane.error = None
        if self.health.error is None:
            await self._was_refused()

    def _give_time(self, lane: Lane, rows: int, began: float, now: float) -> None:
        """When the next batch of the backlog is due: jittered, so that a hundred gateways do not beat in step."""
        took = rows / self.section.backfill_rate * random.uniform(0.7, 1.3)  # noqa: S311 - jitter, not cryptography
        lane.due = began + took
        rate = rows / max(took, now - began)
        lane.rate = rate if not lane.rate else 0.8 * lane.rate + 0.2 * rate

    async def _failed(self, lane: Lane, error: EdgeAgentError) -> None:
        """Waits before the next try. What the failed one took counts: a hub behind a black hole is soon asked again."""
        if lane.error is None or lane.error.code != error.code:
            _log.warning("sink_down", sink=self.health.name, error=str(error), backfill=lane.backfill)
        if lane.error is None:
            lane.since = self._fresh
        lane.error = error
        if isinstance(error, Refused):
            await self._is_refused(error)
            wait = REFUSED_S * random.uniform(1.0, 1.1)  # noqa: S311 - jitter, not cryptography
        elif isinstance(error, Overloaded) and error.retry_after is not None:
            wait = min(error.retry_after, 3600.0)
            await self._pause(wait)
            return
        else:
            wait = lane.backoff.next()
            wait = max(wait - (self._clock.monotonic() - self._tried), wait / 8)
        if lane.backfill:
            lane.due = self._clock.monotonic() + wait
        if isinstance(error, Refused):
            await self._until_changed(wait, lane)
        elif lane.backfill:
            return
        else:
            await self._pause(wait)

    async def _until_changed(self, seconds: float, lane: Lane) -> None:
        """Waits, but not on for a token or a certificate that was put right; the backlog not while live data waits."""
        before, end = _signs(self._files), self._clock.monotonic() + seconds
        woken = self._woken
        while not woken.is_set() and self._clock.monotonic() < end:
            if self._draining.is_set() or (lane.backfill and self.cursor.behind):
                return
            await self._pause(min(LOOK_S, end - self._clock.monotonic()))
            if _signs(self._files) != before:
                self.health.late.due = 0.0
                return

    def _say_what_was_not_taken(self, batch: Batch, answer: Answer) -> None:
        """One alarm for tags whose rows went to the quarantine, and no other for the same tags in this run."""
        rows = [row for refusal in answer.refused for row in refusal.rows]
        numbers = {number for number in batch.frame.tag[rows].tolist() if number >= 0} if rows else set()
        new = sorted({batch.tags.paths[number] for number in numbers} - self._not_taken)
        if not new:
            return
        self._not_taken.update(new)
        reason = next(refusal.reason for refusal in answer.refused if refusal.rows)
        _log.warning("rows_set_aside", sink=self.health.name, rows=len(rows), tags=new[:5], reason=reason)
        now = self._clock.wall()
        self._tell([set_aside_event(self._site, self.health.name, new, len(rows), reason, now)])

    async def _is_refused(self, error: EdgeAgentError) -> None:
        """One alarm from the first refusal to the next success, however often the agent is started in between."""
        if self.cursor.state.refused is None:
            refusal = Rebuff(self._clock.wall(), error.cause.ko, error.cause.en)
            await self._worker.run(lambda: self.cursor.note_refusal(refusal))
            self._tell([refused_event(self._site, self.health.name, refusal, 0)])

    async def _was_refused(self) -> None:
        refusal = self.cursor.state.refused
        if refusal is not None:
            await self._worker.run(lambda: self.cursor.note_refusal(None))
            self._tell([refused_event(self._site, self.health.name, refusal, self._clock.wall())])

    async def close(self) -> None:
        """Lets go of the sink, within CLOSE_S seconds; whatever it raises."""
        if self._sink is None:
            return
        with anyio.move_on_after(CLOSE_S, shield=True):
            try:
                await anyio.to_thread.run_sync(self._sink.close, abandon_on_cancel=True)
            except Exception:  # noqa: BLE001 - this is the sink's supervisor: its fault must not stop the others
                _log.exception("sink_failed", sink=self.health.name)


def _late_rows(section: SinkSection) -> int:
    """Rows of the backlog in one write: a live row waits for one such write at most."""
    turn = int(section.backfill_rate * max(TURN_S, section.spacing))
    return min(section.max_batch_rows, max(LEAST_TURN, turn))


def _files(section: Section) -> Iterator[Path]:
    """Files that the section names: secrets, certificates."""
    for value in dict(section).values():
        if isinstance(value, Secret) and value.file is not None:
            yield value.file
        elif isinstance(value, Section):
            yield from _files(value)
        elif isinstance(value, Path):
            yield value


def _signs(files: Sequence[Path]) -> list[tuple[int, int, int]]:
    """What is different once a file was changed or replaced."""
    signs = []
    for path in files:
        try:
            stat = path.stat()
            signs.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        except OSError:
            signs.append((0, 0, 0))
    return signs


def _too_long(sink: str) -> TimedOut:
    return TimedOut(
        "write",
        sink,
        Words(f"{WRITE_S:.0f}초가 지나도 쓰기가 끝나지 않았습니다", f"a write did not end within {WRITE_S:.0f} s"),
        Words("허브와 회선을 확인하십시오. 데이터는 보관 중입니다", "check the hub and the line; all data is kept"),
    )


def _unexpected(sink: str, error: Exception) -> EdgeAgentError:
    what = f"{type(error).__name__}: {error}"
    return EdgeAgentError(
        "write",
        sink,
        Words(f"예상하지 못한 오류입니다 ({what})", f"unexpected fault ({what})"),
        Words("프로그램 결함입니다. 기록(로그)을 보내 주십시오", "this is a defect of the program: send us the log"),
    )
