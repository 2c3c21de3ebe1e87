"""The hub refuses, talks nonsense, or does not answer: nothing is lost, one clear message, and all arrives later."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.real import relay
from tests.real.relay import Relay
from tests.real.rig import (
    all_good,
    balanced,
    collected,
    config,
    delivered,
    finish,
    hub,
    log,
    lost,
    meters,
    more_delivered,
    start,
    stored,
)
from tests.servers.databases import InfluxDB


def everything_arrived(influxdb: InfluxDB, row: dict[str, Any]) -> None:
    """Each value that the ledger calls delivered is in the database, once."""
    assert row["waiting"] == 0
    assert lost(row) == {}
    assert sum(len(stored(influxdb, f"meters_{k}")) for k in range(4)) == row["delivered"]


@pytest.mark.parametrize(
    "token",
    [pytest.param("not-this-hub's-token", id="wrong"), pytest.param("", id="empty", marks=pytest.mark.long)],
)
def test_the_token_is_put_right_while_it_runs(tmp_path: Path, mbserver: Any, influxdb: InfluxDB, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    sections = config([meters(mbserver().port)], [hub(influxdb, token={"file": str(file)})])
    agent = start(tmp_path, sections)
    refused = agent.until("the hub's word", lambda s: s["ledger"][0]["error"] and collected(20)(s))
    row = refused["ledger"][0]
    assert row["state"] == "retrying"
    assert row["error"]["code"] == "EA-203"
    assert "token" in row["error"]["en"]
    assert "토큰" in row["error"]["ko"]
    assert row["delivered"] == 0
    assert row["quarantined"] == 0
    assert balanced(row)
    assert len(log(agent, "sink_down")) == 1, "said once"
    agent.kill()
    agent.start()
    again = agent.until("the hub's word again", lambda s: s["ledger"][0]["error"])
    assert again["ledger"][0]["error"]["code"] == "EA-203"
    file.write_text(influxdb.token + "\n")
    agent.until("deliveries", more_delivered(again))
    everything_arrived(influxdb, finish(agent))
    (event,) = influxdb.query_influxql('SELECT * FROM "event" WHERE "detector" = \'sink/hub\'')
    assert event["state"] == "closed", "one alarm from the first refusal to the new token, over a kill and a start"
    assert event["end_ms"] * 1_000_000 >= again["now_ns"]
    assert row["error"]["en"].split(":")[0] in event["text_en"] or "unauthorized" in event["text_en"], "it says why"
    assert "goes on again" in event["text_en"]
    assert not re.search(re.escape(influxdb.token), "\n".join(log(agent))), "no secret in the log"


def test_a_connection_that_a_router_forgot_costs_a_time_out(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    """Half open: the agent's side believes in it, nothing comes through; a new one does."""
    with Relay(influxdb.port) as line:
        there = hub(influxdb, url=f"http://127.0.0.1:{line.port}", timeout="500ms")
        agent = start(tmp_path, config([meters(mbserver().port)], [there]), HUB_TOKEN=influxdb.token)
        before = agent.until("deliveries", delivered(8))
        line.mode = relay.HALF_OPEN
        agent.until("deliveries again", more_delivered(before, by=40))
        (said,) = log(agent, "sink_down")
        assert "EA-202" in said
        everything_arrived(influxdb, finish(agent))


@pytest.mark.timeout(120)
def test_a_hub_that_drips_its_answer_is_given_up_in_time(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    with Relay(influxdb.port) as line:
        there = hub(influxdb, url=f"http://127.0.0.1:{line.port}", timeout="200ms")
        agent = start(tmp_path, config([meters(mbserver().port)], [there]), HUB_TOKEN=influxdb.token)
        agent.until("deliveries", delivered(8))
        line.mode = relay.DRIP
        told = agent.until("it is told", lambda s: (s["ledger"][0]["error"] or {}).get("code") == "EA-202")
        assert "finish its answer" in told["ledger"][0]["error"]["en"]
        line.mode = relay.PASS
        agent.until("deliveries again", more_delivered(told))
        everything_arrived(influxdb, finish(agent))


def test_a_field_of_another_type_is_one_alarm_and_set_aside(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    influxdb.write(f"bench,site=plant,line=l1,machine=m0 meters_1=1i {time.time_ns()}\n")
    agent = start(tmp_path, config([meters(mbserver().port)], [hub(influxdb)]), HUB_TOKEN=influxdb.token)
    first = agent.until("something in quarantine", lambda s: s["ledger"][0]["quarantined"] >= 3)
    agent.until("more of it", lambda s: s["ledger"][0]["quarantined"] >= first["ledger"][0]["quarantined"] + 10)
    row = finish(agent)
    (said,) = log(agent, "rows_set_aside")
    assert "field type conflict" in said
    assert not log(agent, "sink_down")
    events = influxdb.query_influxql('SELECT * FROM "event" WHERE "detector" = \'sink/hub\'')
    (alarm,) = events
    assert "plant/l1/m0/meters_1" in alarm["text_en"]
    assert "격리" in alarm["text_ko"]
    assert sum(len(stored(influxdb, f"meters_{k}")) for k in (0, 2, 3)) == row["delivered"]
    quarantined = row["quarantined"]
    assert abs(quarantined - row["delivered"] / 3) <= 4


def test_a_hub_that_misbehaves_gets_everything_later(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    codes = {
        relay.GARBAGE: {"EA-205", "EA-201"},
        relay.RESET: {"EA-201"},
        relay.STALL: {"EA-202"},
        relay.HALF: {"EA-205", "EA-201"},
        relay.CUT_HEAD: {"EA-205", "EA-201"},
        relay.MID_BODY: {"EA-201"},
        relay.DEAF: {"EA-202"},
        relay.LOGIN_PAGE: {"EA-205"},
        relay.BUSY: {"EA-204"},
    }
    with Relay(influxdb.port) as line:
        there = hub(influxdb, url=f"http://127.0.0.1:{line.port}", timeout="500ms")
        agent = start(tmp_path, config([meters(mbserver().port)], [there]), HUB_TOKEN=influxdb.token)
        agent.until("deliveries", delivered(8))
        for mode, expected in codes.items():
            line.mode = mode
            told = agent.until(mode, lambda s, e=expected: (s["ledger"][0]["error"] or {}).get("code") in e)
            assert told["ledger"][0]["state"] == "retrying", mode
            assert balanced(told["ledger"][0]), mode
            assert told["ledger"][0]["quarantined"] == 0, mode
            assert re.search("[가-힣]", told["ledger"][0]["error"]["ko"]), mode
            line.mode = relay.PASS
            agent.until(f"deliveries after {mode}", more_delivered(told))
        after = agent.until("values", all_good())
        assert after["ledger"][0]["error"] is None
        everything_arrived(influxdb, finish(agent))
    assert not log(agent, "sink_failed"), "each is an error in the agent's own words"


@pytest.mark.long
def test_the_bucket_is_made_while_it_runs(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    sections = config([meters(mbserver().port)], [hub(influxdb, bucket="forgotten")])
    agent = start(tmp_path, sections, HUB_TOKEN=influxdb.token)
    refused = agent.until("the hub's word", lambda s: s["ledger"][0]["error"])
    assert refused["ledger"][0]["error"]["code"] == "EA-203"
    assert "bucket" in refused["ledger"][0]["error"]["en"]
    influxdb.make_bucket("forgotten")
    influxdb.bucket = "forgotten"
    agent.until("deliveries", more_delivered(refused))
    everything_arrived(influxdb, finish(agent))


def test_collection_goes_on_until_the_secret_is_there(tmp_path: Path, mbserver: Any, influxdb: InfluxDB) -> None:
    file = tmp_path / "token"
    sections = config([meters(mbserver().port)], [hub(influxdb, token={"file": str(file)})])
    agent = start(tmp_path, sections)
    (warned,) = log(agent, "configuration_warning")
    assert "EA-132" in warned
    missing = agent.until("what is missing", lambda s: s["ledger"][0]["error"] and collected(20)(s))
    assert missing["ledger"][0]["error"]["code"] == "EA-203"
    assert str(file) in missing["ledger"][0]["error"]["en"]
    assert balanced(missing["ledger"][0])
    file.write_text(influxdb.token)
    agent.until("deliveries", more_delivered(missing))
    everything_arrived(influxdb, finish(agent))
