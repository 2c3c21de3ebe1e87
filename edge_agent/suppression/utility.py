"""Shared utility: machines that go off at about the same time and have compressed air or cooling water in common.

The machines' `shares:` say what they have in common. The first of their alarms is announced as ever. When another
machine that shares something with it goes off within five minutes, one event speaks for it and all that follow in that
time: what is shared by all of them, which machines, and which alarm came first. It ends with the last alarm that it
speaks for. Only alarms of a process or a machine count (a lost network is no compressed air), and critical ones are
announced all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from edge_agent.model import Event, EventClass, Severity
from edge_agent.model.event import event_of
from edge_agent.suppression.flood import Names, machine_of
from edge_agent.suppression.group_words import group_over, utility_event

WITHIN_NS: Final = 300 * 1_000_000_000
_CLASSES: Final = frozenset({EventClass.PROCESS, EventClass.MACHINE})


@dataclass(slots=True, eq=False)
class Common:
    """Machines that went off together: `utilities` is what all of them share, `first` the alarm that began first."""

    key: str
    """What the first two share: no two groups under way at one time have the same."""
    utilities: list[str]
    first: Event
    since: int
    machines: list[str]
    """ISA-95 paths, in the order in which they were told."""
    count: int = 0
    members: dict[str, None] = field(default_factory=dict)
    """Ids of alarms that it speaks for and that have not ended."""

    def takes(self, event: Event, shares: Sequence[str]) -> bool:
        """Whether an alarm of a machine with these `shares` belongs to it."""
        return abs(event.start - self.since) <= WITHIN_NS and not set(shares).isdisjoint(self.utilities)

    def add(self, event: Event, machine: str, shares: Sequence[str]) -> bool:
        """Takes it in; whether that is news: another machine."""
        self.count += 1
        self.members[event.id] = None
        self.first = min(self.first, event, key=lambda each: each.start)
        if machine in self.machines:
            return False
        self.machines.append(machine)
        self.utilities = [name for name in self.utilities if name in shares]
        return True


class Utilities:
    """What machines share, the latest alarm of each, and those that went off together."""

    def __init__(self, site: str, shares: Mapping[str, Sequence[str]], names: Names) -> None:
        """`shares`: of each machine (ISA-95 path) the utilities that it names."""
        self._site, self._shares, self._names = site, shares, names
        self._recent: dict[str, Event] = {}
        self.under_way: list[Common] = []

    def gather(self, event: Event) -> tuple[bool, list[Event]]:
        """Whether another event speaks for an alarm that opens, and what that event says where it has news."""
        machine = machine_of(event.path)
        shares = self._shares.get(machine, ())
        if not shares or event.event_class not in _CLASSES:
            return False, []
        common = None if event.severity is Severity.CRITICAL else self._common(event, machine, shares)
        if common is None:
            known = self._recent.get(machine)
            if known is None or abs(event.start - known.start) > WITHIN_NS:
                self._recent[machine] = event
            return False, []
        news = common.add(event, machine, shares)
        return True, [self._event(common)] if news else []

    def _common(self, event: Event, machine: str, shares: Sequence[str]) -> Common | None:
        """The one under way that takes it, or a new one with another machine's alarm."""
        for common in reversed(self.under_way):
            if common.takes(event, shares):
                return common
        for other, known in self._recent.items():
            both = [name for name in self._shares.get(other, ()) if name in shares]
            if other != machine and both and abs(event.start - known.start) <= WITHIN_NS:
                self.under_way.append(Common("+".join(both), both, known, min(known.start, event.start), [other]))
                return self.under_way[-1]
        return None

    def speaks_for(self, name: str) -> bool:
        """Whether one of them speaks for the alarm with this id."""
        return any(name in common.members for common in self.under_way)

    def forget(self, name: str, now: int) -> list[Event]:
        """The alarm with this id ended or is announced; what is over with it at `now`."""
        out: list[Event] = []
        for common in list(self.under_way):
            if name not in common.members:
                continue
            del common.members[name]
            if not common.members:
                self.under_way.remove(common)
                self._recent = {path: event for path, event in self._recent.items() if event.id != common.first.id}
                out.append(group_over(self._event(common), now))
        return out

    def _event(self, common: Common) -> Event:
        return utility_event(self._site, common, [self._names(machine) for machine in common.machines])

    # -- what is kept --------------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """For the file."""
        groups = [{**asdict(common), "members": list(common.members)} for common in self.under_way]
        return {"recent": {path: asdict(event) for path, event in self._recent.items()}, "groups": groups}

    def restore(self, document: dict[str, Any]) -> None:
        """The opposite. Raises KeyError, TypeError, ValueError."""
        self._recent = {path: event_of(item) for path, item in document["recent"].items()}
        self.under_way = [
            Common(**{**item, "first": event_of(item["first"]), "members": dict.fromkeys(item["members"])})
            for item in document["groups"]
        ]
