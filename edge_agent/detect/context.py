"""What explains a move: a change of a set value or of a state on the same machine.

A level that moves because somebody changed the recipe is no anomaly. When a tag of role SV, setpoint or state changes,
the learned detectors of its machine's tags settle. A tag that changes all the time explains nothing: it is left out
while its changes come closer together than `BUSY` times the learning time.
"""

import zlib
from collections import defaultdict
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.kernels.layout import Float64
from edge_agent.model import Flag, Frame, Kind, Role, TagTable, is_good

_EXPLAINS: Final = (Role.SV, Role.SETPOINT, Role.STATE)
BUSY: Final = 5.0
_FAST: Final = 3
"""Changes that it takes to know a pace."""
Tags = npt.NDArray[np.intp]


class Context:
    """The tags that explain others. `memory` [tags, 4] is the whole state: value, changes, pace, time of change."""

    def __init__(self, tags: TagTable, learn_time: float) -> None:
        """`learn_time`: seconds."""
        self.memory: Float64 = np.full((len(tags), 4), np.nan)
        self.memory[:, 1] = 0.0
        self._least_pace = BUSY * learn_time
        self._explains = np.array([tag.role in _EXPLAINS for tag in tags], bool)
        moved: dict[str, list[int]] = defaultdict(list)
        for number, tag in enumerate(tags):
            if tag.role not in _EXPLAINS:
                moved[tag.machine.path].append(number)
        explaining = np.flatnonzero(self._explains).tolist()
        self._of_machine = {
            path: np.array([n for n in explaining if tags[n].machine.path == path], np.intp) for path in moved
        }
        self._moved = {path: np.array(numbers, np.intp) for path, numbers in moved.items()}
        self._machine = [tag.machine.path for tag in tags]

    def explained(self, frame: Frame) -> Tags:
        """Tags that this frame's changes of set values and states may move."""
        rows = np.flatnonzero(self._explains[frame.tag])
        if not len(rows):
            return rows
        rows = rows[is_good(frame.status[rows]) & np.equal(frame.flags[rows] & np.uint16(Flag.BACKFILL), 0)]
        part = frame.rows(rows)
        values = _values(part)
        known = self.memory[part.tag, 0]
        machines = set()
        for row in np.flatnonzero(~(np.abs(values - known) <= 1e-6 * np.abs(known))):
            if self._changed(int(part.tag[row]), float(values[row]), int(part.time[row]) * 1e-9):
                machines.add(self._machine[part.tag[row]])
        return np.concatenate([np.empty(0, np.intp), *(self._moved[m] for m in sorted(machines) if m in self._moved)])

    def changed(self, tag: int) -> int:
        """When a set value or state of this tag's machine changed last (ns since 1970 UTC); 0 where none has."""
        last = self.memory[self._of_machine[self._machine[tag]], 3]
        return round(float(np.nanmax(last)) * 1e9) if np.isfinite(last).any() else 0

    def _changed(self, tag: int, value: float, when: float) -> bool:
        """Notes a value; true if it differs from the one before and the tag does not change all the time."""
        before, changes, pace, last = self.memory[tag]
        if np.isnan(value) or abs(value - before) <= 1e-6 * abs(before):
            return False
        self.memory[tag, 0] = value
        if np.isnan(before):
            return False
        since = when - last
        if changes >= 2:
            pace += 0.5 * (since - pace)
        elif changes:
            pace = since
        self.memory[tag, 1:] = changes + 1, pace, when
        return bool(changes < _FAST or pace >= self._least_pace)


def _values(frame: Frame) -> Float64:
    """Values as numbers; a text becomes a number that stands for it."""
    out = frame.floats()
    texts = np.flatnonzero(frame.kind == Kind.TEXT)
    if len(texts):
        out = out.copy()
        out[texts] = [zlib.crc32(frame.texts[int(i)].encode()) for i in frame.bits[texts]]
    return out
