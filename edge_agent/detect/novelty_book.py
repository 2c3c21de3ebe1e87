"""The book of novelties: which tags go through a course that never was, and the events that say so.

An event opens where a course as odd as the budget of false alarms allows stays so for the on-delay, and closes when it
has been below half of that for the off-delay. A tag that has an event of its own already opens no second one; after
`REPEATS` events within a week, only one opens that is `WORSE` times worse.
"""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from analytics.kernels import left_profile, tail
from edge_agent.config.agent import DetectionSection
from edge_agent.detect.deviation import closed, event_id, span
from edge_agent.detect.novelty import Compared, Novelties
from edge_agent.detect.sentence import name_of
from edge_agent.model import Event, EventClass, EventState, Label, Severity, TagTable

DETECTOR: Final = "novelty"
LEAST: Final = 3
"""Grid points that an odd course lasts at least."""
REPEATS: Final = 3
WORSE: Final = 1.25
WARNS: Final = 1.5
"""So many times the limit, it is a warning and no notice."""
WEEK: Final = 7 * 24 * 3600 * 1_000_000_000


@dataclass(slots=True)
class Oddity:
    """What is under way at one tag; times in ns since 1970 UTC, `since` 0 where nothing is."""

    since: int = 0
    high: int = 0
    peak: float = 0.0
    event: Event | None = None
    recent: list[tuple[int, float]] = field(default_factory=list)


class NoveltyBook:
    """Makes events of what was compared."""

    def __init__(self, tags: TagTable, config: DetectionSection, novelties: Novelties) -> None:
        self._tags, self._novelties = tags, novelties
        steps = novelties.step * 1e-9
        self._limit = [tail.alarm_limit(config.max_false_alarms, float(step)) for step in steps]
        self._on = np.maximum(config.on_delay, LEAST * steps) * 1e9
        self._off = np.maximum(config.off_delay, LEAST * steps) * 1e9
        self._row = {int(tag): row for row, tag in enumerate(novelties.tags)}
        self.oddities = [Oddity() for _ in steps]
        self.orphans: list[Event] = []
        """Open events of tags that are no longer compared: closed at the next occasion."""

    @property
    def open_events(self) -> list[Event]:
        """Events that have not ended."""
        return [known.event for known in self.oddities if known.event is not None]

    def take(self, found: list[Compared], told: Callable[[], Collection[int]]) -> list[Event]:
        """The events that these points open and close; `told`: tags that have an event of their own."""
        out = [closed(event, event.start) for event in self.orphans]
        self.orphans.clear()
        for one in found:
            row = self._row[one.tag]
            if self.oddities[row].since or bool((one.alarm > self._limit[row]).any()):
                out += self._one(row, one, told)
        return out

    def _one(self, row: int, found: Compared, told: Callable[[], Collection[int]]) -> list[Event]:
        known, limit, out = self.oddities[row], self._limit[row], []
        columns = zip(found.time.tolist(), found.value, found.score.tolist(), found.alarm.tolist(), strict=True)
        for time, value, score, alarm in columns:
            if not known.since and alarm > limit:
                known.since, known.peak = time, alarm
            if not known.since:
                continue
            known.peak = max(known.peak, score)
            if score >= 0.5 * limit:
                known.high = time
            if known.event is None and known.high - known.since >= self._on[row]:
                if found.tag in told() or self._repeats(known):
                    known.since = 0
                    continue
                known.event = self._event(row, known, float(value))
                out.append(known.event)
            if time - known.high >= self._off[row]:
                out += self._over(known)
        return out

    def _repeats(self, known: Oddity) -> bool:
        lately = [peak for start, peak in known.recent if known.since - start < WEEK]
        return len(lately) >= REPEATS and known.peak <= WORSE * max(lately)

    def _over(self, known: Oddity) -> list[Event]:
        event, since = known.event, known.since
        known.event, known.since = None, 0
        if event is None:
            return []
        known.recent = [*known.recent, (since, known.peak)][-REPEATS:]
        return [closed(event, known.high, known.peak)]

    def _event(self, row: int, known: Oddity, value: float) -> Event:
        tag, limit = self._tags[int(self._novelties.tags[row])], self._limit[row]
        seconds = float(left_profile.WINDOW * self._novelties.step[row] * 1e-9)
        severity = Severity.NOTICE if known.peak < WARNS * limit else Severity.WARNING
        evidence = {"score": known.peak, "limit": limit, "seconds": seconds, "value": value}
        return Event(
            event_id(tag.path, DETECTOR, known.since), tag.path, DETECTOR, tag.cause or EventClass.PROCESS, severity,
            EventState.OPEN, known.since, 0, _sentence(name_of(tag), seconds, known.peak, limit),
            {key: figure for key, figure in evidence.items() if np.isfinite(figure)},
        )  # fmt: skip  # one field a line hides the rest

    # -- after a restart -----------------------------------------------------------------------------------------------

    def document(self) -> list[dict[str, Any]]:
        """For the checkpoint, a tag each."""
        return [
            {**asdict(known), "path": path}
            for path, known in zip(self._novelties.paths, self.oddities, strict=True)
            if known.since or known.recent
        ]

    def restore(self, document: list[dict[str, Any]], read: Callable[[dict[str, Any] | None], Event | None]) -> None:
        """Goes on with what was under way; `read` makes an event of what is stored of it."""
        rows = {path: row for row, path in enumerate(self._novelties.paths)}
        for item in document:
            event = read(item["event"])
            if item["path"] not in rows:
                self.orphans += [] if event is None else [event]
                continue
            recent = [(int(start), float(peak)) for start, peak in item["recent"]]
            times = int(item["since"]), int(item["high"])
            self.oddities[rows[item["path"]]] = Oddity(*times, float(item["peak"]), event, recent)


def _sentence(name: Label, seconds: float, score: float, limit: float) -> Label:
    figures = f"{score:.3g}", f"{limit:.3g}"
    return Label(
        f"{name.ko}: 최근 {span(seconds, 'ko')} 동안 값이 움직인 모양이 지금까지 본 적이 없습니다. 값 자체는 평소 범위 "
        f"안에 있을 수 있습니다(이상 점수 {figures[0]}, 한계 {figures[1]}). 추이 그래프와 설비 동작을 확인하십시오.",
        f"{name.en}: the course of the last {span(seconds, 'en')} is unlike any before, though the values may be "
        f"as usual (score {figures[0]}, limit {figures[1]}); look at its trend and at what the machine does.",
    )
