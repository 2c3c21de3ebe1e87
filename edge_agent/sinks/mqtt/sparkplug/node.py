"""The agent as a Sparkplug B edge node (Sparkplug 3.0, chapters 5 and 6); each machine is a device.

Data has sequence numbers 0 to 255 without a gap; the node's birth is 0 and says the number of its death (bdSeq), which
the broker publishes when the connection breaks. A host that missed something asks for the births again (NCMD
`Node Control/Rebirth`): the one command that is honoured. DCMD is not listened to: nothing is written to a machine.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from edge_agent import __version__
from edge_agent.api import Batch, Clock, Event, Frame
from edge_agent.model.frame import Int64
from edge_agent.sinks.mqtt.config import SparkplugSection
from edge_agent.sinks.mqtt.encode import as_json, event_facts
from edge_agent.sinks.mqtt.message import Message
from edge_agent.sinks.mqtt.plan import Mask, Rows, backfilled, groups, make_plan, occurrences
from edge_agent.sinks.mqtt.sparkplug.catalogue import NS_PER_MS, Catalogue, Device
from edge_agent.sinks.mqtt.sparkplug.codec import (
    DataType,
    Malformed,
    Metric,
    Payload,
    decode,
    encode,
    encode_metric,
    encode_parts,
)
from edge_agent.sinks.mqtt.sparkplug.primary import PrimaryHost
from edge_agent.sinks.mqtt.sparkplug.rows import QUALITY, encode_rows

REBIRTH: Final = "Node Control/Rebirth"
EVENT: Final = "Event"
_LEAST_BETWEEN_BIRTHS_S: Final = 1.0
_BDSEQ: Final = "bdSeq"


class SparkplugFormat:
    """Births, data and death of one edge node."""

    def __init__(self, section: SparkplugSection, clock: Clock) -> None:
        self._section, self._clock = section, clock
        self._command_topic = self._topic("NCMD")
        self._primary = PrimaryHost(section.primary_host or "")
        self.commands: Sequence[str] = (self._command_topic, *self._primary.topics)
        self.has_spoken = False
        self._catalogue = Catalogue()
        self._said = np.empty(0, np.int64)
        """The `Quality` that the host knows, by metric."""
        self._bd_seq = -1
        self._seq = 0
        self._rebirth = False
        self._born = float("-inf")

    def _topic(self, kind: str, device: str | None = None) -> str:
        end = "" if device is None else f"/{device}"
        return f"spBv1.0/{self._section.group}/{kind}/{self._section.node}{end}"

    def _now(self) -> int:
        return self._clock.wall() // NS_PER_MS

    def _next(self) -> int:
        self._seq = (self._seq + 1) % 256
        return self._seq

    # Birth and death.

    def will(self) -> Message:
        """The death that belongs to the connection about to be made: the next bdSeq."""
        self._bd_seq = (self._bd_seq + 1) % 256
        self.has_spoken = self._rebirth = False
        self._primary.forget()
        return self._death()

    def farewell(self) -> Iterator[Message]:
        """The death, said by ourselves (6.4.21)."""
        yield self._death()

    def _death(self) -> Message:
        number = Metric(_BDSEQ, None, self._now(), DataType.INT64, False, self._bd_seq)
        return Message(self._topic("NDEATH"), encode(Payload(self._now(), (number,))))

    def births(self) -> Iterator[Message]:
        """The node's birth, then one for each device."""
        self._rebirth, self._born, self._seq = False, self._clock.monotonic(), 0
        self.has_spoken = True
        now = self._now()
        metrics = (
            Metric(_BDSEQ, None, now, DataType.INT64, False, self._bd_seq),
            Metric(REBIRTH, None, now, DataType.BOOLEAN, False, False),
            Metric("Properties/Agent Version", None, now, DataType.STRING, False, __version__),
            Metric(EVENT, None, now, DataType.STRING),
        )
        yield Message(self._topic("NBIRTH"), encode(Payload(now, metrics, 0)))
        for number in range(len(self._catalogue.devices)):
            yield self._device_birth(number)

    def _device_birth(self, number: int) -> Message:
        device, now = self._catalogue.devices[number], self._now()
        self._tell(device)
        facts = [Metric(f"Properties/{k}", None, now, DataType.STRING, False, v) for k, v in device.facts.items()]
        values = [self._catalogue.birth_metric(metric, now) for metric in device.metrics]
        payload = Payload(now, (*facts, Metric(EVENT, None, now, DataType.STRING), *values), self._next())
        return Message(self._topic("DBIRTH", device.name), encode(payload))

    def _tell(self, device: Device) -> None:
        missing = len(self._catalogue.tags) - len(self._said)
        self._said = np.concatenate([self._said, np.full(missing, -1)])
        for metric in device.metrics:
            self._said[metric] = QUALITY[self._catalogue.quality(metric) >> 30]

    @property
    def awaited(self) -> str:
        """The primary host, while it is not online."""
        return "" if self._primary.online else self._primary.name

    @property
    def wants_birth(self) -> bool:
        """Whether a host asked for the births; answered at most once a second. The primary host asks by being there."""
        if not self._primary.online or not self.has_spoken:
            return self._primary.online
        return self._rebirth and self._clock.monotonic() - self._born >= _LEAST_BETWEEN_BIRTHS_S

    def missed(self, batch: Batch, rows: Sequence[int]) -> None:
        """Messages did not arrive: hosts see a gap, so everything is said anew, without the rows that nobody took."""
        self._rebirth = True
        numbers, _ = self._catalogue.numbers(batch.tags)
        for tag in batch.frame.tag[np.asarray(rows, np.intp)].tolist():
            self._catalogue.last.pop(int(numbers[tag]), None)

    def heard(self, topic: str, payload: bytes) -> None:
        """Honours the request for a rebirth, and the primary host's word; all else, nonsense too, is passed over."""
        if topic in self._primary.topics:
            self._primary.heard(payload)
        if topic != self._command_topic:
            return
        try:
            command = decode(payload)
        except Malformed:
            return
        self._rebirth |= any(metric.name == REBIRTH and metric.value is True for metric in command.metrics)

    # Data.

    def learn(self, batch: Batch) -> Iterator[Message]:
        """Births of the devices that have something new in this batch: a metric, or the type of one."""
        numbers, changed = self._catalogue.numbers(batch.tags)
        rows = make_plan(batch).rows
        metrics, kinds = numbers[batch.frame.tag[rows]], batch.frame.kind[rows]
        new = self._catalogue.wrong_types(metrics, kinds, known=False) & (self._catalogue.types[metrics] == 0)
        if new.any():
            changed |= self._catalogue.declare(metrics[new], kinds[new])
        for number in sorted(changed):
            yield self._device_birth(number)

    def dropped(self, batch: Batch) -> dict[str, int]:
        """Reason -> rows that have no place."""
        return make_plan(batch).dropped

    def messages(self, batch: Batch, rows: Sequence[int] | None = None) -> Iterator[Message]:
        """The k-th row of each tag goes into its machine's k-th message: no metric twice in one."""
        if rows is None:
            yield from (self._event(event) for event in batch.events)
        chosen = make_plan(batch).rows if rows is None else np.asarray(rows, np.intp)
        if not len(chosen):
            return
        numbers, _ = self._catalogue.numbers(batch.tags)
        frame = batch.frame.rows(chosen)
        metrics = numbers[frame.tag]
        wrong = self._catalogue.wrong_types(metrics, frame.kind, known=True)
        late = backfilled(batch, frame)
        encoded = self._encoded(frame, metrics, late, everything=bool(wrong.any()))
        device = self._catalogue.device[metrics]
        order = np.arange(len(chosen)) if rows is not None else occurrences(metrics)
        for part in groups(np.arange(len(chosen)), device, order):
            yield from self._births_for_types(metrics[part], frame.kind[part], wrong[part])
            payload = encode_parts(self._now(), b"".join([encoded[row] for row in part.tolist()]), self._next())
            topic = self._topic("DDATA", self._catalogue.devices[int(device[part[0]])].name)
            yield Message(topic, payload, chosen[part].tolist())
        if wrong.any():
            self._said[metrics] = -1  # the births in between said other things
        self._catalogue.remember(frame, metrics, np.flatnonzero(~late))

    def _births_for_types(
        self, metrics: Int64, kinds: "np.ndarray[tuple[int], np.dtype[np.uint8]]", wrong: Mask
    ) -> Iterator[Message]:
        """A tag that changed its type: its device is born again before the value comes."""
        if wrong.any():
            now_wrong = self._catalogue.wrong_types(metrics, kinds, known=True)
            for number in (
                sorted(self._catalogue.declare(metrics[now_wrong], kinds[now_wrong])) if now_wrong.any() else ()
            ):
                yield self._device_birth(number)

    def _encoded(self, frame: Frame, metrics: Int64, late: Mask, *, everything: bool) -> list[bytes]:
        tell = late | self._news(frame, metrics, late) | everything
        heads = self._catalogue.heads
        return encode_rows(
            frame,
            [heads[metric] for metric in metrics.tolist()],
            np.maximum(frame.time // NS_PER_MS, 0).tolist(),
            tell.tolist(),
            late.tolist(),
        )

    def _news(self, frame: Frame, metrics: Int64, late: Mask) -> Mask:
        """Live rows whose quality differs from what the host was told last; notes what it will be told."""
        quality = np.array(QUALITY)[frame.status >> 30]
        news = np.zeros(len(frame), np.bool_)
        live: Rows = np.flatnonzero(~late)
        order = live[np.argsort(metrics[live], kind="stable")]
        ids = metrics[order]
        before = np.empty(len(order), np.int64)
        before[1:] = quality[order[:-1]]
        first = np.ones(len(order), np.bool_)
        first[1:] = ids[1:] != ids[:-1]
        before[first] = self._said[ids[first]]
        news[order] = (quality[order] != before) | (frame.status[order] != 0)
        self._said[ids] = quality[order]
        return news

    def _event(self, event: Event) -> Message:
        """An event is the text metric `Event` of its device, or of the node: JSON, as in the `json` format."""
        device = self._catalogue.device_of(event.path)
        when = (event.end or event.start) // NS_PER_MS
        metric = Metric(EVENT, None, when, DataType.STRING, False, as_json(event_facts(event)))
        payload = encode_parts(self._now(), encode_metric(metric), self._next())
        return Message(self._topic("NDATA" if device is None else "DDATA", device), payload, event=event.id)
