"""The connection to the broker through paho-mqtt. Blocking. Only here are paho, ssl and sockets seen.

paho is driven by its loop hooks (`loop_read`, `loop_write`, `loop_misc`) in whatever thread calls, never by a thread of
its own: so its queues hold no more than the window, and nothing is sent that no one waits for. Each connection is a new
paho client with a clean session: what was not acknowledged is sent again by the journal's cursor, not by paho.
"""

import ssl
import struct
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.api import EdgeAgentError, NotConnected, ProtocolError, Refused, TimedOut, Words
from edge_agent.sinks.mqtt.config import MqttSection
from edge_agent.sinks.mqtt.message import Message
from edge_agent.sinks.mqtt.reason import ABOUT_CONTENT, TOO_LARGE, error_for
from edge_agent.sinks.mqtt.wire import Wire, dial

_MOST_HEARD: Final = 100
_NONSENSE: Final = (MQTTException, ValueError, LookupError, struct.error, TypeError, AttributeError)
"""What paho raises on bytes that are no MQTT."""
_KEY_HINT: Final = Words(
    "ca_file, client_cert, client_key 파일과 권한을 확인하십시오",
    "check the files ca_file, client_cert, client_key and their rights",
)


class Denial(NamedTuple):
    """A message that the broker did not take, or that is larger than it takes; `said` in the broker's words."""

    message: Message
    code: int
    said: str


class _Client(paho.Client):
    """paho with a socket of ours."""

    wire: Wire | None = None
    context: ssl.SSLContext | None = None

    def _create_socket(self) -> Wire:
        self.wire = dial((self.host, self.port), self.context, self.connect_timeout)
        return self.wire


class Broker:
    """One connection at a time. All methods but `cut` and `wait_for_news` are for one thread at a time."""

    def __init__(self, section: MqttSection) -> None:
        """Opens nothing yet."""
        self._section = section
        self.name = section.url
        self._client: _Client | None = None
        self._cut = False
        self._fault: EdgeAgentError | None = None
        self._answered = False
        self._in_flight: dict[int, Message] = {}
        self._denied: list[Denial] = []
        self._suspects: set[str] = set()
        """Topics of what was on its way when a connection ended without a word: each is next tried alone."""
        self._progress = 0.0
        self.window = section.in_flight
        self.largest = 268_435_455
        self.heard: deque[tuple[str, bytes]] = deque(maxlen=_MOST_HEARD)
        """What came on the topics listened to; the oldest give way."""

    @property
    def alive(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._client is not None and not self._cut

    # Connecting.

    def connect(self, will: Message, topics: Sequence[str]) -> None:
        """Connects, waits for the broker's word, and listens to `topics`. Raises what the sink may raise."""
        self.drop()
        self._cut, self._fault, self._answered = False, None, False
        client = self._new_client(will)
        host, port = self._section.address
        try:
            client.connect(host, port, keepalive=max(int(self._section.keep_alive), 1), clean_start=True)
        except (OSError, MQTTException, ValueError) as error:
            raise _connect_fault(self.name, error) from error
        self._client = client
        self._progress = time.monotonic()
        while not self._answered:
            self._turn("connect")
        for topic in topics:
            client.subscribe(topic, options=SubscribeOptions(qos=1))

    def _new_client(self, will: Message) -> _Client:
        section = self._section
        client = _Client(CallbackAPIVersion.VERSION2, section.client_id, protocol=paho.MQTTv5)
        client.connect_timeout = section.timeout
        client.max_inflight_messages_set(0)  # the window is ours
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        if section.user is not None:
            client.username_pw_set(section.user, section.password.read() if section.password else None)
        if section.encrypted:
            client.context = _tls_context(section)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, client: paho.Client, data: Any, flags: paho.ConnectFlags, reason: ReasonCode, facts: Properties | None
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self._fault = error_for("connect", self.name, reason.value, _said(facts))
            return
        given = _given(facts)
        self.window = min(self._section.in_flight, int(given.get("ReceiveMaximum", 65_535)))
        self.largest = int(given.get("MaximumPacketSize", 268_435_455))
        for name, code in (("MaximumQoS", 0x9B), ("RetainAvailable", 0x9A)):
            if given.get(name) == 0:
                self._fault = error_for("connect", self.name, code, "")

    def _on_disconnect(
        self, client: paho.Client, data: Any, flags: paho.DisconnectFlags, reason: ReasonCode, facts: Properties | None
    ) -> None:
        if self._fault is None and flags.is_disconnect_packet_from_server:
            told = reason.value >= 0x80
            self._fault = error_for("publish", self.name, reason.value, _said(facts)) if told else _lost(self.name)

    def _on_publish(
        self, client: paho.Client, data: Any, mid: int, reason: ReasonCode, facts: Properties | None
    ) -> None:
        message = self._in_flight.pop(mid, None)
        self._progress = time.monotonic()
        if message is not None and reason.value >= 0x80:
            self._denied.append(Denial(message, reason.value, _said(facts) or reason.getName()))

    def _on_message(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    # Sending.

    def send(self, messages: Iterable[Message], timeout: float | None = None) -> list[Denial]:
        """Sends all and waits for the acknowledgement of each; answers those that the broker did not take.

        Raises TimedOut when none came for `timeout` seconds (the section's), NotConnected and what else ends a
        connection.
        """
        patience = self._section.timeout if timeout is None else timeout
        self._denied = []
        self._progress = time.monotonic()
        try:
            for message in messages:
                suspect = message.topic in self._suspects
                self._drain(0 if suspect else self.window - 1, patience)
                self._publish(message)
                if suspect:
                    self._drain(0, patience)
                    self._suspects.discard(message.topic)
            self._drain(0, patience)
        except NotConnected as error:
            self._explain(error)
            raise
        return self._denied

    def _drain(self, most: int, patience: float) -> None:
        """Waits until no more than so many are without an answer."""
        while len(self._in_flight) > most:
            self._turn("publish", patience)

    def _explain(self, error: NotConnected) -> None:
        """Some brokers (mosquitto 2.0.11) end the connection after denying a message: then that was the reason."""
        for denial in self._denied:
            if denial.code not in ABOUT_CONTENT:
                where = f"{self.name} {denial.message.topic}"
                raise error_for("publish", where, denial.code, denial.said) from error
        if self._fault is None and not self._cut:
            self._suspects = {message.topic for message in self._in_flight.values()}

    def _publish(self, message: Message) -> None:
        if message.packet_size > self.largest:
            said = f"message of {message.packet_size} bytes, the broker takes {self.largest}"
            self._denied.append(Denial(message, TOO_LARGE, said))
            return
        if self._client is None:
            raise _lost(self.name)
        if not self._in_flight:
            self._progress = time.monotonic()  # the time that was spent on making messages is not the broker's
        info = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        self._in_flight[info.mid] = message
        if info.rc != paho.MQTT_ERR_SUCCESS:
            self._check(info.rc)

    def _turn(self, operation: str, timeout: float | None = None) -> None:
        """Waits for the socket and lets paho read and write; raises when nothing came for too long."""
        patience = self._section.timeout if timeout is None else timeout
        left = self._progress + patience - time.monotonic()
        if left <= 0:
            raise _timed_out(operation, self.name, patience)
        self._work(left)

    def attend(self, timeout: float = 0.0) -> None:
        """Between writes: signs of life, and what comes from outside, waited for so many seconds. Raises when the
        connection is gone.
        """
        self._work(timeout)

    def _work(self, timeout: float) -> None:
        client = self._client
        if client is None or client.wire is None or client.socket() is None:
            self._check(paho.MQTT_ERR_CONN_LOST)
            return
        try:
            client.wire.flush()
            results = [client.loop_read()] if client.wire.wait(timeout) else []
            results.append(client.loop_misc())
            client.wire.flush()
        except OSError as error:
            self._check(paho.MQTT_ERR_SUCCESS)
            raise _lost(self.name, str(error)) from error
        except _NONSENSE as error:
            raise _nonsense(self.name, error) from error
        self._check(max(results))

    def _check(self, result: int) -> None:
        """Raises what ended the connection, if anything did."""
        if self._fault is not None:
            raise self._fault
        if self._cut:
            raise _lost(self.name)
        if result in (paho.MQTT_ERR_PROTOCOL, paho.MQTT_ERR_NOT_SUPPORTED):
            raise _nonsense(self.name, f"paho error {result}")
        if result == paho.MQTT_ERR_KEEPALIVE:
            raise _timed_out("keep alive", self.name, self._section.keep_alive)
        if result != paho.MQTT_ERR_SUCCESS:
            raise _lost(self.name)

    def wait_for_news(self, timeout: float) -> None:
        """Returns when there is something to read, or after `timeout` seconds. From any thread."""
        client = self._client
        if client is None or client.wire is None:
            time.sleep(timeout)
            return
        with suppress(OSError, ValueError):  # closed under us: then there is news
            client.wire.wait(timeout)

    # Ending.

    def leave(self) -> None:
        """Says good-bye properly, so that the broker does not publish the will."""
        if self._client is not None:
            self._client.disconnect()  # closes the wire once it is sent
        self.drop()

    def cut(self) -> None:
        """Breaks the connection under a thread that waits on it. From any thread."""
        self._cut = True
        client = self._client
        if client is not None and client.wire is not None:
            client.wire.shutdown()

    def drop(self) -> None:
        """Forgets the connection and all that was on its way. The broker then publishes the will."""
        client, self._client = self._client, None
        self._in_flight.clear()
        self.heard.clear()
        if client is not None and client.wire is not None:
            client.wire.drop()


def _given(facts: Properties | None) -> dict[str, Any]:
    return {} if facts is None else dict(facts.json())  # type: ignore[no-untyped-call]  # paho's types end here


def _said(facts: Properties | None) -> str:
    """The broker's own words: its reason string, and where it refers to."""
    given = _given(facts)
    return ", ".join(str(given[name]) for name in ("ReasonString", "ServerReference") if name in given)


def _tls_context(section: MqttSection) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=section.ca_file)
        if section.client_cert is not None:
            context.load_cert_chain(section.client_cert, section.client_key)
    except (OSError, ValueError) as error:
        what = Words(f"인증서를 읽을 수 없습니다 ({error})", f"the certificates cannot be read ({error})")
        raise Refused("connect", section.url, what, _KEY_HINT) from error
    return context


def _connect_fault(name: str, error: Exception) -> EdgeAgentError:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        return Refused(
            "connect",
            name,
            Words(f"브로커의 인증서를 믿을 수 없습니다 ({reason})", f"the broker's certificate is bad ({reason})"),
            Words(
                "ca_file, 인증서의 유효 기간과 호스트 이름, 이 컴퓨터의 시각을 확인하십시오",
                "check ca_file, the certificate's dates and host name, and this machine's clock",
            ),
        )
    if isinstance(error, ssl.SSLError):
        return Refused(
            "connect",
            name,
            Words(f"TLS 연결에 실패했습니다 ({error})", f"TLS failed ({error})"),
            Words(
                "이 포트가 TLS 포트(보통 8883)인지, 클라이언트 인증서가 필요한지 확인하십시오",
                "check that this is the TLS port (usually 8883), and whether a client certificate is wanted",
            ),
        )
    if isinstance(error, TimeoutError):
        return _timed_out("connect", name, None)
    return _lost(name, str(error))


def _lost(name: str, why: str = "") -> NotConnected:
    said = f" ({why})" if why else ""
    return NotConnected(
        "publish",
        name,
        Words(f"브로커와 연결되어 있지 않습니다{said}", f"there is no connection to the broker{said}"),
        Words(
            "url, 네트워크, 브로커의 실행 여부, 같은 client_id를 쓰는 다른 클라이언트를 확인하십시오",
            "check url, network, that the broker runs, and that no other client has this client_id; all data is kept",
        ),
    )


def _timed_out(operation: str, name: str, seconds: float | None) -> TimedOut:
    shown = "" if seconds is None else f" {seconds:g} s"
    return TimedOut(
        operation,
        name,
        Words(f"브로커가 제때 확인 응답하지 않습니다{shown}", f"the broker did not acknowledge in time{shown}"),
        Words(
            "네트워크, 포트(MQTT 브로커인지), 브로커의 부하를 확인하고, 느린 회선이면 timeout을 늘리십시오",
            "look at the network, the port (is it MQTT's?) and the broker's load; on a slow line raise timeout",
        ),
    )


def _nonsense(name: str, why: object) -> ProtocolError:
    return ProtocolError(
        "publish",
        name,
        Words(f"MQTT 5가 아닌 응답입니다 ({why})", f"the answer is not MQTT 5 ({why})"),
        Words(
            "이 포트가 MQTT 5 브로커의 포트인지 확인하십시오 (TLS 포트에는 mqtts://)",
            "check that this is the port of an MQTT 5 broker (mqtts:// for a TLS port)",
        ),
    )
