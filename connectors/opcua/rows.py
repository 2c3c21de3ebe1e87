"""Raw rows: what a DataChangeNotification says, in columns, before it becomes a frame."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

TEXT_SPAN: Final = 254
"""A kind only between decoder and frame: `bits` is start << 32 | length of UTF-8 bytes in the response."""
UNSUPPORTED: Final = 255
"""The same: a value of a type that no tag can have (structure, long array, node id …)."""


@dataclass(slots=True, eq=False)
class Rows:
    """Columns of equal length n, in the server's order.

    `handle` as given when subscribing; `kind` a Kind, TEXT_SPAN or UNSUPPORTED; `bits` as in a Frame; `ticks` is the
    source time in 100 ns since 1601 UTC, 0 where there is none. `texts` are what Kind.TEXT rows index.
    """

    handle: npt.NDArray[np.uint32]
    kind: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    status: npt.NDArray[np.uint32]
    ticks: npt.NDArray[np.int64]
    texts: list[str] = field(default_factory=list)

    def scans(self) -> "list[Rows]":
        """The rows in parts in which no item comes twice, where an item's rows follow each other (as most servers
        send what they queued): first each item's first row, then the second ones … Any other order stays one part.
        """
        again = self.handle[1:] == self.handle[:-1]
        if not again.any():
            return [self]
        starts = np.flatnonzero(np.concatenate(([True], ~again)))
        heads = self.handle[starts]
        if not (heads[1:] > heads[:-1]).all() and int(np.bincount(heads).max()) > 1:
            return [self]
        depth = np.arange(len(self.handle)) - np.repeat(starts, np.diff(starts, append=len(self.handle)))
        return [self.part(np.flatnonzero(depth == place)) for place in range(int(depth.max()) + 1)]

    def part(self, which: npt.NDArray[np.intp]) -> "Rows":
        """Some of the rows, or all in another order; nothing is shared but what the texts say."""
        return Rows(
            self.handle[which],
            self.kind[which],
            self.bits[which],
            self.status[which],
            self.ticks[which],
            list(self.texts),
        )

    @classmethod
    def empty(cls, n: int) -> "Rows":
        """Room for n rows; the caller fills it."""
        return cls(
            np.empty(n, np.uint32),
            np.empty(n, np.uint8),
            np.empty(n, np.uint64),
            np.empty(n, np.uint32),
            np.empty(n, np.int64),
        )
