"""The book of cycles: which machines' cycles are not as usual, and the events that say so, one for a machine at a time.

An event opens with the first cycle that has a figure beyond its limit, and names the figures that are farthest (the
first out). It closes when `QUIET` cycles of each kind that had one are as usual again, or when a lasting deviation was
taken for the new normal, which it says. A figure whose tag has an event of its own already does not open a second one.
"""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from analytics.kernels.layout import Int64
from edge_agent.detect.cycle import Cycles, Finding
from edge_agent.detect.cycle_kind import Key
from edge_agent.detect.deviation import closed, event_id
from edge_agent.detect.sentence import name_of_machine
from edge_agent.model import Event, EventClass, EventState, Label, Severity, TagTable

QUIET: Final = 3
UNSEEN: Final = 100
"""Cycles of other kinds after which a kind that was beyond its limit is no longer waited for."""
NAMED: Final = 3
DETECTOR: Final = "cycle"
_DAY: Final = 24 * 3600 * 1_000_000_000
_REPEATS: Final = 3
"""So many events of a machine within a day; after that only ones that are `_WORSE` times worse."""
_WORSE: Final = 1.25
_SHAPES: Final = {
    "mean": Label("평균", "mean"),
    "low": Label("최저", "low"),
    "high": Label("최고", "high"),
    "count": Label("증가량", "increase"),
    "time": Label("소요시간", "duration"),
}


@dataclass(slots=True)
class Doubt:
    """A kind of cycle that was beyond its limit: cycles of it that were as usual since, and cycles of other kinds."""

    quiet: int = 0
    unseen: int = 0


@dataclass(slots=True)
class OfMachine:
    """What is under way at one machine; `recent`: start and peak of its latest events."""

    event: Event | None = None
    peak: float = 0.0
    doubts: dict[Key, Doubt] = field(default_factory=dict)
    recent: list[tuple[int, float]] = field(default_factory=list)


class CycleBook:
    """Makes events of findings."""

    def __init__(self, tags: TagTable, cycles: Cycles) -> None:
        self._tags, self._cycles = tags, cycles
        self.machines = [OfMachine() for _ in cycles.machines]
        self.orphans: list[Event] = []
        """Open events of machines whose cycles are no longer watched: closed at the next occasion."""

    @property
    def open_events(self) -> list[Event]:
        """Events that have not ended."""
        return [machine.event for machine in self.machines if machine.event is not None]

    def take(self, findings: list[Finding], told: Callable[[], Collection[int]]) -> list[Event]:
        """The events that these cycles open and close; `told`: tags that have an event of their own."""
        out = [closed(event, event.start) for event in self.orphans]
        self.orphans.clear()
        for found in findings:
            out += self._one(found, told)
        return out

    def _one(self, found: Finding, told: Callable[[], Collection[int]]) -> list[Event]:
        known = self.machines[found.machine]
        fires = np.flatnonzero(found.score > 1.0)
        self._doubt(known, found, fires=len(fires) > 0)
        if len(fires) and known.event is None:
            return self._open(known, found, fires, told())
        known.peak = max(known.peak, float(found.score.max(initial=0.0)))
        if known.event is None:
            return []
        if known.doubts:
            return self._escalate(known, known.event, found, fires)
        event, known.event = known.event, None
        known.recent = [*known.recent, (event.start, known.peak)][-_REPEATS:]
        return [_over(event, found, known.peak)]

    def _escalate(self, known: OfMachine, event: Event, found: Finding, fires: Int64) -> list[Event]:
        """An event that has become worse since it was told is told again, once, with this cycle's figures."""
        if _severity(known.peak) <= event.severity or not len(fires):
            return []
        shown = self._farthest(found, fires)
        known.event = replace(
            event,
            severity=_severity(known.peak),
            text=self._sentence(found, shown),
            evidence=self._evidence(found, shown),
        )
        return [known.event]

    def _doubt(self, known: OfMachine, found: Finding, *, fires: bool) -> None:
        for key, doubt in list(known.doubts.items()):
            doubt.quiet += key == found.key
            doubt.unseen += key != found.key
            if doubt.quiet >= QUIET or doubt.unseen > UNSEEN:
                del known.doubts[key]
        if fires:
            known.doubts[found.key] = Doubt()
        if found.relearned:
            known.doubts.pop(found.key, None)

    def _open(self, known: OfMachine, found: Finding, fires: Int64, told: Collection[int]) -> list[Event]:
        names = self._cycles.names(found.machine)
        peak = float(found.score[fires].max())
        today = [worst for start, worst in known.recent if found.begin - start < _DAY]
        if all(names[figure][0] in told for figure in fires.tolist()):
            return []
        if len(today) >= _REPEATS and peak <= _WORSE * max(today):
            return []
        path = self._cycles.machines[found.machine].path
        shown = self._farthest(found, fires)
        known.peak = peak
        known.event = Event(
            event_id(path, DETECTOR, found.begin), path, DETECTOR, self._cause(shown[0], found.machine),
            _severity(peak), EventState.OPEN, found.begin, 0,
            self._sentence(found, shown), self._evidence(found, shown),
        )  # fmt: skip  # one field a line hides the rest
        return [known.event]

    def _farthest(self, found: Finding, fires: Int64) -> list[int]:
        """Of the figures beyond their limits those farthest, one a tag, at most `NAMED`."""
        names, first = self._cycles.names(found.machine), dict[int, int]()
        for figure in sorted(fires.tolist(), key=lambda figure: -found.score[figure]):
            first.setdefault(names[figure][0], figure)
        return list(first.values())[:NAMED]

    def _cause(self, farthest: int, machine: int) -> EventClass:
        """What the signal shows that is farthest from usual; the machine where nobody said, or its time is."""
        number, _ = self._cycles.names(machine)[farthest]
        return (self._tags[number].cause if number >= 0 else None) or EventClass.MACHINE

    def _sentence(self, found: Finding, shown: list[int]) -> Label:
        machine = self._tags[int(self._cycles.machines[found.machine].cycle)].machine
        name, parts = name_of_machine(machine), [self._part(found, figure) for figure in shown]
        ko, en = "; ".join(part.ko for part in parts), "; ".join(part.en for part in parts)
        return Label(
            f"{name.ko}: 사이클이 평소와 다릅니다. {ko}. 같은 종류의 지난 사이클과 비교한 값입니다.",
            f"{name.en}: this cycle is not as usual. {en}. Compared with earlier cycles of the same kind.",
        )

    def _part(self, found: Finding, figure: int) -> Label:
        number, shape = self._cycles.names(found.machine)[figure]
        what, unit = _SHAPES[shape], "s" if number < 0 else self._tags[number].unit
        label = what
        if number >= 0:
            tag = self._tags[number]
            label = Label(
                f"{tag.label.in_language('ko', tag.name)} {what.ko}",
                f"{tag.label.in_language('en', tag.name)} {what.en}",
            )
        value, normal, spread = (f"{column[figure]:.4g}" for column in (found.figure, found.normal, found.spread))
        shown = f"{value} {unit}".rstrip()
        return Label(
            f"{label.ko} {shown}(평소 {normal} ± {spread})", f"{label.en} {shown} (usually {normal} ± {spread})"
        )

    def _evidence(self, found: Finding, shown: list[int]) -> dict[str, float]:
        out = {"score": float(found.score.max())}
        names = self._cycles.names(found.machine)
        for figure in shown:
            number, shape = names[figure]
            name = shape if number < 0 else f"{self._tags[number].name}_{shape}"
            columns = {"": found.figure, "_normal": found.normal, "_spread": found.spread}
            out |= {f"{name}{end}": float(column[figure]) for end, column in columns.items()}
        return {key: value for key, value in out.items() if np.isfinite(value)}

    # -- after a restart -----------------------------------------------------------------------------------------------

    def document(self) -> list[dict[str, Any]]:
        """For the checkpoint, a machine each."""
        return [
            {
                "path": machine.path,
                "event": None if known.event is None else asdict(known.event),
                "peak": known.peak,
                "doubts": [[list(key), doubt.quiet, doubt.unseen] for key, doubt in known.doubts.items()],
                "recent": known.recent,
            }
            for machine, known in zip(self._cycles.machines, self.machines, strict=True)
        ]

    def restore(self, document: list[dict[str, Any]], read: Callable[[dict[str, Any] | None], Event | None]) -> None:
        """Goes on with what was under way; `read` makes an event of what is stored of it."""
        number = {machine.path: at for at, machine in enumerate(self._cycles.machines)}
        for item in document:
            event = read(item["event"])
            if item["path"] not in number:
                self.orphans += [] if event is None else [event]
                continue
            doubts = {tuple(map(float, key)): Doubt(int(quiet), int(unseen)) for key, quiet, unseen in item["doubts"]}
            recent = [(int(start), float(peak)) for start, peak in item["recent"]]
            self.machines[number[item["path"]]] = OfMachine(event, float(item["peak"]), doubts, recent)


def _severity(peak: float) -> Severity:
    return Severity.NOTICE if peak < 2.0 else Severity.WARNING


def _over(event: Event, found: Finding, peak: float) -> Event:
    over = closed(event, found.end, peak)
    if not found.relearned:
        return over
    text = Label(
        f"{over.text.ko} 오래 지속되어 새로운 정상 상태로 학습합니다.",
        f"{over.text.en} It has lasted so long that it is learned as the new normal.",
    )
    return replace(over, text=text)
