"""Blocks of a unit that get no answer while its others do: asked seldom, and last. One a device."""

from collections.abc import Sequence
from typing import Final

from connectors.modbus.scan import NOT_ASKED, TIMED_OUT

_LONGEST: Final = 30.0
"""Seconds between two questions for a block without answer, at most."""


class Mutes:
    """Which blocks are mute, by their index. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._mute: dict[int, tuple[int, float]] = {}

    def __contains__(self, index: int) -> bool:
        return index in self._mute

    def count(self, outcome: Sequence[int], now: float) -> None:
        """Takes note of a reading."""
        if not self._mute and TIMED_OUT not in outcome:
            return
        for index, code in enumerate(outcome):
            if code == TIMED_OUT:
                misses = self._mute.get(index, (0, 0.0))[0] + 1
                self._mute[index] = misses, now + min(_LONGEST, 2.0 ** (min(misses, 10) - 2))
            elif code != NOT_ASKED:
                self._mute.pop(index, None)

    def clear(self) -> None:
        """Forgets all: the unit was away as a whole."""
        self._mute.clear()

    def choice(self, blocks: Sequence[int], now: float) -> Sequence[int] | None:
        """The blocks to ask now; None for all."""
        if not self._mute:
            return None
        again = [index for index, (_, until) in self._mute.items() if until <= now]
        return [index for index in blocks if index not in self._mute] + again
