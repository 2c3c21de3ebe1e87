"""Simulation: frames through `Detection` second by second, as a live agent would have seen them.

Rows are cut at whole seconds of their own time, whatever the cut of the frames that bring them: all rows of a second
are scored at its end, and then detection ticks, as it does live once a second. Seconds without rows in which a tick
can say nothing are passed over; that changes no event, only how long it takes.
"""

import math
from typing import Final

import numpy as np

from edge_agent.backtest.clock import DataClock
from edge_agent.backtest.outcome import Outcome
from edge_agent.config.agent import DetectionSection
from edge_agent.detect import Detection
from edge_agent.model import Frame, TagTable
from edge_agent.model.frame import Int64

SECOND: Final = 1_000_000_000
LOOK: Final = 60 * SECOND
"""How often it is noted which tags still learn."""


class Simulation:
    """One configuration over one source. `feed` frames whose times never go back, then `finish`."""

    def __init__(self, tags: TagTable, config: DetectionSection, outcome: Outcome) -> None:
        self._tags, self._config, self.outcome = tags, config, outcome
        self._clock = DataClock(0, 0)
        self._detection: Detection | None = None
        self._left: list[Frame] = []
        self._second = 0
        self._looked = 0

    def feed(self, frame: Frame, when: Int64 | None = None) -> None:
        """Scores the seconds that this frame completes; `when` is the time of each row where it is not `frame.time`."""
        when = frame.time if when is None else when
        if not len(frame):
            return
        second = when // SECOND
        cuts = np.flatnonzero(second[1:] != second[:-1]) + 1
        edges = [0, *cuts.tolist(), len(frame)]
        numbers = second[[*edges[:-1]]].tolist()
        for place, number in enumerate(numbers):
            if self._left and number != self._second:
                self._score()
            self._second = number
            self._left.append(frame.rows(slice(edges[place], edges[place + 1])))

    def finish(self) -> Outcome:
        """Scores what is left. The end of the data is no silence: nothing is said of what comes after."""
        if self._left:
            self._score()
        if self._detection is not None:
            self._look(self._detection)
            self.outcome.notices += self._detection.notices
        return self.outcome

    def _score(self) -> None:
        frame, self._left = Frame.concat(self._left), []
        end = (self._second + 1) * SECOND
        detection = self._detection or self._begin(self._second * SECOND)
        self._pass(detection, end - SECOND)
        self._clock.now = end
        self.outcome.take(detection.score(frame), end)
        self.outcome.take(detection.tick(), end)
        if end - self._looked >= LOOK:
            self._look(detection)

    def _begin(self, start: int) -> Detection:
        self._clock = DataClock(start, start)
        detection = self._detection = Detection(self._tags, self._config, self._clock)
        detection.watch = self.outcome.trace.score if self.outcome.trace is not None else None
        self.outcome.engine = detection.engine
        self._looked = start - LOOK
        return detection

    def _pass(self, detection: Detection, until: int) -> None:
        """Lets the time without rows go by, up to `until`."""
        while self._clock.now < until:
            quiet = detection.quiet_until()
            if math.isinf(quiet):
                return
            seconds = max(1, math.ceil((self._clock.at(quiet) - self._clock.now) / SECOND))
            if self._clock.now + seconds * SECOND > until:
                return
            self._clock.now += seconds * SECOND
            self.outcome.take(detection.tick(), self._clock.now)

    def _look(self, detection: Detection) -> None:
        self._looked = self._clock.now
        self.outcome.learning.note(self._clock.now, detection.ready())
