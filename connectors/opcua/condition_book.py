"""Condition book: what a server tells of events and conditions becomes events of ours, each told once. Pure.

A plain event is an event of ours that begins and ends at its time. A condition with an active state (Part 9, 5.8) is
one that begins when it becomes active and ends when it becomes inactive; it is told again while it lasts only when it
gets worse. A branch, an earlier state that nobody acknowledged, is no event. A refresh repeats what is known: a plain
event is known by its EventId, a condition by its state. A condition that a refresh leaves out is over, and so is one
that it says to be active only since later: that is another event.
"""

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from connectors.opcua.event_type import EventType
from connectors.opcua.told import Told
from edge_agent.api import PLAUSIBLE_NS, Event, EventClass, EventState, Label, Severity

REMEMBERED: Final = 512
"""Events that are known to have been told."""
MOST_OPEN: Final = 5000
"""Conditions that are held; more at once is a server gone wild, and the oldest of them are no longer followed."""
OLDEST_NS: Final = 10 * 365 * 86_400 * 1_000_000_000
"""No condition has lasted longer than ten years: a server that says so has no clock."""
LEAST_REST_NS: Final = 1_000_000_000
"""A condition that a refresh says to be active since later than this after we knew it began was over in between."""
_LONGEST_NAME: Final = 120
_MS: Final = 1_000_000
_CRITICAL: Final = 801
_WARNING: Final = 401


def severity_of(number: int) -> Severity:
    """Of the standard's five ranges (Part 5, 6.4.2, 1 to 1000) the two lower are a notice, the highest is critical."""
    if number >= _CRITICAL:
        return Severity.CRITICAL
    return Severity.WARNING if number >= _WARNING else Severity.NOTICE


@dataclass(slots=True)
class ConditionBook:
    """What one notifier of one link told. `machine` is where its events belong."""

    link: str
    machine: str
    least: int = 1
    """The least severity that is told."""
    open: dict[str, Event] = field(default_factory=dict)
    """Condition -> its event, which has not ended."""
    _told: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _points: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _seen: set[str] | None = None
    """Conditions that the refresh under way told of; None while there is none."""

    def take(self, told: Told, kind: EventType, received: int) -> list[Event]:
        """What is new in it. `received`: ns since 1970."""
        if told.condition and self._seen is not None:
            self._seen.add(told.condition)
        if told.branch:
            return []
        if told.condition and told.active is not None:
            return self._condition(told, kind, received)
        if told.severity < self.least or self._is_known(told):
            return []
        return [self._plain(told, kind, received)]

    def refresh(self) -> None:
        """The server begins to tell of all conditions that it retains."""
        self._seen = set()

    def abandon(self) -> bool:
        """Some of what a refresh told is lost: what it left out says nothing. Whether one was under way."""
        under_way, self._seen = self._seen is not None, None
        return under_way

    def refreshed(self, now: int) -> list[Event]:
        """It told of all: what it left out is over since some time before `now`."""
        if self._seen is None:
            return []
        gone, self._seen = [one for one in self.open if one not in self._seen], None
        return [_unseen(self.open.pop(one), now) for one in gone]

    def _is_known(self, told: Told) -> bool:
        """Whether it was told already; servers that give no EventId are believed."""
        if not told.id:
            return False
        mark = f"{told.id.hex()}/{told.time}"  # some servers count from 0 at each start
        known = mark in self._told
        if not known:
            self._told.append(mark)
        return known

    def _plain(self, told: Told, kind: EventType, received: int) -> Event:
        time = told.time
        if time is None or abs(time - received) > PLAUSIBLE_NS:
            time = received
        detector = self._detector(told, kind)
        name = f"{detector} {self.machine} {told.id.hex() or told.message} {time}"
        while (detector, time // _MS) in self._points:  # a hub keeps one point a millisecond
            time += _MS
        self._points.append((detector, time // _MS))
        return self._event(name, told, kind, detector, EventState.CLOSED, (time, time))

    def _condition(self, told: Told, kind: EventType, received: int) -> list[Event]:
        known = self.open.get(told.condition)
        moment = self._moment(told, received)
        if not told.active:
            if known is None:
                return []
            del self.open[told.condition]
            return [_ended(known, moment, Label("[해제]", "[over]"), _facts(told, kind))]
        if known is None:
            return self._opened(told, kind, moment)
        if self._seen is not None and moment == told.changed and moment > known.start + LEAST_REST_NS:
            del self.open[told.condition]
            return [_unseen(known, moment), *self._opened(told, kind, moment)]
        worse = self._opening(told, kind, known.detector, known.start)
        again = replace(worse, id=known.id, severity=max(known.severity, worse.severity))
        self.open[told.condition] = again
        return [again] if again.severity > known.severity else []

    def _opened(self, told: Told, kind: EventType, moment: int) -> list[Event]:
        if told.severity < self.least:
            return []
        opened = self._opening(told, kind, self._detector(told, kind), moment)
        self.open[told.condition] = opened
        while len(self.open) > MOST_OPEN:
            del self.open[next(iter(self.open))]
        return [opened]

    def _opening(self, told: Told, kind: EventType, detector: str, start: int) -> Event:
        name = f"{detector} {self.machine} {told.condition} {start}"
        return self._event(name, told, kind, detector, EventState.OPEN, (start, 0))

    def _moment(self, told: Told, received: int) -> int:
        """When it changed. Outside of a refresh the server's clock is believed only where its event is of now."""
        near = told.time is not None and abs(told.time - received) <= PLAUSIBLE_NS
        moment = told.changed or told.time
        if moment is None or not (near or self._seen is not None):
            return received
        return moment if received - OLDEST_NS < moment <= received + PLAUSIBLE_NS else received

    def _detector(self, told: Told, kind: EventType) -> str:
        what = told.name or kind.name
        where = f"{told.source_name}/{what}" if told.source_name and told.source_name != what else what
        return f"link/{self.link}/{where}"[:_LONGEST_NAME]

    def _event(
        self, name: str, told: Told, kind: EventType, detector: str, state: EventState, span: tuple[int, int]
    ) -> Event:
        sentence = _sentence(told, kind)
        return Event(
            id=hashlib.sha256(name.encode(errors="replace")).hexdigest()[:20],
            path=self.machine,
            detector=detector,
            event_class=kind.event_class,
            severity=severity_of(told.severity),
            state=state,
            start=span[0],
            end=span[1],
            text=Label(sentence, sentence),
            evidence=_facts(told, kind),
        )

    # -- over restarts -------------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """What has to be known after a restart, as JSON holds it."""
        return {"open": {name: _written(event) for name, event in self.open.items()}, "told": list(self._told)}

    def recall(self, kept: Mapping[str, Any]) -> None:
        """Goes on with what was kept; raises ValueError, TypeError, KeyError or AttributeError where it is odd."""
        self.open = {str(name): _read(facts) for name, facts in kept["open"].items()}
        self._told.extend(str(mark) for mark in kept["told"])


def _ended(event: Event, end: int, mark: Label, facts: Mapping[str, float | str]) -> Event:
    text = Label(f"{mark.ko} {event.text.ko}", f"{mark.en} {event.text.en}")
    end = max(end, event.start)
    return replace(event, state=EventState.CLOSED, end=end, text=text, evidence={**event.evidence, **facts})


def _unseen(event: Event, latest: int) -> Event:
    """It was over at some time before `latest`, while nobody listened."""
    return _ended(event, latest, Label("[해제, 연결이 끊긴 동안]", "[over, while not connected]"), {"end_unseen": 1.0})


def _sentence(told: Told, kind: EventType) -> str:
    """The server's own message, after the name of its source where that is not in it."""
    message = told.message or told.name or kind.name
    return message if not told.source_name or told.source_name in message else f"{told.source_name}: {message}"


def _facts(told: Told, kind: EventType) -> dict[str, float | str]:
    """Evidence for the expert; texts as the server has them."""
    texts = {"event_type": kind.name, "source": told.source, "condition": told.condition, "event_id": told.id.hex()}
    facts: dict[str, float | str] = {name: text for name, text in texts.items() if text}
    facts["severity"] = float(told.severity)
    if told.acked is not None:
        facts["acked"] = float(told.acked)
    return facts


_PLAIN: Final = ("id", "path", "detector", "start")


def _written(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _PLAIN} | {
        "class": event.event_class.value,
        "severity": int(event.severity),
        "text": event.text.ko,
        "evidence": dict(event.evidence),
    }


def _read(facts: Mapping[str, Any]) -> Event:
    text = str(facts["text"])
    return Event(
        id=str(facts["id"]),
        path=str(facts["path"]),
        detector=str(facts["detector"]),
        event_class=EventClass(facts["class"]),
        severity=Severity(facts["severity"]),
        state=EventState.OPEN,
        start=int(facts["start"]),
        end=0,
        text=Label(text, text),
        evidence=dict(facts["evidence"]),
    )
