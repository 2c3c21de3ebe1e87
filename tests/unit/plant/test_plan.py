"""The plan of a plant: what a file means, and that each of its faults is found with its place and its cure."""

from pathlib import Path

import pytest

from edge_agent.config.report import error_text
from edge_agent.errors import ConfigError
from edge_agent.plant.order import Order
from edge_agent.plant.plan import Breakage, Plan, read_plan
from edge_agent.plant.server import MACHINE_OF, faults_of
from edge_agent.shipped import shipped


def plan_of(tmp_path: Path, text: str) -> Plan:
    path = tmp_path / "plant.yaml"
    path.write_text(text, "utf-8")
    return read_plan(path)


def test_the_sample_is_a_plan_of_every_server() -> None:
    plan = read_plan(shipped("configs") / "plant" / "sample.yaml")
    assert set(plan.servers) == set(MACHINE_OF)
    assert len(set(plan.servers.values())) == len(plan.servers)
    assert plan.faults


def test_orders_come_in_the_order_of_time(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "seed: 4\nservers: [{server: press-plc}]\nfaults:\n"
        "- {machine: press200, fault: brake, at: 50, until: 60, severity: 0.5, grow: 3}\n"
        "- {machine: press200, fault: brake, at: 10, until: 20}\n",
    )
    assert (plan.seed, plan.servers) == (4, {"press-plc": 0})
    assert plan.orders("press200") == [
        "fault brake@10.0:1.0", "clear brake@20.0", "fault brake@50.0:0.5:3.0", "clear brake@60.0",
    ]  # fmt: skip
    assert all(Order.parse_line(line) for line in plan.orders("press200"))
    assert plan.orders("ht1") == []
    more = plan.with_faults((Breakage("press200", Order("lube")),))
    assert "fault lube@0.0:1.0" in more.orders("press200")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("servers: [{server: press-plc}]\nsede: 1\n", 2, "unknown key sede"),
        ("servers:\n- {server: pres-plc}\n", 2, "one of: furnace-instruments"),
        ("servers:\n- {server: press-plc, port: 70000}\n", 2, "from 1 to 65535"),
        ("servers:\n- {server: press-plc, port: 7}\n- {server: furnace-plc, port: 7}\n", 3, "twice"),
        ("seed: x\nservers: [{server: press-plc}]\n", 1, "a whole number"),
        ("speed: 500\nservers: [{server: press-plc}]\n", 1, "from 0.1 to 100"),
        ("seed: 1\n", 1, "no server"),
        ("servers: press-plc\n", 1, "must be a list"),
        ("servers:\n- press-plc\n", 2, "not of the form"),
        ("servers: [{server: press-plc}]\nfaults:\n- {machine: ht1, fault: fan}\n", 3, "one of: press200"),
        ("servers: [{server: press-plc}]\nfaults:\n- {machine: press200, fault: fan}\n", 3, "one of: tool_wear"),
        ("servers: [{server: press-plc}]\nfaults:\n- {machine: press200, fault: lube, at: 9, until: 5}\n", 3, "until"),
        ("servers: [\n", 1, "EA-101"),
    ],
)
def test_a_fault_of_the_file_has_its_line_cause_and_cure(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(tmp_path, text)
    first = caught.value.faults[0]
    assert first.line == line
    shown = error_text(caught.value, "en")
    assert said in shown
    assert f"plant.yaml:{line}:" in shown
    assert any("가" <= sign <= "힣" for sign in error_text(caught.value, "ko"))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_plan(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("machine", sorted(set(MACHINE_OF.values())))
def test_every_machine_knows_its_faults(machine: str) -> None:
    names = [fault.name for fault in faults_of(machine)]
    assert len(names) == len(set(names)) >= 9
