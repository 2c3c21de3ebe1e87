"""Event: something that began, and may have ended. An *alarm* is an event that wants a person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from edge_agent.model.event_class import EventClass
from edge_agent.model.tag import Label


class EventState(StrEnum):
    """An event is written once when it opens and once more when it closes, under the same id; when it gets worse
    meanwhile, its opening is written again, with the new severity and text."""

    OPEN = "open"
    CLOSED = "closed"
    SHELVED = "shelved"
    """Under way, but a person has shelved its alarm for a time (ISA-18.2): recorded, not announced."""
    OUT_OF_SERVICE = "out_of_service"
    """Under way at what a person has taken out of service (ISA-18.2): recorded, not announced."""
    SUPPRESSED = "suppressed"
    """Under way, one of too many at once (ISA-18.2: suppressed by design): recorded, another event speaks for it."""


class Severity(IntEnum):
    """주의 / 경고 / 위험."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is stable across open and close and across restarts (made of tag path, detector and start time).

    `path` is an ISA-95 path: of a tag, a machine, or a site. `start`/`end` are ns since 1970 UTC; `end` is 0 while
    open. `detector` is the name of the detector, or the room that speaks, and of what where several may be at once
    (`journal/hub`, `sink/hub`): hubs keep one point for a path, a detector and a start. `evidence` holds facts for
    the expert, figures mostly: value, limit, score. `text` says it in a sentence that a technician understands, in both
    languages; a source that has its own sentences says it in the one that it has.
    """

    id: str
    path: str
    detector: str
    event_class: EventClass
    severity: Severity
    state: EventState
    start: int
    end: int
    text: Label
    evidence: Mapping[str, float | str] = field(default_factory=dict)


def event_of(item: Mapping[str, Any]) -> Event:
    """The event that `dataclasses.asdict` and JSON made `item` of. Raises KeyError, TypeError, ValueError."""
    kinds = {"event_class": EventClass(item["event_class"]), "severity": Severity(item["severity"])}
    return Event(**{**item, **kinds, "state": EventState(item["state"]), "text": Label(**item["text"])})
