"""Sheet: chunks of one layout laid side by side, so that one numpy call reads a column of all of them."""

import threading
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import zstandard

from edge_agent.journal.zstd import decompress
from edge_agent.model.frame import Int64, UInt8, UInt64

MANY: Final = hasattr(zstandard.ZstdDecompressor, "multi_decompress_to_buffer")
"""Only zstandard's compiled backend has it; without it planes are unpacked one by one."""
_codecs = threading.local()


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """Which words of a vector: those at `places`, or all `count`."""

    places: npt.NDArray[np.intp] | None
    count: int

    @classmethod
    def all(cls, count: int) -> Self:
        """All of `count`."""
        return cls(None, count)

    @classmethod
    def at(cls, places: npt.NDArray[np.intp]) -> Self:
        """Those at `places`."""
        return cls(places, len(places))

    def of(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The picked ones of each row."""
        return rows if self.places is None else rows[:, self.places]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Numbers (chunks, numbers) and where each plane is (chunks, planes) in `data`."""

    data: memoryview
    numbers: UInt64
    starts: Int64
    lengths: Int64
    ends: Int64
    """Where the last plane of each chunk ends."""

    @property
    def chunks(self) -> int:
        """How many."""
        return len(self.numbers)

    def number(self, which: int) -> UInt64:
        """A number of each chunk (chunks, 1)."""
        return self.numbers[:, which : which + 1]

    def plane(self, which: int, size: int, pick: Pick) -> UInt8:
        """The picked bytes of a plane (chunks, picked) that has `size` bytes. Raises ValueError where it has not."""
        starts, lengths = self.starts[:, which], self.lengths[:, which]
        if len(starts) == 1:
            return pick.of(self._one(int(starts[0]), int(lengths[0]), size))
        packed = lengths != size
        if packed.all():
            return pick.of(self._many(starts, lengths, size))
        places = np.arange(size) if pick.places is None else pick.places
        out = np.empty((len(starts), len(places)), np.uint8)
        out[~packed] = np.frombuffer(self.data, np.uint8)[starts[~packed, None] + places]
        if packed.any():
            out[packed] = pick.of(self._many(starts[packed], lengths[packed], size))
        return out

    def _one(self, start: int, length: int, size: int) -> UInt8:
        plane: bytes | memoryview = self.data[start : start + length]
        if length != size:
            plane = decompress(plane)
        if len(plane) != size:
            raise ValueError("plane of a wrong length")
        return np.frombuffer(plane, np.uint8).reshape(1, size)

    def _many(self, starts: Int64, lengths: Int64, size: int) -> UInt8:
        if not MANY:
            return np.concatenate([self._one(*place, size) for place in zip(starts, lengths, strict=True)])
        where = np.ascontiguousarray(np.stack((starts, lengths), axis=1), np.uint64)
        if not hasattr(_codecs, "decompressor"):
            _codecs.decompressor = zstandard.ZstdDecompressor()
        try:
            planes = _codecs.decompressor.multi_decompress_to_buffer(
                zstandard.BufferWithSegments(self.data, where.tobytes()),
                decompressed_sizes=np.full(len(starts), size, np.uint64).tobytes(),
                threads=0,
            )
            return np.frombuffer(b"".join(planes), np.uint8).reshape(len(starts), size)
        except (zstandard.ZstdError, ValueError) as error:
            raise ValueError(str(error)) from error
