"""A scan: one reading of a device's blocks, what was asked and what came of it. The same for every transport."""

from collections import deque
from collections.abc import Container, Sequence
from typing import Final

from connectors.modbus.plan import Block

OK: Final = 0
TIMED_OUT: Final = -1
GARBLED: Final = -2
"""What came in answer to this request was of another unit, function code or length."""
NOT_ASKED: Final = -3

_ERROR: Final = 0x80
_PATIENCE: Final = 2
"""After so many timeouts in a row, or one before any answer, a scan asks no more."""


class Scan:
    """The reading of some of one device's blocks, used again and again. One reading at a time.

    `outcome[i]` of block i is OK, an exception code (1…255), TIMED_OUT, GARBLED or NOT_ASKED; the payload of an OK one
    is in `image`. `received[i]` is when its answer came (wall ns), `trip[i]` how long that took (s).

    What polling sets before `begin`: `window` (requests in flight), `timeout` (s a request), `pause` (s of quiet that
    the unit needs after an answer). What a transport tells beside the answers: `doubts` counts what shook the trust in
    more than one request in flight, `accompanied` the requests sent while others were, `late` takes the trips (s) of
    answers that came after their time-out.
    """

    def __init__(self, unit: int, blocks: Sequence[Block], size: int, timeout: float = 1.0) -> None:
        """`blocks` and the image's `size` as in a Plan; `timeout` in s per request."""
        self.unit = unit
        self.blocks = blocks
        self.image = bytearray(size)
        self.window = 1
        self.timeout = timeout
        self.pause = 0.0
        self.flying = 0
        self.answered = 0
        self.doubts = 0
        self.accompanied = 0
        self.late: list[float] = []
        self.outcome = [NOT_ASKED] * len(blocks)
        self.received = [0] * len(blocks)
        self.trip = [0.0] * len(blocks)
        self.requests = [block.request(unit) for block in blocks]
        self.heads = [bytes((unit, block.span.function, block.size)) for block in blocks]
        """Of each block: how a good answer begins. Two requests with the same head are told apart by nothing else."""
        self._places = [(block.offset, block.offset + block.size) for block in blocks]
        self._none = [NOT_ASKED] * len(blocks)
        self._all = range(len(blocks))
        self._which: Sequence[int] = self._all
        self._flight: deque[int] = deque()
        self._next = 0
        self._silent = 0

    def begin(self, which: Sequence[int] | None = None) -> None:
        """Prepares for the next reading, of all blocks or of those with the indices `which`, in that order."""
        self.outcome = self._none.copy()
        self.doubts = self.accompanied = 0
        self._start(self._all if which is None else which)

    def resume(self, which: Sequence[int]) -> None:
        """Prepares for asking the blocks `which` again; the outcomes of the others stand."""
        for index in which:
            self.outcome[index] = NOT_ASKED
        self._start(which)

    def _start(self, which: Sequence[int]) -> None:
        self._which = which
        self._next = self.answered = self._silent = self.flying = 0
        self._flight.clear()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to send or to wait for."""
        return self.flying == 0 and self._next >= len(self._which)

    @property
    def first(self) -> int:
        """The block that is asked first."""
        return self._which[0] if len(self._which) else 0

    def take(self, heads: Container[bytes] = ()) -> int | None:
        """The block to ask for next; None where the window is full, all are asked, or its head is among `heads`.

        At the first doubt the window is one request.
        """
        at = self._next
        if at >= len(self._which) or self.flying >= (1 if self.doubts else self.window):
            return None
        index = self._which[at]
        if self.heads[index] in heads:
            return None
        self._next = at + 1
        self.flying += 1
        self._flight.append(index)
        return index

    def question(self, index: int) -> bytes:
        """The request to block `index` without the transport's own: unit and PDU."""
        return self.requests[index][4:]

    def fits(self, index: int, data: bytes, at: int, end: int) -> bool:
        """Whether `data[at:end]` (unit and PDU) can be the answer to block `index`: its values, or a refusal."""
        head = self.heads[index]
        if data[at : at + 3] == head:
            return end - at == 3 + head[2]
        refused = data[at] == head[0] and data[at + 1] == head[1] | _ERROR
        return refused and end - at == 3 and data[at + 2] > 0

    def answer(self, index: int, data: bytes, at: int, end: int, wall: int, trip: float) -> None:
        """Takes `data[at:end]` (unit and PDU) as the answer to block `index`, which came at `wall` (ns) after `trip` s.

        What can't be the answer (another unit, function code or length) makes its outcome GARBLED.
        """
        self._landed(index)
        self.answered += 1
        self._silent = 0
        self.received[index] = wall
        self.trip[index] = trip
        outcome = self.outcome[index] = self.take_in(index, data, at, end)
        if outcome == GARBLED:
            self.doubts += 1

    def take_in(self, index: int, data: bytes, at: int, end: int) -> int:
        """Puts the payload of a good answer in its place; gives the outcome."""
        head = self.heads[index]
        if data[at : at + 3] == head and end - at == 3 + head[2]:
            first, stop = self._places[index]
            self.image[first:stop] = data[at + 3 : end]
            return OK
        return data[at + 2] if self.fits(index, data, at, end) else GARBLED

    def time_out(self, index: int) -> None:
        """No answer came to block `index`."""
        self._landed(index)
        self.outcome[index] = TIMED_OUT
        self.doubts += 1
        self._silent += 1
        if not self.answered or self._silent >= _PATIENCE:
            self._which = self._which[: self._next]

    def _landed(self, index: int) -> None:
        self.flying -= 1
        if self._flight and self._flight[0] == index:
            self._flight.popleft()
            return
        self.doubts += 1  # not in the order in which they were asked
        if index in self._flight:
            self._flight.remove(index)
