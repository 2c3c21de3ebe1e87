"""When a link counts as silent: by its own signs of life, whatever its neighbours and the agent's queue do."""

import anyio
import pytest

from edge_agent.api import Frame, Outlet
from edge_agent.clock import SystemClock
from edge_agent.inbox import Inbox
from edge_agent.supervise import LinkHealth, LinkSupervisor

pytestmark = pytest.mark.anyio


class Mute:
    """Says once that it lives, and puts as many frames as it is told."""

    silence = 0.6

    def __init__(self, frames: int) -> None:
        self._frames = frames

    async def run(self, outlet: Outlet) -> None:
        outlet.alive()
        for k in range(self._frames):
            await outlet.put(Frame.of_floats([0], k, [1.0]))
        await anyio.sleep_forever()


async def test_a_silent_link_is_noticed_while_its_neighbours_fill_the_queue() -> None:
    inbox, health = Inbox(10_000), LinkHealth("plc", "mute")
    await inbox.put(Frame.of_floats([7], 1, [1.0]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LinkSupervisor(health, [0], lambda: Mute(0), inbox, SystemClock()).run)
        with anyio.fail_after(20):
            while health.error is None:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert health.error.code == "EA-202"
    assert inbox.door.waiting > 0


async def test_a_link_that_waits_for_the_agent_is_not_silent() -> None:
    inbox, health = Inbox(2), LinkHealth("plc", "mute")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(LinkSupervisor(health, [0], lambda: Mute(5), inbox, SystemClock()).run)
        await anyio.sleep(2.0)  # the time in which it would have been taken for silent three times
        assert (health.state, health.error, inbox.door.waiting) == ("up", None, 2)
        tasks.cancel_scope.cancel()
