"""HistoryRead against servers of all manners: what each answer means for a gap. Answers are the vendor's own bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua import history as filling
from connectors.opcua.browse_path import parse_path
from connectors.opcua.config import OpcUaLink
from connectors.opcua.gaps import Gaps
from connectors.opcua.history import History
from connectors.opcua.wire import split_history
from edge_agent.api import EventState, Flag, Frame, Kind, ProtocolError, Status, SystemClock
from tests.conformance.rig import Collector

pytestmark = pytest.mark.anyio

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBERS = np.array([4, 5, 6], np.int32)
Row = tuple[int, Any, int]
"""Seconds after START, value, status."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AFTER_S", "LOOK_S", "LEAST_PAUSE_S", "RETRY_S"):
        monkeypatch.setattr(filling, name, 0.001)


def moment(seconds: float) -> datetime:
    return EPOCH + timedelta(microseconds=(START + round(seconds * SECOND)) // 1000)


def result(rows: list[Row], status: int = 0, point: bytes | None = None) -> ua.HistoryReadResult:
    values = [
        ua.DataValue(
            ua.Variant() if value is None else ua.Variant(value),
            ua.StatusCode(ua.UInt32(code)),
            SourceTimestamp=moment(at),
        )
        for at, value, code in rows
    ]
    return ua.HistoryReadResult(
        StatusCode=ua.StatusCode(ua.UInt32(status)),
        ContinuationPoint=point,
        HistoryData=ua.HistoryData(DataValues=values) if rows or not status >> 31 else ua.ExtensionObject(),
    )


def response(results: list[ua.HistoryReadResult]) -> bytes:
    return bytes(struct_to_binary(ua.HistoryReadResponse(Results=results)))


Answers = Callable[[ua.ReadRawModifiedDetails, list[ua.HistoryReadValueId]], list[ua.HistoryReadResult]]


class Server:
    """A session with a server that answers HistoryRead as `answer` says."""

    def __init__(self, answer: Answers) -> None:
        self.answer = answer
        self.calls: list[tuple[ua.ReadRawModifiedDetails, list[ua.HistoryReadValueId]]] = []
        self.released: list[bytes] = []
        self.limit: int | None = None
        self.told: dict[tuple[int, int], Any] = {}
        """(node, attribute) -> value of the attribute."""

    async def history_raw(self, details: Any, nodes: Any, *, release: bool = False) -> bytes:
        await anyio.lowlevel.checkpoint()
        if release:
            self.released += [node.ContinuationPoint for node in nodes]
            return response([result([]) for _ in nodes])
        self.calls.append((details, list(nodes)))
        return response(self.answer(details, list(nodes)))

    async def translate_browsepaths_to_nodeids(self, paths: Any) -> list[ua.BrowsePathResult]:
        return [ua.BrowsePathResult(StatusCode=ua.StatusCode(ua.UInt32(0x806F_0000))) for _ in paths]

    async def read_values(self, numbers: Any) -> list[object]:
        return [self.limit]

    async def read(self, parameters: ua.ReadParameters) -> list[ua.DataValue]:
        found = [self.told.get((one.NodeId.Identifier, int(one.AttributeId))) for one in parameters.NodesToRead]
        return [ua.DataValue(ua.Variant() if value is None else ua.Variant(value)) for value in found]


def stored(rows: dict[int, list[Row]], most: int = 10**9) -> Answers:
    """A server that has these rows by node and gives at most so many of them, without continuation points."""

    def answer(details: Any, nodes: Any) -> list[ua.HistoryReadResult]:
        start, end = details.StartTime, details.EndTime
        many = min(most, details.NumValuesPerNode)
        return [
            result([row for row in rows.get(node.NodeId.Identifier, []) if start <= moment(row[0]) < end][:many])
            for node in nodes
        ]

    return answer


def made_link() -> OpcUaLink:
    tags = [{"tag": name, "node": f"i={k}"} for k, name in enumerate("abc", 1)]
    return OpcUaLink.model_validate(
        {"name": "plc", "connector": "opcua", "machine": "m", "url": "opc.tcp://x", "history": True, "tags": tags}
    )


class Filling:
    """One link with a gap from second 0 to 100 of each tag in `handles`; `run` until it is closed."""

    def __init__(self, answer: Answers, handles: tuple[int, ...] = (0, 1, 2)) -> None:
        self.server, self.out = Server(answer), Collector()
        self.gaps = Gaps(NUMBERS, np.ones(3, np.bool_), 1e6)
        for at in (0, 100):
            self.gaps.connected()
            for handle in handles:
                self.gaps.see(Frame.of_floats([NUMBERS[handle]], START + at * SECOND, [0.0]))
        self.history = History(self.server, made_link(), NUMBERS, self.gaps, self.out, SystemClock())  # type: ignore[arg-type]  # a session of ours
        self.notices = self.kept = 0
        self.history.tell, self.history.keep = self._told, self._keep

    def _told(self) -> None:
        self.notices += 1

    def _keep(self) -> None:
        self.kept += 1

    async def run(self) -> Collector:
        async with anyio.create_task_group() as group:
            group.start_soon(self.history.tend)
            with anyio.fail_after(50):
                while len(self.gaps) or not self.history._learned or self.history._refill.rows:
                    await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        return self.out

    def seconds(self, handle: int) -> list[float]:
        return [(time - START) / SECOND for time in self.out.of(int(NUMBERS[handle])).time.tolist()]


async def test_rows_of_all_kinds_come_as_they_are_and_marked():
    rows = [(1, 1.5, 0), (2, "한글", 0), (3, None, Status.BAD_SENSOR_FAILURE), (4, 7.0, 0x4090_0000), (5, True, 0x480)]
    one = Filling(stored({1: rows, 2: [(50, ua.Variant(3, ua.VariantType.Int16), 0)]}))
    out = await one.run()
    a = out.of(4)
    assert [a.value(k) for k in range(5)] == [1.5, "한글", None, 7.0, True]
    assert a.status.tolist() == [0, 0, Status.BAD_SENSOR_FAILURE, 0x4090_0000, 0x480]
    assert a.flags.tolist() == [Flag.BACKFILL] * 4 + [Flag.BACKFILL | Flag.OVERFLOW]
    assert (a.received > a.time).all()
    assert one.seconds(1) == [50.0]
    assert out.of(5).kind.tolist() == [Kind.INT64]
    assert len(out.of(6)) == 0
    details, nodes = one.server.calls[0]
    assert not details.IsReadModified
    assert not details.ReturnBounds
    assert (details.StartTime, len(nodes)) == (moment(0), 3)
    assert details.NumValuesPerNode == filling.VALUES
    assert one.history.notices == ()
    (event,) = out.happened
    assert (event.path, event.detector, event.state) == ("m", "link/plc/history", EventState.CLOSED)
    assert (event.start - START, event.end - START) == (SECOND, 50 * SECOND)
    assert event.evidence == {"rows": 6.0, "tags": 2.0}
    assert "6 values of 2 tags" in event.text.en
    assert "값 6개(태그 2개)" in event.text.ko
    assert one.gaps.last.tolist() == [START + 100 * SECOND] * 3


async def test_the_ends_and_what_is_outside_and_equal_times_are_left_out():
    def answer(details: Any, nodes: Any) -> list[ua.HistoryReadResult]:
        rows = [(at, float(at), 0) for at in (-5, 0, 1, 1, 99, 98, 100, 101)]
        return [result(rows) for _ in nodes]

    one = Filling(answer, (1,))
    await one.run()
    assert one.seconds(1) == [1, 98, 99]


async def test_a_server_that_gives_less_than_there_is_without_a_word_is_asked_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(filling, "VALUES", 4)
    one = Filling(stored({1: [(k, float(k), 0) for k in range(30)], 3: [(50, 1.0, 0)]}))
    await one.run()
    assert one.seconds(0) == list(range(1, 30))
    assert one.seconds(2) == [50]


async def test_continuation_points_are_followed():
    def answer(details: Any, nodes: Any) -> list[ua.HistoryReadResult]:
        found = []
        for node in nodes:
            at = int(node.ContinuationPoint or b"1")
            after = at + 3
            found.append(
                result([(k, float(k), 0) for k in range(at, after)], 0xA6_0000, b"%d" % after if after < 20 else None)
            )
        return found

    one = Filling(answer, (0, 2))
    await one.run()
    assert one.seconds(0) == one.seconds(2) == list(range(1, 22))
    assert one.server.released == []


async def test_a_continuation_point_that_is_not_known_any_more_begins_anew_from_there():
    forgets = True

    def answer(details: Any, nodes: Any) -> list[ua.HistoryReadResult]:
        nonlocal forgets
        if nodes[0].ContinuationPoint:
            if forgets:
                forgets = False
                return [result([], 0x804A_0000)]
            return [result([(k, float(k), 0) for k in range(6, 9)])]
        first = max(1, round((details.StartTime - moment(0)).total_seconds()))
        return [result([(k, float(k), 0) for k in range(first, first + 5)], 0, b"x")]

    one = Filling(answer, (0,))
    await one.run()
    assert one.seconds(0) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert one.history.notices == ()


@pytest.mark.parametrize("status", [0xA5_0000, 0x809B_0000, 0x80B1_0000])
async def test_where_there_is_nothing_there_is_nothing_to_say(status: int):
    one = Filling(lambda details, nodes: [result([], status) for _ in nodes])
    await one.run()
    assert (len(one.server.calls), one.out.frames, one.history.notices, one.out.happened) == (1, [], (), [])


@pytest.mark.parametrize("status", [0x8072_0000, 0x801F_0000, 0x800B_0000])
@pytest.mark.parametrize("whole", [False, True])
async def test_a_server_without_history_is_asked_once_and_a_person_is_told(status: int, whole: bool):
    def answer(details: Any, nodes: Any) -> list[ua.HistoryReadResult]:
        if whole:
            raise UaStatusCodeError(status)
        return [result([], status) if node.NodeId.Identifier < 3 else result([(7, 1.0, 0)]) for node in nodes]

    one = Filling(answer)
    await one.run()
    assert len(one.server.calls) == 1
    (notice,) = one.history.notices
    assert notice.key == "opcua_history"
    assert ("3 tags (a, b, c)" if whole else "2 tags (a, b)") in notice.text.en
    assert ("태그 3개" if whole else "태그 2개") in notice.text.ko
    assert one.seconds(2) == ([] if whole else [7])
    assert one.notices


async def test_what_a_node_says_of_itself_is_told_before_anything_is_missed():
    one = Filling(stored({3: [(7, 1.0, 0)]}))
    level, on = int(AttributeIds.UserAccessLevel), int(AttributeIds.Historizing)
    one.server.told = {(1, level): 1, (2, level): 5, (3, level): 5, (1, on): False, (2, on): False, (3, on): True}
    await one.run()
    asked = [[node.NodeId.Identifier for node in nodes] for _, nodes in one.server.calls]
    assert asked == [[2, 3]]
    texts = {notice.key: notice.text.en for notice in one.history.notices}
    assert "1 tags (a)" in texts["opcua_history"]
    assert "1 tags (b)" in texts["opcua_historizing"]


@pytest.mark.parametrize("fault", ["too many", "slow", "odd", "points"])
async def test_a_server_for_which_it_is_too_much_is_asked_for_less(fault: str):
    def answer(details: Any, nodes: Any) -> list[ua.HistoryReadResult]:
        if len(nodes) > 1:
            match fault:
                case "too many":
                    raise UaStatusCodeError(0x8010_0000)
                case "slow":
                    raise TimeoutError
                case "odd":
                    return [result([])]
                case _:
                    return [result([], 0x804B_0000) for _ in nodes]
        return stored({1: [(1, 1.0, 0)], 2: [(2, 1.0, 0)], 3: [(3, 1.0, 0)]})(details, nodes)

    one = Filling(answer)
    await one.run()
    if fault == "odd":
        assert "opcua_history_gap" in {notice.key for notice in one.history.notices}
    else:
        assert [one.seconds(handle) for handle in range(3)] == [[1], [2], [3]]
        assert one.history.notices == ()


@pytest.mark.parametrize("fault", ["too many", "slow", "broken", "no end", "strange"])
async def test_what_fails_every_time_is_given_up_and_told(fault: str):
    def answer(details: Any, nodes: Any) -> list[ua.HistoryReadResult]:
        match fault:
            case "too many":
                raise UaStatusCodeError(0x80B9_0000)
            case "slow":
                raise TimeoutError
            case "strange":
                raise AttributeError("what the vendor raises over bytes that it does not expect")
            case "broken":
                return [result([], 0x8002_0000) for _ in nodes]
            case _:
                return [result([], 0, b"more") for _ in nodes]

    one = Filling(answer, (1,))
    await one.run()
    (notice,) = one.history.notices
    assert notice.key == "opcua_history_gap"
    assert "1 tags (b)" in notice.text.en
    assert one.out.frames == []
    assert set(one.server.released) == ({b"more"} if fault == "no end" else set())


async def test_the_servers_own_limit_is_kept():
    one = Filling(stored({k: [(k, 1.0, 0)] for k in (1, 2, 3)}))
    one.server.limit = 2
    await one.run()
    assert sorted(len(nodes) for _, nodes in one.server.calls) == [1, 2]


async def test_what_was_not_handed_over_stays_missing():
    one = Filling(stored({1: [(k, float(k), 0) for k in range(1, 6)]}), (0,))
    one.out.shut()
    async with anyio.create_task_group() as group:
        group.start_soon(one.history.tend)
        with anyio.fail_after(50):
            while not one.out.waiting:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    one.out.open()
    assert [(gap.after, gap.before) for gap in one.gaps] == [(START, START + 100 * SECOND)]
    await one.run()
    assert one.seconds(0) == [1, 2, 3, 4, 5]


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF_FFFF), st.none() | st.binary(max_size=5), st.integers(0, 3)), max_size=5)
)
async def test_responses_are_taken_apart_as_the_vendor_put_them_together(
    wanted: list[tuple[int, bytes | None, int]],
) -> None:
    raw = response([result([(k, 1.0, 0) for k in range(n)], status & 0x7FFF_FFFF, p) for status, p, n in wanted])
    found = split_history(raw)
    assert [(past.status, past.continuation) for past in found] == [(s & 0x7FFF_FFFF, p or b"") for s, p, _ in wanted]
    for cut in range(len(raw) - 4):
        with pytest.raises(ProtocolError):
            split_history(raw[:cut])


async def test_a_gap_that_must_wait_is_noted_once():
    """Of a node that is not there now: it may be at the next connection."""
    one = Filling(stored({2: [(7, 1.0, 0)]}))
    one.history._addresses = [parse_path("/Objects/nsu=urn:not:there;x"), *one.history._addresses[1:]]
    async with anyio.create_task_group() as group:
        group.start_soon(one.history.tend)
        with anyio.fail_after(50):
            while not one.out.happened:
                await anyio.sleep(0.001)
        for _ in range(50):
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert one.seconds(1) == [7]
    assert [gap.handle for gap in one.gaps] == [0]
    assert one.kept == 2, "as they were found, and as they were filled"
