"""Gaps: the stretches of source time of which the agent has no rows, tag by tag. Pure.

A gap opens when a tag's first row of a new session comes, and lies between it and the last row before. So it does, once
for a tag and connection, before a row that says that the server's queue overflowed meanwhile (Flag.OVERFLOW). Both ends
are times of rows that the agent has, so nothing at them or outside is wanted. Times are ns since 1970 UTC.

A tag that was never heard has no gap. A first row whose source time does not count (Flag.RECEIVE_TIME) ends the gap at
its receive time: the sample behind it then comes once more, at its own time. A bad row without a source time is a word
about the tag, not a sample, and ends nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_agent.api import Flag, Frame, is_bad

_OWN_TIME: Final = np.uint16(Flag.RECEIVE_TIME | Flag.AGENT)
_MS: Final = 1_000_000
MOST: Final = 16
"""Gaps of one tag that wait at a time; of more the oldest is given up."""
Int64 = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Gap:
    """No row between `after` and `before`, both not included. `after` moves on as rows come."""

    handle: int
    after: int
    before: int
    tries: int = 0
    """How often it was asked for in vain."""
    due: float = 0.0
    """Not to be asked for earlier (monotonic seconds)."""
    alone: bool = False
    """To be asked for without others, whose gaps begin elsewhere."""


def inside(times: Int64, gap: Gap) -> npt.NDArray[np.intp]:
    """Which rows are of the gap: in order of time, one for each time, and none that the agent has already.

    Some histories keep milliseconds only: a row that is a whole one and less than one from an end that is not is taken
    for the sample of that end.
    """
    order = np.argsort(times, kind="stable")
    time = times[order]
    wanted = (time > gap.after) & (time < gap.before)
    wanted[1:] &= time[1:] != time[:-1]
    for end in (gap.after, gap.before):
        if end % _MS:
            wanted &= (time % _MS != 0) | (np.abs(time - end) >= _MS)
    return order[wanted]


class Gaps:
    """One link's, by handle. `see` every frame of a session in turn; `connected` at another one."""

    def __init__(self, numbers: npt.NDArray[np.int32], wanted: npt.NDArray[np.bool_], limit: float) -> None:
        """`numbers[handle]` is the tag's number; of those `wanted` gaps are noted, as far back as `limit` seconds."""
        self._wanted = wanted
        self._limit = int(limit * 1e9)
        self._low = int(numbers.min())
        self._handle = np.zeros(int(numbers.max()) - self._low + 1, np.intp)
        self._handle[numbers - self._low] = np.arange(len(numbers))
        self.last: Int64 = np.zeros(len(numbers), np.int64)
        """Each tag's newest source time that the agent has; 0 where it has none."""
        self._open: dict[int, list[Gap]] = {}
        self.connected()

    def __len__(self) -> int:
        """How many are open."""
        return sum(map(len, self._open.values()))

    def __iter__(self) -> Iterator[Gap]:
        """The oldest one of each tag: a tag's gaps are filled in order."""
        return (gaps[0] for gaps in self._open.values())

    def connected(self) -> None:
        """A new session begins: the next row of each tag may follow on a gap."""
        self.awaited = self._wanted.copy()
        """Tags of which this session brought nothing yet."""
        self._awaits = bool(self._wanted.any())
        self.resumed()

    def resumed(self) -> None:
        """The session goes on over another connection: what its queues did not hold is missing."""
        self._spared = self._wanted.copy()
        """Tags whose queue did not overflow since the connection began."""

    def reset(self) -> None:
        """Nothing is known."""
        self._open.clear()
        self.last[:] = 0

    def see(self, frame: Frame) -> None:
        """Takes note of rows that came live and were handed over."""
        handle = self._handle[frame.tag - self._low]
        time, sourced = frame.time, None
        if frame.flags.any():
            sourced = (frame.flags & _OWN_TIME) == 0
        if self._awaits:
            self._begin(handle, frame, sourced)
        if sourced is not None:
            self._overflowed(handle, frame, sourced)
            handle, time = handle[sourced], time[sourced]
        self.last[handle] = np.maximum(self.last[handle], time)

    def _begin(self, handle: npt.NDArray[np.intp], frame: Frame, sourced: npt.NDArray[np.bool_] | None) -> None:
        first = self.awaited[handle]
        if sourced is not None:
            first &= sourced | ~is_bad(frame.status)
        rows = np.flatnonzero(first)
        if not len(rows):
            return
        handles, places = np.unique(handle[rows], return_index=True)
        self.awaited[handles] = self._spared[handles] = False
        self._awaits = bool(self.awaited.any())
        self._open_before(handles, frame.time[rows[places]])

    def _overflowed(self, handle: npt.NDArray[np.intp], frame: Frame, sourced: npt.NDArray[np.bool_]) -> None:
        over = sourced & ((frame.flags & np.uint16(Flag.OVERFLOW)) != 0) & self._spared[handle]
        if over.any():
            _, places = np.unique(handle, return_index=True)  # later rows of a tag follow on ones in this frame
            first = places[over[places]]
            self._spared[handle[over]] = False
            self._open_before(handle[first], frame.time[first])

    def _open_before(self, handles: npt.NDArray[np.intp], before: Int64) -> None:
        after = self.last[handles]
        missed = (after > 0) & (before - after > 1)
        for each in np.flatnonzero(missed).tolist():
            self._add(Gap(int(handles[each]), int(after[each]), int(before[each])))

    def _add(self, gap: Gap) -> None:
        gap.after = max(gap.after, gap.before - self._limit)
        known = self._open.setdefault(gap.handle, [])
        known.append(gap)
        del known[:-MOST]

    def filled(self, gap: Gap, upto: int) -> None:
        """The rows of the gap up to this time are there."""
        gap.after = max(gap.after, upto)
        self.last[gap.handle] = max(self.last[gap.handle], upto)

    def close(self, gap: Gap) -> None:
        """There is no more to be had of it."""
        known = self._open.get(gap.handle, [])
        if gap in known:
            known.remove(gap)
        if not known:
            self._open.pop(gap.handle, None)

    def forget(self, handle: int) -> None:
        """There is nothing to be had of any gap of this tag."""
        self._open.pop(handle, None)

    # -- over the end of a connection, and of the agent ----------------------------------------------------------------

    def kept(self, keys: Sequence[str]) -> dict[str, list[int]]:
        """What is known, as JSON has it: by the tag's key its newest time, then both ends of each gap."""
        wanted = np.flatnonzero(self._wanted & (self.last > 0)).tolist()
        return {
            keys[handle]: [
                int(self.last[handle]),
                *(end for gap in self._open.get(handle, ()) for end in (gap.after, gap.before)),
            ]
            for handle in wanted
        }

    def recall(self, kept: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Takes up what `kept` gave. Raises ValueError or TypeError where it makes no sense."""
        for handle in np.flatnonzero(self._wanted).tolist():
            last, *ends = kept.get(keys[handle], [0])
            if len(ends) % 2 or not all(isinstance(end, int) and 0 <= end < 1 << 63 for end in (last, *ends)):
                raise ValueError(keys[handle])
            self.last[handle] = last
            for after, before in zip(ends[::2], ends[1::2], strict=True):
                if after < before:
                    self._add(Gap(handle, after, before))

    def found(self, live: Int64, filled: Int64) -> None:
        """By handle, the newest row on disk, of those that came live and of those that filled a gap; 0 for none.

        What is there is no gap, whatever was kept; what was kept and is not there is one.
        """
        newest = np.maximum(live, filled)
        np.copyto(self.last, newest, where=self._wanted & (newest > 0))
        for handle, gaps in list(self._open.items()):
            for gap in list(gaps):
                gap.after = max(gap.after, int(filled[handle]))
                if gap.after >= gap.before - 1:
                    self.close(gap)


def alike(gaps: Sequence[Gap], most: int) -> list[Gap]:
    """The next ones to ask for in one call, which has one span of time: at most `most` that begin and end together.

    They are so where none makes another's span longer by more than a quarter and ten seconds.
    """
    ordered = sorted(gaps, key=lambda gap: (gap.alone, gap.after))
    first = ordered[0]
    chosen = [first]
    slack = (first.before - first.after) // 4 + 10_000_000_000
    for gap in ordered[1:]:
        if len(chosen) >= most or first.alone or gap.alone or gap.after - first.after > slack:
            break
        if abs(gap.before - first.before) <= slack:
            chosen.append(gap)
    return sorted(chosen, key=lambda gap: gap.handle)
