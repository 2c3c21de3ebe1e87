"""One supervisor per link: starts its connector, watches that it lives, starts it again when it does not.

This is the one place, beside the CLI's last line, that catches everything: a fault in one connector must not reach its
neighbours, and one in rollups or in what the agent says of itself (`contained`) not its work. What the supervisor
promises:

- A server that is absent at start is normal: the link is `waiting`, its tags say so, and it is tried again.
- A link is up only when a value or a sign of life came within the connector's `silence`; else it is restarted.
- A link that was up is tried again at once, but only once a `STEADY_S`; then tries are spaced by a jittered, doubling
  back-off (0.5 s to 60 s; 10 s to 5 min where a person must act), after a run that was up no longer than it was. While
  nobody listens where a link was up not long ago, it is tried every second: a server that restarts is found soon
  after it is back, and a refused connection costs it nothing.
- A run whose clean-up never ends holds its link up for `CLEAN_S`; then the next one starts beside it.
- When a link goes down every one of its tags gets one row with status BadNoCommunication, so that no old value looks
  fresh at the hub.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import anyio
import structlog
from anyio.abc import TaskGroup

from edge_agent.alarm import notice_event
from edge_agent.api import (
    Connector,
    Description,
    EdgeAgentError,
    Event,
    Flag,
    Frame,
    NotConnected,
    Notice,
    Overloaded,
    Refused,
    Severity,
    Status,
    TimedOut,
    Words,
)
from edge_agent.backoff import Backoff
from edge_agent.clock import Clock
from edge_agent.inbox import Inbox
from edge_agent.model.frame import Int32

_log = structlog.get_logger("link")

CLEAN_S: Final = 10.0
"""How long a run that was told to end may take for it."""
MOST_LEFT: Final = 3
"""Runs that never end are waited for after so many: they hold sockets and memory."""
LOOK_S: Final = 1.0
"""How often a link that waits for a person looks whether they came."""
STEADY_S: Final = 30.0
"""A link that stayed up this long starts its back-off from the first step again."""
AT_ONCE_S: Final = 0.02
UP_S: Final = 2.0
"""A link that stayed up this long may be tried again after AT_ONCE_S; one that breaks sooner waits for its back-off."""
LATELY_S: Final = 300.0
LISTEN_S: Final = 1.0
"""Between two tries while nobody listens, for LATELY_S after the link was up."""


async def contained(work: Callable[[], Awaitable[None]], event: str) -> Exception | None:
    """Does what no raw data depends on; a defect in it is logged as `event`, given back, and ends nothing else."""
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - the supervisor's purpose, as below
        _log.exception(event)
        return error
    return None


Describe = Callable[[int, Description], None]


def _undescribed(number: int, description: Description) -> None:
    """Where nobody wants to know."""


@dataclass
class LinkHealth:
    """What `status` shows of a link. `state`: waiting (not tried yet or between tries), connecting, up, down."""

    name: str
    connector: str
    state: str = "waiting"
    since: float = 0.0
    values: int = 0
    reconnects: int = 0
    error: EdgeAgentError | None = None
    insecure: Words | None = None
    """See `LinkSection.insecure`."""
    notices: Sequence[Notice] = ()
    """What works but wants a person."""
    told: set[tuple[str, Severity]] = field(default_factory=set)
    """Notices that were logged and sent to the hub."""
    site: str = ""
    """Where events of this link are filed."""
    machines: Mapping[str, str] = field(default_factory=dict)
    """Name -> ISA-95 path: where events of a machine are filed."""
    lost: dict[str, int] = field(default_factory=dict)
    """Values lost at the source or by the protocol before they became rows, by reason."""


class LinkOutlet:
    """The outlet of one run of one link: passes frames on and notes the signs of life."""

    def __init__(
        self,
        health: LinkHealth,
        inbox: Inbox,
        clock: Clock,
        numbers: Sequence[int] = (),
        describe: Describe = _undescribed,
    ) -> None:
        """`numbers`: the link's tags; `describe` hears what the source says of a tag."""
        self._describe = describe
        self._health, self._inbox, self._clock, self._numbers = health, inbox, clock, numbers
        self.last = clock.monotonic()
        self.began = self.last
        self.up_since: float | None = None
        """When the first sign of life came."""
        self.waits = False
        """The link gave a frame and the agent's queue is full: it is we who are silent."""

    async def put(self, frame: Frame) -> None:
        """See `api.Outlet`."""
        self.alive()
        self._health.values += len(frame)
        self.waits = True
        await self._inbox.put(frame)
        self.waits = False
        self.last = self._clock.monotonic()

    def alive(self) -> None:
        """See `api.Outlet`."""
        self.last = self._clock.monotonic()
        if self._health.state != "up":
            self.up_since = self.last
            _enter(self._health, "up", self.last)
            self._health.error = None

    def lost(self, reason: str, count: int, tags: Sequence[int] | Int32 = ()) -> None:
        """See `api.Outlet`."""
        self._health.lost[reason] = self._health.lost.get(reason, 0) + count
        self._inbox.lose(reason, count, tags if len(tags) else self._numbers)

    def describe(self, number: int, description: Description) -> None:
        """See `api.Outlet`."""
        self._describe(number, description)

    def events(self, events: Sequence[Event]) -> None:
        """See `api.Outlet`."""
        self.alive()
        health = self._health
        filed = [replace(event, path=health.machines.get(event.path, health.site)) for event in events]
        for event in filed:
            _log.info("event", id=event.id, path=event.path, detector=event.detector, state=event.state.value)
        self._inbox.put_events(filed)

    def reconnected(self, error: EdgeAgentError) -> None:
        """See `api.Outlet`."""
        self._health.reconnects += 1
        _log.info("link_went_on", link=self._health.name, after=str(error))

    def notice(self, notices: Sequence[Notice]) -> None:
        """See `api.Outlet`."""
        health = self._health
        health.notices = tuple(notices)
        for one in notices:
            if not one.quiet and (one.key, one.severity) not in health.told:
                health.told.add((one.key, one.severity))
                _log.warning("link_notice", link=health.name, severity=one.severity.name.lower(), text=one.text.en)
                self._inbox.put_events([notice_event(health.site, health.name, one, self._clock.wall())])


class LinkSupervisor:
    """Keeps one link running until it is cancelled."""

    def __init__(
        self,
        health: LinkHealth,
        numbers: list[int],
        make: Callable[[], Connector],
        inbox: Inbox,
        clock: Clock,
        describe: Describe = _undescribed,
    ) -> None:
        """`make` gives a fresh connector for each run; `numbers` are the link's tags; `describe` as in LinkOutlet."""
        self._describe = describe
        self.health = health
        self._numbers, self._make, self._inbox, self._clock = numbers, make, inbox, clock
        self._backoff = Backoff(0.5, 60.0)
        self._refusal = Backoff(10.0, 300.0)
        self._told_down = False
        self._may_hurry = True
        """Whether it may be tried at once: it was steady since that was done last."""
        self._up_lately = 0.0
        """Until when (monotonic s) somebody is expected to listen again."""
        self._connector: Connector | None = None
        self._left: list[anyio.Event] = []
        """Runs that were told to end and have not: each event comes when one has."""

    async def run(self) -> None:
        """Never returns of itself."""
        async with anyio.create_task_group() as runs:
            while True:
                outlet = LinkOutlet(self.health, self._inbox, self._clock, self._numbers, self._describe)
                _enter(self.health, "connecting", outlet.began)
                error = await self._once(outlet, runs)
                await self._went_down(error)
                await self._pause(error, self._was_up(outlet))
                self.health.reconnects += 1

    async def _once(self, outlet: LinkOutlet, runs: TaskGroup) -> EdgeAgentError:
        """One run of the connector, as one of `runs`: gives the reason why it ended."""
        reason: list[EdgeAgentError] = []
        over, scope = anyio.Event(), anyio.CancelScope()
        self._connector = None
        runs.start_soon(self._guarded, outlet, scope, reason, over)
        await self._watch(outlet, over, reason)
        scope.cancel()
        await self._left_in_time(over)
        return reason[0]

    async def _guarded(
        self, outlet: LinkOutlet, scope: anyio.CancelScope, reason: list[EdgeAgentError], over: anyio.Event
    ) -> None:
        try:
            with scope:
                self._connector = self._make()
                await self._connector.run(outlet)
                reason.append(_ended(self.health.name))
        except EdgeAgentError as error:
            reason.append(error)
        except Exception as error:  # noqa: BLE001 - the supervisor's purpose: no connector's fault may stop the others
            _log.exception("connector_failed", link=self.health.name)
            reason.append(_unexpected(self.health.name, error))
        finally:
            over.set()

    async def _watch(self, outlet: LinkOutlet, over: anyio.Event, reason: list[EdgeAgentError]) -> None:
        """Until the run is over, or silent for too long, whatever the connector believes of itself."""
        while not over.is_set():
            with anyio.move_on_after(0.5):
                await over.wait()
            silent = self._clock.monotonic() - outlet.last
            if self._connector and silent > self._connector.silence and not outlet.waits and not over.is_set():
                reason.append(_silent(self.health.name, silent))
                return

    async def _left_in_time(self, over: anyio.Event) -> None:
        """A run that was told to end has CLEAN_S for it; then the next starts beside it, but for MOST_LEFT runs."""
        self._left = [one for one in self._left if not one.is_set()]
        with anyio.move_on_after(CLEAN_S if len(self._left) < MOST_LEFT else math.inf):
            await over.wait()
        if not over.is_set():
            self._left.append(over)
            _log.warning("connector_left_behind", link=self.health.name, seconds=CLEAN_S)

    async def _went_down(self, error: EdgeAgentError) -> None:
        first = self.health.error is None or self.health.error.code != error.code or self.health.state == "up"
        to_tell = not self._told_down or self.health.state == "up"
        self.health.error = error
        _enter(self.health, "down", self._clock.monotonic())
        if first:
            _log.warning("link_down", link=self.health.name, error=str(error))
        if to_tell:
            row = Frame.of_status(
                self._numbers, self._clock.wall(), Status.BAD_NO_COMMUNICATION, Flag.AGENT | Flag.RECEIVE_TIME
            )
            await self._inbox.put(row)
            self.health.values += len(row)
            self._told_down = True

    def _was_up(self, outlet: LinkOutlet) -> float:
        """For how long the run that ended was up (s); 0 for one that never was."""
        if outlet.up_since is None:
            return 0.0
        now = self._clock.monotonic()
        self._up_lately = now + LATELY_S
        if now - outlet.up_since > STEADY_S:
            self._backoff.reset()
            self._refusal.reset()
            self._may_hurry = True
        return now - outlet.up_since

    async def _pause(self, error: EdgeAgentError, was_up: float) -> None:
        """Until the next try: it is due, or a person did what the error asked for."""
        end, before = self._clock.monotonic() + self._wait(error, was_up), _touched(error.cured_at)
        while (left := end - self._clock.monotonic()) > 0:
            await anyio.sleep(left if error.cured_at is None else min(left, LOOK_S))
            if _touched(error.cured_at) != before:
                self._refusal.reset()
                return

    def _wait(self, error: EdgeAgentError, was_up: float) -> float:
        if isinstance(error, Overloaded) and error.retry_after is not None:
            return error.retry_after
        if isinstance(error, Refused):
            return self._refusal.next()
        if was_up > UP_S and self._may_hurry:
            self._may_hurry = False
            return AT_ONCE_S
        if was_up > UP_S:
            return min(self._backoff.next(), was_up)
        if _nobody_listens(error) and self._clock.monotonic() < self._up_lately:
            return min(self._backoff.next(), LISTEN_S)
        return self._backoff.next()


def _nobody_listens(error: EdgeAgentError) -> bool:
    """Whether there was no more than a connection, if that: a try that costs the other side nothing."""
    return isinstance(error, NotConnected) and error.operation in ("connect", "open secure channel")


def _touched(path: Path | None) -> int:
    """When it was changed last, ns; 0 where it is not there."""
    try:
        return 0 if path is None else path.stat().st_mtime_ns
    except OSError:
        return 0


def _enter(health: LinkHealth, state: str, now: float) -> None:
    if state == "up":
        _log.info("link_up", link=health.name)
    health.state, health.since = state, now


def _ended(link: str) -> EdgeAgentError:
    return EdgeAgentError(
        "read",
        link,
        Words("수집이 저절로 끝났습니다", "the connector ended of itself"),
        Words("프로그램 결함입니다. 기록(로그)을 보내 주십시오", "this is a defect of the program: send us the log"),
    )


def _unexpected(link: str, error: Exception) -> EdgeAgentError:
    what = f"{type(error).__name__}: {error}"
    return EdgeAgentError(
        "read",
        link,
        Words(f"예상하지 못한 오류입니다 ({what})", f"unexpected fault ({what})"),
        Words("프로그램 결함입니다. 기록(로그)을 보내 주십시오", "this is a defect of the program: send us the log"),
    )


def _silent(link: str, seconds: float) -> TimedOut:
    return TimedOut(
        "read",
        link,
        Words(
            f"연결은 되어 있으나 {seconds:.0f}초 동안 아무 응답이 없습니다",
            f"connected, but no sign of life for {seconds:.0f} s",
        ),
        Words(
            "장비의 전원과 통신선을 확인하십시오. 자동으로 다시 접속합니다",
            "check the device's power and cable; reconnecting",
        ),
    )
