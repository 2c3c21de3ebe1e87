"""Watermark: up to which moment everything that was accepted has been delivered."""

from typing import Final

_MOST_NOTES: Final = 256


class Watermark:
    """Told how long the log is and how far a delivery has come, it says how old that is. Times are monotonic seconds.

    It keeps a bounded number of notes. Where there are more, every other one goes: then it may say an earlier moment
    than the true one, never a later one.
    """

    def __init__(self) -> None:
        """Nothing is known."""
        self._notes: list[tuple[int, float]] = []
        self.fresh: float | None = None
        """Everything accepted until this time had been delivered; None before the first time."""

    def note(self, rows: int, now: float) -> None:
        """At this time the log ended at this row."""
        if self._notes and self._notes[-1][0] == rows:
            self._notes.pop()
        self._notes.append((rows, now))
        if len(self._notes) > _MOST_NOTES:
            self._notes = self._notes[1::2]

    def reach(self, row: int) -> None:
        """Everything before this row has been delivered, or is no longer waited for."""
        passed = sum(rows <= row for rows, _ in self._notes)
        if passed:
            self.fresh = self._notes[passed - 1][1]
            del self._notes[:passed]
