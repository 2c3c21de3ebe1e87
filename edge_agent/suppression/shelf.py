"""Shelf: alarms of one machine or tag that a person has shelved for a time, or taken out of service until returned."""

from dataclasses import dataclass
from typing import Final

from edge_agent.model import Event, EventClass, EventState

SHORTEST_S: Final = 60.0
LONGEST_S: Final = 7 * 86_400.0
"""Longer than that is no shelving: ISA-18.2 wants it to end by itself. What is out of order is out of service."""
LONGEST_NAME: Final = 60
LONGEST_REASON: Final = 200
BY_PERSON: Final = frozenset({EventState.SHELVED, EventState.OUT_OF_SERVICE})
"""What a person says of an alarm; `suppressed` is what the agent says."""
Key = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Covers what happens at `path` (a machine or a tag, ISA-95) and below; with `detector` this one alarm of it only.

    `since` and `until` are ns since 1970 UTC; `until` is 0 where it is out of service, which only a person ends.
    """

    path: str
    detector: str
    since: int
    until: int
    by: str
    reason: str

    @property
    def key(self) -> Key:
        """There is one shelf of a kind for one thing."""
        return self.path, self.detector, self.out_of_service

    @property
    def out_of_service(self) -> bool:
        """Whether it has no end of its own."""
        return self.until == 0

    @property
    def state(self) -> EventState:
        """What an event that it covers is told as."""
        return EventState.OUT_OF_SERVICE if self.out_of_service else EventState.SHELVED

    def covers(self, event: Event) -> bool:
        """Whether this event is not to be announced. What the agent says of itself always is."""
        inside = event.path == self.path or event.path.startswith(f"{self.path}/")
        return inside and self.detector in ("", event.detector) and event.event_class is not EventClass.AGENT
