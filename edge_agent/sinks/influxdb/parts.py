"""Which rows go into one request, and how a request that failed is cut. Pure but for what it learns of the hub.

A part is a sorted array of a plan's items. A part that is refused is halved until the poison stands alone: at most
2·log2(n) more requests for one poison row. Halves are cut so that rows that fail together stay together: by tag (a
field whose type the hub has otherwise), or by time (points older than the hub's retention). By tag they are sent with
one line a row, and where the hub then says that it dropped as many points as there are lines, all of them are poison
and it ends there.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_agent.sinks.influxdb.plan import Plan, Rows
from edge_agent.sinks.influxdb.reply import Reply

_GUESS: Final = 40
"""Bytes an item before anything was sent."""
_LEAST_CEILING: Final = 16 * 1024
_LEAST_PATIENCE: Final = 4 * 1024
_NO_LIMIT: Final = 1 << 40


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Items for one request. `alone`: one line a row. `suspect`: of tags that were poison the last time."""

    items: Rows
    alone: bool = False
    suspect: bool = False

    def __len__(self) -> int:
        return len(self.items)

    def cut(self, size: int) -> list["Part"]:
        """Pieces of at most `size` items, in order."""
        return [Part(self.items[i : i + size], self.alone, self.suspect) for i in range(0, len(self), size)]

    def halves(self, plan: Plan, reply: Reply) -> list["Part"]:
        """Two parts that keep together what may fail together."""
        items, by_tag = self.items, not reply.about_time
        if by_tag:
            items = items[np.argsort(plan.tags_of(items), kind="stable")]
        middle = (len(items) + 1) // 2
        return [Part(np.sort(half), by_tag, self.suspect) for half in (items[:middle], items[middle:])]


def first_parts(plan: Plan, suspects: set[int]) -> list[Part]:
    """Everything, with the values of tags that were poison the last time apart from the rest."""
    items = np.arange(plan.size)
    if not suspects or not plan.size:
        return [Part(items)] if plan.size else []
    suspect = np.zeros(len(items), np.bool_)
    suspect[: len(plan.rows)] = np.isin(plan.columns.tag, list(suspects))
    parts = [Part(items[~suspect]), Part(items[suspect], alone=True, suspect=True)]
    return [part for part in parts if len(part)]


def all_poison(part: Part, lines: int, reply: Reply) -> bool:
    """Whether the hub left out every row of this request."""
    dropped = reply.dropped
    if dropped is None or dropped < lines:
        return len(part) == 1
    return part.alone or reply.about_time


class Limit:
    """How much goes into one request: the configured rows, the size that a 413 taught, the size that a slow line takes.

    Sizes are bytes before compression.
    """

    def __init__(self, rows: int) -> None:
        """`rows`: the most, whatever is learned."""
        self._most = rows
        self._bytes_per_row = float(_GUESS)
        self._ceiling = _NO_LIMIT
        self._patience = _NO_LIMIT

    @property
    def rows(self) -> int:
        """Most items for the next request."""
        return max(1, min(self._most, int(min(self._ceiling, self._patience) / self._bytes_per_row)))

    def stored(self, rows: int, size: int) -> None:
        """A request of `size` bytes went through: the line may take twice as much the next time."""
        self._bytes_per_row = max(size / rows, 1.0)
        if size * 2 > self._patience:
            self._patience *= 2

    def too_large(self, rows: int, size: int) -> None:
        """413: half of that from now on."""
        self._bytes_per_row = max(size / rows, 1.0)
        self._ceiling = min(self._ceiling, max(size // 2, _LEAST_CEILING))

    def too_slow(self, rows: int, size: int) -> None:
        """Not through in time: half of that the next time."""
        self._bytes_per_row = max(size / rows, 1.0)
        self._patience = min(self._patience, max(size // 2, _LEAST_PATIENCE))
