"""Lives of a journal on a card, what its user had been told at each moment, and what must hold after a power cut."""

import gc
import json
import random
from dataclasses import dataclass, field, replace

import numpy as np

from edge_agent.api import Answer, Refusal
from edge_agent.errors import JournalError
from edge_agent.journal.place import CursorState
from edge_agent.model import Frame
from tests.unit.journal.card import ROOT, BadLuck, Card, Chance, ContentsOnly, Luck, NamesOnly, Noise
from tests.unit.journal.material import NOON, SECOND, balanced, event, open_journal, table

STORE = ROOT / "journal"
SYNCS = ("fsync", "fdatasync")
SIZES = {"segment": "4KiB", "total": "12KiB"}
TABLES = (table(2), table(2, unit="K"))
SINKS = ("hub", "lazy")
_SERIALS = 1 << 10


def rows_of(first, count, serial, *, noisy=False):
    """Rows that say which they are: number + serial / 1024, so that no two rows ever written are alike."""
    numbers = np.arange(first, first + count)
    values = numbers + serial % _SERIALS / _SERIALS
    bits = values.view(np.uint64)
    receive = NOON + numbers * SECOND
    if noisy:  # receive times that no packing makes small, to fill segments with few chunks
        receive = receive + np.random.default_rng(serial).integers(0, 1 << 60, count)
    frame = Frame.of_floats(numbers % 2, NOON + numbers * SECOND, values)
    return replace(frame, received=receive), dict(zip(numbers.tolist(), bits.view(np.float64).tolist(), strict=True))


@dataclass
class Known:
    """What the user of the journal had been told. `durable`: a sync that came after it has returned."""

    written: dict[int, set[float]] = field(default_factory=dict)
    """By row number: every value that was ever given to `append`. Shared by all moments."""
    accepted: dict[int, float] = field(default_factory=dict)
    durable: dict[int, float] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    """Durable ones, with the sequence number before them."""
    lost: int = 0
    told_lost: int = 0
    states: dict[str, list[CursorState]] = field(default_factory=lambda: {name: [] for name in SINKS})
    """All states of each cursor from the last durable one on; with None first where none is durable yet."""

    def moment(self):
        """A copy that stays as it is."""
        return replace(
            self,
            accepted=dict(self.accepted),
            durable=dict(self.durable),
            events=dict(self.events),
            states={name: list(states) for name, states in self.states.items()},
        )


WAYS = (
    (8, "append", lambda c: (c.randint(1, 4), False, c.random() < 0.3)),
    (3, "append", lambda c: (150, True, c.random() < 0.2)),
    (4, "sync", lambda c: ()),
    (4, "deliver", lambda c: ("hub", c.randint(1, 200), c.random() < 0.4, c.random() < 0.3)),
    (2, "deliver", lambda c: ("lazy", c.randint(1, 6), c.random() < 0.3, False)),
    (1, "leave_behind", lambda c: (c.choice(SINKS),)),
    (1, "lose", lambda c: (c.randint(1, 3),)),
    (1, "kill", lambda c: (c.randint(0, 1),)),
    (1, "restart", lambda c: ()),
    (1, "cut", lambda c: (c.randint(0, 1 << 32),)),
)
"""How often a step is taken, its name, what it is given."""


def any_steps(chance, count):
    """So many steps of a life."""
    ways = chance.choices(WAYS, [weight for weight, _, _ in WAYS], k=count)
    return [(name, *given(chance)) for _, name, given in ways]


class Life:
    """Does steps on a journal, and keeps each moment before a call that changes the card."""

    def __init__(self, mount, fails=lambda call: False):
        """`fails`: which writes and syncs do, of those that are not part of opening."""
        self.mount, self.known, self.fails = mount, Known(states={name: [None] for name in SINKS}), fails
        self.failed = self.opening = False
        """`failed`: a write or a sync has; what cursors hold on the card is then not known from outside."""
        self.moments = []
        self.serial = 0
        self._events: dict[str, int] = {}
        self._table = 0
        mount.insert(Card())
        mount.card.before, mount.card.fails = self._before, self._fails
        self._open()

    def _fails(self, call):
        fails = not self.opening and self.fails(call)
        self.failed = self.failed or fails
        return fails

    def _before(self, call):
        self.moments.append((call, self.mount.card.still(), self.known.moment()))

    def live(self, steps):
        """Does them; all moments, also the one after the last step."""
        for name, *given in steps:
            try:
                getattr(self, name)(*given)
            except JournalError:
                if name == "restart":
                    break
        self._before("end")
        return self.moments

    def _open(self):
        self.opening = True
        self.journal = open_journal(STORE, tags=TABLES[self._table], **SIZES)
        self.cursors = {name: self.journal.cursor(name) for name in SINKS}
        for name, cursor in self.cursors.items():
            self._saw(name, cursor.state)
        self.opening = False

    def _saw(self, name, state):
        if state not in self.known.states[name]:
            self.known.states[name].append(state)

    def append(self, rows, noisy, told):
        """Rows, and perhaps an event."""
        self.serial += 1
        first = self.journal.view.rows
        frame, values = rows_of(first, rows, self.serial, noisy=noisy)
        for number, value in values.items():
            self.known.written.setdefault(number, set()).add(value)
        events = [event(f"event-{self.serial}")] if told else ()
        sequence = self.journal.view.sequence
        self.journal.append(frame, events)
        self.known.accepted.update(values)
        self._events |= {each.id: sequence for each in events}

    def lose(self, count):
        """At the door."""
        self.known.told_lost += count
        self.journal.lose("overflow", count)

    def sync(self):
        """From here on all of it must be there."""
        states = {name: cursor.state for name, cursor in self.cursors.items()}
        self.journal.sync()
        self._is_durable(states)

    def _is_durable(self, states):
        known = self.known
        known.durable = dict(known.accepted)
        known.events, known.lost = dict(self._events), known.told_lost
        known.states = {name: [None, state] if self.failed else [state] for name, state in states.items()}

    def leave_behind(self, name):
        """Live goes first from now on."""
        self.known.states[name].append(None)
        self.cursors[name].leave_behind()
        self.known.states[name][-1:] = [self.cursors[name].state]

    def deliver(self, name, rows, refused, dropped):
        """One batch of one sink: of what was left behind where there is such, else of live data."""
        cursor = self.cursors[name]
        states = self.known.states[name]
        states.append(None)  # the state on its way is any: it is not known before
        batch = cursor.read(rows, backfill=bool(cursor.state.ranges) and self.serial % 2 == 0)
        if batch is not None:
            count = len(batch.frame)
            refusals = [Refusal([0], "bad")] if refused and count else ()
            losses = {"superseded": 1} if dropped and count > 1 else {}
            states.append(cursor.state)  # what was missing before the batch may have been counted
            cursor.advance(batch, Answer(refusals, losses))
        states.remove(None)
        states.append(cursor.state)

    def restart(self):
        """Stops in order, and starts. Where the disk does not let it, it is as good as killed: see there."""
        states = {name: cursor.state for name, cursor in self.cursors.items()}
        self.journal.close()
        self._is_durable(states)
        self._open()

    def kill(self, another):
        """Stops at once: all that was accepted is still in the page cache; starts, perhaps with another tag table. Also
        between a sync that failed and the next: what came after the last good one is as little durable as before.
        """
        self._table = (self._table + another) % len(TABLES)
        self.mount.card.fds.clear()
        self.mount.card.locked.clear()
        self._open()
        lost = sum(self.journal.view.lost.values())
        assert self.failed or lost == self.known.told_lost
        self.known.told_lost = lost  # what a disk that failed did not take died with the process

    def cut(self, seed):
        """The power goes and comes back; what is there then is what must be there from now on."""
        still = self.mount.card.still()
        self.mount.insert(still.after_power_cut(Chance(random.Random(seed))))
        copy = self.mount.card.still().after_power_cut(Luck())
        self._open()
        view, known = self.journal.view, self.known
        found = self._contents(copy)
        check_rows(known, found, set(range(view.oldest, view.rows)))
        known.accepted = dict(found)
        known.told_lost = sum(view.lost.values())
        self._events = {name: at for name, at in self._events.items() if at < view.sequence and name in known.events}
        self._is_durable({name: cursor.state for name, cursor in self.cursors.items()})
        self.mount.card.before, self.mount.card.fails = self._before, self._fails

    def _contents(self, copy):
        """All rows there are, by number, read on a copy, so that the reading leaves no trace."""
        card = self.mount.card
        self.mount.insert(copy)
        rows, _ = drained(open_journal(STORE, tags=TABLES[self._table], **SIZES).cursor("reading"))
        self.mount.insert(card)
        return rows


def drained(cursor):
    """Rows by number and ids of events, of both lanes; each once."""
    rows, events = {}, []
    for backfill in (False, True):
        while (batch := cursor.read(1000, backfill=backfill)) is not None:
            for value in batch.frame.floats().tolist():
                assert int(value) not in rows, "a row came twice"
                rows[int(value)] = value
            events += [each.id for each in batch.events]
            cursor.advance(batch, Answer())
    assert len(set(events)) == len(events), "an event came twice"
    return rows, events


def check_rows(known, rows, owed):
    """No wrong value, no row that is not owed, and nothing gone that was durable."""
    for number, value in rows.items():
        assert value in known.written.get(number, ()), f"row {number} is {value}: never written"
        assert number in owed, f"row {number} was not owed"
    for number in owed & known.durable.keys():
        value = known.durable[number]
        assert rows.get(number) == value, f"row {number} was durable as {value} and is {rows.get(number)}"


class Check:
    """Opens a card as the agent would after the power is back, and asserts all that must hold."""

    def __init__(self, mount):
        self.mount = mount
        self.states = 0

    def __call__(self, card, known, *, again=False, before=None):
        """`again`: both sinks, not one of them; and go on, stop, start. `before`: called ahead of each change that
        opening makes.
        """
        self.states += 1
        self.mount.insert(card)
        if before is not None:
            card.before = before
        journal = open_journal(STORE, tags=TABLES[0], **SIZES)
        cursors = {name: journal.cursor(name) for name in SINKS}
        card.before = _nothing
        assert journal.writable, f"start failed: {journal.error}"
        assert not journal.report.moved_aside, journal.report
        if not any(None in states for states in known.states.values()):
            assert not [notice for notice in journal.notices() if "cursor" in notice.id], "a cursor's file in trouble"
        assert not journal.report.set_aside, "a segment that exists has a header"
        view = journal.view
        assert view.rows >= max(known.durable, default=-1) + 1, f"{view.rows} rows"
        lost = sum(view.lost.values())
        assert known.lost <= lost <= known.told_lost, f"{lost} lost"
        for name, cursor in cursors.items():
            self._check_cursor(cursor, known, name)
            self._check_quarantine(cursor, known)
        if not again:
            self._check_drained(cursors[SINKS[self.states % len(SINKS)]], known, view)
            card.fds.clear()
            return
        for cursor in cursors.values():
            self._check_drained(cursor, known, view)
        self._go_on(journal, cursors, view.rows)
        ledgers = journal.ledgers()
        journal.close()
        self._again(ledgers)
        assert not card.fds, "descriptors left open"

    def _check_cursor(self, cursor, known, name):
        assert balanced(cursor.ledger())
        states = known.states[name]
        if None not in states:
            was = _counted(cursor.state)
            assert was in [_counted(state) for state in states], f"{name}: {was} of {states}"

    def _check_quarantine(self, cursor, known):
        path = cursor.quarantine_path
        lines = _text(self.mount.card, path).splitlines()
        assert len(lines) == cursor.ledger().quarantined, f"{cursor.name}: {len(lines)} lines"
        for line in lines:
            value = json.loads(line)["value"]
            assert value in known.written.get(int(value), ()), line

    def _check_drained(self, cursor, known, view):
        state, was = cursor.state, cursor.ledger()
        owed, first = _owed(state, view), view.segments[0].header.sequence
        rows, events = drained(cursor)
        check_rows(known, rows, owed)
        now = cursor.ledger()
        assert balanced(now)
        assert now.waiting == 0
        assert sum(now.dropped.values()) - sum(was.dropped.values()) == len(owed) - len(rows), "all is counted"
        assert now.delivered == was.delivered + len(rows)
        due = [name for name, sequence in known.events.items() if sequence >= first and _owes_chunk(state, sequence)]
        assert set(due) <= set(events), f"{cursor.name}: events {set(due) - set(events)} are gone"

    def _go_on(self, journal, cursors, first):
        frame, values = rows_of(first, 2, 1023)
        journal.append(frame, [event("after")])
        for name, cursor in cursors.items():
            assert drained(cursor) == (values, ["after"]), name
            assert balanced(cursor.ledger())

    def _again(self, ledgers):
        journal = open_journal(STORE, tags=TABLES[0], **SIZES)
        for name in SINKS:
            journal.cursor(name)
        assert journal.report.clean, journal.report
        assert journal.ledgers() == ledgers
        journal.close()


def _nothing(call):
    pass


def _counted(state):
    """Without what may move on in memory when nothing was counted: chunks without rows, the quarantine's length."""
    return replace(state, live=replace(state.live, sequence=0), quarantine_bytes=0)


def _owed(state, view):
    """Numbers of the rows that this cursor has still to deliver, as far as retention left them."""
    spans = [(state.live.row, view.rows), *((each.first.row, each.end.row) for each in state.ranges)]
    return {row for first, end in spans for row in range(max(first, view.oldest), end)}


def _owes_chunk(state, sequence):
    spans = ((each.first.sequence, each.end.sequence) for each in state.ranges)
    return sequence >= state.live.sequence or any(first <= sequence < end for first, end in spans)


def _text(card, path):
    try:
        return bytes(card.find(path).data).decode()
    except FileNotFoundError:
        return ""


class Search:
    """Goes through the crash states of lives. Each is looked at once, so those that `check` counts are different from
    each other. `thin`: only every so many moments. `fails`: see `Life`.
    """

    def __init__(self, mount, chance, *, variants=4, cuts_while_opening=16, thin=1, fails=None):
        self.fails = fails or (lambda call: False)
        self.mount, self.chance, self.variants, self.thin = mount, chance, variants, thin
        self.every = cuts_while_opening
        self.check = Check(mount)
        self._seen: set[int] = set()

    def lucks(self, still):
        """What may happen in one moment: the extremes, and some of all that is between."""
        if still.is_settled:
            return [Luck()]
        always = [BadLuck(), Luck(), NamesOnly(), ContentsOnly(), Noise(self.chance)]
        return [*always, *(Chance(self.chance) for _ in range(self.variants))]

    def through(self, steps):
        """Each moment of a life, with each luck."""
        moments = Life(self.mount, self.fails).live(steps)
        for call, still, known in moments[self.chance.randrange(self.thin) :: self.thin]:
            for luck in self.lucks(still):
                card = still.after_power_cut(luck)
                if self._is_new(card, known):
                    self._one(card, known, f"before {call}, {type(luck).__name__}")
        del moments
        gc.collect()  # each state leaves a journal, its cursors and a card, which know each other: 0.4 MB

    def _one(self, card, known, what):
        number = self.check.states
        inner = []
        before = (lambda call: inner.append((call, card.still()))) if number % self.every == 0 else None
        try:
            self.check(card, known, again=number % 8 == 1, before=before)
            was = "fsync"
            for call, still in inner:
                first = BadLuck() if was in SYNCS else Luck()  # the other one is as it was before that call
                was = call
                for luck in (first, Chance(self.chance)):
                    again = still.after_power_cut(luck)
                    if self._is_new(again, known):
                        self.check(again, known)
        except AssertionError as error:
            error.add_note(f"power cut {what}")
            raise

    def _is_new(self, card, known):
        """Never looked at, or with a user who had been told something else."""
        key = hash((card.settled(), len(known.accepted), len(known.durable), known.lost))
        if key in self._seen:
            return False
        self._seen.add(key)
        return True
