"""The data's own time, as a clock."""

from dataclasses import dataclass


@dataclass(slots=True)
class DataClock:
    """Stands still until it is set. `now`, `start`: ns since 1970 UTC."""

    start: int
    now: int

    def wall(self) -> int:
        """ns since 1970 UTC."""
        return self.now

    def monotonic(self) -> float:
        """Seconds since `start`."""
        return (self.now - self.start) / 1e9

    def at(self, monotonic: float) -> int:
        """The wall time of a monotonic one, rounded up to whole ns."""
        return self.start + int(-(-monotonic * 1e9 // 1))
