"""Order: rows of any file in the order of their time, with little memory where they nearly are in it already."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from edge_agent.backtest.remarks import Remarks
from edge_agent.backtest.wide import Progress
from edge_agent.errors import SourceError, Words
from edge_agent.model import Frame, Kind
from edge_agent.model.frame import Int64

LATE: Final = 60_000_000_000
"""ns that a row may be behind the latest row before it; more disorder than that needs all rows at once."""
MOST: Final = 40_000_000
"""Rows that are sorted in memory at once: about 1.5 GB."""


class OutOfOrder(Exception):
    """A row is further behind than LATE: read again with `sorted_whole`."""


def in_order(frames: Iterator[Progress], remarks: Remarks) -> Iterator[Progress]:
    """The same rows by time; rows of one time keep their order. Raises OutOfOrder."""
    left = Frame.empty()
    latest = np.iinfo(np.int64).min
    for frame, done in frames:
        if not len(frame):
            continue
        before = np.maximum.accumulate(np.concatenate([[latest], frame.time]))
        behind = frame.time < before[:-1]
        if behind.any():
            if bool((before[:-1][behind] - frame.time[behind] > LATE).any()):
                raise OutOfOrder
            remarks.add("late", int(behind.sum()))
        latest = int(before[-1])
        left = _by_time(Frame.concat([left, frame]) if len(left) else frame)
        ready = int(np.searchsorted(left.time, latest - LATE, side="left"))
        yield left.rows(slice(0, ready)), done
        left = _own_texts(left.rows(slice(ready, None)))
    yield left, 1.0


def sorted_whole(frames: Iterator[Progress], remarks: Remarks, name: str) -> Iterator[Progress]:
    """All rows by time, read to the end first. Raises SourceError where they are more than memory should hold."""
    kept: list[Frame] = []
    rows = 0
    for frame, done in frames:
        kept.append(frame)
        rows += len(frame)
        if rows > MOST:
            raise SourceError(
                "sort",
                name,
                Words(
                    f"시간 순서가 아니며 값이 {MOST:,}개를 넘습니다",
                    f"not in order of time, and more than {MOST:,} values",
                ),
                Words("파일을 시각 순으로 정렬하거나 나누십시오", "sort the file by time, or cut it into several"),
            )
        yield Frame.empty(), done / 2
    remarks.add("sorted", rows)
    whole = _by_time(Frame.concat(kept))
    kept.clear()
    step = 200_000
    for start in range(0, rows, step):
        yield whole.rows(slice(start, start + step)), 0.5 + 0.5 * (start + step) / (rows + step)


def count_doubles(frame: Frame, last: Int64, remarks: Remarks) -> None:
    """Counts values of a tag at a time that it had before; `last` [tags] is kept up to date. Rows in order of time."""
    order = np.lexsort((frame.time, frame.tag))
    tag, time = frame.tag[order], frame.time[order]
    first = np.concatenate([[True], tag[1:] != tag[:-1]])[: len(tag)]
    same = np.concatenate([[False], ~first[1:] & (time[1:] == time[:-1])])[: len(tag)]
    same |= first & (time == last[tag])
    remarks.add("twice", int(same.sum()))
    np.maximum.at(last, tag, time)


def _own_texts(frame: Frame) -> Frame:
    """The same rows with only the texts that they use: what is kept must not grow."""
    if not frame.texts:
        return frame
    text = frame.kind == Kind.TEXT
    used, place = np.unique(frame.bits[text], return_inverse=True)
    bits = frame.bits.copy()
    bits[text] = place.astype(np.uint64)
    texts = tuple(frame.texts[number] for number in used.tolist())
    return Frame(frame.tag, frame.time, frame.received, bits, frame.kind, frame.status, frame.flags, texts)


def _by_time(frame: Frame) -> Frame:
    if bool((frame.time[1:] >= frame.time[:-1]).all()):
        return frame
    return frame.rows(np.argsort(frame.time, kind="stable"))
