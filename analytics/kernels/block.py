"""Block: rows grouped by tag, the form in which kernels take them.

A block is ragged: tag `tags[g]` owns rows `offsets[g]` to `offsets[g + 1]`, in the order they came. A tag comes at most
once in `tags`; the order of `tags` is free. Where each tag has at most one row, nothing is sorted or moved.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
_T = TypeVar("_T", bound=np.generic)
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Columns of `offsets[-1]` rows; time in ns since 1970 UTC, `code` as in `layout`.

    `order` says which row of the source each row is; None where the source's order was kept.
    """

    tags: Int64
    offsets: Int64
    time: Int64
    value: Float64
    code: Codes
    order: npt.NDArray[np.intp] | None

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of_rows(cls, tag: npt.NDArray[np.integer], time: Int64, value: Float64, code: Codes, tag_count: int) -> "Block":
        """Groups rows by tag, keeping the order within a tag. Every tag number is in [0, tag_count)."""
        rows = len(tag)
        if _unique(tag, tag_count):
            return cls(_wide(tag), np.arange(rows + 1), _own(time), _own(value), _own(code), None)
        order = None if bool((tag[1:] >= tag[:-1]).all()) else np.argsort(tag, kind="stable")
        if order is not None:
            tag, time, value, code = tag[order], time[order], value[order], code[order]
        starts = np.flatnonzero(np.concatenate([[True], tag[1:] != tag[:-1]]))
        return cls(_wide(tag[starts]), np.append(starts, rows), _own(time), _own(value), _own(code), order)


def _unique(tag: npt.NDArray[np.integer], tag_count: int) -> bool:
    if len(tag) < 2 or bool((tag[1:] > tag[:-1]).all()):
        return True
    return len(tag) <= tag_count and int(np.bincount(tag, minlength=1).max()) <= 1


def _wide(tag: npt.NDArray[np.integer]) -> Int64:
    return np.ascontiguousarray(tag, np.int64)


def _own(column: npt.NDArray[_T]) -> npt.NDArray[_T]:
    return np.ascontiguousarray(column)
