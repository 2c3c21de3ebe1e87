"""How long to wait before trying again: doubling, bounded, jittered, so that a plant's agents do not knock in step."""

import random


class Backoff:
    """Seconds to wait, from `first` doubling to `most`, each drawn between half and the whole of the step."""

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most, self._step = first, most, first

    def next(self) -> float:
        """The wait before the next try."""
        wait = self._step * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not cryptography
        self._step = min(self._step * 2, self._most)
        return wait

    def reset(self) -> None:
        """It worked: begin again at the first step."""
        self._step = self._first
