"""What a consumer sees: everything below some topics, as it came, with its own connection to the broker."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers.process import poll


@dataclass
class Came:
    topic: str
    facts: Any
    retained: bool
    size: int


class Subscriber:
    """``with Subscriber(port) as sub``: `came` grows; connects again by itself when the broker was away."""

    def __init__(self, port: int, topic: str = "#", *, user: str | None = None, password: str | None = None) -> None:
        self.came: list[Came] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "subscriber", protocol=paho.MQTTv5)
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, message: self._take(message)
        self._client.reconnect_delay_set(1, 1)
        self._port = port

    def _take(self, message: paho.MQTTMessage) -> None:
        self.came.append(Came(message.topic, json.loads(message.payload), message.retain, len(message.payload)))

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, topic: str) -> list[Any]:
        """The messages of one topic, in order."""
        return [one.facts for one in self.came if one.topic == topic]

    @property
    def identities(self) -> set[tuple[str, int]]:
        """(topic, ns since 1970) of all values."""
        return {
            (one.topic, one.facts["timestamp_ms"] * 1_000_000 + one.facts.get("ns", 0))
            for one in self.came
            if "timestamp_ms" in one.facts
        }

    def until(self, what: str, condition: Any, deadline_s: float = 20.0) -> None:
        poll(what, condition, deadline_s)
