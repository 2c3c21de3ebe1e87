"""Ledger: what came in at the door, and where each of these values is now, for one sink.

    collected = delivered + waiting + quarantined + dropped by reason

The two sides are kept apart. *collected* comes from the log: the number of the last row accepted, and the losses at
the door. *delivered*, *quarantined* and *dropped* come from the cursor, which counts what sinks answered for rows, and
what it found missing; *waiting* is what the log holds after the cursor's places. A row that is counted twice or not
at all shows as an imbalance.

It holds over all, and for each machine. Rows that went with damaged bytes stand under the machine "" (nobody can say
whose they were) until the next segment's header says how many rows of each machine there were; until then, "" has as
many rows dropped as it has waiting too few.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ledger:
    """Numbers of values (rows) since this sink was added; exact across restarts. `sink` is its name.

    `machine` is a machine's path, or "" for what nobody can tell apart; None over all.
    """

    sink: str
    collected: int
    delivered: int
    waiting: int
    quarantined: int
    dropped: Mapping[str, int]
    machine: str | None = None

    @property
    def balanced(self) -> bool:
        """Every value is accounted for, once."""
        return self.collected == self.delivered + self.waiting + self.quarantined + sum(self.dropped.values())


def merged(*counts: Mapping[str, int]) -> dict[str, int]:
    """The sum by reason, without zeros."""
    total: dict[str, int] = {}
    for count in counts:
        for reason, number in count.items():
            total[reason] = total.get(reason, 0) + number
    return {reason: number for reason, number in total.items() if number}
