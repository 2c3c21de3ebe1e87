"""`edge-agent modbus read`, `scan` and `check --live` against libmodbus: a server whose every register is known."""

import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.modbus.address import Address
from edge_agent.api import SystemClock
from edge_agent.cli.app import app
from edge_agent.cli.modbus.door import opened, place_of
from edge_agent.cli.modbus.reading import Order, read
from edge_agent.cli.modbus.scanning import Order as Scanning
from edge_agent.cli.modbus.scanning import lines
from edge_agent.cli.modbus.survey import Manner, Survey, survey
from edge_agent.cli.speech import Speech
from edge_agent.config.loader import load
from edge_agent.errors import NotConnected, Unsupported
from edge_agent.registry import Sections
from tests.fixtures_servers import require_service
from tests.servers.cache import MissingService
from tests.servers.process import free_port
from tests.servers.sources import MbServer

CASES = Path(__file__).parents[1] / "cases" / "modbus_screens"
ILLEGAL = ((100, 110), (210, 219))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Ticks never: its values stand still."""
    try:
        running = MbServer(tmp_path_factory.mktemp("mb"), units=(1, 3, 7), illegal=ILLEGAL, ticks=0, port=free_port())
    except MissingService as missing:
        require_service(missing.name, missing.how)
    with running:
        yield running


def run(*arguments: object, code: int = 0):
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "110"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def golden(name: str, text: str, server: MbServer) -> None:
    """The screen, without the port and the times."""
    text = re.sub(r"\b\d+ ms", "0 ms", text.replace(f":{server.port}", ":502").replace(f" {server.port}", " 502"))
    text = re.sub(r"  \d+\.\d  (?=\D)", "  0.0  ", re.sub(r"(?<=\S) {2,}", "  ", text))
    path = CASES / name
    if os.environ.get("EDGE_AGENT_NEW_CASES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def at(server: MbServer) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("language", ["ko", "en"])
def test_all_that_registers_can_mean_side_by_side(server, language):
    done = run("modbus", "read", at(server), "HR:10", "-u", 3, "--shows", "12293.0", "-l", language)
    golden(f"read.{language}.txt", done.stdout, server)
    assert f"1. {server.float_at(10, 3, 0):.7g}  (HR:10 float32)" in done.stdout


def test_without_a_guess_the_words_as_they_are(server):
    assert run("modbus", "read", at(server), "40011", "-n", 2).stdout.splitlines()[1:] == [
        "address   hex  uint16  int16",
        "HR:10    4580   17792  17792",
        "HR:11    2800   10240  10240",
    ]
    coils = run("modbus", "read", at(server), "CO:7", "-n", 3, "-u", 7).stdout.split()
    assert coils[-6:] == ["CO:7", "0", "CO:8", "1", "CO:9", "0"]


def test_as_json_for_programs(server):
    done = json.loads(run("modbus", "read", at(server), "HR:10", "-n", 2, "--shows", "4101", "--json").stdout)
    assert (done["unit"], done["address"], done["outcome_text"], done["values"]) == (1, "HR:10", "ok", [17792, 10240])
    assert done["matches"][0] == {"tag": "hr_10", "address": "HR:10", "type": "float32", "value": 4101.0}
    kinds = {(guess["type"], guess["order"]) for guess in done["guesses"]}
    assert {
        (kind, order) for kind in ("int32", "uint32", "float32") for order in ("ABCD", "CDAB", "BADC", "DCBA")
    } <= kinds


def test_what_the_device_does_not_have_is_said_and_the_rest_is_read(server):
    done = run("modbus", "read", at(server), "HR:98", "--shows", "4145")
    assert "HR:100, HR:101: no such address (exception 2)" in done.stdout
    assert "1. 4145  (HR:98 float32)" in done.stdout
    assert "no such address" in run("modbus", "read", at(server), "HR:100", "--guess", code=1).stdout
    assert "no answer" in run("modbus", "read", at(server), "HR:0", "-u", 9, "--timeout", 0.2, code=1).stdout


def talk(server, *answers, shown="", where="HR:10", **more):
    """The conversation with a technician who says these words; its end as (exit code, questions, printed)."""
    import io

    said, asked, out = list(answers), [], io.StringIO()

    def ask(question):
        asked.append(question)
        return said.pop(0)

    address = Address(3, int(where.removeprefix("HR:")))
    order = Order(place_of(at(server)), address, Speech("ko"), 1, guess=True, shown=shown, **more)
    code = read(order, out, ask)
    assert not said
    return code, asked, out.getvalue()


def test_yes_writes_what_the_configuration_reads(server, tmp_path):
    code, asked, out = talk(server, "4101", "1", "예", output=tmp_path / "one.yaml")
    assert code == 0, out
    assert asked[-1].startswith("4101  표시기에 이 값이 보입니까?")
    head = "site: {name: s}\nmachines: [{name: m, line: l, class: c}]\n"
    text = (tmp_path / "one.yaml").read_text("utf-8").replace("connector:", "machine: m\n    connector:")
    (tmp_path / "site.yaml").write_text(head + text, "utf-8")
    (link,) = load(tmp_path / "site.yaml", Sections()).config.links
    assert (link.host, link.port) == ("127.0.0.1", server.port)
    (tag,) = link.tag_list()
    assert (tag.address, tag.type, tag.order) == (Address(3, 10), "float32", None)


def test_the_neighbour_is_found_and_no_writes_nothing(server):
    code, _, out = talk(server, "", "2", "n")
    assert code == 1
    assert "links:" not in out
    code, asked, out = talk(server, "", shown="4102")
    assert "4102  (HR:12 float32)" in out
    assert (code, len(asked)) == (1, 1)
    code, _, out = talk(server, shown="77777")
    assert (code, "하나 앞이나 뒤로" in out) == (1, True)


def test_places_that_can_not_be_reached_say_why(server):
    with pytest.raises(NotConnected):
        run("modbus", "read", f"127.0.0.1:{free_port()}", "HR:0")
    over_rtu = place_of("rtu_over_tcp://10.0.0.5:4001")
    assert over_rtu.keys == {"transport": "rtu_over_tcp", "host": "10.0.0.5", "port": 4001}
    assert (over_rtu.name, over_rtu.link_name) == ("rtu_over_tcp://10.0.0.5:4001", "modbus-10-0-0-5")
    assert place_of("[fe80::1]:1502").section.host == "fe80::1"
    for words in (("no place/", "HR:0"), (at(server), "100"), (at(server), "abc"), ("h:99999", "HR:0")):
        with pytest.raises(Unsupported) as refused:
            run("modbus", "read", *words)
        assert refused.value.hint.ko


LIVE = """
site: {name: s}
machines: [{name: m, line: l, class: furnace}]
journal: {path: j}
runtime: {state: STATE}
links:
  - name: bus
    connector: modbus
    machine: m
    host: 127.0.0.1
    port: PORT
    devices:
      - unit: 1
        tags:
          - {tag: current, address: 40011, type: float32, unit: A, range: [0, 5000]}
          - {tag: shifted, address: "HR:12", type: float32, unit: A, range: [0, 100]}
          - {tag: wrong_order, address: "HR:10", type: float32, order: CDAB, range: [100, 10000]}
          - {tag: off_by_one, address: "HR:65521", type: uint64, range: [-1, 1]}
          - {tag: missing, address: "HR:100", type: float32}
          - {tag: swapped, address: "HR:113", type: float32, order: CDAB, scale: 0.1}
          - {tag: bit, address: "IR:20.7", role: state}
          - {tag: coil, address: "CO:21", role: state}
      - unit: 9
        timeout: 200ms
        tags:
          - {tag: u9, address: "HR:10", type: float32, unit: A}
      - unit: 7
        tags:
          - {tag: u7, address: "HR:65520", type: uint64, sentinels: {0: not_ready}}
  - name: gone
    connector: modbus
    machine: m
    host: 127.0.0.1
    port: 1
    devices: [{tags: [{tag: x, address: 40001, type: int16}]}]
  - {name: plc, connector: opcua, machine: m, url: "opc.tcp://127.0.0.1:1", tags: [{tag: y, node: "ns=2;i=1"}]}
"""


@pytest.mark.parametrize("language", ["ko", "en"])
def test_live_asks_every_device_once_and_shows_each_tag(server, tmp_path, language):
    site = tmp_path / "site.yaml"
    site.write_text(LIVE.replace("PORT", str(server.port)).replace("STATE", str(tmp_path)), "utf-8")
    done = run("check", "--live", site, "-l", language, code=1)
    shown = done.stdout[done.stdout.index("\nbus (") + 1 :]
    golden(f"live.{language}.txt", shown, server)


def test_live_is_content_where_all_is_well_and_asks_nothing_of_a_faulty_file(server, tmp_path):
    site = tmp_path / "site.yaml"
    head = LIVE[: LIVE.index("      - unit: 1")].replace("PORT", str(server.port)).replace("STATE", str(tmp_path))
    site.write_text(head + "      - {unit: 7, tags: [{tag: a, address: HR:10, type: float32}]}\n", "utf-8")
    assert "1 of 1 tag(s) good" in run("check", "--live", site, "-l", "en").stdout
    states = "states: {18144: {ko: 운전, en: running}}"
    site.write_text(head + f"      - {{unit: 7, tags: [{{tag: a, address: HR:10, type: int16, {states}}}]}}\n", "utf-8")
    assert "running (18144)" in run("check", "--live", site, "-l", "en").stdout
    assert "운전 (18144)" in run("check", "--live", site, "-l", "ko").stdout
    site.write_text(head.replace("connector: modbus", "connector: modbus\n    typo: 1"), "utf-8")
    assert "tag(s) good" not in run("check", "--live", site, "-l", "en", code=78).stdout


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_scan_finds_the_units_and_writes_what_the_configuration_reads(server, tmp_path, language):
    more = ("--units", "1-3,7", "--no-profiles", "--timeout", 0.5, "--pause", 0)
    found = run("modbus", "scan", at(server), *more, "-l", language)
    golden(f"scan.{language}.txt", found.stdout, server)
    (tmp_path / "bus.yaml").write_text(found.stdout[found.stdout.index("links:") :], "utf-8")
    head = "site: {name: s}\nmachines: [{name: m, line: l, class: c}]\n"
    text = (tmp_path / "bus.yaml").read_text("utf-8").replace("connector:", "machine: m\n    connector:")
    (tmp_path / "site.yaml").write_text(head + text, "utf-8")
    (link,) = load(tmp_path / "site.yaml", Sections()).config.links
    assert [device.unit for device in link.devices] == [1, 3, 7]
    assert "3 of 3 tag(s) good" in run("check", "--live", tmp_path / "site.yaml").stdout


def test_live_asks_as_the_device_wants_to_be_asked(server, tmp_path):
    """Forbidden addresses between two tags and behind a strange one; tags that are read alone."""
    site = tmp_path / "site.yaml"
    head = LIVE[: LIVE.index("      - unit: 1")].replace("PORT", str(server.port)).replace("STATE", str(tmp_path))
    tags = "[{tag: a, address: HR:10, type: float32}, {tag: b, address: HR:14, type: float32, range: [0, 1]}]"
    for how in ("forbidden: ['HR:12-13', 'HR:16-17']", "singles: true, pause: 10ms"):
        site.write_text(f"{head}      - {{unit: 7, {how}, tags: {tags}}}\n", "utf-8")
        assert "1 of 2 tag(s) good" in run("check", "--live", site, "-l", "en", code=1).stdout
        (device,) = json.loads(run("modbus", "plan", site, "--json").stdout)["links"][0]["devices"]
        asked = [(request["address"], request["count"]) for request in device["requests"]]
        assert asked == [(10, 2), (14, 2)] or not how.startswith("forbidden")


def test_a_scan_that_finds_nobody_says_what_to_look_at(server):
    done = json.loads(run("modbus", "scan", at(server), "--units", "4,5", "--timeout", 0.1, "--json", code=1).stdout)
    assert (done["asked"], done["units"]) == ([4, 5], [])
    assert "try A and B" in run("modbus", "scan", at(server), "--units", "9", "--timeout", 0.1, code=1).stdout
    with pytest.raises(NotConnected):
        run("modbus", "scan", f"127.0.0.1:{free_port()}")
    for units in ("", "a", "300", "1--3", "5-4"):
        with pytest.raises(Unsupported):
            run("modbus", "scan", at(server), "--units", units)


async def pymodbus_server(port: int):
    """A server of another make, that answers 43/14 and 17, and to every unit number."""
    from pymodbus import ModbusDeviceIdentification
    from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
    from pymodbus.server import ModbusTcpServer

    names = {0x00: "Autonics", 0x01: "TK4S", 0x02: "1.2", 0x04: "온도조절기"}
    block = ModbusSequentialDataBlock(1, [235] * 20)
    context = ModbusServerContext(devices=ModbusDeviceContext(hr=block, ir=block), single=True)
    server = ModbusTcpServer(context, identity=ModbusDeviceIdentification(info=names), address=("127.0.0.1", port))
    await server.listen()
    return server


@pytest.mark.anyio
async def test_a_device_that_answers_to_every_number_is_one_device_and_tells_its_name():
    port, done = free_port(), Survey()
    server = await pymodbus_server(port)
    place = place_of(f"127.0.0.1:{port}")
    try:
        clock = SystemClock()
        await survey(
            lambda: opened(place.section, clock), range(1, 33), Manner(5.0, pause=0.0), done, lambda unit: None
        )
    finally:
        await server.shutdown()
    assert (done.any_unit, [unit.number for unit in done.found]) == (True, [1])
    assert done.asked == [1, 2, 3]
    assert "Autonics" in done.found[0].identity.text
    assert "TK4S" in done.found[0].identity.text
    order = Scanning(place, range(1, 33), Manner(), Speech("en"))
    assert "It answers to every unit number: one device, not a line of them" in list(lines(done, order))
