"""Names of unix sockets: the kernel takes 107 bytes, a state folder may well lie deeper."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LONGEST: Final = 107


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name for the socket at `path` that bind and connect take, good inside the block: its folder by descriptor."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
