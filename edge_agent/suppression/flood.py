"""Alarm flood after ISA-18.2: more alarms in ten minutes than a person can take in.

As many as the limits of a machine and of the site allow are announced one by one. Those beyond are recorded as
`suppressed`, and one event speaks for all of them: how many, where, and which alarm came first (the first out). It ends
when at most half as many alarms open in ten minutes and at most half as many of its own are left; these are then
announced like new ones, so that the limit holds. Critical alarms are announced in any flood; what a person suppressed
counts for none.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from edge_agent.model import Event, EventClass, Label, Severity
from edge_agent.suppression.group_words import flood_event, group_over

WINDOW_NS: Final = 600 * 1_000_000_000
_NAMED: Final = 5
Names = Callable[[str], Label]
"""What people call a path."""


def machine_of(path: str) -> str:
    """The machine's path of an event's; empty where it is of none."""
    parts = path.split("/")
    return "/".join(parts[:3]) if len(parts) >= 3 else ""


@dataclass(frozen=True, slots=True)
class Opening:
    """An alarm that opened: when it came here (ns since 1970 UTC), and what it says."""

    time: int
    path: str
    event_class: EventClass
    text: Label


@dataclass(slots=True, eq=False)
class Flood:
    """The alarms of one machine or of the site (`path`): the latest `limit` that opened, and the flood under way."""

    path: str
    limit: int
    recent: deque[Opening]
    first: Opening | None = None
    """The first out; None while there is no flood. Those below are of this flood, or of the last one."""
    since: int = 0
    count: int = 0
    paths: list[str] = field(default_factory=list)
    """Of the first few alarms that were gathered."""
    members: dict[str, None] = field(default_factory=dict)
    """Ids of alarms gathered that have not ended."""

    @classmethod
    def none(cls, path: str, limit: int) -> "Flood":
        """Nothing has happened yet."""
        return cls(path, limit, deque(maxlen=limit))

    def rate(self, now: int) -> int:
        """How many opened in the last ten minutes; `limit` where it was as many or more."""
        return sum(0 <= now - opening.time < WINDOW_NS for opening in self.recent)

    def note(self, event: Event, now: int) -> None:
        """An alarm opened, whatever becomes of it."""
        self.recent.append(Opening(now, event.path, event.event_class, event.text))

    def gather(self, event: Event, now: int, names: Names) -> list[Event]:
        """Takes in an alarm beyond the limit; the flood's event where it is to be told (again): at 1, 2, 4, 8 …"""
        if self.first is None:
            self.first, self.since, self.count, self.paths = self.recent[0], now, 0, []
        self.count += 1
        self.members[event.id] = None
        if event.path not in self.paths and len(self.paths) < _NAMED:
            self.paths.append(event.path)
        return [] if self.count & (self.count - 1) else [self._event(self.first, names)]

    def end(self, now: int, names: Names) -> tuple[list[Event], list[str]]:
        """Where what is left can be announced one by one: the event that says that it is over, and their ids."""
        if self.first is None or len(self.members) > self.limit // 2 or self.rate(now) > self.limit // 2:
            return [], []
        over, left = group_over(self._event(self.first, names), now), list(self.members)
        self.first, self.members = None, {}
        return [over], left

    def _event(self, first: Opening, names: Names) -> Event:
        return flood_event(self, first, names(self.path), [names(path) for path in self.paths])


class Floods:
    """Those of the site and of its machines."""

    def __init__(self, site: str, per_machine: int, per_site: int, names: Names) -> None:
        self._per_machine, self._names = per_machine, names
        self._site = Flood.none(site, per_site)
        self._machines: dict[str, Flood] = {}

    @property
    def under_way(self) -> list[Flood]:
        """Floods that have begun and not ended."""
        return [flood for flood in (self._site, *self._machines.values()) if flood.first is not None]

    def admit(self, event: Event, now: int) -> tuple[bool, list[Event]]:
        """Whether an alarm that opens is announced, and what else is to be told of it.

        What a machine's own flood gathers counts for nothing at the site: the others must be heard all the same.
        """
        near = (*self._of(event.path), self._site)
        full = next((flood for flood in near if flood.rate(now) >= flood.limit), None)
        gathers = None if event.severity is Severity.CRITICAL else full
        told = [] if gathers is None else gathers.gather(event, now, self._names)
        for flood in near if gathers is None else near[: near.index(gathers) + 1]:
            flood.note(event, now)
        return gathers is None, told

    def forget(self, name: str) -> None:
        """The alarm with this id ended, or a person suppressed it, or it got so bad that it was announced."""
        for flood in self.under_way:
            flood.members.pop(name, None)

    def end(self, now: int) -> tuple[list[Event], list[str]]:
        """What is to be told of floods that are over, and the ids of alarms that they leave behind."""
        told, left = [], []
        for flood in self.under_way:
            events, ids = flood.end(now, self._names)
            told += events
            left += ids
        return told, left

    def _of(self, path: str) -> list[Flood]:
        if not (machine := machine_of(path)):
            return []
        return [self._machines.setdefault(machine, Flood.none(machine, self._per_machine))]

    # -- what is kept --------------------------------------------------------------------------------------------------

    def document(self) -> list[dict[str, Any]]:
        """For the file."""
        return [_document(flood) for flood in (self._site, *self._machines.values()) if flood.recent]

    def restore(self, document: list[dict[str, Any]]) -> None:
        """The opposite; the limits are those of now. Raises KeyError, TypeError, ValueError."""
        for item in document:
            flood = self._site if item["path"] == self._site.path else next(iter(self._of(item["path"])), None)
            if flood is not None:
                flood.recent.extend(map(_opening, item["recent"]))
                flood.first = None if item["first"] is None else _opening(item["first"])
                flood.since, flood.count, flood.paths = item["since"], item["count"], item["paths"]
                flood.members = dict.fromkeys(item["members"])


def _document(flood: Flood) -> dict[str, Any]:
    return {
        "path": flood.path,
        "recent": [asdict(opening) for opening in flood.recent],
        "first": None if flood.first is None else asdict(flood.first),
        "since": flood.since,
        "count": flood.count,
        "paths": flood.paths,
        "members": list(flood.members),
    }


def _opening(item: dict[str, Any]) -> Opening:
    return Opening(item["time"], item["path"], EventClass(item["event_class"]), Label(**item["text"]))
