"""The technician's tools on a serial line: a pseudo-terminal (it has no parity) whose units know one baud rate."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge_agent.cli.app import app
from edge_agent.cli.modbus.door import place_of
from edge_agent.cli.modbus.scanning import traffic_lines
from edge_agent.cli.modbus.serial_line import Heard, Traffic, frames_in, listen, traffic
from edge_agent.cli.modbus.settings import Settings, candidates
from edge_agent.cli.speech import Speech
from edge_agent.config.loader import load
from edge_agent.errors import NotConnected, Unsupported
from edge_agent.registry import Sections
from tests.servers.rtu_unit import RtuLine, framed

CASES = Path(__file__).parents[1] / "cases" / "modbus_screens"
UNITS = {2: [235, 0, 600], 5: [1] * 10}


@pytest.fixture
def line():
    with RtuLine(UNITS, baud=19200, identity=b"\xffTK4S-14RN") as running:
        yield running


def run(*arguments: object, code: int = 0):
    done = CliRunner().invoke(app, ["modbus", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_scan_finds_the_baud_rate_and_the_units(line, language):
    more = ("--units", "2,5", "--no-profiles", "--parity", "N", "--listen", 0.1, "--timeout", 0.5, "--pause", 0)
    found = run("scan", line.path, *more, "-l", language).replace(line.path, "/dev/ttyS1")
    found = found.replace("rs485-" + line.path.rpartition("/")[2], "rs485-ttys1")
    found = re.sub(r"  \d+\.\d  ", "  0.0  ", re.sub(r"(?<=\S) {2,}", "  ", found))
    golden = CASES / f"serial.{language}.txt"
    if os.environ.get("EDGE_AGENT_NEW_CASES"):
        golden.write_text(found, "utf-8")
    assert found == golden.read_text("utf-8")
    assert {frame[1] for frame in line.asked} <= {1, 2, 3, 4, 17, 43}


def test_an_instrument_is_recognised_by_its_profile_and_the_yaml_names_it(tmp_path):
    """An Autonics TK at its real addresses: PV 23.5 with one decimal place."""
    registers = [0] * 1000 + [235, 1, 0, 250, 500, 0, 0, 12]
    with RtuLine({4: registers}, baud=9600, identity=b"\xffAutonics TK4S") as line:
        more = ("--units", "4", "--baud", 9600, "--parity", "N", "--listen", 0, "--timeout", 0.5, "--pause", 0)
        facts = json.loads(run("scan", line.path, *more, "--json"))
        said = run("scan", line.path, *more, "-o", tmp_path / "bus.yaml", "-l", "en")
        plain = json.loads(run("scan", line.path, *more, "--no-profiles", "--json"))
    best = facts["units"][0]["profiles"][0]
    assert best == {"profile": "autonics-tk", "value": 23.5, "named": True, "complete": True}
    assert "autonics-tk (23.5 °C)" in said
    head = "site: {name: s}\nmachines: [{name: m, line: l, class: c}]\n"
    text = (tmp_path / "bus.yaml").read_text("utf-8").replace("connector:", "machine: m\n    connector:")
    (tmp_path / "site.yaml").write_text(head + text, "utf-8")
    (link,) = load(tmp_path / "site.yaml", Sections()).config.links
    assert {tag.tag for tag in link.tag_list()} >= {"pv", "sv", "mv"}
    assert plain["units"][0]["profiles"] == []
    assert {frame[1] for frame in line.asked} <= {1, 2, 3, 4, 17, 43}


def test_registers_of_one_unit_are_read(line):
    done = run(
        "read", line.path, "IR:0", "-u", 2, "-n", 3, "--baud", 19200, "--parity", "e", "--shows", "23.5", "--json"
    )
    facts = json.loads(done)
    assert facts["values"] == [235, 0, 600]
    assert facts["matches"][0] == {"tag": "ir_0", "address": "IR:0", "type": "int16", "scale": 0.1, "value": 23.5}


def test_nobody_answers_at_another_baud_rate(line):
    assert "no answer" in run("read", line.path, "IR:0", "-u", 2, "--baud", 9600, "--timeout", 0.2, code=1)


def test_what_comes_late_or_unasked_is_never_an_answer(line):
    wrong = framed(bytes((2, 4, 2, 0x7F, 0x7F)))
    for noise in (wrong, b"\0\xff" * 3, wrong[:3]):
        line.late = noise
        for _ in range(2):
            facts = json.loads(run("read", line.path, "IR:0", "-u", 2, "-n", 1, "--baud", 19200, "--json"))
            assert facts["values"] == [235]


def test_another_master_is_heard_and_nothing_is_said(line):
    request = framed(bytes((1, 3, 0, 0, 0, 2)))
    answer = framed(bytes((1, 3, 4, 0, 1, 0, 2)))
    told = []

    def heard(at: Settings, seconds: float) -> bytes:
        told.append(at)
        return b"\xf3\x00\x80" * 5 if at.baud != 19200 else b"\x77" + request + answer + request[:5]

    other = traffic(candidates(), 1.0, heard)
    assert other == Traffic(other.bytes, Settings(19200, "E", 1), [Heard(1, 3), Heard(1, 3)])
    assert "the line is 19200 8E1, units 1, function codes 03" in "\n".join(traffic_lines(other, Speech("en")))
    assert "아무것도 보내지 않았습니다" in "\n".join(traffic_lines(Traffic(7), Speech("ko")))
    assert traffic(candidates(), 1.0, lambda at, seconds: b"") is None
    odd = traffic(candidates(), 1.0, lambda at, seconds: None if at.parity == "N" else heard(at, seconds))
    assert odd is not None, "a port that does not know the first setting is not a quiet line"
    with line.talking(request + answer):
        assert frames_in(listen(place_of(line.path, Settings(19200)).section, 2.0))
        said = run("scan", line.path, "--baud", 19200, "--listen", 2, "-l", "en", code=1)
        told = json.loads(run("scan", line.path, "--baud", 19200, "--listen", 2, "--json", code=1))
    assert "Nothing was sent" in said
    assert (told["heard"], told["line"][:5]) == ([[1, 3]], "19200")
    assert line.asked == []


def test_the_settings_to_try_are_narrowed():
    assert [str(one) for one in candidates(19200)] == ["19200 8E1", "19200 8N2"]
    assert {one.parity for one in candidates(parity="O")} == {"O"}
    assert [str(one) for one in candidates(1200)] == ["1200 8N2", "1200 8E1", "1200 8O1"]
    assert len(candidates()) == len(set(candidates())) > 8
    assert Settings(9600, "E", 1).keys == {"baud": 9600, "parity": "even"}


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(1, 247), st.integers(0, 65535), st.integers(1, 125))
def test_frames_are_found_wherever_they_begin(noise, unit, first, count):
    request = bytes((unit, 3)) + first.to_bytes(2, "big") + count.to_bytes(2, "big")
    answer = bytes((unit, 3, 2 * count)) + bytes(2 * count)
    heard = frames_in(framed(request) + framed(answer) + framed(bytes((unit, 0x83, 2))) + noise)
    assert heard[:3] == [Heard(unit, 3)] * 3
    frames_in(noise)


def test_ports_that_are_none_say_why(tmp_path):
    with pytest.raises(NotConnected) as refused:
        run("read", tmp_path / "ttyUSB9", "HR:0")
    assert "변환기가 꽂혀 있는지" in refused.value.hint.ko
    with pytest.raises(Unsupported):
        run("read", tmp_path / "ttyUSB9", "HR:0", "--parity", "X")
