"""Going through the chunks of a segment, over damage if need be: used when opening, when reading, when verifying."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from edge_agent.journal.chunk import HEAD_BYTES, MAGIC, MAX_PAYLOAD, Head, is_sound, read_head

Read = Callable[[int, int], bytes]
"""(offset, size) -> bytes, fewer at the end of the file."""
_WINDOW: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a segment. `sound`: a chunk that checks, or was not asked to; else damage, perhaps with its head."""

    offset: int
    size: int
    head: Head | None
    sound: bool


def walk(read: Read, segment: int, start: int, end: int, sequence: int, *, verify: bool) -> Iterator[Piece]:
    """Pieces from `start` to `end`, without gaps, up to where only zeros are left or nothing.

    `sequence`: no chunk from `start` on can have a lower one; this keeps bytes that only look like a chunk from being
    taken for one. `verify` checks payloads too; without it only heads are read.
    """
    at, last = start, -1
    while at < end:
        head = _head_at(read, segment, at, end, sequence)
        if head is None:
            last = max(at, last) if last >= 0 else _last_byte(read, at, end)
            found = _next_head(read, segment, at + 1, (last, end), sequence)
            stop = last if found is None else found
            if stop > at:
                yield Piece(at, stop - at, None, sound=False)
            if found is None:
                return
            at = found
            continue
        sound = not verify or is_sound(head, read(at + HEAD_BYTES, head.payload_bytes), segment)
        yield Piece(at, head.size, head, sound)
        at, sequence = at + head.size, head.sequence + 1


def _head_at(read: Read, segment: int, at: int, end: int, sequence: int) -> Head | None:
    head = read_head(read(at, HEAD_BYTES), segment)
    if head is None or head.sequence < sequence or head.payload_bytes > MAX_PAYLOAD or at + head.size > end:
        return None
    return head


def _next_head(read: Read, segment: int, start: int, ends: tuple[int, int], sequence: int) -> int | None:
    """Offset of the next head that checks. `ends`: of all but zeros, and of the file."""
    overlap = len(MAGIC) - 1
    last, end = ends
    for window in range(start, last, _WINDOW):
        data = read(window, min(_WINDOW + overlap, end - window))
        at = data.find(MAGIC)
        while at >= 0:
            if _head_at(read, segment, window + at, end, sequence) is not None:
                return window + at
            at = data.find(MAGIC, at + 1)
    return None


def _last_byte(read: Read, start: int, end: int) -> int:
    """Offset after the last byte that is not zero, or `start`. Looked for from the end: most of a segment that is
    being written is zeros, and comparing them is a hundred times faster than searching.
    """
    while end > start:
        window = max(start, end - _WINDOW)
        data = read(window, end - window)
        if data != bytes(len(data)):
            return window + len(data.rstrip(b"\0"))
        end = window
    return start
