"""Detection: the stage itself. Frames in, events out, a checkpoint so that a restart changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.kernels import layout as at
from analytics.kernels.block import Block
from analytics.kernels.layout import Float64, Int64
from edge_agent.clock import Clock
from edge_agent.config.agent import DetectionSection
from edge_agent.detect.book import Book
from edge_agent.detect.checkpoint import Checkpoint
from edge_agent.detect.context import Context
from edge_agent.detect.cycle import Cycles
from edge_agent.detect.cycle_book import CycleBook
from edge_agent.detect.cycle_checkpoint import CycleCheckpoint
from edge_agent.detect.deviation import GROUP_BITS, Deviation, Group, class_of_status
from edge_agent.detect.engine import load_engine
from edge_agent.detect.novelty import Novelties
from edge_agent.detect.novelty_book import NoveltyBook
from edge_agent.detect.novelty_checkpoint import NoveltyCheckpoint
from edge_agent.detect.parameters import parameters
from edge_agent.detect.rows import block, fresh, known_rows
from edge_agent.errors import DetectionError
from edge_agent.model import Event, EventClass, Flag, Frame, Status, TagTable

_NS: Final = 1_000_000_000


class Detection:
    """Scores frames and keeps the events. Not thread-safe: one worker thread makes all calls.

    `engine` says which arithmetic runs ("numba" or "numpy"); `notices` are troubles that were survived (no numba, a
    damaged checkpoint, a disk that takes none), for the caller to log once.
    """

    def __init__(self, tags: TagTable, config: DetectionSection, clock: Clock, checkpoint: Path | None = None) -> None:
        """`checkpoint`: where state is kept, less its endings `.npz` and `.json`; None keeps nothing. Never fails."""
        self._tags, self._clock = tags, clock
        self._engine, trouble = load_engine(config.engine)
        self.engine = self._engine.NAME
        self.notices: list[DetectionError] = [] if trouble is None else [trouble]
        self._parameters = parameters(tags, config)
        self._state = at.new_state(len(tags))
        self._context = Context(tags, config.learn_time)
        self._book = Book(tags, config, self._state, self._parameters)
        self._cycles = Cycles(tags, config.max_false_alarms)
        self._cycle_book = CycleBook(tags, self._cycles)
        self._novelties = Novelties(tags, self.engine)
        self.notices += [] if self._novelties.trouble is None else [self._novelties.trouble]
        self._novelty_book = NoveltyBook(tags, config, self._novelties)
        self._seen = np.full(len(tags), self._now(), np.int64)
        self._stale = np.zeros(len(tags), bool)
        self._explained = np.zeros(len(tags), np.int64)
        self._checkpoint = None if checkpoint is None else Checkpoint(checkpoint, tags)
        self._cycle_checkpoint = None if checkpoint is None else CycleCheckpoint(checkpoint, tags, self._cycles)
        self._novelty_checkpoint = None if checkpoint is None else NoveltyCheckpoint(checkpoint, self._novelties)
        self._written = self._clock.monotonic()
        self.watch: Callable[[Block, Float64], None] | None = None
        """Is told each block and its rows' scores (1 at the limit of the tag's detectors); for drawing them."""
        self.refused: DetectionError | None = None
        """Why the checkpoint could not be written the last time; None where it could."""
        if self._checkpoint is not None:
            self._restore(self._checkpoint)

    @property
    def open_events(self) -> list[Event]:
        """Events that have not ended, oldest first."""
        return sorted(
            [*self._book.open_events, *self._cycle_book.open_events, *self._novelty_book.open_events],
            key=lambda event: event.start,
        )

    def learning(self) -> tuple[int, int]:
        """How many tags the learned detectors still learn (or settle on, after a change), and how many they watch.

        Tags that have no learned detectors, and tags that have not shown a number yet, are in neither.
        """
        able = (self._parameters[:, at.P_STAT] > 0.0) & (self._state[:, at.I_ROWS] > 0)
        ready = able & self.ready()
        return int(able.sum() - ready.sum()), int(ready.sum())

    def ready(self) -> npt.NDArray[np.bool_]:
        """Of each tag, whether its learned detectors speak now; never of one that has none."""
        learned = (self._parameters[:, at.P_STAT] > 0.0) & (self._state[:, at.I_PHASE] == at.READY)
        out: npt.NDArray[np.bool_] = learned & (self._state[:, at.I_SETTLE] == 0)
        return out

    def quiet_until(self) -> float:
        """Monotonic time before which no tick can say anything unless rows come; +inf where none ever will.

        For a clock that is set forward at will: ticks up to then may be left out.
        """
        if self._book.waits:
            return self._clock.monotonic()
        waiting = ~self._stale & (self._state[:, at.I_MASK] & at.QUALITY_BITS == 0) & ~self._rests()
        limit = at.stale_limit(self._state, self._parameters)[waiting]
        return float((self._seen[waiting] * 1e-9 + limit).min(initial=np.inf))

    def cycles(self) -> list[dict[str, Any]]:
        """Of each machine whose cycles are watched: `machine` (path), `cycles` compared or learned so far, `kinds` of
        them, and whether all its figures are still `learning`. May be asked from another thread.
        """
        return [machine.shown() for machine in self._cycles.machines]

    def novelty(self) -> list[dict[str, Any]]:
        """Of each tag compared with its own past: `tag` (path), points `compared`, and whether it is still `learning`.

        May be asked from another thread.
        """
        return self._novelties.shown()

    def score(self, frame: Frame) -> list[Event]:
        """Scores a frame's rows; the events that opened or closed by them. Rows of one tag come in order of time."""
        frame = known_rows(frame, len(self._tags))
        if not len(frame):
            return []
        now = self._clock.monotonic()
        explained = self._context.explained(frame)
        at.settle(self._state, explained)
        self._explained[explained] = self._now()
        for tag in explained.tolist():
            self._novelties.explain(tag, self._context.changed(tag))
        rows = block(frame, len(self._tags))
        mask, score, changed = self._engine.score_block(rows, self._state, self._parameters)
        self._book.note(rows, score)
        if self.watch is not None:
            self.watch(rows, score)
        self._changes(frame, rows, mask, changed, now)
        self._arrived(frame, now)
        others = [*self._of_cycles(rows, frame), *self._of_novelties(rows, frame)]
        return [*self._ended(now, tick=False), *others]

    def tick(self) -> list[Event]:
        """Looks for tags that have gone silent, and lets delays run out; to be called about once a second."""
        now = self._clock.monotonic()
        elapsed = self._now() - self._seen
        if (elapsed * 1e-9 > at.STALE_LEAST).any():  # else all spoke a moment ago, and no state need be looked at
            silent = elapsed * 1e-9 > at.stale_limit(self._state, self._parameters)
            silent &= ~self._stale & (self._state[:, at.I_MASK] & at.QUALITY_BITS == 0) & ~self._rests()
            wall = self._clock.wall()
            for tag in np.flatnonzero(silent):
                self._gone(int(tag), wall, elapsed, now)
        return self._ended(now, tick=True)

    def save(self) -> None:
        """Writes the checkpoint. Where the disk refuses, `notices` says so and detection goes on."""
        if self._checkpoint is not None:
            stored = self._checkpoint
            self._write(lambda: self._save_state(stored))
            self._save_book(stored)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock.monotonic() * _NS)

    def _rests(self) -> npt.NDArray[np.bool_]:
        """Tags that may be silent because nothing happens: at a stop, or their machine stopped when they fell silent.

        Only tags that never repeat a value: from the others a value is expected whatever it is.
        """
        floats = self._state.view(np.float64)
        margin = (3.0 * floats[:, at.F_DT] + 5.0) * 1e9
        on_change = (floats[:, at.F_MOVE] >= 1.0) | (self._parameters[:, at.P_STAT] == 0.0)
        excused = on_change & (self._explained > 0) & (self._explained >= self._seen - margin)
        out: npt.NDArray[np.bool_] = excused | at.rests(self._state, self._parameters)
        return out

    def _of_cycles(self, rows: Block, frame: Frame) -> list[Event]:
        """What the cycles say that ended with these rows."""
        found = self._cycles.take(rows, frame.kind)
        if not (found or self._cycle_book.orphans):
            return []
        events = self._cycle_book.take(found, self._book.telling)
        self._book.changed |= bool(events)
        return events

    def _of_novelties(self, rows: Block, frame: Frame) -> list[Event]:
        """What the courses say that these rows continue."""
        found = self._novelties.take(rows, frame)
        if not (found or self._novelty_book.orphans):
            return []
        events = self._novelty_book.take(found, self._book.telling)
        self._book.changed |= bool(events)
        return events

    def _changes(
        self, frame: Frame, rows: Block, mask: npt.NDArray[np.uint16], changed: npt.NDArray[np.int64], now: float
    ) -> None:
        """Tells the book, row by row, where a group of detectors began or ceased to fire. Few rows, so plain Python."""
        if not len(changed):
            return
        tags = rows.tags[np.searchsorted(rows.offsets, changed, side="right") - 1]
        source = changed if rows.order is None else rows.order[changed]
        for position, tag, row in zip(changed.tolist(), tags.tolist(), source.tolist(), strict=True):
            bits, time, value = int(mask[position]), int(rows.time[position]), float(rows.value[position])
            for group, members in GROUP_BITS.items():
                found = Deviation(tag, group, bits & members, time, now, value)
                found.blame(self._tags[tag])
                if group is Group.QUALITY:
                    _explain(found, int(frame.status[row]), int(frame.flags[row]))
                elif group is Group.FLATLINE:
                    found.event_class = EventClass.INSTRUMENT
                    found.since = min(time, int(self._state[tag, at.I_RUN_TIME]))
                self._book.change(found, time)

    def _arrived(self, frame: Frame, now: float) -> None:
        """Notes which tags gave a sign of life; those that were stale no longer are."""
        shown = fresh(frame)
        alive = frame.tag if shown.all() else frame.tag[shown]
        if self._stale.any():
            for tag in np.unique(alive[self._stale[alive]]).tolist():
                self._stale[tag] = False
                if not self._state[tag, at.I_MASK] & at.QUALITY_BITS:
                    last = int(self._book.row_time[tag])
                    self._book.change(Deviation(tag, Group.QUALITY, 0, last, now, 0.0), last)
        self._seen[alive] = self._now()

    def _gone(self, tag: int, wall: int, elapsed: Int64, now: float) -> None:
        """A tag fell silent: that is the instrument's where others of its machine still spoke over the same link."""
        self._stale[tag], silent = True, int(elapsed[tag])
        alone = bool((2 * elapsed[self._book.companions(tag)] < silent).any())
        why, since = EventClass.INSTRUMENT if alone else EventClass.COMMUNICATION, wall - silent
        found = Deviation(tag, Group.QUALITY, at.STALE, since, now, 0.0, 0, why, due=True)
        found.lasted = silent * 1e-9
        self._book.change(found, since)

    def _ended(self, now: float, *, tick: bool) -> list[Event]:
        events = self._book.review(now, tick=tick)
        if self._book.changed and self._checkpoint is not None and now - self._written >= 1.0:
            self._save_book(self._checkpoint)
        return events

    def _save_state(self, stored: Checkpoint) -> None:
        stored.save_state(self._state, self._parameters, self._context.memory)
        if self._cycle_checkpoint is not None:
            self._cycle_checkpoint.save()
        if self._novelty_checkpoint is not None:
            self._novelty_checkpoint.save()

    def _save_book(self, stored: Checkpoint) -> None:
        self._book.changed = not self._write(lambda: stored.save_book(self._book, self._cycle_book, self._novelty_book))
        self._written = self._clock.monotonic()

    def _write(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except DetectionError as refused:  # the events are known all the same
            self.notices += [] if self.refused else [refused]
            self.refused = refused
            return False
        self.refused = None
        return True

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.notices += checkpoint.load_state(self._state, self._parameters, self._context.memory)
        self.notices += [] if self._cycle_checkpoint is None else self._cycle_checkpoint.load()
        self.notices += [] if self._novelty_checkpoint is None else self._novelty_checkpoint.load()
        now = self._clock.monotonic()
        self.notices += checkpoint.load_book(self._book, self._cycle_book, self._novelty_book, now)
        for known in self._book.deviations.values():
            if known.bits & at.STALE and not known.ended:
                self._stale[known.tag] = True


def _explain(found: Deviation, status: int, flags: int) -> None:
    found.status = status
    found.event_class = EventClass.COMMUNICATION if flags & Flag.AGENT else class_of_status(status)
    if found.bits & at.INVALID:
        found.status, found.event_class = int(Status.GOOD), EventClass.INSTRUMENT
