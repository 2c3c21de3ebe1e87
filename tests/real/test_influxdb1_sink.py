"""The sink against a real InfluxDB 1.6 through `/write`: what it stores, and what each of its answers means."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.api import Refused, Status, SystemClock
from edge_agent.sinks.influxdb.client import InfluxDbSink
from edge_agent.sinks.influxdb.config import InfluxDb1Section
from tests.servers.databases import InfluxDB1
from tests.unit.sinks.influxdb.rows import MS, T0, batch_of, scan

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


def sink_to(there: InfluxDB1, tmp_path: Path, password: str | None = None, **more: object) -> InfluxDbSink:
    file = tmp_path / "password"
    file.write_text((there.password if password is None else password) + "\n")
    user = {"name": there.user, "password": {"file": str(file)}}
    facts = {"name": "hub", "sink": "influxdb1", "url": there.url, "database": there.bucket, "user": user}
    return InfluxDbSink(InfluxDb1Section.model_validate(facts | {"encoder": "python"} | more), SystemClock())


@pytest.fixture
async def sink(influxdb1: InfluxDB1, tmp_path: Path) -> AsyncIterator[InfluxDbSink]:
    sink = sink_to(influxdb1, tmp_path)
    yield sink
    sink.close()


def values(database: InfluxDB1) -> int:
    return database.count("furnace") + database.count("press")


@pytest.mark.parametrize("precision", ["ms", "us", "ns"])
async def test_everything_arrives_and_twice_is_once(influxdb1, tmp_path, precision):
    bad = int(Status.BAD_SENSOR_FAILURE)
    for _ in range(2):
        sink = sink_to(influxdb1, tmp_path, precision=precision)
        assert (sink.write(scan(1000))).refused == []
        assert (sink.write(batch_of((0, 90_000, None, bad), (1, 90_000, '문 "열림"')))).refused == []
        sink.close()
    assert values(influxdb1) == 1000
    rows = influxdb1.query_influxql('SELECT "zone_0" FROM "furnace"')
    assert {row["time"]: row["zone_0"] for row in rows} == {T0 + i * 100 * MS: i * 5 + 0.5 for i in range(200)}
    told = influxdb1.query_influxql('SELECT "text" FROM "event" WHERE "detector" = \'text\'')
    assert [row["text"] for row in told] == ['문 "열림"']


async def test_a_type_conflict_is_quarantined_alone_with_the_servers_words(influxdb1, sink):
    login = {"db": influxdb1.bucket, "u": influxdb1.user, "p": influxdb1.password}
    line = f"furnace,site=siheung,line=line1,machine=furnace1 zone_1=1i {T0}\n"
    influxdb1.call("POST", "/write", login, line.encode())
    answer = sink.write(scan(1000))
    assert sorted(row for refusal in answer.refused for row in refusal.rows) == list(range(1, 1000, 5))
    assert all("field type conflict" in refusal.reason for refusal in answer.refused)
    assert values(influxdb1) == 800 + 1


async def test_points_beyond_the_retention_stand_alone(influxdb1, tmp_path):
    influxdb1.query_influxql('CREATE RETENTION POLICY "short" ON "line" DURATION 1h REPLICATION 1')
    sink = sink_to(influxdb1, tmp_path, policy="short")
    now = SystemClock().wall() // MS - T0 // MS
    answer = sink.write(batch_of((0, 0, 1.0), (1, now, 2.0), (2, 5, 3.0), (3, now, 4.0)))
    assert sorted(row for refusal in answer.refused for row in refusal.rows) == [0, 2]
    assert all("retention" in refusal.reason for refusal in answer.refused)
    (row,) = influxdb1.query_influxql('SELECT "force_0" FROM "short"."press"')
    assert row["force_0"] == 4.0
    sink.close()


@pytest.mark.parametrize(
    ("password", "more", "words"),
    [
        ("wrong", {}, "does not know this token"),
        (None, {"database": "nowhere"}, "database not found"),
        (None, {"policy": "nowhere"}, "retention policy not found"),
        (None, {"user": None}, "does not know this token"),
    ],
)
async def test_what_a_person_must_mend_keeps_everything(influxdb1, tmp_path, password, more, words):
    sink = sink_to(influxdb1, tmp_path, password, **more)
    with pytest.raises(Refused, match=words):
        sink.write(scan(10))
    sink.close()
    right = sink_to(influxdb1, tmp_path)
    assert (right.write(scan(10))).refused == []
    right.close()


async def test_a_user_without_the_right_to_write_is_refused(influxdb1, sink, tmp_path):
    influxdb1.query_influxql("CREATE USER reader WITH PASSWORD 'r'")
    file = tmp_path / "reader"
    file.write_text("r")
    reader = sink_to(influxdb1, tmp_path, user={"name": "reader", "password": {"file": str(file)}})
    with pytest.raises(Refused, match="may not write"):
        reader.write(scan(10))
    influxdb1.query_influxql('GRANT WRITE ON "line" TO reader')
    assert (reader.write(scan(10))).refused == []
    assert values(influxdb1) == 10
    reader.close()
