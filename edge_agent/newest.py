"""Newest: when the last sample of each tag was that a journal holds, for a connector that goes on where it stopped."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_agent.journal.archive import EVER
from edge_agent.journal.history import History
from edge_agent.model import Flag
from edge_agent.model.frame import Int64

_NO_SAMPLE = np.uint16(Flag.AGENT | Flag.RECEIVE_TIME)


def newest(path: Path, paths: Sequence[str], since: int, *, past: bool) -> tuple[Int64, Int64]:
    """Of each path the newest source time of what came live, and of what was read from history; 0 where none is later
    than `since` (ns since 1970). Without `past` what was read from history is not looked for in earnest.

    Blocks; looks through as little of the journal as that takes. Raises OSError.
    """
    live, filled = np.zeros(len(paths), np.int64), np.zeros(len(paths), np.int64)
    for frame in History(path).frames(paths, (since, EVER[1]), newest_first=True):
        sample = (frame.flags & _NO_SAMPLE) == 0
        is_past = (frame.flags & np.uint16(Flag.BACKFILL)) != 0
        for column, rows in ((live, sample & ~is_past), (filled, sample & is_past)):
            np.maximum.at(column, frame.tag[rows], frame.time[rows])
        if not past and live.all():
            break
    return live, filled
