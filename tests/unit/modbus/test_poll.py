"""The polling of one device: every tag has its value or its reason, each told no oftener than it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.modbus.budget import Budget
from connectors.modbus.config import ModbusDevice
from connectors.modbus.known import Known
from connectors.modbus.poll import RETRY_REFUSED, Poller
from connectors.modbus.price import Trips
from connectors.modbus.scan import Scan
from connectors.modbus.talk import Bus
from connectors.modbus.unit import Unit
from connectors.modbus.window import Window
from connectors.modbus.wire import Line
from edge_agent.api import Flag, Frame, Kind, Status
from tests.conformance.rig import Collector
from tests.unit.modbus.plant import Memory, read
from tests.unit.modbus.test_wire import Asked, StillClock, asked

pytestmark = pytest.mark.anyio

REGISTERS = [7 * a % 65536 for a in range(1000)]
MEMORY: Memory = {1: [a % 2 for a in range(1000)], 2: [0] * 1000, 3: REGISTERS, 4: REGISTERS[::-1]}
LATENCY = 0.02


class Device:
    """A unit behind a line: it has all addresses but `missing`, refuses blocks over `most`, and is mute where told."""

    def __init__(self, window: int = 1) -> None:
        self.clock = StillClock()
        self.line = Line(self.clock, lambda: 64, "modbus://test:502")
        self.missing: set[int] = set()
        self.most = 125
        self.mute = False
        self.mute_blocks: set[int] = set()
        self.drop = 0
        """So many requests more get lost when they come while another waits for its answer."""
        self.refusals: Mapping[int, int] = {}
        """Function code -> exception code for all its reads."""
        self.requests = 0

    async def read(self, scan: Scan) -> None:
        done: list[bool] = []
        waiting = asked(self.line.submit(scan, lambda: done.append(True)))
        while not done:
            if not waiting:
                self._wait(waiting)
                continue
            question = waiting.pop(0)
            self.requests += 1
            if self.mute or question.start in self.mute_blocks:
                self._wait(waiting)
            elif self.drop and scan.flying > 1:
                self.drop -= 1
            else:
                self.clock.now += LATENCY
                waiting += asked(self.line.feed(self._reply(question)))
        assert done == [True]

    def _wait(self, waiting: list[Asked]) -> None:
        self.clock.now = self.line.deadline or self.clock.now
        waiting += asked(self.line.expire())

    def _reply(self, question: Asked) -> bytes:
        if question.function in self.refusals:
            return question.refusal(self.refusals[question.function])
        touched = set(range(question.start, question.start + question.count))
        if question.count > self.most or (question.function == 3 and touched & self.missing):
            return question.refusal(2)
        return question.reply(MEMORY)


class Bench:
    """A poller of a device with these tags; tag numbers are 100, 101, …"""

    def __init__(self, tags: Sequence[Mapping[str, object]], **settings: object) -> None:
        listed = [{"tag": f"t{i}", **tag} for i, tag in enumerate(tags)]
        self.section = ModbusDevice.model_validate({"unit": 5, "tags": listed, **settings})
        self.points = [tag.point(100 + i, self.section.order) for i, tag in enumerate(self.section.tags)]
        self.device = Device()
        clock = self.device.clock
        self.window = Window(self.section.window, clock.now)
        self.unit = Unit(5, self.section.timeout, self.window)
        self.bus = Bus(Budget(clock), Trips())
        self.poller = Poller(self.section, self.points, self.unit, self.bus, clock, Known())
        self.outlet = Collector()

    async def turns(self, most: int = 200) -> None:
        """Turns until the poller would wait for the next period."""
        for _ in range(most):
            if not await self.poller.turn(self.device, self.outlet):
                return
        raise AssertionError("turns without end")

    def rows(self) -> Frame:
        """The rows since the last call."""
        rows = self.outlet.rows
        self.outlet.frames.clear()
        return rows

    def status(self, tag: int) -> int:
        return self.outlet.latest[100 + tag][1]

    def value(self, tag: int) -> object:
        return self.outlet.latest[100 + tag][0]


def words(addresses: Sequence[int], **more: object) -> list[dict[str, object]]:
    return [{"address": f"HR:{a}", "type": "uint16", **more} for a in addresses]


async def test_values_carry_the_middle_of_their_request() -> None:
    bench = Bench(words([0, 500]), max_gap=0)
    began = bench.device.clock.wall()
    await bench.turns()
    rows = bench.rows()
    half, whole = int(LATENCY * 5e8), int(LATENCY * 1e9)
    assert sorted(rows.received - began) == pytest.approx([whole, 2 * whole], abs=1000)
    assert (rows.received - rows.time).tolist() == pytest.approx([half, half], abs=1000)
    assert (rows.flags == 0).all()
    assert (rows.kind == Kind.UINT64).all()
    assert rows.floats().tolist() == [0, 7 * 500]


async def test_each_reading_is_one_frame_with_every_tag() -> None:
    bench = Bench(words(range(0, 900, 3)))
    for _ in range(3):
        await bench.turns()
    assert [len(frame) for frame in bench.outlet.frames] == [300] * 3
    for frame in bench.outlet.frames:
        assert sorted(frame.tag) == list(range(100, 400))


async def test_an_illegal_address_is_told_once_and_its_neighbours_go_on() -> None:
    bench = Bench(words(range(60)))
    bench.device.missing = {20}
    await bench.turns()
    rows = bench.rows()
    assert bench.status(20) == Status.BAD_NODE_ID_UNKNOWN
    bad = rows.rows(rows.tag == 120)
    assert (len(bad), bad.kind[0], bad.bits[0], bad.flags[0]) == (1, Kind.NONE, 0, 0)
    for other in {*range(60)} - {20}:
        assert bench.value(other) == REGISTERS[other]
    assert bench.device.requests <= 1 + 1 + 2 * 6 + 2
    bench.device.requests = 0
    await bench.turns()
    assert bench.device.requests == 2
    assert sorted(bench.rows().tag) == [100 + i for i in range(60) if i != 20]


async def test_values_of_other_blocks_do_not_wait_for_the_search() -> None:
    bench = Bench(words([*range(60), 500]))
    bench.device.missing = {20}
    await bench.poller.turn(bench.device, bench.outlet)
    assert bench.outlet.frames[0].tag.tolist() == [160]


async def test_a_hole_between_tags_costs_no_tag() -> None:
    bench = Bench(words([0, 1, 2, 10, 11, 12]))
    bench.device.missing = {5}
    await bench.turns()
    assert [bench.value(i) for i in range(6)] == [REGISTERS[a] for a in (0, 1, 2, 10, 11, 12)]
    bench.device.requests = 0
    await bench.turns()
    assert bench.device.requests == 2


async def test_a_device_that_takes_less_than_the_manual_says_is_read_in_smaller_blocks() -> None:
    bench = Bench(words(range(100)))
    bench.device.most = 16
    await bench.turns()
    assert [bench.value(i) for i in range(100)] == REGISTERS[:100]


async def test_an_illegal_function_is_not_searched_address_by_address() -> None:
    bench = Bench([*words(range(50)), {"address": "IR:3", "type": "int16"}])
    bench.device.refusals = {3: 1}
    await bench.turns()
    assert {bench.status(i) for i in range(50)} == {Status.BAD_CONFIGURATION_ERROR}
    assert bench.status(50) == 0
    assert bench.device.requests <= 4


async def test_what_was_refused_is_asked_for_again_and_comes_back() -> None:
    bench = Bench(words(range(10)))
    bench.device.missing = {3, 4}
    await bench.turns()
    bench.device.missing = set()
    await bench.turns()
    assert bench.status(3) == Status.BAD_NODE_ID_UNKNOWN
    bench.device.clock.now += RETRY_REFUSED
    await bench.turns()
    assert [bench.value(i) for i in range(10)] == REGISTERS[:10]
    bench.device.requests = 0
    await bench.turns()
    assert bench.device.requests == 1


async def test_a_device_that_refuses_everything_gives_signs_of_life() -> None:
    bench = Bench(words(range(4)))
    bench.device.missing = set(range(10))
    await bench.turns()
    signs = bench.outlet.signs
    for _ in range(3):
        bench.device.clock.now += 6
        await bench.turns()
    assert bench.outlet.signs >= signs + 3
    assert not bench.poller.dead
    assert len(bench.rows()) == 4


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (4, Status.BAD_DEVICE_FAILURE),
        (6, Status.BAD_COMMUNICATION_ERROR),
        (10, Status.BAD_NO_COMMUNICATION),
        (11, Status.BAD_NO_COMMUNICATION),
        (200, Status.BAD_COMMUNICATION_ERROR),
    ],
)
async def test_an_exception_that_blames_the_moment_is_told_once_and_passes(code: int, status: Status) -> None:
    bench = Bench([*words([0]), {"address": "IR:3", "type": "uint16"}])
    await bench.turns()
    bench.rows()
    bench.device.refusals = {4: code}
    for _ in range(4):
        await bench.turns()
    rows = bench.rows()
    assert rows.status[rows.tag == 101].tolist() == [status]
    assert (rows.tag == 100).sum() == 4
    bench.device.refusals = {}
    await bench.turns()
    assert (bench.value(1), bench.status(1)) == (REGISTERS[::-1][3], 0)
    assert not bench.poller.dead


async def test_a_silent_unit_says_so_once_per_cause_and_comes_back_whole() -> None:
    bench = Bench(words([0, 300, 600]), max_gap=0)
    await bench.turns()
    bench.rows()
    bench.device.mute = True
    bench.device.requests = 0
    for _ in range(2):
        await bench.turns()
    rows = bench.rows()
    assert rows.status.tolist() == [Status.BAD_TIMEOUT] * 3
    assert (rows.flags == Flag.AGENT).all()
    assert bench.device.requests == 2  # one, and one more to be sure
    assert bench.poller.dead
    for _ in range(5):
        await bench.turns()
    rows = bench.rows()
    assert rows.status.tolist() == [Status.BAD_NO_COMMUNICATION] * 3
    assert bench.device.requests == 7
    bench.device.mute = False
    await bench.turns()
    assert [bench.value(i) for i in range(3)] == [REGISTERS[a] for a in (0, 300, 600)]
    assert not bench.poller.dead


async def test_a_unit_that_a_gateway_cannot_reach_is_left_alone_but_the_link_is_not_dead() -> None:
    bench = Bench(words([0, 300]), max_gap=0)
    bench.device.refusals = {3: 11}
    for _ in range(6):
        await bench.turns()
    assert bench.rows().status.tolist() == [Status.BAD_NO_COMMUNICATION] * 2
    assert bench.device.requests <= 8
    assert not bench.poller.dead


async def test_one_block_without_answer_does_not_slow_the_others() -> None:
    bench = Bench(words([0, 200, 400, 600]), max_gap=0)
    await bench.turns()
    bench.rows()
    bench.device.mute_blocks = {0}
    for _ in range(20):
        bench.device.clock.now += 1.0
        await bench.turns()
    rows = bench.rows()
    assert rows.status[rows.tag == 100].tolist() == [Status.BAD_TIMEOUT]
    assert all((rows.tag == number).sum() >= 19 for number in (101, 102, 103))
    assert bench.device.requests <= 20 * 3 + 18
    bench.device.mute_blocks = set()
    bench.device.clock.now += 31
    await bench.turns()
    assert bench.value(0) == REGISTERS[0]


async def test_more_requests_in_flight_are_tried_and_a_loss_among_them_costs_no_sample() -> None:
    bench = Bench([tag for i in range(4) for tag in words(range(200 * i, 200 * i + i + 1))], max_gap=0)
    while bench.window.size < 4:
        bench.rows()
        await bench.turns()
    bench.device.drop = 3
    for _ in range(3):
        await bench.turns()
        assert not bench.rows().status.any()
    assert (bench.window.size, bench.window.kept.doubts) == (1, 1)
    assert not bench.unit.owed


async def test_sentinels_are_rows_of_each_reading() -> None:
    """They were read: a tag with a broken sensor is not stale."""
    bench = Bench([*words([100], sentinels={700: "sensor_open"}), *words([101])])
    for _ in range(3):
        await bench.turns()
    rows = bench.rows()
    broken = rows.rows(rows.tag == 100)
    assert broken.status.tolist() == [Status.BAD_SENSOR_FAILURE] * 3
    assert (broken.kind == Kind.NONE).all()
    assert (broken.flags == 0).all()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["uint16", "int32", "float32", "text5"])), min_size=1),
    st.sets(st.integers(0, 130), max_size=10),
    st.integers(4, 125),
    st.integers(1, 4),
)
def test_every_tag_ends_with_its_value_or_its_reason(
    tags: list[tuple[int, str]], missing: set[int], most: int, window: int
) -> None:
    import anyio

    async def check() -> None:
        bench = Bench([{"address": f"HR:{a}", "type": kind} for a, kind in tags], window=window)
        bench.device.missing, bench.device.most = missing, most
        await bench.turns()
        assert len(bench.outlet.latest) == len(tags)
        for i, point in enumerate(bench.points):
            _, start, end = point.span
            if missing & set(range(start, end)):
                assert bench.status(i) == Status.BAD_NODE_ID_UNKNOWN
            else:
                expected = read(point, MEMORY)
                assert bench.value(i) == expected
                assert (bench.status(i) == 0) == (expected is not None)
        bench.rows()
        await bench.turns()
        rows = bench.rows()
        assert len(np.unique(rows.tag)) == len(rows)

    anyio.run(check)
