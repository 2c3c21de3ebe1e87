"""The three write APIs: what each request looks like, and InfluxDB 3's answers by its documents."""

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from edge_agent.api import Refused, SystemClock
from edge_agent.sinks.influxdb.client import InfluxDbSink
from edge_agent.sinks.influxdb.config import HubSection, InfluxDb1Section, InfluxDb3Section
from tests.unit.sinks.influxdb import hub as hubs
from tests.unit.sinks.influxdb.hub import Hub3
from tests.unit.sinks.influxdb.rows import batch_of, scan

pytestmark = pytest.mark.anyio
TOKEN = {"env": "HUB_TOKEN"}


def section3(url: str, **more: object) -> InfluxDb3Section:
    facts = {"name": "hub", "sink": "influxdb3", "url": url, "database": "line", "token": TOKEN, "encoder": "python"}
    return InfluxDb3Section.model_validate(facts | more)


def section1(**more: object) -> InfluxDb1Section:
    facts = {"name": "hub", "sink": "influxdb1", "url": "http://127.0.0.1:1", "database": "line"}
    return InfluxDb1Section.model_validate(facts | more)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", hubs.TOKEN)


@pytest.mark.parametrize(
    ("section", "path"),
    [
        (section1(), "/write?db=line&precision=ms"),
        (section1(policy="short", precision="us"), "/write?db=line&rp=short&precision=u"),
        (section1(precision="ns"), "/write?db=line&precision=n"),
        (section3("https://hub"), "/api/v3/write_lp?db=line&precision=millisecond&accept_partial=true"),
        (
            section3("https://hub", precision="ns", database="a b&c"),
            "/api/v3/write_lp?db=a+b%26c&precision=nanosecond&accept_partial=true",
        ),
    ],
)
def test_the_request_is_what_the_api_wants(section: HubSection, path: str) -> None:
    assert section.write_path == path


def test_a_user_and_a_token_are_too_much() -> None:
    with pytest.raises(ValidationError, match="both a user and a token"):
        section1(user={"name": "u", "password": TOKEN}, token=TOKEN)
    with pytest.raises(ValidationError):
        section1(user={"name": "a:b", "password": TOKEN})
    with pytest.raises(ValidationError):
        section3("https://hub", org="factory")


async def test_one_poison_row_stands_alone_in_version_3():
    with Hub3() as hub:
        hub.poison = lambda point: "1234.5" in point.fields.values()
        hub.message = "invalid column type for column 'zone_1'"
        sink = InfluxDbSink(section3(hub.url), SystemClock())
        answer = sink.write(scan(5000))
        assert [list(refusal.rows) for refusal in answer.refused] == [[1234]]
        assert "line 1: invalid column type" in answer.refused[0].reason
        assert hub.count("furnace") + hub.count("press") == 4999
        assert hub.requests - 1 <= 2 * math.ceil(math.log2(5010))
        assert hub.paths[0].startswith("/api/v3/write_lp?db=line&precision=millisecond&accept_partial=true")
        sink.close()


async def test_a_whole_tag_of_the_wrong_type_costs_few_requests_in_version_3():
    with Hub3() as hub:
        hub.poison = lambda point: "zone_1" in point.fields
        sink = InfluxDbSink(section3(hub.url), SystemClock())
        answer = sink.write(scan(1000))
        assert sorted(row for refusal in answer.refused for row in refusal.rows) == list(range(1, 1000, 5))
        assert hub.count("furnace") + hub.count("press") == 800
        assert hub.requests <= 1 + 4 * math.ceil(math.log2(1010))
        sink.close()


async def test_every_line_wrong_but_few_of_them_is_quarantined_in_version_3():
    with Hub3() as hub:
        hub.poison = lambda point: True
        sink = InfluxDbSink(section3(hub.url), SystemClock())
        answer = sink.write(batch_of((0, 0, 1.0)))
        assert sorted(row for refusal in answer.refused for row in refusal.rows) == [0]
        sink.close()


async def test_a_wrong_token_keeps_everything_in_version_3(monkeypatch: pytest.MonkeyPatch):
    with Hub3() as hub:
        monkeypatch.setenv("HUB_TOKEN", "other")
        sink = InfluxDbSink(section3(hub.url), SystemClock())
        with pytest.raises(Refused, match="not authenticated"):
            sink.write(scan(10))
        monkeypatch.setenv("HUB_TOKEN", hubs.TOKEN)
        assert (sink.write(scan(10))).refused == []
        sink.close()


async def test_a_password_may_hold_anything(tmp_path: Path):
    """Basic, as UTF-8: a colon, a space and Korean letters."""
    file = tmp_path / "password"
    file.write_text("비밀 번호:1\n")
    seen: list[str] = []
    with hubs.FaultyHub() as hub:

        def note(request) -> None:
            seen.append(request.headers["Authorization"])
            hubs.answer(204)(request)

        hub.always = note
        user = {"name": "writer", "password": {"file": str(file)}}
        sink = InfluxDbSink(section1(url=hub.url, user=user, encoder="python"), SystemClock())
        assert (sink.write(scan(10))).refused == []
        sink.close()
    assert seen == ["Basic d3JpdGVyOuu5hOuwgCDrsojtmLg6MQ=="]
