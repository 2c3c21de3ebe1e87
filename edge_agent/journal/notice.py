"""What the journal has to say to people, as events of class AGENT: gaps, damage, files it can't write.

A hub keeps one point for a path, a detector and a start: so the detector says which sink it is about.
"""

from typing import Final

from edge_agent.errors import Words
from edge_agent.journal.place import Range
from edge_agent.journal.report import Damage
from edge_agent.journal.segment import Segment
from edge_agent.model import Event, EventClass, EventState, Label, Severity

_REASONS: Final = {
    "retention": Words("저널이 가득 차", "the journal was full"),
    "age": Words("보관 기간이 지나", "the journal's max_age was over"),
    "free_space": Words("디스크 여유 공간이 모자라", "the disk was getting full"),
}
"""Why a segment goes: over `max_bytes`, over `max_age`, under `min_free`."""


def retention_event(
    site: str, cursor: str, segment: Segment, until: int, rows: int, now: int, reason: str = "retention"
) -> Event:
    """A gap record: rows that went before this cursor's sink had them. `until`: when the next segment was made."""
    why = _REASONS[reason]
    return _event(
        f"journal-retention-{cursor}-{segment.number}",
        site,
        f"journal/{cursor}",
        Severity.WARNING,
        (segment.header.created, max(until, segment.header.created)),
        Label(
            f"{why.ko} {cursor}(으)로 보내지 못한 값 {rows}개를 지웠습니다",
            f"{why.en}: {rows} values not yet sent to {cursor} were dropped",
        ),
        {"rows": float(rows), "segment": float(segment.number), "at": float(now)},
    )


def long_event(site: str, segment: Segment, until: int, rows: int, now: int) -> Event:
    """The oldest minutes went because the long store was full. `until`: when the next segment was made."""
    return _event(
        f"journal-long-{segment.number}",
        site,
        "journal/long",
        Severity.NOTICE,
        (segment.header.created, max(until, segment.header.created)),
        Label(
            f"장기 보관소가 가득 차 가장 오래된 1분 집계 {rows}개를 지웠습니다(journal.long_bytes)",
            f"the long store was full: its oldest {rows} one-minute rollups were dropped (journal.long_bytes)",
        ),
        {"rows": float(rows), "segment": float(segment.number), "at": float(now)},
    )


def cramped_event(site: str, now: int, *, over: bool) -> Event:
    """The disk has less room than should stay free, and the journal can't help that; or it is over."""
    return _event(
        f"journal-room-{now}",
        site,
        "journal",
        Severity.NOTICE if over else Severity.WARNING,
        (now, now),
        Label("디스크 여유 공간이 다시 충분합니다", "the disk has enough free space again")
        if over
        else Label(
            "디스크 여유 공간이 journal.min_free보다 적습니다. 저널은 남은 공간 안에서 계속합니다",
            "less is free on the disk than journal.min_free; the journal goes on within what there is",
        ),
        {},
    )


def damage_event(site: str, damage: Damage, now: int) -> Event:
    """A gap record: bytes of the log that no longer check."""
    return _event(
        f"journal-damaged-{damage.segment}-{damage.offset}",
        site,
        "journal",
        Severity.WARNING,
        (damage.first or now, damage.last or damage.first or now),
        Label(
            f"저널에서 손상된 구간을 찾아 따로 보관했습니다: 값 {damage.rows}개",
            f"a damaged stretch of the journal was set aside: {damage.rows} values",
        ),
        {"rows": float(damage.rows), "bytes": float(damage.size), "segment": float(damage.segment)},
    )


def trouble_event(site: str, cursor: str, reason: str, now: int) -> Event:
    """A cursor's file could not be written or read; nothing is lost, but rows may be delivered twice."""
    return _event(
        f"journal-cursor-{cursor}-{now}",
        site,
        f"journal/{cursor}",
        Severity.NOTICE,
        (now, now),
        Label(
            f"{cursor}의 전송 위치를 기록하지 못했습니다({reason}). 다시 시작하면 일부 값을 다시 보냅니다",
            f"the position of {cursor} could not be kept ({reason}); after a restart some values are sent again",
        ),
        {},
    )


def backfill_event(site: str, cursor: str, range_: Range, now: int) -> Event:
    """Late data is at its destination: whoever looked at that time before should look again."""
    since, until = sorted((range_.since or range_.until, range_.until))
    if range_.again:
        return _sent_again_event(site, cursor, range_, now)
    return _event(
        f"journal-backfill-{cursor}-{range_.end.row}",
        site,
        f"backfill/{cursor}",
        Severity.NOTICE,
        (since, until),
        Label(
            f"늦게 도착한 값 {range_.rows}개가 {cursor}에 모두 전달되었습니다",
            f"late data has arrived: {range_.rows} values for {cursor}",
        ),
        {"rows": float(range_.rows), "at": float(now)},
    )


def _sent_again_event(site: str, cursor: str, range_: Range, now: int) -> Event:
    """On somebody's order. It stands at the time of the sending: what was told of the time itself stays as it is."""
    return _event(
        f"journal-again-{cursor}-{range_.end.row}-{now}",
        site,
        f"backfill/{cursor}",
        Severity.NOTICE,
        (now, now),
        Label(
            f"요청에 따라 값 {range_.rows}개를 {cursor}(으)로 다시 보냈습니다",
            f"{range_.rows} values were sent to {cursor} again, on order",
        ),
        {"rows": float(range_.rows), "since": float(range_.since), "until": float(range_.until)},
    )


def _event(
    name: str,
    site: str,
    detector: str,
    severity: Severity,
    span: tuple[int, int],
    text: Label,
    evidence: dict[str, float],
) -> Event:
    start, end = span
    return Event(name, site, detector, EventClass.AGENT, severity, EventState.CLOSED, start, end, text, evidence)
