"""The examples that ship: each is checked with the real sections, and says what it claims to say."""

import re
from pathlib import Path

import pytest

from edge_agent.config.loader import Loaded, load
from edge_agent.plant.furnace_points import PLC_POINTS
from edge_agent.plant.press_points import PRESS_POINTS
from edge_agent.registry import Sections
from edge_agent.shipped import shipped

CONFIGS = shipped("configs")
OTHERS = ["mqtt"]
PROCESSES = ["casting", "forming", "heat_treatment", "mould", "surface", "welding"]


def example(process: str) -> Loaded:
    return load(CONFIGS / f"{process}.yaml", Sections())


def test_one_for_each_base_process() -> None:
    assert sorted(path.stem for path in CONFIGS.glob("*.yaml")) == sorted([*PROCESSES, *OTHERS])
    readme = (CONFIGS / "README.md").read_text("utf-8")
    assert all(f"({process}.yaml)" in readme for process in [*PROCESSES, *OTHERS])


def test_the_mqtt_example_has_neither_faults_nor_warnings_and_both_formats() -> None:
    loaded = example("mqtt")
    assert loaded.warnings == ()
    assert [sink.model_dump()["format"] for sink in loaded.config.sinks] == ["json", "sparkplug"]


@pytest.mark.parametrize("process", PROCESSES)
def test_example_has_neither_faults_nor_warnings(process: str) -> None:
    loaded = example(process)
    assert loaded.warnings == ()
    assert len(loaded.tags) >= 20
    assert {link.connector for link in loaded.config.links} <= {"opcua", "modbus"}


@pytest.mark.parametrize("process", PROCESSES)
def test_example_ships_with_a_token_that_systemd_hands_over(process: str) -> None:
    (sink,) = example(process).config.sinks
    assert sink.sink == "influxdb"
    assert sink.model_dump()["token"]["credential"] == "influx-token"


@pytest.mark.parametrize("process", PROCESSES)
def test_example_keeps_its_state_where_the_service_may_write(process: str) -> None:
    config = example(process).config
    assert config.runtime.state == Path("/var/lib/edge-agent")
    assert config.journal.path == Path("/var/lib/edge-agent/journal")


@pytest.mark.parametrize("process", PROCESSES)
def test_every_tag_and_machine_speaks_both_languages(process: str) -> None:
    for tag in example(process).tags:
        assert re.search("[가-힣]|pH|L[123]", tag.label.ko), tag.path
        assert tag.label.en.isascii(), tag.path
        assert tag.machine.label.ko
        assert tag.machine.label.en


@pytest.mark.parametrize("process", PROCESSES)
def test_comments_are_in_both_languages(process: str) -> None:
    lines = (CONFIGS / f"{process}.yaml").read_text("utf-8").splitlines()
    comments = [line for line in lines if line.strip().startswith("#") and len(line.strip()) > 1]
    assert sum(bool(re.search("[가-힣]", line)) for line in comments) >= 10
    assert sum(bool(re.search("[A-Za-z]{3,} [A-Za-z]{2,} ", line)) for line in comments) >= 10


def test_a_table_with_korean_headers_is_among_them() -> None:
    assert "tags_file: surface.csv" in (CONFIGS / "surface.yaml").read_text("utf-8")
    numbers = example("surface").numbers["plating-io"]
    table = (CONFIGS / "surface.csv").read_text("utf-8").splitlines()
    assert table[1].startswith("태그,주소,")
    assert len(numbers) == len(table) - 2


@pytest.mark.parametrize(("process", "points"), [("heat_treatment", PLC_POINTS), ("forming", PRESS_POINTS)])
def test_nodes_are_those_of_the_virtual_plant(process: str, points: tuple) -> None:
    known = {point.node: point for point in points}
    link = next(link for link in example(process).config.links if link.connector == "opcua")
    for tag in link.tag_list():
        node = tag.model_dump()["node"].partition("s=")[2]
        assert (tag.tag, tag.unit, tag.role) == (known[node].name, known[node].unit, known[node].role)
