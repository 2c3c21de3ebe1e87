"""Serial ports on pseudo-terminals: shared by links, pulled out a hundred times, in use, not there, not ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from connectors.modbus import ports
from connectors.modbus.client import ModbusConnector
from connectors.modbus.config import ModbusLink
from connectors.modbus.point import Span
from connectors.modbus.port_error import not_opened
from connectors.modbus.scan import OK
from connectors.modbus.serial_port import open_port
from connectors.modbus.session import open_link
from edge_agent.api import EdgeAgentError, NotConnected, Refused, SystemClock, Unsupported
from tests.conformance.rig import Collector
from tests.servers.rtu_unit import RtuLine
from tests.unit.modbus.test_serial_line import scan_of

pytestmark = pytest.mark.anyio


def link_to(path: str | Path, *units: int, **more: Any) -> ModbusLink:
    tags = [{"tag": "t", "address": "HR:5", "type": "uint16"}]
    devices = [{"unit": unit, "interval": "20ms", "timeout": "300ms", "tags": tags} for unit in units or (1,)]
    head = {"name": "line", "connector": "modbus", "machine": "m", "port": str(path)}
    return ModbusLink.model_validate(head | more | {"devices": devices})


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def line() -> Iterator[RtuLine]:
    with RtuLine({unit: list(range(100 * unit, 100 * unit + 50)) for unit in (1, 2, 3)}) as running:
        yield running


async def test_links_that_name_one_port_share_it_under_any_of_its_names(line: RtuLine, tmp_path: Path) -> None:
    by_id = tmp_path / "usb-adapter"
    by_id.symlink_to(line.path)
    outlet = Collector()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ModbusConnector(link_to(line.path, 1, 2), [1, 2], SystemClock()).run, outlet)
        tasks.start_soon(ModbusConnector(link_to(by_id, 3), [3], SystemClock()).run, outlet)
        for number in (1, 2, 3):
            await outlet.until_value(number, 100 * number + 5)
        tasks.cancel_scope.cancel()
    assert ports.users(line.path) == []


async def test_a_port_is_open_until_its_last_link_lets_go(line: RtuLine) -> None:
    clock = SystemClock()
    first, second = await open_link(link_to(line.path), clock), await open_link(link_to(line.path), clock)
    await first.close()
    await first.close()
    scan = scan_of(2, Span(3, 0, 2))
    await second.read(scan)
    assert scan.outcome == [OK]
    await second.close()


async def test_links_that_disagree_on_the_settings_of_a_port_are_told(line: RtuLine) -> None:
    first = await open_link(link_to(line.path), SystemClock())
    with pytest.raises(Unsupported, match="9600 8N1, this one wants rtu 19200 8N1"):
        await open_link(link_to(line.path, baud=19200), SystemClock())
    await first.close()
    await (await open_link(link_to(line.path, baud=19200), SystemClock())).close()


async def test_a_silent_unit_does_not_cost_the_port(line: RtuLine) -> None:
    outlet = Collector()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ModbusConnector(link_to(line.path, 1, 9), [1, 9], SystemClock()).run, outlet)
        await outlet.until_value(1, 105)
        await outlet.until_bad(9)
        outlet.clear()
        await outlet.until_value(1, 105)
        tasks.cancel_scope.cancel()


@pytest.mark.timeout(120)
async def test_a_cable_pulled_a_hundred_times_is_found_again_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "usb-adapter"
    before = tasks_before = 0
    for turn in range(100):
        with RtuLine({1: list(range(50)), 2: list(range(50))}) as plugged:
            path.unlink(missing_ok=True)
            path.symlink_to(plugged.path)
            connections = [await open_link(link_to(path), SystemClock()) for _ in range(2)]
            scans = [scan_of(unit, Span(3, 7, 8)) for unit in (1, 2)]
            async with anyio.create_task_group() as group:
                for connection, scan in zip(connections, scans, strict=True):
                    group.start_soon(connection.read, scan)
            assert [scan.outcome for scan in scans] == [[OK], [OK]]
            asking = asyncio.ensure_future(connections[0].read(scan_of(9, Span(3, 0, 1), timeout=30.0)))
            await asyncio.sleep(0)
        for connection in connections:
            with pytest.raises(NotConnected, match="port is gone"), anyio.fail_after(20):
                await connection.watch()
        with pytest.raises(NotConnected):
            await asking
        for connection in connections:
            await connection.close()
        with pytest.raises(EdgeAgentError):
            await open_link(link_to(path), SystemClock())
        if turn == 4:
            before, tasks_before = handles(), len(asyncio.all_tasks())
    assert handles() == before
    assert len(asyncio.all_tasks()) == tasks_before


async def test_the_program_that_has_the_port_open_is_named(line: RtuLine) -> None:
    code = f"import serial; port = serial.Serial({line.path!r}, exclusive=True); print('open', flush=True); input()"
    with subprocess.Popen(  # noqa: ASYNC220 - a test: nothing else waits
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(NotConnected) as caught:
            await open_port(link_to(line.path), SystemClock())
        other.communicate("\n", timeout=20)
    assert f"({other.pid})" in caught.value.cause.en
    assert f"({other.pid})" in caught.value.cause.ko
    await (await open_port(link_to(line.path), SystemClock())).close()


async def test_what_is_no_port_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotConnected, match="no such serial port"):
        await open_port(link_to(tmp_path / "gone"), SystemClock())
    (tmp_path / "file").write_text("no terminal")
    with pytest.raises(Unsupported, match="can't be used"):
        await open_port(link_to(tmp_path / "file"), SystemClock())


def test_a_port_that_is_not_ours_names_group_and_drop_in(tmp_path: Path) -> None:
    error = not_opened(link_to(tmp_path), PermissionError(13, "Permission denied"))
    assert isinstance(error, Refused)
    assert "SupplementaryGroups=" in error.hint.en
    assert "usermod -aG" in error.hint.ko


def test_an_unstable_name_gets_the_stable_one_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stable = tmp_path / "by-id"
    stable.mkdir()
    (stable / "usb-FTDI_A50285BI-if00-port0").symlink_to("/dev/ttyUSB0")
    monkeypatch.setattr(ports, "STABLE", (stable, tmp_path / "none"))
    cause, cure = ports.caution("/dev/ttyUSB0") or pytest.fail("no caution")
    assert "ttyUSB0" in cause.ko
    assert cure.en == f"write port: {stable}/usb-FTDI_A50285BI-if00-port0"
    _, cure = ports.caution("/dev/ttyACM3") or pytest.fail("no caution")
    assert "ls -l /dev/serial/by-id" in cure.en
    for well in ("/dev/ttyAMA0", "/dev/ttyS1", "/dev/serial/by-id/usb-FTDI", "/dev/pts/3"):
        assert ports.caution(well) is None
