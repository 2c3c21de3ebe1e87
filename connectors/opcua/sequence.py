"""Which notification messages of a subscription are missing (Part 4, 5.14.1: numbered from 1, wrapping to 1). Pure."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

WRAP: Final = 0xFFFF_FFFF
_REMEMBERED: Final = 64


class Sequence:
    """Follows the numbers of one subscription's messages."""

    def __init__(self) -> None:
        self._next = 0
        """0 before the first."""
        self._recent: deque[int] = deque(maxlen=_REMEMBERED)

    @property
    def next(self) -> int | None:
        """The number that the next message should have; None before the first."""
        return self._next or None

    @contextmanager
    def handling(self, number: int) -> Iterator[None]:
        """While a message that was taken is worked on: where that is broken off, it counts as not taken."""
        try:
            yield
        except BaseException:
            self._next = number
            self._recent.clear()
            raise

    def take(self, number: int) -> list[int] | None:
        """Notes a message that came; the numbers missing before it, or None where it was taken already.

        At most _REMEMBERED numbers are named; a longer jump is no gap but a server that counts its own way.
        """
        if number in self._recent:
            return None
        ahead = (number - self._next) % WRAP if self._next else 0
        missing = [(self._next - 1 + k) % WRAP + 1 for k in range(ahead)] if ahead <= _REMEMBERED else []
        self._recent.extend((*missing, number))
        if ahead < WRAP // 2:
            self._next = number % WRAP + 1
        return missing
