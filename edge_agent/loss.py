"""Losses at the door: shared out among machines, counted in the journal, and told to the hub as gap records."""

from collections.abc import Iterable, Sequence

import numpy as np

from edge_agent.alarm import loss_event
from edge_agent.clock import Clock
from edge_agent.journal import Journal
from edge_agent.journal.tally import tally
from edge_agent.model import Event, TagTable
from edge_agent.model.frame import Int32

COUNT_S = 10.0
"""Losses are written to the journal this often at most."""
TELL_S = 60.0
"""A gap record for a reason and a machine comes this often at most; it says how many there were since the last."""

Loss = tuple[str, int, Sequence[int] | Int32]
"""Reason, number of values, and numbers of tags of the machines that they were of."""


class Losses:
    """What was lost and not told yet. `note` and `events` are for one thread at a time."""

    def __init__(self, tags: TagTable, site: str, clock: Clock) -> None:
        self._tags, self._site, self._clock = tags, site, clock
        self._untold: dict[tuple[str, str], tuple[int, int]] = {}
        """Reason and machine -> number of values, and since when (wall ns)."""
        self._told: dict[tuple[str, str], float] = {}

    def count(self, losses: Iterable[Loss], journal: Journal) -> int:
        """Counts in the journal, and keeps for the next gap records; gives how many values there were."""
        total: dict[tuple[str, str], int] = {}
        for reason, count, tags in losses:
            for machine, share in self._shares(count, tags).items():
                total[reason, machine] = total.get((reason, machine), 0) + share
        now = self._clock.wall()
        for (reason, machine), number in total.items():
            journal.lose(reason, number, machine)
            before, since = self._untold.get((reason, machine), (0, now))
            self._untold[reason, machine] = before + number, since
        return sum(total.values())

    def _shares(self, count: int, tags: Sequence[int] | Int32) -> dict[str, int]:
        """By machine; what does not divide evenly is nobody's."""
        facts = tally(self._tags, np.asarray(tags, np.int32)).facts() if len(tags) else {}
        whole = sum(facts.values())
        shares = {machine: count * number // whole for machine, number in facts.items()}
        rest = count - sum(shares.values())
        if rest:
            shares[""] = shares.get("", 0) + rest
        return {machine: share for machine, share in shares.items() if share}

    def events(self, *, all_: bool = False) -> list[Event]:
        """The gap records that are due: one at once for what is new, then one in TELL_S seconds."""
        now, due = self._clock.monotonic(), []
        for key, (count, since) in tuple(self._untold.items()):
            if all_ or now - self._told.get(key, -TELL_S) >= TELL_S:
                reason, machine = key
                due.append(loss_event(self._site, reason, machine, count, since, self._clock.wall()))
                self._told[key] = now
                del self._untold[key]
        return due
