"""Scoring is detection's supervisor: a detector's fault, a damaged checkpoint, a full disk; collection goes on."""

import dataclasses
import threading
from collections.abc import Callable

import anyio
import numpy as np
import pytest

from edge_agent.clock import SystemClock
from edge_agent.errors import DetectionError, Words
from edge_agent.inbox import Inbox
from edge_agent.model import Event, Flag, Frame
from edge_agent.score import Scoring

pytestmark = pytest.mark.anyio
FULL = DetectionError("write checkpoint", "x", Words("가득 참", "disk full"), Words("비움", "make room"))


class Scripted:
    """A detection that fails when told so."""

    engine = "scripted"

    def __init__(self, fails: Callable[[Frame], bool] = lambda frame: False, disk_full: bool = False) -> None:
        self.notices: list[DetectionError] = []
        self.refused: DetectionError | None = None
        self.scored, self.saves = 0, 0
        self._fails, self.disk_full = fails, disk_full

    def score(self, frame: Frame) -> list[Event]:
        if self._fails(frame):
            raise IndexError("a defect")
        self.scored += len(frame)
        return []

    def tick(self) -> list[Event]:
        return []

    def save(self) -> None:
        self.saves += 1
        self.refused = FULL if self.disk_full else None

    def learning(self) -> tuple[int, int]:
        return 0, 0


def frame(*values: float) -> Frame:
    return Frame.of_floats(list(range(len(values))), 1, values)


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.01)


async def test_a_defect_ends_scoring_for_a_while_only() -> None:
    made: list[Scripted] = []

    def make() -> Scripted:
        made.append(Scripted(fails=lambda f: f.floats()[0] == 666))
        return made[-1]

    scoring = Scoring(make, Inbox(100), SystemClock(), 100, 300)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scoring.run)
        scoring.offer(frame(1, 2))
        await until(lambda: made and made[0].scored == 2)
        scoring.offer(frame(666, 1, 1))
        await until(lambda: scoring.error)
        assert scoring.detection is None
        assert "a defect" in str(scoring.error)
        scoring.offer(frame(1))
        assert scoring.skipped == 1, "not scored, and said so"
        await until(lambda: len(made) == 2 and scoring.detection is made[1])
        assert scoring.error is None
        scoring.offer(frame(1, 2, 3))
        await until(lambda: made[1].scored == 3)
        scoring.close()
    assert made[1].saves == 1


async def test_detection_that_cannot_begin_does_not_keep_the_agent_from_stopping() -> None:
    tries: list[int] = []

    def make() -> Scripted:
        tries.append(1)
        raise MemoryError("no memory")

    scoring = Scoring(make, Inbox(100), SystemClock(), 100, 300)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scoring.run)
            await until(lambda: len(tries) == 2 and scoring.error)
            assert "no memory" in str(scoring.error)
            scoring.close()


async def test_a_stop_does_not_wait_for_the_compiler() -> None:
    begun, end = threading.Event(), threading.Event()

    def make() -> Scripted:
        begun.set()
        end.wait(20)
        return Scripted()

    scoring = Scoring(make, Inbox(100), SystemClock(), 100, 300)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scoring.run)
            await until(begun.is_set)
            scoring.close()
    end.set()
    assert scoring.detection is None


async def test_a_full_disk_does_not_end_detection() -> None:
    detection = Scripted(disk_full=True)
    scoring = Scoring(lambda: detection, Inbox(100), SystemClock(), 100, 0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scoring.run)
        scoring.offer(frame(1))
        await until(lambda: scoring.error is FULL)
        scoring.offer(frame(1, 2))
        await until(lambda: detection.scored == 3)
        detection.disk_full = False
        await until(lambda: scoring.error is None)
        scoring.close()


async def test_what_was_survived_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    detection = Scripted()
    detection.notices = [FULL]
    scoring = Scoring(lambda: detection, Inbox(100), SystemClock(), 100, 300)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scoring.run)
        await until(lambda: not detection.notices)
        scoring.close()
    assert capsys.readouterr().out.count("disk full") == 1


async def test_what_comes_too_fast_is_counted() -> None:
    scoring = Scoring(Scripted, Inbox(100), SystemClock(), 3, 300)
    scoring.offer(frame(1, 2))
    scoring.offer(frame(1, 2))
    assert scoring.skipped == 2


async def test_history_read_after_a_gap_is_not_offered_to_the_detectors() -> None:
    scoring = Scoring(Scripted, Inbox(100), SystemClock(), 3, 300)
    past = dataclasses.replace(frame(1, 2), flags=np.uint16([Flag.BACKFILL, Flag.BACKFILL]))
    scoring.offer(past)
    scoring.offer(Frame.concat([past, frame(7), past]))
    assert [waiting.floats().tolist() for waiting in scoring._take()] == [[7.0]]
    assert scoring.skipped == 0
