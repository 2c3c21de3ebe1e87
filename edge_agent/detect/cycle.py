"""Cycles: what a machine does again and again, as figures of each cycle that are compared with those before.

A machine's configuration may name the tag that counts its cycles or tells its phases (`cycle:`). Between two changes
of that tag lies a cycle, or a phase of one. Its figures are the mean over time, the lowest and the highest of each
process value and controller output; of a tag that comes once a cycle, its value; the increase of each counter; and how
long it took. Closed loops hide faults from the process value: they show in the outputs, times and counts of a phase,
compared with the same phase of earlier cycles.

A row that comes at the very moment of the change belongs to the cycle that ends: PLCs write a cycle's results and its
number together. A cycle in which the cycle tag was bad, its counter jumped, or which took `PAUSE` times as long as
usual (a stop) is not comparable: it is neither judged nor learned. The agent's own times, late rows and history do not
matter here: history is not taken, and time never goes back within a tag.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analytics.cycles.course import WIDTH, Course
from analytics.kernels import layout as at
from analytics.kernels.block import Block
from analytics.kernels.layout import Float64, Int64
from edge_agent.detect.cycle_kind import CycleKind, Key
from edge_agent.model import Kind, Role, TagTable

Tags = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

FEW: Final = 3
"""A tag with fewer rows in a cycle shows its value, not a mean and extremes."""
PAUSE: Final = 3.0
LEARN: Final = 100.0
LEARN_TIME: Final = 3600.0
BLOCK: Final = 500.0
BLOCK_TIME: Final = 4 * 3600.0
"""What is normal follows in blocks of `BLOCK` cycles, or of so many seconds where these are more cycles."""
LEARN_SLOW: Final = 12.0
SLOW: Final = 600.0
"""Cycles are compared after `LEARN` of a kind and `LEARN_TIME` seconds of them; those longer than `SLOW` seconds after
`LEARN_SLOW` of a kind."""
MOST_KINDS: Final = 64
"""Kinds of cycles remembered of a machine; beyond that the one that was not seen for longest goes."""
SPAN_FLOOR: Final = 2e-4
"""No figure is steadier than this share of the instrument's span."""
EXTREME: Final = 1.5
"""The limits of a cycle's lowest and highest are so much wider: extremes have long tails."""
YOUNG: Final = 2.0
DAYS: Final = 1.5 * 86_400.0
"""Limits are 1 + `YOUNG` times wider in the beginning, until so many seconds were seen: what follows the day and the
night is not known before."""
COUNT_FLOOR: Final = 0.3
TIME_FLOOR: Final = 0.02
SHAPES: Final = ("mean", "low", "high")
WEEK: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A cycle that was compared. Times in ns since 1970 UTC; columns are a row a figure of its machine.

    `normal` and `spread` are what was known before the cycle; `relearned` says that a figure's lasting deviation was
    taken for the new normal.
    """

    machine: int
    key: Key
    begin: int
    end: int
    score: Float64
    figure: Float64
    normal: Float64
    spread: Float64
    relearned: bool


@dataclass(slots=True)
class Pace:
    """Of one kind of cycle: the seconds that one takes, and those that were seen in all."""

    usual: float = 0.0
    seen: float = 0.0

    def takes(self, whole: float) -> bool:
        """Learns from a cycle of `whole` seconds; False where the machine must have stood still in it."""
        if self.usual and whole > PAUSE * self.usual:
            self.usual *= 1.05  # a machine that was made slower for good is not silent for ever
            return False
        self.usual = self.usual + 0.1 * (whole - self.usual) if self.usual else whole
        self.seen += whole
        return True

    @property
    def ease(self) -> float:
        """So many times wider are the limits yet."""
        return 1.0 + YOUNG * max(0.0, 1.0 - self.seen / DAYS)


@dataclass(slots=True)
class CyclingMachine:
    """A machine whose cycles are watched; arrays of tag numbers. `begin`: 0 where the cycle under way is not whole."""

    path: str
    cycle: int
    figured: Tags
    counters: Tags
    settings: Tags
    states: Tags
    every: Tags
    floor: Float64
    ease: Float64
    kind: CycleKind
    phase: float = np.nan
    begin: int = 0
    courses: dict[Key, Course] = field(default_factory=dict)
    paces: dict[Key, Pace] = field(default_factory=dict)

    def course(self, key: Key) -> Course:
        """The course of a kind of cycle, now the one seen last."""
        found = self.courses.pop(key, None) or Course(np.zeros((len(self.floor), WIDTH)), self.floor)
        self.courses[key] = found
        while len(self.courses) > MOST_KINDS:
            gone = next(iter(self.courses))
            del self.courses[gone]
            self.paces.pop(gone, None)
        return found

    def shown(self) -> dict[str, Any]:
        """What people see of it; asked from another thread, so of copies."""
        courses = list(self.courses.values())
        learning = not any(course.speaks for course in courses)
        return {"machine": self.path, "cycles": self.kind.cycles, "kinds": len(courses), "learning": learning}

    def pace(self, key: Key) -> Pace:
        """The pace of a kind of cycle."""
        return self.paces.setdefault(key, Pace())


class Cycles:
    """Sums up rows into figures and compares them; `take` answers the cycles that ended. No clock of its own."""

    def __init__(self, tags: TagTable, false_alarms: float) -> None:
        """`false_alarms`: bearable ones of one tag in a week."""
        self._per_second = false_alarms / WEEK / len(SHAPES)
        self._tags = tags
        paths = dict.fromkeys(tag.machine.path for tag in tags if tag.name == tag.machine.cycle)
        self.machines = [cycling(tags, path) for path in paths]
        self._of = np.full(len(tags), -1, np.intp)
        self._counts = np.zeros(len(tags), bool)
        self._last = np.full(len(tags), np.nan)
        """Of cycle tags: the value of the cycle under way."""
        self._begun = np.zeros(len(tags), np.int64)
        """When the cycle under way of the tag's machine began."""
        for number, machine in enumerate(self.machines):
            self._of[machine.every] = number
            self._counts[machine.cycle] = True
        self._held, self._first = np.full(len(tags), np.nan), np.full(len(tags), np.nan)
        self._since = np.zeros(len(tags), np.int64)
        self._sum, self._span = np.zeros(len(tags)), np.zeros(len(tags))
        self._low, self._high = np.full(len(tags), np.inf), np.full(len(tags), -np.inf)
        self._rows = np.zeros(len(tags), np.int64)

    def take(self, block: Block, kind: npt.NDArray[np.uint8]) -> list[Finding]:
        """Adds the block's rows; `kind` is that of the rows it was made of, in their order."""
        if not self.machines:
            return []
        rows = _watched(block, kind, self._of)
        found: list[Finding] = []
        for number in self._turning(rows):
            mine = self._of[rows.tag] == number
            found += self._of_machine(number, rows.some(mine))
            rows = rows.some(~mine)
        self._take_on(rows)
        return found

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _turning(self, rows: "_Rows") -> list[int]:
        """Machines whose cycle tag may have changed in these rows."""
        told = self._counts[rows.tag]
        tag, value = rows.tag[told], rows.value[told]
        last = self._last[tag]
        other = (value != last) & ~(np.isnan(value) & np.isnan(last))
        return np.unique(self._of[tag[other]]).tolist() if other.any() else []

    def _of_machine(self, number: int, rows: "_Rows") -> list[Finding]:
        machine, found = self.machines[number], []
        for time, value in rows.changes(machine.cycle, machine.phase):
            before = rows.time <= time
            self._take_on(rows.some(before))
            rows = rows.some(~before)
            finding = self._end(number, time, value)
            found += [] if finding is None else [finding]
        self._take_on(rows)
        return found

    def _take_on(self, rows: "_Rows") -> None:
        """Adds rows to the cycles under way."""
        at_begin = rows.time <= self._begun[rows.tag]
        if at_begin.any():  # a counter's value of the moment of the change, in a later frame
            self._first[rows.tag[at_begin]] = rows.value[at_begin]
        self._add(rows)

    def _add(self, rows: "_Rows") -> None:
        if not len(rows.tag):
            return
        starts = np.flatnonzero(np.concatenate([[True], rows.tag[1:] != rows.tag[:-1]]))
        tags, last = rows.tag[starts], np.append(starts[1:], len(rows.tag)) - 1
        before, since = np.empty(len(rows.value)), np.empty(len(rows.time), np.int64)
        before[1:], since[1:] = rows.value[:-1], rows.time[:-1]
        before[starts], since[starts] = self._held[tags], self._since[tags]
        lasted = np.maximum(rows.time - since, 0) * 1e-9
        known, shown = np.isfinite(before), np.isfinite(rows.value)
        self._sum[tags] += np.add.reduceat(np.where(known, before * lasted, 0.0), starts)
        self._span[tags] += np.add.reduceat(np.where(known, lasted, 0.0), starts)
        lowest = np.minimum.reduceat(np.where(shown, rows.value, np.inf), starts)
        highest = np.maximum.reduceat(np.where(shown, rows.value, -np.inf), starts)
        self._low[tags], self._high[tags] = np.minimum(self._low[tags], lowest), np.maximum(self._high[tags], highest)
        self._rows[tags] += np.add.reduceat(shown.astype(np.int64), starts)
        self._held[tags], self._since[tags] = rows.value[last], np.maximum(rows.time[last], self._since[tags])

    # -- cycles --------------------------------------------------------------------------------------------------------

    def _end(self, number: int, time: int, value: float) -> Finding | None:
        """The cycle tag changed to `value` (NaN: it became bad) at `time`."""
        machine = self.machines[number]
        every, finding = machine.every, None
        lasted = np.where(np.isfinite(self._held[every]), np.maximum(time - self._since[every], 0) * 1e-9, 0.0)
        self._sum[every] += np.nan_to_num(self._held[every]) * lasted
        self._span[every] += lasted
        jumped = machine.kind.counts and not 0.0 < value - machine.phase < 1.5
        if machine.begin and time > machine.begin and np.isfinite(value) and not jumped:
            finding = self._compare(number, time, (time - machine.begin) * 1e-9)
        self._since[every], self._first[every] = time, self._held[every]
        self._sum[every] = self._span[every] = 0.0
        self._low[every], self._high[every], self._rows[every] = np.inf, -np.inf, 0
        machine.begin = time if np.isfinite(value) and np.isfinite(machine.phase) else 0
        self._begun[every] = time
        self._last[machine.cycle] = machine.phase = value
        return finding

    def _compare(self, number: int, time: int, whole: float) -> Finding | None:
        machine = self.machines[number]
        key = self._key(machine)
        pace = machine.pace(key)
        if not pace.takes(whole):
            return None
        course, figure = machine.course(key), self._figures(machine, whole)
        normal, spread = course.normal, course.spread
        longest, ease = max(BLOCK, BLOCK_TIME / whole), machine.ease * pace.ease
        score = course.judge(figure, self._per_second * whole, _learning(whole), longest, ease)
        relearned = bool(course.relearned.any())
        return Finding(number, key, machine.begin, time, score, figure, normal, spread, relearned)

    def _key(self, machine: CyclingMachine) -> Key:
        states, settings = machine.states, machine.settings
        moved = (self._low[states] < self._high[states]) | (self._low[states] != self._first[states])
        mixed = np.isfinite(self._low[states]) & np.isfinite(self._first[states]) & moved
        known = self._span[settings] > 0
        asked = np.where(known, self._sum[settings] / np.where(known, self._span[settings], 1.0), np.nan)
        return machine.kind.key(machine.phase, self._held[states], mixed, asked)

    def _figures(self, machine: CyclingMachine, whole: float) -> Float64:
        tags, counters = machine.figured, machine.counters
        few = self._rows[tags] < FEW
        enough = self._span[tags] >= 0.5 * whole
        mean = np.where(enough, self._sum[tags] / np.where(enough, self._span[tags], 1.0), np.nan)
        value = np.where(self._rows[tags] > 0, self._held[tags], np.nan)
        extremes = [np.where(few | ~enough, np.nan, column[tags]) for column in (self._low, self._high)]
        grown = self._held[counters] - self._first[counters]
        return np.concatenate([np.where(few, value, mean), *extremes, np.where(grown >= 0, grown, np.nan), [whole]])

    def names(self, number: int) -> list[tuple[int, str]]:
        """What each figure of a machine is of: tag number and `mean`, `low`, `high`, `count`; (-1, `time`)."""
        machine = self.machines[number]
        shown = [(tag, shape) for shape in SHAPES for tag in machine.figured.tolist()]
        return [*shown, *((tag, "count") for tag in machine.counters.tolist()), (-1, "time")]


def cycling(tags: TagTable, path: str) -> CyclingMachine:
    """What is watched of the machine with this path, whose configuration names its cycle tag."""
    mine = [number for number, tag in enumerate(tags) if tag.machine.path == path]
    cycle = tags.number(f"{path}/{tags[mine[0]].machine.cycle}")

    def some(which: Callable[[Role], bool]) -> Tags:
        return np.array([number for number in mine if number != cycle and which(tags[number].role)], np.intp)

    figured = some(lambda role: role in (Role.PV, Role.MV))
    counters, states = some(lambda role: role is Role.COUNTER), some(lambda role: role is Role.STATE)
    settings = some(lambda role: role in (Role.SV, Role.SETPOINT))
    floors = [SPAN_FLOOR * ((tags[n].high or 0.0) - (tags[n].low or 0.0)) for n in figured.tolist()]
    floor = np.array([*floors * len(SHAPES), *[COUNT_FLOOR] * len(counters), TIME_FLOOR])
    ease = np.array([*[1.0] * len(figured), *[EXTREME] * 2 * len(figured), *[1.0] * len(counters), 1.0])
    every = np.concatenate([figured, counters, states, settings, [cycle]]).astype(np.intp)
    kind = CycleKind(len(states), tags[cycle].role is Role.COUNTER)
    return CyclingMachine(path, cycle, figured, counters, settings, states, every, floor, ease, kind)


def _learning(whole: float) -> float:
    """Cycles of `whole` seconds to learn from before they are compared."""
    return LEARN_SLOW if whole > SLOW else max(LEARN, LEARN_TIME / whole)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows grouped by tag; `value` is NaN where there is none to use."""

    tag: Int64
    time: Int64
    value: Float64

    def some(self, which: Flags) -> "_Rows":
        return self if which.all() else _Rows(self.tag[which], self.time[which], self.value[which])

    def changes(self, tag: int, last: float) -> list[tuple[int, float]]:
        """Times and values at which `tag` changed; NaN where it became bad."""
        mine = self.tag == tag
        found: list[tuple[int, float]] = []
        for time, value in zip(self.time[mine].tolist(), self.value[mine].tolist(), strict=True):
            if value != last and not (np.isnan(value) and np.isnan(last)):
                found.append((time, value))
            last = value
        return found


def _watched(block: Block, kind: npt.NDArray[np.uint8], of: Tags) -> _Rows:
    tag = np.repeat(block.tags, np.diff(block.offsets))
    text = (kind if block.order is None else kind[block.order]) == Kind.TEXT
    useless = ((block.code & at.CODE_KIND) == at.CODE_BAD) | text | ~(np.abs(block.value) < at.HUGE)
    rows = _Rows(tag, block.time, np.where(useless, np.nan, block.value))
    return rows.some((of[tag] >= 0) & ((block.code & at.CODE_SKIP) == 0))
