"""Which cycles may be compared: the same phase, at the same set values, in the same state of the machine.

A state takes part where it has few values and keeps them for whole cycles: `running`, `warm_up`, `mode`. One that
changes within cycles (a pump, a door) or counts something (a lot, a coil) says nothing of their kind. What was found
out stays: a state that was left out once does not come back.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.kernels.layout import Float64

MOST_PHASES: Final = 32
"""A cycle tag with more values than these counts cycles and names no phases."""
MOST_STATES: Final = 4
BUSY: Final = 0.1
"""A state that changes within more than this share of the cycles is left out; looked at after `FIRST` cycles."""
FIRST: Final = 10

Key = tuple[float, ...]


@dataclass(slots=True)
class CycleKind:
    """Of one machine with so many states. `counts`: the cycle tag is a counter, its value is no phase."""

    states: int
    counts: bool
    cycles: int = 0
    changed: list[int] = field(default_factory=list)
    values: list[set[float]] = field(default_factory=list)
    phases: set[float] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.changed = self.changed or [0] * self.states
        self.values = self.values or [set() for _ in range(self.states)]

    def key(self, phase: float, state: Float64, mixed: npt.NDArray[np.bool_], asked: Float64) -> Key:
        """Of a cycle that ended: its states at the end, which of them changed in it, and its mean set values.

        NaN is what is not known. Set values count to four digits.
        """
        self.cycles += 1
        known = [self._state(n, value, changed) for n, (value, changed) in enumerate(zip(state, mixed, strict=True))]
        return (self._phase(phase), *known, *(float(f"{value:.4g}") for value in np.nan_to_num(asked)))

    def _phase(self, phase: float) -> float:
        if not self.counts:
            self.phases.add(phase)
            self.counts = len(self.phases) > MOST_PHASES
        return 0.0 if self.counts else phase

    def _state(self, number: int, value: float, changed: bool) -> float:
        if np.isfinite(value) and len(self.values[number]) <= MOST_STATES:
            self.values[number].add(float(value))
        self.changed[number] += bool(changed)
        busy = self.changed[number] > BUSY * max(self.cycles, FIRST)
        if busy or len(self.values[number]) > MOST_STATES:
            self.values[number] |= {-float(n) - 0.5 for n in range(MOST_STATES + 1)}  # left out for good
            return -1.0
        return -2.0 if changed else float(np.nan_to_num(value, nan=-3.0))

    def document(self) -> dict[str, Any]:
        """For the checkpoint."""
        values = [sorted(each) for each in self.values]
        return {"counts": self.counts, "cycles": self.cycles, "changed": self.changed, "values": values,
                "phases": sorted(self.phases)}  # fmt: skip  # one line a list

    @classmethod
    def of(cls, states: int, document: dict[str, Any]) -> "CycleKind":
        """Raises ValueError where the document is of other states."""
        if len(document["changed"]) != states or len(document["values"]) != states:
            raise ValueError("other states")
        values = [set(map(float, each)) for each in document["values"]]
        changed = [int(each) for each in document["changed"]]
        phases = set(map(float, document["phases"]))
        return cls(states, bool(document["counts"]), int(document["cycles"]), changed, values, phases)
