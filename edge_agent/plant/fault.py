"""Faults: what can go wrong with a machine, how it grows, and the label that says so.

A fault's strength f(t) goes from 0 to its severity s; the machine's equations say what f does. Labels go to a file of
their own, which the agent never reads: they are what detection is scored against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, sqrt
from typing import Any, Final

import numpy as np

from edge_agent.model import EventClass

STEPS: Final = 4
"""A label is written again each time the strength passes another quarter of the severity."""


class Shape(StrEnum):
    """How the strength grows after the start."""

    STEP = "step"
    RAMP = "ramp"
    EXP = "exp"
    INTERMITTENT = "intermittent"
    WALK = "walk"
    BURST = "burst"


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault. `grow` is the ramp's length, the time constant of `exp`, the time in which a `walk` crosses its
    range, or the mean time between bursts: seconds. `chance` is an intermittent fault's probability a cycle.

    `affected` names the tags in which it can be seen.
    """

    name: str
    code: str
    shape: Shape
    event_class: EventClass
    affected: tuple[str, ...]
    grow: float = 0.0
    chance: float = 1.0


class Occurrence:
    """One fault that was started. Has a generator of its own: a fault never shifts the machine's other noise."""

    def __init__(self, fault: Fault, start: float, severity: float, grow: float, rng: np.random.Generator) -> None:
        self.fault = fault
        self.start = start
        self.severity = severity
        self.end: float | None = None
        self._grow = max(grow, 1e-9)
        self._rng = rng
        self._walk = 0.0
        self._asked = start
        self._burst = (start, start)

    def strength(self, time: float) -> float:
        """f at `time` (seconds of the machine's clock); to be asked once a step or cycle, in order."""
        if time < self.start or (self.end is not None and time >= self.end):
            return 0.0
        return self.severity * self._shape(time)

    def _shape(self, time: float) -> float:
        since = time - self.start
        match self.fault.shape:
            case Shape.STEP:
                return 1.0
            case Shape.RAMP:
                return min(1.0, since / self._grow)
            case Shape.EXP:
                return 1.0 - exp(-since / self._grow)
            case Shape.INTERMITTENT:
                return float(self._rng.random() < self.fault.chance)
            case Shape.WALK:
                return self._walked(time)
            case Shape.BURST:
                return self._bursting(time)

    def _walked(self, time: float) -> float:
        self._walk += self._rng.normal(0.0, sqrt(max(time - self._asked, 0.0) / self._grow))
        self._asked = time
        folded = abs(self._walk) % 2.0
        return folded if folded <= 1.0 else 2.0 - folded

    def _bursting(self, time: float) -> float:
        while time >= self._burst[1]:
            begin = self._burst[1] + self._rng.exponential(self._grow)
            self._burst = (begin, begin + self._rng.uniform(0.2, 5.0))
        return float(self._burst[0] <= time)


class Faults:
    """The faults of one machine: what can happen, what happens, and what is to be written about it."""

    def __init__(self, machine: str, kinds: Sequence[Fault], seed: tuple[int, int]) -> None:
        """`seed` is the machine's (seed, machine number)."""
        self.machine = machine
        self.kinds: Mapping[str, Fault] = {kind.name: kind for kind in kinds}
        self._seed = seed
        self._started = 0
        self._running: list[Occurrence] = []
        self._said: dict[Occurrence, float] = {}
        self._labels: list[dict[str, Any]] = []

    def start(self, name: str, time: float, severity: float = 1.0, grow: float | None = None) -> None:
        """Starts a fault at `time`, which may lie ahead. Raises KeyError for a name this machine does not know."""
        fault = self.kinds[name]
        self._started += 1
        rng = np.random.Generator(np.random.PCG64([*self._seed, 1000 + self._started]))
        self._running.append(Occurrence(fault, time, severity, fault.grow if grow is None else grow, rng))

    def clear(self, name: str, time: float) -> None:
        """Ends every occurrence of a fault at `time`. Raises KeyError for a name this machine does not know."""
        fault = self.kinds[name]
        for occurrence in self._running:
            if occurrence.fault is fault and occurrence.end is None:
                occurrence.end = max(time, occurrence.start)

    def strengths(self, time: float, *, cycle: bool = True) -> dict[str, float]:
        """f of every fault of this machine now (0 where it does not happen). Once a step or cycle, in order.

        `cycle`: a cycle is made of it. An intermittent fault happens to whole cycles: asked between them it is 0, and
        no label says otherwise.
        """
        found = dict.fromkeys(self.kinds, 0.0)
        for occurrence in list(self._running):
            if occurrence.fault.shape is Shape.INTERMITTENT and not cycle and occurrence.end is None:
                continue
            strength = occurrence.strength(time)
            self._label(occurrence, time, strength)
            name = occurrence.fault.name
            found[name] = max(found[name], strength)
        return found

    def labels(self) -> list[dict[str, Any]]:
        """What changed since the last call; times in seconds of the machine's clock."""
        labels, self._labels = self._labels, []
        return labels

    def _label(self, occurrence: Occurrence, time: float, strength: float) -> None:
        if occurrence.end is not None and time >= occurrence.end:
            self._running.remove(occurrence)
            if self._said.pop(occurrence, None) is not None:
                self._labels.append(self._line(occurrence, 0.0, occurrence.end))
            return
        if time < occurrence.start:
            return
        quarter = int(STEPS * strength / occurrence.severity) if occurrence.severity > 0 else 0
        if quarter > self._said.get(occurrence, -1):
            self._said[occurrence] = quarter
            self._labels.append(self._line(occurrence, strength))

    def _line(self, occurrence: Occurrence, strength: float, end: float | None = None) -> dict[str, Any]:
        fault = occurrence.fault
        return {
            "machine": self.machine,
            "fault": fault.name,
            "code": fault.code,
            "class": fault.event_class.value,
            "shape": fault.shape.value,
            "severity": occurrence.severity,
            "t_start": occurrence.start,
            "t_end": end,
            "f": round(strength, 6),
            "affected": list(fault.affected),
        }
