"""A small plant's alarms: a clock to turn, events to tell, orders to give, and what is told on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_agent.config.agent import DetectionSection
from edge_agent.model import Event, EventClass, EventState, Label, Machine, Severity, Tag, TagTable
from edge_agent.suppression import Suppression

QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A folder whose syncs cost nothing."""
SECOND = 1_000_000_000
HOUR = 3600
START = 1_700_000_000 * SECOND
FURNACE = Machine("site", "heat", "ht1", "furnace", Label("침탄로 1호", "furnace 1"))
PRESS = Machine("site", "forming", "pr1", "press", Label("프레스 1호", "press 1"))
TAGS = TagTable([
    Tag("temperature", FURNACE, "plc", label=Label("온도", "temperature")),
    Tag("carbon", FURNACE, "plc"),
    Tag("temperature", PRESS, "plc", label=Label("유온", "oil temperature")),
    Tag("load", PRESS, "plc", label=Label("하중", "load")),
])  # fmt: skip  # a tag a line


class Hands:
    """A clock that goes only when told; its two times may part."""

    def __init__(self) -> None:
        self.time, self.passed = START, 0.0

    def wall(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.passed

    def go(self, seconds: float) -> None:
        self.time += int(seconds * SECOND)
        self.passed += seconds


def opened(name: str = "a" * 20, path: str = "site/heat/ht1/temperature", **more: Any) -> Event:
    """An event that begins."""
    facts: dict[str, Any] = {
        "id": name,
        "path": path,
        "detector": "range",
        "event_class": EventClass.PROCESS,
        "severity": Severity.WARNING,
        "state": EventState.OPEN,
        "start": START,
        "end": 0,
        "text": Label("온도가 높습니다", "too hot"),
        "evidence": {"value": 951.5},
    }
    return Event(**facts | more)


def over(event: Event, end: int = START + 60 * SECOND) -> Event:
    """The same event, ended."""
    return replace(event, state=EventState.CLOSED, end=end)


class Desk:
    """One Suppression as the agent has it: what is put on its road comes back to it. `told` is all that went on."""

    def __init__(self, folder: Path, tags: TagTable = TAGS, **limits: int) -> None:
        """`limits` of floods; without them there is none."""
        self._tags = tags
        self._config = DetectionSection(**({"alarms_per_machine": 10_000, "alarms_per_site": 10_000} | limits))
        self.path, self.clock = folder / "alarms.json", Hands()
        self.told: list[Event] = []
        self.road: list[Event] = []
        self.suppression = self.start()

    def start(self) -> Suppression:
        """A new agent on the same file."""
        self.suppression = Suppression(self._tags, self._config, self.clock, self.path, self.road.extend)
        return self.suppression

    def tell(self, *events: Event) -> list[Event]:
        """These events come, and what was put on the road meanwhile; what is told on of it."""
        waiting = [*self.road, *events]
        self.road.clear()
        told = self.suppression.judge(waiting)
        self.told += told
        return told

    def shelve(self, name: str = "ht1", seconds: float = 8 * HOUR) -> list[Event]:
        """Shelves, and gives what is told of it."""
        self.suppression.shelve(name, seconds, "홍길동", "열전대 교체")
        return self.tell()


def states(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Detector and state of each."""
    return [(event.detector, event.state.value) for event in events]
