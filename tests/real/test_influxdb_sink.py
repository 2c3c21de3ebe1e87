"""The sink against a real InfluxDB 2 and a real VictoriaMetrics: everything written is read back exactly, once."""

import dataclasses
import math
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from edge_agent.api import Batch, Frame, Kind, NotConnected, Refused, Status, SystemClock
from edge_agent.model import EventState
from edge_agent.sinks.influxdb.client import InfluxDbSink
from edge_agent.sinks.influxdb.config import InfluxDb1Section
from edge_agent.sinks.influxdb.hub import Hub, count_values, ensure_bucket
from tests.servers.databases import Database, InfluxDB, VictoriaMetrics
from tests.unit.sinks.influxdb.rows import MS, T0, batch_of, event_of, scan, section_of, tag_table

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

BAD = int(Status.BAD_SENSOR_FAILURE)
EXACT = [0.0, 0.1, 250.13, -1e-7, 1.5e300, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1 / 3, 1e16, 1e22]


def sink_to(database: Database, tmp_path: Path, token: str | None = None, **more: object) -> InfluxDbSink:
    file = tmp_path / "token"
    file.write_text(token or database.token or "any")
    facts = {"org": database.org or "any", "bucket": database.bucket or "any", "encoder": "numba"} | more
    return InfluxDbSink(section_of(database.url, file, **facts), SystemClock())


@pytest.fixture
async def sink(influxdb: InfluxDB, tmp_path: Path) -> AsyncIterator[InfluxDbSink]:
    sink = sink_to(influxdb, tmp_path)
    yield sink
    sink.close()


def stored(database: InfluxDB, measurement: str, field: str) -> dict[int, float]:
    rows = database.query_influxql(f'SELECT "{field}" FROM "{measurement}"')
    return {row["time"]: float(row[field]) for row in rows}  # JSON writes 1e19 as an integer


async def test_every_float64_comes_back_bit_for_bit(influxdb, sink):
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**64, 5000, dtype=np.uint64).view(np.float64)
    values = np.concatenate([EXACT, bits[np.isfinite(bits)], np.round(rng.normal(200, 50, 5000), 3)])
    times = T0 + np.arange(len(values)) * MS
    answer = sink.write(Batch(tag_table(), Frame.of_floats(np.zeros(len(values)), times, values)))
    assert (answer.refused, answer.dropped) == ([], {})
    assert stored(influxdb, "furnace", "zone_0") == dict(zip(times.tolist(), values.tolist(), strict=True))


async def test_float32_comes_back_as_its_shortest_decimal(influxdb, sink):
    bits = np.random.default_rng(4).integers(0, 2**32, 5000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([np.array([250.13, 0.1, 3.4028235e38, 1e-45], np.float32), bits[np.isfinite(bits)]])
    times = T0 + np.arange(len(values)) * MS
    frame = Frame.of_floats(np.zeros(len(values)), times, values.astype(np.float64), kind=Kind.FLOAT32)
    sink.write(Batch(tag_table(), frame))
    back = stored(influxdb, "furnace", "zone_0")
    assert [back[time] for time in times.tolist()[:4]] == [250.13, 0.1, 3.4028235e38, 1e-45]
    assert all(np.float32(back[time]) == value for time, value in zip(times.tolist(), values, strict=True))


async def test_every_kind_and_status_and_text_and_twice_is_once(influxdb, sink, tmp_path):
    text = '가동 "1"\n한 줄 더 \\ , = 끝\\'
    batch = batch_of(
        (0, 0, 2**53),
        (1, 0, True),
        (2, 0, -7),
        (0, 1, None, BAD),
        (1, 1, False),
        (3, 1, text),
        (4, 2, np.float32(0.1)),
        (0, 3, 5.0),
    )
    events = (event_of(), event_of(EventState.CLOSED, end_ms=1500))
    before = None
    for _ in range(2):
        other = sink_to(influxdb, tmp_path)
        answer = other.write(dataclasses.replace(batch, events=events))
        assert (answer.refused, answer.dropped) == ([], {})
        other.close()
        everything = {m: influxdb.query_influxql(f'SELECT * FROM "{m}"') for m in influxdb.measurements()}
        assert before in (None, everything)
        before = everything
    assert stored(influxdb, "furnace", "zone_0")[T0] == 2**53
    assert stored(influxdb, "furnace", "zone_1")[T0] == 1
    assert stored(influxdb, "press", "force_1")[T0 + 2 * MS] == 0.1
    quality = [(r["time"], r["quality"], r["status"]) for r in everything["quality"] if r["signal"] == "zone_0"]
    assert quality == [(T0, 0, 0), (T0 + MS, 2, BAD), (T0 + 3 * MS, 0, 0)]
    (value,) = [row for row in everything["event"] if row["detector"] == "text"]
    assert (value["text"], value["signal"], value["machine"]) == (text, "force_0", "press1")
    (event,) = [row for row in everything["event"] if row["detector"] == "hampel"]
    assert (event["state"], event["severity"], event["end_ms"]) == ("closed", 2, T0 // MS + 1500)
    assert (event["text_ko"], event["text_en"]) == ('존 0 온도 "급변"', "zone 0\njumped \\")


async def test_a_type_conflict_is_quarantined_alone_and_its_neighbours_arrive(influxdb, sink):
    influxdb.call(
        "POST",
        "/api/v2/write",
        {"org": influxdb.org, "bucket": influxdb.bucket, "precision": "ms"},
        f"furnace,site=siheung,line=line1,machine=furnace1 zone_1=1i {T0 // MS}\n".encode(),
    )
    answer = sink.write(scan(2000))
    refused = sorted(row for refusal in answer.refused for row in refusal.rows)
    assert refused == list(range(1, 2000, 5))
    assert "field type conflict" in answer.refused[0].reason
    assert influxdb.count("furnace") + influxdb.count("press") == 1600 + 1
    assert influxdb.count("quality") == 10


async def test_points_beyond_the_retention_are_refused_and_no_other(influxdb, tmp_path):
    hub = Hub(influxdb.url, influxdb.token, influxdb.org, "short")
    assert ensure_bucket(hub, retention_days=1)
    assert not ensure_bucket(hub, retention_days=1)
    sink = sink_to(influxdb, tmp_path, bucket="short")
    now = SystemClock().wall() // MS * MS
    rows = np.arange(3000)
    times = np.where(rows < 1000, T0 + rows * MS, now - rows * MS)
    answer = sink.write(Batch(tag_table(), Frame.of_floats(rows % 5, times, rows + 0.5)))
    assert sorted(row for refusal in answer.refused for row in refusal.rows) == list(range(1000))
    assert all("retention" in refusal.reason for refusal in answer.refused)
    assert count_values(hub) == 2000
    sink.close()


@pytest.mark.parametrize(
    ("token", "more", "words"),
    [
        ("wrong", {}, "does not know this token"),
        (None, {"bucket": "nowhere"}, 'bucket "nowhere" not found'),
        (None, {"org": "nobody"}, 'organization name "nobody" not found'),
    ],
)
async def test_a_wrong_token_bucket_or_org_keeps_everything(influxdb, tmp_path, token, more, words):
    sink = sink_to(influxdb, tmp_path, token, **more)
    with pytest.raises(Refused, match=words):
        sink.write(scan(10))
    sink.close()


async def test_the_hub_comes_back(influxdb, sink):
    sink.write(scan(10))
    influxdb.stop()
    with pytest.raises(NotConnected):
        sink.write(scan(20))
    influxdb.start()
    answer = sink.write(scan(20))
    assert (answer.refused, answer.dropped) == ([], {"superseded": 5})
    assert influxdb.count("furnace") + influxdb.count("press") == 20


async def test_counting_values(influxdb, sink):
    sink.write(scan(100))
    hub = Hub(influxdb.url, influxdb.token, influxdb.org, influxdb.bucket)
    assert count_values(hub) == 100
    assert count_values(hub, "press") == 40
    assert count_values(hub, start=T0 + 100 * MS, stop=T0 + 300 * MS) == 10
    assert count_values(hub, 'no"such${x}') == 0
    with pytest.raises(Refused):
        count_values(dataclasses.replace(hub, token="wrong"))
    with pytest.raises(Refused):
        count_values(dataclasses.replace(hub, bucket="nowhere"))
    with pytest.raises(NotConnected):
        count_values(dataclasses.replace(hub, url="http://127.0.0.1:1"))
    assert influxdb.token not in repr(hub)


async def test_victoria_metrics_holds_the_same_once(victoria: VictoriaMetrics, tmp_path):
    sink = sink_to(victoria, tmp_path)
    answer = sink.write(scan(1000))
    assert (answer.refused, answer.dropped) == ([], {})
    sink.close()
    again = sink_to(victoria, tmp_path)
    again.write(scan(1000))
    again.close()
    assert victoria.count("furnace") + victoria.count("press") == 1000
    (series,) = victoria.series('{__name__="furnace_zone_0"}')
    assert series["values"] == [i * 5 + 0.5 for i in range(200)]
    assert series["timestamps"] == [T0 // MS + i * 100 for i in range(200)]
    assert {key: series["metric"][key] for key in ("site", "line", "machine")} == {
        "site": "siheung",
        "line": "line1",
        "machine": "furnace1",
    }
    assert not math.isnan(series["values"][0])


async def test_victoria_metrics_through_version_1_too_and_texts_become_0(victoria: VictoriaMetrics, tmp_path):
    facts = {"name": "hub", "sink": "influxdb1", "url": victoria.url, "database": "any", "encoder": "python"}
    sink = InfluxDbSink(InfluxDb1Section.model_validate(facts), SystemClock())
    batch = dataclasses.replace(batch_of((0, 0, 1.5), (1, 0, "가동")), events=(event_of(),))
    assert (sink.write(batch)).refused == []
    sink.close()
    assert victoria.count("furnace") == 1
    (text,) = victoria.series('{__name__="event_text"}')
    assert text["values"] == [0]
