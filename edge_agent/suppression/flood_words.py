"""What people read of an alarm flood, in both languages."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_agent.model import Event, EventState, Label, Severity
from edge_agent.suppression.words import OWN

if TYPE_CHECKING:
    from edge_agent.suppression.flood import Flood, Opening

DETECTOR = f"{OWN}flood"


def gathered(event: Event) -> Event:
    """An alarm that stands, as it is told in a flood."""
    note = Label("알람 홍수", "alarm flood")
    return _noted(replace(event, state=EventState.SUPPRESSED), note)


def unannounced_in_flood(event: Event) -> Event:
    """An alarm that is over, and was never announced."""
    return _noted(event, Label("알리지 않음: 알람 홍수", "not announced: alarm flood"))


def _noted(event: Event, note: Label) -> Event:
    text = Label(f"[{note.ko}] {event.text.ko}", f"[{note.en}] {event.text.en}")
    return replace(event, text=text, evidence={**event.evidence, "suppressed_by": DETECTOR})


def in_flood(event: Event) -> bool:
    """Whether another event speaks for this one."""
    return event.evidence.get("suppressed_by") == DETECTOR


def flood_event(flood: "Flood", first: "Opening", name: Label, others: Sequence[Label]) -> Event:
    """The flood at `name` as it stands; `others`: what people call where the first few alarms were that it gathered."""
    text = Label(
        f"{name.ko}: 알람 홍수. 10분에 {flood.limit}건을 넘어 {flood.count}건을 하나씩 알리지 않고 기록합니다. "
        f"최초 알람 → {first.text.ko} | 관련: {', '.join(other.ko for other in others)}",
        f"{name.en}: alarm flood. More than {flood.limit} in 10 min, so {flood.count} are recorded and not announced "
        f"one by one. First out → {first.text.en} | others: {', '.join(other.en for other in others)}",
    )
    facts: dict[str, float | str] = {
        "gathered": float(flood.count),
        "limit": float(flood.limit),
        "first_out": first.path,
        "first_out_ms": float(first.time // 1_000_000),
        "paths": ", ".join(flood.paths),
    }
    return Event(
        id=hashlib.sha256(f"{flood.path}\n{DETECTOR}\n{flood.since}".encode()).hexdigest()[:20],
        path=flood.path,
        detector=DETECTOR,
        event_class=first.event_class,
        severity=Severity.WARNING,
        state=EventState.OPEN,
        start=flood.since,
        end=0,
        text=text,
        evidence=facts,
    )


def flood_over(event: Event, now: int) -> Event:
    """The same flood, over."""
    minutes = max(now - event.start, 0) / 60e9
    text = Label(f"[해제, 지속 {minutes:.0f}분] {event.text.ko}", f"[over after {minutes:.0f} min] {event.text.en}")
    return replace(event, state=EventState.CLOSED, end=max(now, event.start), text=text)
