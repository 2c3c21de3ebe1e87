"""Replacement of a small file as a whole: a reader, and a start after a power cut, sees the old one or the new one.

A new file beside it, fsync, rename, fsync of the folder. Blocking: call it in a worker thread.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

_FOLDER_MODE: Final = 0o750


def replace(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Whole or not at all, also when the power goes, and for the owner of the folder above; raises OSError."""
    _make_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as out:
            os.fchmod(handle, mode)
            _give(handle, path.parent)
            out.write(data)
            out.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _make_folder(folder: Path) -> None:
    """Makes it and what is missing above it, each for the owner of the one above."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(_FOLDER_MODE, exist_ok=True)
    _give(folder, folder.parent)


def _give(what: int | Path, like: Path) -> None:
    """root's work belongs to whom the folder belongs to."""
    owner = like.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(what, owner.st_uid, owner.st_gid)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
