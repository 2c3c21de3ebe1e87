"""Which metrics the node has: one device a machine, one metric a tag, with its alias, its type and its last row.

The catalogue only grows while the agent runs: rows from before a change of configuration bring their old tags with
them, and a host must have been told of a metric before it comes.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from edge_agent.api import Frame, Tag, TagTable
from edge_agent.model.frame import Int64
from edge_agent.sinks.mqtt.plan import Mask, Rows
from edge_agent.sinks.mqtt.sparkplug.codec import DataType, Metric, Property, Value, varint
from edge_agent.sinks.mqtt.sparkplug.rows import TYPES, quality_properties

NS_PER_MS: Final = 1_000_000
_TABLES_KEPT: Final = 8
WAITING: Final = 0x8032_0000
"""BadWaitingForInitialData: nothing was read yet."""


@dataclass(slots=True)
class Device:
    """One machine. `metrics` are catalogue numbers."""

    name: str
    facts: dict[str, str]
    metrics: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Last:
    """The newest live row of a metric. `time` in ms."""

    time: int
    value: Value | None
    status: int


class Catalogue:
    """Numbers metrics from 0; a metric's alias is its number plus 1."""

    def __init__(self) -> None:
        self.tags: list[Tag] = []
        self.devices: list[Device] = []
        self.heads: list[bytes] = []
        """Encoded alias, by metric."""
        self.types = np.empty(0, np.uint8)
        """Declared datatype, by metric; 0 until a value came."""
        self.device = np.empty(0, np.int64)
        """Number of the device, by metric."""
        self.last: dict[int, Last] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._device_numbers: dict[str, int] = {}
        self._tables: dict[str, Int64] = {}

    def numbers(self, tags: TagTable) -> tuple[Int64, set[int]]:
        """Metric by tag number of this table; and the devices that got new metrics by it."""
        known = self._tables.get(tags.fingerprint)
        if known is not None:
            return known, set()
        before = len(self.tags)
        numbers = np.array([self._number(tag) for tag in tags], np.int64)
        added = [self._device_numbers[tag.machine.name] for tag in self.tags[before:]]
        self.device = np.concatenate([self.device, np.array(added, np.int64)])
        self.types = np.concatenate([self.types, np.zeros(len(added), np.uint8)])
        while len(self._tables) >= _TABLES_KEPT:
            del self._tables[next(iter(self._tables))]
        self._tables[tags.fingerprint] = numbers
        return numbers, set(added)

    def _number(self, tag: Tag) -> int:
        key = (tag.machine.name, tag.name)
        number = self._numbers.setdefault(key, len(self.tags))
        if number == len(self.tags):
            self.tags.append(tag)
            self.heads.append(b"\x10" + varint(number + 1))
            self._device(tag).metrics.append(number)
        return number

    def _device(self, tag: Tag) -> Device:
        machine = tag.machine
        number = self._device_numbers.setdefault(machine.name, len(self.devices))
        if number == len(self.devices):
            facts = {"site": machine.site, "line": machine.line, "class": machine.machine_class}
            self.devices.append(Device(machine.name, facts))
        return self.devices[number]

    def device_of(self, path: str) -> str | None:
        """Name of the device that an event's path (of a tag or a machine) belongs to."""
        names = path.split("/")
        return names[2] if len(names) >= 3 and names[2] in self._device_numbers else None

    def wrong_types(self, metrics: Int64, kinds: np.ndarray[tuple[int], np.dtype[np.uint8]], *, known: bool) -> Mask:
        """Rows whose type is not the declared one; with `known` only where one is declared."""
        types = TYPES[kinds]
        declared = self.types[metrics]
        wrong: Mask = (types != DataType.UNKNOWN) & (types != declared)
        return wrong & (declared != 0) if known else wrong

    def declare(self, metrics: Int64, kinds: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> set[int]:
        """From now on these metrics have the types of these rows; the first row of a metric counts. Their devices."""
        first, at = np.unique(metrics, return_index=True)
        self.types[first] = TYPES[kinds[at]]
        return set(self.device[first].tolist())

    def remember(self, frame: Frame, metrics: Int64, live: Rows) -> None:
        """Keeps the newest of these rows of each metric."""
        newest = dict(zip(metrics[live].tolist(), live.tolist(), strict=True))
        for metric, row in newest.items():
            time = max(int(frame.time[row]) // NS_PER_MS, 0)
            old = self.last.get(metric)
            if old is None or old.time <= time:
                self.last[metric] = Last(time, frame.value(row), int(frame.status[row]))

    def quality(self, metric: int) -> int:
        """Status that the birth says of a metric."""
        last = self.last.get(metric)
        return WAITING if last is None else last.status

    def birth_metric(self, metric: int, now: int) -> Metric:
        """A metric in full, as a birth has it. Null until a good value came; a value has the time it came with."""
        tag, last = self.tags[metric], self.last.get(metric)
        datatype = int(self.types[metric]) or DataType.DOUBLE
        status = self.quality(metric)
        value = last.value if last is not None and _fits(datatype, last.value) else None
        said = quality_properties(status, value, datatype) + _instrument(tag)
        good = status >> 30 == 0
        return Metric(
            tag.name, metric + 1, now if last is None else last.time, datatype, False, value if good else None, said
        )


_HOLDS: Final[dict[int, type]] = {
    DataType.FLOAT: float,
    DataType.DOUBLE: float,
    DataType.INT64: int,
    DataType.UINT64: int,
    DataType.BOOLEAN: bool,
    DataType.STRING: str,
}


def _fits(datatype: int, value: Value | None) -> bool:
    """Whether a last value is of the declared type: where a tag changed its type, the old value is left out."""
    return type(value) is _HOLDS[datatype]


def _instrument(tag: Tag) -> list[Property]:
    unit = [Property("engUnit", DataType.STRING, tag.unit)] if tag.unit else []
    ends = (("engLow", tag.low), ("engHigh", tag.high))
    return unit + [Property(key, DataType.DOUBLE, end) for key, end in ends if end is not None]
