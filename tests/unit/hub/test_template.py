"""What `edge-agent hub template` writes, file by file; the same bytes every time.

After a change: `python -m tests.unit.hub.test_template` writes the expected files anew; read the difference.
"""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edge_agent.api import EdgeAgentError, Role, Tag, TagTable
from edge_agent.cli.hub import apply, write_template
from edge_agent.hub.catalogue import Conflict, catalogue_of
from edge_agent.hub.grafana import dashboard
from edge_agent.hub.pages import MOST_FIELDS, pages
from edge_agent.model import Label, Machine

CASE = Path(__file__).parents[2] / "cases" / "hub_template"
KINDS = {"Bucket", "Variable", "Dashboard"}


def written(folder: Path, *configs: Path, language: str = "ko") -> dict[str, str]:
    write_template(configs, folder, "edge", 90, language, io.StringIO())
    return {str(p.relative_to(folder)): p.read_text("utf-8") for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_files_are_as_expected(tmp_path: Path) -> None:
    expected = CASE / "expected"
    names = {str(p.relative_to(expected)) for p in expected.rglob("*") if p.is_file()}
    files = written(tmp_path, CASE / "config.yaml")
    assert files.keys() == names
    for name, text in files.items():
        assert text == (expected / name).read_text("utf-8"), name


def test_another_process_and_another_hash_seed_write_the_same_bytes(tmp_path: Path) -> None:
    here = written(tmp_path / "here")
    command = [sys.executable, "-m", "edge_agent", "hub", "template", "--output", str(tmp_path / "there"), "-l", "ko"]
    subprocess.run(command, check=True, timeout=50, capture_output=True)
    there = {name: (tmp_path / "there" / name).read_text("utf-8") for name in here}
    assert here == there


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_class_of_the_six_examples_has_its_dashboards_in_both(tmp_path: Path, language: str) -> None:
    files = written(tmp_path, language=language)
    documents = list(yaml.safe_load_all(files["influxdb-template.yaml"]))
    assert {one["kind"] for one in documents} == KINDS
    names = [one["metadata"]["name"] for one in documents]
    assert len(names) == len(set(names))
    boards = [one for one in documents if one["kind"] == "Dashboard"]
    grafana = {name: json.loads(text) for name, text in files.items() if name.endswith(".json")}
    assert {one["spec"]["name"] for one in boards} == {one["title"] for one in grafana.values()}
    assert len({one["uid"] for one in grafana.values()}) == len(grafana) == 10
    label = "1존 현재온도" if language == "ko" else "zone 1 temperature"
    assert label in files["influxdb-template.yaml"]
    assert label in files["grafana/heat_treatment.json"]
    for board in grafana.values():
        spots = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
        assert len(spots) == len(set(spots))
        assert all(x + w <= 24 for x, _, w, _ in spots)


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EdgeAgentError, match="cannot be used"):
        written(tmp_path / "file" / "below", CASE / "config.yaml")
    with pytest.raises(EdgeAgentError, match="hub template"):
        apply(tmp_path, "http://127.0.0.1:1", "org", None, "ko", io.StringIO())


def tag(name: str, unit: str = "", **more: object) -> Tag:
    return Tag(name, Machine("s", "l", "m", "furnace"), "link", unit=unit, **more)  # type: ignore[arg-type]  # a test's


@pytest.mark.parametrize(("language", "name", "texts"), [("ko", "모드 (1\\/2)", "정지 운전"), ("en", "mode", "off on")])
def test_grafana_shows_what_the_numbers_of_a_state_mean(language: str, name: str, texts: str) -> None:
    label, states = Label("모드 (1/2)", "mode"), ((0, Label("정지", "off")), (2, Label("운전", "on")))
    found = catalogue_of([TagTable([tag("a", role=Role.STATE, label=label, states=states), tag("b", role=Role.STATE)])])
    board = dashboard(pages(found, "edge", language)[0], language)
    panel = next(one for one in board["panels"] if "상태" in one["title"])
    (override,) = panel["fieldConfig"]["overrides"]
    pattern = name.replace("(", "\\(").replace(")", "\\)")
    assert override["matcher"] == {"id": "byRegexp", "options": f"/ {pattern}$/"}
    options = override["properties"][0]["value"][0]["options"]
    assert {number: option["text"] for number, option in options.items()} == dict(zip("02", texts.split(), strict=True))


def test_the_same_field_in_two_units_is_said() -> None:
    found = catalogue_of([TagTable([tag("a", "°C")]), TagTable([tag("a", "K"), tag("b")])])
    assert found.conflicts == (Conflict("furnace", "a", ("°C", "K")),)
    assert [(one.name, one.unit) for one in found.classes[0].fields] == [("a", "°C"), ("b", "")]


def test_what_comes_on_change_is_held_and_what_comes_by_itself_shows_its_gaps() -> None:
    tags = [
        tag("pv", "A"),
        tag("quick", "A", interval_ns=100_000_000),
        tag("on", role=Role.STATE),
        tag("x", interval_ns=0),
    ]
    page = pages(catalogue_of([TagTable(tags)]), "edge", "en")[0]
    kinds = {panel.kind: panel for panel in page.panels}
    assert "fill(null)" in kinds["lines"].influxql[0]
    assert "createEmpty: true" in kinds["lines"].flux
    assert kinds["lines"].spacing == 2.0, "twice the slowest interval: no empty window between two values"
    assert "fill(none)" in kinds["steps"].influxql[0]


def test_a_chart_holds_no_more_lines_than_an_eye_can_follow() -> None:
    tags = TagTable([tag(f"t{i}", "A") for i in range(20)])
    charts = [panel for panel in pages(catalogue_of([tags]), "edge", "en")[0].panels if panel.kind == "lines"]
    assert [panel.influxql[0].count("mean(") for panel in charts] == [MOST_FIELDS, MOST_FIELDS, 4]
    assert [panel.title.en for panel in charts] == ["Current (A) 1", "Current (A) 2", "Current (A) 3"]


if __name__ == "__main__":
    written(CASE / "expected", CASE / "config.yaml")
