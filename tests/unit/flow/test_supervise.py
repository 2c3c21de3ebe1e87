"""The supervisor against connectors that misbehave in every way: none of it reaches anyone else."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from edge_agent import supervise
from edge_agent.alarm import notice_event
from edge_agent.api import (
    EdgeAgentError,
    Frame,
    NotConnected,
    Notice,
    Outlet,
    Overloaded,
    Refused,
    Severity,
    TimedOut,
    Words,
)
from edge_agent.backoff import Backoff
from edge_agent.clock import SystemClock
from edge_agent.inbox import Inbox
from edge_agent.model import Flag, Quality
from edge_agent.model.status import quality_of
from edge_agent.supervise import LinkHealth, LinkOutlet, LinkSupervisor

pytestmark = pytest.mark.anyio
NOBODY = NotConnected("connect", "plc", Words("없음", "nobody"), Words("확인", "look"))


class Scripted:
    """A connector that does what the test's function says: real runs, real waiting."""

    def __init__(self, script: Callable[[Outlet], Awaitable[None]], silence: float = 30.0) -> None:
        self._script, self.silence = script, silence

    async def run(self, outlet: Outlet) -> None:
        await self._script(outlet)


async def watch(scripts: list[Callable[[Outlet], Awaitable[None]]], until: Callable[[LinkHealth], bool], **kw) -> tuple:
    """Runs a supervisor over the scripts, one a try (the last one again and again), until `until` says so."""
    inbox, health, tries = Inbox(10_000), LinkHealth("plc", "scripted"), iter(scripts)
    last = [scripts[-1]]

    def make() -> Scripted:
        last[0] = next(tries, last[0])
        return Scripted(last[0], **kw)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LinkSupervisor(health, [0, 1], make, inbox, SystemClock()).run)
        with anyio.fail_after(20):
            while not until(health):
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    frames, _ = inbox.take(0)
    return health, Frame.concat(frames)


async def absent(outlet: Outlet) -> None:
    raise NOBODY


async def defective(outlet: Outlet) -> None:
    raise ZeroDivisionError("a defect")


async def returns(outlet: Outlet) -> None:
    return


async def works(outlet: Outlet) -> None:
    await outlet.put(Frame.of_floats([0, 1], 5, [1.0, 2.0]))
    await anyio.sleep_forever()


async def falls_silent(outlet: Outlet) -> None:
    outlet.alive()
    await anyio.sleep_forever()


@pytest.mark.parametrize("first", [absent, defective, returns])
async def test_it_is_tried_again_until_it_works(first: Callable[[Outlet], Awaitable[None]]) -> None:
    health, frame = await watch([first, works], lambda h: h.values >= 4)
    assert health.state == "up"
    assert health.error is None
    assert health.reconnects == 1
    assert frame.floats()[-2:].tolist() == [1.0, 2.0]


async def test_a_clean_up_that_never_ends_holds_its_link_up_for_a_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "CLEAN_S", 0.1)
    free, stuck = anyio.Event(), []

    async def never_ends(outlet: Outlet) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stuck.append(outlet)
            with anyio.CancelScope(shield=True):
                await free.wait()

    def until(health: LinkHealth) -> bool:
        if health.values >= 4:
            free.set()
        return free.is_set()

    health, _ = await watch([never_ends, works], until, silence=0.1)
    assert len(stuck) == 1
    assert health.reconnects >= 1


async def test_runs_that_never_end_do_not_become_ever_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "CLEAN_S", 0.01)
    monkeypatch.setattr(supervise, "MOST_LEFT", 1)
    free, stuck, seen = anyio.Event(), [], []

    async def never_ends(outlet: Outlet) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stuck.append(outlet)
            with anyio.CancelScope(shield=True):
                await free.wait()

    def until(health: LinkHealth) -> bool:
        if len(stuck) == 2 and not free.is_set():
            seen.append(health.reconnects)
            if len(seen) > 50:
                free.set()
        return free.is_set()

    await watch([never_ends], until, silence=0.05)
    assert set(seen) == {1}, "the second one is waited for"


async def test_a_link_that_goes_down_says_so_in_each_of_its_tags_once() -> None:
    async def breaks(outlet: Outlet) -> None:
        await outlet.put(Frame.of_floats([0, 1], 5, [1.0, 2.0]))
        raise NOBODY

    _, frame = await watch([breaks, absent, absent], lambda h: h.reconnects >= 2)
    assert frame.tag.tolist() == [0, 1, 0, 1]
    assert [quality_of(int(s)) for s in frame.status] == [Quality.GOOD] * 2 + [Quality.BAD] * 2
    assert (frame.flags[2:] & Flag.AGENT).all()
    assert frame.value(2) is None


async def test_a_link_that_is_down_says_so_though_the_queue_is_full() -> None:
    inbox, health = Inbox(3), LinkHealth("plc", "scripted")

    async def fills_the_queue(outlet: Outlet) -> None:
        await outlet.put(Frame.of_floats([0, 1], 5, [1.0, 2.0]))
        raise NOBODY

    def make() -> Scripted:
        return Scripted(fills_the_queue)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LinkSupervisor(health, [0, 1], make, inbox, SystemClock()).run)
        with anyio.fail_after(20):
            while health.state != "down":
                await anyio.sleep(0.01)
        assert health.error is NOBODY
        tasks.cancel_scope.cancel()


async def test_an_absent_server_is_told_at_start() -> None:
    health, frame = await watch([absent], lambda h: h.reconnects >= 1)
    assert health.error is NOBODY
    assert frame.tag.tolist() == [0, 1]


async def test_a_silent_connector_is_restarted() -> None:
    health, _ = await watch([falls_silent], lambda h: h.error is not None, silence=0.2)
    assert health.error is not None
    assert health.error.code == "EA-202"


async def test_the_other_side_may_ask_for_patience() -> None:
    async def patient(outlet: Outlet) -> None:
        raise Overloaded("connect", "plc", Words("", ""), Words("", ""), retry_after=0.01)

    health, _ = await watch([patient], lambda h: h.reconnects >= 5)
    assert health.reconnects >= 5


class Hours:
    """A clock that the test moves on."""

    def __init__(self) -> None:
        self.now = 5000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> int:
        return int(self.now * 1e9)


def waits(supervisor: LinkSupervisor, error: EdgeAgentError, count: int = 8) -> list[float]:
    return [supervisor._wait(error, 0.0) for _ in range(count)]


def test_a_link_that_was_up_is_tried_again_at_once_and_one_that_flaps_backs_off() -> None:
    clock, inbox = Hours(), Inbox(10)
    supervisor = LinkSupervisor(LinkHealth("plc", "scripted"), [0], lambda: Scripted(works), inbox, clock)
    broken = NotConnected("read", "plc", Words("", ""), Words("", ""))
    outlet = LinkOutlet(supervisor.health, inbox, clock)
    assert supervisor._was_up(outlet) == 0.0
    outlet.alive()
    clock.now += 10
    was_up = supervisor._was_up(outlet)
    assert was_up == 10
    assert supervisor._wait(broken, was_up) < 0.1
    again = [supervisor._wait(broken, 5.0) for _ in range(8)]
    assert min(again) >= 0.25, "at once only where it was steady since"
    assert max(again) <= 5, "no longer than it was up"
    clock.now += 31
    assert supervisor._wait(broken, supervisor._was_up(outlet)) < 0.1
    flapping = [supervisor._wait(broken, 0.5) for _ in range(8)]
    assert flapping[-1] >= 30


def test_while_nobody_listens_where_a_link_was_up_lately_somebody_looks_every_second() -> None:
    clock, inbox = Hours(), Inbox(10)
    supervisor = LinkSupervisor(LinkHealth("plc", "scripted"), [0], lambda: Scripted(works), inbox, clock)
    assert max(waits(supervisor, NOBODY)) > 10, "it was never up"
    outlet = LinkOutlet(supervisor.health, inbox, clock)
    outlet.alive()
    clock.now += 60
    supervisor._was_up(outlet)
    assert max(waits(supervisor, NOBODY)) <= 1
    silent = TimedOut("log on", "plc", Words("", ""), Words("", ""))
    assert max(waits(supervisor, silent)) > 10, "somebody is there and should not be pressed"
    clock.now += 301
    assert min(waits(supervisor, NOBODY)) > 10


def test_backoff_doubles_within_its_bounds() -> None:
    backoff = Backoff(1.0, 8.0)
    for step in (1, 2, 4, 8, 8):
        assert step / 2 <= backoff.next() <= step
    backoff.reset()
    assert backoff.next() <= 1


async def test_what_a_person_cured_is_tried_at_once(tmp_path: Path) -> None:
    """The least wait for a person is 8 s with jitter; here they come at once."""
    trusted, cured = tmp_path / "trusted", []

    async def refuses(outlet: Outlet) -> None:
        error = Refused("trust", "plc", Words("", ""), Words("", ""))
        error.cured_at = trusted
        raise error

    async def works_since(outlet: Outlet) -> None:
        cured.append(trusted.exists())
        await works(outlet)

    async def person() -> None:
        await anyio.sleep(0.1)
        trusted.mkdir()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(person)
        await watch([refuses, works_since], lambda h: h.values >= 4)
    assert cured == [True]


async def test_a_notice_is_shown_while_it_holds_and_told_once_a_severity() -> None:
    inbox, health = Inbox(10_000), LinkHealth("plc", "scripted", site="siheung")
    outlet = LinkOutlet(health, inbox, SystemClock())
    soon = Notice("expiry", Severity.NOTICE, Words("곧 만료", "soon"))
    known = Notice("known", Severity.NOTICE, Words("알고 있음", "known"), quiet=True)
    outlet.notice([known])
    assert health.notices == (known,)
    for told in ([soon], [soon], [replace(soon, severity=Severity.CRITICAL)], []):
        outlet.notice(told)
    assert health.notices == ()
    outlet.notice([soon])
    assert health.notices == (soon,)
    _, events = inbox.take(0)
    assert [(event.path, event.detector, event.severity) for event in events] == [
        ("siheung", "link/plc/expiry", Severity.NOTICE),
        ("siheung", "link/plc/expiry", Severity.CRITICAL),
    ]
    assert events[0].text.ko == "plc: 곧 만료"
    assert events[0].start == events[0].end
    assert events[0].start % 86_400_000_000_000 == 0


def test_events_of_a_source_are_filed_under_their_machine_or_the_site() -> None:
    clock, inbox = Hours(), Inbox(10)
    health = LinkHealth("plc", "scripted", site="plant", machines={"m0": "plant/hall/m0"})
    outlet = LinkOutlet(health, inbox, clock)
    told = notice_event("plant", "plc", Notice("k", Severity.NOTICE, Words("ko", "en")), 5)
    outlet.events([replace(told, path="m0"), replace(told, path="")])
    _, events = inbox.take(0.0)
    assert [event.path for event in events] == ["plant/hall/m0", "plant"]
    assert health.state == "up"
