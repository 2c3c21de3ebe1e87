"""Points -> the cheapest block reads, the bytes that ask for them, and where their answers lie in one image. Pure.

The *image* of a device is the payloads of all its blocks behind each other, each beginning on an even byte. A block of
registers is 2 bytes a register, high byte first; a block of coils or discrete inputs is 1 bit each, lowest bit first
(Modbus Application Protocol V1.1b3, 6.1 to 6.4).

Devices refuse blocks that touch an address they don't have. What was learned of that is a set of *refused spans*: no
block may cover one. Whatever covers a refused span would be refused too, so the set only needs the smallest ones.
"""

import struct
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from connectors.modbus.address import HOLDING_REGISTERS
from connectors.modbus.point import Span

HEADER: Final = struct.Struct(">HHBBHH")
"""A request after its transaction id: protocol 0, length 6, unit, function code, first address, count."""
FEWEST: Final = 1e9
"""As the worth of a request: no gap is too long, the plan with the fewest requests."""
USUAL: Final = 33.0
"""The worth of a request (bytes) before anything was measured: gaps up to 16 registers are read over."""
_VARIETY: Final = 1.1
"""What it may cost that neighbouring blocks differ in length."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may span: registers, coils, and unused registers between two tags (coils: 16 times that).

    With `alone` each tag has a request of its own; no request may cover one of `forbidden`.
    """

    registers: int = 125
    bits: int = 2000
    gap: int = 124
    alone: bool = False
    forbidden: frozenset[Span] = frozenset()

    def of(self, function: int) -> tuple[int, int]:
        """(most addresses, most unused addresses in a row) of a block of this function code."""
        return (self.registers, self.gap) if function >= HOLDING_REGISTERS else (self.bits, 16 * self.gap)


@dataclass(frozen=True, slots=True)
class Block:
    """One read: the addresses `span`, whose answer lies at byte `offset` of the image."""

    span: Span
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the answer's payload."""
        return payload_size(self.span)

    def request(self, unit: int) -> bytes:
        """The request's 10 bytes that follow the transaction id."""
        function, start, end = self.span
        return HEADER.pack(0, 6, unit, function, start, end - start)


@dataclass(frozen=True, slots=True)
class Plan:
    """The reads of one device. `refused` are the wanted spans that no block reads, since the device refuses them."""

    blocks: tuple[Block, ...]
    size: int
    refused: tuple[Span, ...] = ()

    def block_of(self, span: Span) -> int:
        """The index of the block that reads `span`; raises KeyError where none does."""
        after = bisect_right(self.blocks, (span.function, span.start), key=lambda block: block.span[:2])
        if after == 0 or not self.blocks[after - 1].span.covers(span):
            raise KeyError(span)
        return after - 1


def payload_size(span: Span) -> int:
    """Bytes that the answer to a read of `span` carries."""
    count = span.end - span.start
    return 2 * count if span.function >= HOLDING_REGISTERS else (count + 7) // 8


def make_plan(
    wanted: Iterable[Span],
    limits: Limits,
    refused: Collection[Span] = (),
    worth: float = FEWEST,
    distinct: int = 1,
) -> Plan:
    """The cheapest blocks, in order of function code and address, that read every wanted span whole.

    One more request costs as much as `worth` bytes of payload, so a gap is read over while its bytes cost less, and
    within limits the sum over all blocks is the least that there is. What no block can read, because it is refused or
    wider than a block, is in the plan's `refused`.

    Of `distinct` blocks that follow each other no two ask for the same number of registers, where shorter blocks can
    bring that about at little cost. Then an answer that a device or gateway gives to the wrong one of several requests
    in flight, or too late, shows by its length.
    """
    spans, known = sorted(set(wanted)), sorted({*refused, *limits.forbidden})
    readable = [span for span in spans if _width(span) <= limits.of(span.function)[0] and not _touches(span, known)]
    blocks: list[Block] = []
    offset = 0
    for function, group in groupby(readable, key=lambda span: span.function):
        no = [span for span in known if span.function == function]
        own = list(group)
        cut = _outermost(own) if limits.alone else _Cut(own, limits.of(function), no, worth).spans(distinct)
        for span in cut:
            blocks.append(Block(span, offset))
            offset += payload_size(span) + payload_size(span) % 2
    return Plan(tuple(blocks), offset, tuple(sorted(set(spans) - set(readable))))


class _Cut:
    """Where to cut the spans of one function code into blocks.

    Spans inside others are left out, so starts and ends both ascend and a block is a run of spans from index i to j,
    reading `start[i]` to `end[j]`. `first[j]` is the lowest i that may go with j; it never descends.
    """

    def __init__(self, spans: list[Span], limit: tuple[int, int], refused: list[Span], worth: float) -> None:
        self._function = spans[0].function
        self._byte = 2.0 if self._function >= HOLDING_REGISTERS else 1 / 8
        self._worth = worth
        outer = _outermost(spans)
        self._start, self._end = [s.start for s in outer], [s.end for s in outer]
        self._first = self._firsts(limit, refused)

    def spans(self, distinct: int) -> list[Span]:
        """The blocks' spans; `distinct` as in make_plan."""
        cuts = self._cheapest()
        if distinct > 1 and self._alike(cuts, distinct):
            varied = self._varied(distinct)
            if self._cost(varied) <= _VARIETY * self._cost(cuts):
                cuts = varied
        return [Span(self._function, self._start[i], self._end[j]) for i, j in _runs(cuts)]

    def _firsts(self, limit: tuple[int, int], refused: list[Span]) -> list[int]:
        most, most_gap = limit
        by_end = sorted(refused, key=lambda no: no.end)
        firsts, first, passed = [], 0, 0
        for j, end in enumerate(self._end):
            if j and self._start[j] - self._end[j - 1] > most_gap:
                first = j
            while end - self._start[first] > most:
                first += 1
            while passed < len(by_end) and by_end[passed].end <= end:
                first = max(first, bisect_right(self._start, by_end[passed].start))
                passed += 1
            firsts.append(first)
        return firsts

    def _cheapest(self) -> list[int]:
        """The ends (index + 1) of the blocks with the least sum of cost: a shortest path, its minima kept in a queue.

        best[j] is the least cost of all spans below j. A block from i to j - 1 adds worth + byte * (end - start), so
        the i to choose is the one with the least best[i] - byte * start[i] among those from first[j - 1] on.
        """
        start, end, byte = self._start, self._end, self._byte
        best, back = [0.0], [0]
        queue: deque[tuple[float, int]] = deque()
        for j, first in enumerate(self._first):
            key = best[j] - byte * start[j]
            while queue and queue[-1][0] >= key:
                queue.pop()
            queue.append((key, j))
            while queue[0][1] < first:
                queue.popleft()
            least, i = queue[0]
            best.append(least + self._worth + byte * end[j])
            back.append(i)
        cuts, at = [], len(end)
        while at:
            cuts.append(at)
            at = back[at]
        return cuts[::-1]

    def _cost(self, cuts: list[int]) -> float:
        return sum(self._worth + self._byte * (self._end[j] - self._start[i]) for i, j in _runs(cuts))

    def _alike(self, cuts: list[int], distinct: int) -> bool:
        sizes = [self._end[j] - self._start[i] for i, j in _runs(cuts)]
        return any(size in sizes[max(0, at - distinct + 1) : at] for at, size in enumerate(sizes))

    def _varied(self, distinct: int) -> list[int]:
        """Cuts from the lowest address on: each block as long as it may be and no other near it is."""
        cuts, i, n = [], 0, len(self._end)
        near: deque[int] = deque(maxlen=distinct - 1)
        while i < n:
            after = i + 1
            while after < n and self._first[after] <= i and not self._dear(after):
                after += 1
            longest = after
            while after > i + 1 and self._end[after - 1] - self._start[i] in near:
                after -= 1
            if self._end[after - 1] - self._start[i] in near:
                after = longest
            near.append(self._end[after - 1] - self._start[i])
            cuts.append(after)
            i = after
        return cuts

    def _dear(self, j: int) -> bool:
        """Whether the gap before span j costs more than a request."""
        return self._byte * (self._start[j] - self._end[j - 1]) >= self._worth


def _outermost(spans: Sequence[Span]) -> list[Span]:
    """The sorted spans without those that lie inside another."""
    out: list[Span] = []
    for span in spans:
        if out and out[-1].start == span.start:
            out.pop()  # sorted, so this one is longer
        if not out or span.end > out[-1].end:
            out.append(span)
    return out


def _runs(cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of each block that ends before `cuts`."""
    return ((before, cut - 1) for before, cut in pairwise([0, *cuts]))


def _width(span: Span) -> int:
    return span.end - span.start


def _joint(a: Span, b: Span) -> Span:
    return Span(a.function, min(a.start, b.start), max(a.end, b.end))


def _touches(span: Span, refused: Sequence[Span]) -> bool:
    """Whether `span` covers one of `refused` (sorted)."""
    first = bisect_left(refused, (span.function, span.start))
    after = bisect_left(refused, (span.function, span.end))
    return any(no.end <= span.end for no in refused[first:after])


def halves(spans: Sequence[Span]) -> tuple[Sequence[Span], Sequence[Span]]:
    """A refused block's wanted spans (at least two, sorted) in two parts, to find out which of them is to blame."""
    middle = len(spans) // 2
    return spans[:middle], spans[middle:]


def hull(spans: Sequence[Span]) -> Span:
    """The smallest span that covers all of `spans`, which are of one function code."""
    return Span(spans[0].function, min(s.start for s in spans), max(s.end for s in spans))


def seam(left: Span, right: Span) -> Span:
    """Where two blocks meet: what is to blame when both can be read and both together cannot, unless that is a limit.

    The last address of one, the first of the other, and what lies between; where they overlap, both as a whole.
    """
    if left.end <= right.start:
        return Span(left.function, left.end - 1, right.start + 1)
    return _joint(left, right)
