"""Where numba keeps compiled kernels: set before numba is first imported, since it reads the variable once."""

import os
from contextlib import suppress
from pathlib import Path


def place_kernel_cache() -> Path:
    """Sets NUMBA_CACHE_DIR unless it is set: systemd's cache folder, else the user's; gives the folder, swept."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder:
        base = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
        user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - works without HOME too
        folder = os.environ["NUMBA_CACHE_DIR"] = f"{base or user + '/edge-agent'}/kernels"
    _sweep(Path(folder))
    return Path(folder)


def _sweep(folder: Path) -> None:
    """Removes what a power cut left half written: numba stumbles over it at every start, and else compiles it anew."""
    for file in folder.rglob("*.nb[ci]"):
        with suppress(OSError):
            if not _is_whole(file):
                file.unlink()


def _is_whole(file: Path) -> bool:
    """Numba's files are pickles, which have a first and a last byte that no other end of a write leaves behind."""
    with file.open("rb") as content:
        first = content.read(1)
        content.seek(max(0, file.stat().st_size - 1))
        return (first, content.read(1)) == (b"\x80", b".")
