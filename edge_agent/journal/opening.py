"""Opening: from whatever is in the directory to a log that can be read and written. Never raises for what it finds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edge_agent.journal import disk
from edge_agent.journal.front import Found, Gathered, Mark, find_gathered, gathered_chunk, mark_of, read_front
from edge_agent.journal.place import CursorState
from edge_agent.journal.recovery import Tail, find_tail
from edge_agent.journal.report import Damage, OpenReport
from edge_agent.journal.segment import Segment, read_table
from edge_agent.journal.store import Store
from edge_agent.journal.table import unpack_table
from edge_agent.journal.tally import untold
from edge_agent.journal.view import View


@dataclass(slots=True)
class Opening:
    """What there is to go on with. `lock` is the lock's descriptor, None where the store can't be written."""

    lock: int | None = None
    view: View = field(default_factory=View)
    tail: Tail | None = None
    report: OpenReport = field(default_factory=OpenReport)
    damaged: Sequence[tuple[Damage, bytes]] = ()
    mark: Mark | None = None


def open_store(store: Store, lock: int | None) -> Opening:
    """Finds out what `store` holds. `lock`: the descriptor where the lock is already held."""
    opening = Opening(lock)
    try:
        moved = store.prepare()
        _take(store, opening, moved)
    except OSError as error:
        _cope(store, opening, error)
    return opening


def _take(store: Store, opening: Opening, moved: str) -> None:
    if opening.lock is None:
        opening.lock = disk.lock(store.lock)
    _load(store, opening)
    opening.report = replace(opening.report, moved_aside=moved)


def _cope(store: Store, opening: Opening, error: OSError) -> None:
    """The disk refused: read what can be read, or leave it alone, or move it away and begin anew."""
    if not isinstance(error, BlockingIOError):
        try:
            if not disk.is_closed(error) and not disk.is_full(error):
                _begin_anew(store, opening)
                return
            if store.path.is_dir():
                _load(store, opening)
        except OSError as another:
            error = another
    _let_go(opening)
    opening.report = replace(opening.report, error=disk.refused("open journal", store.path, error))


def _begin_anew(store: Store, opening: Opening) -> None:
    _let_go(opening)
    moved = store.move_aside()
    store.prepare()
    _take(store, opening, moved)


def _let_go(opening: Opening) -> None:
    if opening.lock is not None:
        os.close(opening.lock)
        opening.lock = None


def _load(store: Store, opening: Opening) -> None:
    aside: list[str] = []
    segments = store.segments(aside)
    states = list(store.cursor_states(aside))
    front = read_front(store.front)
    mark = mark_of(front)
    tail = find_tail(segments[-1], mark) if segments else None
    found = view_of(segments, tail)
    if tail is not None:
        entries = find_gathered(front, tail.segment.header.table, found.sequence, found.rows)
        found = with_front(found, tail, entries.gathered)
        _tell(tail, entries, front)
    if segments and not store.was_set_aside(segments[0].number - 1):
        found = replace(found, oldest=max(found.oldest, segments[0].header.rows))
    opening.view = _past(found, states, mark)
    opening.tail, opening.mark = tail, mark
    opening.damaged = tail.damaged if tail is not None else ()
    created = not segments and not states
    opening.report = OpenReport(
        created=created,
        clean=tail.stopped > 0 if tail is not None else created,
        last_written=found.last_written,
        stopped=tail.stopped if tail is not None else 0,
        torn_bytes=tail.torn_bytes if tail is not None else 0,
        torn_rows=tail.torn_rows if tail is not None else 0,
        damaged=tuple(damage for damage, _ in opening.damaged),
        set_aside=tuple(aside),
        missing_rows=opening.view.rows - found.rows,
    )


def _tell(tail: Tail, entries: Found, front: bytes) -> None:
    """What was damaged in the front stands among the damage of the segment where it would have come, behind its end."""
    for hole in entries.holes:
        at = tail.end + hole.offset
        damage = Damage(tail.segment.number, at, hole.size, hole.rows, hole.first, hole.last)
        tail.damaged.append((damage, front[hole.offset : hole.offset + hole.size]))
    tail.torn_bytes += entries.torn_bytes
    tail.torn_rows += entries.torn_rows


def view_of(segments: Sequence[Segment], tail: Tail | None) -> View:
    """The log that ends with `tail`, as it is on disk."""
    if tail is None:
        return View()
    return View(
        tuple(segments),
        tail.sequence,
        tail.rows,
        tail.segment.header.oldest,
        tail.end,
        tail.last_written,
        tail.lost,
        tail.lost_at,
        tail.groups,
        tuple((row, reason) for row, reason in tail.segment.header.gone),
    )


def with_front(view: View, tail: Tail, gathered: Sequence[Gathered]) -> View:
    """Rows that were accepted and had not come to the segment when the process was killed."""
    packed = read_table(tail.segment.path) if gathered else None
    if packed is None:
        return view
    tags, lost = unpack_table(packed), sum(view.lost.values())
    for each in gathered:
        view = view.gathering(gathered_chunk(each, tags, lost))
    return view


def _past(view: View, states: Sequence[CursorState], mark: Mark | None) -> View:
    """No number that a cursor or the mark has seen is used again, and no loss that a cursor knows of is forgotten."""
    known = mark or Mark(0, 0, 0, 0)
    lost = dict(view.lost)
    for state in states:
        for reason, count in state.base_lost.items():
            lost[reason] = max(lost.get(reason, 0), count)
    rows, groups = view.rows, view.groups
    if known.rows > rows:
        rows, groups = known.rows, groups + untold(known.rows - rows)
    for state in states:
        if state.row > rows:
            rows, groups = state.row, state.live.tally
    return replace(
        view,
        sequence=max([view.sequence, known.sequence, *(state.sequence for state in states)]),
        rows=rows,
        groups=groups,
        lost=lost,
    )
