"""The analytics stage's place on the road: frames in, events out, in a worker thread, never in anyone's way."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from threading import Condition
from typing import TYPE_CHECKING, Final

import anyio
import structlog

from edge_agent.backoff import Backoff
from edge_agent.clock import Clock
from edge_agent.errors import DetectionError, Words
from edge_agent.inbox import Inbox
from edge_agent.model import Event, Flag, Frame
from edge_agent.worker import Worker

if TYPE_CHECKING:
    from edge_agent.detect import Detection

GATHERED_S: Final = 0.5
"""What comes within this time is scored in one trip to the worker thread: each trip has its own price."""
BLOCK_ROWS: Final = 20_000
"""When so many rows wait, scoring begins at once; more of them make several blocks, whose columns need memory."""
_log = structlog.get_logger("detection")


class Scoring:
    """Queues frames for the detectors, at most `limit` values; what does not fit is not scored, and counted.

    `make` builds the detection; it runs in the worker thread, since loading kernels takes most of a second. This is
    detection's supervisor: whatever goes wrong in there is said, detection begins again from its checkpoint after a
    back-off, and collection goes on all the while.
    """

    def __init__(
        self, make: Callable[[], "Detection"], inbox: Inbox, clock: Clock, limit: int, save_every: float
    ) -> None:
        self._make, self._inbox, self._clock = make, inbox, clock
        self._limit, self._save_every = limit, save_every
        self._frames: deque[Frame] = deque()
        self._waiting = 0
        self._news = Condition()
        """Of frames, and of the end. Also their lock."""
        self._closing = anyio.Event()
        self._loading = anyio.CancelScope()
        self._failure: DetectionError | None = None
        self._backoff = Backoff(1.0, 300.0)
        self._worker = Worker("detection")
        self.detection: Detection | None = None
        self.skipped = 0
        """Values that were not scored: they came faster than that, or while detection had failed."""

    @property
    def error(self) -> DetectionError | None:
        """What is wrong with detection now: it failed and waits to begin again, or its checkpoint can't be written."""
        return self._failure or (self.detection.refused if self.detection is not None else None)

    def offer(self, frame: Frame) -> None:
        """Queues a frame for scoring, or counts it as skipped; never waits. For any thread.

        History read after a gap is left out: what happened then has been judged, as the silence that it was.
        """
        frame = frame.without(Flag.BACKFILL)
        if not len(frame):
            return
        with self._news:
            if self._failure or (self._waiting + len(frame) > self._limit and self._waiting):
                self.skipped += len(frame)
                return
            self._frames.append(frame)
            self._waiting += len(frame)
            if len(self._frames) == 1 or self._has_enough():
                self._news.notify()

    def _has_enough(self) -> bool:
        return self._waiting >= min(BLOCK_ROWS, self._limit // 2) or self._closing.is_set()

    def close(self) -> None:
        """Score what waits, save, and return from `run`. Kernels that are still being compiled are not waited for."""
        self._closing.set()
        self._loading.cancel()
        with self._news:
            self._news.notify()

    async def run(self) -> None:
        """Runs until `close`; a fault of a detector ends scoring for a while, never collection."""
        while True:
            try:
                await self._run()
            except Exception as error:  # noqa: BLE001 - detection's supervisor: its fault must not stop collection
                _log.exception("detection_failed")
                self._give_up(error)
            else:
                return
            with anyio.move_on_after(self._backoff.next()):
                await self._closing.wait()
                return

    def _give_up(self, error: Exception) -> None:
        self.detection, self._failure = None, error if isinstance(error, DetectionError) else _unexpected(error)
        frames = self._take()
        with self._news:
            self.skipped += sum(map(len, frames))

    async def _run(self) -> None:
        with anyio.CancelScope() as self._loading:
            detection = await self._worker.run(self._make, abandon=True)
        if self._loading.cancelled_caught:
            return
        self.detection, self._failure = detection, None
        _log.info("detection_ready", engine=detection.engine)
        saved = ticked = self._clock.monotonic()
        while not self._closing.is_set() or self._frames:
            self._tell(detection)
            events, ticked = await self._worker.run(partial(self._next, detection, ticked))
            now = self._clock.monotonic()
            if events:
                self._say(events)
            if now - saved >= self._save_every:
                await self._worker.run(detection.save)
                saved = now
                self._backoff.reset()
        await self._worker.run(detection.save)
        self._tell(detection)

    def _next(self, detection: "Detection", ticked: float) -> tuple[list[Event], float]:
        """Scores what comes next, and ticks once a second; what came of it, and when it ticked last."""
        self._gather()
        now = self._clock.monotonic()
        tick = now - ticked >= 1.0
        return self._score(detection, self._take(), tick), now if tick else ticked

    def _gather(self) -> None:
        """Waits for a frame, and then for those that follow soon; at most until it is time for a tick."""
        with self._news:
            if self._news.wait_for(lambda: self._frames or self._closing.is_set(), 1.0):
                self._news.wait_for(self._has_enough, GATHERED_S)

    def _tell(self, detection: "Detection") -> None:
        """What detection survived."""
        notices, detection.notices = detection.notices, []
        for notice in notices:
            _log.warning("detection_impaired", error=str(notice))

    def _take(self) -> list[Frame]:
        with self._news:
            frames = list(self._frames)
            self._frames.clear()
            self._waiting = 0
        return frames

    def _score(self, detection: "Detection", frames: list[Frame], tick: bool) -> list[Event]:
        events: list[Event] = []
        for frame in _joined(frames):
            events += detection.score(frame)
        return events + detection.tick() if tick else events

    def _say(self, events: list[Event]) -> None:
        for event in events:
            _log.info("event", id=event.id, path=event.path, detector=event.detector, state=event.state.value)
        self._inbox.put_events(events)


def _joined(frames: list[Frame]) -> Iterator[Frame]:
    """The same rows in frames of about BLOCK_ROWS; no frame is cut."""
    some: list[Frame] = []
    for frame in frames:
        if some and sum(map(len, some)) + len(frame) > BLOCK_ROWS:
            yield Frame.concat(some)
            some = []
        some.append(frame)
    if some:
        yield Frame.concat(some)


def _unexpected(error: Exception) -> DetectionError:
    what = f"{type(error).__name__}: {error}"
    return DetectionError(
        "score",
        "detection",
        Words(f"예상하지 못한 오류입니다 ({what})", f"unexpected fault ({what})"),
        Words(
            "수집은 계속되며 탐지는 자동으로 다시 시작합니다. 기록(로그)을 보내 주십시오",
            "collection goes on and detection begins again by itself; this is a defect of the program: send us the log",
        ),
    )
