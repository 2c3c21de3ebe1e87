"""The demo's configuration is one that the agent takes, with the tags that the plant has."""

from pathlib import Path

import pytest

from edge_agent.config.loader import load
from edge_agent.plant.demo_config import (
    FURNACE,
    INSTRUMENTS,
    PRESS,
    Influx,
    demo_config,
    expected_paths,
    write_demo_config,
)
from edge_agent.plant.furnace_points import FURNACE_FAULTS
from edge_agent.plant.press_points import PRESS_FAULTS
from edge_agent.registry import Sections

PORTS = {INSTRUMENTS: 5020, FURNACE: 4841, PRESS: 4842}


@pytest.mark.parametrize("influx", [None, Influx("http://127.0.0.1:8086", "o", "b")])
def test_it_loads_without_a_fault(tmp_path: Path, influx: Influx | None) -> None:
    path = tmp_path / "demo.yaml"
    write_demo_config(path, demo_config(PORTS, influx=influx))
    loaded = load(path, Sections())
    assert list(loaded.tags.paths) == expected_paths()
    assert [link.name for link in loaded.config.links] == [INSTRUMENTS, FURNACE, PRESS]
    assert len(loaded.config.sinks) == (influx is not None)


def test_every_tag_is_named_in_both_languages_and_analogues_have_a_range(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    write_demo_config(path, demo_config(PORTS))
    for tag in load(path, Sections()).tags:
        assert tag.label.ko
        assert tag.label.en
        assert tag.label.ko != tag.label.en
        assert (tag.low is not None) or tag.role.value not in ("pv", "mv"), tag.path


def test_a_token_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUX_TOKEN", "s3cret-token")
    path = tmp_path / "demo.yaml"
    write_demo_config(path, demo_config(PORTS, influx=Influx("http://127.0.0.1:8086", "o", "b")))
    assert "s3cret-token" not in path.read_text("utf-8")


def test_faults_affect_tags_that_there_are() -> None:
    names = {path.partition("/")[2].partition("/")[2] for path in expected_paths()}
    for machine, kinds in (("ht1", FURNACE_FAULTS), ("press200", PRESS_FAULTS)):
        for kind in kinds:
            assert {f"{machine}/{tag}" for tag in kind.affected} <= names, kind.name
    assert len({kind.code for kind in (*FURNACE_FAULTS, *PRESS_FAULTS)}) == 19
