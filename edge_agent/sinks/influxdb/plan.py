"""From a batch to what will be written of it: data rows in line order, status changes, texts, events. Pure.

The hub is told each tag's status when it changes, so the sink remembers what the hub was told last (`Told`). A plan
changes nothing there; `Plan.tell` does, once the hub has acknowledged. The first status after a start is always told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.api import Batch, Flag, Frame, Kind, TagTable, is_good, places
from edge_agent.model.status import is_uncertain
from edge_agent.sinks.influxdb import schema
from edge_agent.sinks.influxdb.encode import Columns
from edge_agent.sinks.influxdb.schema import LineTable

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

SUPERSEDED: Final = "superseded"
UNCERTAIN: Final = "uncertain"
NOT_A_NUMBER: Final = "not_a_number"
UNKNOWN_TAG: Final = "unknown_tag"

_NEVER: Final = np.iinfo(np.int64).min
_KEY_LIMIT: Final = 1 << 62


class GivenUp:
    """Rows that have no place in the database, each under one reason."""

    def __init__(self, rows: int) -> None:
        """None yet, of so many rows."""
        self.mask: Mask = np.zeros(rows, np.bool_)
        self._rows: dict[str, list[Rows]] = {}

    def add(self, reason: str, rows: Rows) -> None:
        """Counts these rows, which were not counted before."""
        if len(rows):
            self.mask[rows] = True
            self._rows.setdefault(reason, []).append(rows)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows went for each reason."""
        return {reason: sum(map(len, parts)) for reason, parts in self._rows.items()}

    def rows_by_reason(self, reason: str, more: Rows) -> dict[str, Rows]:
        """All rows given up, and `more` that went for `reason` later on."""
        parts = self._rows | {reason: [*self._rows.get(reason, ()), more]}
        return {name: np.concatenate(rows) for name, rows in parts.items() if sum(map(len, rows))}


class Told:
    """What the hub has, tag by tag: last status (-1: none), time of the last stored value, last text.

    `unknown`: the hub was told of the rows before these, nobody here knows what. Of a tag's first row it then has
    whatever that row says, unless that is told to be otherwise by the rows after it.
    """

    def __init__(self, tags: TagTable, *, unknown: bool = False) -> None:
        """Nothing yet."""
        self.tags, self.unknown = tags, unknown
        self.status = np.full(len(tags), -1, np.int64)
        self.stored = np.full(len(tags), _NEVER, np.int64)
        self.texts: dict[int, str] = {}

    def under(self, tags: TagTable) -> "Told":
        """The same knowledge by another table's numbers."""
        if tags is self.tags:
            return self
        new = Told(tags, unknown=self.unknown)
        numbers = np.array([self.tags.number(path) for path in tags.paths], np.intp)
        both = np.flatnonzero(numbers >= 0)
        new.status[both] = self.status[numbers[both]]
        new.stored[both] = self.stored[numbers[both]]
        new.texts = {new.tags.number(self.tags.paths[old]): text for old, text in self.texts.items()}
        new.texts.pop(-1, None)
        return new


@dataclass(frozen=True, slots=True)
class Extra:
    """A line beside the data: of one row (a status, a text), or of an event (row -1, with the event's id)."""

    row: int
    tag: int
    line: bytes
    event: str = ""
    text: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Items 0 … len(data)-1 are data rows, the rest are extras. An item is the least that a request can consist of.

    `rows[i]` is the batch's row of data item i. `columns` are the data items. Rows in no item and not given up say
    nothing new (a status or text that the hub has). The status of a row that is given up may well be an item.
    """

    batch: Batch
    rows: Rows
    columns: Columns
    extras: Sequence[Extra]
    given_up: GivenUp
    texts: Mapping[int, str]

    def data_tags(self, items: Rows) -> Rows:
        """The tags of the data rows among `items`."""
        return self.columns.tag[items[items < len(self.rows)]].astype(np.intp)

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.rows) + len(self.extras)

    def tags_of(self, items: Rows) -> Rows:
        """The tag of each item, -1 for events."""
        of_extras = np.array([extra.tag for extra in self.extras], np.intp)
        return np.concatenate([self.columns.tag.astype(np.intp), of_extras])[items]

    def split(self, items: Rows) -> tuple[Columns, list[Extra]]:
        """The data rows among `items` (sorted), in line order, and the extras."""
        border = int(np.searchsorted(items, len(self.rows)))
        data, rest = items[:border], items[border:] - len(self.rows)
        whole = border > 0 and data[-1] - data[0] == border - 1
        which = slice(int(data[0]), int(data[0]) + border) if whole else data
        return self.columns.part(which), [self.extras[i] for i in rest.tolist()]

    def rows_of(self, items: Rows) -> Rows:
        """The batch's rows behind these items, sorted; events and rows that are given up already are none."""
        data = items[items < len(self.rows)]
        extras = [self.extras[i - len(self.rows)].row for i in items[len(data) :].tolist()]
        rows = np.union1d(self.rows[data], np.array([row for row in extras if row >= 0], np.intp))
        return rows[~self.given_up.mask[rows]]

    def tell(self, told: Told, refused: Rows) -> Rows:
        """Notes in `told` what the hub has now; gives the delivered rows that overwrote one of its points.

        `refused` items (sorted) were not stored; of their tags the hub does not know the status or text.
        """
        frame = self.batch.frame
        rows, tag, time = self.rows, self.columns.tag, self.columns.time
        if len(refused):
            stored = np.ones(len(rows), np.bool_)
            stored[refused[refused < len(rows)]] = False
            rows, tag, time = rows[stored], tag[stored], time[stored]
        known, past = _lanes(frame, _known(frame, told.tags))
        if past.any():
            came = ~past[rows]
            rows, tag, time = rows[came], tag[came], time[came]
        at = places(tag)
        overwrote = rows[told.stored[at] == time]
        told.stored[at] = time
        if known.all():
            told.status[places(frame.tag)] = frame.status
        else:
            told.status[frame.tag[known]] = frame.status[known]
        told.texts.update(self.texts)
        for extra in (self.extras[i - len(self.rows)] for i in refused.tolist() if i >= len(self.rows)):
            if extra.text is not None:
                told.texts.pop(extra.tag, None)
            elif extra.row >= 0:
                told.status[extra.tag] = -1
        return np.setdiff1d(overwrote, self.rows_of(refused)) if len(overwrote) else overwrote


def _known(frame: Frame, tags: TagTable) -> Mask:
    known: Mask = (frame.tag >= 0) & (frame.tag < len(tags))
    return known


def make_plan(batch: Batch, table: LineTable, told: Told, ns_per_unit: int) -> Plan:
    """Decides for every row of the batch. `table` and `told` must be of the batch's tag table."""
    frame = batch.frame
    given_up = GivenUp(len(frame))
    known = _known(frame, batch.tags)
    given_up.add(UNKNOWN_TAG, np.flatnonzero(~known))
    good = is_good(frame.status) & known
    time = frame.time // ns_per_unit
    numbers = np.flatnonzero(_numbers(frame, good, known, given_up))
    data, columns = _in_line_order(frame, time, numbers, table, given_up)
    live, past = _lanes(frame, known)
    extras = _status_changes(frame, time, live, table, _statuses(frame, live, told))
    last: dict[int, str] = {}
    extras += _text_changes(frame, time, good & live, table, told, given_up, last)
    if past.any():
        before = Told(batch.tags, unknown=told.unknown)
        extras += _status_changes(frame, time, past, table, _statuses(frame, past, before))
        extras += _text_changes(frame, time, good & past, table, before, given_up, {})
    extras += [Extra(-1, -1, schema.event_line(event, ns_per_unit), event.id) for event in batch.events]
    return Plan(batch, data, columns, extras, given_up, last)


def _lanes(frame: Frame, known: Mask) -> tuple[Mask, Mask]:
    """Rows of known tags: those that came as it happened, and those that fill a gap, which says nothing of what the hub
    was told last. Of the latter each batch tells the first status and text of a tag.
    """
    past: Mask = (frame.flags & np.uint16(Flag.BACKFILL)) != 0
    return (known & ~past, known & past) if past.any() else (known, past)


def _statuses(frame: Frame, known: Mask, told: Told) -> npt.NDArray[np.int64]:
    """Each tag's status before the batch, as the hub has it."""
    if not told.unknown:
        return told.status
    first = np.full(len(told.status), -1, np.int64)
    rows = np.flatnonzero(known)[::-1]
    first[frame.tag[rows]] = frame.status[rows]
    return np.where(told.status < 0, first, told.status)


def _numbers(frame: Frame, good: Mask, known: Mask, given_up: GivenUp) -> Mask:
    """Rows with a good, finite number. An uncertain value is given up: its status is what the hub gets."""
    valued = frame.kind != Kind.NONE
    if not good.all():
        given_up.add(UNCERTAIN, np.flatnonzero(is_uncertain(frame.status) & valued & known))
    number: Mask = good & valued & (frame.kind != Kind.TEXT)
    floating: Mask = (frame.kind == Kind.FLOAT64) | (frame.kind == Kind.FLOAT32)
    wrong = number & floating & ~np.isfinite(np.ascontiguousarray(frame.bits).view(np.float64))
    if wrong.any():
        given_up.add(NOT_A_NUMBER, np.flatnonzero(wrong))
        number &= ~wrong
    return number


def _in_line_order(
    frame: Frame, time: npt.NDArray[np.int64], rows: Rows, table: LineTable, given_up: GivenUp
) -> tuple[Rows, Columns]:
    """Sorts by time and machine; of two values of one tag at one time the later row stays."""
    some: Rows | slice = rows if len(rows) < len(frame) else slice(None)
    tag, when = frame.tag[some], time[some]
    key = _line_key(when, table.rank[places(tag)], len(table.rank))
    if key is None:
        order = np.lexsort((table.rank[tag], when))
        same = (tag[order][1:] == tag[order][:-1]) & (when[order][1:] == when[order][:-1])
    elif (key[1:] > key[:-1]).all():
        return rows, Columns(tag, when, frame.bits[some], frame.kind[some])
    else:
        order = np.argsort(key, kind="stable")
        same = key[order][1:] == key[order][:-1]
    if same.any():
        given_up.add(SUPERSEDED, rows[order[:-1][same]])
        order = order[np.append(~same, True)]
    rows = rows[order]
    return rows, Columns(tag[order], when[order], frame.bits[rows], frame.kind[rows])


def _line_key(time: npt.NDArray[np.int64], rank: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64] | None:
    """One number a row that sorts by time, then machine, then tag; None where 63 bits are too few."""
    if not len(time):
        return time
    first, last = int(time.min()), int(time.max())
    if (last - first + 1) * count >= _KEY_LIMIT:
        return None
    key: npt.NDArray[np.int64] = (time - first) * count + rank
    return key


def _status_changes(
    frame: Frame, time: npt.NDArray[np.int64], known: Mask, table: LineTable, before: npt.NDArray[np.int64]
) -> list[Extra]:
    """One line for each row whose status is not its tag's last one; of several at one stored time the last."""
    if known.all():
        new = frame.status != before[places(frame.tag)]
    else:
        new = known.copy()
        new[known] = frame.status[known] != before[frame.tag[known]]
    if not new.any():
        return []
    touched = np.zeros(len(table.tags), np.bool_)
    touched[frame.tag[new]] = True
    rows = np.flatnonzero(known)
    rows = rows[touched[frame.tag[rows]]]
    rows = rows[np.argsort(frame.tag[rows], kind="stable")]
    changed = rows[_differs(frame, rows, before)]
    tag, when = frame.tag[changed], time[changed]
    last = np.append((tag[1:] != tag[:-1]) | (when[1:] != when[:-1]), True)
    return [_status_line(frame, time, row, table) for row in changed[last].tolist()]


def _differs(frame: Frame, rows: Rows, told: npt.NDArray[np.int64]) -> Mask:
    """For rows sorted by tag: whether each one's status is another than that of the row before, or than told."""
    tag = frame.tag[rows]
    status = frame.status[rows].astype(np.int64)
    before = np.empty_like(status)
    before[1:] = status[:-1]
    first = np.ones(len(rows), np.bool_)
    first[1:] = tag[1:] != tag[:-1]
    before[first] = told[tag[first]]
    differs: Mask = status != before
    return differs


def _status_line(frame: Frame, time: npt.NDArray[np.int64], row: int, table: LineTable) -> Extra:
    number = int(frame.tag[row])
    fields = schema.quality_fields(int(frame.status[row]), past=bool(frame.flags[row] & Flag.BACKFILL))
    return Extra(row, number, schema.line(schema.quality_head(table.tags[number]), fields, int(time[row])))


def _text_changes(
    frame: Frame,
    time: npt.NDArray[np.int64],
    good: Mask,
    table: LineTable,
    told: Told,
    given_up: GivenUp,
    last: dict[int, str],
) -> list[Extra]:
    """One line for each good text that is not its tag's last one; `last` gets each tag's last one."""
    if not frame.texts:
        return []
    extras: dict[tuple[int, int], Extra] = {}
    for row in np.flatnonzero(good & (frame.kind == Kind.TEXT)).tolist():
        number, value, when = int(frame.tag[row]), frame.texts[int(frame.bits[row])], int(time[row])
        if value == last.get(number, told.texts.get(number, value if told.unknown else None)):
            last[number] = value
            continue
        last[number] = value
        line = schema.line(schema.text_head(table.tags[number]), f"text={schema.text(value)}", when)
        if before := extras.get((number, when)):
            given_up.add(SUPERSEDED, np.array([before.row]))
        extras[number, when] = Extra(row, number, line, text=value)
    return list(extras.values())
