"""What is known of each tag when a connection begins: kept in this run, kept in another, found in the journal."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from connectors.opcua import continuity as module
from connectors.opcua.config import OpcUaLink
from connectors.opcua.continuity import IDENTITY, PART, Continuity
from edge_agent.api import PLAUSIBLE_NS, Frame
from edge_agent.memory import LinkMemory, Newest
from edge_agent.model.frame import Int64
from tests.unit.journal.material import SECOND, ManualClock

pytestmark = pytest.mark.anyio

NUMBERS = np.array([3, 4, 5], np.int32)
CLOCK = ManualClock()
NOW = CLOCK.wall()
HOUR = 3600 * SECOND


def continuity(memory: LinkMemory | None, *, history: bool = True) -> Continuity:
    tags = [{"tag": "a", "node": "i=1"}, {"tag": "b", "node": "i=2", "history": False}, {"tag": "c", "node": "i=3"}]
    link = OpcUaLink.model_validate(
        {"name": "plc", "connector": "opcua", "machine": "m", "url": "opc.tcp://x", "history": history, "tags": tags}
    )
    return Continuity(link, NUMBERS, CLOCK, memory)


class Journal:
    """Remembers what was asked for; tells of the tags 3 and 5."""

    def __init__(self, live: Sequence[int] = (0, 0), filled: Sequence[int] = (0, 0)) -> None:
        self.live, self.filled = live, filled
        self.asked: list[tuple[list[int], int, bool]] = []

    def __call__(self, numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        self.asked.append((list(numbers), since, past))
        return np.array(self.live, np.int64), np.array(self.filled, np.int64)


def left_behind(path: Path, *, gap: bool = False) -> None:
    """What an earlier run of the agent kept: tags heard until a second ago; with `gap` one of a that is open."""
    memory = LinkMemory(path)
    before = continuity(memory)
    if gap:
        before.gaps.see(Frame.of_floats([3], NOW - 2 * HOUR, [1.0]))
        before.gaps.connected()
    before.gaps.see(Frame.of_floats([3, 4, 5], NOW - SECOND, [1.0] * 3))
    before.keep()
    data = memory.take()
    assert data is not None
    memory.write(data)


async def recalled(path: Path, journal: Newest | None) -> Continuity:
    one = continuity(LinkMemory(path, newest=journal))
    await one.recall()
    return one


def ago(one: Continuity) -> list[int | None]:
    """How long ago the last row of each tag was, ns; None where it is not known."""
    return [NOW - last if last else None for last in one.gaps.last.tolist()]


async def test_within_a_run_the_memory_is_enough(tmp_path: Path) -> None:
    journal = Journal()
    memory = LinkMemory(tmp_path / "plc.json", newest=journal)
    before = continuity(memory)
    before.gaps.see(Frame.of_floats([3, 4, 5], NOW - SECOND, [1.0] * 3))
    before.keep()
    after = continuity(memory)
    await after.recall()
    assert ago(after) == [SECOND, None, SECOND]
    assert journal.asked == []


async def test_after_a_start_the_journal_knows_better(tmp_path: Path) -> None:
    left_behind(tmp_path / "plc.json")
    journal = Journal(live=[NOW - 3 * SECOND, 0])
    one = await recalled(tmp_path / "plc.json", journal)
    assert ago(one) == [3 * SECOND, None, SECOND], "of c it has nothing since, which is what was kept"
    assert journal.asked == [([3, 5], NOW - PLAUSIBLE_NS, False)]


async def test_gaps_that_were_open_go_on_where_the_journal_says(tmp_path: Path) -> None:
    left_behind(tmp_path / "plc.json", gap=True)
    journal = Journal(live=[NOW - SECOND, NOW - SECOND], filled=[NOW - HOUR, 0])
    one = await recalled(tmp_path / "plc.json", journal)
    assert [(NOW - gap.after, NOW - gap.before) for gap in one.gaps] == [(HOUR, SECOND)]
    assert journal.asked == [([3, 5], NOW - 2 * HOUR, True)]


async def test_at_first_the_journal_is_looked_through_as_far_back_as_it_may_matter(tmp_path: Path) -> None:
    journal = Journal(live=[NOW - 5 * HOUR, 0])
    one = await recalled(tmp_path / "plc.json", journal)
    assert ago(one) == [5 * HOUR, None, None]
    assert journal.asked == [([3, 5], NOW - 24 * HOUR, False)]


async def test_where_the_journal_does_not_answer_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(tmp_path / "plc.json", gap=True)

    def refuses(numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        raise OSError(5, "bad sector")

    one = await recalled(tmp_path / "plc.json", refuses)
    assert ago(one) == [None] * 3
    assert len(one.gaps) == 0

    monkeypatch.setattr(module, "SEARCH_S", 0.05)
    released = threading.Event()

    def slow(numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        released.wait(30)
        return Journal()(numbers, since, past=past)

    try:
        assert ago(await recalled(tmp_path / "plc.json", slow)) == [None] * 3
    finally:
        released.set()


@pytest.mark.parametrize("learned", [{"tags": {"/a i=1 ": "x"}}, {"tags": 5}, {"at": "then"}, {"at": None}])
async def test_what_makes_no_sense_is_forgotten(tmp_path: Path, learned: dict[str, object]) -> None:
    memory = LinkMemory(tmp_path / "plc.json", newest=Journal(live=[NOW - HOUR, 0]))
    memory.keep(PART, IDENTITY, learned)
    one = continuity(memory)
    await one.recall()
    assert ago(one) == [HOUR, None, None]
    assert memory.recall(PART, IDENTITY) == {}


async def test_without_a_wish_or_a_memory_nothing_is_asked_or_kept(tmp_path: Path) -> None:
    journal = Journal()
    memory = LinkMemory(tmp_path / "plc.json", newest=journal)
    for one in (continuity(memory, history=False), continuity(None)):
        assert one.wanted == (one._memory is None)
        await one.recall()
        one.keep()
    assert (journal.asked, memory.take()) == ([], None)
