"""Novelty of chosen tags: courses that never were, though every value of them was there before.

Tags that say `novelty: true` are put on a steady grid of their own (their expected interval; a second where they only
come on change) and go through `analytics.kernels.left_profile`; the distance is calibrated by `analytics.kernels.tail`.
Costs nothing where no tag says so: then the kernels are not even loaded.

A grid point takes the last good value, at most `HELD` intervals old, and is told as soon as a later row comes, so it is
the same for any cut into frames. Bad or missing values make a gap: no window spans one. The grid's points lie in the
middle between the rows that come first, so that jitter loses none.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from analytics.kernels import layout as at
from analytics.kernels import left_profile, tail
from analytics.kernels.block import Block
from analytics.kernels.layout import Float64, Int64
from edge_agent.detect.engine import NO_KERNELS, no_numba
from edge_agent.errors import DetectionError
from edge_agent.model import Frame, Kind, TagTable

HELD: Final = 10
ON_CHANGE: Final = 600
"""The same for tags that only come on change, whose grid has a point a second."""
SECOND: Final = 1_000_000_000
LEARN: Final = 3600
"""Grid points that are compared before an event may open."""
SETTLE: Final = 3 * left_profile.WINDOW
"""Grid points after a change of a set value or state that neither alarm nor change the calibration."""
RECORD: Final = 600.0
PARAMETERS: Final = np.array([0.0, RECORD])

NEXT: Final = 0
"""Time of the next grid point (ns since 1970 UTC), 0: no row came yet."""
SEEN: Final = 1
"""Time of the last row."""
QUIET_FROM: Final = 2
QUIET_TO: Final = 3
COMPARED: Final = 4
"""Grid points compared."""
COLUMNS: Final = 5


class Kernels(Protocol):
    """Both modules of the left profile and the calibration."""

    def distances(self, tags: Int64, offsets: Int64, values: Float64, state: Int64) -> Float64:
        """See `left_profile_numba.distances`."""
        ...

    def calibrate(
        self, tags: Int64, offsets: Int64, distance: Float64, state: Int64, parameters: Float64
    ) -> tuple[Float64, Float64]:
        """See `tail_numba.calibrate`."""
        ...


class _Numba:
    def __init__(self) -> None:
        from analytics.kernels import left_profile_numba, tail_numba

        self.distances = left_profile_numba.distances
        self.calibrate = tail_numba.calibrate


class _Numpy:
    def __init__(self) -> None:
        from analytics.kernels import left_profile_numpy, tail_numpy

        self.distances = left_profile_numpy.distances
        self.calibrate = tail_numpy.calibrate


def load_kernels(engine: str) -> tuple[Kernels, DetectionError | None]:
    """Those of the engine ("numba" or "numpy"); numpy's, and the reason why, where numba's can't run."""
    if engine == "numba":
        try:
            return _Numba(), None
        except NO_KERNELS as error:
            return _Numpy(), no_numba(error)
    return _Numpy(), None


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Grid points of one tag: times (ns), values, and how odd the course up to each is.

    `score` is −log10 p, dense; `alarm` is it where it is the highest of late, else 0, and 0 while the tag learns.
    """

    tag: int
    time: Int64
    value: Float64
    score: Float64
    alarm: Float64


class Novelties:
    """The chosen tags; `take` answers what was compared. No clock of its own."""

    def __init__(self, tags: TagTable, engine: str) -> None:
        """`engine`: "numba" or "numpy", the one that was found to run."""
        self.tags = np.array([number for number, tag in enumerate(tags) if tag.novelty], np.int64)
        count = len(self.tags)
        chosen = [tags[int(number)] for number in self.tags]
        self.paths = [tag.path for tag in chosen]
        self.step = np.array([tag.interval_ns or SECOND for tag in chosen], np.int64)
        self._held = np.array([HELD if tag.interval_ns else ON_CHANGE for tag in chosen], np.int64)
        self._row = np.full(len(tags), -1, np.int64)
        self._row[self.tags] = np.arange(count)
        self.last = np.full(count, np.nan)
        self.grid = np.zeros((count, COLUMNS), np.int64)
        self.profile = left_profile.new_left_profiles(count)
        self.tail = tail.new_tails(count)
        self._kernels: Kernels | None = None
        self.trouble: DetectionError | None = None
        """Why the kernels are not the engine's."""
        if count:
            self._kernels, self.trouble = load_kernels(engine)

    def reset(self, row: int) -> None:
        """Forgets what is known of a tag."""
        self.last[row] = np.nan
        self.grid[row], self.profile[row], self.tail[row] = 0, 0, 0

    def shown(self) -> list[dict[str, Any]]:
        """Of each tag: its path, grid points compared, and whether it is still `learning`."""
        return [
            {"tag": path, "compared": int(count), "learning": bool(count < LEARN)}
            for path, count in zip(self.paths, self.grid[:, COMPARED].copy(), strict=True)
        ]

    def explain(self, tag: int, time: int) -> None:
        """The set value or state of the tag's machine changed at `time`: what comes next says nothing for a while."""
        row = self._row[tag]
        if row < 0:
            return
        if time > self.grid[row, QUIET_TO]:
            self.grid[row, QUIET_FROM] = time
        self.grid[row, QUIET_TO] = max(time + SETTLE * self.step[row], self.grid[row, QUIET_TO])

    def take(self, block: Block, frame: Frame) -> list[Compared]:
        """Adds the block's rows, made of `frame`'s."""
        if self._kernels is None:
            return []
        found: list[Compared] = []
        text = frame.kind == Kind.TEXT
        for g in np.flatnonzero(self._row[block.tags] >= 0):
            rows = slice(int(block.offsets[g]), int(block.offsets[g + 1]))
            source = np.arange(rows.start, rows.stop) if block.order is None else block.order[rows]
            code, value = block.code[rows], block.value[rows]
            known = ((code & at.CODE_KIND) == at.CODE_NUMBER) & ~text[source] & (np.abs(value) < at.HUGE)
            now = (code & at.CODE_SKIP) == 0
            row = int(self._row[block.tags[g]])
            time, values = self._points(row, block.time[rows][now], np.where(known, value, np.nan)[now])
            if len(time):
                found.append(self._compare(self._kernels, row, time, values))
        return found

    def _points(self, row: int, time: Int64, value: Float64) -> tuple[Int64, Float64]:
        """The grid points that these rows complete."""
        grid, step = self.grid[row], int(self.step[row])
        if not grid[NEXT] and len(time):
            grid[NEXT], grid[SEEN] = time[0] + step // 2, time[0]
        times, values = np.append(grid[SEEN], time), np.append(self.last[row], value)
        forward = times >= np.maximum.accumulate(times)
        times, values = times[forward], values[forward]
        gaps = np.flatnonzero(np.diff(times) > self._held[row] * step).tolist()
        points, known = [np.zeros(0, np.int64)], [np.zeros(0)]
        for stop in [*gaps, len(times) - 1]:
            steady = np.arange(grid[NEXT], times[stop], step)
            points.append(steady)
            known.append(values[np.searchsorted(times, steady, side="right") - 1])
            grid[NEXT] += len(steady) * step
            if stop < len(times) - 1:
                points.append(times[stop : stop + 1])
                known.append(np.full(1, np.nan))
                grid[NEXT] = times[stop + 1] + step // 2
        grid[SEEN], self.last[row] = times[-1], values[-1]
        return np.concatenate(points), np.concatenate(known)

    def _compare(self, kernels: Kernels, row: int, time: Int64, value: Float64) -> Compared:
        grid, one, all_of = self.grid[row], np.array([row]), np.array([0, len(time)])
        distance = kernels.distances(one, all_of, value, self.profile)
        distance[(time >= grid[QUIET_FROM]) & (time <= grid[QUIET_TO])] = np.nan
        score, alarm = kernels.calibrate(one, all_of, distance, self.tail, np.tile(PARAMETERS, (len(self.tags), 1)))
        compared = grid[COMPARED] + np.cumsum(~np.isnan(distance))
        grid[COMPARED] = compared[-1]
        return Compared(int(self.tags[row]), time, value, score, np.where(compared > LEARN, alarm, 0.0))
