"""Memory that the agent no longer needs, given back.

LLVM is needed while kernels are loaded and never again: its pages (70 MB touched) are dropped from this process.
They are clean pages of a file, so a later need reads them back; nothing is lost. Reading a large configuration leaves
the C heap full of holes; what can be returned is returned.
"""

import ctypes
import gc
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread

MADV_DONTNEED: Final = 4
M_ARENA_MAX: Final = -8
SETTLED_S: Final = 10.0
"""Links, kernels and sinks have been loaded this long after the start, as a rule."""
AGAIN_S: Final = 600.0
PACKED_FROM: Final = 256 << 10
"""Bytes of a pickle from which packing is worth its time."""
_Thing = TypeVar("_Thing")


def packed(make: Callable[[], _Thing]) -> _Thing:
    """What `make` gives, in memory of its own without holes.

    A large configuration lies scattered among what was needed only to read it, and Python returns an arena only when
    nothing in it is in use: for 10,000 tags 18 MB stay. So it is pickled, freed, and unpickled (0.4 s of CPU).
    """
    thing = make()
    data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
    if len(data) < PACKED_FROM:
        return thing
    del thing
    gc.collect()
    again: _Thing = pickle.loads(data)  # noqa: S301 - our own bytes, made three lines above
    return again


def few_arenas() -> None:
    """Lets all threads share two arenas of the C heap, from now on: call it before there are threads.

    By default each worker thread gets one of its own, and each of them keeps the largest that it ever held: at 10,000
    tags and 10 Hz that is 40 MB and more of nothing. glibc's mallopt(3); other C libraries have no arenas.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_ARENA_MAX, 2)


def give_back(maps: Path = Path("/proc/self/smaps")) -> int:
    """Drops LLVM's pages and trims the heap; gives the number of bytes that were mapped of what was dropped."""
    libc = ctypes.CDLL(None)
    dropped = 0
    for start, end in _clean(maps.read_text(), "libllvmlite"):
        if libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED) == 0:
            dropped += end - start
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(ctypes.c_size_t(0))
    return dropped


def _clean(maps: str, library: str) -> Iterator[tuple[int, int]]:
    """Where pages of a library are as in its file: not writable, and none was ever written (relocations are).

    proc_pid_smaps(5): a mapping's line, `start-end rights …`, and below it among others `Anonymous: 0 kB`.
    """
    place = None
    for line in maps.splitlines():
        first, _, rest = line.partition(" ")
        if not first.endswith(":"):
            ours = library in rest and rest[1] == "-"
            place = [int(part, 16) for part in first.split("-")] if ours else None
        elif place is not None and first == "Anonymous:" and rest.split() == ["0", "kB"]:
            yield place[0], place[1]


async def keep_small() -> None:
    """Gives memory back once the start is over, and now and then, until cancelled."""
    await anyio.sleep(SETTLED_S)
    while True:
        with suppress(OSError):  # no /proc here: nothing to find, and nothing lost
            await anyio.to_thread.run_sync(give_back)
        await anyio.sleep(AGAIN_S)
