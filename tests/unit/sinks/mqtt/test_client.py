"""The sink against a broker that answers what a real one can't be made to: codes, nonsense, limits, broken promises."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edge_agent.api import Answer, EdgeAgentError, SystemClock
from edge_agent.sinks.mqtt.client import MqttSink
from tests.unit.sinks.influxdb.rows import batch_of, event_of, scan
from tests.unit.sinks.mqtt.broker import (
    MAXIMUM_QOS,
    RECEIVE_MAXIMUM,
    RETAIN_AVAILABLE,
    FaultyBroker,
)
from tests.unit.sinks.mqtt.rows import section_of

pytestmark = pytest.mark.anyio
HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


@pytest.fixture
def broker() -> Iterator[FaultyBroker]:
    with FaultyBroker() as broker:
        yield broker


@pytest.fixture
async def sink(broker: FaultyBroker):
    """In no hurry: a machine that stalls for a second must not look like a broker that does."""
    sink = MqttSink(section_of(broker.url, timeout="20s"), SystemClock())
    yield sink
    sink.close()


async def fault_of(sink: MqttSink) -> EdgeAgentError:
    with pytest.raises(EdgeAgentError) as caught:
        sink.write(scan(20))
    assert all((caught.value.cause.ko, caught.value.cause.en, caught.value.hint.ko, caught.value.hint.en))
    return caught.value


CODES = {
    0x80: "EA-203", 0x81: "EA-205", 0x83: "EA-203", 0x84: "EA-203", 0x85: "EA-203", 0x86: "EA-203", 0x87: "EA-203",
    0x88: "EA-204", 0x89: "EA-204", 0x8A: "EA-203", 0x90: "EA-203", 0x95: "EA-203", 0x97: "EA-204", 0x9B: "EA-203",
    0x9C: "EA-203", 0x9D: "EA-203", 0x9F: "EA-204",
}  # fmt: skip


@pytest.mark.parametrize("code", CODES)
async def test_a_refused_connection(broker, sink, code):
    broker.connack = code
    fault = await fault_of(sink)
    assert fault.code == CODES[code]
    assert f"0x{code:02X}" in fault.cause.en
    broker.connack = 0
    assert sink.write(scan(20)) == Answer([], {})


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x97])
async def test_a_refused_message_keeps_the_data_and_names_the_topic(broker, sink, code):
    sink.write(scan(1))
    broker.puback = code
    fault = await fault_of(sink)
    assert fault.code == ("EA-204" if code == 0x97 else "EA-203")
    assert "edge/" in fault.object
    broker.puback = 0
    assert sink.write(scan(20)) == Answer([], {})


@pytest.mark.parametrize(("code", "expected"), [(0x8B, "EA-201"), (0x8E, "EA-203"), (0x93, "EA-205"), (0x95, "EA-203")])
async def test_a_broker_that_ends_the_connection_with_a_word(broker, sink, code, expected):
    sink.write(scan(1))
    broker.ends_with = code
    assert (await fault_of(sink)).code == expected
    broker.ends_with = None
    assert sink.write(scan(20)) == Answer([], {})


async def test_what_is_no_mqtt_at_all(broker, sink):
    broker.raw = HTTP  # its first bytes read as a packet of 84 bytes, of which fewer come
    hasty = MqttSink(section_of(broker.url, timeout="1s"), SystemClock())
    fault = await fault_of(hasty)
    hasty.close()
    assert fault.code == "EA-202"
    assert "port" in fault.hint.en
    broker.raw = b"\x20\x02\x00\x01"  # a CONNACK of MQTT 3: unacceptable protocol version
    assert (await fault_of(sink)).code in ("EA-201", "EA-203", "EA-205")


@pytest.mark.parametrize("missing", [MAXIMUM_QOS, RETAIN_AVAILABLE])
async def test_a_broker_without_what_is_needed(broker, sink, missing):
    broker.facts = bytes([missing, 0])
    assert (await fault_of(sink)).code == "EA-203"


async def test_no_more_in_flight_than_the_broker_allows(broker, sink):
    broker.facts = bytes([RECEIVE_MAXIMUM, 0, 7])
    sink.write(scan(1))
    broker.held = 6  # answers come by sevens
    assert sink.write(scan(70)) == Answer([], {})
    assert broker.most_in_flight == 7


async def test_every_row_poison_is_not_believed(broker, sink):
    broker.poison = lambda message: b'"value"' in message.payload
    with pytest.raises(EdgeAgentError) as caught:
        sink.write(scan(100))
    assert caught.value.code == "EA-203"


async def test_a_poison_event_is_refused_without_rows(broker, sink):
    broker.poison = lambda message: message.topic.startswith("edge/_event/")
    answer = sink.write(dataclasses.replace(scan(5), events=(event_of(),)))
    assert [(list(one.rows), one.reason.split(":")[0]) for one in answer.refused] == [([], "event e1")]


async def test_a_poison_row_among_a_machines_rows(broker):
    sink = MqttSink(section_of(broker.url, timeout="20s", topic="{site}/{line}/{machine}"), SystemClock())
    broker.poison = lambda message: b"66.5" in message.payload
    answer = sink.write(batch_of((0, 0, 1.5), (1, 0, 66.5), (2, 0, 2.5), (3, 0, 3.5)))
    assert [list(one.rows) for one in answer.refused] == [[1]]
    values = [one.facts["values"] for one in broker.published if "values" in one.facts]
    assert sorted(values, key=str) == [{"force_0": 3.5}, {"zone_0": 1.5}, {"zone_2": 2.5}]
    sink.close()


async def test_closing_says_good_bye_and_a_dead_broker_does_not_hold_it_up(broker, sink):
    sink.write(scan(5))
    sink.close()
    assert broker.published[-1].facts["reason"] == "stopped"
    other = MqttSink(section_of(broker.url, timeout="20s"), SystemClock())
    other.write(scan(5))
    broker.silent = True
    other.close()


def test_the_section_imports_no_paho_and_the_sink_no_numba():
    code = (
        "import sys, edge_agent.sinks.mqtt.config;"
        "early = 'paho' in sys.modules;"
        "import edge_agent.sinks.mqtt.client;"
        "sys.exit(early or 'numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
