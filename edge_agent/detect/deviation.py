"""Deviation: one group of detectors firing on one tag, from its first row until it has been quiet for the off-delay."""

from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256
from typing import Final

from analytics.kernels import layout as at
from edge_agent.model import Event, EventClass, EventState, Label, Status, Tag


class Group(IntEnum):
    """Detectors that speak with one voice, so that one cause makes one event."""

    QUALITY = 0
    FLATLINE = 1
    PROCESS = 2


GROUP_BITS: Final = {Group.QUALITY: at.QUALITY_BITS, Group.FLATLINE: at.FLAT, Group.PROCESS: at.PROCESS_BITS}
NAMES: Final = {
    at.BAD: "bad",
    at.INVALID: "invalid",
    at.STALE: "stale",
    at.FLAT: "flatline",
    at.RANGE: "range",
    at.LEARNED: "learned_range",
    at.RATE: "rate",
    at.HAMPEL: "hampel",
    at.EWMA: "ewma",
    at.CUSUM: "cusum",
}
"""Bit -> `Event.detector`, the first one that fires being the one that is named."""

_NO_ANSWER: Final = frozenset(
    status >> 16
    for status in (
        Status.BAD_COMMUNICATION_ERROR,
        Status.BAD_TIMEOUT,
        Status.BAD_NO_COMMUNICATION,
        Status.BAD_WAITING_FOR_INITIAL_DATA,
        Status.BAD_NODE_ID_INVALID,
        Status.BAD_NODE_ID_UNKNOWN,
        Status.BAD_NOT_CONNECTED,
        Status.BAD_NO_DATA,
        0x800C_0000,  # BadShutdown
        0x800D_0000,  # BadServerNotConnected
        0x800E_0000,  # BadServerHalted
        0x8025_0000,  # BadSessionIdInvalid
        0x8026_0000,  # BadSessionClosed
        0x8086_0000,  # BadSecureChannelClosed
        0x80AE_0000,  # BadConnectionClosed
    )
)
"""Status codes (OPC UA Part 6, Annex A) that say that the value did not get through, not that it is wrong."""


def class_of_status(status: int) -> EventClass:
    """Communication for codes that say that no answer came; otherwise the instrument."""
    return EventClass.COMMUNICATION if status >> 16 in _NO_ANSWER else EventClass.INSTRUMENT


@dataclass(slots=True)
class Deviation:
    """Times `since` and `ended` are row times (ns since 1970 UTC), `begun` and `ceased` monotonic seconds.

    `ended` is 0 while the detectors fire. `event` is None until the on-delay is over, and always where an outage of the
    whole machine speaks for this tag (`covered`).
    """

    tag: int
    group: Group
    bits: int
    since: int
    begun: float
    value: float
    status: int = 0
    event_class: EventClass = EventClass.PROCESS
    due: bool = False
    covered: bool = False
    ended: int = 0
    ceased: float = 0.0
    event: Event | None = None
    lasted: float = 0.0
    """Seconds that it had lasted when it was found: silence has no rows that would tell."""

    def blame(self, tag: Tag) -> None:
        """A value that is not as usual: the class of its event is what the tag shows, the process where nobody said."""
        if self.group is Group.PROCESS:
            self.event_class = tag.cause or EventClass.PROCESS

    @property
    def detector(self) -> str:
        """The name of the detector that speaks for the group."""
        return next(name for bit, name in NAMES.items() if self.bits & bit)

    @property
    def waits(self) -> bool:
        """Whether time alone can open or close something here."""
        return self.ended > 0 or (self.event is None and not self.covered)


def event_id(path: str, detector: str, start: int) -> str:
    """Stable over restarts, different for every event of a site."""
    return sha256(f"{path}\n{detector}\n{start}".encode()).hexdigest()[:20]


def closed(event: Event, end: int, peak: float | None = None) -> Event:
    """The same event, over at `end` (never before its start); `peak` is the highest score while it lasted."""
    end = max(end, event.start)
    lasted = (end - event.start) * 1e-9
    text = Label(
        f"[해제, 지속 {span(lasted, 'ko')}] {event.text.ko}", f"[over after {span(lasted, 'en')}] {event.text.en}"
    )
    evidence = event.evidence if peak is None else {**event.evidence, "peak_score": peak}
    return replace(event, state=EventState.CLOSED, end=end, text=text, evidence=evidence)


def span(seconds: float, language: str) -> str:
    """A duration as people say it."""
    units = (("d", "일", 86400.0), ("h", "시간", 3600.0), ("min", "분", 60.0))
    for unit, ko, size in units:
        if seconds >= 2 * size:
            return f"{seconds / size:.3g}{ko}" if language == "ko" else f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g}초" if language == "ko" else f"{seconds:.3g} s"
