"""How many requests a device answers at once: one, until it was tried that it answers more, in order, without loss.

A trial is an ordinary reading with twice as many requests in flight. When enough of them were answered in order, each
with the length that was asked for, the number stands. At the first doubt (no answer, a stray one, one out of order,
one that belongs to another request) it is one again, and the next trial waits: 10 minutes, then twice as long each
time, up to a day. A trial that broke the connection, or the agent, counts as doubt too, since it is marked when it
begins.
"""

from dataclasses import dataclass
from typing import Final

FIRST_WAIT: Final = 600.0
LONGEST_WAIT: Final = 86_400.0
_CALM: Final = 120
"""Requests that must be answered without doubt before a trial; enough to know what one costs by itself."""
_PROOF: Final = 24
"""Requests sent while others were in flight that must be answered without doubt before a number stands."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered: the number that stands, whether a trial of more has begun, and how many doubts there were."""

    proven: int = 1
    trying: bool = False
    doubts: int = 0


class Window:
    """One device's, or one gateway's over all its units. Times are monotonic seconds."""

    def __init__(self, bound: int, now: float, kept: Kept | None = None) -> None:
        """`bound`: the most that a person allows; `kept` by an earlier one."""
        kept = kept or Kept()
        self._bound = bound
        self._proven, self._doubts = min(bound, kept.proven), kept.doubts
        self._calm = self._proof = 0
        self._trying = kept.trying
        self._not_before = now + self._wait() if kept.doubts else now
        if kept.trying:
            self.doubt(now)

    @property
    def size(self) -> int:
        """Requests that may be in flight now."""
        return min(self._bound, 2 * self._proven) if self._trying else self._proven

    @property
    def kept(self) -> Kept:
        """What to remember."""
        return Kept(self._proven, self._trying, self._doubts)

    @property
    def bound(self) -> int:
        """The most that it may become."""
        return self._bound

    def clean(self, requests: int, accompanied: int, now: float) -> None:
        """A reading of `requests` without any doubt, `accompanied` of them sent while others were in flight."""
        self._calm += requests
        if self._trying:
            self._proof += accompanied
            if self._proof >= _PROOF:
                self._proven, self._trying = self.size, False
                self._calm = 0
        elif self._proven < self._bound and self._calm >= _CALM and now >= self._not_before:
            self._trying, self._proof = True, 0

    def doubt(self, now: float) -> None:
        """Something was lost, stray or out of order. With one request in flight that says nothing of the window."""
        self._calm = 0
        if self._proven == 1 and not self._trying:
            return
        self._proven, self._trying = 1, False
        self._doubts += 1
        self._not_before = now + self._wait()

    def _wait(self) -> float:
        return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (min(self._doubts, 20) - 1)))
