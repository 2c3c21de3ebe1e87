"""Points -> the fewest block reads, the bytes that ask for them, and where their answers lie in one image. Pure.

The *image* of a device is the payloads of all its blocks behind each other, each beginning on an even byte. A block of
registers is 2 bytes a register, high byte first; a block of coils or discrete inputs is 1 bit each, lowest bit first
(Modbus Application Protocol V1.1b3, 6.1 to 6.4).

Devices refuse blocks that touch an address they don't have. What was learned of that is a set of *refused spans*: no
block may cover one. Whatever covers a refused span would be refused too, so the set only needs the smallest ones.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.modbus.address import HOLDING_REGISTERS
from connectors.modbus.point import Span

HEADER: Final = struct.Struct(">HHBBHH")
"""A request after its transaction id: protocol 0, length 6, unit, function code, first address, count."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may span: registers, coils, and unused registers between two tags (coils: 16 times that)."""

    registers: int = 125
    bits: int = 2000
    gap: int = 16

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


def make_plan(wanted: Iterable[Span], limits: Limits, refused: Collection[Span] = ()) -> Plan:
    """The fewest blocks, in order of function code and address, that read every wanted span whole.

    Each wanted span must fit into a block. Greedy from the lowest address: a block starts where the first span that is
    not yet read starts and takes all that fit; a later start never helps, so no other cut needs fewer blocks.
    """
    spans, known = sorted(set(wanted)), sorted(refused)
    readable = [span for span in spans if not _touches(span, known)]
    blocks: list[Block] = []
    offset = 0
    for span in _merged(readable, limits, known):
        blocks.append(Block(span, offset))
        offset += payload_size(span) + payload_size(span) % 2
    return Plan(tuple(blocks), offset, tuple(sorted(set(spans) - set(readable))))


def _merged(spans: Sequence[Span], limits: Limits, refused: Sequence[Span]) -> list[Span]:
    out: list[Span] = []
    for span in spans:
        joint = _joint(out[-1], span) if out and out[-1].function == span.function else None
        if joint is not None and _allowed(joint, span.start - out[-1].end, limits, refused):
            out[-1] = joint
        else:
            out.append(span)
    return out


def _joint(a: Span, b: Span) -> Span:
    return Span(a.function, min(a.start, b.start), max(a.end, b.end))


def _allowed(joint: Span, gap: int, limits: Limits, refused: Sequence[Span]) -> bool:
    most, most_gap = limits.of(joint.function)
    return joint.end - joint.start <= most and gap <= most_gap and not _touches(joint, refused)


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
    """What is to blame when both halves of a block can be read and the whole cannot: the place where they meet.

    That is an unused address between them that the device does not have, or the device's own limit.
    """
    if left.end <= right.start:
        return Span(left.function, left.end - 1, right.start + 1)
    return _joint(left, right)
