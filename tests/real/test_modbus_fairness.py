"""Ten units behind one line, six well, one late, three dead: a gateway of another make, and libmodbus on a serial line.

How much of their rate the six keep is in the bench (`modbus_fairness`); here nothing hangs on the machine's speed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from connectors.modbus.client import ModbusConnector
from connectors.modbus.config import ModbusLink
from edge_agent.api import Status, SystemClock
from tests.conformance.rig import Collector
from tests.fixtures_servers import required
from tests.servers.serial_bus import SerialBus
from tests.servers.sources import Gateway, MbServer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

GOOD, LATE, DEAD = range(1, 7), 7, (8, 9, 10)
WORDS = 4
TIMEOUT_MS = 300


def link_to(kind: str, **place: Any) -> ModbusLink:
    tags = [{"address": f"HR:{address}", "type": kind} for address in range(0, 2 * WORDS, 2)]
    devices = [
        {"unit": unit, "interval": "500ms", "timeout": f"{TIMEOUT_MS}ms", "tags": named(unit, tags)}
        for unit in (*GOOD, LATE, *DEAD)
    ]
    head = {"name": "line", "connector": "modbus", "machine": "m"}
    return ModbusLink.model_validate(head | place | {"devices": devices})


def named(unit: int, tags: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"tag": f"u{unit}_{i}", **tag} for i, tag in enumerate(tags)]


def first_of(unit: int) -> int:
    """The number of a unit's first tag."""
    return WORDS * (unit - 1)


@asynccontextmanager
async def polled(link: ModbusLink) -> AsyncIterator[Collector]:
    outlet = Collector()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ModbusConnector(link, range(len(link.tag_list())), SystemClock()).run, outlet)
        yield outlet
        tasks.cancel_scope.cancel()


async def until_silent(outlet: Collector) -> None:
    for unit in DEAD:
        await outlet.until_bad(first_of(unit), timeout=60)


async def until_good(outlet: Collector, rows: int) -> None:
    with anyio.fail_after(60):
        while any(len(outlet.of(first_of(unit))) < rows for unit in GOOD):
            await outlet.came()


def assert_right(outlet: Collector, values: Callable[[int, int], set[float]]) -> None:
    """Every good row of every unit holds what that unit's register held at some time, and the dead have none."""
    for unit in (*GOOD, LATE):
        for word in range(WORDS):
            rows = outlet.of(first_of(unit) + word)
            well = rows.floats()[rows.status == 0]
            assert set(well) <= values(unit, 2 * word), (unit, word)
    for unit in DEAD:
        said = outlet.of(first_of(unit)).status.tolist()
        assert said == [Status.BAD_TIMEOUT, Status.BAD_NO_COMMUNICATION][: len(said)]


async def test_behind_a_gateway_of_another_make(gateway: Callable[..., Gateway]) -> None:
    units: dict[int, int | None] = dict.fromkeys(GOOD, 10) | {LATE: TIMEOUT_MS + 100} | dict.fromkeys(DEAD, None)
    box = gateway(units=units, gives_up_ms=TIMEOUT_MS + 200)
    async with polled(link_to("uint16", host="127.0.0.1", port=box.port)) as outlet:
        await until_silent(outlet)
        before = max(len(outlet.of(first_of(unit))) for unit in GOOD)
        await until_good(outlet, before + 10)
    assert_right(outlet, lambda unit, address: {box.register(unit, address)})
    asked = box.stop()["requests"]
    assert sum(asked[str(unit)] for unit in DEAD) < asked["1"]


async def test_units_of_libmodbus_on_one_serial_line(tmp_path: Path) -> None:
    with ExitStack() as units, SerialBus() as bus:
        made = {}
        for unit in (*GOOD, LATE):
            delay = TIMEOUT_MS + 100 if unit == LATE else 2
            with required():
                made[unit] = MbServer(tmp_path, units=[unit], delay_ms=delay, rtu=bus.join())
            units.enter_context(made[unit])
        async with polled(link_to("float32", port=bus.path, baud=9600)) as outlet:
            await until_silent(outlet)
            before = max(len(outlet.of(first_of(unit))) for unit in GOOD)
            await until_good(outlet, before + 10)
    assert_right(outlet, lambda unit, address: {made[unit].float_at(address, unit, c) for c in range(8)})
