"""`edge-agent hub` against a real InfluxDB 2: the template is applied, and every query answers with rows of real data.

The data are written by the real sink, for the machines of the six shipped configurations.
"""

import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from edge_agent.api import Batch, Event, Frame, Status, SystemClock, TagTable
from edge_agent.cli.hub import apply, write_template
from edge_agent.config.loader import load
from edge_agent.model import EventClass, EventState, Label, Severity
from edge_agent.registry import Sections
from edge_agent.shipped import shipped
from edge_agent.sinks.influxdb.client import InfluxDbSink
from edge_agent.sinks.influxdb.config import HubSection, InfluxDb1Section
from tests.servers.databases import InfluxDB, InfluxDB1
from tests.unit.sinks.influxdb.rows import frame_of, section_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
MS = 1_000_000
BUCKET = "edge"


SOME, ALL = ["heat_treatment", "surface"], ["casting", "forming", "heat_treatment", "mould", "surface", "welding"]


def tables(files: list[Path]) -> list[TagTable]:
    return [load(file, Sections(), secrets_later=True).tags for file in files]


def batch_for(tags: TagTable, now: int) -> Batch:
    """Ten minutes of every tag, a tag that turned bad and one that was, a text, an open and a closed event, a gap."""
    count, rounds = len(tags), 60
    rows = np.arange(count * rounds)
    times = now - 600_000 * MS + rows // count * 10_000 * MS
    values = Frame.of_floats(rows % count, times, rows % 17 + 0.5)
    bad, minute = int(Status.BAD_SENSOR_FAILURE), 60_000 * MS
    heads = sorted({tag.machine.path: number for number, tag in reversed(list(enumerate(tags)))}.values())
    turned = [(number, 0, None, bad) for number in heads]
    special = frame_of(*turned, (count - 1, 1, "가동"))
    special = dataclasses.replace(special, time=np.full(len(turned) + 1, now - minute // 2, np.int64))
    machines = {tag.machine.path: tag for tag in tags}
    events = [_event(path, state, now - minute) for path in machines for state in EventState]
    events.append(_event(tags[0].machine.site, EventState.CLOSED, now - 5 * minute, "agent"))
    return Batch(tags, Frame.concat([values, special]), tuple(events))


def _event(path: str, state: EventState, start: int, detector: str = "") -> Event:
    return Event(
        id=f"{path}-{state}",
        path=path,
        detector=detector or f"test_{state}",
        event_class=EventClass.PROCESS,
        severity=Severity.WARNING,
        state=state,
        start=start,
        end=start + 1000 * MS if state is EventState.CLOSED else 0,
        text=Label("온도가 벗어났습니다", "temperature off"),
    )


ALL_OF_THEM = pytest.param(ALL, id="all", marks=[pytest.mark.long, pytest.mark.timeout(400)])


@pytest.fixture
def influxdb(influxdb_alone: InfluxDB) -> InfluxDB:
    """Templates make more than a bucket."""
    return influxdb_alone


@pytest.mark.parametrize("names", [pytest.param(SOME, id="two"), ALL_OF_THEM])
async def test_the_template_and_every_query_of_both(influxdb, tmp_path, monkeypatch, names) -> None:
    monkeypatch.setenv("INFLUX_TOKEN", influxdb.token)
    files = [shipped("configs") / f"{name}.yaml" for name in names]
    sites = tables(files)
    folder = tmp_path / "hub"
    assert write_template(files if names != ALL else [], folder, BUCKET, 30, "ko", io.StringIO()) == 0
    assert apply(folder, influxdb.url, influxdb.org, None, "ko", io.StringIO()) == 0
    token = tmp_path / "token"
    token.write_text(influxdb.token)
    section = section_of(influxdb.url, token, org=influxdb.org, bucket=BUCKET, encoder="python")
    await write_data(section, sites)
    bucket_is_as_described(influxdb)
    flux_of_every_dashboard_answers(influxdb, sites)
    influxdb.bucket = BUCKET
    influxql_of_every_dashboard_answers(influxdb, folder, sites)


def test_applied_twice_it_is_there_once(influxdb: InfluxDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one dashboard: the server needs a tenth of a second a query."""
    monkeypatch.setenv("INFLUX_TOKEN", influxdb.token)
    write_template([shipped("configs") / "mould.yaml"], tmp_path, BUCKET, 30, "ko", io.StringIO())
    file = tmp_path / "influxdb-template.yaml"
    documents = list(yaml.safe_load_all(file.read_text("utf-8")))
    kept = [one for one in documents if one["kind"] != "Dashboard" or one["metadata"]["name"] == "edge-agent-events"]
    for title in ("first", "second"):
        kept[-1]["spec"]["name"] = title
        file.write_text(yaml.safe_dump_all(kept), "utf-8")
        assert apply(tmp_path, influxdb.url, influxdb.org, None, "ko", io.StringIO()) == 0
    assert [board["name"] for board in asked(influxdb, "/api/v2/dashboards")["dashboards"]] == ["second"]
    bucket_is_as_described(influxdb)


async def test_grafana_reads_influxdb_1_by_the_same_queries(influxdb1: InfluxDB1, tmp_path: Path) -> None:
    files = [shipped("configs") / f"{name}.yaml" for name in SOME]
    write_template(files, tmp_path / "hub", influxdb1.bucket, 30, "en", io.StringIO())
    (tmp_path / "password").write_text(influxdb1.password)
    user = {"name": influxdb1.user, "password": {"file": str(tmp_path / "password")}}
    facts = {"name": "hub", "sink": "influxdb1", "url": influxdb1.url, "database": influxdb1.bucket, "user": user}
    await write_data(InfluxDb1Section.model_validate(facts | {"encoder": "python"}), tables(files))
    influxql_of_every_dashboard_answers(influxdb1, tmp_path / "hub", tables(files))


async def write_data(section: HubSection, sites: list[TagTable]) -> None:
    for tags in sites:
        sink = InfluxDbSink(section, SystemClock())
        answer = sink.write(batch_for(tags, SystemClock().wall() // MS * MS))
        assert (answer.refused, answer.dropped) == ([], {})
        sink.close()


def bucket_is_as_described(influxdb: InfluxDB) -> None:
    (bucket,) = asked(influxdb, "/api/v2/buckets", name=BUCKET)["buckets"]
    assert bucket["retentionRules"][0]["everySeconds"] == 30 * 86_400
    mappings = asked(influxdb, "/api/v2/dbrps", org=influxdb.org, db=BUCKET)["content"]
    assert [m["retention_policy"] for m in mappings if not m.get("virtual")] == ["autogen"]


def asked(influxdb: InfluxDB, path: str, **query: str) -> Any:
    return json.loads(influxdb.call("GET", path, query))


# InfluxDB 2.


def flux_of_every_dashboard_answers(influxdb: InfluxDB, tables: list[TagTable]) -> None:
    boards = asked(influxdb, "/api/v2/dashboards", limit="100")["dashboards"]
    names = [board["name"] for board in boards]
    classes = {tags[0].machine.site: {tag.machine.machine_class for tag in tags} for tags in tables}
    every = set[str]().union(*classes.values())
    assert len(names) == len(set(names)) == len(every) + 2
    variables = {
        v["name"]: v["arguments"]["values"]["query"] for v in asked(influxdb, "/api/v2/variables")["variables"]
    }
    asked_for = 0
    for board in boards:
        questions = list(cells(influxdb, board["id"]))
        used = {name for question in questions for name in re.findall(r"v\.(edge_\w+)", question)}
        sites = values(influxdb, variables["edge_site"], {})
        assert set(sites) == set(classes)
        for site in sites:
            chosen = {"edge_site": site}
            for name in used - {"edge_site"}:
                chosen |= dict.fromkeys([name], next(iter(values(influxdb, variables[name], chosen)), ""))
            if "" in chosen.values():
                continue  # this site has no machine of the class
            for question in questions:
                if any(f'"{one}"' in question for one in every - classes[site]):
                    continue
                asked_for += 1
                assert rows(influxdb, question, chosen), f"{board['name']}: {question}"
    assert asked_for >= 12 * len(tables)


def cells(influxdb: InfluxDB, board: str) -> Iterator[str]:
    for cell in asked(influxdb, f"/api/v2/dashboards/{board}", include="properties")["cells"]:
        properties = cell["properties"]
        assert properties["type"] in ("xy", "table")
        assert cell["name"]
        yield from (query["text"] for query in properties["queries"])


def values(influxdb: InfluxDB, question: str, chosen: dict[str, str]) -> list[str]:
    return [row["_value"] for row in rows(influxdb, question, chosen)]


def rows(influxdb: InfluxDB, question: str, chosen: dict[str, str]) -> list[dict[str, str]]:
    """Rows with something in them, as the page would get them; `v` is what its variables are."""
    facts = {"timeRangeStart": "-1h", "timeRangeStop": "now()", "windowPeriod": "10s"}
    facts |= {name: json.dumps(value) for name, value in chosen.items()}
    option = "option v = {" + ", ".join(f"{name}: {value}" for name, value in facts.items()) + "}\n"
    lines = question.splitlines(keepends=True)
    imports = sum(1 for line in lines if line.startswith("import "))
    whole = "".join(lines[:imports]) + option + "".join(lines[imports:])
    headers = {"Content-Type": "application/vnd.flux", "Accept": "application/csv"}
    answer = influxdb.call("POST", "/api/v2/query", {"org": influxdb.org}, whole.encode(), headers=headers).decode()
    found: list[dict[str, str]] = []
    for table in answer.replace("\r", "").strip().split("\n\n"):
        head, *body = [line.split(",") for line in table.splitlines() if line and not line.startswith("#")] or [[]]
        found += [dict(zip(head, line, strict=False)) for line in body]
    return [row for row in found if row.get("_value", "there") != ""]


# Grafana.


def influxql_of_every_dashboard_answers(influxdb: InfluxDB | InfluxDB1, folder: Path, tables: list[TagTable]) -> None:
    sites = sorted({tag.machine.site for tags in tables for tag in tags})
    asked_for = 0
    for file in sorted((folder / "grafana").glob("*.json")):
        board = json.loads(file.read_text("utf-8"))
        variables = {one["name"]: one["query"] for one in board["templating"]["list"] if one["type"] == "query"}
        assert sorted({row["value"] for row in influxdb.query_influxql(variables["site"])}) == sites
        chosen = {"site": "|".join(sites)}
        if "machine" in variables:
            machines = influxdb.query_influxql(filled(variables["machine"], chosen))
            assert machines, file.name
            chosen["machine"] = "|".join(row["value"] for row in machines)
        for query in [*targets(board), *marks(board)]:
            asked_for += 1
            found = influxdb.query_influxql(filled(query, chosen))
            assert any(has_value(row) for row in found), f"{file.name}: {query}"
    assert asked_for >= 12 * len(tables)


def targets(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        assert panel["datasource"] == {"type": "influxdb", "uid": "${source}"}
        assert panel["title"]
        yield from (target["query"] for target in panel["targets"])


def marks(board: dict[str, Any]) -> Iterator[str]:
    for mark in board["annotations"]["list"]:
        assert re.search(rf'"{mark["textColumn"]}"', mark["query"])
        yield mark["target"]["query"]


def filled(query: str, chosen: dict[str, str]) -> str:
    query = query.replace("$timeFilter", "time > now() - 1h AND time < now() + 1h").replace("$__interval", "10s")
    for name, value in chosen.items():
        query = query.replace(f"${name}", f"({value})")
    assert not re.search(r"\$\w", query)
    return query


def has_value(row: dict[str, Any]) -> bool:
    tags = ("time", "site", "line", "machine", "signal")
    return any(value is not None for name, value in row.items() if name not in tags)


async def test_a_gap_is_an_empty_window_and_no_line(influxdb: InfluxDB, tmp_path: Path) -> None:
    """Three minutes without values in the middle: nulls in Grafana's series, empty values in InfluxDB's."""
    write_template([shipped("configs") / "mould.yaml"], tmp_path, influxdb.bucket, 0, "en", io.StringIO())
    board = json.loads((tmp_path / "grafana/mould_cooling.json").read_text("utf-8"))
    panel = next(one for one in board["panels"] if "Temperature" in one["title"] or "Flow" in one["title"])
    assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
    field = re.search(r'mean\("(\w+)"\)', panel["targets"][0]["query"])[1]
    now = SystemClock().wall() // MS // 1000 * 1000
    lines = [
        f"mould_cooling,site=s,line=l,machine=m {field}={k} {now - 600_000 + k * 1000}\n"
        for k in range(600)
        if not 200 <= k < 380
    ]
    influxdb.write("".join(lines), "ms")
    asked_for = filled(panel["targets"][0]["query"], {"site": "s", "machine": "m"}).replace("- 1h", "- 9m")
    answer = json.loads(
        influxdb.call("GET", "/query", {"db": influxdb.bucket, "q": asked_for.replace("+ 1h", "- 1m")}),
    )
    (series,) = answer["results"][0]["series"]
    empty = [row for row in series["values"] if row[1] is None]
    assert 15 <= len(empty) <= 19
    template = (tmp_path / "influxdb-template.yaml").read_text("utf-8")
    assert "createEmpty: true" in template
