"""The one clock: wall time in ns UTC for columns, monotonic time in seconds for intervals. Injected, so replaceable."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the agent asks for the time. Wall time may jump; monotonic time never does."""

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def wall(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds since boot."""
        return time.monotonic()
