"""The Modbus connector against pymodbus's own server, in a process of its own: its answers byte for byte its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from pymodbus.client import AsyncModbusTcpClient

from connectors.modbus.config import ModbusLink
from tests.conformance.rig_modbus import DATA, UNIT, ModbusRig
from tests.real.test_modbus_mbserver import reading

pytestmark = pytest.mark.anyio

VALUES: dict[str, float] = {
    "int16": -12345,
    "uint16": 65432,
    "int32": -(2**31),
    "uint32": 2**32 - 1,
    "int64": -(2**63) + 1,
    "uint64": 2**64 - 2,
    "float32": 0.10000000149011612,
    "float64": math.e,
}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModbusRig]:
    made = ModbusRig(tmp_path_factory.mktemp("rig"))
    yield made
    anyio.run(made.stop)


@pytest.fixture
async def rig(plant: ModbusRig) -> ModbusRig:
    """A running server, as from its start."""
    await plant.start()
    return plant


def link_to(port: int, tags: list[dict[str, Any]], **device: Any) -> ModbusLink:
    section = {"unit": UNIT, "interval": "50ms", "tags": tags, **device}
    head = {"name": "real", "connector": "modbus", "machine": "m", "host": "127.0.0.1", "port": port}
    return ModbusLink.model_validate(head | {"devices": [section]})


@pytest.mark.parametrize(("order", "word_order"), [("ABCD", "big"), ("CDAB", "little")])
async def test_every_type_that_pymodbus_writes(rig: ModbusRig, order: str, word_order: str) -> None:
    tags, at = [], 3
    async with AsyncModbusTcpClient("127.0.0.1", port=rig.port) as client:
        for kind, value in VALUES.items():
            registers = client.convert_to_registers(value, DATA[kind.upper()], word_order)
            await client.write_registers(at, registers, device_id=UNIT)
            tags.append({"tag": kind, "address": f"HR:{at}", "type": kind, "order": order})
            at += len(registers) + 1
    async with reading(link_to(rig.port, tags)) as outlet:
        for number, value in enumerate(VALUES.values()):
            await outlet.until_value(number, value)


async def test_a_window_that_is_too_wide_for_the_server_is_narrowed(rig: ModbusRig) -> None:
    """This server drops requests that come while it is busy with one."""
    async with AsyncModbusTcpClient("127.0.0.1", port=rig.port) as client:
        await client.write_registers(0, list(range(1000, 1100)), device_id=UNIT)
    tags = [{"tag": f"t{a}", "address": f"HR:{a}", "type": "uint16"} for a in range(0, 100, 5)]
    async with reading(link_to(rig.port, tags, window=8, max_gap=0, timeout="300ms")) as outlet:
        for i, a in enumerate(range(0, 100, 5)):
            await outlet.until_value(i, 1000 + a)
        outlet.clear()
        for _ in range(3):
            await outlet.came()
        assert [len(frame) for frame in outlet.frames[:3]] == [20] * 3
        assert not outlet.rows.status.any()


async def test_a_unit_that_is_not_there_leaves_its_neighbour_alone(rig: ModbusRig) -> None:
    section = {"name": "two", "connector": "modbus", "machine": "m", "host": "127.0.0.1", "port": rig.port}
    devices = [
        {"unit": unit, "interval": "50ms", "timeout": "500ms", "tags": [{"tag": f"u{unit}", "address": "CO:0"}]}
        for unit in (UNIT, UNIT + 1)
    ]
    async with reading(ModbusLink.model_validate(section | {"devices": devices})) as outlet:
        await outlet.until_bad(1)
        before = len(outlet.of(0))
        await outlet.until_all([0, 1])
        while len(outlet.of(0)) < before + 5:
            await outlet.came()
    assert not outlet.of(0).status.any()
    assert len(outlet.of(1)) <= 2
