"""The book of what is under way: deviations and outages, and the events they make when a delay is over."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.kernels import layout as at
from analytics.kernels.block import Block
from analytics.kernels.layout import Float64, Int64
from edge_agent.config.agent import DetectionSection
from edge_agent.detect.deviation import GROUP_BITS, Deviation, Group, closed, event_id
from edge_agent.detect.outage import Outage, Units, shared
from edge_agent.detect.sentence import figures, outage_sentence, sentence
from edge_agent.model import Event, EventClass, EventState, Severity, TagTable

_DAY: Final = 24 * 3600 * 1_000_000_000
_WEEK: Final = 7 * _DAY
_REPEATS: Final = 3
"""So many process events of a tag within a week (outside the instrument's range: within a day); after that only ones
open that are `_WORSE` times worse: what comes again and again has been told."""
_WORSE: Final = 1.25
LEARNED_ROWS: Final = 2.5
"""A deviation from what was learned lasts at least this many usual intervals before it opens an event."""
Key = tuple[int, Group]
Where = npt.NDArray[np.bool_]


class Book:
    """Everything the events need beyond the kernels' state. `changed` says that open events came or went."""

    def __init__(self, tags: TagTable, config: DetectionSection, state: Int64, parameters: Float64) -> None:
        self._tags, self._units = tags, Units(tags)
        self._on_delay, self._off_delay = config.on_delay, config.off_delay
        self.state, self.parameters = state, parameters
        self.deviations: dict[Key, Deviation] = {}
        self.outages: dict[int, Outage] = {}
        self.recent: dict[int, list[tuple[int, float]]] = {}
        self.orphans: list[Event] = []
        """Open events of tags and machines that are no longer configured: closed at the next occasion."""
        self.row_time = np.zeros(len(tags), np.int64)
        self.peak = np.zeros(len(tags))
        """Highest score of the process deviation under way, else of the latest block."""
        self._live = np.zeros(len(tags))
        self._stirred = False
        self.changed = False
        self._waiting: set[Key] = set()
        self._out: list[Event] = []

    # -- what the kernels say ------------------------------------------------------------------------------------------

    def note(self, block: Block, score: Float64) -> None:
        """Keeps each tag's latest row time and highest score."""
        tags, last = block.tags, block.offsets[1:] - 1
        one = len(last) == len(block)
        times, scores = (
            (block.time, score) if one else (block.time[last], np.maximum.reduceat(score, block.offsets[:-1]))
        )
        self.row_time[tags] = np.maximum(self.row_time[tags], times)
        self.peak[tags] = np.maximum(self.peak[tags] * self._live[tags], scores)

    def change(self, found: Deviation, time: int) -> None:
        """A row of `found.tag` at `time` where `found.group` fires (`found.bits`) or not; told in order of time."""
        key, known = (found.tag, found.group), self.deviations.get((found.tag, found.group))
        if known is not None and known.ended and self._passed(time - known.ended, self._off_delay):
            self._finish(known)
            known = None
        if found.bits and known is None:
            self._begin(found)
        elif found.bits and known is not None:
            known.ended = 0
            self._wait(key, known)
        elif known is not None and not known.ended:
            self._cease(known, time, found.begun)

    def _begin(self, found: Deviation) -> None:
        self.deviations[found.tag, found.group] = found
        self._waiting.add((found.tag, found.group))
        if found.group is Group.PROCESS:
            self._live[found.tag] = 1.0

    def _cease(self, known: Deviation, time: int, now: float) -> None:
        self._stirred = self._stirred or known.covered
        if known.covered:
            self._drop(known)
            return
        if known.event is None:
            if not self._passed(time - known.since, self._delay(known)) or self._repeats(known):
                self._drop(known)
                return
            known.due = True
        known.ended, known.ceased = max(time, 1), now
        self._wait((known.tag, known.group), known)

    def _passed(self, span_ns: int, delay: float) -> bool:
        return span_ns * 1e-9 >= delay

    def _wait(self, key: Key, known: Deviation) -> None:
        if known.waits or known.due:
            self._waiting.add(key)
        else:
            self._waiting.discard(key)

    def _drop(self, known: Deviation) -> None:
        key = (known.tag, known.group)
        if known.group is Group.PROCESS:
            self._live[known.tag] = 0.0
        self._waiting.discard(key)
        del self.deviations[key]

    # -- what time says ------------------------------------------------------------------------------------------------

    def review(self, now: float, *, tick: bool) -> list[Event]:
        """Opens and closes what is due, and hands over the events. `tick`: time may pass without rows, too."""
        waiting = [self.deviations[key] for key in sorted(self._waiting)]
        due = [known for known in waiting if known.event is None and not known.covered and self._due(known, now, tick)]
        self._open(due)
        for known in waiting:
            if (known.tag, known.group) in self.deviations and self._over(known, now, tick):
                self._finish(known)
        if tick:
            self._escalate()
        for outage in list(self.outages.values()):
            if tick or self._stirred or outage.ended:
                self._watch(outage, now, tick)
        self._stirred = False
        for event in self.orphans:
            self._say(closed(event, int(self.row_time.max(initial=0))))
        self.orphans.clear()
        out, self._out = self._out, []
        return out

    def _escalate(self) -> None:
        """What has become worse since it was told is told again, once: the same event, with its new severity."""
        for known in self.deviations.values():
            event = known.event
            if event is None or known.ended or event.severity is not Severity.NOTICE:
                continue
            known.bits = self._bits(known)
            told = self._told(known)
            if told.severity > event.severity:
                known.event = replace(told, id=event.id, detector=event.detector)
                self._say(known.event)

    def _due(self, known: Deviation, now: float, tick: bool) -> bool:
        delay = self._delay(known)
        rows = self._passed(int(self.row_time[known.tag]) - known.since, delay)
        usual = float(self.state.view(np.float64)[known.tag, at.F_DT])
        alone = tick and now - known.begun >= max(delay, 1.5 * usual)
        return known.due or ((rows or alone) and not self._repeats(known))

    def _delay(self, known: Deviation) -> float:
        """The on-delay; at least three rows where a learned limit is all there is."""
        if known.group is not Group.PROCESS or known.bits & at.RANGE:
            return self._on_delay
        return max(self._on_delay, LEARNED_ROWS * float(self.state.view(np.float64)[known.tag, at.F_DT]))

    def _repeats(self, known: Deviation) -> bool:
        """Whether this tag has said the same, or worse, often enough."""
        if known.group is not Group.PROCESS:
            return False
        span = _DAY if known.bits & at.RANGE else _WEEK
        told = [peak for start, peak in self.recent.get(known.tag, ()) if known.since - start < span]
        return len(told) >= _REPEATS and float(self.peak[known.tag]) <= _WORSE * max(told)

    def _over(self, known: Deviation, now: float, tick: bool) -> bool:
        if not known.ended:
            return False
        rows = self._passed(int(self.row_time[known.tag]) - known.ended, self._off_delay)
        return rows or (tick and now - known.ceased >= self._off_delay)

    def _finish(self, known: Deviation) -> None:
        if known.due and known.event is None:
            self._open_one(known)
        if known.event is not None:
            process = known.group is Group.PROCESS
            peak = float(self.peak[known.tag]) if process else None
            self._say(closed(known.event, known.ended, peak))
            if process:
                self.recent[known.tag] = [*self.recent.get(known.tag, ()), (known.since, float(self.peak[known.tag]))]
                self.recent[known.tag] = self.recent[known.tag][-_REPEATS:]
        self._drop(known)

    # -- opening -------------------------------------------------------------------------------------------------------

    def _open(self, due: list[Deviation]) -> None:
        for known in due:
            if known.group is not Group.QUALITY:
                self._open_one(known)
        quality = [known for known in due if known.group is Group.QUALITY]
        if not quality:
            return
        firing = self._units.by_unit(self._firing())
        stale = np.isfinite(at.stale_limit(self.state, self.parameters))
        for unit, some in self._units.by_unit(quality).items():
            self._open_unit(unit, some, firing.get(unit, []), stale)

    def _firing(self) -> Iterable[Deviation]:
        return (known for known in self.deviations.values() if known.group is Group.QUALITY and not known.ended)

    def _open_unit(self, unit: int, due: list[Deviation], firing: list[Deviation], stale: Where) -> None:
        tags = self._units.units[unit].tags
        join = unit in self.outages
        together = due if join else shared(due, firing, len(tags), int(stale[tags].sum()))
        if together and unit not in self.outages:
            self._open_outage(unit, together, len(firing))
        for known in together:
            self._cover(known, self.outages[unit])
        for known in due:
            if not known.covered:
                self._open_one(known)

    def _open_one(self, known: Deviation) -> None:
        known.bits = self._bits(known) if not known.ended else known.bits
        known.due = False
        known.event = self._told(known)
        self._say(known.event)
        self._wait((known.tag, known.group), known)

    def _bits(self, known: Deviation) -> int:
        """The group's detectors that fire now; those that began it, where none does."""
        return int(self.state[known.tag, at.I_MASK]) & GROUP_BITS[known.group] or known.bits

    def _told(self, known: Deviation) -> Event:
        """What is to be said of it as it stands."""
        tag = self._tags[known.tag]
        seconds = max(int(self.row_time[known.tag]), known.ended) - known.since
        i, p, score = self.state[known.tag], self.parameters[known.tag], float(self.peak[known.tag])
        told = figures(known, i, i.view(np.float64), p, score, max(seconds * 1e-9, known.lasted))
        return Event(
            event_id(tag.path, known.detector, known.since), tag.path, known.detector, known.event_class,
            _severity(known, score), EventState.OPEN, known.since, 0, sentence(tag, known, told), told.evidence(known),
        )  # fmt: skip  # one field a line hides the rest

    # -- outages -------------------------------------------------------------------------------------------------------

    def _open_outage(self, unit: int, members: list[Deviation], gone: int) -> None:
        of = self._units.units[unit]
        start = min(known.since for known in members)
        path = of.machine.path
        event = Event(
            event_id(f"{path}@{of.link}", "outage", start), path, "outage", EventClass.COMMUNICATION, Severity.WARNING,
            EventState.OPEN, start, 0, outage_sentence(of.machine, of.link, gone, len(of.tags)),
            {"tags": float(gone), "tags_of_link": float(len(of.tags))},
        )  # fmt: skip  # one field a line hides the rest
        self.outages[unit] = Outage(unit, set(), event)
        self._say(event)

    def _cover(self, known: Deviation, outage: Outage) -> None:
        if known.event is not None:
            self._say(closed(known.event, max(known.since, int(self.row_time[known.tag]))))
            known.event = None
        known.covered, known.due = True, False
        outage.members.add(known.tag)
        self._wait((known.tag, Group.QUALITY), known)

    def _watch(self, outage: Outage, now: float, tick: bool) -> None:
        """Ends an outage when most of its tags are back; the others then speak for themselves."""
        left = [self.deviations.get((tag, Group.QUALITY)) for tag in outage.members]
        gone = [known for known in left if known is not None and not known.ended]
        if 2 * len(gone) >= len(outage.members):
            outage.ended = 0
            return
        latest = int(self.row_time[list(outage.members)].max())
        if not outage.ended:
            outage.ended, outage.ceased = latest, now
        rows = self._passed(latest - outage.ended, self._off_delay)
        if not (rows or (tick and now - outage.ceased >= self._off_delay)):
            return
        self._say(closed(outage.event, outage.ended))
        del self.outages[outage.unit]
        for known in gone:
            known.covered = False
            self._wait((known.tag, Group.QUALITY), known)

    def _say(self, event: Event) -> None:
        self._out.append(event)
        self.changed = True

    # -- after a restart -----------------------------------------------------------------------------------------------

    def restore(self, deviations: Iterable[Deviation], outages: Iterable[Outage], now: float) -> None:
        """Goes on with what was under way, and brings the kernels' masks in line with it."""
        masks = self.state[:, at.I_MASK]
        under_way = np.zeros(len(masks), np.int64)
        for known in deviations:
            known.begun = known.ceased = now
            self.deviations[known.tag, known.group] = known
            if not known.ended:
                under_way[known.tag] |= GROUP_BITS[known.group]
                if not masks[known.tag] & GROUP_BITS[known.group]:
                    masks[known.tag] |= known.bits & ~at.STALE
        for bits in GROUP_BITS.values():
            masks[under_way & bits == 0] &= ~bits
        for outage in outages:
            outage.ceased = now
            self.outages[outage.unit] = outage
        members = {tag for outage in self.outages.values() for tag in outage.members}
        for known in self.deviations.values():
            known.covered = known.covered and known.tag in members
            self._live[known.tag] = max(self._live[known.tag], float(known.group is Group.PROCESS))
            self._wait((known.tag, known.group), known)

    def companions(self, tag: int) -> list[int]:
        """Tags of the same machine and link, itself among them."""
        return self._units.units[self.unit_of(tag)].tags

    def unit_of(self, tag: int) -> int:
        """The number of the machine and link that a tag belongs to."""
        return int(self._units.of_tag[tag])

    def telling(self) -> set[int]:
        """Tags that have an open event of their own."""
        return {tag for (tag, _), known in self.deviations.items() if known.event is not None}

    @property
    def waits(self) -> bool:
        """Whether time alone may open or close something."""
        return bool(self._waiting or self.orphans) or any(outage.ended for outage in self.outages.values())

    @property
    def open_events(self) -> list[Event]:
        """Events that have not ended, oldest first."""
        own = [known.event for known in self.deviations.values() if known.event is not None]
        return sorted([*own, *(outage.event for outage in self.outages.values())], key=lambda event: event.start)


def _severity(known: Deviation, score: float) -> Severity:
    """Notice while a learned limit is passed by less than its double; what has a fixed limit warns."""
    learned = known.group is Group.PROCESS and not known.bits & at.RANGE
    return Severity.NOTICE if learned and score < 2.0 else Severity.WARNING
