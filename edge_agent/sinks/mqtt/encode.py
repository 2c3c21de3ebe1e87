"""The `json` format: rows and events to topics and JSON. Pure; what a consumer finds is described in the README.

A number stands under `value` only while it is good. What an uncertain row says stands under `uncertain_value`, and a
bad row has none: whoever reads only `value` can't take an old value for a fresh one.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from edge_agent.api import Batch, Clock, Event, Frame, Kind, Tag, TagTable
from edge_agent.model.frame import Float64, Int64, UInt64
from edge_agent.sinks.mqtt.config import MqttSection
from edge_agent.sinks.mqtt.message import Message
from edge_agent.sinks.mqtt.plan import Rows, backfilled, groups, make_plan, occurrences

NS_PER_MS: Final = 1_000_000
_SLICE: Final = 1_000
QUALITIES: Final = ("good", "uncertain", "bad", "bad")
"""By the two top bits of the status."""


def as_json(value: Any) -> str:
    """Compact JSON, texts readable."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


class JsonFormat:
    """One message a value; or one a machine and time, where the topic has no `{tag}`."""

    commands: Sequence[str] = ()
    wants_birth = False
    awaited = ""
    has_spoken = True

    def __init__(self, section: MqttSection, clock: Clock) -> None:
        self._section, self._clock = section, clock
        self._status_topic = f"{section.prefix}/_agent/{section.client_id}"
        self._table = TagTable(())
        self._topics: list[str] = []
        self._ends: list[tuple[str, str]] = []

    def will(self) -> Message:
        """`offline`, retained."""
        return self._status("offline", reason="connection lost")

    def births(self) -> Iterator[Message]:
        """`online`, retained."""
        yield self._status("online", since_ms=self._clock.wall() // NS_PER_MS)

    def farewell(self) -> Iterator[Message]:
        """`offline`, with the reason that it was meant."""
        yield self._status("offline", reason="stopped", since_ms=self._clock.wall() // NS_PER_MS)

    def _status(self, state: str, **more: Any) -> Message:
        return Message(self._status_topic, _bytes(as_json({"state": state, **more})), retain=True)

    def missed(self, batch: Batch, rows: Sequence[int]) -> None:
        """Each message stands for itself."""

    def heard(self, topic: str, payload: bytes) -> None:
        """Nothing is listened to."""

    def learn(self, batch: Batch) -> Iterator[Message]:
        """Nothing has to be said before."""
        self._know(batch.tags)
        return iter(())

    def dropped(self, batch: Batch) -> dict[str, int]:
        """Reason -> rows that have no place."""
        return make_plan(batch).dropped

    def messages(self, batch: Batch, rows: Sequence[int] | None = None) -> Iterator[Message]:
        """Events first: one of them may be an alarm."""
        self._know(batch.tags)
        if rows is None:
            yield from (event_message(self._section.prefix, event) for event in batch.events)
        chosen = make_plan(batch).rows if rows is None else np.asarray(rows, np.intp)
        one_by_one = self._each_tag if "{tag}" in self._section.topic else self._each_machine
        yield from one_by_one(batch, chosen, alone=rows is not None)

    def _know(self, tags: TagTable) -> None:
        if tags is self._table:
            return
        self._table = tags
        self._topics = [_topic(self._section, tag) for tag in tags]
        units = [f',"unit":{as_json(tag.unit)}' if tag.unit else "" for tag in tags]
        self._ends = [(unit + "}", unit + ',"backfill":true}') for unit in units]

    def _each_tag(self, batch: Batch, rows: Rows, *, alone: bool) -> Iterator[Message]:
        """One message a row, in order. A slice at a time: nothing is kept of a whole batch."""
        retain, topics, ends = self._section.retain, self._topics, self._ends
        for start in range(0, len(rows), _SLICE):
            numbers = rows[start : start + _SLICE]
            frame = batch.frame.rows(numbers)
            ms, rest = np.divmod(frame.time, NS_PER_MS)
            columns = (numbers, frame.tag, ms, rest, frame.status, backfilled(batch, frame))
            for row, tag, time, ns, status, late, value in zip(
                *(column.tolist() for column in columns), value_texts(frame), strict=True
            ):
                when = f'{{"timestamp_ms":{time},"ns":{ns}' if ns else f'{{"timestamp_ms":{time}'
                text = f"{when}{_said(status, value)}{ends[tag][late]}"
                yield Message(topics[tag], _bytes(text), (row,), retain and not late)

    def _each_machine(self, batch: Batch, rows: Rows, *, alone: bool) -> Iterator[Message]:
        """One message a machine and time. Of two rows of a tag at one time the later goes into a message after."""
        frame, tags = batch.frame, batch.tags
        tag, time = frame.tag[rows], frame.time[rows]
        machine = _machine_numbers(tags)[tag]
        order = np.arange(len(rows)) if alone else occurrences(time, tag)
        late = backfilled(batch, frame)[rows]
        for numbers in groups(rows, order, machine, late, time):
            part = frame.rows(numbers)
            payload = _machine_payload(part, tags, late=bool(backfilled(batch, part)[0]))
            retain = self._section.retain and "backfill" not in payload
            first = int(part.tag[0])
            yield Message(self._topics[first], _bytes(as_json(payload)), numbers.tolist(), retain)


def _topic(section: MqttSection, tag: Tag) -> str:
    machine = tag.machine
    names = {"{site}": machine.site, "{line}": machine.line, "{machine}": machine.name, "{tag}": tag.name}
    topic = section.topic
    for place, name in names.items():
        topic = topic.replace(place, name)
    return f"{section.prefix}/{topic}"


def _machine_numbers(tags: TagTable) -> Int64:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(tag.machine.path, len(numbers)) for tag in tags], np.int64)


def _said(status: int, value: str) -> str:
    """Value, quality and status of one row, as JSON members after the time."""
    if status == 0 and value:
        return f',"value":{value},"quality":"good"'
    quality = QUALITIES[status >> 30]
    key = "value" if quality == "good" else "uncertain_value"
    shown = f',"{key}":{value}' if value and quality != "bad" else ""
    return f'{shown},"quality":"{quality}","status":{status}'


def _machine_payload(part: Frame, tags: TagTable, *, late: bool) -> dict[str, Any]:
    """All rows have one machine, one time, and no tag twice."""
    ms, ns = divmod(int(part.time[0]), NS_PER_MS)
    payload: dict[str, Any] = {"timestamp_ms": ms}
    if ns:
        payload["ns"] = ns
    kinds = [QUALITIES[status >> 30] for status in part.status.tolist()]
    for row, (tag, quality, status) in enumerate(zip(part.tag.tolist(), kinds, part.status.tolist(), strict=True)):
        value = finite(part.value(row))
        if quality == "good" and value is not None:
            payload.setdefault("values", {})[tags[tag].name] = short_float(value, int(part.kind[row]))
        elif quality == "uncertain":
            payload.setdefault("uncertain", {})[tags[tag].name] = {"uncertain_value": value, "status": status}
        else:
            payload.setdefault("bad", {})[tags[tag].name] = status
    if late:
        payload["backfill"] = True
    return payload


def finite(value: Any) -> Any:
    """The value, or None for what JSON has no number for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def short_float(value: Any, kind: int) -> Any:
    """A widened float32 as the number that its shortest decimal reads as."""
    return float(str(np.float32(value))) if kind == Kind.FLOAT32 else value


def value_texts(frame: Frame) -> list[str]:
    """Each row's value as JSON; empty where there is none or it is no finite number."""
    kind = frame.kind
    if (kind == Kind.FLOAT64).all():
        return _float_texts(np.ascontiguousarray(frame.bits).view(np.float64))
    out = np.full(len(frame), "", object)
    for k in np.unique(kind):
        mask = kind == k
        out[mask] = _TEXTS[int(k)](frame, frame.bits[mask])
    texts: list[str] = out.tolist()
    return texts


def _float_texts(values: Float64) -> list[str]:
    texts = [repr(value) for value in values.tolist()]
    finite_ones = np.isfinite(values)
    return texts if finite_ones.all() else [t if ok else "" for t, ok in zip(texts, finite_ones.tolist(), strict=True)]


def _single_texts(values: Float64) -> list[str]:
    """Shortest decimals of float32; a number that is none of these (it cannot be) as its float64."""
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    return _float_texts(np.where(single == values, single.astype("S32").astype(np.float64), values))


_TEXTS: Final[dict[int, Callable[[Frame, UInt64], list[str]]]] = {
    Kind.NONE: lambda _, bits: [""] * len(bits),
    Kind.FLOAT64: lambda _, bits: _float_texts(bits.view(np.float64)),
    Kind.FLOAT32: lambda _, bits: _single_texts(bits.view(np.float64)),
    Kind.INT64: lambda _, bits: [str(value) for value in bits.view(np.int64).tolist()],
    Kind.UINT64: lambda _, bits: [str(value) for value in bits.tolist()],
    Kind.BOOL: lambda _, bits: ["true" if value else "false" for value in bits.tolist()],
    Kind.TEXT: lambda frame, bits: [as_json(frame.texts[index]) for index in bits.tolist()],
}


def event_facts(event: Event) -> dict[str, Any]:
    """An event as JSON members; figures that JSON has no number for are null."""
    facts = {
        "id": event.id,
        "path": event.path,
        "detector": event.detector,
        "class": event.event_class.value,
        "severity": int(event.severity),
        "state": event.state.value,
        "start_ms": event.start // NS_PER_MS,
        "text_ko": event.text.ko,
        "text_en": event.text.en,
        "evidence": {name: finite(figure) for name, figure in event.evidence.items()},
    }
    return facts | ({"end_ms": event.end // NS_PER_MS} if event.end else {})


def event_message(prefix: str, event: Event) -> Message:
    """The message of an event; opening and closing go to the same topic, with the same id."""
    return Message(f"{prefix}/_event/{event.path}", _bytes(as_json(event_facts(event))), event=event.id)
