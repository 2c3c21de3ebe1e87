"""Event items over a session whose answers are written here, and notifications in the vendor's encoding."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.opcua.limits import Limits
from connectors.opcua.notifier import QUEUE, EventBooks, Notifiers
from connectors.opcua.told import OVERFLOW, REFRESH_END, REFRESH_START, event_filter, read_told
from connectors.opcua.wire import EVENTS, Part
from edge_agent.api import EventState, SystemClock
from edge_agent.memory import LinkMemory
from tests.conformance.rig import Collector
from tests.unit.opcua.test_plan import link

pytestmark = pytest.mark.anyio

FIRST = 7
FILTER_UNSUPPORTED, UNKNOWN, IN_PROGRESS = 0x80440000, 0x80340000, 0x80970000
NOW = datetime.now(UTC)
LIMIT, BASE = 9341, 2041


class Server:
    """The other side of a session: `verdicts` and `refreshes` are its answers, in order, and then good ones."""

    def __init__(self, verdicts=(), refreshes=(), doubts=False):
        self.verdicts, self.refreshes, self.doubts = list(verdicts), list(refreshes), doubts
        self.asked, self.deleted, self.refreshed = [], [], 0

    async def read(self, parameters):
        return [ua.DataValue(ua.Variant(None)) for _ in parameters.NodesToRead]

    async def browse(self, parameters):
        raise UaStatusCodeError(UNKNOWN)

    async def create_monitored_items(self, parameters):
        (request,) = parameters.ItemsToCreate
        clauses = len(request.RequestedParameters.Filter.WhereClause.Elements)
        self.asked.append(clauses)
        assert request.RequestedParameters.QueueSize == QUEUE
        verdict = self.verdicts.pop(0) if self.verdicts else 0
        result = ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(ua.UInt32(verdict)), MonitoredItemId=3)
        if self.doubts and clauses:
            element = ua.ContentFilterElementResult(StatusCode=ua.StatusCode(ua.UInt32(FILTER_UNSUPPORTED)))
            where = ua.ContentFilterResult(ElementResults=[element])
            result.FilterResult = ua.EventFilterResult(WhereClauseResult=where)
        return [result]

    async def delete_monitored_items(self, parameters):
        self.deleted += parameters.MonitoredItemIds

    async def condition_refresh(self, subscription):
        self.refreshed += 1
        return self.refreshes.pop(0) if self.refreshes else 0


def notifiers(server, memory=None, **events):
    out = Collector()
    return Notifiers(
        server, EventBooks(link({}, events=events or True), memory), FIRST, out, SystemClock(), Limits()
    ), out


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr("connectors.opcua.notifier.REFRESH_SPACING", 0.01)


@asynccontextmanager
async def tended(made, retry_seconds=60.0):
    async with anyio.create_task_group() as group:
        group.start_soon(made.tend, 5, retry_seconds)
        yield
        group.cancel_scope.cancel()


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.01)


def fields(kind, number=1, *, handle=FIRST, active=None, condition=None, severity=500, message="문이 열렸다"):
    values = [
        ua.Variant(b"%d" % number, ua.VariantType.ByteString),
        ua.Variant(ua.NodeId(kind, 0)),
        ua.Variant(ua.NodeId("Tank", 2)),
        ua.Variant("Tank"),
        ua.Variant(NOW),
        ua.Variant(NOW),
        ua.Variant(ua.LocalizedText(message, "ko")),
        ua.Variant(severity, ua.VariantType.UInt16),
        ua.Variant(None if condition is None else ua.NodeId(condition, 2)),
        ua.Variant(condition),
        ua.Variant(ua.NodeId()),
        ua.Variant(active),
        ua.Variant(active),
        ua.Variant(None),
        ua.Variant(False if condition else None),
    ]
    return ua.EventFieldList(handle, values)


async def tell(made, *listed):
    raw = struct_to_binary(ua.EventNotificationList(Events=list(listed)))
    await made.take(b"head" + raw + b"tail", Part(EVENTS, 4, len(raw)), SystemClock().wall())


@pytest.mark.parametrize(
    ("server", "asked", "deleted"),
    [
        (Server(), [7], []),
        (Server([FILTER_UNSUPPORTED]), [7, 0], []),
        (Server(doubts=True), [7, 0], [3]),
    ],
)
async def test_the_agent_filters_where_the_server_does_not(server, asked, deleted):
    made, out = notifiers(server, severity=300)
    async with tended(made):
        await until(lambda: server.refreshed)
    assert (server.asked, server.deleted, list(made.notices)) == (asked, deleted, [])
    await tell(made, fields(BASE, 1, severity=299), fields(BASE, 2, severity=300))
    assert [event.evidence["severity"] for event in out.happened] == [300.0]


async def test_all_severities_need_no_filter():
    server = Server()
    async with tended(notifiers(server)[0]):
        await until(lambda: server.refreshed)
    assert server.asked == [0]


async def test_a_refused_notifier_is_said_and_asked_again():
    server = Server([UNKNOWN])
    made, _ = notifiers(server)
    told = []
    made.tell = lambda: told.append([notice.key for notice in made.notices])
    async with tended(made, 0.05):
        await until(lambda: len(server.asked) == 2 and len(told) == 2)
    assert told == [["opcua_events/i=2253"], []]


async def test_a_refresh_that_goes_on_is_asked_for_again_and_one_that_is_refused_is_not():
    server = Server(refreshes=[IN_PROGRESS, UNKNOWN])
    made, _ = notifiers(server)
    async with tended(made):
        await until(lambda: server.refreshed == 2)
        await anyio.sleep(0.05)
    assert server.refreshed == 2


async def test_conditions_are_kept_in_the_memory_over_connectors(tmp_path):
    memory = LinkMemory(tmp_path / "plc.json")
    made, out = notifiers(Server(), memory)
    await tell(made, fields(LIMIT, 1, condition="A", active=True), fields(LIMIT, 2, condition="B", active=True))
    later, heard = notifiers(Server(), memory)
    await tell(later, fields(REFRESH_START, 3), fields(LIMIT, 1, condition="A", active=True), fields(REFRESH_END, 4))
    (closed,) = heard.happened
    assert (closed.id, closed.state) == (out.happened[1].id, EventState.CLOSED)
    third, silent = notifiers(Server(), memory)
    await tell(third, fields(LIMIT, 1, condition="A", active=True))
    assert not silent.happened


async def test_what_was_kept_is_checked(tmp_path):
    memory = LinkMemory(tmp_path / "plc.json")
    books = EventBooks(link({}, events=True), memory)
    books.keep()
    identity = memory._parts["events"]["identity"]
    memory.keep("events", identity, {"books": [{"open": {"x": 1}, "told": []}]})
    assert EventBooks(link({}, events=True), memory).books[0].open == {}


async def test_an_overflow_is_a_counted_loss_and_spoils_the_refresh_under_way():
    made, out = notifiers(Server())
    await tell(made, fields(LIMIT, 1, condition="A", active=True), fields(REFRESH_START, 2), fields(OVERFLOW, 3))
    await tell(made, fields(REFRESH_END, 4))
    assert out.losses == {"event_overflow": 1}
    assert [event.state for event in out.happened] == [EventState.OPEN]


async def test_nulls_without_number_cost_nothing():
    made, out = notifiers(Server())
    nulls = b"\x80" + (2**31 - 1).to_bytes(4, "little")  # a Variant: an array of so many nulls, which take no bytes
    raw = (1).to_bytes(4, "little") + FIRST.to_bytes(4, "little") + (1).to_bytes(4, "little") + nulls
    await made.take(raw, Part(EVENTS, 0, len(raw)), SystemClock().wall())
    assert out.losses == {"event_unreadable": 1}


async def test_a_type_that_the_server_does_not_explain_is_named_by_its_node():
    made, out = notifiers(Server())
    one = fields(BASE)
    one.EventFields[1] = ua.Variant(ua.NodeId(7, 2))
    await tell(made, one)
    assert out.happened[0].evidence["event_type"] == "ns=2;i=7"


async def test_what_can_not_be_read_is_a_counted_loss_and_ends_nothing():
    made, out = notifiers(Server())
    await made.take(b"\xff\xff\xff\x7f" + b"\xff" * 36, Part(EVENTS, 0, 40), SystemClock().wall())
    await tell(made, fields(BASE, 1, handle=FIRST + 1), ua.EventFieldList(FIRST, []), fields(BASE, 2))
    assert out.losses == {"event_unreadable": 3}
    assert len(out.happened) == 1


def test_odd_fields_count_as_absent():
    odd = [ua.Variant(b"1", ua.VariantType.ByteString), ua.Variant(ua.NodeId(BASE, 0)), *[ua.Variant(7.5)] * 13]
    told = read_told(odd, [])
    assert told is not None
    assert (told.source, told.time, told.message, told.severity, told.active) == ("", None, "", 1, None)
    assert read_told([ua.Variant(b"1", ua.VariantType.ByteString)], []) is None


def test_the_filter_survives_the_vendors_encoding():
    assert len(struct_to_binary(event_filter(300, where=True))) > len(struct_to_binary(event_filter(300, where=False)))


SOUND = struct_to_binary(
    ua.EventNotificationList(Events=[fields(LIMIT, 1, condition="A", active=True), fields(BASE, 2)])
)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=6), st.integers(1, len(SOUND)))
def test_whatever_bytes_come_nothing_is_raised(changes, size):
    raw = bytearray(SOUND)
    for at, value in changes:
        raw[at] = value

    async def hear():
        made, out = notifiers(Server())
        await made.take(bytes(raw), Part(EVENTS, 0, size), SystemClock().wall())
        for event in out.happened:
            assert event.end == 0 or event.end >= event.start

    anyio.run(hear)
