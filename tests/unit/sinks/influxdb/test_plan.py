"""What of a batch goes where: data, status changes, texts, events, and what has no place."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.api import Batch, Flag, Status, Tag, TagTable
from edge_agent.model import EventState, Machine
from edge_agent.sinks.influxdb import encode, schema
from edge_agent.sinks.influxdb.plan import Plan, Told, make_plan
from tests.unit.sinks.influxdb.lines import Point, read_lines
from tests.unit.sinks.influxdb.rows import FURNACE, MS, T0, batch_of, event_of, frame_of, tag_table

GOOD, BAD = int(Status.GOOD), int(Status.BAD_SENSOR_FAILURE)
LAST_USABLE = int(Status.UNCERTAIN_LAST_USABLE_VALUE)
T0_MS = T0 // MS
NONE = np.empty(0, np.intp)


def plan_of(*rows, told: Told | None = None, unit: int = MS, events=()) -> tuple[Plan, Told]:
    tags = told.tags if told else tag_table()
    told = told or Told(tags)
    return make_plan(batch_of(*rows, tags=tags, events=events), schema.LineTable(tags), told, unit), told


def points_of(plan: Plan) -> list[Point]:
    table = schema.LineTable(plan.batch.tags)
    columns, extras = plan.split(np.arange(plan.size))
    data = bytes(encode.Encoder("python").lines(columns, table)[0])
    return read_lines(data + b"".join(extra.line for extra in extras))


def fields(plan: Plan, measurement: str) -> list[tuple[int, dict[str, str]]]:
    return [(p.time - T0_MS, p.fields) for p in points_of(plan) if p.measurement == measurement]


def test_good_values_become_data_and_the_first_status_is_told():
    plan, _ = plan_of((0, 0, 1.5), (1, 0, True), (3, 0, 7))
    assert points_of(plan) == [
        Point("furnace", place("line1", "furnace1"), {"zone_0": "1.5", "zone_1": "1"}, T0_MS),
        Point("press", place("line2", "press1"), {"force_0": "7"}, T0_MS),
        Point("quality", (*place("line1", "furnace1"), ("signal", "zone_0")), good(), T0_MS),
        Point("quality", (*place("line1", "furnace1"), ("signal", "zone_1")), good(), T0_MS),
        Point("quality", (*place("line2", "press1"), ("signal", "force_0")), good(), T0_MS),
    ]
    assert not plan.given_up.reasons


def place(line: str, machine: str) -> tuple[tuple[str, str], ...]:
    return ("site", "siheung"), ("line", line), ("machine", machine)


def good() -> dict[str, str]:
    return {"quality": "0", "status": "0"}


def test_a_bad_or_uncertain_value_is_never_data():
    plan, _ = plan_of((0, 0, 1.0), (0, 1, 2.0, BAD), (0, 2, 3.0, LAST_USABLE), (0, 3, None, BAD), (0, 4, 5.0))
    assert [f["zone_0"] for _, f in fields(plan, "furnace")] == ["1", "5"]
    assert fields(plan, "quality") == [
        (0, good()),
        (1, {"quality": "2", "status": str(BAD)}),
        (2, {"quality": "1", "status": str(LAST_USABLE)}),
        (3, {"quality": "2", "status": str(BAD)}),
        (4, good()),
    ]
    assert plan.given_up.reasons == {"uncertain": 1}


def test_status_is_told_on_change_only_and_only_noted_when_told():
    rows = [(0, 0, 1.0), (0, 1, 2.0), (1, 1, None, BAD), (0, 2, 3.0)]
    plan, told = plan_of(*rows)
    assert len(fields(plan, "quality")) == 2
    again, _ = plan_of(*rows, told=told)
    assert len(fields(again, "quality")) == 2, "nothing was acknowledged yet"
    plan.tell(told, NONE)
    later, _ = plan_of((0, 3, 1.0), (1, 3, None, BAD), told=told)
    assert fields(later, "quality") == []
    back, _ = plan_of((0, 4, 1.0), (1, 4, 2.0), told=told)
    assert fields(back, "quality") == [(4, good())]


def test_refused_items_are_not_noted():
    plan, told = plan_of((0, 0, 1.0), (1, 0, "on"), (1, 1, 2.0))
    assert [extra.line.split(b",")[0] for extra in plan.extras] == [b"quality", b"quality", b"event"]
    plan.tell(told, np.array([0, 2, 4]))
    again, _ = plan_of((0, 0, 1.0), (1, 2, "on"), told=told)
    assert [dict(p.tags)["signal"] for p in points_of(again) if p.measurement == "quality"] == ["zone_0"]
    assert len(fields(again, "event")) == 1
    assert len(again.tell(told, NONE)) == 0, "the value of tag 0 was not stored the first time"
    assert told.stored[1] == T0_MS + 1


def test_status_changes_within_one_stored_time_leave_the_last():
    plan, _ = plan_of((0, 0.1, None, BAD), (0, 0.2, 1.0), (0, 0.3, None, BAD), (0, 0.4, 2.0))
    assert fields(plan, "quality") == [(0, good())]


def test_info_bits_of_good_are_good():
    overflow = 0x480
    plan, _ = plan_of((0, 0, 1.0, overflow))
    assert fields(plan, "furnace") == [(0, {"zone_0": "1"})]
    assert fields(plan, "quality") == [(0, {"quality": "0", "status": str(overflow)})]


def test_of_two_values_at_one_stored_time_the_later_row_wins():
    plan, _ = plan_of((0, 5.2, 1.0), (1, 5.0, 9.0), (0, 5.9, 2.0), (0, 5.4, 3.0), (0, 6, 4.0))
    assert fields(plan, "furnace") == [(5, {"zone_0": "3", "zone_1": "9"}), (6, {"zone_0": "4"})]
    assert plan.given_up.reasons == {"superseded": 2}
    assert plan.rows.tolist() == [3, 1, 4]


def test_a_finer_precision_keeps_them_apart():
    plan, _ = plan_of((0, 5.2, 1.0), (0, 5.9, 2.0), unit=1000)
    assert plan.columns.time.tolist() == [T0 // 1000 + 5200, T0 // 1000 + 5900]
    assert not plan.given_up.reasons


def test_a_value_that_overwrites_the_last_batch_is_counted():
    plan, told = plan_of((0, 5, 1.0), (1, 5, 1.0))
    assert len(plan.tell(told, NONE)) == 0
    same, _ = plan_of((0, 5, 1.0), (1, 6, 1.0), told=told)
    assert len(same.tell(told, NONE)) == 1


def test_rows_of_a_line_become_neighbours_whatever_the_order():
    tags = TagTable([Tag(n, Machine("s", "l", m, "press"), "x") for n, m in [("a", "m1"), ("a", "m2"), ("b", "m1")]])
    batch = batch_of((2, 1, 1.0), (1, 0, 2.0), (0, 1, 3.0), (2, 0, 4.0), (0, 0, 5.0), (1, 1, 6.0), tags=tags)
    plan = make_plan(batch, schema.LineTable(tags), Told(tags), MS)
    lines = [(p.time - T0_MS, dict(p.tags)["machine"], p.fields) for p in points_of(plan) if p.measurement == "press"]
    assert lines == [
        (0, "m1", {"a": "5", "b": "4"}),
        (0, "m2", {"a": "2"}),
        (1, "m1", {"a": "3", "b": "1"}),
        (1, "m2", {"a": "6"}),
    ]


def test_nan_and_infinity_with_a_good_status_are_counted_not_written():
    plan, _ = plan_of((0, 0, float("nan")), (0, 1, float("-inf")), (0, 2, np.float32("inf")), (0, 3, 1.0))
    assert fields(plan, "furnace") == [(3, {"zone_0": "1"})]
    assert plan.given_up.reasons == {"not_a_number": 3}


def test_rows_of_unknown_tags_are_counted_and_harm_nobody():
    plan, told = plan_of((-1, 0, 1.0), (99, 0, 2.0), (0, 0, 3.0), (-1, 0, None, BAD))
    assert fields(plan, "furnace") == [(0, {"zone_0": "3"})]
    assert plan.given_up.reasons == {"unknown_tag": 3}
    plan.tell(told, NONE)
    assert told.status.tolist() == [0, -1, -1, -1, -1]


def test_texts_go_to_event_on_change():
    plan, told = plan_of((0, 0, '가동 "1"\n\\'), (0, 1, '가동 "1"\n\\'), (0, 2, "정지"), (1, 2, "x", BAD))
    assert fields(plan, "event") == [(0, {"text": '"가동 "1"\n\\'}), (2, {"text": '"정지'})]
    plan.tell(told, NONE)
    later, _ = plan_of((0, 3, "정지"), (0, 4, "가동"), told=told)
    assert fields(later, "event") == [(4, {"text": '"가동'})]


def test_two_texts_at_one_stored_time_leave_the_later():
    plan, _ = plan_of((0, 0.1, "a"), (0, 0.2, "b"))
    assert fields(plan, "event") == [(0, {"text": '"b'})]
    assert plan.given_up.reasons == {"superseded": 1}


def test_an_event_is_one_point_from_open_to_close():
    plan, _ = plan_of(events=(event_of(), event_of(EventState.CLOSED, end_ms=1500)))
    opened, closed = points_of(plan)
    assert opened[:2] == closed[:2]
    assert opened.time == closed.time == T0_MS
    assert opened.tags == (*place("line1", "furnace1"), ("signal", "zone_0"), ("detector", "hampel"))
    assert opened.fields == {
        "id": '"e1',
        "class": '"process',
        "severity": "2",
        "state": '"open',
        "text_ko": '"존 0 온도 "급변"',
        "text_en": '"zone 0\njumped \\',
        "evidence": '"{"limit": null, "value": 903.5}',
    }
    assert closed.fields == opened.fields | {"state": '"closed', "end_ms": str(T0_MS + 1500)}


def test_evidence_may_have_texts():
    plan, _ = plan_of(events=(event_of(evidence={"severity": 500.0, "source": "탱크"}),))
    assert points_of(plan)[0].fields["evidence"] == '"{"severity": 500.0, "source": "탱크"}'


def test_an_event_of_a_site_has_no_empty_tags():
    plan, _ = plan_of(events=(event_of(path="siheung"),))
    assert points_of(plan)[0].tags == (("site", "siheung"), ("detector", "hampel"))


def test_knowledge_moves_with_the_tags_when_the_table_changes():
    plan, told = plan_of((0, 5, 1.0), (1, 5, None, BAD), (2, 5, "x"))
    plan.tell(told, NONE)
    tags = TagTable([Tag("new", FURNACE, "plc"), told.tags[2], told.tags[1], told.tags[0]])
    moved = told.under(tags)
    assert moved.status.tolist() == [-1, GOOD, BAD, GOOD]
    assert moved.texts == {1: "x"}
    assert moved.stored[3] == T0_MS + 5
    assert moved.under(tags) is moved


def test_names_that_line_protocol_would_misread():
    assert schema.name("a b,c=d") == r"a\ b\,c\=d"
    assert schema.name("끝\\") == "끝/"
    assert schema.name("두\n줄") == r"두\ 줄"
    assert schema.text('a"b\\') == r'"a\"b\\"'
    assert schema.field_key("time") == "time_"
    assert schema.head("m", [("site", ""), ("line", "가 나")]) == r"m,line=가\ 나 "
    assert schema.line("m ", 'a="\ud800"', 1) == b'm a="?" 1\n'


def test_times_too_far_apart_for_one_key_are_still_sorted():
    far = 7_000_000_000_000.0  # ms: some 220 years
    tags = tag_table()
    frame = frame_of((1, far, 1.0), (0, 0, 2.0), (0, -far / 9, 3.0), (0, 0, 4.0))
    batch = Batch(tags, frame)
    plan = make_plan(batch, schema.LineTable(tags), Told(tags), 1)
    assert plan.rows.tolist() == [2, 3, 0]
    assert plan.given_up.reasons == {"superseded": 1}


def past(*rows, told: Told) -> Plan:
    """A plan of rows that a history gave."""
    batch = batch_of(*rows, tags=told.tags)
    marked = np.full(len(rows), Flag.BACKFILL, np.uint16)
    frame = dataclasses.replace(batch.frame, flags=marked)
    return make_plan(dataclasses.replace(batch, frame=frame), schema.LineTable(told.tags), told, MS)


def test_what_filled_a_gap_is_told_apart_and_changes_nothing_of_what_the_hub_knows_of_now():
    plan, told = plan_of((0, 0, 1.0), (1, 0, "a"), (0, 5, None, BAD), (0, 90, 9.0), (1, 90, "b"))
    plan.tell(told, NONE)
    filled = past((0, 50, 5.0), (0, 60, None, BAD), (1, 55, "b"), (0, 70, None, BAD), told=told)
    assert fields(filled, "furnace") == [(50, {"zone_0": "5"})]
    assert fields(filled, "quality") == [
        (50, good() | {"backfill": "1"}),
        (60, {"quality": "2", "status": str(BAD), "backfill": "1"}),
        (55, good() | {"backfill": "1"}),
    ]
    assert [(time, text["text"]) for time, text in fields(filled, "event")] == [(55, '"b')]
    assert len(filled.tell(told, NONE)) == 0
    same, _ = plan_of((0, 91, 9.0), (1, 91, "b"), told=told)
    assert fields(same, "quality") == fields(same, "event") == []
    over, _ = plan_of((0, 90, 9.5), told=told)
    assert len(over.tell(told, NONE)) == 1, "the last live value is still known"


values = st.one_of(st.floats(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.none(), st.text(max_size=3))
statuses = st.sampled_from([GOOD, BAD, LAST_USABLE, 0x480])
rows_of_any_kind = st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 4), values, statuses), max_size=30)


@given(rows_of_any_kind, rows_of_any_kind)
@settings(max_examples=200, deadline=None)
def test_the_database_holds_what_an_obvious_reading_of_the_batches_says(first, second):
    """Whatever comes, in two batches: stored points, and stored plus dropped against what the rows say."""
    told = Told(tag_table())
    stored: dict[tuple, str] = {}
    counted = 0
    for rows in (first, second):
        plan, _ = plan_of(*rows, told=told)
        for point in points_of(plan):
            stored |= {(point.measurement, point.tags, point.time, field): v for field, v in point.fields.items()}
        counted += len(plan.rows)
        plan.tell(told, NONE)
    expected = {}
    for tag, ms, value, status in first + second:
        if 0 <= tag < 5 and status in (GOOD, 0x480) and isinstance(value, bool | int | float) and np.isfinite(value):
            expected[tag, T0_MS + ms] = value
    data = {key: v for key, v in stored.items() if key[0] in ("furnace", "press")}
    assert len(data) == len(expected) <= counted
    for (tag, time), value in expected.items():
        facts = told.tags[tag]
        tags = place(facts.machine.line, facts.machine.name)
        assert float(data[facts.machine.machine_class, tags, time, facts.name]) == float(value)
