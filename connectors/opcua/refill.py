"""Refill: what a person and the hub are told of gaps filled from a history, and of those that could not be."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from edge_agent.api import Event, EventClass, EventState, Frame, Label, Severity, Words


@dataclass(slots=True)
class Refill:
    """What was filled in since it was told last."""

    rows: int = 0
    tags: set[int] = field(default_factory=set)
    since: int = 0
    until: int = 0

    def add(self, frame: Frame) -> None:
        """Rows that were handed over, at least one."""
        first, last = int(frame.time.min()), int(frame.time.max())
        self.since, self.until = min(self.since or first, first), max(self.until, last)
        self.rows += len(frame)
        self.tags.update(np.unique(frame.tag).tolist())

    def event(self, link: str, machine: str) -> Event:
        """Whoever looked at that time before should look again."""
        name = f"history {link} {self.since} {self.until} {self.rows}"
        text = Label(
            f"{link}: 끊긴 동안의 값 {self.rows}개(태그 {len(self.tags)}개)를 서버의 이력에서 채웠습니다",
            f"{link}: {self.rows} values of {len(self.tags)} tags that were missed came from the server's history",
        )
        return Event(
            id=hashlib.sha256(name.encode()).hexdigest()[:16],
            path=machine,
            detector=f"link/{link}/history",
            event_class=EventClass.AGENT,
            severity=Severity.NOTICE,
            state=EventState.CLOSED,
            start=self.since,
            end=self.until,
            text=text,
            evidence={"rows": float(self.rows), "tags": float(len(self.tags))},
        )


def unable(names: Words, _: str) -> Words:
    """Nodes that the server does not let us read the history of."""
    return Words(
        f"서버가 과거 값을 읽게 하지 않는 {names.ko}: 끊긴 동안의 값은 채울 수 없습니다. 서버에서 이력 저장"
        "(AccessLevel의 HistoryRead)을 켜거나 이 태그의 history를 끄십시오",
        f"the server lets nobody read the history of {names.en}: what it measured while the link was down can't be "
        "filled in. Switch history on in the server (AccessLevel HistoryRead), or `history` off for them",
    )


def asleep(names: Words, _: str) -> Words:
    """Nodes whose history the server does not go on with."""
    return Words(
        f"서버가 지금 이력을 저장하지 않는 {names.ko}: Historizing이 꺼져 있어 끊긴 동안의 값이 없을 수 있습니다. "
        "서버에서 이력 저장을 켜십시오",
        f"the server is not recording the history of {names.en}: Historizing is off, so what it measured while the "
        "link was down may be missing. Switch recording on in the server",
    )


def given_up(names: Words, reason: str) -> Words:
    """Gaps that could not be read."""
    return Words(
        f"끊긴 동안의 값을 채우지 못한 {names.ko}: 서버의 답 {reason}. 이 구간은 비어 있습니다",
        f"a gap of {names.en} could not be filled in: the server says {reason}. It stays empty",
    )
