"""The analytics stage's place on the road: frames in, events out, in a worker thread, never in anyone's way."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from edge_agent.clock import Clock
from edge_agent.errors import DetectionError
from edge_agent.inbox import Inbox
from edge_agent.model import Event, Frame

if TYPE_CHECKING:
    from edge_agent.detect import Detection

_log = structlog.get_logger("detection")


class Scoring:
    """Queues frames for the detectors, at most `limit` values; what does not fit is not scored, and counted.

    `make` builds the detection; it runs in the worker thread, since loading kernels takes most of a second.
    """

    def __init__(
        self, make: Callable[[], "Detection"], inbox: Inbox, clock: Clock, limit: int, save_every: float
    ) -> None:
        self._make, self._inbox, self._clock = make, inbox, clock
        self._limit, self._save_every = limit, save_every
        self._frames: deque[Frame] = deque()
        self._waiting = 0
        self._some = anyio.Event()
        self._closing = False
        self.detection: Detection | None = None
        self.skipped = 0
        """Values that came faster than they could be scored."""

    def offer(self, frame: Frame) -> None:
        """Queues a frame for scoring, or counts it as skipped; never waits."""
        if self._waiting + len(frame) > self._limit and self._waiting:
            self.skipped += len(frame)
            return
        self._frames.append(frame)
        self._waiting += len(frame)
        self._some.set()

    def close(self) -> None:
        """Score what waits, save, and return from `run`."""
        self._closing = True
        self._some.set()

    async def run(self) -> None:
        """Runs until `close`; a fault of a detector is said once and ends scoring, never collection."""
        try:
            await self._run()
        except DetectionError as error:
            _log.error("detection_stopped", error=str(error))

    async def _run(self) -> None:
        detection = self.detection = await anyio.to_thread.run_sync(self._make)
        _log.info("detection_ready", engine=detection.engine)
        saved = ticked = self._clock.monotonic()
        while not self._closing or self._frames:
            with anyio.move_on_after(1.0):
                await self._some.wait()
            self._some = anyio.Event()
            now = self._clock.monotonic()
            tick = now - ticked >= 1.0
            events = await anyio.to_thread.run_sync(self._score, detection, self._take(), tick)
            ticked = now if tick else ticked
            if events:
                self._say(events)
            if now - saved >= self._save_every:
                await anyio.to_thread.run_sync(detection.save)
                saved = now
        await anyio.to_thread.run_sync(detection.save)

    def _take(self) -> list[Frame]:
        frames = list(self._frames)
        self._frames.clear()
        self._waiting = 0
        return frames

    def _score(self, detection: "Detection", frames: list[Frame], tick: bool) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            events += detection.score(frame)
        return events + detection.tick() if tick else events

    def _say(self, events: list[Event]) -> None:
        for event in events:
            _log.info("event", id=event.id, path=event.path, detector=event.detector, state=event.state.value)
        self._inbox.put_events(events)
