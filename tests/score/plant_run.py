"""One machine of the virtual plant in its own time, through detection as live: what it shows, what is said of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_agent.config.agent import DetectionSection
from edge_agent.detect import Detection
from edge_agent.model import Event, EventState, Frame, Kind, Machine, Status, Tag, TagTable
from edge_agent.plant.caster import Caster
from edge_agent.plant.caster_points import CASTER_POINTS, SHOT
from edge_agent.plant.furnace import Furnace
from edge_agent.plant.furnace_points import METER_POINTS, PLC_POINTS, ZONE_POINTS
from edge_agent.plant.moulder import Moulder
from edge_agent.plant.moulder_points import CYCLE, MOULDER_POINTS
from edge_agent.plant.plater import Plater
from edge_agent.plant.plater_points import PLATER_POINTS, RACK
from edge_agent.plant.point import Model, Point, Value, as_shown
from edge_agent.plant.press import Press
from edge_agent.plant.press_points import PRESS_POINTS, STROKE
from edge_agent.plant.welder import Welder
from edge_agent.plant.welder_points import BEAD, WELDER_POINTS

BATCH = 5.48 * 3600.0
EPOCH = 1_700_000_000_000_000_000
SAMPLE = 1.0
"""Seconds between two looks at a signal that moves faster: what a technician asks of a server by default."""
FRAME = 5.0
"""Seconds of rows in one frame; time passes in such steps, or in halves of a cycle."""


@dataclass(frozen=True)
class Kindred:
    """A kind of machine: how it is made, what it shows, and how long its cycle is (seconds)."""

    make: Callable[[int], Model]
    points: tuple[Point, ...]
    cycle: float


MACHINES = {
    "ht1": Kindred(Furnace, (*(p for zone in ZONE_POINTS for p in zone), *METER_POINTS, *PLC_POINTS), BATCH),
    "press200": Kindred(Press, PRESS_POINTS, STROKE),
    "dc350": Kindred(Caster, CASTER_POINTS, SHOT),
    "imm110": Kindred(Moulder, MOULDER_POINTS, CYCLE),
    "ni3": Kindred(Plater, PLATER_POINTS, RACK),
    "weld1": Kindred(Welder, WELDER_POINTS, BEAD),
}


CYCLE_TAG = {
    "ht1": "phase",
    "press200": "stroke_count",
    "dc350": "shot_count",
    "imm110": "shot_count",
    "ni3": "rack_count",
    "weld1": "bead_count",
}


@dataclass
class MachineClock:
    """The machine's time is the agent's."""

    now: float = 0.0

    def wall(self) -> int:
        return EPOCH + int(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now


@dataclass
class Said:
    """An event as it was told, `time` seconds after the machine's start."""

    time: float
    event: Event


@dataclass
class Rows:
    """Rows of the frame under way."""

    tag: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    value: list[Value] = field(default_factory=list)

    def frame(self) -> Frame:
        texts = tuple(dict.fromkeys(value for value in self.value if isinstance(value, str)))
        number = {text: at for at, text in enumerate(texts)}
        floats = np.array([0.0 if v is None or isinstance(v, str) else float(v) for v in self.value])
        bits = floats.view(np.uint64).copy()
        kind = np.array([_kind(value) for value in self.value], np.uint8)
        for at in np.flatnonzero((kind == Kind.TEXT) | (kind == Kind.BOOL)):
            value = self.value[at]
            bits[at] = number[value] if isinstance(value, str) else int(bool(value))
        status = np.where(kind == Kind.NONE, int(Status.BAD_SENSOR_FAILURE), 0).astype(np.uint32)
        bits[kind == Kind.NONE] = 0
        time = np.array(self.time, np.int64)
        tag = np.array(self.tag, np.int32)
        return Frame(tag, time, time, bits, kind, status, np.zeros(len(tag), np.uint16), texts)


def _kind(value: Value) -> Kind:
    if value is None:
        return Kind.NONE
    if isinstance(value, str):
        return Kind.TEXT
    return Kind.BOOL if isinstance(value, bool) else Kind.FLOAT64


class Run:
    """A machine and its detection; `forked` gives a second one that goes its own way from here."""

    def __init__(self, machine: str, seed: int, config: DetectionSection) -> None:
        kindred = MACHINES[machine]
        self.model = kindred.make(seed)
        self.cycle = kindred.cycle
        place = Machine("plant", "line", machine, machine, cycle=CYCLE_TAG[machine])
        self._points = {point.name: (number, point) for number, point in enumerate(kindred.points)}
        self.tags = TagTable([_tag(point, place) for point in kindred.points])
        self.clock = MachineClock()
        self.detection = Detection(self.tags, config, self.clock)
        self.said: list[Said] = []
        self._shown: dict[str, Value] = {}
        self._looked = dict.fromkeys(self._points, -1e9)
        self._rows = Rows()
        self._frame = min(FRAME, self.cycle / 2)
        self._due = 0.0

    def forked(self) -> Run:
        """The same machine and detection, from now on apart."""
        engine = self.detection._engine
        shared = {id(each): each for each in (engine, self.tags, self._points)}
        return copy.deepcopy(self, shared)

    def go(self, until: float, enough: Callable[[Said], bool] | None = None) -> bool:
        """On to `until`, or to the first event that is `enough`; whether there was one."""
        before = len(self.said)
        while self.model.time < until:
            for reading in self.model.step():
                self._show(reading.values, reading.time, at_once=reading.cycle)
            if self.model.time >= self._due:
                self._score()
                new, before = self.said[before:], len(self.said)
                if enough is not None and any(enough(said) for said in new):
                    return True
        return False

    def until_strong(self, fault: str, severity: float, until: float) -> float:
        """On to when the fault has reached a quarter of its severity; answers when that was."""
        while self.model.time < until:
            self.go(self.model.time + self.model.dt / 2)
            if any(label["fault"] == fault and label["f"] >= 0.25 * severity for label in self.model.faults.labels()):
                return self.model.time
        return until

    def _show(self, values: dict[str, Value], time: float, *, at_once: bool) -> None:
        for name, given in values.items():
            if name not in self._points:
                continue
            number, point = self._points[name]
            if not at_once and time - self._looked[name] < max(SAMPLE, point.interval) - 1e-6:
                continue
            self._looked[name] = time
            value = as_shown(given, point.data_type)
            if name in self._shown and self._shown[name] == value:
                continue
            self._shown[name] = value
            self._rows.tag.append(number)
            self._rows.time.append(EPOCH + round(time * 1e9))
            self._rows.value.append(value)

    def _score(self) -> None:
        self.clock.now = self.model.time
        events: Sequence[Event] = ()
        if self._rows.tag:
            events = self.detection.score(self._rows.frame())
            self._rows = Rows()
        events = [*events, *self.detection.tick()]
        known = {said.event.id for said in self.said}
        opened = [event for event in events if event.state is EventState.OPEN and event.id not in known]
        self.said += [Said(self.clock.now, event) for event in opened]
        self._due = self.model.time + self._frame


def _tag(point: Point, machine: Machine) -> Tag:
    interval = round(max(SAMPLE, point.interval) * 1e9) if point.interval else 0
    shown = (point.role, point.unit, interval, point.low, point.high, point.label)
    return Tag(point.name, machine, "plc", *shown, event_class=point.event_class)
