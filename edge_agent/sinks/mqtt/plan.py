"""Which rows of a batch go into which message. Pure arithmetic on columns."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from edge_agent.api import Batch, Flag, Frame, Kind, is_good
from edge_agent.model.frame import Int64

UNKNOWN_TAG: Final = "unknown_tag"
NOT_A_NUMBER: Final = "not_a_number"
_FLOATS: Final = (Kind.FLOAT64, Kind.FLOAT32)

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Plan:
    """`rows`: those that have a place, in journal order; `dropped`: how many have none, by reason."""

    rows: Rows
    dropped: dict[str, int]


def make_plan(batch: Batch) -> Plan:
    """Leaves out rows of tags that the table does not have, and good rows whose number is none."""
    frame = batch.frame
    unknown = (frame.tag < 0) | (frame.tag >= len(batch.tags))
    nan = ~unknown & _not_a_number(frame)
    counts = {UNKNOWN_TAG: int(unknown.sum()), NOT_A_NUMBER: int(nan.sum())}
    return Plan(np.flatnonzero(~(unknown | nan)), dict(+Counter(counts)))


def _not_a_number(frame: Frame) -> Mask:
    finite = np.isfinite(np.ascontiguousarray(frame.bits).view(np.float64))
    return is_good(frame.status) & np.isin(frame.kind, _FLOATS) & ~finite


def backfilled(batch: Batch, frame: Frame) -> Mask:
    """Which of these rows of the batch are older than the live stream."""
    if batch.backfill:
        return np.ones(len(frame), np.bool_)
    return cast(Mask, np.not_equal(frame.flags & np.uint16(Flag.BACKFILL), 0))


def occurrences(*keys: npt.NDArray[np.generic]) -> Int64:
    """For each row how many rows before it have the same keys: 0 for the first, 1 for the second …"""
    n = len(keys[0])
    order = np.lexsort((np.arange(n), *keys))
    same = np.ones(n, np.bool_)
    for key in keys:
        same[1:] &= key[order[1:]] == key[order[:-1]]
    same[:1] = False
    position = np.arange(n)
    first = np.maximum.accumulate(np.where(same, 0, position))
    result = np.empty(n, np.int64)
    result[order] = position - first
    return result


def groups(rows: Rows, *keys: npt.NDArray[np.generic]) -> Iterator[Rows]:
    """`rows` in groups of equal keys (the last key sorts first), each in its old order."""
    if not len(rows):
        return
    order = np.lexsort(keys)
    starts = np.zeros(len(rows), np.bool_)
    for key in keys:
        starts[1:] |= key[order[1:]] != key[order[:-1]]
    yield from np.split(rows[order], np.flatnonzero(starts))
