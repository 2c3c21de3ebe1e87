"""The model of a card keeps its own rules: what may come through after a power cut, and what must."""

import os
import random

import pytest

from tests.unit.journal.card import ROOT, SECTOR, BadLuck, Card, Chance, ContentsOnly, Luck, NamesOnly, mounted


@pytest.fixture
def mount():
    with mounted() as mount:
        yield mount


def put(path, data, *, sync=False):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, data, 0)
    if sync:
        os.fdatasync(fd)
    os.close(fd)


def sync_names(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def after(mount, luck):
    return mount.card.still().after_power_cut(luck).contents()


def any_after(mount, count=400):
    chance = random.Random(3)
    still = mount.card.still()
    return [still.after_power_cut(Chance(chance)).contents() for _ in range(count)]


def test_what_is_synced_stays_and_what_is_not_may_go(mount):
    put(ROOT / "a", b"x" * 1000, sync=True)
    assert after(mount, BadLuck()) == {}, "contents are durable, the name is not"
    sync_names(ROOT)
    put(ROOT / "b", b"y" * 1000)
    assert after(mount, BadLuck()) == {"/a": b"x" * 1000}
    assert after(mount, Luck()) == {"/a": b"x" * 1000, "/b": b"y" * 1000}
    assert after(mount, NamesOnly()) == {"/a": b"x" * 1000, "/b": bytes(1000)}
    assert after(mount, ContentsOnly()) == {"/a": b"x" * 1000}
    assert mount.card.contents() == after(mount, Luck())


def test_sectors_come_through_apart_torn_and_as_noise_within_what_was_written(mount):
    put(ROOT / "a", b"-" * 4 * SECTOR, sync=True)
    sync_names(ROOT)
    fd = os.open(ROOT / "a", os.O_RDWR)
    os.pwrite(fd, b"+" * (2 * SECTOR), SECTOR // 2)
    seen = [contents["/a"] for contents in any_after(mount)]
    edge = SECTOR // 2
    assert all(data[:edge] == b"-" * edge and data[5 * edge :] == b"-" * 3 * edge for data in seen), "beside the write"
    whole = {data for data in seen if set(data) <= set(b"-+")}
    assert any(data[edge:SECTOR] == b"-" * edge and data[SECTOR : SECTOR + 9] == b"+" * 9 for data in whole), "order"
    assert any(data[edge : edge + 9] != data[SECTOR - 9 : SECTOR] for data in whole), "torn"
    assert any(set(data) - set(b"-+") for data in seen), "noise"


def test_lengths_are_any_since_the_last_sync(mount):
    put(ROOT / "a", b"x" * 100, sync=True)
    sync_names(ROOT)
    fd = os.open(ROOT / "a", os.O_RDWR)
    os.posix_fallocate(fd, 0, 4096)
    os.ftruncate(fd, 50)
    assert {len(contents["/a"]) for contents in any_after(mount)} == {100, 4096, 50}
    os.fdatasync(fd)
    assert {len(contents["/a"]) for contents in any_after(mount)} == {50}


def test_names_come_through_in_any_order_but_each_in_its_own(mount):
    put(ROOT / "old", b"1", sync=True)
    sync_names(ROOT)
    put(ROOT / "new", b"2", sync=True)
    (ROOT / "new").rename(ROOT / "named")
    (ROOT / "old").unlink()
    seen = {frozenset(contents) for contents in any_after(mount)}
    assert {frozenset(), frozenset({"/named"}), frozenset({"/old", "/new"}), frozenset({"/old", "/named"})} <= seen
    assert not [names for names in seen if {"/new", "/named"} <= names], "a rename is one step"
    sync_names(ROOT)
    assert set(after(mount, BadLuck())) == {"/named"}


def test_a_folder_that_is_not_durable_takes_all_in_it_along(mount):
    (ROOT / "d").mkdir()
    put(ROOT / "d" / "a", b"1", sync=True)
    sync_names(ROOT / "d")
    assert after(mount, BadLuck()) == {}
    sync_names(ROOT)
    assert after(mount, BadLuck()) == {"/d": None, "/d/a": b"1"}


def test_the_rest_of_the_machine_is_not_touched(mount, tmp_path):
    (tmp_path / "real").write_bytes(b"here")
    assert (tmp_path / "real").read_bytes() == b"here"
    assert [path.name for path in tmp_path.iterdir()] == ["real"]
    with pytest.raises(AssertionError, match="past"):
        (ROOT / "a").write_bytes(b"")
    assert mount.card.contents() == Card().contents()
