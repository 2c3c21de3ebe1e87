"""What people read of alarms for which one event speaks, in both languages: floods, shared utilities."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edge_agent.model import Event, EventClass, EventState, Label, Severity
from edge_agent.suppression.words import OWN

if TYPE_CHECKING:
    from edge_agent.suppression.flood import Flood, Opening
    from edge_agent.suppression.utility import Common

FLOOD: Final = f"{OWN}flood"
SHARED: Final = f"{OWN}shared"
_NOTES: Final = {FLOOD: Label("알람 홍수", "alarm flood"), SHARED: Label("공용 유틸리티", "shared utility")}
_UTILITIES: Final = {
    "compressed_air": "압축공기",
    "cooling_water": "냉각수",
    "chiller": "칠러",
    "power": "전원",
    "gas": "가스",
    "steam": "스팀",
    "hydraulics": "유압",
    "nitrogen": "질소",
    "argon": "아르곤",
    "vacuum": "진공",
    "exhaust": "배기",
}


def gathered(event: Event, speaker: str) -> Event:
    """An alarm that stands, for which another event speaks: that of the detector `speaker`."""
    return _noted(replace(event, state=EventState.SUPPRESSED), _NOTES[speaker], speaker)


def ungathered(event: Event, speaker: str) -> Event:
    """An alarm that is over, and was never announced."""
    note = _NOTES[speaker]
    return _noted(event, Label(f"알리지 않음: {note.ko}", f"not announced: {note.en}"), speaker)


def _noted(event: Event, note: Label, speaker: str) -> Event:
    text = Label(f"[{note.ko}] {event.text.ko}", f"[{note.en}] {event.text.en}")
    return replace(event, text=text, evidence={**event.evidence, "suppressed_by": speaker})


def is_spoken_for(event: Event) -> bool:
    """Whether another event speaks for this one."""
    return event.evidence.get("suppressed_by") in _NOTES


def utility_event(site: str, common: "Common", machines: Sequence[Label]) -> Event:
    """Machines that went off together; `machines`: what people call them, the first that was told first."""
    ko = ", ".join(f"{_UTILITIES[name]}({name})" if name in _UTILITIES else name for name in common.utilities)
    en, first, detector = ", ".join(common.utilities), common.first, f"{SHARED}/{common.key}"
    text = Label(
        f"공용 유틸리티 {ko}: 함께 쓰는 설비 {len(machines)}대({', '.join(name.ko for name in machines)})에서 "
        f"5분 안에 이상이 생겼습니다. 최초 알람 → {first.text.ko} | 설비보다 유틸리티를 먼저 확인하십시오",
        f"shared utility {en}: {len(machines)} machines that share it ({', '.join(name.en for name in machines)}) went "
        f"off within 5 min. First out → {first.text.en} | check the utility before the machines",
    )
    facts: dict[str, float | str] = {
        "utilities": en,
        "machines": ", ".join(common.machines),
        "first_out": first.path,
        "first_out_id": first.id,
        "first_out_ms": float(first.start // 1_000_000),
        "gathered": float(common.count),
    }
    return Event(
        id=hashlib.sha256(f"{site}\n{detector}\n{common.since}".encode()).hexdigest()[:20],
        path=site,
        detector=detector,
        event_class=EventClass.PROCESS,
        severity=Severity.WARNING,
        state=EventState.OPEN,
        start=common.since,
        end=0,
        text=text,
        evidence=facts,
    )


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
        id=hashlib.sha256(f"{flood.path}\n{FLOOD}\n{flood.since}".encode()).hexdigest()[:20],
        path=flood.path,
        detector=FLOOD,
        event_class=first.event_class,
        severity=Severity.WARNING,
        state=EventState.OPEN,
        start=flood.since,
        end=0,
        text=text,
        evidence=facts,
    )


def group_over(event: Event, now: int) -> Event:
    """The same group, over."""
    minutes = max(now - event.start, 0) / 60e9
    text = Label(f"[해제, 지속 {minutes:.0f}분] {event.text.ko}", f"[over after {minutes:.0f} min] {event.text.en}")
    return replace(event, state=EventState.CLOSED, end=max(now, event.start), text=text)
