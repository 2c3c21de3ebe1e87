"""The newest row of every tag: what the status shows. Columns, one row a tag."""

import copy
from collections.abc import Sequence
from threading import Lock
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from edge_agent.model import Event, Flag, Frame, Kind, Status, TagTable, places
from edge_agent.model.status import Mask

KEPT_EVENTS: Final = 50


class Live:
    """Kept by the store's thread; who looks from another one looks at a `picture`. `update` is a handful of numpy
    scatters a frame.
    """

    def __init__(self, tags: TagTable) -> None:
        n = len(tags)
        self.tags = tags
        self._lock = Lock()
        self.bits = np.zeros(n, np.uint64)
        self.kind = np.full(n, Kind.NONE, np.uint8)
        self.status = np.full(n, Status.BAD_WAITING_FOR_INITIAL_DATA, np.uint32)
        self.time = np.zeros(n, np.int64)
        self.received = np.zeros(n, np.int64)
        self.seen = np.zeros(n, np.bool_)
        """Tags of which a row came from the plant (not made by the agent)."""
        self.texts: dict[int, str] = {}
        self.events: dict[str, Event] = {}
        """The newest events by id, oldest first, at most KEPT_EVENTS."""

    def update(self, frame: Frame) -> None:
        """Takes the rows in order: where a tag comes twice the later row stays. History of a gap is no news."""
        frame = frame.without(Flag.BACKFILL)
        with self._lock:
            tag = places(frame.tag)
            self.bits[tag] = frame.bits
            self.kind[tag] = frame.kind
            self.status[tag] = frame.status
            self.time[tag] = frame.time
            self.received[tag] = frame.received
            read = (frame.flags & Flag.AGENT) == 0
            if read.all():
                self.seen[tag] = True
            else:
                self.seen[frame.tag[read]] = True
            if frame.texts:
                for row in np.flatnonzero(frame.kind == Kind.TEXT):
                    self.texts[int(frame.tag[row])] = frame.texts[int(frame.bits[row])]

    def note(self, events: Sequence[Event]) -> None:
        """Takes events; one that closes takes the place of its opening."""
        with self._lock:
            for event in events:
                self.events.pop(event.id, None)
                self.events[event.id] = event
            for old in list(self.events)[:-KEPT_EVENTS]:
                del self.events[old]

    def picture(self) -> Self:
        """All of it as it is between two updates."""
        with self._lock:
            picture = copy.copy(self)
            for name in ("bits", "kind", "status", "time", "received", "seen", "texts", "events"):
                setattr(picture, name, getattr(self, name).copy())
        return picture

    def values(self) -> list[float | int | bool | str | None]:
        """The newest value of every tag for people's eyes; None where it has none."""
        values = np.full(len(self.bits), None, object)
        for kind in np.unique(self.kind).tolist():
            mask = self.kind == kind
            values[mask] = self._values(Kind(kind), mask)
        return list(values)

    def _values(self, kind: Kind, mask: Mask) -> list[float | int | bool | str | None]:
        bits: npt.NDArray[Any] = self.bits[mask]
        match kind:
            case Kind.NONE:
                return [None] * len(bits)
            case Kind.TEXT:
                return [self.texts.get(number) for number in np.flatnonzero(mask).tolist()]
            case Kind.INT64:
                bits = bits.view(np.int64)
            case Kind.BOOL:
                bits = bits.astype(np.bool_)
            case Kind.FLOAT64 | Kind.FLOAT32:
                bits = bits.view(np.float64)
        return list(bits.tolist())
