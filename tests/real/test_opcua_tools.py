"""The technician's tools for OPC UA against servers that were not written here: they find, list, read and watch."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from rich.console import Console

from connectors.opcua import inquiry
from connectors.opcua.discovery import RANKS
from connectors.opcua.survey import Extent
from edge_agent.api import Description, Label, NotConnected, Refused, Status, SystemClock, Tag, TagTable
from edge_agent.cli.check import check
from edge_agent.cli.opcua import watching
from edge_agent.cli.opcua.browsing import Order as BrowseOrder
from edge_agent.cli.opcua.browsing import browsed
from edge_agent.cli.opcua.choice import Choice
from edge_agent.cli.opcua.discovering import Order, discovered
from edge_agent.cli.opcua.door import Access, server_of, target_of, url_of
from edge_agent.cli.opcua.reading import Order as ReadOrder
from edge_agent.cli.opcua.reading import read
from edge_agent.cli.opcua.watching import Order as WatchOrder
from edge_agent.cli.speech import Speech
from edge_agent.config.loader import load
from edge_agent.errors import Unsupported, Words
from edge_agent.model import Machine
from edge_agent.registry import Sections
from tests.conformance.rig import established
from tests.fixtures_servers import require_service
from tests.real.opcua_space import SpaceServer
from tests.real.test_opcua_values import collect, link
from tests.servers.cache import MissingService
from tests.servers.process import ServerProcess, free_port, poll
from tests.servers.sources import NodeOpcua, Source, Uafast

MACHINE = Machine("plant", "a", "machine1", "press")
pytestmark = pytest.mark.timeout(150)  # a server of asyncua or Node.js takes 20 s to start on a crowded machine
START_S = 100.0
INSECURE = 'security: {policy: "None", insecure: loopback}'
HEAD = """site: {name: plant}
machines:
  - {name: machine1, line: a, class: press}
sinks: []
journal: {path: journal}
"""


def running(kind: type[Source], folder: Path, **options) -> Iterator[Source]:
    try:
        source = kind(folder, **options)
    except MissingService as missing:
        require_service(missing.name, missing.how)
    source.start(START_S)
    try:
        yield source
    finally:
        source.stop()


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory, server_pki: Path) -> Iterator[Uafast]:
    folder = tmp_path_factory.mktemp("uafast")
    yield from running(Uafast, folder, n=24, period_ms=100, mixed=True, pki=server_pki / "uafast")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, server_pki: Path) -> Iterator[NodeOpcua]:
    folder = tmp_path_factory.mktemp("node-opcua")
    yield from running(NodeOpcua, folder, period_ms=100, pki=server_pki / "node-opcua")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpaceServer]:
    yield from running(SpaceServer, tmp_path_factory.mktemp("space"), most=3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test finds what another one kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["fast", "node"])
def server(request: pytest.FixtureRequest) -> Source:
    return request.getfixturevalue(request.param)


def discovery(url: str, language: str = "en", **options) -> tuple[int, str]:
    out = io.StringIO()
    return discovered(Order(url, Speech(language), **options), SystemClock(), out), out.getvalue()


def test_discover_tells_every_endpoint_and_the_best_one(server: Source) -> None:
    code, text = discovery(server.url, as_json=True)
    assert code == 0
    (found, *_) = json.loads(text)
    endpoints = found["endpoints"]
    assert {one["policy"] for one in endpoints} == {*RANKS, "None"}
    (best,) = [one for one in endpoints if one["best"]]
    assert (best["policy"], best["mode"]) == ("Aes256_Sha256_RsaPss", "SignAndEncrypt")
    assert {"Anonymous", "UserName"} <= set(best["tokens"])
    own = {hashlib.sha1(path.read_bytes()).hexdigest().upper() for path in server.pki.rglob("*.der")}
    if own:  # node-opcua keeps its certificate as PEM
        assert best["certificate"]["sha1"] in own
    assert best["certificate"]["begins"] < SystemClock().wall() < best["certificate"]["ends"]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_discover_writes_a_link_that_the_check_accepts(server: Source, tmp_path: Path, language: str) -> None:
    links = tmp_path / "links.yaml"
    code, text = discovery(server.url, language, output=links)
    assert code == 0
    assert "SHA-1" in text
    (tmp_path / "config.yaml").write_text(HEAD + links.read_text("utf-8"), "utf-8")
    (tmp_path / "tags.csv").write_text("tag,node\na,i=2258\n")
    out = io.StringIO()
    assert check(tmp_path / "config.yaml", language, out) == 0, out.getvalue()


def test_discover_says_that_nothing_is_encrypted(space: SpaceServer, tmp_path: Path) -> None:
    code, text = discovery(space.url, output=tmp_path / "links.yaml")
    assert code == 0
    assert "No endpoint is encrypted" in text
    (tmp_path / "config.yaml").write_text(HEAD + (tmp_path / "links.yaml").read_text("utf-8"), "utf-8")
    (tmp_path / "tags.csv").write_text("tag,node\na,i=2258\n")
    out = io.StringIO()
    assert check(tmp_path / "config.yaml", "en", out) == 0, out.getvalue()
    assert "INSECURE" in out.getvalue()


def test_discover_where_nobody_listens() -> None:
    with pytest.raises(NotConnected, match="nothing listens"):
        discovery(f"opc.tcp://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("192.168.0.10", "opc.tcp://192.168.0.10:4840"),
        ("plc:4841", "opc.tcp://plc:4841"),
        ("[fe80::1]", "opc.tcp://[fe80::1]:4840"),
        ("opc.tcp://plc/path", "opc.tcp://plc:4840/path"),
    ],
)
def test_places(place: str, url: str) -> None:
    assert url_of(place) == url


@pytest.mark.parametrize("place", ["http://plc", "opc.tcp://user:pass@plc", "plc:99999", "a b", "opc.tcp://"])
def test_no_places(place: str) -> None:
    with pytest.raises(Unsupported):
        url_of(place)


def browse(url: str, language: str = "en", *, globs=(), **options) -> tuple[int, str]:
    out = io.StringIO()
    server = server_of(url, "", Access("None"))
    order = BrowseOrder(server, Speech(language), choice=Choice(globs), **options)
    return browsed(order, SystemClock(), out, out), out.getvalue()


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"))))


@pytest.mark.anyio
@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("kind", ["fast", "node", "space"])
async def test_a_browsed_table_is_accepted_as_it_is_and_runs(
    kind: str, language: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = request.getfixturevalue(kind)
    code, text = await anyio.to_thread.run_sync(lambda: browse(source.url, language, output=tmp_path / "tags.csv"))
    assert code == 0, text
    links = f"""links:
  - name: plc
    connector: opcua
    url: {source.url}
    machine: machine1
    {INSECURE}
    publishing_interval: 50ms
    tags_file: tags.csv
"""
    (tmp_path / "config.yaml").write_text(HEAD + links, "utf-8")
    out = io.StringIO()
    assert check(tmp_path / "config.yaml", language, out) == 0, out.getvalue()
    (made,) = load(tmp_path / "config.yaml", Sections()).config.links
    expected = {"fast": 24, "node": 27, "space": 6}[kind]
    assert len(made.tag_list()) == expected
    seen = await collect(made, lambda out: len(out.latest) == expected)
    values = {tag.tag: seen.latest[number][0] for number, tag in enumerate(made.tag_list())}
    bad = {name for name, value in values.items() if value is None}
    assert bad <= {"bad", "moving_status"}
    if kind == "space":
        assert values["tag_1_unit_temperature"] == 123.5
        assert values["state"] == 1


def test_a_table_tells_units_ranges_labels_and_what_was_left_out(space: SpaceServer, tmp_path: Path) -> None:
    code, text = browse(space.url, output=tmp_path / "tags.csv")
    assert code == 0
    rows = {row["tag"]: row for row in rows_of(tmp_path / "tags.csv")}
    first = rows["tag_1_unit_temperature"]
    assert (first["unit"], first["low"], first["high"]) == ("°C", "0", "1200")
    assert (first["label.ko"], first["description"]) == ("온도", "노 안의 온도")
    assert first["node"] == "nsu=urn:test:space;s=t1"
    assert first["browse path"] == "/Objects/nsu=urn:test:space;공장/1호기/온도"
    assert rows["tag_2_unit_temperature"]["unit"] == "CEL"  # the server gave a code and no text
    assert rows["state"]["opc type"] == "Enumeration (RunState)"
    assert [rows[name]["role"] for name in ("state", "run", "mode", "sum_a1")] == ["state", "state", "state", ""]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows.values() for cell in row.values())
    assert "1 left out: arrays" in text
    assert "1 left out: not readable by this user" in text


def test_the_tree_shows_each_node_once_though_the_graph_has_a_loop(space: SpaceServer) -> None:
    code, text = browse(space.url)
    assert code == 0
    assert text.count("s=factory") == text.count("s=t1") == 1
    assert "8 variable(s)" in text


def test_long_answers_come_in_pieces(server: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = browse(server.url)
    monkeypatch.setattr(inquiry, "_REFERENCES", 7)
    monkeypatch.setattr(inquiry, "_LEAST_REFERENCES", 1)
    asked = []
    plain = inquiry.Inquiry._continued

    async def counted(self, open_ends, found):
        asked.append(len(open_ends))
        return await plain(self, open_ends, found)

    monkeypatch.setattr(inquiry.Inquiry, "_continued", counted)
    assert browse(server.url, anew=True)[1] == whole
    assert asked


def test_a_second_browse_walks_nothing(fast: Uafast, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first = browse(fast.url)
    (kept,) = cache.rglob("*.zst")

    async def never(self, *_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(inquiry.Inquiry, "browse", never)
        code, again = browse(fast.url, globs=["t1?"])
    assert code == 0
    assert "10 variable(s)" in again
    assert "kept on disk" in again
    kept.write_bytes(b"torn" + kept.read_bytes())
    assert browse(fast.url)[1] == first


def test_a_walk_can_begin_anywhere_and_ends_where_it_is_told(space: SpaceServer) -> None:
    for start in ("nsu=urn:test:space;s=m2", "/Objects/nsu=urn:test:space;공장/2호기"):
        code, text = browse(space.url, extent=Extent(start))
        assert code == 0
        assert "6 variable(s)" in text
    assert "stopped at 3 nodes" in browse(space.url, extent=Extent(most=3))[1]
    for start in ("nsu=urn:test:nobody;s=x", "/Objects/Nothing/Here", "what is this"):
        with pytest.raises(Refused, match="has no node"):
            browse(space.url, extent=Extent(start))


def test_nothing_that_fits_is_said(fast: Uafast, tmp_path: Path) -> None:
    code, text = browse(fast.url, globs=["nothing*"], output=tmp_path / "tags.csv")
    assert code == 1
    assert "no variable fits" in text
    assert not (tmp_path / "tags.csv").exists()


@pytest.mark.anyio
async def test_names_hold_when_the_server_comes_back_with_its_namespaces_in_another_order(space: SpaceServer) -> None:
    """By URI and by path they lead to the same nodes; by index they would lead elsewhere, and a bad row says so."""
    path = "/Objects/nsu=urn:test:space;공장/1호기/온도"
    index = 3 if space.shift else 2
    made = link(
        space.url,
        {"uri": "nsu=urn:test:space;s=t1", "path": path, "index": f"ns={index};s=t1", "none": "/Objects/0:nothing"},
    )
    seen = await collect(made, lambda out: len(out.latest) == 4)
    assert [seen.latest[number][0] for number in range(4)] == [123.5, 123.5, 123.5, None]
    assert seen.latest[3][1] == 0x806F_0000  # BadNoMatch
    await anyio.to_thread.run_sync(lambda: space.restart(shift=not space.shift))
    seen = await collect(made, lambda out: len(out.latest) == 4)
    assert [seen.latest[number][0] for number in range(4)] == [123.5, 123.5, None, None]
    assert seen.latest[2][1] == Status.BAD_NODE_ID_UNKNOWN


def reading(url: str, nodes: list[str], language: str = "en", **options) -> tuple[int, str]:
    out = io.StringIO()
    order = ReadOrder(server_of(url, "", Access("None")), nodes, Speech(language), **options)
    return read(order, SystemClock(), out), out.getvalue()


@pytest.mark.parametrize("kind", ["fast", "node", "space"])
def test_read_tells_all_of_a_node(kind: str, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(kind)
    nodes = {
        "fast": ["/Objects/line/t7", "nsu=urn:test:uafast;i=1000", "nsu=urn:test:uafast;i=999"],
        "node": ["nsu=urn:test:node-opcua;s=String", "nsu=urn:test:node-opcua;s=Bad", "nsu=urn:x;s=Bad"],
        "space": ["/Objects/nsu=urn:test:space;공장/1호기/온도", "nsu=urn:test:space;s=s1", "/Objects/0:nothing"],
    }[kind]
    code, text = reading(source.url, nodes, as_json=True)
    assert code == 1  # the last one is not there
    first, second, missing = json.loads(text)
    assert [one["asked"] for one in (first, second, missing)] == nodes
    assert (first["quality"], missing["quality"], missing["value"]) == ("good", "bad", None)
    assert first["source_time"] <= first["received"]
    assert first["access"] & 1
    if kind == "fast":
        assert (first["traits"]["type"], second["traits"]["type"]) == ("String", "Double")
    if kind == "node":
        assert first["value"] == "가열로 1호 온도 🔥"
        assert (second["status"], second["value"]) == (0x808C_0000, None)
        assert first["historizing"] is False
    if kind == "space":
        assert (first["value"], first["traits"]["unit"], first["traits"]["range"]) == (123.5, "°C", [0.0, 1200.0])
        assert second["traits"]["states"][1] == [1, ["", "운전"]]
        assert second["traits"]["type_name"] == "RunState"


def test_read_in_words(space: SpaceServer) -> None:
    for language, words in (("ko", ["123.5 °C", "양호", "0 … 1200 °C"]), ("en", ["123.5 °C", "good", "0 … 1200 °C"])):
        code, text = reading(space.url, ["nsu=urn:test:space;s=t1"], language)
        assert code == 0
        assert [word for word in words if word not in text] == []
    assert "1 (운전)" in reading(space.url, ["nsu=urn:test:space;s=s1"])[1]
    with pytest.raises(Unsupported, match="no address"):
        reading(space.url, ["what is this"])


def test_by_an_address_too_a_server_must_be_accepted_once(
    fast: Uafast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_STATE", str(tmp_path))
    order = ReadOrder(server_of(fast.url, "", Access()), [fast.node_id(0)], Speech("en"))
    with pytest.raises(Refused, match="opcua trust accept"):
        read(order, SystemClock(), io.StringIO())
    folder = tmp_path / "identity" / "opcua"
    (pending,) = (folder / "pending").glob("*.der")
    (folder / "trusted").mkdir(exist_ok=True)
    shutil.copy(pending, folder / "trusted" / "plc.der")
    out = io.StringIO()
    assert read(order, SystemClock(), out) == 0
    assert "Good" in out.getvalue()


def test_read_takes_tags_of_a_configured_link(fast: Uafast, tmp_path: Path) -> None:
    tags = [{"tag": f"a{k}", "node": fast.node_id(k)} for k in range(2)]
    links = f"links:\n  - name: plc\n    connector: opcua\n    url: {fast.url}\n    machine: machine1\n    {INSECURE}\n"
    (tmp_path / "config.yaml").write_text(f"{HEAD}{links}    tags: {json.dumps(tags)}\n", "utf-8")
    for words, asked in ((["plc"], ["a0", "a1"]), (["plc", "a1", "i=2258"], ["a1", "i=2258"])):
        server, nodes = target_of(str(tmp_path / "config.yaml"), words, Access())
        out = io.StringIO()
        assert read(ReadOrder(server, nodes, Speech("en"), as_json=True), SystemClock(), out) == 0
        assert [one["asked"] for one in json.loads(out.getvalue())] == asked
    with pytest.raises(Unsupported, match="plc"):
        target_of(str(tmp_path / "config.yaml"), ["nobody"], Access())


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["node", "space"])
async def test_watch_shows_what_comes_and_what_is_bad(kind: str, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(kind)
    namespace, good = {"node": ("node-opcua", "MovingUInt16"), "space": ("space", "t1")}[kind]
    nodes = [f"nsu=urn:test:{namespace};s={name}" for name in (good, "nobody")]
    order = WatchOrder(server_of(source.url, "", Access("None")), nodes, Speech("en"), interval=0.05)
    made, board = watching._link(order, dict(zip(nodes, nodes, strict=True))), watching.Board(nodes)
    async with anyio.create_task_group() as group:
        console = Console(file=io.StringIO(), force_terminal=True)
        group.start_soon(watching._watch, made, order, board, SystemClock(), console)
        with anyio.fail_after(40):
            while len(board.latest) < 2:
                await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    assert (board.latest[0].status, board.latest[1].status) == (0, Status.BAD_NODE_ID_UNKNOWN)
    assert board.latest[0].value is not None
    board.error = NotConnected("read", source.url, Words("두절", "gone"), Words("", ""))
    cells = watching._cells(board, 0, Speech("en"), SystemClock().wall())
    assert cells[1:] == ("down", cells[2], cells[3], "gone")  # what is left on the screen never looks fresh


def test_watch_ends_well_by_ctrl_c(fast: Uafast, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_agent", "opcua", "watch", fast.url, "--policy", "None", "-l", "en"]
    process = ServerProcess("watch", [*command, fast.node_id(0), "/Objects/line/t2"], tmp_path, ready=dict)
    process.start()
    poll("values of both", lambda: {"t2", "i=1000"} <= set(re.findall(r"t2|i=1000", process.out.read_text())), 40)
    process.signal(signal.SIGINT)
    poll("the end", lambda: not process.running, 20)
    assert process.returncode == 0, process.tail()
    assert "of 2 node(s)" in process.out.read_text()
    assert "Traceback" not in process.err.read_text()
    poll("the connection closed", lambda: not established(fast.port), 10)


def test_watch_where_nobody_listens() -> None:
    order = WatchOrder(server_of(f"127.0.0.1:{free_port()}", "", Access("None")), ["i=2258"], Speech("en"))
    with pytest.raises(NotConnected, match="nothing listens"):
        watching.watch(order, SystemClock(), io.StringIO())


@pytest.mark.anyio
async def test_units_ranges_and_texts_come_from_the_server_where_the_configuration_leaves_them_open(
    space: SpaceServer,
) -> None:
    names = ["t1", "s1", "run", "mode", "sum", "nobody"]
    made = link(space.url, {name: f"nsu=urn:test:space;s={name}" for name in names})
    tags = list(made.tags)
    tags[0] = tags[0].model_copy(update={"unit": "K", "range": (0.0, 12.0)})
    made = made.model_copy(update={"tags": tuple(tags)})
    seen = await collect(made, lambda out: len(out.descriptions) == 4 and len(out.notices) == 1)
    assert seen.descriptions[0] == Description("°C", 0.0, 1200.0)
    assert seen.descriptions[1].states == ((0, Label("정지")), (1, Label("운전")), (2, Label("경보")))
    assert seen.descriptions[2].states == ((0, Label(en="Stopped")), (1, Label(en="Running")))
    assert seen.descriptions[3].states == ((0, Label(en="Auto")), (1, Label(en="Manual")))
    (notice,) = seen.notices
    assert "t1 unit K (server: °C), t1 range 0 … 12 (server: 0 … 1200)" in notice.text.en
    table = TagTable([Tag("t1", MACHINE, "plc", unit="K"), Tag("s1", MACHINE, "plc")])
    before = table.fingerprint
    for number in (0, 1):
        table.describe(number, seen.descriptions[number])
    assert (table[0].unit, table[0].low, table[0].high) == ("K", 0.0, 1200.0)
    assert table[1].states[1] == (1, Label("운전"))
    assert table.fingerprint == before


@pytest.mark.long
@pytest.mark.timeout(300)
def test_fifty_thousand_variables_become_a_table(tmp_path: Path, server_pki: Path) -> None:
    for source in running(Uafast, tmp_path, n=50_000, period_ms=10_000, mixed=True, pki=server_pki / "uafast"):
        code, text = browse(source.url, output=tmp_path / "tags.csv")
        assert code == 0
        assert "50000 tag(s) written" in text
        rows = rows_of(tmp_path / "tags.csv")
        assert [row["tag"] for row in rows] == [f"t{k}" for k in range(50_000)]
        assert {row["opc type"] for row in rows[:8]} == {
            *("Double", "Float", "Int32", "UInt16", "Int64", "UInt64", "Boolean", "String")
        }
