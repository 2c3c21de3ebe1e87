"""The sink itself: a batch is delivered when the broker has acknowledged every message of it.

A write holds a lock; between writes a thread of the sink's own keeps the connection alive and listens. A write that
raised is repeated whole, over a new connection: at least once, and a consumer knows a repetition by its topic and time.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from edge_agent.api import Answer, Batch, Clock, EdgeAgentError, NotConnected, Refusal, TimedOut, Words
from edge_agent.sinks.mqtt.broker import Broker, Denial
from edge_agent.sinks.mqtt.config import MqttSection
from edge_agent.sinks.mqtt.encode import JsonFormat
from edge_agent.sinks.mqtt.message import Format, Message
from edge_agent.sinks.mqtt.reason import ABOUT_CONTENT, error_for
from edge_agent.sinks.mqtt.sparkplug.node import SparkplugFormat

_GRACE: Final = 5.0
"""Seconds beyond connecting and the broker's word: name resolution, and a worker thread that has to wait its turn."""
_FUTILE: Final = 50
"""So many rows refused and none taken: then it is not the rows that are wrong."""
_FAREWELL_S: Final = 1.0
_PATIENCE_S: Final = 2.0
"""For the word of a host that is waited for: the broker keeps it and gives it at once."""


def make_format(section: MqttSection, clock: Clock) -> Format:
    """What the section's `format` stands for."""
    if section.format == "sparkplug" and section.sparkplug is not None:
        return SparkplugFormat(section.sparkplug, clock)
    return JsonFormat(section, clock)


class MqttSink:
    """Delivers to one broker."""

    def __init__(self, section: MqttSection, clock: Clock) -> None:
        """Opens nothing yet: the first write connects."""
        self._section = section
        self._broker = Broker(section)
        self._format = make_format(section, clock)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None
        self._idle_fault: EdgeAgentError | None = None

    def write(self, batch: Batch) -> Answer:
        """Delivers every row of the batch or says why not; see `edge_agent.api.Sink` and this folder's README.

        Raises NotConnected, TimedOut, Refused, Overloaded or ProtocolError; then all rows are to be written again.
        """
        if not self._broker.alive:
            self._connect(batch)
        self._await_host()
        return self._deliver(batch)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The broker is ours; whatever is raised ends the connection."""
        if not self._lock.acquire(timeout=self._section.timeout + _GRACE):
            raise _busy(self._broker.name)
        if self._closing.is_set():
            self._lock.release()
            raise _busy(self._broker.name)
        try:
            yield
        except BaseException:
            self._broker.drop()
            raise
        finally:
            self._lock.release()

    def _connect(self, batch: Batch) -> None:
        with self._alone():
            fault, self._idle_fault = self._idle_fault, None
            if fault is not None:
                raise fault  # once: so a connection that is always lost between writes is not hidden by the next one
            self._broker.connect(self._format.will(), self._format.commands)
            for _ in self._format.learn(batch):
                pass  # the births hold it
            if not self._format.awaited:
                self._say(self._format.births())
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name=f"mqtt-{self._section.name}", daemon=True)
            self._keeper.start()

    def _await_host(self) -> None:
        """Raises NotConnected while somebody is missing who must be there; the connection stays, to hear of it."""
        with self._alone():
            end = time.monotonic() + min(_PATIENCE_S, self._section.timeout)
            while self._broker.alive and self._format.awaited and time.monotonic() < end:
                self._attend(0.1)
            awaited = self._format.awaited
        if awaited:
            raise _away(self._broker.name, awaited)

    def _say(self, messages: Iterable[Message], timeout: float | None = None) -> None:
        """Messages that are not rows: a broker that takes none of them is an error."""
        for denial in self._broker.send(messages, timeout):
            raise error_for("publish", f"{self._broker.name} {denial.message.topic}", denial.code, denial.said)

    def _deliver(self, batch: Batch) -> Answer:
        with self._alone():
            self._attend()
            self._say(self._format.learn(batch))
            denied = self._broker.send(self._format.messages(batch))
            alone = [row for denial in denied if len(denial.message.rows) > 1 for row in self._checked(denial)]
            final = [denial for denial in denied if len(denial.message.rows) <= 1]
            if alone:
                self._format.missed(batch, alone)
                self._birth_again()
                final += self._broker.send(self._format.messages(batch, sorted(alone)))
            if final:
                self._format.missed(batch, [row for denial in final for row in denial.message.rows])
            refusals = [self._refusal(denial) for denial in final]
            dropped = self._format.dropped(batch)
            sent = len(batch.frame) + len(batch.events) - sum(dropped.values())
            if len(refusals) >= max(_FUTILE, sent):
                raise error_for("publish", self._broker.name, final[0].code, final[0].said)
            return Answer(refusals, dropped)

    def _checked(self, denial: Denial) -> list[int]:
        """The rows of a message that was not taken; raises where the reason lies elsewhere."""
        about_content = denial.message.rows or denial.message.event
        if denial.code not in ABOUT_CONTENT or not about_content:
            raise error_for("publish", f"{self._broker.name} {denial.message.topic}", denial.code, denial.said)
        return list(denial.message.rows)

    def _refusal(self, denial: Denial) -> Refusal:
        rows = self._checked(denial)
        return Refusal(rows, denial.said) if rows else Refusal((), f"event {denial.message.event}: {denial.said}")

    # Between writes.

    def _keep(self) -> None:
        """The keeper's thread: keeps the connection, answers who asks for a birth."""
        while not self._closing.is_set():
            self._broker.wait_for_news(0.5)
            with self._lock:
                if self._closing.is_set() or not self._broker.alive:
                    continue
                try:
                    self._attend()
                except EdgeAgentError as error:
                    self._idle_fault = error
                    self._broker.drop()

    def _attend(self, timeout: float = 0.0) -> None:
        self._broker.attend(timeout)
        heard = self._broker.heard
        while heard:
            self._format.heard(*heard.popleft())
        if self._format.awaited and self._format.has_spoken:
            self._leave()
            raise _away(self._broker.name, self._format.awaited)
        self._birth_again()

    def _leave(self) -> None:
        if self._format.has_spoken:
            self._say(self._format.farewell(), _FAREWELL_S)
        self._broker.leave()

    def _birth_again(self) -> None:
        if self._format.wants_birth:
            self._say(self._format.births())

    def close(self) -> None:
        """Says good-bye and closes the connection; what is on its way is given up."""
        self._closing.set()
        if not self._lock.acquire(timeout=_FAREWELL_S):
            self._broker.cut()
            return
        try:
            if self._broker.alive:
                self._leave()
        except EdgeAgentError:
            self._broker.drop()  # the will says it
        finally:
            self._lock.release()


def _away(name: str, host: str) -> NotConnected:
    return NotConnected(
        "publish",
        name,
        Words(f"주 호스트 {host}이(가) 온라인이 아닙니다", f"the primary host {host} is not online"),
        Words(
            "호스트 애플리케이션의 상태와 primary_host의 이름을 확인하십시오. 데이터는 모두 보관됩니다",
            "look at the host application, and at its id in primary_host; all data is kept",
        ),
    )


def _busy(name: str) -> TimedOut:
    return TimedOut(
        "connect",
        name,
        Words("브로커와의 연결이 제때 이루어지지 않았습니다", "the connection to the broker took too long"),
        Words("이름 해석(DNS)과 네트워크를 확인하십시오", "check name resolution (DNS) and the network"),
    )
