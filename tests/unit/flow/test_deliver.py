"""One delivery over a real journal and sinks that misbehave: nothing is passed over, and a stop is a stop."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from edge_agent.api import Answer, Batch, NotConnected, Overloaded, Refusal, Words
from edge_agent.clock import SystemClock
from edge_agent.config.base import SinkSection
from edge_agent.deliver import Delivery
from edge_agent.journal import Journal
from edge_agent.model import Frame
from edge_agent.news import News
from tests.unit.journal.material import TABLE, ManualClock, section

pytestmark = pytest.mark.anyio
NOTHING = Words("", "")
NOBODY = NotConnected("write", "hub", Words("없음", "nobody"), NOTHING)
BUSY = Overloaded("write", "hub", Words("바쁨", "busy"), NOTHING, retry_after=0.01)


class Scripted:
    """Answers each batch as the next of its answers says: an answer, an error to raise, or "hang"."""

    def __init__(self, *answers: Answer | Exception | str) -> None:
        self.answers = list(answers)
        self.taken: list[list[float]] = []
        self.writing = False
        self._closing = threading.Event()

    @property
    def closed(self) -> bool:
        return self._closing.is_set()

    def write(self, batch: Batch) -> Answer:
        self.writing = True
        answer = self.answers.pop(0) if self.answers else Answer()
        if answer == "hang":
            assert self._closing.wait(20)
            raise NOBODY
        if isinstance(answer, Exception):
            raise answer
        self.taken.append(batch.frame.floats().tolist())
        assert isinstance(answer, Answer)
        return answer

    def close(self) -> None:
        self._closing.set()


def append(journal: Journal, *values: float) -> None:
    journal.append(Frame.of_floats([0] * len(values), range(1, len(values) + 1), values))


@asynccontextmanager
async def delivering(path: Path, sink: Scripted, **settings: object) -> AsyncIterator[tuple[Delivery, Journal, News]]:
    clock, news = SystemClock(), News()
    journal = Journal.open(path, TABLE, section(), clock)
    one = SinkSection.model_validate({"name": "hub", "sink": "scripted"} | settings)
    delivery = Delivery(one, lambda: sink, journal.cursor("hub"), news, clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delivery.run)
        with anyio.fail_after(30):
            yield delivery, journal, news
        tasks.cancel_scope.cancel()
    journal.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await anyio.sleep(0.01)


@pytest.mark.parametrize(
    "trouble",
    [NOBODY, BUSY, ZeroDivisionError("a defect"), Answer(dropped={"more than there are": 99})],
    ids=["absent", "busy", "defective", "miscounting"],
)
async def test_what_was_not_delivered_is_delivered_again(tmp_path: Path, trouble: Answer | Exception) -> None:
    sink = Scripted(trouble, trouble)
    async with delivering(tmp_path, sink) as (delivery, journal, _):
        append(journal, 1, 2, 3)
        await until(lambda: delivery.health.state == "retrying")
        assert delivery.health.error is not None
        await until(lambda: delivery.health.state == "ok")
        assert delivery.health.error is None
        assert sink.taken[-1] == [1, 2, 3]
        assert journal.ledger("hub").delivered == 3
        assert journal.ledger("hub").balanced


async def test_refused_rows_are_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    sink = Scripted(Answer(refused=[Refusal([1], "not this one")], dropped={"superseded": 1}))
    async with delivering(tmp_path, sink) as (_, journal, news):
        append(journal, 1, 2, 3)
        append(journal, 4)
        news.ring()
        await until(lambda: journal.ledger("hub").waiting == 0)
        ledger = journal.ledger("hub")
        assert (ledger.delivered, ledger.quarantined, ledger.dropped) == (2, 1, {"superseded": 1})


async def test_draining_ends_once_all_is_delivered(tmp_path: Path) -> None:
    sink = Scripted()
    async with delivering(tmp_path, sink, max_batch_rows=2, spacing="10s") as (delivery, journal, _):
        append(journal, *range(9))
        delivery.drain()
        await until(lambda: journal.ledger("hub").waiting == 0)
        await delivery.close()
    assert sum(map(len, sink.taken)) == 9
    assert sink.closed


async def test_draining_gives_up_at_a_hub_that_is_away(tmp_path: Path) -> None:
    sink = Scripted(*[NOBODY] * 1000)
    clock, news = SystemClock(), News()
    journal = Journal.open(tmp_path, TABLE, section(), clock)
    append(journal, 1)
    one = SinkSection(name="hub", sink="scripted")
    delivery = Delivery(one, lambda: sink, journal.cursor("hub"), news, clock)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delivery.run)
            await until(lambda: delivery.health.state == "retrying")
            delivery.drain()
    assert journal.ledger("hub").waiting == 1
    journal.close()


async def test_a_stop_does_not_wait_for_a_write_without_an_end(tmp_path: Path) -> None:
    """The sink is closed under it; its rows are delivered after the next start, by another sink."""
    hanging = Scripted("hang")
    async with delivering(tmp_path, hanging) as (_, journal, news):
        append(journal, 1, 2)
        news.ring()
        await until(lambda: hanging.writing)
    assert hanging.closed
    working = Scripted()
    async with delivering(tmp_path, working) as (_, journal, _):
        await until(lambda: working.taken)
        await until(lambda: journal.ledger("hub").waiting == 0)
        assert working.taken == [[1, 2]]
        assert journal.ledger("hub").delivered == 2


async def test_spacing_keeps_writes_apart(tmp_path: Path) -> None:
    """For a metered line: what comes meanwhile goes with the next write."""
    sink = Scripted()
    async with delivering(tmp_path, sink, spacing="500ms") as (_, journal, news):
        append(journal, 0)
        news.ring()
        await until(lambda: sink.taken)
        for value in range(1, 10):
            append(journal, value)
            news.ring()
            await anyio.sleep(0.01)
        await until(lambda: len(sink.taken) == 2)
        assert sink.taken == [[0], [*map(float, range(1, 10))]]


@pytest.mark.parametrize(
    ("waiting", "seconds", "left"),
    [(100, 6.0, True), (201, 0.0, True), (100, 1.0, False)],
    ids=["too-old", "too-much", "neither"],
)
async def test_live_data_goes_before_a_backlog(tmp_path: Path, waiting: int, seconds: float, left: bool) -> None:
    """What waits from an earlier run is left behind where it is old or much, and comes marked, after what is new."""
    clock = ManualClock()
    earlier = Journal.open(tmp_path, TABLE, section(), clock)
    earlier.cursor("hub")
    append(earlier, *range(waiting))
    earlier.close()
    clock.tick(seconds)
    lanes: list[bool] = []

    class Noting(Scripted):
        def write(self, batch: Batch) -> Answer:
            answer = super().write(batch)
            lanes.append(batch.backfill)
            return answer

    sink, journal = Noting(NOBODY), Journal.open(tmp_path, TABLE, section(), clock)
    one = SinkSection(name="hub", sink="scripted", max_batch_rows=10)
    delivery = Delivery(one, lambda: sink, journal.cursor("hub"), News(), clock)
    with anyio.fail_after(30):
        await delivery.step()
        assert not sink.taken
        append(journal, 1000, 1001)
        while journal.ledger("hub").waiting or delivery.cursor.state.ranges:
            await delivery.step()
            clock.tick(1.0 if left else 0.0)
    full = [[float(row + n) for n in range(min(10, waiting - row))] for row in range(0, waiting, 10)]
    if left:
        assert sink.taken == [[1000.0, 1001.0], *full]
        assert lanes == [False] + [True] * len(full)
    else:
        assert [row for batch in sink.taken for row in batch] == [*map(float, range(waiting)), 1000.0, 1001.0]
    assert journal.ledger("hub").delivered == waiting + 2
    assert len([notice for notice in journal.notices() if notice.id.startswith("journal-backfill")]) == left
    journal.close()


async def test_full_batches_are_no_backlog_while_what_waits_is_new(tmp_path: Path) -> None:
    """What is fresh moves with every batch: a hub that takes as much as comes is never left behind."""
    clock, sink = ManualClock(), Scripted()
    journal = Journal.open(tmp_path, TABLE, section(), clock)
    one = SinkSection(name="hub", sink="scripted", max_batch_rows=10)
    delivery = Delivery(one, lambda: sink, journal.cursor("hub"), News(), clock)
    append(journal, *range(5))
    for second in range(20):
        append(journal, *range(10))
        clock.tick()
        assert await delivery.step()
        assert delivery.cursor.behind == 5
        assert delivery.lag() <= 1.0, second
    assert not delivery.cursor.state.ranges
    assert {len(taken) for taken in sink.taken} == {10}
    journal.close()


async def test_live_data_that_never_came_is_behind_however_often_it_was_left(tmp_path: Path) -> None:
    """A dead sink must not look fresh because its live lane begins anew every few seconds."""
    clock, sink = ManualClock(), Scripted(*[NOBODY] * 50)
    journal = Journal.open(tmp_path, TABLE, section(), clock)
    delivery = Delivery(SinkSection(name="hub", sink="scripted"), lambda: sink, journal.cursor("hub"), News(), clock)
    append(journal, 1)
    await delivery.step()
    for minute in range(1, 4):
        clock.tick(60)
        append(journal, 2)
        await delivery.step()
        assert delivery.cursor.state.ranges, "left behind"
        assert delivery.lag() == minute * 60
    sink.answers.clear()
    while delivery.health.error is not None:
        append(journal, 3)
        await delivery.step()
    assert delivery.lag() == 0.0
    journal.close()
