"""Rows to messages against the slow and obvious way; which rows share a message."""

import dataclasses
import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.api import Flag, Frame, Kind, Status, SystemClock
from edge_agent.sinks.mqtt.encode import JsonFormat
from edge_agent.sinks.mqtt.plan import occurrences
from edge_agent.sinks.mqtt.sparkplug.codec import decode
from edge_agent.sinks.mqtt.sparkplug.node import SparkplugFormat
from tests.unit.sinks.influxdb.rows import T0, batch_of, frame_of, tag_table
from tests.unit.sinks.mqtt.rows import section_of

STATUSES = (0, 0x480, int(Status.UNCERTAIN_LAST_USABLE_VALUE), int(Status.BAD), 0xC000_0000)
VALUES = st.one_of(
    st.none(),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
)
ROWS = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 3), VALUES, st.sampled_from(STATUSES)), max_size=12)


def json_format(**more):
    return JsonFormat(section_of("mqtt://127.0.0.1", **more), SystemClock())


def expected(frame: Frame, row: int, tags) -> tuple[str, dict] | None:
    """One row as the README says it, or None where it has no place."""
    value, status, tag = frame.value(row), int(frame.status[row]), int(frame.tag[row])
    nan = isinstance(value, float) and not math.isfinite(value)
    quality = ("good", "uncertain", "bad", "bad")[status >> 30]
    if tag < 0 or (nan and quality == "good"):
        return None
    facts = {"timestamp_ms": int(frame.time[row]) // 1_000_000, "quality": quality}
    if value is not None and not nan and quality != "bad":
        shown = float(str(np.float32(value))) if frame.kind[row] == Kind.FLOAT32 else value
        facts["value" if quality == "good" else "uncertain_value"] = shown
    if status or "value" not in facts:
        facts["status"] = status
    return f"edge/{tags[tag].path}", facts


@given(ROWS)
def test_a_message_a_value_is_what_the_readme_says(rows):
    batch = batch_of(*rows)
    found = [(one.rows, one.topic, json.loads(one.payload)) for one in json_format().messages(batch)]
    wanted = [expected(batch.frame, row, batch.tags) for row in range(len(rows))]
    assert found == [((row,), *one) for row, one in enumerate(wanted) if one is not None]
    dropped = json_format().dropped(batch)
    assert sum(dropped.values()) == wanted.count(None)


@given(ROWS)
def test_every_row_is_in_one_message_and_no_tag_twice_in_one(rows):
    batch = batch_of(*rows)
    spark = SparkplugFormat(section_of("mqtt://x", plain_mqtt=True, format="sparkplug",
                                       sparkplug={"group": "g", "node": "n"}).sparkplug, SystemClock())  # fmt: skip
    for form in (json_format(topic="{machine}"), spark):
        list(form.learn(batch))
        messages = [one for one in form.messages(batch) if one.rows]
        carried = sorted(row for one in messages for row in one.rows)
        assert carried == [row for row in range(len(rows)) if expected(batch.frame, row, batch.tags) is not None]
        for one in messages:
            tags = batch.frame.tag[list(one.rows)].tolist()
            assert len(tags) == len(set(tags))
        order = [row for one in messages for row in one.rows if batch.frame.tag[row] == 0]
        if form is spark:
            assert order == sorted(order)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_occurrences_counts_what_came_before(keys):
    column = np.array(keys)
    assert occurrences(column).tolist() == [keys[:row].count(key) for row, key in enumerate(keys)]


def test_backfill_is_marked_by_the_row_or_by_the_batch_and_never_retained():
    frame = dataclasses.replace(frame_of((0, 0, 1.5), (1, 0, 2.5)), flags=np.uint16([0, Flag.BACKFILL]))
    batch = dataclasses.replace(batch_of((0, 0, 1.5)), frame=frame)
    for topic in ("{machine}/{tag}", "{machine}"):
        form = json_format(retain=True, topic=topic)
        said = [(json.loads(one.payload).get("backfill", False), one.retain) for one in form.messages(batch)]
        assert sorted(said) == [(False, True), (True, False)]
        late = dataclasses.replace(batch, backfill=True)
        assert {(json.loads(one.payload)["backfill"], one.retain) for one in form.messages(late)} == {(True, False)}
    spark = SparkplugFormat(section_of("mqtt://x", plain_mqtt=True, sparkplug={"group": "g", "node": "n"}).sparkplug,
                            SystemClock())  # fmt: skip
    list(spark.learn(batch))
    (message,) = spark.messages(dataclasses.replace(batch, backfill=True))
    assert [metric.historical for metric in decode(message.payload).metrics] == [True, True]


def test_times_finer_than_a_millisecond_and_units_are_kept():
    tags = tag_table()
    frame = dataclasses.replace(frame_of((0, 0, 1.5)), time=np.array([T0 + 123_456_789]))
    (message,) = json_format().messages(dataclasses.replace(batch_of((0, 0, 1.5), tags=tags), frame=frame))
    facts = json.loads(message.payload)
    assert facts["timestamp_ms"] * 1_000_000 + facts["ns"] == T0 + 123_456_789
