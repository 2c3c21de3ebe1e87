"""A Modbus link as it is written: what is read, what is filled in, and what is refused in which words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

import connectors.modbus
from connectors.modbus.address import Address
from connectors.modbus.config import STATUS, ModbusDevice, ModbusLink, ModbusTag
from connectors.modbus.point import WORDS, Condition, ScaleFrom, Sentinel
from edge_agent.api import Status
from edge_agent.registry import link_section, make_connector
from tests.unit.modbus.test_wire import StillClock

FOLDER = Path(connectors.modbus.__file__).parent


def link(*tags: dict[str, Any], **device: Any) -> ModbusLink:
    tags = tags or ({"tag": "pv", "address": "HR:0", "type": "int16"},)
    listed = [{"tag": f"t{i}", **tag} for i, tag in enumerate(tags)]
    head = {"name": "furnace-1", "connector": "modbus", "host": "10.0.0.7"}
    return ModbusLink.model_validate(head | {"devices": [{"tags": listed, **device}]})


def faults(*tags: dict[str, Any], **device: Any) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as caught:
        link(*tags, **device)
    return [dict(error) for error in caught.value.errors()]


def test_defaults_are_those_of_a_careful_client() -> None:
    made = link()
    (device,) = made.devices
    assert (made.port, made.connect_timeout, made.shared) == (502, 5.0, False)
    assert (device.unit, device.interval, device.timeout, device.window) == (1, 1.0, 1.0, 4)
    assert (device.max_registers, device.max_bits, device.max_gap, device.order) == (125, 2000, 124, "ABCD")


def test_tags_come_in_order_with_machine_and_interval_filled_in() -> None:
    def device(unit: int, machine: str, *tags: dict[str, Any]) -> dict[str, Any]:
        return {"unit": unit, "machine": machine, "interval": "200ms", "tags": tags}

    made = ModbusLink.model_validate(
        {
            "name": "gw",
            "connector": "modbus",
            "host": "gw",
            "machine": "hall",
            "devices": [
                device(1, "", {"tag": "a", "address": "CO:0"}, {"tag": "b", "address": "CO:1", "machine": "press"}),
                device(2, "oven", {"tag": "c", "address": "CO:0"}, {"tag": "d", "address": "CO:1", "interval": "10s"}),
            ],
        }
    )
    listed = made.tag_list()
    assert [(t.tag, t.machine, t.interval) for t in listed] == [
        ("a", "hall", 0.2),
        ("b", "press", 0.2),
        ("c", "oven", 0.2),
        ("d", "oven", 10.0),
    ]
    assert [[p.number for p in points] for points in made.points([9, 8, 7, 6])] == [[9, 8], [7, 6]]
    assert made.tag_list() == listed


@pytest.mark.parametrize(
    ("units", "gateway", "shared"),
    [([1], None, False), ([1], True, True), ([1, 2], None, True), ([1, 2], False, False), ([1, 1], None, False)],
)
def test_several_units_wait_for_each_other_unless_told(units: list[int], gateway: bool | None, shared: bool) -> None:
    devices = [{"unit": u, "tags": [{"tag": "t", "address": "CO:0"}]} for u in units]
    head = {"name": "a", "connector": "modbus", "host": "h", "gateway": gateway}
    assert ModbusLink.model_validate(head | {"devices": devices}).shared is shared


def test_a_tag_in_full() -> None:
    made = link(
        {"tag": "pv", "address": 31001, "type": "int16", "scale": 0.1, "sentinels": {31000: "sensor_open"}},
        {"tag": "run", "address": "40010.3"},
        {"tag": "recipe", "address": "HR:100", "text": 12, "encoding": "cp949"},
        {"tag": "energy", "address": "HR:3203", "type": "int64", "order": "CDAB"},
        order="DCBA",
    )
    pv, run, recipe, energy = made.points([0, 1, 2, 3])[0]
    assert (pv.address, pv.type, pv.order, pv.scale) == (Address(4, 1000), "int16", "DCBA", 0.1)
    assert pv.sentinels == (Sentinel(31000, Status.BAD_SENSOR_FAILURE),)
    assert (run.type, run.address.bit) == ("bool", 3)
    assert (recipe.type, recipe.size, recipe.encoding) == ("text", 12, "cp949")
    assert recipe.span.end - recipe.span.start == 6
    assert energy.order == "CDAB"
    assert link({"address": "HR:1", "type": "text9"}).points([0])[0][0].span.end == 6


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ({"address": 3000, "type": "int16"}, "address_ambiguous"),
        ({"address": "0x3E8", "type": "int16"}, "address_function"),
        ({"address": "40000", "type": "int16"}, "address_range"),
        ({"address": "D100", "type": "int16"}, "address_unknown"),
        ({"address": "CO:1.1"}, "address_bit"),
        ({"address": "HR:65535", "type": "int32"}, "address_range"),
        ({"address": "HR:1"}, "type_missing"),
        ({"address": "HR:1", "type": "int16", "text": 4}, "type_missing"),
        ({"address": "HR:1", "type": "int17"}, "type_unknown"),
        ({"address": "HR:1", "type": "text0"}, "type_unknown"),
        ({"address": "HR:1", "type": "text251"}, "type_unknown"),
        ({"address": "HR:1", "type": "bool"}, "type_mismatch"),
        ({"address": "CO:1", "type": "int16"}, "type_mismatch"),
        ({"address": "HR:1.2", "text": 4}, "type_mismatch"),
        ({"address": "HR:1", "type": "int16", "scale": 0}, "scale_zero"),
        ({"address": "CO:1", "scale": 0.1}, "scale_useless"),
        ({"address": "HR:1", "text": 4, "sentinels": {1: "sensor_open"}}, "scale_useless"),
        ({"address": "HR:1", "type": "int16", "sentinels": {65536: "sensor_open"}}, "sentinel_range"),
        ({"address": "HR:1", "type": "uint16", "sentinels": {-32769: "sensor_open"}}, "sentinel_range"),
        ({"address": "HR:1", "type": "int64", "interval": "10ms"}, "interval_too_short"),
    ],
)
def test_refusals_say_what_and_how_in_both_languages(tag: dict[str, Any], kind: str) -> None:
    (fault,) = [f for f in faults(tag) if f["type"] == kind]
    assert fault["msg"] == fault["ctx"]["en"]
    for key in ("ko", "en", "cure_ko", "cure_en"):
        assert fault["ctx"][key]


@pytest.mark.parametrize(
    ("tag", "where"),
    [
        ({"address": "HR:1", "type": "int16", "order": "ACBD"}, "order"),
        ({"address": "HR:1", "type": "int16", "scale": "0.1"}, "scale"),
        ({"address": "HR:1", "type": "int16", "scale": float("inf")}, "scale"),
        ({"address": "HR:1", "type": "int16", "sentinels": {1: "broken"}}, "1"),
        ({"address": "HR:1", "type": "int16", "skale": 1}, "skale"),
        ({"type": "int16"}, "address"),
    ],
)
def test_plain_mistakes_are_located(tag: dict[str, Any], where: str) -> None:
    assert any(str(fault["loc"][-1]) == where or where in map(str, fault["loc"]) for fault in faults(tag))


@pytest.mark.parametrize(
    "device",
    [{"unit": 256}, {"window": 0}, {"max_registers": 126}, {"interval": "0ms"}, {"timeout": 1}, {"max_gap": -1}],
)
def test_limits_of_a_device(device: dict[str, Any]) -> None:
    assert faults(**device)


def test_a_value_wider_than_a_request_is_refused() -> None:
    assert faults({"address": "HR:1", "type": "float64"}, max_registers=2)[0]["type"] == "type_too_wide"


def test_one_fault_is_one_fault() -> None:
    """An item that is wrong must not also make its list look empty."""
    assert [fault["type"] for fault in faults({"address": 3000, "type": "int16"})] == ["address_ambiguous"]
    with pytest.raises(ValidationError) as caught:
        ModbusLink.model_validate({"name": "a", "connector": "modbus", "host": "h", "devices": []})
    assert [error["type"] for error in caught.value.errors()] == ["list_empty"]


def test_every_reason_of_a_sentinel_is_a_bad_status() -> None:
    assert all(status >= 1 << 31 for status in STATUS.values())


def test_the_registry_knows_it() -> None:
    assert link_section("modbus") is ModbusLink
    assert make_connector(link(), [0], StillClock()).silence > 5


def test_the_sample_is_a_valid_configuration_and_stands_in_the_readme() -> None:
    sample = (FOLDER / "sample.yaml").read_text("utf-8")
    links = yaml.safe_load(sample)["links"]
    made = [ModbusLink.model_validate(section) for section in links]
    assert len(made) == 2
    assert all(len(section.tag_list()) > 0 for section in made)
    assert sample.strip() in (FOLDER / "README.md").read_text("utf-8")


def test_the_readme_names_every_setting() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    settings = {*ModbusLink.model_fields, *ModbusDevice.model_fields, *ModbusTag.model_fields, *STATUS, *WORDS}
    assert [name for name in sorted(settings) if f"`{name}`" not in readme] == []


def test_the_configuration_is_light_to_import() -> None:
    heavy = "('pymodbus', 'numba', 'asyncua')"
    code = f"import sys, connectors.modbus.config; print(*(m for m in {heavy} if m in sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_what_other_registers_say_of_a_tag() -> None:
    made = link(
        {"address": "HR:0", "type": "int16", "scale_from": "HR:1", "clamp": [0, 100]},
        {
            "address": "HR:2",
            "type": "int16",
            "scale": 0.5,
            "scale_from": {"address": "IR:9", "kind": "factor"},
            "valid_from": {"address": "HR:3", "good": 1, "reason": "not_ready"},
        },
        {"address": "HR:4", "type": "uint8", "byte": "high", "order": "CDAB"},
        {"address": "HR:5", "type": "uint16", "mask": "0x00F0", "sentinels": {"0x0F": "device_error"}},
        {"address": "HR:6", "type": "int16", "valid_from": {"address": "HR:7", "bits": {0: "sensor_open"}}},
    )
    first, second, high, field, last = made.points(range(5))[0]
    assert (first.scale_from, first.clamp) == (ScaleFrom(Address(3, 1)), (0.0, 100.0))
    assert second.scale_from == ScaleFrom(Address(4, 9), "factor")
    assert second.conditions == (Condition(Address(3, 3), 0xFFFF, 1, Status.BAD_WAITING_FOR_INITIAL_DATA, unless=True),)
    assert high.order == "DCBA"
    assert (field.mask, field.sentinels) == (0xF0, (Sentinel(15, Status.BAD_DEVICE_FAILURE),))
    assert last.conditions == (Condition(Address(3, 7), 1, 1, Status.BAD_SENSOR_FAILURE),)


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ({"type": "float32", "mask": 3}, "mask_useless"),
        ({"type": "uint16", "mask": "0x10000"}, "mask_range"),
        ({"type": "uint16", "byte": "high"}, "byte_useless"),
        ({"type": "int16", "clamp": [5, 5]}, "clamp_order"),
        ({"text": 4, "clamp": [0, 5]}, "scale_useless"),
        ({"text": 4, "scale_from": "HR:1"}, "scale_useless"),
        ({"type": "int16", "scale_from": "CO:1"}, "address_register"),
        ({"type": "int16", "scale_from": 3000}, "address_ambiguous"),
        ({"type": "int16", "valid_from": {"address": "HR:1"}}, "valid_from"),
        ({"type": "int16", "valid_from": {"address": "HR:1", "good": 1, "bits": {0: "sensor_open"}}}, "valid_from"),
        ({"type": "bcd16", "sentinels": {70000: "sensor_open"}}, "sentinel_range"),
    ],
)
def test_refuses_what_cannot_be_meant(tag: dict[str, Any], kind: str) -> None:
    assert [fault["type"] for fault in faults({"address": "HR:0"} | tag)] == [kind]
