"""A small file is replaced as a whole: the old one or the new one, never a half, and nothing is left beside it."""

import os
import stat
from pathlib import Path

import pytest

from edge_agent.replacement import replace


def test_file_and_folder_are_synced_and_nothing_is_left_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    path = tmp_path / "new" / "deep" / "file"
    for data in (b"first", b"second"):
        replace(path, data, 0o600)
        assert path.read_bytes() == data
    assert synced == [False, True] * 2, "the bytes before the name, the name before it counts"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_that_refuses_leaves_the_old_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace(path, b"old")

    def refused(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(OSError, match="No space"):
        replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
