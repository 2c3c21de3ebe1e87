"""A Sparkplug host application for the tests: it follows every edge node of a group and writes down each broken rule.

It has its own connection, its own state, and Google's protobuf: nothing of the product. The rules are those of
Sparkplug 3.0, chapters 5 and 6: birth before data, sequence numbers without a gap, the death that belongs to the birth,
aliases that were declared, types that hold.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers.process import poll
from tests.unit.sinks.mqtt.sparkplug_proto import Payload, metric_value, properties_of, read

FIELDS = {
    4: "long_value",
    8: "long_value",
    9: "float_value",
    10: "double_value",
    11: "boolean_value",
    12: "string_value",
}
FIELDS |= dict.fromkeys((1, 2, 3, 5, 6, 7), "int_value")


@dataclass
class Seen:
    """One value, as a historian would store it."""

    device: str
    name: str
    time: int
    value: Any
    quality: int
    historical: bool
    birth: bool
    properties: dict[str, Any]


@dataclass
class Node:
    """What the host knows of one edge node."""

    online: bool = False
    bd_seq: int | None = None
    seq: int = 0
    births: int = 0
    deaths: list[int] = field(default_factory=list)
    bd_seqs: list[int] = field(default_factory=list)
    aliases: dict[int, tuple[str, str]] = field(default_factory=dict)
    types: dict[tuple[str, str], int] = field(default_factory=dict)
    qualities: dict[tuple[str, str], int] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)


class Host:
    """``with Host(port, "group") as host``: listens from then on."""

    def __init__(self, port: int, group: str, *, user: str | None = None, password: str | None = None) -> None:
        self.group = group
        self.nodes: dict[str, Node] = {}
        self.seen: list[Seen] = []
        self.violations: list[str] = []
        self.kinds: list[str] = []
        self.messages: list[tuple[str, bytes]] = []
        """Topic and payload of each, for another decoder."""
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "host", protocol=paho.MQTTv5)
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda client, *_: client.subscribe(f"spBv1.0/{group}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, message: self._take(message)
        self._client.reconnect_delay_set(1, 1)
        self._port = port

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask_for_rebirth(self, node: str) -> None:
        payload = Payload(timestamp=1)
        payload.metrics.add(name="Node Control/Rebirth", timestamp=1, datatype=11, boolean_value=True)
        self.command(node, payload.SerializeToString())

    def say(self, name: str, *, online: bool, timestamp: int) -> None:
        """What a host application says of itself."""
        facts = json.dumps({"online": online, "timestamp": timestamp})
        self._client.publish(f"spBv1.0/STATE/{name}", facts, qos=1, retain=True).wait_for_publish(10)

    def command(self, node: str, payload: bytes) -> None:
        self._client.publish(f"spBv1.0/{self.group}/NCMD/{node}", payload, qos=1)

    def until(self, what: str, condition: Any, deadline_s: float = 20.0) -> None:
        poll(what, condition, deadline_s)

    def values(self, device: str, name: str) -> list[Any]:
        """Values of one tag's data messages, in order."""
        return [one.value for one in self.seen if (one.device, one.name, one.birth) == (device, name, False)]

    # Following.

    def _take(self, message: paho.MQTTMessage) -> None:
        _, _, kind, name, *device = message.topic.split("/")
        if kind == "NCMD":
            return
        self.kinds.append(kind)
        self.messages.append((message.topic, message.payload))
        payload = read(message.payload)
        node = self.nodes.setdefault(name, Node())
        self._rule(not message.retain, f"{kind} is retained")
        getattr(self, f"_{kind.lower()}")(node, payload, *device)

    def _rule(self, holds: bool, broken: str) -> None:
        if not holds:
            self.violations.append(broken)

    def _bd_seq(self, payload: Any) -> int:
        numbers = [metric.long_value for metric in payload.metrics if metric.name == "bdSeq"]
        self._rule(len(numbers) == 1, "no bdSeq, or two")
        return numbers[0] if numbers else -1

    def _nbirth(self, node: Node, payload: Any) -> None:
        self._rule(payload.seq == 0 and payload.HasField("seq"), f"NBIRTH with seq {payload.seq}")
        names = {metric.name for metric in payload.metrics}
        self._rule("Node Control/Rebirth" in names, "NBIRTH without Node Control/Rebirth")
        bd_seq = self._bd_seq(payload)
        self._rule(0 <= bd_seq < 256, f"bdSeq {bd_seq}")
        if not node.online and node.bd_seqs:
            self._rule(bd_seq == (node.bd_seqs[-1] + 1) % 256, f"bdSeq {node.bd_seqs[-1]} then {bd_seq}")
        if node.online:
            self._rule(bd_seq == node.bd_seq, "a rebirth with another bdSeq")
        else:
            node.bd_seqs.append(bd_seq)
        node.online, node.bd_seq, node.seq, node.births = True, bd_seq, 0, node.births + 1
        node.aliases, node.types, node.qualities, node.devices = {}, {}, {}, set()
        self._declare(node, "", payload)

    def _ndeath(self, node: Node, payload: Any) -> None:
        self._rule(not payload.HasField("seq"), "NDEATH with a seq")
        bd_seq = self._bd_seq(payload)
        node.deaths.append(bd_seq)
        if bd_seq == node.bd_seq:
            node.online = False

    def _in_sequence(self, node: Node, kind: str, payload: Any) -> None:
        self._rule(node.online, f"{kind} of a node that is not born")
        self._rule(payload.HasField("timestamp"), f"{kind} without a time")
        node.seq = (node.seq + 1) % 256
        self._rule(payload.seq == node.seq, f"{kind} with seq {payload.seq} where {node.seq} belongs")
        node.seq = payload.seq

    def _dbirth(self, node: Node, payload: Any, device: str) -> None:
        self._in_sequence(node, "DBIRTH", payload)
        node.devices.add(device)
        for key in [key for key in node.types if key[0] == device]:
            del node.types[key]
        self._declare(node, device, payload)

    def _ndata(self, node: Node, payload: Any) -> None:
        self._in_sequence(node, "NDATA", payload)
        self._data(node, "", payload)

    def _ddata(self, node: Node, payload: Any, device: str) -> None:
        self._in_sequence(node, "DDATA", payload)
        self._rule(device in node.devices, f"DDATA of {device} before its birth")
        self._data(node, device, payload)

    def _declare(self, node: Node, device: str, payload: Any) -> None:
        for metric in payload.metrics:
            self._rule(metric.HasField("name") and metric.datatype > 0, "a birth's metric without name or type")
            self._rule(metric.HasField("timestamp"), f"{metric.name} without a time")
            self._rule((device, metric.name) not in node.types, f"{device} {metric.name} declared twice")
            node.types[device, metric.name] = metric.datatype
            if metric.HasField("alias"):
                taken = node.aliases.setdefault(metric.alias, (device, metric.name))
                self._rule(taken == (device, metric.name), f"alias {metric.alias} has two metrics")
            self._keep(node, device, metric.name, metric, birth=True)

    def _data(self, node: Node, device: str, payload: Any) -> None:
        keys = []
        for metric in payload.metrics:
            key = node.aliases.get(metric.alias) if metric.HasField("alias") else (device, metric.name)
            self._rule(key in node.types, f"{key or metric.alias} was not declared")
            self._rule(not (metric.HasField("alias") and metric.HasField("name")), "an alias and a name")
            self._rule(metric.HasField("timestamp"), f"{key} without a time")
            if key in node.types:
                self._rule(key[0] == device, f"{key} in a message of {device}")
                self._keep(node, device, key[1], metric, birth=False)
                keys.append(key)
        self._rule(len(keys) == len(set(keys)), "a metric twice in one message")

    def _keep(self, node: Node, device: str, name: str, metric: Any, *, birth: bool) -> None:
        datatype = node.types[device, name]
        if not metric.is_null:
            self._rule(metric.WhichOneof("value") == FIELDS[datatype], f"{name}: {metric.WhichOneof('value')}")
        said = properties_of(metric)
        quality = said.get("Quality", node.qualities.get((device, name), 192))
        self._rule(quality in (0, 192, 500), f"{name} of quality {quality}")
        self._rule(
            quality == 192 or metric.is_null or not metric.HasField("alias"), f"{name}: a value of quality {quality}"
        )
        if not metric.is_historical:
            node.qualities[device, name] = quality
        value = metric_value(metric, datatype)
        self.seen.append(Seen(device, name, metric.timestamp, value, quality, metric.is_historical, birth, said))
