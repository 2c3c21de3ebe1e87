"""The ledger of one cursor, worked out from its state and the log."""

from collections.abc import Iterator

from edge_agent.journal.ledger import Ledger, merged
from edge_agent.journal.place import CursorState, Dropped, Place, settle, take
from edge_agent.journal.tally import NOTHING, UNTOLD, Tally, joint
from edge_agent.journal.view import View


def balance(sink: str, state: CursorState, view: View) -> Ledger:
    """Over all machines."""
    waiting = 0
    overtaken: dict[str, int] = {}
    for first, end in _stretches(state, view):
        start = min(max(first.row, view.oldest), end.row)
        overtaken = merged(overtaken, view.taken(first.row, start))
        waiting += end.row - start
    door = {reason: count - state.base_lost.get(reason, 0) for reason, count in view.lost.items()}
    dropped = {reason: each.total for reason, each in state.dropped.items()}
    return Ledger(
        sink,
        collected=view.rows - state.base.row + sum(door.values()),
        delivered=state.delivered.total,
        waiting=waiting,
        quarantined=state.quarantined.total,
        dropped=merged(dropped, door, overtaken),
    )


def balance_by_machine(sink: str, state: CursorState, view: View) -> dict[str, Ledger]:
    """For each machine that ever had a row or a loss here, and "" for what nobody can tell apart."""
    dropped, waiting = dict(state.dropped), NOTHING
    for first, end in _stretches(state, view):
        start = _overtaken(first, end, view, dropped)
        waiting += end.tally - start.tally
    for reason, lost in _door(state, view).items():
        dropped[reason] = dropped.get(reason, NOTHING) + lost
    lost = sum(_door(state, view).values(), NOTHING)
    terms = [view.groups - state.base.tally + lost, state.delivered, waiting, state.quarantined, *dropped.values()]
    names = joint(*terms)
    columns = [each.under(names).tolist() for each in terms]
    return {
        name: _ledger(sink, name, row, tuple(dropped)) for name, *row in zip(names, *columns, strict=True) if any(row)
    }


def _ledger(sink: str, machine: str, row: list[int], reasons: tuple[str, ...]) -> Ledger:
    collected, delivered, waiting, quarantined, *counts = row
    dropped = {reason: count for reason, count in zip(reasons, counts, strict=True) if count}
    return Ledger(sink, collected, delivered, waiting, quarantined, dropped, machine)


def _stretches(state: CursorState, view: View) -> Iterator[tuple[Place, Place]]:
    """All that is owed."""
    for each in state.owed:
        yield each.first, each.end
    yield state.live, Place(view.sequence, max(view.rows, state.live.row), view.groups)


def _overtaken(first: Place, end: Place, view: View, dropped: Dropped) -> Place:
    """Where what retention has left begins; what it took before is counted."""
    start = take(first, end.row, view, dropped)
    if start.row == end.row:
        return settle(start, end.tally, dropped) if not end.untold else start
    if view.segments and view.segments[0].header.rows == start.row:
        return settle(start, Tally.of(view.segments[0].header.groups), dropped)
    return start


def _door(state: CursorState, view: View) -> Dropped:
    """Losses at the door since this cursor began, by reason and machine."""
    lost: dict[str, dict[str, int]] = {}
    for reason, count in view.lost.items():
        lost.setdefault(reason, {})[UNTOLD] = count - state.base_lost.get(reason, 0)
    for sign, at in ((1, view.lost_at), (-1, state.base_lost_at)):
        for machine, reasons in at.items():
            for reason, count in reasons.items():
                by = lost.setdefault(reason, {})
                by[machine] = by.get(machine, 0) + sign * count
                by[UNTOLD] = by.get(UNTOLD, 0) - sign * count
    return {reason: Tally.of(by) for reason, by in lost.items() if any(by.values())}
