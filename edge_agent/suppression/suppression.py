"""The stage that every event passes: announced as it is, or recorded as shelved or out of service.

An event that stands is told again whenever that changes: as `shelved` when a person shelves it, as `open` when that is
over. Its end is told in any case.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

import structlog

from edge_agent.clock import Clock
from edge_agent.config.agent import DetectionSection
from edge_agent.errors import AlarmError
from edge_agent.model import Event, EventClass, EventState, Severity, TagTable
from edge_agent.suppression import kept
from edge_agent.suppression.directory import Directory
from edge_agent.suppression.flood import Floods
from edge_agent.suppression.group_words import FLOOD, SHARED, gathered, ungathered
from edge_agent.suppression.kept import Standing
from edge_agent.suppression.shelf import BY_PERSON, LONGEST_NAME, LONGEST_REASON, LONGEST_S, SHORTEST_S, Key, Shelf
from edge_agent.suppression.shown import common_facts, error_facts, flood_facts, shelf_facts, standing_facts
from edge_agent.suppression.utility import Utilities
from edge_agent.suppression.words import (
    OWN,
    bad_duration,
    damaged_event,
    marked,
    shelf_event,
    too_many,
    unannounced,
    unnamed,
)

MOST_SHELVES: Final = 1000
MOST_STANDING: Final = 10_000
"""Events under way beyond these are told as they come, and the oldest are no longer told again."""
SAVE_SPACING_S: Final = 1.0
"""At least so long between two writings of the file, orders aside: a flood must not wear the card out."""
SHOWN: Final = 200
"""Alarms under way that are listed, the newest first."""
_NS: Final = 1_000_000_000
_log = structlog.get_logger("alarms")


class Suppression:
    """`judge` is for the store's thread, orders and `save` may come from any; orders and `save` block for the disk."""

    def __init__(
        self,
        tags: TagTable,
        config: DetectionSection,
        clock: Clock,
        path: Path,
        say: Callable[[Sequence[Event]], None],
    ) -> None:
        """`path`: the file that outlives a restart; `say`: puts events on the road. Never fails: see `kept.read`."""
        self._clock, self._path, self._say = clock, path, say
        self._directory = Directory(tags)
        self._name = self._directory.name
        self._site = tags[0].machine.site if len(tags) else ""
        self._lock, self._disk = Lock(), Lock()
        self._floods = Floods(self._site, config.alarms_per_machine, config.alarms_per_site, self._name)
        shares = {tag.machine.path: tag.machine.shares for tag in tags if tag.machine.shares}
        self._utilities = Utilities(self._site, shares, self._name)
        shelves, standing, trouble = kept.read(path, self._floods, self._utilities)
        self._shelves: dict[Key, Shelf] = {}
        self._ends: dict[Key, float] = {}
        """Monotonic time at which a shelf ends whatever the wall clock does meanwhile."""
        for shelf in shelves:
            self._put(shelf)
        self._standing = {each.event.id: each for each in standing}
        self._stirred = self._flooded = True
        self.changed = False
        """Whether the file is not what it should be."""
        self._written = clock.monotonic() - SAVE_SPACING_S
        self.error: AlarmError | None = None
        """Why the file could not be written the last time; None where it could."""
        if trouble is not None:
            _log.warning("alarms_file_damaged", error=str(trouble))
            say([damaged_event(self._site, trouble, clock.wall())])

    # -- events --------------------------------------------------------------------------------------------------------

    def judge(self, events: Sequence[Event]) -> list[Event]:
        """The events as they are to be told, and those that are to be told again now. Call it at least every second."""
        if not (events or self._stirred or self._shelves or self._flooded):
            return []
        with self._lock:
            out = self._expire()
            out += self._again() if self._stirred else []
            out += self._calm() if self._flooded else []
            for event in events:
                out += self._one(event)
            self._flooded = bool(self._floods.under_way)
        return out

    def _one(self, event: Event) -> list[Event]:
        if event.event_class is EventClass.AGENT or event.detector.startswith(OWN):
            return [event]
        return self._close(event) if event.state is EventState.CLOSED else self._open(event)

    def _close(self, event: Event) -> list[Event]:
        shelf, known = self._shelf_of(event), self._standing.pop(event.id, None)
        shared = self._utilities.speaks_for(event.id)
        if known is not None:
            self.changed = True
        over = self._forget(event.id, event.end)
        if shelf is not None:
            return [unannounced(event, shelf), *over]
        if known is None or known.told is EventState.OPEN:
            return [event, *over]
        return [ungathered(event, SHARED if shared else FLOOD), *over]

    def _forget(self, name: str, now: int) -> list[Event]:
        """No other event speaks for this alarm any more; what that ends."""
        self._floods.forget(name)
        return self._utilities.forget(name, now)

    def _open(self, event: Event) -> list[Event]:
        """How an event that stands is told now, with what else is to be told of it."""
        shelf, known = self._shelf_of(event), self._standing.get(event.id)
        told, said = event, list[Event]()
        if shelf is not None:
            told = marked(event, shelf)
        elif known is None or known.told in BY_PERSON:
            told, said = self._admit(event)
        elif known.told is EventState.SUPPRESSED and event.severity is not Severity.CRITICAL:
            told = gathered(event, SHARED if self._utilities.speaks_for(event.id) else FLOOD)
        if told.state is not EventState.SUPPRESSED:
            said += self._forget(event.id, self._clock.wall())
        self._standing[event.id] = Standing(event, told.state)
        if len(self._standing) > MOST_STANDING:
            oldest = next(iter(self._standing))
            said += self._forget(oldest, self._clock.wall())
            del self._standing[oldest]
        self.changed = True
        return [*said, told]

    def _admit(self, event: Event) -> tuple[Event, list[Event]]:
        """How an alarm that opens is told: announced, or another event speaks for it."""
        shared, said = self._utilities.gather(event)
        if shared:
            return gathered(event, SHARED), said
        announced, said = self._floods.admit(event, self._clock.wall())
        return event if announced else gathered(event, FLOOD), said

    def _again(self) -> list[Event]:
        """What stands and was told as something else than what people say of it now."""
        self._stirred = False
        out: list[Event] = []
        for known in list(self._standing.values()):
            shelf = self._shelf_of(known.event)
            before = known.told if known.told in BY_PERSON else None
            if before is not (None if shelf is None else shelf.state):
                out += self._open(known.event)
        return out

    def _calm(self) -> list[Event]:
        """Floods that are over; what they leave behind is announced as if it were new."""
        out, left = self._floods.end(self._clock.wall())
        for name in left:
            known = self._standing.pop(name, None)
            out += [] if known is None else self._open(known.event)
        self.changed |= bool(out)
        return out

    def _shelf_of(self, event: Event) -> Shelf | None:
        """The one that covers it: out of service before shelved, else the one that lasts longest."""
        covering = (shelf for shelf in self._shelves.values() if shelf.covers(event))
        return max(covering, key=lambda shelf: (shelf.out_of_service, shelf.until), default=None)

    def _expire(self) -> list[Event]:
        now, monotonic = self._clock.wall(), self._clock.monotonic()
        over = [
            shelf
            for key, shelf in self._shelves.items()
            if not shelf.out_of_service and (now >= shelf.until or monotonic >= self._ends[key])
        ]
        for shelf in over:
            del self._shelves[shelf.key], self._ends[shelf.key]
            self._stirred = self.changed = True
            _log.info("alarms_unshelved", path=shelf.path, by="", shelved_by=shelf.by)
        return [shelf_event(shelf, self._name(shelf.path), min(now, shelf.until)) for shelf in over]

    # -- orders --------------------------------------------------------------------------------------------------------

    def shelve(self, name: str, seconds: float, by: str, reason: str) -> Shelf:
        """Shelves what `name` means (a path, the end of one, or an event's id). Raises AlarmError."""
        if not SHORTEST_S <= seconds <= LONGEST_S:
            raise bad_duration(name)
        return self._begin("shelve", name, seconds, by, reason)

    def take_out_of_service(self, name: str, by: str, reason: str) -> Shelf:
        """The same without an end. Raises AlarmError."""
        return self._begin("out-of-service", name, 0.0, by, reason)

    def _begin(self, operation: str, name: str, seconds: float, by: str, reason: str) -> Shelf:
        by, reason = by.strip(), reason.strip()
        if not (_is_line(by, LONGEST_NAME) and _is_line(reason, LONGEST_REASON)):
            raise unnamed(operation, name)
        path, detector = self._directory.meant(operation, name, self._events())
        now = self._clock.wall()
        shelf = Shelf(path, detector, now, now + int(seconds * _NS) if seconds else 0, by, reason)
        with self._disk:
            shelves = self._in_force()
            before = shelves.get(shelf.key)
            if before is None and len(shelves) >= MOST_SHELVES:
                raise too_many(operation, name, MOST_SHELVES)
            self._write({**shelves, shelf.key: shelf})
            with self._lock:
                self._put(shelf)
                self._stirred = True
        said = [] if before is None else [shelf_event(before, self._name(path), now, by)]
        _log.info(f"alarms_{shelf.state}", path=path, detector=detector, by=by, reason=reason, until_ns=shelf.until)
        self._say([*said, shelf_event(shelf, self._name(path))])
        return shelf

    def unshelve(self, name: str, by: str) -> list[Shelf]:
        """Ends what is shelved under `name`. Raises AlarmError."""
        return self._end("unshelve", name, by, out_of_service=False)

    def return_to_service(self, name: str, by: str) -> list[Shelf]:
        """Ends what is out of service under `name`. Raises AlarmError."""
        return self._end("return-to-service", name, by, out_of_service=True)

    def _end(self, operation: str, name: str, by: str, *, out_of_service: bool) -> list[Shelf]:
        by = by.strip()
        if not _is_line(by, LONGEST_NAME):
            raise unnamed(operation, name)
        now = self._clock.wall()
        with self._disk:
            shelves = self._in_force()
            of_kind = [shelf for shelf in shelves.values() if shelf.out_of_service is out_of_service]
            over = self._directory.among(of_kind, operation, name, self._events())
            gone = {shelf.key for shelf in over}
            self._write({key: shelf for key, shelf in shelves.items() if key not in gone})
            with self._lock:
                for key in gone & set(self._shelves):
                    del self._shelves[key], self._ends[key]
                self._stirred = True
        for shelf in over:
            _log.info("alarms_unshelved", path=shelf.path, by=by, shelved_by=shelf.by)
        self._say([shelf_event(shelf, self._name(shelf.path), now, by) for shelf in over])
        return over

    def _events(self) -> list[Event]:
        with self._lock:
            return [each.event for each in self._standing.values()]

    # -- what is kept and shown ----------------------------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether there is something to save, and the last time was not just now."""
        return self.changed and self._clock.monotonic() - self._written >= SAVE_SPACING_S

    def save(self) -> None:
        """Writes what has changed. A disk that refuses is said once, in the log and in the status."""
        with self._disk:
            if not self.changed:
                return
            try:
                self._write(self._in_force())
            except AlarmError as error:
                if self.error is None:
                    _log.warning("alarms_not_written", error=str(error))
                self.error = error
            else:
                self.error = None

    def _write(self, shelves: dict[Key, Shelf]) -> None:
        with self._lock:
            self.changed = False
            standing = [Standing(each.event, each.told) for each in self._standing.values()]
            groups = {"floods": self._floods.document(), "shared": self._utilities.document()}
        self._written = self._clock.monotonic()
        try:
            kept.write(self._path, shelves.values(), standing, groups)
        except AlarmError:
            self.changed = True
            raise

    def _in_force(self) -> dict[Key, Shelf]:
        with self._lock:
            return dict(self._shelves)

    def _put(self, shelf: Shelf) -> None:
        now, length = self._clock.wall(), shelf.until - shelf.since
        self._shelves[shelf.key] = shelf
        self._ends[shelf.key] = self._clock.monotonic() + min(max(shelf.until - now, 0), length) / _NS

    def snapshot(self) -> dict[str, Any]:
        """The `alarms` part of the status."""
        with self._lock:
            shelves, told = list(self._shelves.values()), [each.told for each in self._standing.values()]
            floods = [flood_facts(flood, self._name(flood.path)) for flood in self._floods.under_way]
            shared = [common_facts(common) for common in self._utilities.under_way]
        shown = [(shelf.out_of_service, shelf_facts(shelf, self._name(shelf.path))) for shelf in shelves]
        return {
            "shelved": [facts for out_of_service, facts in shown if not out_of_service],
            "out_of_service": [facts for out_of_service, facts in shown if out_of_service],
            "floods": floods,
            "shared": shared,
            "standing": {state.value: told.count(state) for state in EventState if state is not EventState.CLOSED},
            "error": error_facts(self.error),
        }

    def standing(self) -> list[dict[str, Any]]:
        """Alarms under way, the newest first."""
        with self._lock:
            newest = sorted(self._standing.values(), key=lambda each: -each.event.start)[:SHOWN]
            return [standing_facts(each) for each in newest]


def _is_line(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable()
