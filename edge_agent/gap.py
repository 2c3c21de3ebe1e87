"""Gaps of the agent's own making, told as events: no silent hole in the hub's lines."""

import hashlib

from edge_agent.journal import OpenReport
from edge_agent.model import Event, EventClass, EventState, Label, Severity


def gap_events(report: OpenReport, site: str, now: int) -> list[Event]:
    """What the hub must know of the time before this start, until `now` (ns UTC): from the stop in order, since before
    that nothing was missed however quiet it was; after a kill from the last accepted row, since nobody knows better.
    """
    since = max(report.stopped, report.last_written)
    if not since:
        return []
    seconds = max(0.0, (now - since) / 1e9)
    ko, en = _cause(report)
    return [
        Event(
            id=hashlib.sha256(f"gap {site} {since}".encode()).hexdigest()[:16],
            path=site,
            detector="agent",
            event_class=EventClass.AGENT,
            severity=Severity.NOTICE if report.clean else Severity.WARNING,
            state=EventState.CLOSED,
            start=since,
            end=max(now, since),
            text=Label(
                f"에이전트가 {seconds:.0f}초 동안 수집하지 못했습니다 ({ko})",
                f"no collection for {seconds:.0f} s ({en})",
            ),
            evidence={
                "seconds": seconds,
                "torn_bytes": float(report.torn_bytes),
                "torn_rows": float(report.torn_rows),
                "damaged": float(len(report.damaged) + len(report.set_aside)),
            },
        )
    ]


def _cause(report: OpenReport) -> tuple[str, str]:
    if report.moved_aside:
        return "저장 기록을 열 수 없어 따로 옮겼습니다", "the journal could not be opened and was moved aside"
    if report.damaged or report.set_aside:
        return "저장 기록 일부가 손상되어 따로 보관했습니다", "part of the journal was damaged and set aside"
    if report.clean:
        return "정상적으로 멈춘 뒤 다시 시작", "stopped in order and started again"
    return "정전 또는 강제 종료 뒤 다시 시작", "power cut or killed, then started again"
