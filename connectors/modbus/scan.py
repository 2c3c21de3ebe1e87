"""A scan: one reading of a device's blocks, what was asked and what came of it. The same for every transport."""

from collections.abc import Sequence
from typing import Final

from connectors.modbus.plan import Block

OK: Final = 0
TIMED_OUT: Final = -1
GARBLED: Final = -2
"""The answer to this transaction was of another unit, function code or length."""
NOT_ASKED: Final = -3

_ERROR: Final = 0x80
_PATIENCE: Final = 2
"""After so many timeouts in a row, or one before any answer, a scan asks no more."""


class Scan:
    """The reading of some of one device's blocks, used again and again. One reading at a time.

    `outcome[i]` of block i is OK, an exception code (1…255), TIMED_OUT, GARBLED or NOT_ASKED; the payload of an OK one
    is in `image`. `received[i]` is when its answer came (wall ns), `trip[i]` how long that took (s).
    """

    def __init__(self, unit: int, blocks: Sequence[Block], size: int, window: int, timeout: float) -> None:
        """`blocks` and the image's `size` as in a Plan; `window` requests in flight; `timeout` in s per request."""
        self.blocks = blocks
        self.image = bytearray(size)
        self.window = window
        self.timeout = timeout
        self.flying = 0
        self.answered = 0
        self.outcome = [NOT_ASKED] * len(blocks)
        self.received = [0] * len(blocks)
        self.trip = [0.0] * len(blocks)
        self.requests = [block.request(unit) for block in blocks]
        self._heads = [bytes((unit, block.span.function, block.size)) for block in blocks]
        self._refusals = [bytes((unit, block.span.function | _ERROR)) for block in blocks]
        self._places = [(block.offset, block.offset + block.size) for block in blocks]
        self._all = range(len(blocks))
        self._which: Sequence[int] = self._all
        self._next = 0
        self._silent = 0

    def begin(self, which: Sequence[int] | None = None) -> None:
        """Prepares for the next reading, of all blocks or of those with the indices `which`, in that order."""
        self.outcome = [NOT_ASKED] * len(self.blocks)
        self._which = self._all if which is None else which
        self._next = self.answered = self._silent = self.flying = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is left to send or to wait for."""
        return self.flying == 0 and self._next >= len(self._which)

    def take(self, most: int) -> Sequence[int]:
        """The next blocks to ask for: as many as the window has room for, and at most `most`."""
        first = self._next
        taken = self._which[first : first + min(most, self.window - self.flying)]
        self._next = first + len(taken)
        self.flying += len(taken)
        return taken

    def question(self, index: int) -> bytes:
        """The request to block `index` without the transport's own: unit and PDU."""
        return self.requests[index][4:]

    def fits(self, index: int, data: bytes, at: int, end: int) -> bool:
        """Whether `data[at:end]` (unit and PDU) can be the answer to block `index`: its values, or a refusal."""
        head = self._heads[index]
        if data[at : at + 3] == head:
            return end - at == 3 + head[2]
        return data[at : at + 2] == self._refusals[index] and end - at == 3 and data[at + 2] > 0

    def answer(self, index: int, data: bytes, at: int, end: int, wall: int, trip: float) -> None:
        """Takes `data[at:end]` (unit and PDU) as the answer to block `index`, which came at `wall` (ns) after `trip` s.

        What can't be the answer (another unit, function code or length) makes its outcome GARBLED.
        """
        self.flying -= 1
        self.answered += 1
        self._silent = 0
        self.received[index] = wall
        self.trip[index] = trip
        head = self._heads[index]
        if data[at : at + 3] == head and end - at == 3 + head[2]:
            first, stop = self._places[index]
            self.image[first:stop] = data[at + 3 : end]
            self.outcome[index] = OK
        elif self.fits(index, data, at, end):
            self.outcome[index] = data[at + 2]
        else:
            self.outcome[index] = GARBLED

    def time_out(self, index: int) -> None:
        """No answer came to block `index`."""
        self.flying -= 1
        self.outcome[index] = TIMED_OUT
        self._silent += 1
        if not self.answered or self._silent >= _PATIENCE:
            self._which = self._which[: self._next]
