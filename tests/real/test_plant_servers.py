"""The plant's servers as processes, asked by the libraries' own clients: addresses, nodes, logs, their end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from edge_agent.plant.furnace_points import PLC_POINTS
from edge_agent.plant.press_points import PRESS_POINTS
from edge_agent.plant.server import FURNACE, INSTRUMENTS, PRESS
from tests.servers.process import ServerProcess, free_port, poll

pytestmark = pytest.mark.anyio


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


@contextmanager
def server(name: str, folder: Path, *arguments: str) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "edge_agent.plant", name, "--port", str(port), "--seed", "3"]
    command += ["--log", str(folder / f"{name}.log"), "--labels", str(folder / f"{name}.labels"), *arguments]
    process = ServerProcess(name, command, folder)
    with process:
        process.port = port  # type: ignore[attr-defined]
        yield process


@dataclass
class Plant:
    """The three servers, started once and asked by all who change nothing."""

    folder: Path
    started: ExitStack
    running: dict[str, ServerProcess] = field(default_factory=dict)

    def server(self, name: str) -> ServerProcess:
        if name not in self.running:
            more = ("--spm", "80") if name == PRESS else ()
            self.running[name] = self.started.enter_context(server(name, self.folder, *more))
        return self.running[name]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with ExitStack() as started:
        yield Plant(tmp_path_factory.mktemp("plant"), started)


async def read_once(port: int, unit: int, function: int, address: int, count: int) -> Any:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    assert await client.connect()
    read = client.read_input_registers if function == 4 else client.read_holding_registers
    answer = await read(address, count=count, device_id=unit)
    client.close()
    return answer


async def test_the_instruments_answer_at_the_real_addresses(plant: Plant) -> None:
    found = plant.server(INSTRUMENTS)
    for unit in (1, 2, 3):
        pv, decimals, celsius, sv, mv, _, bits, current = (await read_once(found.port, unit, 4, 1000, 8)).registers
        assert (decimals, celsius, sv, bits) == (1, 0, 9300, 8)
        assert 9285 < pv < 9315
        assert 300 < mv < 450
        assert 880 < current < 1160
    meter = (await read_once(found.port, 4, 3, 3059, 2)).registers
    kw = AsyncModbusTcpClient.convert_from_registers(meter, AsyncModbusTcpClient.DATATYPE.FLOAT32)
    assert 80 < kw < 92
    energy = (await read_once(found.port, 4, 3, 3203, 4)).registers
    wh = AsyncModbusTcpClient.convert_from_registers(energy, AsyncModbusTcpClient.DATATYPE.INT64)
    assert 184_250_000 < wh < 184_260_000
    assert (await read_once(found.port, 1, 4, 900, 2)).isError()

    def reads() -> list[dict[str, int]]:
        return [line["read"] for line in lines(plant.folder / f"{INSTRUMENTS}.log") if "read" in line]

    await read_once(found.port, 1, 4, 1000, 1)
    last = {"unit": 1, "function": 4, "address": 1000, "count": 1}
    poll("the log", lambda: last in reads())
    assert {"unit": 4, "function": 3, "address": 3203, "count": 4} in reads()
    assert not any(read["address"] == 900 for read in reads())


async def test_what_a_modbus_client_reads_is_what_the_log_says(plant: Plant) -> None:
    found = plant.server(INSTRUMENTS)

    def published() -> list[dict[str, Any]]:
        return [line for line in lines(plant.folder / f"{INSTRUMENTS}.log") if line.get("tag") == "zone2_pv"]

    seen: list[tuple[int, int]] = []
    with anyio.fail_after(40):
        while len(seen) < 8 or len(published()) < 2:
            answer = await read_once(found.port, 2, 4, 1000, 8)
            seen.append((time.time_ns(), answer.registers[0]))
            await anyio.sleep(0.2)
    said = published()
    for asked, raw in seen:
        shown = {line["raw"] for line in said if asked - 1.7e9 < line["time"] <= asked}
        before = [line["raw"] for line in said if line["time"] <= asked - 1.7e9]
        assert raw in shown | set(before[-1:])


async def test_nothing_can_be_written(plant: Plant) -> None:
    found = plant.server(INSTRUMENTS)
    client = AsyncModbusTcpClient("127.0.0.1", port=found.port)
    assert await client.connect()
    assert (await client.write_register(0, 5, device_id=1)).isError()
    assert (await read_once(found.port, 1, 3, 0, 1)).registers == [9300]
    client.close()
    async with Client(f"opc.tcp://127.0.0.1:{plant.server(PRESS).port}/press200") as opcua:
        namespace = await opcua.get_namespace_index("urn:demo:press200")
        node = opcua.get_node(f"ns={namespace};s=Setpoint.StrokesPerMinute")
        with pytest.raises(ua.UaStatusCodeError):
            await node.write_value(ua.Variant(99.0, ua.VariantType.Float))


@pytest.mark.parametrize(
    ("name", "machine", "points"), [(FURNACE, "ht1", PLC_POINTS), (PRESS, "press200", PRESS_POINTS)]
)
async def test_a_plc_has_its_folders_labels_ranges_and_units(
    plant: Plant, name: str, machine: str, points: tuple[Any, ...]
) -> None:
    async with Client(f"opc.tcp://127.0.0.1:{plant.server(name).port}/{machine}") as client:
        namespace = await client.get_namespace_index(f"urn:demo:{machine}")
        for point in points:
            node = client.get_node(f"ns={namespace};s={point.node}")
            shown = (await node.read_display_name()).Text
            assert point.label.ko in shown
            assert point.label.en in shown
            assert (await node.read_data_type_as_variant_type()).name == point.data_type
            value = await node.read_data_value()
            assert value.StatusCode is not None
            assert value.StatusCode.is_good()
            properties = {(await each.read_browse_name()).Name: each for each in await node.get_properties()}
            if point.unit:
                unit = await properties["EngineeringUnits"].read_value()
                assert unit.DisplayName.Text == point.unit
            if point.low is not None:
                limits = await properties["EURange"].read_value()
                assert (limits.Low, limits.High) == (point.low, point.high)


class Watcher:
    def __init__(self) -> None:
        self.rows: list[tuple[Any, Any, int]] = []

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        source = data.monitored_item.Value.SourceTimestamp
        micro = round((source - source.replace(microsecond=0)).total_seconds() * 1e6)
        self.rows.append((node.nodeid.Identifier, value, int(source.timestamp()) * 1_000_000_000 + micro * 1000))


async def test_a_subscriber_gets_exactly_what_the_log_says(plant: Plant) -> None:
    watcher = Watcher()
    names = {point.node: point.name for point in PRESS_POINTS}

    def enough() -> bool:
        seen = Counter(names[node] for node, _, _ in watcher.rows)
        return len(seen) == len(names) and seen["motor_current"] > 12 and seen["peak_load"] >= 4

    async with Client(f"opc.tcp://127.0.0.1:{plant.server(PRESS).port}/press200") as client:
        namespace = await client.get_namespace_index("urn:demo:press200")
        subscription = await client.create_subscription(100, watcher)
        nodes = [client.get_node(f"ns={namespace};s={point.node}") for point in PRESS_POINTS]
        await subscription.subscribe_data_change(nodes, queuesize=100)
        with anyio.fail_after(40):
            while not enough():
                await anyio.sleep(0.1)
        await subscription.delete()
    got: dict[str, dict[int, Any]] = {}
    for node, value, when in watcher.rows:
        got.setdefault(names[node], {})[when] = value
    said: dict[str, dict[int, Any]] = {}
    for line in lines(plant.folder / f"{PRESS}.log"):
        said.setdefault(line["tag"], {})[line["time"]] = line["value"]
    assert set(got) == set(names.values())
    for tag, rows in got.items():
        within = {when: value for when, value in said[tag].items() if min(rows) <= when <= max(rows)}
        assert rows == within, tag


@pytest.mark.timeout(180)
async def test_both_furnace_servers_show_the_same_furnace_and_end_cleanly(tmp_path: Path) -> None:
    common = ("--epoch", str(time.time_ns()), "--fault", "tc_open@10")

    def seen_by_both() -> bool:
        """The burn-out, and a few moments at which both servers took a turn: on a busy machine each leaves some out."""
        shown, told = (lines(tmp_path / f"{name}.log") for name in (INSTRUMENTS, FURNACE))
        means = [line for line in told if line["tag"] == "chamber_mean"]
        moments = {line["time"] for line in shown if "tag" in line} & {line["time"] for line in means}
        burnt = any(line.get("raw") == 31000 for line in shown) and any(line["status"] for line in means)
        return burnt and len(moments) >= 3

    with server(INSTRUMENTS, tmp_path, *common) as shown, server(FURNACE, tmp_path, *common) as told:
        poll("the burn-out in both", seen_by_both, 90)
    for process in (shown, told):
        assert process.returncode == 0
        assert [line["event"] for line in process.lines()] == ["ready", "stopped"]
    instruments = [line for line in lines(tmp_path / f"{INSTRUMENTS}.log") if "tag" in line]
    means = {
        line["time"]: line["value"] for line in lines(tmp_path / f"{FURNACE}.log") if line["tag"] == "chamber_mean"
    }

    def zones_at(when: int) -> list[Any]:
        """What the instruments showed then: the log has changes only."""
        names = ("zone1_pv", "zone2_pv", "zone3_pv")
        return [[x["value"] for x in instruments if x["tag"] == name and x["time"] <= when][-1] for name in names]

    both = sorted({line["time"] for line in instruments} & set(means))
    assert len(both) >= 3
    for when in both:
        zones = zones_at(when)
        if means[when] is None:
            assert zones[1] is None
        else:
            assert sum(zones) / 3 == pytest.approx(means[when], abs=0.06)
    bad = [when for when, value in means.items() if value is None]
    assert [line["time"] for line in instruments if line.get("raw") == 31000] == bad
    labels = [
        [line for line in lines(tmp_path / f"{name}.labels") if "fault" in line] for name in (INSTRUMENTS, FURNACE)
    ]
    assert labels[0][0] == labels[1][0]
    assert labels[0][0]["t_start"] == bad[0]


def spawn(name: str, folder: Path, **more: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edge_agent.plant", name, "--port", str(free_port())]
    command += ["--labels", str(folder / "labels")]
    with (folder / "out").open("wb") as out:
        return subprocess.Popen(command, stdout=out, **more)


def ready(folder: Path) -> bool:
    return '"ready"' in (folder / "out").read_text()


def test_orders_on_standard_input_make_labels_and_its_end_ends_the_server(tmp_path: Path) -> None:
    process = spawn(PRESS, tmp_path, stdin=subprocess.PIPE)
    try:
        poll("the press to get ready", lambda: ready(tmp_path))
        assert process.stdin is not None
        process.stdin.write(b"fault eccentric 0.8\nfault nonsense\nbreak it\n")
        process.stdin.flush()
        found = poll("the label", lambda: [x for x in lines(tmp_path / "labels") if x.get("fault") == "eccentric"])
        assert (found[0]["severity"], found[0]["f"], found[0]["t_end"]) == (0.8, 0.8, None)
        assert abs(found[0]["t_start"] - time.time_ns()) < 20e9
        process.stdin.write(b"clear eccentric\n")
        process.stdin.flush()
        poll("its end", lambda: any(x.get("t_end") for x in lines(tmp_path / "labels")))
        process.stdin.close()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
    said = [line["event"] for line in lines(tmp_path / "out")]
    assert said == ["ready", "taken", "refused", "refused", "taken", "stopped"]


def test_a_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Without a pipe on standard input, as under a shell or a service manager."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)\n"
        "print(child.pid, file=sys.stderr, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "edge_agent.plant", PRESS, "--port", str(free_port())]
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        parent = subprocess.Popen([sys.executable, "-c", code, *command], stdout=out, stderr=err)
    try:
        poll("the press to get ready", lambda: ready(tmp_path))
        child = int((tmp_path / "err").read_text().split()[0])
    finally:
        parent.kill()
        parent.wait()
    poll("the press to end", lambda: not alive(child), 15.0)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_an_unknown_fault_is_refused_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent.plant", PRESS, "--port", "1", "--fault", "element@3"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "knows no fault element" in done.stderr
