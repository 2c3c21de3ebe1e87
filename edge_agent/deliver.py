"""One delivery per sink: journal -> sink, from its cursor, one write in flight.

The writer clocks itself: the next batch is whatever came while the last one was written (at most `max_batch_rows`).
A batch that could not be delivered is read again and tried again, for ever; only the sink's own answer or the journal's
stated retention lets a row go, and the ledger counts both.
"""

from dataclasses import dataclass

import anyio
import anyio.to_thread
import structlog

from edge_agent.api import EdgeAgentError, Overloaded, Refused, Sink, Words
from edge_agent.backoff import Backoff
from edge_agent.clock import Clock
from edge_agent.config.base import SinkSection
from edge_agent.journal import Cursor
from edge_agent.store import News

_log = structlog.get_logger("sink")


@dataclass
class SinkHealth:
    """What `status` shows of a sink beside its ledger. `state`: starting, ok, retrying."""

    name: str
    state: str = "starting"
    error: EdgeAgentError | None = None
    writes: int = 0


class Delivery:
    """Keeps one sink supplied until cancelled."""

    def __init__(self, section: SinkSection, sink: Sink, cursor: Cursor, news: News, clock: Clock) -> None:
        self.health = SinkHealth(section.name)
        self.cursor = cursor
        self._sink, self._section, self._news, self._clock = sink, section, news, clock
        self._backoff = Backoff(0.5, 15.0)
        self._refusal = Backoff(5.0, 300.0)
        self._draining = anyio.Event()

    async def run(self) -> None:
        """Runs until `drain` was called and all that could be delivered is; or until cancelled."""
        while not (self._draining.is_set() and self.health.state == "retrying"):
            began = self._clock.monotonic()
            if await self.step():
                await self._pause(began + self._section.spacing - self._clock.monotonic())
            elif self._draining.is_set():
                return
            else:
                await self._news.wait(1.0)

    def drain(self) -> None:
        """At stop: deliver what waits, without waiting for more, and give up at the first failure."""
        self._draining.set()
        self._news.ring()

    async def _pause(self, seconds: float) -> None:
        """Waits, unless it is time to drain."""
        if seconds > 0:
            with anyio.move_on_after(seconds):
                await self._draining.wait()

    async def step(self) -> bool:
        """Reads and writes one batch; False when there was nothing to do. Waits out the back-off after a failure."""
        try:
            batch = await anyio.to_thread.run_sync(self.cursor.read, self._section.max_batch_rows)
            if batch is None:
                return False
            answer = await self._sink.write(batch)
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.cursor.advance, batch, answer)
        except EdgeAgentError as error:
            await self._pause(self._failed(error))
        except Exception as error:  # noqa: BLE001 - this is the sink's supervisor: its fault must not stop the others
            _log.exception("sink_failed", sink=self.health.name)
            await self._pause(self._failed(_unexpected(self.health.name, error)))
        else:
            self._succeeded()
        return True

    def _succeeded(self) -> None:
        self.health.writes += 1
        if self.health.state != "ok":
            _log.info("sink_up", sink=self.health.name)
            self.health.state, self.health.error = "ok", None
        self._backoff.reset()
        self._refusal.reset()

    def _failed(self, error: EdgeAgentError) -> float:
        if self.health.error is None or self.health.error.code != error.code:
            _log.warning("sink_down", sink=self.health.name, error=str(error))
        self.health.state, self.health.error = "retrying", error
        if isinstance(error, Overloaded) and error.retry_after is not None:
            return min(error.retry_after, 3600.0)
        return (self._refusal if isinstance(error, Refused) else self._backoff).next()

    async def close(self) -> None:
        """Lets go of the sink."""
        with anyio.move_on_after(2.0, shield=True):
            await self._sink.close()


def _unexpected(sink: str, error: Exception) -> EdgeAgentError:
    what = f"{type(error).__name__}: {error}"
    return EdgeAgentError(
        "write",
        sink,
        Words(f"예상하지 못한 오류입니다 ({what})", f"unexpected fault ({what})"),
        Words("프로그램 결함입니다. 기록(로그)을 보내 주십시오", "this is a defect of the program: send us the log"),
    )
