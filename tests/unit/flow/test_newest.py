"""What a journal says of each tag's newest sample, live and from history."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_agent.journal import Journal
from edge_agent.model import Flag, Frame
from edge_agent.newest import newest
from tests.unit.journal.material import TABLE, open_journal

BASE = 1_700_000_000_000_000_000


def put(journal: Journal, tag: int, *times: int, flags: int = 0) -> None:
    frame = Frame.of_floats(np.full(len(times), tag), BASE + np.array(times, np.int64), np.ones(len(times)))
    journal.append(replace(frame, flags=np.full(len(times), flags, np.uint16)))
    journal.sync()


def test_samples_count_and_words_of_the_agent_do_not(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    put(journal, 0, 10, 20)
    put(journal, 1, 15)
    put(journal, 0, 30, flags=Flag.OVERFLOW)
    put(journal, 0, 12, 13, flags=Flag.BACKFILL)
    put(journal, 0, 40, flags=Flag.RECEIVE_TIME)
    put(journal, 1, 50, flags=Flag.AGENT | Flag.RECEIVE_TIME)
    paths = TABLE.paths[:3]
    live, filled = newest(journal.path, paths, BASE - 1, past=True)
    assert live.tolist() == [BASE + 30, BASE + 15, 0]
    assert filled.tolist() == [BASE + 13, 0, 0]
    assert newest(journal.path, paths, BASE + 16, past=True)[0].tolist() == [BASE + 30, 0, 0]
    assert newest(journal.path, paths[:2], BASE - 1, past=False)[0].tolist() == [BASE + 30, BASE + 15]
    journal.close()
    assert newest(journal.path, paths, BASE - 1, past=True)[0].tolist() == live.tolist()


def test_a_journal_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert newest(tmp_path / "no", ["a"], 0, past=True)[0].tolist() == [0]
