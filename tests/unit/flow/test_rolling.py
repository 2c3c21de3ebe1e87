"""A defect in the rollups is said and costs nothing: raw values go on, and it is tried again from what was written."""

import anyio
import pytest

from edge_agent.inbox import Inbox
from edge_agent.journal.roller import Roller
from edge_agent.journal.rollup_reader import RollupReader
from edge_agent.rolling import Rolling
from tests.unit.journal.material import TABLE, ManualClock, frame, open_journal, section

pytestmark = pytest.mark.anyio


class Defective(Roller):
    """Has a defect at its first turn."""

    defects = 1

    def turn(self) -> bool:
        if self.defects:
            self.defects -= 1
            raise KeyError("a defect")
        return super().turn()


async def run_until(rollups, condition):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rollups.run)
        with anyio.fail_after(20):
            while not condition():
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


async def test_a_defect_is_said_and_tried_again(tmp_path):
    clock = ManualClock()
    journal = open_journal(tmp_path, clock=clock)
    journal.append(frame(0, 300))
    journal.sync()
    rollups = Rolling(Defective(journal, TABLE, section(), clock), Inbox(1000))
    await run_until(rollups, lambda: rollups.error is not None)
    assert "a defect" in str(rollups.error)
    assert rollups.snapshot()["behind"] == 300
    await run_until(rollups, lambda: rollups.error is None)
    await rollups.close(5.0)
    journal.close()
    assert int(RollupReader(tmp_path).rollups(list(TABLE.paths), 0, 1 << 62).count.sum()) == 300
