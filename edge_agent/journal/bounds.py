"""Bounds: how much a log may keep, and how many of its oldest segments must go for it. Arithmetic only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from edge_agent.config.agent import JournalSection
from edge_agent.journal.segment import Segment

LEAST_FREE: Final = 500_000_000
FREE_SHARE: Final = 0.05
"""Without `min_free` the greater of these stays free: bytes, and share of the file system."""
_LEAST_SEGMENT: Final = 4096
_SHARES: Final = 4
"""A segment is at most this part of all, or dropping one would drop too much."""
_BELIEVABLE: Final = 1_577_836_800_000_000_000
"""2020-01-01, ns since 1970 UTC: what was made before that was made by a clock that had not been set."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one store."""

    segment_bytes: int
    max_bytes: int
    max_age: float = math.inf
    """Seconds."""
    min_free: int | None = None
    """Bytes that stay free on the file system; None for the greater of LEAST_FREE and FREE_SHARE."""

    @classmethod
    def of(cls, section: JournalSection) -> Self:
        """As configured, with a segment small enough to be dropped alone."""
        size = max(_LEAST_SEGMENT, min(section.segment_bytes, section.max_bytes // _SHARES))
        return cls(size, section.max_bytes, section.max_age, section.min_free)

    def beyond_bytes(self, sizes: Sequence[int]) -> int:
        """How many of the oldest must go before another segment begins."""
        total, count = sum(sizes) + self.segment_bytes, 0
        while total > self.max_bytes and count < len(sizes):
            total, count = total - sizes[count], count + 1
        return count

    def beyond_age(self, segments: Sequence[Segment], now: int) -> int:
        """How many of the oldest ended too long before `now` (ns UTC). The last never counts, nor one whose time can't
        be right.
        """
        until, count = now - self.max_age * 1e9, 0
        for following in segments[1:]:
            if not _BELIEVABLE < following.header.created < until:
                break
            count += 1
        return count

    def floor(self, total: int) -> int:
        """Bytes that must stay free on a file system of `total` bytes."""
        return max(LEAST_FREE, int(total * FREE_SHARE)) if self.min_free is None else self.min_free

    def beyond_room(self, sizes: Sequence[int], free: int, total: int) -> int | None:
        """How many of the oldest must go so that enough stays free; the last never goes. None where that would not be
        enough: nothing is dropped in vain.
        """
        short, count = self.floor(total) - free, 0
        if short > sum(sizes[:-1]):
            return None
        while short > 0:
            short, count = short - sizes[count], count + 1
        return count
