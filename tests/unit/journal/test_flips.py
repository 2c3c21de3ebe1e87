"""One bit of a 64 KiB segment flipped, each of the 524,288 in turn, and the file cut at each of its 65,536 lengths.

Proves the line "every bit of a 64 KiB segment flipped in turn (524,288) and every truncation: <= 1 chunk lost per flip,
the rest delivered, start delayed <= 1 s", on two levels. Every bit and every length goes through what opening and every
reader go through: `walk`, `read_segment`, `read_table` (`--proof`). A part of them, with every bit of heads first, is
opened as the agent does it, and delivered (all of them with `--long`). Delay is counted in bytes read.
"""

import random
from dataclasses import dataclass

import numpy as np
import pytest

from edge_agent.api import Answer
from edge_agent.journal import disk
from edge_agent.journal.chunk import HEAD_BYTES
from edge_agent.journal.segment import read_segment, read_table
from edge_agent.journal.walk import walk
from edge_agent.model import Frame
from tests.unit.journal.card import Card, Luck, mounted
from tests.unit.journal.lives import STORE
from tests.unit.journal.material import NOON, SECOND, balanced, frame, open_journal, table

ANSWER = Answer()
SIZE = 65_536
TAGS = table(2)
ROWS = 700
FILE = STORE / "000000000001.segment"


@dataclass
class Whole:
    """A store with one segment of exactly 64 KiB, as a kill leaves it, with room behind its last chunk.

    Without a front file, which would have given back a part of what is lost, or said that the end is damaged.
    """

    mount: object
    card: Card
    data: bytes
    body: int
    chunks: list[tuple[int, int, int]]
    """Offset, size and rows."""

    def end(self):
        """Of the last chunk."""
        return self.chunks[-1][0] + self.chunks[-1][1]

    def around(self, byte):
        """Offset and sequence number where a walk stands before this byte, and where the chunk with it ends."""
        for sequence, (offset, size, _) in enumerate(self.chunks):
            if byte < offset + size:
                return offset, sequence, offset + size
        return self.end(), len(self.chunks), SIZE

    def walk(self, data, offset, sequence):
        """The pieces from here on, and a list of how many bytes each call read."""
        count = []

        def read(at, size):
            out = bytes(memoryview(data)[at : at + size])
            count.append(len(out))
            return out

        return walk(read, 1, offset, len(data), sequence, verify=True), count

    def with_data(self, data):
        """A card like this one, with other bytes in the segment."""
        card = self.card.still().after_power_cut(Luck())
        card.find(FILE).data[:] = data
        return card


def noisy_rows(start, count):
    """Values of full precision, a second apart: about 5 KiB a chunk."""
    numbers = np.arange(start, start + count)
    values = np.random.default_rng(start).normal(250, 0.3, count)
    return Frame.of_floats(numbers % 2, NOON + numbers * SECOND, values)


@pytest.fixture(scope="module")
def whole():
    with mounted() as mount:
        journal = open_journal(STORE, tags=TAGS, segment="64KiB")
        while True:
            end = journal.view.end
            journal.append(noisy_rows(journal.view.rows, ROWS))
            journal.sync()  # nothing of it stands in the front
            if 2 * journal.view.end - end > SIZE - 600:
                break
        card = mount.card.still().after_power_cut(Luck())
        card.root["journal"].pop("front", None)
        data = bytes(card.find(FILE).data)
        body = journal.view.segments[0].body
        pieces = list(walk(lambda at, size: data[at : at + size], 1, body, SIZE, 0, verify=True))
        assert len(data) == SIZE
        assert len(journal.view.segments) == 1
        assert pieces[-1].offset + pieces[-1].size > SIZE // 2
        yield Whole(mount, card, data, body, [(piece.offset, piece.size, piece.head.rows) for piece in pieces])


def walked(whole, bits):
    """Goes over each of these bits, flipped, until the walk stands again where it would without: nothing before can
    depend on the bit, and nothing after. So one chunk is lost, or none where no chunk is.
    """
    data = bytearray(whole.data)
    for bit in bits:
        byte = bit >> 3
        offset, sequence, end = whole.around(byte)
        data[byte] ^= 1 << (bit & 7)
        pieces, count = whole.walk(data, offset, sequence)
        at = offset
        for piece in pieces:
            assert piece.offset == at, f"bit {bit}: a stretch is passed over in silence"
            if piece.sound:
                break
            at += piece.size
        else:
            piece = None
        data[byte] ^= 1 << (bit & 7)
        if piece is None:
            assert offset >= whole.chunks[-1][0], f"bit {bit}: the walk ended"
            assert byte < at <= max(byte + 1, whole.end()), f"bit {bit}"
        else:
            assert (piece.offset, piece.head.sequence) == (end, sequence + 1), f"bit {bit}: more than one chunk"
        assert sum(count) <= 3 * SIZE, f"bit {bit}: {sum(count)} bytes read"


def headed(whole, bits):
    """Each of these bits of the header flipped: the header and the table are there."""
    whole.mount.insert(whole.card)
    data, expected, packed = whole.card.find(FILE).data, read_segment(FILE), read_table(FILE)
    for bit in bits:
        data[bit >> 3] ^= 1 << (bit & 7)
        assert read_segment(FILE) == expected, f"bit {bit}"
        assert read_table(FILE) == packed, f"bit {bit}"
        data[bit >> 3] ^= 1 << (bit & 7)


def delivered(whole, data):
    """Opens it as the agent does and delivers all: rows by their times, and what was lost."""
    whole.mount.insert(whole.with_data(data))
    read = 0

    def counted(fd, size, at):
        nonlocal read
        out = real(fd, size, at)
        read += len(out)
        return out

    real = disk.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "read", counted)
        journal = open_journal(STORE, tags=TAGS, segment="64KiB")
        opened = read
    assert journal.writable
    cursor = journal.cursor("hub")
    rows: list[int] = []
    while (batch := cursor.read(100_000)) is not None:
        rows += ((batch.frame.time - NOON) // SECOND).tolist()
        cursor.advance(batch, ANSWER)
    ledger = cursor.ledger()
    assert balanced(ledger)
    assert ledger.waiting == 0
    first = journal.view.rows
    journal.append(frame(first, 3, 2))
    assert len(cursor.read(10).frame) == 3
    assert opened <= 6 * SIZE, f"{opened} bytes read"
    return rows, ledger


def check_delivered(whole, bits):
    """At most one chunk is gone, it is counted, and the rest comes in order, once."""
    for bit in bits:
        data = bytearray(whole.data)
        data[bit >> 3] ^= 1 << (bit & 7)
        rows, ledger = delivered(whole, data)
        expected, at = [], 0
        for offset, size, count in whole.chunks:
            expected += [] if offset <= bit >> 3 < offset + size else range(at, at + count)
            at += count
        assert rows == expected, f"bit {bit}"
        torn = at - ledger.collected  # in the last chunk: it was cut as a torn tail, and its rows are not counted
        assert ledger.dropped.get("damaged", 0) == at - len(rows) - torn, f"bit {bit}"
        assert torn == 0 or bit >> 3 >= whole.chunks[-1][0], f"bit {bit}"


def bits_of_heads(whole, chunks):
    return [bit for offset, _, _ in chunks for bit in range(8 * offset, 8 * (offset + HEAD_BYTES))]


@pytest.mark.timeout(180)
def test_bits_flipped_here_and_there_cost_at_most_one_chunk(whole):
    chance = random.Random(5)
    heads = chance.sample(bits_of_heads(whole, whole.chunks), 60)
    bits = [*heads, *chance.sample(range(8 * whole.body, 8 * SIZE), 40), *chance.sample(range(8 * whole.body), 10)]
    check_delivered(whole, bits)
    walked(whole, range(8 * whole.body + 3, 8 * SIZE, 503))
    headed(whole, range(0, 8 * whole.body, 11))


@pytest.mark.timeout(180)
def test_cuts_here_and_there_leave_what_was_whole(whole):
    check_cuts(whole, range(0, SIZE, 2003))
    walked_cuts(whole, range(whole.body, SIZE, 311))


def walked_cuts(whole, cuts):
    """The file ends here: no chunk is made of the one that was cut. Those before it are as they were."""
    for cut in cuts:
        offset, sequence, _ = whole.around(cut)
        pieces, count = whole.walk(whole.data[:cut], offset, sequence)
        assert not [piece for piece in pieces if piece.sound], cut
        assert sum(count) <= 2 * SIZE, cut


def check_cuts(whole, cuts):
    """The file ends here; opened and delivered. Within its header nothing can be said of what was in it."""
    for cut in cuts:
        rows, _ = delivered(whole, whole.data[:cut])
        whole_ones = [count for offset, size, count in whole.chunks if offset + size <= cut]
        assert rows == list(range(sum(whole_ones))), cut


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_bit_of_a_segment_flipped_costs_at_most_one_chunk(whole):
    walked(whole, range(8 * whole.body, 8 * SIZE))
    headed(whole, range(8 * whole.body))


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_cut_of_a_segment_leaves_what_was_whole(whole):
    walked_cuts(whole, range(whole.body, SIZE))
    check_cuts(whole, range(0, SIZE, 101))


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_bit_of_a_head_flipped_and_a_stride_of_others_delivered(whole):
    chance = random.Random(6)
    check_delivered(whole, bits_of_heads(whole, [whole.chunks[3]]))
    check_delivered(whole, chance.sample(range(8 * SIZE), 600))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_bit_of_every_byte_of_a_segment_flipped_and_delivered(whole):
    chance = random.Random(7)
    check_delivered(whole, [8 * byte + chance.randrange(8) for byte in range(SIZE)])
