"""Table: columns of cells with a name each, a piece at a time, from a file that somebody else wrote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

CELLS: Final = 400_000
"""Of a piece, about."""
Cells = Sequence[Any] | npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows. `line` is the number of the first one in the file, `done` the part of the file that is read then."""

    line: int
    columns: Sequence[Cells]
    done: float
    lines: Sequence[int] | None = None
    """The number of each row, where they don't follow each other."""

    def line_of(self, row: int) -> int:
        """The line of a row of this piece."""
        return self.line + row if self.lines is None else self.lines[row]


class Table(Protocol):
    """May be read more than once."""

    @property
    def name(self) -> str:
        """The file, for people."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names as they stand there."""
        ...

    @property
    def units(self) -> tuple[str, ...]:
        """A unit for each column, empty where the file gives none."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """All rows in the file's order. Raises SourceError with file and line."""
        ...


def place_of(table: Table, line: int) -> str:
    """`file.csv:12`."""
    return f"{table.name}:{line}"


def is_empty(cell: Any) -> bool:
    """Whether a cell says nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and np.isnan(cell))
