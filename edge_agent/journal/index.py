"""Index: where the chunks of a segment are and what their heads say, as columns, found in one pass over the file."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from isal.isal_zlib import crc32

from edge_agent.journal import disk
from edge_agent.journal.chunk import HEAD_BYTES, HEAD_CHECKED, HEAD_DTYPE, MAGIC, MAX_PAYLOAD
from edge_agent.journal.segment import Segment
from edge_agent.journal.walk import Piece, walk
from edge_agent.model.frame import Int64

_CHAIN: Final = struct.Struct("<4sI4xI4xQ")
"""Of a head (edge_agent/journal/chunk.py) magic, crc, payload length and sequence."""
WINDOW: Final = 1 << 22
"""Bytes read at a time; a chunk that is longer is read alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """The chunks whose head checks, in order; nothing is said of their payloads."""

    offsets: Int64
    heads: npt.NDArray[Any]
    """HEAD_DTYPE."""
    holes: int
    """Stretches in which no head checks."""
    missing: int
    """Rows that were in the holes, from the row numbers around them."""

    @property
    def ends(self) -> Int64:
        """Offsets after each chunk."""
        return self.offsets + HEAD_BYTES + self.heads["payload_bytes"].astype(np.int64)

    def windows(self, places: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
        """`places`, ascending, in runs that one read of about WINDOW bytes covers each."""
        starts, ends = self.offsets[places], self.ends[places]
        at = 0
        while at < len(places):
            upto = max(at + 1, int(np.searchsorted(ends, starts[at] + WINDOW, "right")))
            yield places[at:upto]
            at = upto


def read_index(fd: int, segment: Segment, *, growing: bool) -> Index:
    """The index of an open segment. `growing`: what does not check at its end is not a hole, but not there yet.

    Raises OSError.
    """
    end = os.fstat(fd).st_size
    at, sequence = segment.body, segment.header.sequence
    offsets: list[int] = []
    heads: list[bytes] = []
    holes: list[Piece] = []
    while at < end:
        at, sequence = _take_heads(fd, segment.number, (at, end, sequence), offsets, heads)
        hole = next(walk(partial(_read, fd), segment.number, at, end, sequence, verify=False), None)
        if hole is None:
            break
        at = hole.offset + hole.size
        holes.append(hole)
    if growing and holes and (not offsets or holes[-1].offset > offsets[-1]):
        holes.pop()
    columns = np.frombuffer(b"".join(heads), HEAD_DTYPE)
    return Index(np.array(offsets, np.int64), columns, len(holes), _missing(segment, columns) if holes else 0)


def _take_heads(
    fd: int, segment: int, where: tuple[int, int, int], offsets: list[int], heads: list[bytes]
) -> tuple[int, int]:
    """Appends heads that check, one after the other; offset and least sequence number of what comes after them.

    `where`: offset, end of the file, least sequence number. This loop is what a long reading waits for.
    """
    at, end, sequence = where
    salt, unpack = segment & 0xFFFF_FFFF, _CHAIN.unpack_from
    while at + HEAD_BYTES <= end:
        data = disk.read(fd, min(WINDOW, end - at), at)
        base, stop = at, len(data) - HEAD_BYTES
        place = 0
        while place <= stop:
            magic, check, size, number = unpack(data, place)
            after = place + HEAD_BYTES + size
            head = data[place : place + HEAD_BYTES]
            if (
                magic != MAGIC
                or number < sequence
                or size > MAX_PAYLOAD
                or base + after > end
                or crc32(head[HEAD_CHECKED:], salt) != check
            ):
                return base + place, sequence
            offsets.append(base + place)
            heads.append(head)
            place, sequence = after, number + 1
        at = base + place
        if len(data) < HEAD_BYTES:
            break
    return at, sequence


def _missing(segment: Segment, heads: npt.NDArray[Any]) -> int:
    """Rows whose numbers no chunk has, before the last chunk."""
    if not len(heads):
        return 0
    held = int(heads["rows"].sum())
    return max(0, int(heads["rows_before"][-1]) + int(heads["rows"][-1]) - segment.header.rows - held)


def _read(fd: int, at: int, size: int) -> bytes:
    return disk.read(fd, size, at)
