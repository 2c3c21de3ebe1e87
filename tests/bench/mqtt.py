"""The MQTT sink into a real mosquitto: whole scans, acknowledged; beside it paho's own loop, one publish a value."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import anyio
import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.api import Batch, Frame, SystemClock, Tag, TagTable
from edge_agent.model import Machine
from edge_agent.sinks.mqtt.client import MqttSink
from edge_agent.sinks.mqtt.config import MqttSection
from tests.bench.record import Record
from tests.servers.broker import Mosquitto

MACHINES, SIGNALS, BATCH = 50, 20, 5_000
T0, PERIOD = 1_700_000_000_000_000_000, 1_000_000_000
LEAST_S = 4.0
LIBRARY_VALUES = 10_000


def mqtt_publish(folder: Path) -> list[Record]:
    """1,000 tags: a message a value, a message a machine and time, and Sparkplug; no message without its PUBACK."""
    ways = {
        "mqtt_publish": {},
        "mqtt_publish_machine": {"topic": "{site}/{line}/{machine}"},
        "mqtt_publish_sparkplug": {"format": "sparkplug", "sparkplug": {"group": "bench", "node": "n"}},
    }
    with Mosquitto(folder / "mosquitto", log="none") as broker:
        library = _library_loop(broker.port)
        return [anyio.run(_way, name, broker.url, more, library) for name, more in ways.items()]


def _batch(tags: TagTable, number: int) -> Batch:
    rows = np.arange(BATCH) + number * BATCH
    values = np.round(850 + np.sin(rows), 3)
    return Batch(tags, Frame.of_floats(rows % len(tags), T0 + rows // len(tags) * PERIOD, values))


async def _way(name: str, url: str, more: dict[str, object], library: float) -> Record:
    section = {"name": "bench", "sink": "mqtt", "url": url, "client_id": "bench"} | more
    sink = MqttSink(MqttSection.model_validate(section), SystemClock())
    machines = [Machine("siheung", f"line{i % 5}", f"furnace{i}", "furnace") for i in range(MACHINES)]
    tags = TagTable([Tag(f"zone_{j}_temperature", machine, "plc") for machine in machines for j in range(SIGNALS)])
    sink.write(_batch(tags, 0))
    number, cpu, began = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() - began < LEAST_S:
        number += 1
        sink.write(_batch(tags, number))
    spent, took = time.process_time() - cpu, time.perf_counter() - began
    sink.close()
    cost = spent / (number * BATCH) * 1e6
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return Record(name, number * BATCH / took, cost, rss, ratio_to_library=cost / library)


def _library_loop(port: int) -> float:
    """CPU seconds per million values of paho as its users write it: its thread, json.dumps, one publish a value."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "library", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    cpu = time.process_time()
    infos = [
        client.publish(
            f"edge/siheung/line1/furnace{row % MACHINES}/zone_{row % SIGNALS}_temperature",
            json.dumps({"timestamp_ms": T0 // 1_000_000 + row, "value": row + 0.125, "quality": "good"}),
            qos=1,
        )
        for row in range(LIBRARY_VALUES)
    ]
    for info in infos:
        info.wait_for_publish(60)
    spent = time.process_time() - cpu
    client.disconnect()
    client.loop_stop()
    return spent / LIBRARY_VALUES * 1e6
