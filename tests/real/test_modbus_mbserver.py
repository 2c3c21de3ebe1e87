"""The Modbus connector against libmodbus: a server that was not written in Python, every value known beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import numpy as np
import pytest

from connectors.modbus.client import ModbusConnector
from connectors.modbus.config import ModbusLink
from edge_agent.api import Flag, Kind, NotConnected, Status, SystemClock, TimedOut
from tests.conformance.rig import Collector
from tests.servers.sources import MbServer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

Start = Callable[..., MbServer]
Tags = Sequence[Mapping[str, Any]]


def link_to(port: int, *devices: Mapping[str, Any], **more: Any) -> ModbusLink:
    head = {"name": "real", "connector": "modbus", "machine": "m", "host": "127.0.0.1", "port": port}
    return ModbusLink.model_validate(head | more | {"devices": devices})


def device(unit: int, tags: Tags, **more: Any) -> dict[str, Any]:
    named = [{"tag": f"u{unit}_{i}", **tag} for i, tag in enumerate(tags)]
    return {"unit": unit, "interval": "50ms", "tags": named, **more}


def floats(count: int, first: int = 0, kind: str = "float32") -> Tags:
    return [{"address": f"HR:{first + 2 * i}", "type": kind} for i in range(count)]


@asynccontextmanager
async def reading(link: ModbusLink) -> AsyncIterator[Collector]:
    """Tag numbers are the positions in `tag_list`."""
    outlet = Collector()
    connector = ModbusConnector(link, range(len(link.tag_list())), SystemClock())
    task = asyncio.create_task(connector.run(outlet))
    try:
        yield outlet
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5)


async def failure(link: ModbusLink, outlet: Collector, deadline: float = 20) -> BaseException:
    connector = ModbusConnector(link, range(len(link.tag_list())), SystemClock())
    with pytest.raises((NotConnected, TimedOut)) as caught, anyio.fail_after(deadline):
        await connector.run(outlet)
    return caught.value


async def frames(outlet: Collector, count: int, deadline: float = 30) -> None:
    with anyio.fail_after(deadline):
        while len(outlet.frames) < count:
            await outlet.came()


@pytest.mark.parametrize("window", [1, 4, 16])
async def test_ten_thousand_floats_each_exact(mbserver: Start, window: int) -> None:
    server = mbserver()
    async with reading(link_to(server.port, device(3, floats(10_000), window=window))) as outlet:
        await frames(outlet, 5)
    base = np.array([server.float_at(2 * i, 3, 0) for i in range(10_000)])
    for frame in outlet.frames:
        order = np.argsort(frame.tag)
        assert (frame.tag[order] == np.arange(10_000)).all()
        assert (frame.kind == Kind.FLOAT32).all()
        assert not frame.status.any()
        eighths = (frame.floats()[order] - base) * 8
        assert np.isin(eighths, range(8)).all()
        assert (frame.time <= frame.received).all()


async def test_all_of_one_request_is_of_one_tick(mbserver: Start) -> None:
    server = mbserver(period_ms=10)
    tick = {"address": f"HR:{server.tick_register}", "type": "uint64"}
    unit = {"address": f"IR:{server.unit_register}", "type": "uint16"}
    coils = [{"address": f"CO:{a}"} for a in range(40)]
    async with reading(link_to(server.port, device(9, [tick, unit, *coils]))) as outlet:
        await frames(outlet, 20)
    ticks = outlet.of(0)
    assert (np.diff(ticks.bits.astype(np.int64)) >= 0).all()
    assert ticks.bits[-1] > ticks.bits[0]
    assert set(outlet.of(1).bits) == {9}
    for frame in outlet.frames:
        bits = frame.bits[np.argsort(frame.tag)][2:]
        assert (bits[::2] == bits[0]).all()
        assert (bits[1::2] == 1 - bits[0]).all()


async def test_units_of_one_link_are_not_mixed_up(mbserver: Start) -> None:
    server = mbserver()
    units = [1, 2, 17, 200, 247]
    for gateway in (False, True):
        devices = [device(u, floats(300), window=2) for u in units]
        async with reading(link_to(server.port, *devices, gateway=gateway)) as outlet:
            await frames(outlet, 25)
        rows = outlet.rows
        unit = np.array(units)[rows.tag // 300]
        assert (rows.floats() // 4096 == unit).all()
        assert set(unit) == set(units)


async def test_a_silent_unit_does_not_slow_the_others(mbserver: Start) -> None:
    server = mbserver(units=[1, 3])
    devices = [device(u, floats(4), timeout="1s") for u in (1, 2, 3)]
    async with reading(link_to(server.port, *devices, gateway=False)) as outlet:
        with anyio.fail_after(30):
            while outlet.latest.get(4, (None, 0, 0))[1] != Status.BAD_NO_COMMUNICATION:
                await outlet.came()
    silent = outlet.of(4)
    assert silent.status.tolist() == [Status.BAD_TIMEOUT, Status.BAD_NO_COMMUNICATION]
    assert (silent.flags == Flag.AGENT).all()
    for number in (0, 8):
        rows = outlet.of(number)
        assert not rows.status.any()
        assert len(rows) >= 20  # in the three seconds and more that three timeouts took
        assert np.diff(rows.received).max() < 1_000_000_000


@pytest.mark.parametrize(("gateway", "units"), [(False, [3]), (True, [1])])
async def test_deadlines_of_a_quick_device_do_not_wait_for_a_slow_one(
    mbserver: Start, gateway: bool, units: list[int]
) -> None:
    server = mbserver(units=units)
    slow = device(1, floats(1), timeout="60s")
    quick = device(2, floats(1), timeout="200ms")
    async with reading(link_to(server.port, slow, quick, gateway=gateway)) as outlet:
        assert await outlet.until_bad(1, timeout=20) == Status.BAD_TIMEOUT


async def test_a_gateway_s_silent_unit_costs_the_others_its_timeouts_and_no_more(mbserver: Start) -> None:
    server = mbserver(units=[1])
    devices = [device(u, floats(4), timeout="300ms") for u in (1, 2)]
    async with reading(link_to(server.port, *devices)) as outlet:
        assert await outlet.until_bad(4) == Status.BAD_TIMEOUT
        before = len(outlet.of(0))
        with anyio.fail_after(30):
            while outlet.latest[4][1] != Status.BAD_NO_COMMUNICATION or len(outlet.of(0)) < before + 20:
                await outlet.came()
    assert not outlet.of(0).status.any()


async def test_silent_units_all_of_them(mbserver: Start) -> None:
    server = mbserver(units=[9])
    outlet = Collector()
    devices = [device(u, floats(2), timeout="300ms") for u in (1, 2)]
    assert isinstance(await failure(link_to(server.port, *devices), outlet), TimedOut)
    assert sorted(outlet.rows.tag) == [0, 1, 2, 3]
    assert set(outlet.rows.status) == {Status.BAD_TIMEOUT}


async def test_illegal_addresses_in_the_middle_of_ten_thousand(mbserver: Start) -> None:
    server = mbserver(illegal=[(100, 101), (7001, 7004), (12_000, 12_999)])
    async with reading(link_to(server.port, device(1, floats(10_000), window=4))) as outlet:
        await outlet.until_all(range(10_000), timeout=60)
        before = len(outlet.frames)
        await frames(outlet, before + 3)
    bad = {50, 3500, 3501, 3502, *range(6000, 6500)}
    for number, (value, status, _) in outlet.latest.items():
        if number in bad:
            assert status == Status.BAD_NODE_ID_UNKNOWN
        else:
            assert status == 0
            assert isinstance(value, float)
    assert all(len(frame) == 10_000 - len(bad) for frame in outlet.frames[-2:])


async def test_periods_that_a_slow_device_cannot_keep_are_counted(mbserver: Start) -> None:
    server = mbserver(delay_ms=40)
    spread = [{"address": f"HR:{400 * i}", "type": "uint16"} for i in range(4)]
    async with reading(link_to(server.port, device(1, spread, interval="50ms"))) as outlet:
        await frames(outlet, 6)
    assert outlet.losses["poll_skipped"] >= 4 * 5
    assert set(outlet.losses) == {"poll_skipped"}


async def test_a_killed_server_is_noticed_and_found_again(mbserver: Start) -> None:
    server = mbserver()
    link = link_to(server.port, device(1, floats(10)))
    outlet = Collector()

    async def kill() -> None:
        await outlet.until_all(range(10))
        server.kill()

    async with anyio.create_task_group() as group:
        group.start_soon(kill)
        assert isinstance(await failure(link, outlet), NotConnected)
    assert isinstance(await failure(link, Collector()), NotConnected)
    server.start()
    async with reading(link) as again:
        await again.until_all(range(10))
    assert not again.rows.status.any()


async def test_a_host_that_does_not_exist(mbserver: Start) -> None:
    made = link_to(502, device(1, floats(1)), host="no-such-host.invalid", connect_timeout="5s")
    error = await failure(made, Collector())
    assert isinstance(error, NotConnected)
    assert "resolve" in str(error)
