"""When to leave a silent unit alone, and when to try it again. One a unit; knows nothing of the wire.

Closed: it is read as configured. After two readings without any answer it opens: the unit gets one short question,
the half-open probe, after 1 s, then after twice as long each time, up to 10 minutes. So a unit that was away for a
while is noticed within about the same while after it came back. Any answer closes it.
"""

from typing import Final

SILENT: Final = 2
"""Readings without an answer after which a unit counts as silent."""
GONE: Final = 3
"""The same, after which its tags say BadNoCommunication in place of BadTimeout."""
LONGEST: Final = 600.0
STANDING: Final = 20
"""Readings in a row answered after which one may be missed at no cost."""


class Breaker:
    """One unit's state. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.misses = 0
        """Readings in a row without an answer."""
        self._retry_at = 0.0
        self._answers = 0
        """In a row, until the last miss."""

    @property
    def doubt(self) -> float:
        """How likely it is that it will not answer, to compare units by: more misses, fewer answers before them."""
        return self.misses / (1 + self._answers)

    @property
    def trusted(self) -> bool:
        """Whether it has missed no more than one reading, after it had answered many."""
        return self.misses <= 1 and self._answers >= STANDING

    @property
    def open(self) -> bool:
        """Whether the unit is to be left alone but for probes."""
        return self.misses >= SILENT

    @property
    def retry_at(self) -> float:
        """When to ask it next; long ago where nothing was missed."""
        return self._retry_at if self.misses else 0.0

    @property
    def gone(self) -> bool:
        """Whether it has been silent for long."""
        return self.misses >= GONE

    def answered(self) -> None:
        """It answered, if only with an exception of its own."""
        if self.misses:
            self._answers = 0
        self._answers += 1
        self.misses = 0

    def missed(self, now: float) -> None:
        """Nothing came, or a gateway said that it did not reach it."""
        self.misses += 1
        self._retry_at = now + min(LONGEST, 2.0 ** (min(self.misses, 20) - SILENT))
