"""Whatever the disk did to the files: opening succeeds, at most one chunk is gone, and the ledger says so."""

import json
import shutil

import numpy as np
import pytest

from edge_agent.api import Answer
from edge_agent.journal.chunk import HEAD_BYTES
from edge_agent.journal.segment import read_segment
from edge_agent.journal.walk import walk
from edge_agent.model import Frame, Kind
from tests.unit.journal.material import TABLE, balanced, crash, drain, event, frame, open_journal, segment_files, table

pytestmark = pytest.mark.usefixtures("straight")


def rows_of(start, rows):
    return list(range(start, start + rows))


def pieces(path):
    """(offset, size, head) of every chunk in a segment."""
    data, segment = path.read_bytes(), read_segment(path)
    read = lambda at, size: data[at : at + size]  # noqa: E731  # a name for a slice
    return list(walk(read, segment.number, segment.body, len(data), 0, verify=True))


def filled(path, chunks=5, rows=6, tags=TABLE, close=True):
    """A journal of `chunks` chunks of `rows` rows, left in order or as a kill would leave it."""
    journal = open_journal(path / "whole", tags=tags)
    for number in range(chunks):
        journal.append(frame(number * rows, rows, len(tags)))
    if close:
        journal.close()
        return path / "whole"
    return crash(path / "whole", path / "killed")


def cut_zeros(path):
    """The bytes of a segment without the preallocated rest."""
    end = pieces(path)[-1]
    return path.read_bytes()[: end.offset + end.size]


def test_a_tail_torn_at_every_byte_is_cut_and_counted(memory_path):
    path = filled(memory_path, close=False)
    segment = segment_files(path)[0]
    last = pieces(segment)[-1]
    data = segment.read_bytes()
    end = len(data.rstrip(b"\0"))  # after this byte only zeros are missing, and zeros are there already
    for cut in range(last.offset, end):
        torn = data[:cut] + bytes(len(data) - cut)
        segment.write_bytes(torn)
        journal = open_journal(path)
        legible = cut - last.offset >= HEAD_BYTES
        written = len(torn[last.offset : cut].rstrip(b"\0"))
        assert journal.report.torn_bytes == (last.size if legible else written), cut
        assert journal.report.torn_rows == (6 if legible else 0)
        assert not journal.report.damaged
        journal.append(frame(24, 6))
        journal.close()
        journal = open_journal(path)
        assert journal.report.clean
        assert drain(journal.cursor("hub")) == rows_of(0, 30)
        assert balanced(journal.ledgers()[0])
        journal.close()
        (path / "cursors" / "hub.cursor").unlink()
        (path / "front").unlink()  # it knows of the life that this test takes back


def test_a_file_cut_short_at_every_byte_opens(memory_path):
    path = filled(memory_path, chunks=2, close=False)
    segment = segment_files(path)[0]
    data = cut_zeros(segment)
    body = read_segment(segment).body
    for cut in range(len(data)):
        if cut < body and cut % 50:
            continue
        segment.write_bytes(data[:cut])
        journal = open_journal(path)
        rows = drain(journal.cursor(f"at_{cut}"))
        assert rows in ([], rows_of(0, 6), rows_of(0, 12)), cut
        assert balanced(journal.ledgers()[0])
        journal.close()
        for each in (*segment_files(path), *path.glob("damaged/*"), *path.glob("cursors/*"), path / "front"):
            each.unlink()


def flip(data, bit):
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return flipped


def check_flip(path, segment, data, bit, rows, chunk_rows):
    """At most one chunk is gone, the rest is delivered, and what is gone is counted."""
    segment.write_bytes(flip(data, bit))
    journal = open_journal(path)
    cursor = journal.cursor("hub")
    got = drain(cursor, 10_000)
    ledger = cursor.ledger()
    assert balanced(ledger), bit
    assert ledger.waiting == 0
    missing = sorted(set(rows) - set(got))
    assert got == [row for row in rows if row not in missing], bit
    assert len(missing) in (0, chunk_rows), bit
    assert not missing or missing == rows_of(missing[0], chunk_rows)
    assert ledger.dropped.get("damaged", 0) == len(missing), bit
    journal.append(frame(9000, 3))
    assert drain(cursor) == [9000, 9001, 9002], bit
    journal.close()


def flips_of(memory_path, chunks, rows, step, tags):
    path = filled(memory_path, chunks, rows, tags=tags)
    segment = segment_files(path)[0]
    data, front = cut_zeros(segment), (path / "front").read_bytes()
    for bit in range(0, len(data) * 8, step):
        check_flip(path, segment, data, bit, rows_of(0, chunks * rows), rows)
        for each in (*segment_files(path), *path.glob("damaged/*"), *path.glob("cursors/*")):
            if each != segment:
                each.unlink()
        (path / "front").write_bytes(front)
    return len(data)


def test_one_flipped_bit_in_a_small_segment_costs_at_most_one_chunk(memory_path):
    tags = table(2)
    size = flips_of(memory_path, 3, 6, 13, tags)  # prime to 8: every second byte, and every bit position in turn
    assert size < 4096


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_flipped_bit_in_a_segment_costs_at_most_one_chunk(memory_path):
    assert flips_of(memory_path, 12, 40, 1, table(8)) > 3000


def test_damage_in_the_middle_is_set_aside_with_rows_and_times(tmp_path):
    path = filled(tmp_path)
    segment = segment_files(path)[0]
    victim = pieces(segment)[2]
    data = bytearray(segment.read_bytes())
    data[victim.offset + HEAD_BYTES + 3] ^= 0x10
    segment.write_bytes(data)
    journal = open_journal(path)
    (damage,) = journal.report.damaged
    assert (damage.rows, damage.offset, damage.size) == (6, victim.offset, victim.size)
    assert (damage.first, damage.last) == (victim.head.first, victim.head.last)
    kept = path / "damaged" / f"{damage.segment:012d}-{damage.offset}.json"
    assert json.loads(kept.read_text())["rows"] == 6
    assert kept.with_suffix(".bytes").read_bytes() == data[victim.offset : victim.offset + victim.size]
    (notice,) = journal.notices()
    assert notice.evidence["rows"] == 6
    assert notice.path == "busan"
    assert drain(journal.cursor("hub")) == [*rows_of(0, 6), *rows_of(12, 18)]
    assert journal.ledger("hub").dropped == {"damaged": 6}
    journal.close()
    again = open_journal(path)
    assert again.notices() == [], "told once"


@pytest.mark.parametrize("first", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_chunks_that_a_power_cut_left_as_zeros_are_counted(tmp_path, first, count):
    path = filled(tmp_path, chunks=7, close=False)
    segment = segment_files(path)[0]
    chunks = pieces(segment)[1:]  # after the mark of the start
    data = bytearray(segment.read_bytes())
    for chunk in chunks[first : first + count]:
        data[chunk.offset : chunk.offset + chunk.size] = bytes(chunk.size)
    segment.write_bytes(data)
    journal = open_journal(path)
    assert [damage.rows for damage in journal.report.damaged] == [6 * count]
    cursor = journal.cursor("hub")
    assert drain(cursor) == [*rows_of(0, 6 * first), *range(6 * (first + count), 42)]
    assert cursor.ledger().dropped == {"damaged": 6 * count}
    assert balanced(cursor.ledger())


def test_bytes_of_an_old_chunk_inside_a_damaged_one_are_not_taken_for_it(tmp_path):
    journal = open_journal(tmp_path)
    journal.append(frame(0, 1))
    segment = segment_files(tmp_path)[0]
    old = pieces(segment)[1]
    data = segment.read_bytes()[old.offset : old.offset + old.size]
    bits = np.frombuffer(data + bytes(-len(data) % 8), np.uint64)
    rows = np.arange(len(bits))
    kind = np.full(len(bits), Kind.UINT64, np.uint8)
    zeros = np.zeros(len(bits))
    journal.append(Frame(rows, rows, rows, bits, kind, zeros.astype(np.uint32), zeros.astype(np.uint16)))
    journal.append(frame(1, 6))
    journal.close()
    outer = pieces(segment)[2]
    whole = bytearray(segment.read_bytes())
    assert whole.find(data, outer.offset) > 0, "the old chunk is inside, byte for byte"
    whole[outer.offset + 8] ^= 1
    segment.write_bytes(whole)
    journal = open_journal(tmp_path)
    assert [damage.rows for damage in journal.report.damaged] == [len(bits)]
    assert drain(journal.cursor("hub")) == rows_of(0, 7)
    assert journal.ledger("hub").dropped == {"damaged": len(bits)}


def test_damage_counts_only_for_cursors_that_had_not_passed_it(tmp_path):
    journal = open_journal(tmp_path / "a")
    ahead, behind = journal.cursor("ahead"), journal.cursor("behind")
    for start in range(0, 30, 6):
        journal.append(frame(start, 6))
    ahead.advance(ahead.read(15), Answer())  # in the middle of the third chunk
    behind.advance(behind.read(3), Answer())
    journal.close()
    segment = segment_files(tmp_path / "a")[0]
    data = bytearray(segment.read_bytes())
    for victim in (pieces(segment)[1], pieces(segment)[3]):
        data[victim.offset + 1] ^= 1
    segment.write_bytes(data)
    journal = open_journal(tmp_path / "a")
    ahead, behind = journal.cursor("ahead"), journal.cursor("behind")
    assert drain(ahead) == rows_of(18, 12)
    assert drain(behind) == [*rows_of(6, 6), *rows_of(18, 12)]
    assert ahead.ledger().dropped == {"damaged": 3}
    assert behind.ledger().dropped == {"damaged": 9}
    assert all(balanced(ledger) for ledger in journal.ledgers())


def test_damage_in_an_older_segment_is_found_when_it_is_read(tmp_path):
    journal = open_journal(tmp_path / "a", segment="4KiB", total="1MiB")
    for start in range(0, 3000, 6):
        journal.append(frame(start, 6))
    journal.close()
    files = segment_files(tmp_path / "a")
    assert len(files) > 4
    whole, headless, first = (pieces(files[i]) for i in (1, 2, 3))
    for file, offset in (
        (files[1], whole[3].offset + HEAD_BYTES),
        (files[2], headless[-1].offset + 9),
        (files[3], first[0].offset + 20),
    ):
        data = bytearray(file.read_bytes())
        data[offset] ^= 4
        file.write_bytes(data)
    journal = open_journal(tmp_path / "a", segment="4KiB", total="1MiB")
    cursor = journal.cursor("hub")
    assert len(drain(cursor)) == 3000 - 18
    assert cursor.ledger().dropped == {"damaged": 18}
    assert balanced(cursor.ledger())
    assert [notice.evidence["rows"] for notice in journal.notices()] == [6, 6, 6]


def test_a_segment_without_any_header_is_set_aside_and_counted(tmp_path):
    journal = open_journal(tmp_path, segment="4KiB", total="1MiB")
    for start in range(0, 3000, 6):
        journal.append(frame(start, 6))
    journal.close()
    victim = segment_files(tmp_path)[2]
    first, following = (read_segment(segment_files(tmp_path)[i]).header.rows for i in (2, 3))
    victim.write_bytes(bytes(4096))
    journal = open_journal(tmp_path, segment="4KiB", total="1MiB")
    assert journal.report.set_aside == (victim.name,)
    assert list((tmp_path / "damaged").iterdir())
    cursor = journal.cursor("hub")
    assert drain(cursor) == [*range(first), *range(following, 3000)]
    assert cursor.ledger().dropped == {"damaged": following - first}
    assert balanced(cursor.ledger())


def test_the_last_segment_gone_uses_no_number_twice(tmp_path):
    journal = open_journal(tmp_path, segment="4KiB", total="1MiB")
    ahead, behind = journal.cursor("ahead"), journal.cursor("behind")
    for start in range(0, 600, 6):
        journal.append(frame(start, 6))
    assert drain(ahead) == rows_of(0, 600)
    journal.close()
    gone = read_segment(segment_files(tmp_path)[-1]).header.rows
    segment_files(tmp_path)[-1].unlink()
    journal = open_journal(tmp_path, segment="4KiB", total="1MiB")
    assert journal.report.missing_rows == 600 - gone
    journal.append(frame(600, 6))
    ahead, behind = journal.cursor("ahead"), journal.cursor("behind")
    assert drain(ahead) == rows_of(600, 6)
    assert drain(behind) == [*rows_of(0, gone), *rows_of(600, 6)]
    assert behind.ledger().dropped == {"damaged": 600 - gone}
    assert all(balanced(ledger) for ledger in journal.ledgers())


def test_all_segments_gone_is_a_new_beginning_after_the_cursors(tmp_path):
    path = filled(tmp_path)
    journal = open_journal(path)
    assert drain(journal.cursor("hub")) == rows_of(0, 30)
    journal.close()
    for segment in segment_files(path):
        segment.unlink()
    journal = open_journal(path)
    journal.append(frame(30))
    assert drain(journal.cursor("hub")) == rows_of(30, 4)
    assert balanced(journal.ledger("hub"))


def test_either_copy_of_the_header_will_do(tmp_path):
    path = filled(tmp_path)
    segment = segment_files(path)[0]
    data, size = segment.read_bytes(), read_segment(segment).body
    for offset in (0, size // 2):
        segment.write_bytes(data[:offset] + bytes(size // 2) + data[offset + size // 2 :])
        journal = open_journal(path, tags=table(3))
        batch = journal.cursor("hub").read(100)
        assert list(batch.tags) == list(TABLE)
        assert len(batch.frame) == 30
        journal.close()
        segment_files(path)[1].unlink()


def test_events_survive_damage_before_them(tmp_path):
    journal = open_journal(tmp_path)
    journal.append(frame(0, 6), [event("a")])
    journal.append(frame(6, 6), [event("b")])
    journal.close()
    segment = segment_files(tmp_path)[0]
    data = bytearray(segment.read_bytes())
    data[pieces(segment)[1].offset + 2] ^= 1
    segment.write_bytes(data)
    journal = open_journal(tmp_path)
    batch = journal.cursor("hub").read(100)
    assert [each.id for each in batch.events] == ["a", "b"]
    assert len(batch.frame) == 6


def test_a_damaged_loss_chunk_leaves_the_count_if_not_the_reason(tmp_path):
    journal = open_journal(tmp_path)
    journal.cursor("hub")
    journal.lose("overflow", 7)
    journal.append(frame(0, 6))
    journal.close()
    segment = segment_files(tmp_path)[0]
    data = bytearray(segment.read_bytes())
    data[pieces(segment)[1].offset + HEAD_BYTES + 1] ^= 1
    segment.write_bytes(data)
    journal = open_journal(tmp_path)
    ledger = journal.ledger("hub")
    assert (ledger.collected, ledger.dropped) == (13, {"unknown": 7})
    assert balanced(ledger)


@pytest.mark.parametrize("what", ["file", "link"])
def test_a_store_that_is_no_directory_is_moved_aside(tmp_path, what):
    path = tmp_path / "journal"
    if what == "file":
        path.write_bytes(b"garbage")
    else:
        path.symlink_to(path)
    journal = open_journal(path)
    assert journal.writable
    assert journal.report.moved_aside == str(tmp_path / "journal.broken-1")
    journal.append(frame(0))
    assert drain(journal.cursor("hub")) == rows_of(0, 4)


def test_a_store_whose_lock_is_a_directory_is_moved_aside(tmp_path):
    path = filled(tmp_path)
    (path / "lock").unlink()
    (path / "lock").mkdir()
    journal = open_journal(path)
    assert journal.writable
    assert journal.report.moved_aside.endswith("whole.broken-1")
    journal.append(frame(0))
    assert len(list((tmp_path / "whole.broken-1").glob("*.segment"))) == 1


def test_a_directory_full_of_garbage_opens(tmp_path):
    (tmp_path / "damaged").write_text("not a directory")
    (tmp_path / "cursors").write_text("not a directory")
    (tmp_path / "000000000001.segment").mkdir()
    (tmp_path / "000000000002.segment").write_bytes(b"\xff" * 5000)
    (tmp_path / "000000000003.segment").write_bytes(b"")
    (tmp_path / "nonsense.segment").write_bytes(b"EAJRNL\r\n" * 100)
    (tmp_path / "000000000009.new").write_bytes(b"half")
    (tmp_path / "readme.txt").write_text("left here by someone")
    journal = open_journal(tmp_path)
    assert journal.writable
    assert len(journal.report.set_aside) == 4
    assert (tmp_path / "readme.txt").exists()
    journal.append(frame(0))
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.report.clean
    assert journal.report.set_aside == ()
    assert drain(journal.cursor("hub")) == rows_of(0, 4)


def test_a_renamed_segment_is_not_taken_for_another(tmp_path):
    path = filled(tmp_path)
    shutil.copy(segment_files(path)[0], path / "000000000007.segment")
    journal = open_journal(path)
    assert journal.report.set_aside == ("000000000007.segment",)
    assert drain(journal.cursor("hub")) == rows_of(0, 30)
