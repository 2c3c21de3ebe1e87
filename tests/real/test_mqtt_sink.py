"""The MQTT sink against a real mosquitto: what subscribers see, who is let in, and that nothing is lost on the way."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from edge_agent.api import (
    Answer,
    Batch,
    EdgeAgentError,
    Flag,
    Frame,
    NotConnected,
    Refused,
    Status,
    SystemClock,
    TimedOut,
)
from edge_agent.deliver import Delivery
from edge_agent.journal import Journal
from edge_agent.news import News
from edge_agent.sinks.mqtt.client import MqttSink
from tests.real import relay
from tests.real.relay import Relay
from tests.real.rig import config, delivered, finish, meters, start
from tests.servers.broker import Mosquitto
from tests.servers.certificates import Authority
from tests.unit.journal.material import TABLE, section
from tests.unit.sinks.influxdb.rows import MS, T0, batch_of, event_of, scan, tag_table
from tests.unit.sinks.mqtt.rows import section_of
from tests.unit.sinks.mqtt.subscriber import Subscriber

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

BAD, UNCERTAIN = int(Status.BAD_TIMEOUT), int(Status.UNCERTAIN_LAST_USABLE_VALUE)
ZONE = "edge/siheung/line1/furnace1/zone_"
STATUS = "edge/_agent/gateway1"


def sink_to(url: str, **more: object) -> MqttSink:
    return MqttSink(section_of(url, **({"timeout": "3s"} | more)), SystemClock())


@pytest.fixture
def seen(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    with Subscriber(mosquitto.port) as subscriber:
        yield subscriber


@pytest.fixture
async def sink(mosquitto: Mosquitto) -> AsyncIterator[MqttSink]:
    sink = sink_to(mosquitto.url)
    yield sink
    sink.close()


async def refusal_of(sink: MqttSink) -> EdgeAgentError:
    with pytest.raises(EdgeAgentError) as caught:
        sink.write(scan(10))
    sink.close()
    assert all((caught.value.cause.ko, caught.value.cause.en, caught.value.hint.ko, caught.value.hint.en))
    return caught.value


async def test_every_float_and_kind_comes_as_it_was(seen: Subscriber, sink: MqttSink) -> None:
    bits = np.random.default_rng(3).integers(0, 2**64, 2000, dtype=np.uint64).view(np.float64)
    values = np.concatenate([[0.0, 0.1, -1e-7, 5e-324, 1.7976931348623157e308, 1 / 3], bits[np.isfinite(bits)]])
    times = T0 + np.arange(len(values)) * 1_000_001
    sink.write(Batch(tag_table(), Frame.of_floats(np.zeros(len(values)), times, values)))
    sink.write(batch_of((1, 0, np.float32(250.13)), (2, 0, 2**63 - 1), (3, 0, False), (4, 0, '가동 "1"\n')))
    seen.until("the last", lambda: seen.of("edge/siheung/line2/press1/force_1"), 40.0)
    floats = seen.of(f"{ZONE}0")
    assert [one["value"] for one in floats] == values.tolist()
    assert [one["timestamp_ms"] * MS + one.get("ns", 0) for one in floats] == times.tolist()
    assert seen.of(f"{ZONE}1")[0]["value"] == 250.13
    assert seen.of(f"{ZONE}2")[0]["value"] == 2**63 - 1
    assert seen.of("edge/siheung/line2/press1/force_0")[0]["value"] is False
    assert seen.of("edge/siheung/line2/press1/force_1")[0]["value"] == '가동 "1"\n'


async def test_what_is_not_good_has_no_value_and_events_arrive(seen: Subscriber, sink: MqttSink) -> None:
    batch = batch_of((0, 0, None, BAD), (0, 1, 5.5, BAD), (0, 2, 6.5, UNCERTAIN), (0, 3, float("nan")), (-1, 3, 1.0))
    late = dataclasses.replace(batch_of((1, 0, 7.5)).frame, flags=np.uint16([Flag.BACKFILL]))
    answer = sink.write(dataclasses.replace(batch, events=(event_of(),)))
    assert answer.dropped == {"not_a_number": 1, "unknown_tag": 1}
    sink.write(Batch(batch.tags, late))
    seen.until("the last", lambda: seen.of(f"{ZONE}1"))
    ms = T0 // MS
    assert seen.of(f"{ZONE}0") == [
        {"timestamp_ms": ms, "quality": "bad", "status": BAD},
        {"timestamp_ms": ms + 1, "quality": "bad", "status": BAD},
        {"timestamp_ms": ms + 2, "uncertain_value": 6.5, "quality": "uncertain", "status": UNCERTAIN},
    ]
    assert seen.of(f"{ZONE}1") == [{"timestamp_ms": ms, "value": 7.5, "quality": "good", "backfill": True}]
    (event,) = seen.of(f"edge/_event/{ZONE.removeprefix('edge/')}0")
    assert (event["id"], event["state"], event["severity"]) == ("e1", "open", 2)
    assert not any(one.retained for one in seen.came)


async def test_one_message_a_machine_and_time(mosquitto: Mosquitto, seen: Subscriber) -> None:
    sink = sink_to(mosquitto.url, topic="{site}/{machine}", prefix="umh/v1", retain=True)
    batch = batch_of((0, 0, 1.5), (1, 0, None, BAD), (2, 0, 3, UNCERTAIN), (3, 0, True), (0, 1, 2.5), (0, 1, 3.5))
    sink.write(batch)
    sink.close()
    seen.until("the last", lambda: len(seen.of("umh/v1/siheung/furnace1")) == 3)
    ms = T0 // MS
    assert seen.of("umh/v1/siheung/furnace1") == [
        {
            "timestamp_ms": ms,
            "values": {"zone_0": 1.5},
            "bad": {"zone_1": BAD},
            "uncertain": {"zone_2": {"uncertain_value": 3, "status": UNCERTAIN}},
        },
        {"timestamp_ms": ms + 1, "values": {"zone_0": 2.5}},
        {"timestamp_ms": ms + 1, "values": {"zone_0": 3.5}},
    ]
    assert seen.of("umh/v1/siheung/press1") == [{"timestamp_ms": ms, "values": {"force_0": True}}]
    with Subscriber(mosquitto.port) as later:
        later.until("what is retained", lambda: later.of("umh/v1/siheung/furnace1"))
        assert later.of("umh/v1/siheung/furnace1") == [{"timestamp_ms": ms + 1, "values": {"zone_0": 3.5}}]
        assert [one.facts["state"] for one in later.came if one.topic == "umh/v1/_agent/gateway1"] == ["offline"]


async def test_online_offline_and_gone_without_a_word(mosquitto: Mosquitto, seen: Subscriber) -> None:
    sink = sink_to(mosquitto.url)
    sink.write(scan(5))
    sink.close()
    other = sink_to(mosquitto.url)
    other.write(scan(5))
    other._broker.cut()
    seen.until("the will", lambda: len(seen.of(STATUS)) == 4)
    said = seen.of(STATUS)
    assert [one["state"] for one in said] == ["online", "offline", "online", "offline"]
    assert [one.get("reason") for one in said[1::2]] == ["stopped", "connection lost"]
    other.close()


async def test_a_quiet_connection_is_kept(mosquitto: Mosquitto, seen: Subscriber) -> None:
    sink = sink_to(mosquitto.url, keep_alive="1s")
    sink.write(scan(5))
    await anyio.sleep(2.5)
    sink.write(scan(10))
    sink.close()
    assert [one["state"] for one in seen.of(STATUS)][:1] == ["online"]
    assert len(seen.of(STATUS)) <= 2, "never lost"


async def test_a_wrong_password_is_said_and_the_right_one_read_anew(tmp_path: Path, mosquitto_with: Any) -> None:
    broker = mosquitto_with(users={"gateway1": "right"})
    file = tmp_path / "password"
    file.write_text("wrong\n")
    sink = sink_to(broker.url, user="gateway1", password={"file": str(file)})
    with pytest.raises(Refused, match=r"user|authorised") as caught:
        sink.write(scan(10))
    assert "암호" in caught.value.cause.ko + caught.value.hint.ko
    assert "wrong" not in str(caught.value).replace("is wrong", "")
    file.write_text("right\n")
    assert sink.write(scan(10)) == Answer([], {})
    sink.close()


async def test_a_topic_that_is_not_allowed_keeps_the_data(tmp_path: Path, mosquitto_with: Any) -> None:
    rights = {"gateway1": ["write edge/_agent/#", "write edge/siheung/line1/#"]}
    broker = mosquitto_with(users={"gateway1": "right"}, rights=rights)
    (tmp_path / "password").write_text("right")
    user = {"user": "gateway1", "password": {"file": str(tmp_path / "password")}}
    sink = sink_to(broker.url, **user)
    with pytest.raises(
        NotConnected
    ):  # this broker breaks off after its answer, and what was on its way takes that along
        sink.write(scan(10))
    for _ in range(2):
        with pytest.raises(Refused, match=r"line2/press1/force_0: the broker says: not authorised"):
            sink.write(scan(10))
    sink.write(batch_of((0, 0, 1.5)))
    sink.close()


async def test_another_client_with_the_same_name_is_said(mosquitto: Mosquitto) -> None:
    sink, twin = sink_to(mosquitto.url), sink_to(mosquitto.url)
    sink.write(scan(5))
    twin.write(scan(5))
    assert "client_id" in (await refusal_of(sink)).hint.en
    twin.close()


TLS = {"good": None, "wrong_ca": "EA-203", "expired": "EA-203", "wrong_host": "EA-203", "no_ca": "EA-203"}


@pytest.mark.parametrize("case", TLS)
async def test_tls(tmp_path: Path, mosquitto_with: Any, case: str) -> None:
    authority = Authority(tmp_path / "pki")
    address = "10.9.8.7" if case == "wrong_host" else "127.0.0.1"
    authority.issue("server", address=address, days=-1 if case == "expired" else 1)
    broker = mosquitto_with(tls=authority.folder)
    ca = Authority(tmp_path / "other").ca if case == "wrong_ca" else authority.ca
    sink = sink_to(broker.url, **({} if case == "no_ca" else {"ca_file": str(ca)}))
    if case == "good":
        assert sink.write(scan(2000)) == Answer([], {})
        sink.close()
    else:
        error = await refusal_of(sink)
        assert error.code == TLS[case]
        assert "certificate" in error.cause.en


async def test_a_broker_that_asks_for_a_certificate(tmp_path: Path, mosquitto_with: Any) -> None:
    authority = Authority(tmp_path / "pki")
    authority.issue("server")
    certificate, key = authority.issue("gateway1")
    broker = mosquitto_with(tls=authority.folder, client_certificates=True)
    without = await refusal_of(sink_to(broker.url, ca_file=str(authority.ca)))
    assert isinstance(without, Refused | NotConnected)
    pair = {"client_cert": str(certificate), "client_key": str(key)}
    sink = sink_to(broker.url, ca_file=str(authority.ca), **pair)
    assert sink.write(scan(10)) == Answer([], {})
    sink.close()
    missing = {"client_cert": str(certificate), "client_key": str(tmp_path / "none")}
    assert isinstance(await refusal_of(sink_to(broker.url, ca_file=str(authority.ca), **missing)), Refused)


async def test_plain_to_a_tls_port_and_tls_to_a_plain_one(tmp_path: Path, mosquitto_with: Any, mosquitto: Any) -> None:
    error = await refusal_of(sink_to(f"mqtts://127.0.0.1:{mosquitto.port}", timeout="1s"))
    assert error.code in ("EA-203", "EA-202", "EA-201")
    mosquitto.stop()
    authority = Authority(tmp_path / "pki")
    authority.issue("server")
    broker = mosquitto_with(tls=authority.folder)
    error = await refusal_of(sink_to(broker.url.replace("mqtts", "mqtt"), timeout="1s"))
    assert error.code in ("EA-201", "EA-202", "EA-205")


async def test_a_text_larger_than_the_broker_takes_is_refused_alone(mosquitto_with: Any) -> None:
    broker = mosquitto_with(more=("max_packet_size 1000",))
    with Subscriber(broker.port) as seen:
        sink = sink_to(broker.url)
        answer = sink.write(batch_of((0, 0, 1.5), (1, 0, "x" * 1000), (2, 0, 2.5)))
        assert [list(refusal.rows) for refusal in answer.refused] == [[1]]
        assert "the broker takes 1000" in answer.refused[0].reason
        seen.until("the others", lambda: seen.of(f"{ZONE}0") and seen.of(f"{ZONE}2"))
        sink.close()


async def test_the_window_is_the_brokers(mosquitto_with: Any) -> None:
    broker = mosquitto_with(more=("max_inflight_messages 3",))
    sink = sink_to(broker.url)
    assert sink.write(scan(500)) == Answer([], {})
    assert sink._broker.window == 3
    sink.close()


async def test_a_stalled_broker_is_timed_out_and_the_rows_come_again(mosquitto: Mosquitto, seen: Subscriber) -> None:
    with Relay(mosquitto.port) as line:
        sink = sink_to(f"mqtt://127.0.0.1:{line.port}", timeout="500ms")
        sink.write(scan(10))
        for mode, error in ((relay.STALL, (TimedOut, NotConnected)), (relay.RESET, (NotConnected,))):
            line.mode = mode
            await anyio.sleep(0.2)
            for _ in range(2):
                with pytest.raises(error):
                    sink.write(scan(300))
        line.mode = relay.PASS
        assert sink.write(scan(300)) == Answer([], {})
        sink.close()
    seen.until("all", lambda: len(seen.identities) == 300)


async def test_nothing_is_lost_over_a_line_that_breaks(tmp_path: Path, mosquitto: Mosquitto, seen: Subscriber) -> None:
    """Every row that the journal accepted arrives at least once, however often the connection is cut on the way."""
    rows, clock, news = 5_000, SystemClock(), News()
    journal = Journal.open(tmp_path / "journal", TABLE, section(), clock)
    with Relay(mosquitto.port) as line:
        settings = section_of(f"mqtt://127.0.0.1:{line.port}", timeout="2s", max_batch_rows=1000)
        delivery = Delivery(settings, lambda: MqttSink(settings, clock), journal.cursor("hub"), news, clock)
        stop, cuts = threading.Event(), [0]

        def cut() -> None:
            """Breaks the line again and again in the middle of a batch: when some of it has arrived."""
            while not stop.is_set() and cuts[0] < 3:
                before = len(seen.came)
                while not stop.is_set() and len(seen.came) < before + 700:
                    time.sleep(0.002)
                line.mode = relay.PASS
                cuts[0] += 1

        cutting = threading.Thread(target=cut)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delivery.run)
            cutting.start()
            numbers = np.arange(rows)
            for start_row in range(0, rows, 500):
                part = numbers[start_row : start_row + 500]
                journal.append(Frame.of_floats(part % len(TABLE), T0 + part * 1000, part.astype(float)))
                news.ring()
                await anyio.sleep(0.02)
            with anyio.fail_after(60):
                while delivery.cursor.waiting or len(seen.identities) < rows:
                    await anyio.sleep(0.05)
            stop.set()
            tasks.cancel_scope.cancel()
        cutting.join()
        await delivery.close()
        assert cuts[0] >= 2
        assert line.connections >= 2, "it did break, and came back; the last cut may come when all has arrived"
    journal.close()
    assert seen.identities == {(f"edge/{TABLE.paths[n % len(TABLE)]}", T0 + n * 1000) for n in range(rows)}
    assert len(seen.came) >= rows


def broker_section(mosquitto: Mosquitto, **more: Any) -> dict[str, Any]:
    return {"name": "broker", "sink": "mqtt", "url": mosquitto.url, "client_id": "gw", "timeout": "2s"} | more


def test_the_agent_over_a_broker_that_dies_and_its_own_death(
    tmp_path: Path, mosquitto: Mosquitto, mbserver: Any
) -> None:
    sections = config([meters(mbserver().port)], [broker_section(mosquitto)])
    with Subscriber(mosquitto.port) as seen:
        agent = start(tmp_path, sections)
        agent.until("deliveries", delivered(20))
        seen.until("values", lambda: len(seen.of("edge/plant/l1/m0/meters_0")) > 3)
        mosquitto.kill()
        away = agent.until("the word", lambda s: (s["ledger"][0]["error"] or {}).get("code") == "EA-201")
        agent.until("some that wait", lambda s: s["ledger"][0]["waiting"] > 20)
        mosquitto.start()
        agent.until("deliveries", delivered(away["ledger"][0]["delivered"] + 40))
        agent.kill()
        seen.until("the will", lambda: (seen.of("edge/_agent/gw") or [{}])[-1].get("reason") == "connection lost")
        agent.start()
        seen.until("online", lambda: seen.of("edge/_agent/gw")[-1]["state"] == "online")
        before = len(seen.identities)
        agent.until("deliveries", lambda s: len(seen.identities) > before + 20)
        row = finish(agent)
        seen.until("the farewell", lambda: seen.of("edge/_agent/gw")[-1].get("reason") == "stopped")
        assert row["waiting"] == 0
        assert row["quarantined"] == 0
        assert row["dropped"] == {}


@pytest.mark.long
def test_cpu_is_not_burnt_while_idle(mosquitto: Mosquitto) -> None:
    async def idle() -> float:
        sink = sink_to(mosquitto.url)
        sink.write(scan(5))
        before = time.process_time()
        await anyio.sleep(1.0)
        spent = time.process_time() - before
        sink.close()
        return spent

    assert anyio.run(idle) < 0.5
