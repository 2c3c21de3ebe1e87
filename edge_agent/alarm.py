"""Alarms of the agent's own: what a person at the hub must know of deliveries and of values lost at the door.

A hub keeps one point for a path, a detector and a start. So a detector here says whose sink or which reason it speaks
of: two that begin at one moment must not take each other's place.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from edge_agent.api import Notice
from edge_agent.journal.place import Rebuff
from edge_agent.model import Event, EventClass, EventState, Label, Severity

_MOST_NAMES: Final = 5
_DAY: Final = 86_400_000_000_000


def refused_event(site: str, sink: str, rebuff: Rebuff, end: int) -> Event:
    """A sink is refused since `rebuff.since`; with `end` (ns since 1970 UTC) it was, until then.

    The sink itself gets both at once, when it is over, and its hub keeps the second: so that one says why, too.
    """
    text = Label(f"{sink} 전송이 거부되었습니다: {rebuff.ko}", f"{sink} is refused: {rebuff.en}")
    if end:
        seconds = max(0, end - rebuff.since) / 1e9
        text = Label(
            f"{sink} 전송이 {seconds:.0f}초 동안 거부되었다가({rebuff.ko}) 다시 됩니다. 데이터는 보관되었습니다",
            f"{sink} was refused for {seconds:.0f} s ({rebuff.en}) and goes on again; all data was kept",
        )
    name, span = f"refused {site} {sink} {rebuff.since}", (rebuff.since, end)
    return _event(name, site, f"sink/{sink}", Severity.CRITICAL, span, text, {})


def set_aside_event(site: str, sink: str, tags: Sequence[str], rows: int, reason: str, now: int) -> Event:
    """A sink will never take values of these tags: `rows` of them are in the quarantine file, with `reason`."""
    names = ", ".join(tags[:_MOST_NAMES]) + (f" … (+{len(tags) - _MOST_NAMES})" if len(tags) > _MOST_NAMES else "")
    text = Label(
        f"{sink}에서 받지 않는 값 {rows}개를 격리했습니다: {names}. 허브의 응답: {reason}",
        f"{sink} does not take {rows} values, they are in quarantine: {names}. The hub's words: {reason}",
    )
    name = f"set aside {site} {sink} {names} {now}"
    return _event(name, site, f"sink/{sink}", Severity.WARNING, (now, now), text, {"rows": float(rows)})


def notice_event(site: str, link: str, notice: Notice, now: int) -> Event:
    """What a link wants a person for. The same one on the same day (UTC) is one event, however often it is told."""
    day = max(1, now - now % _DAY)
    name = f"notice {site} {link} {notice.key} {notice.severity} {day}"
    text = Label(f"{link}: {notice.text.ko}", f"{link}: {notice.text.en}")
    return _event(name, site, f"link/{link}/{notice.key}", notice.severity, (day, day), text, {})


_REASONS: Final = {
    "overflow": Label("서버의 대기열이 넘쳤습니다", "the server's queue overflowed"),
    "item_forgotten": Label("서버가 잊은 항목을 다시 등록했습니다", "the server had forgotten an item, now made anew"),
    "event_overflow": Label("서버의 이벤트 대기열이 넘쳤습니다", "the server's queue of events overflowed"),
    "event_unreadable": Label("서버가 보낸 이벤트를 읽을 수 없었습니다", "an event of the server could not be read"),
    "poll_skipped": Label("제때 읽지 못한 주기를 건너뛰었습니다", "polls that could not be in time were left out"),
    "journal_unavailable": Label("디스크에 쓸 수 없었습니다", "the disk could not be written"),
}


def loss_event(site: str, reason: str, machine: str, count: int, start: int, end: int) -> Event:
    """A gap record: so many values were lost before the journal had them, between `start` and `end`."""
    where = f" ({machine})" if machine else ""
    why = _REASONS.get(reason, Label(reason, reason))
    text = Label(
        f"저널에 들어오기 전에 값 {count}개를 잃었습니다: {why.ko}{where}",
        f"{count} values were lost before the journal had them: {why.en}{where}",
    )
    name = f"loss {site} {machine} {reason} {start} {end}"
    return _event(
        name, machine or site, f"agent/{reason}", Severity.WARNING, (start, end), text, {"rows": float(count)}
    )


def _event(
    name: str,
    path: str,
    detector: str,
    severity: Severity,
    span: tuple[int, int],
    text: Label,
    evidence: dict[str, float],
) -> Event:
    start, end = span
    return Event(
        id=hashlib.sha256(name.encode()).hexdigest()[:16],
        path=path,
        detector=detector,
        event_class=EventClass.AGENT,
        severity=severity,
        state=EventState.CLOSED if end else EventState.OPEN,
        start=start,
        end=max(start, end) if end else 0,
        text=text,
        evidence=evidence,
    )
