"""One bit of a front flipped, each in turn, and the file cut at each of its lengths; all of it opened and delivered.

What is at stake: a front holds fewer than 4,000 accepted rows in entries, one for each append. A flip costs the append
that it hits, no other; it is counted as damaged wherever an entry follows it, and else it is the torn end of the log,
whose rows the journal never knew of: at most those of the last append, and reported where its head can be read. A cut
costs the appends that it cuts off. No value is ever wrong.
"""

import random
from dataclasses import dataclass
from functools import lru_cache

import pytest

from edge_agent.api import Answer
from edge_agent.journal import opening, recovery
from edge_agent.journal.front import ROOM, Front, Gathered, find_gathered, read_front
from edge_agent.model.frame import frames_equal
from tests.unit.journal import material
from tests.unit.journal.card import Card, Luck, mounted
from tests.unit.journal.lives import STORE
from tests.unit.journal.material import NOON, SECOND, balanced, frame, open_journal, table

ANSWER = Answer()
TAGS = table(2)
FILE = STORE / "front"
FIRST = 512
SETTLED = 5
COUNTS = (3, 1, 4, 2, 6, 3)
"""Rows of each append in the front; more stood there before, of which remains are left behind these."""


@dataclass
class Whole:
    """A store as a kill leaves it, with such a front."""

    mount: object
    card: Card
    data: bytes
    entries: list[tuple[int, int, range]]
    """Offset, end and rows."""

    def with_front(self, data):
        """A card like this one, with another front in it."""
        card = self.card.still().after_power_cut(Luck())
        card.find(FILE).data[:] = data
        return card

    def flipped(self, bit):
        data = bytearray(self.data)
        data[bit >> 3] ^= 1 << (bit & 7)
        return bytes(data)

    def expected(self, is_hurt):
        """The rows that come."""
        kept = [rows for start, end, rows in self.entries if not is_hurt(start, end)]
        return [*range(SETTLED), *(row for rows in kept for row in rows)]


@pytest.fixture(scope="module")
def whole():
    with mounted() as mount, pytest.MonkeyPatch.context() as patch:
        for room, name in ((recovery, "unpack_table"), (opening, "unpack_table"), (material, "section")):
            patch.setattr(room, name, lru_cache(getattr(room, name)))
        journal = open_journal(STORE, tags=TAGS)
        journal.append(frame(0, 4, 2))
        journal.append(frame(4, 1, 2))
        journal.sync()
        at = SETTLED
        for count in COUNTS:
            journal.append(frame(at, count, 2))
            at += count
        card = mount.card.still().after_power_cut(Luck())
        data = bytes(card.find(FILE).data)
        yield Whole(mount, card, data, entries_of(data))


def entries_of(data):
    """Where they are, said by what stands between them."""
    out, at, row = [], FIRST, SETTLED
    for count in COUNTS:
        length = int.from_bytes(data[at + 8 : at + 12], "little")
        assert data[at : at + 4] == b"EAFE"
        assert int.from_bytes(data[at + 12 : at + 16], "little") == count
        out.append((at, at + 40 + length, range(row, row + count)))
        at, row = out[-1][1], row + count
    return out


def delivered(whole, data):
    """Rows in the order in which they came, the ledger after it, and the report of opening."""
    whole.mount.insert(whole.with_front(data))
    journal = open_journal(STORE, tags=TAGS)
    assert journal.writable
    cursor = journal.cursor("hub")
    rows: list[int] = []
    while (batch := cursor.read(100_000)) is not None:
        numbers = material.numbers(batch.frame)
        assert ((batch.frame.time - NOON) // SECOND).tolist() == numbers
        assert batch.frame.tag.tolist() == [number % 2 for number in numbers]
        rows += numbers
        cursor.advance(batch, ANSWER)
    ledger = cursor.ledger()
    assert balanced(ledger)
    assert ledger.waiting == 0
    last = journal.view.rows
    journal.append(frame(last, 3, 2))
    journal.sync()
    assert material.drain(cursor) == [last, last + 1, last + 2]
    return rows, ledger, journal.report


def check_flips(whole, bits):
    end = whole.entries[-1][1]
    for bit in bits:
        byte = bit >> 3
        rows, ledger, report = delivered(whole, whole.flipped(bit))
        expected = whole.expected(lambda start, end, byte=byte: start <= byte < end)
        assert rows == expected, f"bit {bit}"
        assert ledger.collected == rows[-1] + 1, f"bit {bit}: rows before one that is there are known"
        missing = ledger.collected - len(rows)
        assert ledger.dropped == ({"damaged": missing} if missing else {}), f"bit {bit}"
        assert sum(damage.rows for damage in report.damaged) == missing, f"bit {bit}"
        uncounted = SETTLED + sum(COUNTS) - ledger.collected
        assert uncounted == 0 or whole.entries[-1][0] <= byte < end, f"bit {bit}"
        is_count = byte in range(whole.entries[-1][0] + 12, whole.entries[-1][0] + 16)
        assert report.torn_rows in (0, uncounted) or is_count, f"bit {bit}"


def check_cuts(whole, cuts):
    for cut in cuts:
        for data in (whole.data[:cut], whole.data[:cut] + bytes(ROOM - cut)):
            rows, ledger, _ = delivered(whole, data)
            expected = whole.expected(lambda start, end, cut=cut: end > cut)
            assert rows == expected, cut
            assert ledger.dropped == {}, cut
            assert ledger.collected == len(rows), cut


@dataclass
class Full:
    """A front with hardly any room left, alone."""

    data: bytes
    entries: list[tuple[int, int, Gathered]]
    """Offset, end and contents."""

    def found(self, data, number):
        """What is found of an entry and the one after it, whoever stands before and behind."""
        start, _, gathered = self.entries[number]
        end = self.entries[number + 1][1] if number + 1 < len(self.entries) else self.entries[number][1]
        part = bytes(FIRST) + data[start:end] + bytes(4)
        return find_gathered(part, "digest", gathered.sequence, gathered.rows_before)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    path = tmp_path_factory.mktemp("front") / "front"
    front, entries, row = Front(path), [], 7
    while front.put(Gathered(len(entries), row, NOON, frame(row, 60)), "digest"):
        entries.append(Gathered(len(entries), row, NOON, frame(row, 60)))
        row += 60
    front.close()
    data, starts = read_front(path), []
    at = data.find(b"EAFE")
    while at >= 0:
        starts.append(at)
        at = data.find(b"EAFE", at + 1)
    assert len(starts) == len(entries)
    ends = [*starts[1:], len(data.rstrip(b"\0"))]
    assert ends[-1] > ROOM - 2000
    return Full(data, list(zip(starts, ends, entries, strict=True)))


def check_found(full, number, bits):
    """Each of these bits of an entry: it alone is missing, and the one behind it says how many rows."""
    data = bytearray(full.data)
    for bit in bits:
        data[bit >> 3] ^= 1 << (bit & 7)
        found = full.found(data, number)
        data[bit >> 3] ^= 1 << (bit & 7)
        if number + 1 == len(full.entries):
            assert found.gathered == [], f"bit {bit}"
            continue
        (one,), (hole,) = found.gathered, found.holes
        expected = full.entries[number + 1][2]
        assert (one.sequence, one.rows_before, hole.rows) == (expected.sequence, expected.rows_before, 60), f"bit {bit}"
        assert frames_equal(one.frame, expected.frame), f"bit {bit}"


def places(whole):
    """All bits of the mark and of the entries with what ends them, and a few of all the rest."""
    return [*range(8 * 48), *range(8 * FIRST, 8 * (whole.entries[-1][1] + 4))]


@pytest.mark.timeout(180)
def test_bits_of_a_front_flipped_here_and_there_cost_at_most_one_append(whole):
    chance = random.Random(8)
    heads = [bit for start, _, _ in whole.entries for bit in range(8 * start, 8 * (start + 40))]
    check_flips(whole, [*chance.sample(places(whole), 70), *chance.sample(heads, 50)])
    check_flips(whole, chance.sample(range(8 * len(whole.data)), 5))


@pytest.mark.timeout(180)
def test_cuts_of_a_front_here_and_there_leave_what_was_whole(whole):
    chance = random.Random(9)
    check_cuts(whole, [*chance.sample(range(FIRST, whole.entries[-1][1] + 4), 30), *chance.sample(range(ROOM), 3), 0])


@pytest.mark.timeout(180)
def test_bits_of_a_full_front_flipped_here_and_there_cost_one_append(full):
    chance = random.Random(10)
    for number, (start, end, _) in enumerate(full.entries):
        check_found(full, number, chance.sample(range(8 * start, 8 * end), 20))


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_bit_of_a_front_flipped_costs_at_most_one_append(whole):
    check_flips(whole, places(whole))


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_cut_of_a_front_leaves_what_was_whole(whole, full):
    check_cuts(whole, range(FIRST, whole.entries[-1][1] + 4))
    for number, (start, end, _) in enumerate(full.entries):
        for cut in range(start, end):
            found = full.found(full.data[:cut], number)
            assert (found.gathered, found.holes) == ([], []), cut


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_every_bit_of_a_full_front_flipped_costs_one_append(full):
    for number, (start, end, _) in enumerate(full.entries):
        check_found(full, number, range(8 * start, 8 * end))
