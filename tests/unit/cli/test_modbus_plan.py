"""`edge-agent modbus plan`: its screens stand in tests/cases; what it says can be done can be done."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from connectors.modbus.known import Known
from connectors.modbus.learned import Learned
from connectors.modbus.load import Serial
from connectors.modbus.point import Span
from edge_agent.api import SystemClock
from edge_agent.cli.app import app
from edge_agent.cli.modbus.planning import facts, link_plan, loaded_of, modbus_links
from edge_agent.errors import ConfigError, Unsupported
from edge_agent.memory import Memories

CASE = Path(__file__).parents[2] / "cases" / "modbus_plan"
SITE = CASE / "site.yaml"


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["modbus", "plan", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize(
    ("name", "more", "code"), [("network", (), 0), ("baud", ("--baud", 1200), 1), ("full", ("--baud", 2400), 0)]
)
def test_a_plan_is_as_it_stands_in_the_case(name, more, code, language):
    found, golden = run(SITE, *more, "-l", language, code=code), CASE / f"{name}.{language}.txt"
    if os.environ.get("EDGE_AGENT_NEW_CASES"):
        golden.write_text(found, "utf-8")
    assert found == golden.read_text("utf-8")


def test_as_json_for_programs():
    (link,) = json.loads(run(SITE, "--baud", 1200, "--json", code=1))["links"]
    assert (link["link"], link["baud"], link["met"]) == ("bus", 1200, False)
    asked = [(r["function"], r["address"], r["count"], r["unused"]) for d in link["devices"] for r in d["requests"]]
    assert (4, 1000, 7, 4) in asked
    assert {tag for d in link["devices"] for r in d["requests"] for tag in r["tags"]} >= {"zone1_pv", "lamp", "far"}
    assert sum(device["load"] for device in link["devices"]) == pytest.approx(link["load"], abs=1e-5)
    assert {remedy["kind"] for remedy in link["remedies"]} >= {"baud", "interval"}


def test_a_remedy_heals():
    (link,) = modbus_links(loaded_of(SITE), SITE)
    ill = facts(link_plan(link, Serial(1200)))
    faster = next(remedy["value"] for remedy in ill["remedies"] if remedy["kind"] == "baud")
    assert facts(link_plan(link, Serial(int(faster))))["met"]
    slower = next(remedy["value"] for remedy in ill["remedies"] if remedy["kind"] == "interval")
    eased = [device.model_copy(update={"interval": device.interval * slower}) for device in link.devices]
    assert facts(link_plan(link.model_copy(update={"devices": tuple(eased)}), Serial(1200)))["met"]


def test_what_has_no_plan_says_so(tmp_path):
    other = tmp_path / "opcua.yaml"
    other.write_text(
        "site: {name: s}\nmachines: [{name: m, line: l, class: c}]\nlinks:\n  - {name: u, connector: opcua, machine: m,"
        ' url: "opc.tcp://h:4840", tags: [{tag: a, node: "ns=2;i=1"}]}\n',
        "utf-8",
    )
    with pytest.raises((Unsupported, ConfigError)) as refused:
        run(other)
    assert isinstance(refused.value, Unsupported), refused.value.faults
    with pytest.raises(ConfigError):
        run(tmp_path / "none.yaml")


def test_what_the_agent_learned_is_in_the_plan(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(f"runtime: {{state: {tmp_path}}}\n" + SITE.read_text("utf-8"), "utf-8")
    (link,) = modbus_links(loaded_of(site), site)
    memory = Memories(tmp_path / "learned").of("bus")
    learned = Learned(link, link.place, link.points(range(12)), SystemClock(), memory)
    sizes = np.arange(100.0) % 40
    learned.trips.add(sizes, 0.02 + sizes * 0.001)
    refused = {Span(3, 8, 10): 2}
    learned.keep([Known(), Known(refused, registers=4)], broken=False)
    memory.write(memory.take())
    said = run(site, "-l", "en")
    assert "as measured on this link: 20 ms a request" in said
    assert "learned by the agent: at most 4 registers a request, FC03 8-9: no such address (exception 2)" in said
    (told,) = json.loads(run(site, "--json"))["links"]
    asked = [(r["function"], r["address"], r["count"]) for r in told["devices"][1]["requests"]]
    assert [one for one in asked if one[0] == 3] == [(3, 0, 4), (3, 4, 4), (3, 10, 2), (3, 5000, 4)]
    assert (told["devices"][1]["max_registers"], told["devices"][1]["refused"]) == (4, [[3, 8, 10, 2]])
    (tmp_path / "learned" / "bus.json").write_bytes(b"torn")
    assert "reckoned at 3 ms" in run(site, "-l", "en")
