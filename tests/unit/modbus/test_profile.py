"""The profiles that ship: sound, in both languages, and each read from a server at the instrument's real addresses."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.modbus.client import ModbusConnector
from connectors.modbus.plan import make_plan
from connectors.modbus.point import spans_of
from connectors.modbus.profile import Profile
from edge_agent.api import Status, SystemClock
from edge_agent.config.loader import Loaded, load
from edge_agent.config.profile import Shelf, read_profile
from edge_agent.errors import ConfigError
from edge_agent.registry import Sections
from edge_agent.shipped import shipped
from tests.conformance.rig import Collector

pytestmark = pytest.mark.anyio

FOLDER = shipped("configs") / "profiles"
FILES = sorted(FOLDER.glob("*.yaml"))


def profile(path: Path) -> Profile:
    made, faults = read_profile(path, Profile)
    assert not faults
    assert made is not None
    assert isinstance(made.section, Profile)
    return made.section


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_profile_is_sound_and_speaks_both_languages(path: Path) -> None:
    made = profile(path)
    modules = made.modules.points if made.modules is not None else ()
    for point in (*made.points, *modules):
        assert re.search("[가-힣]|pH", point.label.ko), point.tag
        assert point.label.en.isascii(), point.tag
    assert re.search("[가-힣]|VPFlowScope", made.label.ko)
    assert made.models
    if made.trust in ("C", "D"):
        assert made.notes.ko
        assert made.notes.en


def f32(value: float) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(">f", value)))


def f64(value: float) -> list[int]:
    return list(struct.unpack(">4H", struct.pack(">d", value)))


def i32(value: int) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(">I", value & 0xFFFFFFFF)))


def i64(value: int) -> list[int]:
    return list(struct.unpack(">4H", struct.pack(">Q", value)))


def low_first(words: list[int]) -> list[int]:
    return words[::-1]


Cells = dict[tuple[int, int], list[int]]
"""(function, wire address) -> words, or bits."""

INSTRUMENTS: dict[str, tuple[Cells, dict[str, Any]]] = {
    "autonics-tk": (
        {(4, 1000): [235, 1, 0, 240, 335, 0, 0x208, 52]},
        {"pv": 23.5, "sv": 24.0, "mv": 33.5, "current": 5.2, "alarm1": True, "alarm2": False, "out1": True},
    ),
    "hanyoung-nx": (
        {(3, 0): [8234, 8500, 0, 0, 455, 0, 0, 1, 2, *[0] * 8]},
        {"pv": 823.4, "sv": 850.0, "mv": 45.5, "alarm2": True},
    ),
    "omron-e5cc": ({(3, 0x2000): [1805, 0, 0], (3, 0x2103): [1900]}, {"pv": 180.5, "sv": 190.0}),
    "delta-dtb": ({(3, 0x1000): [0x8003, 1200]}, {"pv": Status.BAD_SENSOR_FAILURE, "sv": 120.0}),
    "delta-dtm": (
        {(3, 616): [201, 202, 203], (3, 624): [211, 212, 213], (3, 632): [500, 510, 520]},
        {"ch1_pv": 20.1, "ch3_pv": 20.3, "ch2_sv": 21.2, "ch3_mv": 52.0},
    ),
    "fuji-pxr": ({(4, 1000): [1505, 1500, 5, 4550]}, {"pv": 150.5, "sv": 150.0, "mv": 45.5}),
    "eurotherm-3200": ({(3, 1): [3001, 3000, 0, 421, 3000]}, {"pv": 300.1, "sv": 300.0, "mv": 42.1}),
    "panasonic-kt4b": (
        {(3, 0x80): [655, 300, 0, 660, 0, 0x0140]},
        {"pv": Status.BAD_OUT_OF_RANGE, "sv": 66.0, "heater_burnout": True},
    ),
    "novus-n1200": ({(3, 0): [800, 795, 650]}, {"sv": 80.0, "pv": 79.5, "mv": 65.0}),
    "schneider-iem3000": (
        {
            (3, 2999): f32(12.5),
            (3, 3027): f32(221.5),
            (3, 3059): f32(7.25),
            (3, 3109): f32(60.0),
            (3, 3203): i64(123456789),
        },
        {"current_l1": 12.5, "voltage_l1": 221.5, "power": 7.25, "frequency": 60.0, "energy": 123456789},
    ),
    "schneider-pm5000": (
        {(3, 2699): f32(1500.5), (3, 3003): f32(3.5), (3, 3059): f32(7.25), (3, 3109): f32(60.0)},
        {"energy": 1500.5, "current_l3": 3.5, "power": 7.25, "frequency": 60.0},
    ),
    "eastron-sdm630": (
        {(4, 0): f32(230.5), (4, 6): f32(4.5), (4, 52): f32(1035.5), (4, 70): f32(59.75), (4, 342): f32(99.5)},
        {"voltage_l1": 230.5, "current_l1": 4.5, "power": 1035.5, "frequency": 59.75, "energy": 99.5},
    ),
    "siemens-pac2200": (
        {(4, 1): f32(230.5), (4, 13): f32(4.5), (4, 65): f32(1035.5), (4, 801): f64(123456.25)},
        {"voltage_l1": 230.5, "current_l1": 4.5, "power": 1035.5, "energy": 123456.25},
    ),
    "chint-dtsu666": (
        {(3, 0x2006): f32(2215.0), (3, 0x200C): f32(12500.0), (3, 0x2012): f32(4000.0), (3, 0x2044): f32(6000.0)},
        {"voltage_l1": 221.5, "current_l1": 12.5, "power": 400.0, "frequency": 60.0},
    ),
    "carlo-gavazzi-em24": (
        {(4, 0): low_first(i32(2215)), (4, 12): low_first(i32(12500)), (4, 40): low_first(i32(-500)), (4, 55): [600]},
        {"voltage_l1": 221.5, "current_l1": 12.5, "power": -50.0, "frequency": 60.0},
    ),
    "abb-b-series": (
        {
            (3, 0x5B00): i32(2215),
            (3, 0x5B0C): i32(1250),
            (3, 0x5B14): i32(0x7FFFFFFF),
            (3, 0x5B2C): [6000],
            (3, 0x5000): i64(12345),
        },
        {"voltage_l1": 221.5, "current_l1": 12.5, "power": Status.BAD_NO_DATA, "frequency": 60.0, "energy": 123.45},
    ),
    "acrel-adw300": (
        {(3, 20): [2215], (3, 26): [1250], (3, 36): i32(-2500), (3, 62): i32(12345)},
        {"voltage_l1": 221.5, "current_l1": 12.5, "power": -2500, "energy": 123.45},
    ),
    "rootech-accura-2300s": (
        {
            (3, 11044): [1, 0, 0xFFFF, 1],
            (3, 11114): f32(221.5),
            (3, 11150): f32(60.0),
            (3, 11266): f32(5.5),
            (3, 11416): f32(6.5),
            (3, 11566): f32(7.5),
            (3, 11592): i32(4711),
        },
        {
            "voltage": 221.5,
            "frequency": 60.0,
            "module1_power": 5.5,
            "module2_power": Status.BAD_NO_DATA,
            "module3_power": 7.5,
            "module3_energy": 4711,
        },
    ),
    "janitza-b23": (
        {
            (3, 0x4A38): f32(221.5),
            (3, 0x4A44): f32(12.5),
            (3, 0x4A52): f32(2500.5),
            (3, 0x4A6A): f32(60.0),
            (3, 0x4A7C): f32(9000.0),
        },
        {"voltage_l1": 221.5, "current_l1": 12.5, "power": 2500.5, "frequency": 60.0, "energy": 9000.0},
    ),
    "ls-inverter": (
        {(3, 5): [6000], (3, 9): [105, 5990, 380, 540, 37, 0x0042, 0x0001]},
        {
            "frequency_ref": 60.0,
            "current": 10.5,
            "frequency": 59.9,
            "voltage": 380,
            "dc_voltage": 540,
            "forward": True,
            "trip": False,
        },
    ),
    "abb-acs355": (
        {(3, 3): [1], (3, 101): [1450, 500, 82, 311, 45, 560], (3, 109): [415]},
        {"speed": 1450, "frequency": 50.0, "drive_temperature": 41.5},
    ),
    "mitsubishi-fr-e800": ({(3, 500): [16]}, {"fault": 16}),
    "yokogawa-flxa402": (
        {(3, 0): [0, 0, 0, 0, *f32(25.5), *f32(7.25), *f32(180.0)]},
        {"ph": 7.25, "temperature": 25.5, "sensor_failure": 0},
    ),
    "dacell-dn30w": ({(4, 0): [2], (4, 30): i32(-12345)}, {"load": -123.45}),
    "banner-qm42vt2": ({(3, 5200): [1000]}, {"z_velocity": 2.54}),
    "thermal-care-accuchiller": (
        {(4, 0): f32(50.0), (4, 2): f32(59.0), (4, 4): f32(68.0), (2, 7): [1]},
        {"process_sv": 10.0, "supply_temperature": 15.0, "return_temperature": 20.0, "alarm_first": True},
    ),
    "datakom-dk40": (
        {(3, 7): [72, 85], (3, 21): i32(123456), (3, 27): i32(5)},
        {"pressure": 7.2, "air_end_temperature": 85, "total_hours": 12345.6, "alarms": 5},
    ),
    "vpinstruments-vpflowscope": (
        {
            (3, 26): low_first(f32(850.5)),
            (3, 40): low_first(f32(7.25)),
            (3, 72): low_first(f32(30.5)),
            (3, 136): low_first(f32(99.5)),
        },
        {"flow": 850.5, "pressure": 7.25, "temperature": 30.5, "volume": 99.5},
    ),
    "kemppi-ax-mig": (
        {(4, 0): [215, 243, 0x1452, 140, 3, 2]},
        {
            "current": 215,
            "voltage": 24.3,
            "wire_speed": 8.2,
            "feeder_current": 2.0,
            "gas_flow": 14.0,
            "error_code": 3,
            "arc_on": True,
        },
    ),
    "advantech-adam-4117": ({(3, 0): [32768, 100, 65535]}, {"ch1_raw": 32768, "ch3_raw": 65535}),
    "advantech-adam-6017": ({(3, 0): [32768, 100, 65535]}, {"ch1_raw": 32768, "ch2_raw": 100}),
}
"""What each instrument holds at the addresses of its manual, and what the agent must make of it."""


def test_every_profile_has_its_simulated_instrument() -> None:
    assert [path.stem for path in FILES] == sorted(INSTRUMENTS)


def _bare(name: str) -> str:
    return re.sub(r"^(module|ch)\d+_", "", name)


def site(folder: Path, port: int) -> Loaded:
    """A configuration of nothing but profiles: unit 1, 2, … of one gateway."""
    machines, devices = [], []
    for unit, (name, (_, expected)) in enumerate(INSTRUMENTS.items(), 1):
        machines.append({"name": name, "line": "hall", "class": "instruments"})
        device: dict[str, Any] = {"unit": unit, "profile": name, "machine": name, "interval": "1s", "timeout": "5s"}
        device["points"] = sorted({_bare(tag) for tag in expected})
        if profile(FOLDER / f"{name}.yaml").modules is not None:
            device["modules"] = 3
        devices.append(device)
    link = {"name": "bus", "connector": "modbus", "host": "127.0.0.1", "port": port, "devices": devices}
    whole = {"site": {"name": "test"}, "machines": machines, "links": [link]}
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(whole, allow_unicode=True), "utf-8")
    return load(path, Sections())


@asynccontextmanager
async def instruments() -> AsyncIterator[int]:
    """All of them behind one port; what a manual does not have is not there."""

    def blocks(cells: Cells, function: int) -> list[SimData]:
        """What the manual has, with zeros around it: a request may read over a gap."""
        held = {
            first + at: cell
            for (area, first), words in cells.items()
            if area == function
            for at, cell in enumerate(words)
        }
        if function <= 2:
            return [SimData(0, values=[bool(held.get(at)) for at in range(64)], datatype=DataType.BITS)]
        first, last = max(0, min(held, default=0) - 130), max(held, default=0) + 200
        return [SimData(first, values=[held.get(at, 0) for at in range(first, last)], datatype=DataType.REGISTERS)]

    devices = [
        SimDevice(unit, tuple(blocks(cells, function) for function in (1, 2, 3, 4)))  # type: ignore[arg-type]
        for unit, (cells, _) in enumerate(INSTRUMENTS.values(), 1)
    ]
    server = ModbusTcpServer(devices, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def test_each_instrument_is_read_at_its_real_addresses(tmp_path: Path) -> None:
    async with instruments() as port:
        loaded = site(tmp_path, port)
        (link,) = loaded.config.links
        outlet = Collector()
        task = asyncio.create_task(ModbusConnector(link, loaded.numbers["bus"], SystemClock()).run(outlet))  # type: ignore[arg-type]
        try:
            await outlet.until_all(range(len(loaded.tags)))
        finally:
            task.cancel()
            await asyncio.wait([task])
    wrong = {}
    for name, (_, expected) in INSTRUMENTS.items():
        for tag, value in expected.items():
            found, status, *_ = outlet.latest[loaded.tags.number(f"test/hall/{name}/{tag}")]
            got = Status(status) if isinstance(value, Status) else found
            if got != (value if isinstance(value, Status) else pytest.approx(value, rel=1e-9)):
                wrong[name, tag] = (found, hex(status))
    assert not wrong


def config(*devices: dict[str, Any], **link: Any) -> dict[str, Any]:
    head = {"name": "bus", "connector": "modbus", "host": "127.0.0.1", "machine": "m"} | link
    machines = [{"name": "m", "line": "l", "class": "c"}]
    listed = {key: value for key, value in head.items() if value is not None}
    return {"site": {"name": "s"}, "machines": machines, "links": [listed | {"devices": list(devices)}]}


def loaded_from(folder: Path, whole: dict[str, Any]) -> Loaded:
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(whole, allow_unicode=True), "utf-8")
    return load(path, Sections())


def test_what_the_device_says_wins(tmp_path: Path) -> None:
    own = [{"tag": "zone1_pv", "range": [0, 900], "scale": 0.5}, {"tag": "extra", "address": "HR:9", "type": "int16"}]
    label = {"ko": "1존", "en": "zone 1"}
    device = {"profile": "autonics-tk", "unit": 7, "prefix": "zone1_", "label": label, "max_registers": 8, "tags": own}
    loaded = loaded_from(tmp_path, config(device))
    assert [tag.name for tag in loaded.tags] == ["zone1_pv", "zone1_sv", "zone1_mv", "extra"]
    (section,) = loaded.config.links[0].devices  # type: ignore[attr-defined]
    assert (section.unit, section.max_registers) == (7, 8)
    pv = section.tags[0].point(0, "ABCD")
    assert (pv.scale, pv.scale_from, len(pv.sentinels)) == (0.5, None, 3)
    assert (loaded.tags[0].high, loaded.tags[0].label.ko, loaded.tags[0].label.en) == (
        900,
        "1존 현재온도",
        "zone 1 temperature",
    )


def test_a_serial_line_takes_the_profiles_settings(tmp_path: Path) -> None:
    first, second = {"profile": "omron-e5cc"}, {"profile": "autonics-tk", "unit": 2, "prefix": "z_"}
    link = loaded_from(tmp_path, config(first, second, host=None, port="/dev/serial/by-id/x", baud=19200)).config.links[
        0
    ]
    assert link.place == "/dev/serial/by-id/x (19200 8E1)"  # type: ignore[attr-defined]


def test_a_profile_beside_the_configuration_wins(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    text = (FOLDER / "novus-n1200.yaml").read_text("utf-8").replace("HR:1,", "HR:77,")
    (tmp_path / "profiles" / "novus-n1200.yaml").write_text(text, "utf-8")
    loaded = loaded_from(tmp_path, config({"profile": "novus-n1200"}))
    assert loaded.config.links[0].tag_list()[0].address.wire == 77  # type: ignore[attr-defined]
    assert "novus-n1200" in Shelf(tmp_path).names()


def test_a_manual_that_may_count_differently_is_turned_round_with_one_line(tmp_path: Path) -> None:
    plain = loaded_from(tmp_path, config({"profile": "hanyoung-nx"})).config.links[0].tag_list()[0]
    turned = (
        loaded_from(tmp_path, config({"profile": "hanyoung-nx", "areas": {"D0": "HR:0"}})).config.links[0].tag_list()[0]
    )
    assert (plain.address.wire, turned.address.wire) == (0, 1)  # type: ignore[attr-defined]
    assert turned.valid_from.address.wire == 17  # type: ignore[attr-defined]


def test_drafts_and_too_short_intervals_are_told(tmp_path: Path) -> None:
    fast = {"profile": "delta-dtb", "interval": "100ms", "unit": 2}
    warnings = loaded_from(tmp_path, config({"profile": "mitsubishi-fr-e800"}, fast)).warnings
    told = [one.cause.en for one in warnings if one.code == "EA-154"]
    assert len(told) == 2
    assert "draft" in told[0]
    assert "0.4 s" in told[1]


def test_a_name_that_leads_elsewhere_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded_from(tmp_path, config({"profile": "../site"}))
    assert [one.code for one in caught.value.faults] == ["EA-125"]


def test_what_a_unit_cannot_take_is_left_alone(tmp_path: Path) -> None:
    tags = [{"tag": f"t{at}", "address": f"HR:{at}", "type": "int16"} for at in (0, 1, 5)]
    one = {"unit": 1, "tags": tags, "singles": True, "pause": "20ms"}
    other = {"unit": 2, "machine": "n", "tags": tags, "forbidden": ["HR:2-3"]}
    whole = config(one, other)
    whole["machines"].append({"name": "n", "line": "l", "class": "c"})
    link = loaded_from(tmp_path, whole).config.links[0]
    plans = [
        make_plan(spans_of(points), device.limits)
        for device, points in zip(link.devices, link.points(range(6)), strict=True)  # type: ignore[attr-defined]
    ]
    assert [[block.span[1:] for block in plan.blocks] for plan in plans] == [[(0, 1), (1, 2), (5, 6)], [(0, 2), (5, 6)]]
    with pytest.raises(ConfigError) as caught:
        loaded_from(tmp_path, config({"tags": tags, "forbidden": ["HR:5"]}))
    assert "t5" in caught.value.faults[0].cause.en
