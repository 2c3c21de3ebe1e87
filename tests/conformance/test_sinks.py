"""What `edge_agent.api` promises of a sink, checked on every sink against a hub that can be told to fail.

A new sink is one rig here: how its hub is started and made to fail, the section that points to it, and what it stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np
import pytest

from edge_agent.api import (
    Answer,
    Batch,
    EdgeAgentError,
    Frame,
    NotConnected,
    Overloaded,
    Refused,
    Sink,
    SinkSection,
    Status,
    SystemClock,
    TimedOut,
)
from edge_agent.registry import SINKS, make_sink
from tests.unit.sinks.influxdb import hub as influx
from tests.unit.sinks.influxdb.rows import batch_of, event_of, scan, section1_of, section3_of, section_of, tag_table
from tests.unit.sinks.mqtt.broker import FaultyBroker
from tests.unit.sinks.mqtt.rows import section_of as mqtt_section

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

Stored = dict[tuple[str, int], float]
"""(signal, ms since 1970) -> value: what a rig's hub holds."""


@dataclass
class Rig:
    """One sink's hub. `fault(None)` makes it well; `poison` makes it refuse one value for good."""

    section: SinkSection
    stored: Callable[[], Stored]
    everything: Callable[[], object]
    fault: Callable[[str | None], None]
    poison: Callable[[str], None]
    retry_after: float | None = None
    """What the hub asks for when it is overloaded."""


def influxdb(folder: Path, stack: ExitStack) -> Rig:
    return _influx(stack.enter_context(influx.FaultyHub()), section_of, folder)


def influxdb1(folder: Path, stack: ExitStack) -> Rig:
    hub = stack.enter_context(influx.FaultyHub())
    hub.scheme = "Bearer"
    return _influx(hub, section1_of, folder)


def influxdb3(folder: Path, stack: ExitStack) -> Rig:
    return _influx(stack.enter_context(influx.Hub3()), section3_of, folder)


def _influx(hub: influx.FaultyHub, section: Callable[..., SinkSection], folder: Path) -> Rig:
    token = folder / "token"
    token.write_text(influx.TOKEN)
    faults = {
        None: None,
        "refused": influx.answer(403, {"message": "no"}),
        "overloaded": influx.answer(503, Retry_After="9"),
        "silent": hub.stall,
        "reset": influx.reset,
    }

    def stored() -> Stored:
        return {
            (signal, time): float(text)
            for (measurement, _, time), fields in hub.points.items()
            if measurement not in ("quality", "event")
            for signal, text in fields.items()
        }

    def poison(text: str) -> None:
        hub.poison = lambda point: text in point.fields.values()

    return Rig(
        section(hub.url, token, timeout="20s", encoder="python"),
        stored,
        lambda: {key: dict(fields) for key, fields in hub.points.items()},
        lambda name: setattr(hub, "always", faults[name]),
        poison,
        retry_after=9.0,
    )


def mqtt(folder: Path, stack: ExitStack) -> Rig:
    broker = stack.enter_context(FaultyBroker())

    def values() -> dict[tuple[str, int], dict[str, object]]:
        found = [
            (one.topic, one.facts)
            for one in broker.published
            if not one.topic.startswith(("edge/_agent/", "edge/_event/"))
        ]
        return {(topic, facts["timestamp_ms"]): facts for topic, facts in found}

    def stored() -> Stored:
        return {
            (topic.rpartition("/")[2], time): float(facts["value"])
            for (topic, time), facts in values().items()
            if isinstance(facts.get("value"), float | int)
        }

    def everything() -> object:
        events = {one.facts["id"]: one.facts for one in broker.published if one.topic.startswith("edge/_event/")}
        return values(), events

    def fault(name: str | None) -> None:
        broker.connack = broker.puback = {"refused": 0x87, "overloaded": 0x97}.get(name or "", 0)
        broker.silent, broker.reset = name == "silent", name == "reset"

    def poison(text: str) -> None:
        broker.poison = lambda message: f'"value":{text},'.encode() in message.payload

    return Rig(mqtt_section(broker.url, timeout="20s"), stored, everything, fault, poison)


RIGS = {"influxdb": influxdb, "influxdb1": influxdb1, "influxdb3": influxdb3, "mqtt": mqtt}


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield RIGS[request.param](tmp_path, stack)


@pytest.fixture
async def sink(rig: Rig):
    sink = make_sink(rig.section, SystemClock())
    yield sink
    sink.close()


def impatient(rig: Rig) -> AbstractContextManager[Sink]:
    """Another sink, which soon gives up: only where the hub is silent on purpose may time be short."""
    return closing(make_sink(rig.section.model_copy(update={"timeout": 0.5}), SystemClock()))


def expected(batch: Batch) -> Stored:
    frame = batch.frame
    values = zip(frame.tag.tolist(), (frame.time // 1_000_000).tolist(), frame.floats().tolist(), strict=True)
    return {(batch.tags[tag].name, time): value for tag, time, value in values}


def rows_of(answer: Answer) -> list[int]:
    return [row for refusal in answer.refused for row in refusal.rows]


def test_every_registered_sink_has_a_rig():
    assert set(RIGS) == set(SINKS)


async def test_delivers_every_row_and_touches_no_column(rig, sink):
    batch = scan(1000)
    columns = [getattr(batch.frame, name) for name in ("tag", "time", "received", "bits", "kind", "status", "flags")]
    before = [column.copy() for column in columns]
    answer = sink.write(batch)
    assert rows_of(answer) == []
    assert sum(answer.dropped.values()) == 0
    assert rig.stored() == expected(batch)
    assert all(np.array_equal(a, b) for a, b in zip(before, columns, strict=True))


async def test_takes_read_only_and_broadcast_columns(rig, sink):
    frame = Frame.of_floats([0, 1, 2], 1_700_000_000_000_000_000, 7.0)
    for name in ("tag", "time", "bits", "kind", "status"):
        getattr(frame, name).setflags(write=False)
    sink.write(Batch(tag_table(), frame))
    assert list(rig.stored().values()) == [7.0, 7.0, 7.0]


async def test_an_empty_batch_is_delivered(rig, sink):
    assert sink.write(Batch(tag_table(), Frame.empty())) == Answer([], {})


async def test_writing_twice_is_writing_once(rig, sink):
    batch = Batch(tag_table(), scan(500).frame, (event_of(),))
    sink.write(batch)
    before = rig.everything()
    sink.write(batch)
    assert rig.everything() == before


async def test_a_new_sink_that_repeats_changes_nothing(rig):
    batch = Batch(tag_table(), scan(500).frame, (event_of(),))
    before = None
    for _ in range(2):
        sink = make_sink(rig.section, SystemClock())
        sink.write(batch)
        sink.close()
        assert before in (None, rig.everything())
        before = rig.everything()


@pytest.mark.parametrize(
    ("fault", "error"),
    [("refused", Refused), ("overloaded", Overloaded), ("silent", TimedOut), ("reset", NotConnected)],
)
async def test_a_failing_hub_raises_and_the_same_rows_arrive_later(rig, sink, fault, error):
    batch = scan(300)
    sink.write(scan(10))
    rig.fault(fault)
    with impatient(rig) if fault == "silent" else nullcontext(sink) as failing, pytest.raises(error) as caught:
        failing.write(batch)
    assert isinstance(caught.value, EdgeAgentError)
    assert all((caught.value.cause.ko, caught.value.cause.en, caught.value.hint.ko, caught.value.hint.en))
    if isinstance(caught.value, Overloaded):
        assert caught.value.retry_after == rig.retry_after
    rig.fault(None)
    assert rows_of(sink.write(batch)) == []
    assert rig.stored() == expected(batch)


async def test_a_poison_row_is_refused_alone_with_the_hubs_words(rig, sink):
    rig.poison("123.5")
    batch = scan(500)
    answer = sink.write(batch)
    assert rows_of(answer) == [123]
    assert answer.refused[0].reason
    assert rig.stored() == {key: value for key, value in expected(batch).items() if value != 123.5}


async def test_every_row_is_answered_for_exactly_once(rig, sink):
    """Delivered plus refused plus dropped is what was written, whatever the rows are."""
    bad, uncertain = int(Status.BAD_TIMEOUT), int(Status.UNCERTAIN_LAST_USABLE_VALUE)
    batch = batch_of(
        (0, 0, 1.0),
        (0, 0, 2.0),
        (1, 0, None, bad),
        (1, 1, 3.0, uncertain),
        (2, 1, float("nan")),
        (3, 1, "text"),
        (3, 2, "text"),
        (-1, 2, 4.0),
        (4, 2, 66.5),
        (0, 3, True),
        (0, 4, 2**63 - 1),
    )
    rig.poison("66.5")
    answer = sink.write(batch)
    rows = rows_of(answer)
    assert len(rows) == len(set(rows))
    assert all(0 <= row < len(batch.frame) for row in rows)
    assert all(count >= 0 for count in answer.dropped.values())
    stored = list(rig.stored().values())
    assert sorted(stored) == [1.0, 2.0, float(2**63 - 1)]
    assert rows == [8]
    assert len(stored) <= len(batch.frame) - len(rows) - sum(answer.dropped.values())


async def test_no_bad_or_uncertain_value_is_stored(rig, sink):
    for status in (Status.BAD, Status.UNCERTAIN_LAST_USABLE_VALUE, Status.UNCERTAIN_SENSOR_NOT_ACCURATE):
        sink.write(batch_of((0, 0, 5.0, int(status))))
    assert rig.stored() == {}


async def test_closing_ends_a_write_under_way(rig):
    """`close` comes from another thread, while the destination is silent: long before the sink itself would give up."""
    patient = rig.section.model_copy(update={"timeout": 60.0})
    sink, raised = make_sink(patient, SystemClock()), []

    def write() -> None:
        with pytest.raises(EdgeAgentError) as error:
            sink.write(scan(10))
        raised.append(error.value)

    rig.fault("silent")
    writing = threading.Thread(target=write)
    writing.start()
    await anyio.sleep(0.3)
    sink.close()
    writing.join(20)
    assert raised
    rig.fault(None)
    with closing(make_sink(rig.section, SystemClock())) as another:
        another.write(scan(10))
    assert rig.stored() == expected(scan(10))
