"""Point: one thing that a machine of the plant shows to the outside, as an OPC UA variable or as registers.

The same table gives the server its nodes, the demo's configuration its tags and the plant's log its names, so the three
cannot disagree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from edge_agent.model import EventClass, Label, Role
from edge_agent.plant.fault import Faults

Value = float | int | bool | str | None
"""What a point shows; None says that its sensor has failed (a bad status, no value)."""


@dataclass(frozen=True, slots=True)
class Point:
    """`name` is the tag's name; `node` is `Folder.BrowseName` in the machine's address space.

    `data_type` is the OPC UA built-in type (`Float`, `Double`, `Int64`, `UInt32`, `UInt16`, `Boolean`, `String`).
    `interval` is the seconds between two values, 0 for points that are published on change only.
    """

    name: str
    node: str
    label: Label
    role: Role = Role.PV
    unit: str = ""
    data_type: str = "Float"
    interval: float = 1.0
    low: float | None = None
    high: float | None = None
    event_class: EventClass | None = None
    """As a technician would say of it in the configuration: does it show the machine, or the work that it does?"""


def classed(points: Iterable[Point], *, machine: str = "", process: str = "") -> tuple[Point, ...]:
    """The points, those named `machine` and `process` with that event class; names with spaces between."""
    said = dict.fromkeys(machine.split(), EventClass.MACHINE) | dict.fromkeys(process.split(), EventClass.PROCESS)
    return tuple(replace(point, event_class=said.pop(point.name, None)) for point in points)


@dataclass(frozen=True, slots=True)
class Reading:
    """Values that became known together, `time` seconds after the machine's start (the machine's own clock)."""

    time: float
    values: Mapping[str, Value]
    truth: Mapping[str, float] = field(default_factory=dict)
    """True values behind sensors, for the label file only."""
    cycle: bool = False
    """Values of one finished cycle (a stroke): always shown, where of other readings only the newest counts."""


class Model(Protocol):
    """A machine: steps of `dt` seconds of its own time, each answering what it shows."""

    machine: str
    dt: float
    time: float
    faults: Faults

    def step(self) -> Sequence[Reading]:
        """Goes on by `dt`; answers the new readings, oldest first."""
        ...


def as_shown(value: Value, data_type: str) -> Value:
    """`value` as a server of `data_type` shows it: what the log keeps and a client must see, bit for bit."""
    if value is None or data_type == "String":
        return value
    if data_type == "Boolean":
        return bool(value)
    if data_type == "Float":
        return float(np.float32(value))
    return float(value) if data_type == "Double" else int(value)
