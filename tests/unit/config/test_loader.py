"""`load`: paths, numbers, tables, what is told at once; and that nothing but ConfigError ever comes out."""

import gc
import os
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.config.loader import Loaded, load
from edge_agent.config.report import error_text
from edge_agent.errors import ConfigError
from edge_agent.model.tag import Role
from edge_agent.registry import Sections

N = 100
"""Examples of each property; the hunt was with 3,000."""
GOOD = """\
site: {name: siheung, label: {ko: 시흥, en: Siheung}}
machines:
  - {name: ht1, line: heat, class: heat_treatment, label: {ko: 침탄로}}
  - {name: ht2, line: heat, class: heat_treatment}
links:
  - name: plc
    connector: opcua
    url: opc.tcp://192.168.0.10:4840
    machine: ht1
    tags:
      - {tag: zone1_pv, node: 'ns=2;s=Zone1.PV', unit: Cel, range: [0, 1200], interval: 100ms, label: {en: Zone 1}}
      - {tag: state, node: 'ns=2;s=State', role: state, machine: ht2}
  - name: bus
    connector: modbus
    host: 192.168.0.21
    devices:
      - {unit: 1, machine: ht1, tags: [{tag: power, address: 'HR:3059', type: float32, unit: kW}], tags_file: bus.csv}
      - {unit: 2, machine: ht2, interval: 2s, tags: [{tag: power, address: 'HR:3059', type: float32, unit: kW}]}
sinks:
  - {name: hub, sink: influxdb, url: https://hub.example.kr, org: o, bucket: b, token: {file: token}, ca_file: ca.pem}
"""
TABLE = "태그,주소,형식,단위\ncurrent,HR:3009,float32,A\nvoltage,HR:3035,float32,V\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bus.csv").write_text(TABLE, "utf-8")
    (tmp_path / "token").write_text("t", "utf-8")
    return tmp_path


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "agent.yaml"
    path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    return path


def loaded(folder: Path, text: str = GOOD) -> Loaded:
    return load(write(folder, text), Sections())


def codes(folder: Path, text: str | bytes) -> list[tuple[str, int]]:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), Sections())
    return [(fault.code, fault.line) for fault in caught.value.faults]


def test_tags_are_numbered_in_file_order_yaml_before_table(folder: Path) -> None:
    done = loaded(folder)
    assert list(done.tags.paths) == [
        "siheung/heat/ht1/zone1_pv",
        "siheung/heat/ht2/state",
        "siheung/heat/ht1/power",
        "siheung/heat/ht1/current",
        "siheung/heat/ht1/voltage",
        "siheung/heat/ht2/power",
    ]
    assert done.numbers == {"plc": [0, 1], "bus": [2, 3, 4, 5]}
    for link in done.config.links:
        names = [section.tag for section in link.tag_list()]
        assert names == [done.tags[number].name for number in done.numbers[link.name]]


def test_a_tag_carries_what_the_file_says(folder: Path) -> None:
    tag = loaded(folder).tags[0]
    assert (tag.unit, tag.interval_ns, tag.low, tag.high, tag.role) == ("Cel", 100_000_000, 0.0, 1200.0, Role.PV)
    assert (tag.label.en, tag.machine.label.ko, tag.machine.machine_class) == ("Zone 1", "침탄로", "heat_treatment")
    assert loaded(folder).tags[5].interval_ns == 2_000_000_000


def test_paths_are_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, GOOD)
    monkeypatch.chdir(folder)
    config = load(Path("agent.yaml"), Sections()).config
    assert config.runtime.state == folder / "state"
    assert config.journal.path == folder / "state" / "journal"
    assert config.runtime.socket is None
    sink = config.sinks[0].model_dump()
    assert (sink["token"]["file"], sink["ca_file"]) == (folder / "token", folder / "ca.pem")


def test_own_paths_start_at_the_state_folder(folder: Path) -> None:
    config = loaded(folder, GOOD + "runtime: {state: /var/lib/x, socket: run/s}\njournal: {path: j}\n").config
    assert config.journal.path == Path("/var/lib/x/j")
    assert config.runtime.socket == Path("/var/lib/x/run/s")


def test_byte_order_marks_are_welcome(folder: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert len(load(write(folder, GOOD.encode(encoding)), Sections()).tags) == 6


def test_windows_line_ends(folder: Path) -> None:
    assert len(load(write(folder, GOOD.replace("\n", "\r\n").encode()), Sections()).tags) == 6


def test_the_collector_runs_again_afterwards(folder: Path) -> None:
    loaded(folder)
    assert gc.isenabled()
    codes(folder, "")
    assert gc.isenabled()


def test_a_link_with_a_fault_does_not_hide_faults_elsewhere(folder: Path) -> None:
    text = (
        GOOD.replace("connector: opcua", "connector: opc")
        .replace("machine: ht2, interval", "machine: ht3, interval")
        .replace("b, token: {file: token}", "b, token: {file: nowhere}")
        + "runtime: {language: fr}\n"
    )
    assert codes(folder, text) == [("EA-111", 7), ("EA-112", 18), ("EA-132", 20), ("EA-110", 21)]


def test_faults_of_a_table_follow_those_of_the_file(folder: Path) -> None:
    (folder / "bus.csv").write_text(TABLE.replace("HR:3009", "x"), "utf-8")
    assert codes(folder, GOOD + "more: 1\n") == [("EA-103", 21), ("EA-122", 2)]


def test_a_table_that_is_not_there_is_told_once_where_it_is_named(folder: Path) -> None:
    (folder / "bus.csv").unlink()
    assert codes(folder, GOOD) == [("EA-140", 17)]
    assert codes(folder, GOOD.replace("tags_file: bus.csv", "tags_file: [1]")) == [("EA-146", 17)]
    assert codes(folder, GOOD.replace("tags_file: bus.csv", "tags_file: .")) == [("EA-140", 17)]


def test_a_secret_that_this_user_may_not_see_is_no_fault(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may look everywhere: run as another user")
    locked = folder / "locked"
    locked.mkdir(mode=0)
    assert loaded(folder, GOOD.replace("{file: token}", "{file: locked/token}")).config.sinks


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "large", "name"])
def test_what_is_no_readable_file(folder: Path, kind: str) -> None:
    path = folder / ("a\0b" if kind == "name" else "agent.yaml")
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as stream:
            stream.truncate(33 << 20)
    with pytest.raises(ConfigError) as caught:
        load(path, Sections())
    assert [fault.code for fault in caught.value.faults] == ["EA-141" if kind == "large" else "EA-140"]


def test_an_alias_shared_by_two_links(folder: Path) -> None:
    text = """\
    site: {name: s}
    machines: [{name: a, line: l, class: c}, {name: b, line: l, class: c}]
    links:
      - {name: one, connector: modbus, host: h, devices: [{machine: a, tags: &t [{tag: x, address: 10001}]}]}
      - {name: two, connector: modbus, host: h, devices: [{machine: b, tags: *t}]}
    """
    assert list(loaded(folder, text).tags.paths) == ["s/l/a/x", "s/l/b/x"]


def test_sentinels_are_keyed_by_number_also_in_hexadecimal(folder: Path) -> None:
    text = GOOD.replace(
        "type: float32, unit: kW}]}", "type: int16, sentinels: {31000: sensor_open, 0x8002: not_ready}}]}"
    )
    assert len(loaded(folder, text).tags) == 6


def test_many_tags_in_one_machine_are_a_warning(folder: Path) -> None:
    rows = "".join(f"t{i},HR:{i},uint16,\n" for i in range(181))
    (folder / "bus.csv").write_text("태그,주소,형식,단위\n" + rows, "utf-8")
    assert [fault.code for fault in loaded(folder).warnings] == ["EA-151"]


def check_faults(error: ConfigError) -> None:
    assert error.faults
    for fault in error.faults:
        assert fault.cause.ko
        assert fault.cure.en
        assert fault.column <= len(fault.excerpt) + 1 or not fault.excerpt
    assert error_text(error, "ko")


PIECES = sorted(
    {*re.findall(r"[\w.:;=/-]+|[{}\[\],\n]| +", GOOD), "\t", "&a ", "*a", "<<: *a", "'", '"', "!x ", "null", "가"}
)


@settings(max_examples=N, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_give_faults_and_nothing_else(folder: Path, data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, data), Sections())
    assert caught.value.in_language("ko")


@settings(max_examples=N, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_mutation_gives_a_configuration_or_faults(folder: Path, data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        piece = data.draw(st.sampled_from(PIECES) | st.text(max_size=3).filter(lambda word: word.isprintable()))
        text = text[:start] + piece + text[start + length :]
    try:
        done = load(write(folder, text.encode("utf-8", "replace")), Sections())
    except ConfigError as error:
        check_faults(error)
    else:
        assert sum(map(len, done.numbers.values())) == len(done.tags)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "tags", "machine", "file"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=N, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_in_any_place_gives_a_configuration_or_faults(folder: Path, data: st.DataObject) -> None:
    import yaml

    tree = yaml.safe_load(GOOD)
    node = tree
    while True:
        step = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
        below = node[step]
        if not isinstance(below, dict | list) or not below or data.draw(st.booleans()):
            node[step] = data.draw(VALUES)
            break
        node = below
    try:
        load(write(folder, yaml.safe_dump(tree, allow_unicode=True)), Sections())
    except ConfigError as error:
        check_faults(error)


def test_links_that_disagree_on_one_serial_port_are_named_with_their_places(folder: Path) -> None:
    (folder / "port").touch()
    (folder / "by-id").symlink_to(folder / "port")
    (folder / "other").touch()
    lines = [
        "  - {name: first, connector: modbus, machine: ht1, transport: rtu, port: PORT, baud: 9600, TAGS: a}",
        "  - {name: second, connector: modbus, machine: ht1, transport: rtu, port: PORT, baud: 9600, TAGS: b}",
        "  - {name: third, connector: modbus, machine: ht1, transport: rtu, port: BYID, baud: 19200, TAGS: c}",
        "  - {name: fourth, connector: modbus, machine: ht1, transport: rtu, port: OTHER, baud: 19200, TAGS: d}",
    ]
    for number, line in enumerate(lines):
        tags = f"tags: [{{tag: s{number}, address: HR:0, type: int16}}]"
        lines[number] = line.rpartition("TAGS")[0] + f"devices: [{{{tags}}}]}}"
    text = GOOD.replace("sinks:", "\n".join([*lines, "sinks:"]))
    for word, name in {"PORT": "port", "BYID": "by-id", "OTHER": "other"}.items():
        text = text.replace(word, str(folder / name))
    quarrels = [one for one in loaded(folder, text).warnings if "second" in one.cause.en or "third" in one.cause.en]
    (one,) = quarrels
    at = text.splitlines().index(next(line for line in text.splitlines() if "third" in line)) + 1
    assert (one.code, one.line, one.excerpt != "") == ("EA-154", at, True)
    assert f"Link 'third' wants {folder / 'port'} with rtu 19200 8N1, link 'first'" in one.cause.en
    assert f"agent.yaml:{at - 2}) with rtu 9600 8N1" in one.cause.en
    assert "링크 'third'" in one.cause.ko
