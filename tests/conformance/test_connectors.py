"""What `edge_agent.api` promises of a connector, checked on every connector against a real server of its protocol."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec

import anyio
import numpy as np
import pytest

from edge_agent.api import (
    PLAUSIBLE_NS,
    EdgeAgentError,
    Flag,
    Frame,
    Kind,
    LinkSection,
    NotConnected,
    SystemClock,
    TimedOut,
    is_bad,
)
from edge_agent.registry import CONNECTORS, make_connector
from tests.conformance.rig import BAD_TAG, RIGS, VARIANTS, Collector, Rig, Value, make_rig

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

COLUMNS = {
    "tag": np.int32,
    "time": np.int64,
    "received": np.int64,
    "bits": np.uint64,
    "kind": np.uint8,
    "status": np.uint32,
    "flags": np.uint16,
}
EXTREMES: dict[Kind, list[Value]] = {
    Kind.FLOAT64: [math.pi, -0.1, 1.7976931348623157e308, 5e-324, 0.0],
    Kind.FLOAT32: [0.10000000149011612, -3.4028234663852886e38, 1.401298464324817e-45, 250.1300048828125],
    Kind.INT64: [-(2**63), 2**63 - 1, -1, 2**53 + 1],
    Kind.UINT64: [2**64 - 1, 2**63, 1, 0],
    Kind.BOOL: [True, False, True],
    Kind.TEXT: ["ready", "a b", "고장 3번"],
}
CANCEL_S = 2.0


def numbers_of(link: LinkSection) -> dict[str, int]:
    """Tag numbers that no connector can guess: neither from 0 nor without gaps."""
    return {tag.tag: 70 + 3 * i for i, tag in enumerate(link.tag_list())}


@pytest.fixture(scope="module", params=sorted(RIGS | VARIANTS))
def plant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The rig of one protocol, which the tests share; its server runs when one of them has started it."""
    made = make_rig(request.param, tmp_path_factory.mktemp("rig"))
    try:
        yield made
    finally:
        anyio.run(made.stop)


@pytest.fixture
async def rig(plant: Rig) -> AsyncIterator[Rig]:
    """The shared rig, as from before any other test as soon as it is started."""
    try:
        yield plant
    finally:
        plant.thaw()


@asynccontextmanager
async def running(link: LinkSection, outlet: Collector) -> AsyncIterator[None]:
    """Runs a connector beside the body; at the end it is cancelled, and must be gone in time, with all its tasks."""
    connector = make_connector(link, list(numbers_of(link).values()), SystemClock())
    assert connector.silence > 0
    with no_tasks_left():
        task = asyncio.create_task(connector.run(outlet))
        try:
            yield
        finally:
            began = time.monotonic()
            was_running = not task.done()
            task.cancel()
            await asyncio.wait([task], timeout=4 * CANCEL_S)
        took = time.monotonic() - began
        assert task.done(), "still running long after it was cancelled"
        assert not was_running or task.cancelled(), f"swallowed its cancellation: {task}"
        assert took <= CANCEL_S
        assert was_running, f"ended of itself: {task.exception()!r}"


@contextmanager
def no_tasks_left() -> Iterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before
    assert not left, f"tasks left behind: {left}"


async def error_of(link: LinkSection, outlet: Collector, deadline: float) -> EdgeAgentError:
    """Runs a connector until it raises, which it must within the deadline."""
    connector = make_connector(link, list(numbers_of(link).values()), SystemClock())
    with no_tasks_left(), pytest.raises(EdgeAgentError) as caught, anyio.fail_after(deadline):
        await connector.run(outlet)
    return caught.value


async def until(what: str, condition: Callable[[], bool], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited {deadline} s for {what}"
        await anyio.sleep(0.02)


def of_kind(kind: Kind, number: int) -> Value:
    return float(number) if kind in (Kind.FLOAT64, Kind.FLOAT32) else number


async def publish_number(rig: Rig, number: int) -> Value:
    value = of_kind(rig.kinds["number"], number)
    await rig.publish({"number": value})
    return value


async def publish_all(rig: Rig, turn: int = 0) -> dict[str, Value]:
    first_of = {kind: tag for tag, kind in reversed(rig.kinds.items())}
    values = {tag: EXTREMES[kind][turn % len(EXTREMES[kind])] for kind, tag in first_of.items()}
    await rig.publish(values)
    return values


def assert_well_formed(frames: Sequence[Frame], numbers: Sequence[int]) -> None:
    for frame in frames:
        for column, dtype in COLUMNS.items():
            array = getattr(frame, column)
            assert array.dtype == dtype, column
            assert array.shape == (len(frame),), column
        assert np.isin(frame.tag, list(numbers)).all()
        assert np.isin(frame.kind, [int(kind) for kind in Kind]).all()
        bad = is_bad(frame.status)
        assert not (frame.kind[~bad] == Kind.NONE).any(), "a good row without a value"
        assert np.isfinite(frame.floats()[~bad & np.isin(frame.kind, [Kind.FLOAT64, Kind.FLOAT32])]).all()
        assert (frame.bits[frame.kind == Kind.TEXT] < len(frame.texts)).all()
        assert np.isin(frame.bits[frame.kind == Kind.BOOL], [0, 1]).all()
        assert (np.abs(frame.time - frame.received) <= PLAUSIBLE_NS).all()
        at_receipt = (frame.flags & Flag.RECEIVE_TIME) != 0
        assert (frame.time[at_receipt] == frame.received[at_receipt]).all()


def test_every_registered_connector_has_a_rig() -> None:
    assert RIGS.keys() == CONNECTORS.keys()
    assert all(find_spec(rig.partition(":")[0]) for rig in RIGS.values())


async def test_values_are_exact_in_every_kind(rig: Rig) -> None:
    await rig.start()
    values = await publish_all(rig)
    link = rig.link()
    numbers = numbers_of(link)
    outlet = Collector()
    async with running(link, outlet):
        for turn in range(max(map(len, EXTREMES.values()))):
            for tag, value in values.items():
                await outlet.until_value(numbers[tag], value)
            values = await publish_all(rig, turn + 1)
    assert_well_formed(outlet.frames, list(numbers.values()))
    for tag, kind in rig.kinds.items():
        rows = outlet.of(numbers[tag])
        assert set(rows.kind[~is_bad(rows.status)]) == {kind}, tag


async def test_times_are_plausible_and_advance(rig: Rig) -> None:
    before = time.time_ns()
    await rig.start()
    await publish_all(rig)
    link = rig.link()
    numbers = numbers_of(link)
    outlet = Collector()
    async with running(link, outlet):
        await outlet.until_all(list(numbers.values()))
        connected = time.time_ns()
        for step in range(1, 6):
            await outlet.until_value(numbers["number"], await publish_number(rig, step))
    after = time.time_ns()
    for number in numbers.values():
        rows = outlet.of(number)
        assert (np.diff(rows.time) >= 0).all()
        assert (np.diff(rows.received) >= 0).all()
        assert rows.received.min() >= before
        assert rows.received.max() <= after
    rows = outlet.of(numbers["number"])
    steps = {float(value): int(when) for value, when in zip(rows.floats(), rows.time, strict=True)}
    times = [steps[float(step)] for step in range(1, 6)]
    assert times == sorted(set(times)), "each new value has a later time"
    assert times[0] >= connected - 50_000_000  # what was set after the connection does not carry a time from before it


async def test_every_tag_has_a_row_after_each_connection(rig: Rig) -> None:
    await rig.start()
    values = await publish_all(rig)
    link = rig.link(bad_tag=True)
    numbers = numbers_of(link)
    outlet = Collector()
    for _ in range(2):
        outlet.clear()
        async with running(link, outlet):
            await outlet.until_all(list(numbers.values()))
            for tag, value in values.items():
                await outlet.until_value(numbers[tag], value)


async def test_a_bad_tag_has_a_bad_row_and_spares_its_neighbours(rig: Rig) -> None:
    await rig.start()
    await publish_all(rig)
    link = rig.link(bad_tag=True)
    numbers = numbers_of(link)
    outlet = Collector()
    async with running(link, outlet):
        await outlet.until_bad(numbers[BAD_TAG])
        for step in range(3):
            await outlet.until_value(numbers["number"], await publish_number(rig, step))
    assert_well_formed(outlet.frames, list(numbers.values()))
    rows = outlet.of(numbers[BAD_TAG])
    assert is_bad(rows.status).all()
    assert (rows.kind == Kind.NONE).all()
    assert len(rows) <= 3, "a status is told when it changes, not again and again"


async def test_a_link_of_bad_tags_only_goes_on(rig: Rig) -> None:
    await rig.start()
    link = rig.link([], bad_tag=True)
    outlet = Collector()
    async with running(link, outlet):
        await outlet.until_bad(numbers_of(link)[BAD_TAG])
        await anyio.sleep(0.3)


async def test_server_stopped_while_reading(rig: Rig) -> None:
    await rig.start()
    await publish_all(rig)
    outlet = Collector()
    link = rig.link()

    async def stop() -> None:
        await outlet.until_all(list(numbers_of(link).values()))
        await rig.stop()

    async with anyio.create_task_group() as group:
        group.start_soon(stop)
        error = await error_of(link, outlet, rig.deadline + 15)
    assert isinstance(error, NotConnected | TimedOut)


async def test_server_is_absent_at_start_and_comes_on_its_port(rig: Rig) -> None:
    await rig.stop()
    link = rig.link()
    numbers = numbers_of(link)
    error = await error_of(link, Collector(), rig.deadline)
    assert isinstance(error, NotConnected)
    assert error.retryable
    assert error.cause.ko
    assert error.hint.en
    await rig.start()
    outlet = Collector()
    async with running(link, outlet):
        await outlet.until_value(numbers["number"], await publish_number(rig, 42))


async def test_frozen_server_is_noticed(rig: Rig) -> None:
    await rig.start()
    await publish_all(rig)
    outlet = Collector()
    link = rig.link()
    frozen_at = 0.0

    async def freeze() -> None:
        nonlocal frozen_at
        await outlet.until_all(list(numbers_of(link).values()))
        rig.freeze()
        frozen_at = time.monotonic()

    async with anyio.create_task_group() as group:
        group.start_soon(freeze)
        error = await error_of(link, outlet, rig.deadline + 15)
    assert isinstance(error, TimedOut)
    assert time.monotonic() - frozen_at <= rig.deadline


async def test_server_frozen_from_the_start_is_noticed(rig: Rig) -> None:
    await rig.start()
    rig.freeze()
    outlet = Collector()
    link = rig.link()
    error = await error_of(link, outlet, rig.deadline)
    assert isinstance(error, TimedOut)
    assert all(is_bad(frame.status).all() for frame in outlet.frames)


async def test_cancelling_closes_the_connection(rig: Rig) -> None:
    await rig.start()
    await publish_all(rig)
    await until("the publisher's connection to close", lambda: rig.open_connections() == 0)
    link = rig.link()
    outlet = Collector()
    async with running(link, outlet):
        await outlet.until_all(list(numbers_of(link).values()))
        assert rig.open_connections() >= 1
    await until("the server to have no connection left", lambda: rig.open_connections() == 0)


async def test_cancelling_is_prompt_while_the_server_is_frozen(rig: Rig) -> None:
    await rig.start()
    await publish_all(rig)
    link = rig.link()
    outlet = Collector()
    async with running(link, outlet):
        await outlet.until_all(list(numbers_of(link).values()))
        rig.freeze()
        await anyio.sleep(0.2)
    rig.thaw()
    await until("the server to have no connection left", lambda: rig.open_connections() == 0)


async def test_cancelling_is_prompt_while_the_outlet_is_full(rig: Rig) -> None:
    await rig.start()
    await publish_all(rig)
    outlet = Collector()
    outlet.shut()
    async with running(rig.link(), outlet):
        await until("a frame to wait", lambda: outlet.waiting > 0)
    await until("the server to have no connection left", lambda: rig.open_connections() == 0)


async def test_a_full_outlet_holds_the_connector_back_and_keeps_the_order(rig: Rig) -> None:
    await rig.start()
    link = rig.link()
    numbers = numbers_of(link)
    outlet = Collector()
    async with running(link, outlet):
        await outlet.until_value(numbers["number"], await publish_number(rig, 0))
        outlet.shut()
        await publish_number(rig, 1)
        await until("a frame to wait", lambda: outlet.waiting > 0)
        tasks = len(asyncio.all_tasks())
        for step in range(2, 40):
            last = await publish_number(rig, step)
            assert len(asyncio.all_tasks()) <= tasks + 4, "tasks pile up behind a full outlet"
        outlet.open()
        await outlet.until_value(numbers["number"], last)
    assert outlet.waiting_most <= 4
    rows = outlet.of(numbers["number"])
    assert (np.diff(rows.floats()) >= 0).all(), "an older value came after a newer one"
    assert (np.diff(rows.time) >= 0).all()
