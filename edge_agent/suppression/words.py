"""What people read of suppressed alarms: events in both languages, and why an order was refused."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from edge_agent.errors import AlarmError, Words
from edge_agent.model import Event, EventClass, EventState, Label, Severity
from edge_agent.suppression.shelf import LONGEST_NAME, LONGEST_REASON, LONGEST_S, SHORTEST_S, Shelf

OWN: Final = "alarm/"
"""Detectors of events that suppression itself tells begin so."""


def when(ns: int) -> str:
    """A time as a person at this machine reads it: local, to the minute."""
    return f"{datetime.fromtimestamp(ns / 1e9).astimezone():%Y-%m-%d %H:%M}"


def marked(event: Event, shelf: Shelf) -> Event:
    """An event that stands, as it is told while `shelf` covers it."""
    until = when(shelf.until)
    note = Label(f"보류: {shelf.by}, {until}까지", f"shelved by {shelf.by} until {until}")
    if shelf.out_of_service:
        note = Label(f"사용 중지: {shelf.by}", f"out of service, {shelf.by}")
    return _noted(replace(event, state=shelf.state), note, shelf)


def unannounced(event: Event, shelf: Shelf) -> Event:
    """An event that is over, and was never announced, or no longer."""
    return _noted(event, Label(f"알리지 않음: {shelf.by}", f"not announced: {shelf.by}"), shelf)


def _noted(event: Event, note: Label, shelf: Shelf) -> Event:
    facts = {"suppressed_by": shelf.by, "suppression_reason": shelf.reason}
    text = Label(f"[{note.ko}] {event.text.ko}", f"[{note.en}] {event.text.en}")
    return replace(event, text=text, evidence={**event.evidence, **facts})


def shelf_event(shelf: Shelf, name: Label, end: int = 0, ended_by: str = "") -> Event:
    """Record that `shelf` is in force for what people call `name`; with `end` that it was, `ended_by` a person or, if
    empty, by time.
    """
    kind = "out_of_service" if shelf.out_of_service else "shelved"
    detector = f"{OWN}{kind}/{shelf.detector}".rstrip("/")
    text = _over(shelf, name, ended_by) if end else _begun(shelf, name)
    facts: dict[str, float | str] = {"by": shelf.by, "reason": shelf.reason}
    facts |= {"until_ms": float(shelf.until // 1_000_000)} if shelf.until else {}
    facts |= {"ended_by": ended_by} if ended_by else {}
    return Event(
        id=hashlib.sha256(f"{shelf.path}\n{detector}\n{shelf.since}".encode()).hexdigest()[:20],
        path=shelf.path,
        detector=detector,
        event_class=EventClass.OPERATOR,
        severity=Severity.NOTICE,
        state=EventState.CLOSED if end else shelf.state,
        start=shelf.since,
        end=max(end, shelf.since) if end else 0,
        text=text,
        evidence=facts,
    )


def _begun(shelf: Shelf, name: Label) -> Label:
    what = _what(shelf)
    if shelf.out_of_service:
        return Label(
            f"{name.ko}: {what.ko} 사용 중지(담당 {shelf.by}). 사유: {shelf.reason}. "
            "복귀할 때까지 기록만 하고 알리지 않습니다",
            f"{name.en}: {what.en} out of service, by {shelf.by}. Reason: {shelf.reason}. "
            "Recorded but not announced until returned to service",
        )
    until = when(shelf.until)
    return Label(
        f"{name.ko}: {what.ko} 보류, {until}까지(담당 {shelf.by}). 사유: {shelf.reason}. "
        "그때까지 기록만 하고 알리지 않습니다",
        f"{name.en}: {what.en} shelved until {until}, by {shelf.by}. Reason: {shelf.reason}. "
        "Recorded but not announced until then",
    )


def _over(shelf: Shelf, name: Label, ended_by: str) -> Label:
    what = _what(shelf)
    if shelf.out_of_service:
        return Label(
            f"{name.ko}: {what.ko} 사용 중지 끝, {ended_by} 복귀(시작 담당 {shelf.by}, 사유: {shelf.reason})",
            f"{name.en}: {what.en} returned to service by {ended_by} (taken out by {shelf.by}; reason: {shelf.reason})",
        )
    ended = (
        Label(f"{ended_by} 해제", f"ended by {ended_by}") if ended_by else Label("기한 만료", "its time has run out")
    )
    return Label(
        f"{name.ko}: {what.ko} 보류 끝, {ended.ko}(시작 담당 {shelf.by}, 사유: {shelf.reason})",
        f"{name.en}: {what.en} no longer shelved, {ended.en} (shelved by {shelf.by}; reason: {shelf.reason})",
    )


def _what(shelf: Shelf) -> Label:
    return Label(f"알람 {shelf.detector}", f"alarm {shelf.detector}") if shelf.detector else Label("알람", "alarms")


# -- refusals ----------------------------------------------------------------------------------------------------------


def no_such_alarm(operation: str, name: str, near: Sequence[str], *, several: bool = False) -> AlarmError:
    """`near`: what it may have meant; with `several` it means each of them."""
    listed = ", ".join(near) or "-"
    cause = Words("그런 설비, 태그, 알람이 없습니다", "no machine, tag or alarm is called that")
    if several:
        cause = Words("그런 이름이 여럿입니다", "several things are called that")
    return AlarmError(
        operation,
        name,
        cause,
        Words(
            f"경로를 끝까지 쓰십시오(site/line/machine/tag). 가까운 것: {listed}. 알람 번호: `edge-agent alarms list`",
            f"write the whole path (site/line/machine/tag); near it: {listed}; numbers: `edge-agent alarms list`",
        ),
    )


def not_in_force(operation: str, name: str, shelves: Sequence[Shelf]) -> AlarmError:
    """Where there is nothing to end."""
    listed = ", ".join(sorted({shelf.path for shelf in shelves})) or "-"
    return AlarmError(
        operation,
        name,
        Words("보류하거나 사용 중지한 것이 아닙니다", "it is neither shelved nor out of service"),
        Words(f"지금 해당하는 것: {listed}", f"what is, now: {listed}"),
    )


def bad_duration(name: str) -> AlarmError:
    """A shelving that would be too short or too long."""
    return AlarmError(
        "shelve",
        name,
        Words(
            f"보류 시간은 {SHORTEST_S / 60:.0f}분에서 {LONGEST_S / 86400:.0f}일까지입니다",
            f"alarms are shelved for {SHORTEST_S / 60:.0f} min to {LONGEST_S / 86400:.0f} days",
        ),
        Words(
            "예: --for 8h. 기한 없이 멈추려면 `edge-agent alarms out-of-service`를 쓰십시오",
            "for example --for 8h; without an end it is `edge-agent alarms out-of-service`",
        ),
    )


def unnamed(operation: str, name: str) -> AlarmError:
    """Who and why must be said, on one line each."""
    return AlarmError(
        operation,
        name,
        Words("누가, 왜 하는지가 필요합니다", "who does it, and why, must be said"),
        Words(
            f'--by 이름({LONGEST_NAME}자까지)과 --reason "사유"({LONGEST_REASON}자까지)를 한 줄로 쓰십시오',
            f'give --by NAME (up to {LONGEST_NAME} characters), --reason "WHY" (up to {LONGEST_REASON}), a line each',
        ),
    )


def too_many(operation: str, name: str, most: int) -> AlarmError:
    """A bound that no plant needs."""
    return AlarmError(
        operation,
        name,
        Words(f"보류·사용 중지가 이미 {most}건입니다", f"{most} things are shelved or out of service already"),
        Words("필요 없는 것부터 해제하십시오", "end those that are no longer needed first"),
    )


def refused_by_disk(path: str, error: OSError) -> AlarmError:
    """The file could not be written."""
    return AlarmError(
        "write alarms",
        path,
        Words(f"디스크가 거부했습니다: {error}", f"the disk refused: {error}"),
        Words("남은 공간과 쓰기 권한을 확인하십시오", "check free space and write permission"),
    )


def damaged(path: str, aside: str, error: Exception) -> AlarmError:
    """The file could not be read."""
    return AlarmError(
        "read alarms",
        path,
        Words(f"파일을 읽을 수 없습니다: {error!r}", f"the file cannot be read: {error!r}"),
        Words(
            f"이제 보류·사용 중지된 알람이 없습니다. 필요하면 다시 하십시오. 손상된 파일: {aside}",
            f"nothing is shelved or out of service now: do it again where needed; the damaged file: {aside}",
        ),
    )


def damaged_event(site: str, error: AlarmError, now: int) -> Event:
    """What the hub is told of a damaged file."""
    cause, hint = error.cause, error.hint
    return Event(
        id=hashlib.sha256(f"alarms damaged {site} {now}".encode()).hexdigest()[:20],
        path=site,
        detector=f"{OWN}file",
        event_class=EventClass.AGENT,
        severity=Severity.WARNING,
        state=EventState.CLOSED,
        start=now,
        end=now,
        text=Label(f"보류 목록: {cause.ko}. {hint.ko}", f"shelved alarms: {cause.en}; {hint.en}"),
    )
