"""Columns to line protocol to gzip. Pure: no clock, no socket. Two engines, the same bytes.

`numba` (`kernel.py`) is for whoever runs detection and has numba in memory anyway; `python` is for the lite mode: about
four times the CPU, 100 MB less memory. `auto` is numba exactly if something else has already imported it.
"""

import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Literal, cast

import numpy as np
import numpy.typing as npt

from edge_agent.api import Kind, kernel_faults, places
from edge_agent.model.frame import Float64, Int32, Int64, UInt8, UInt64
from edge_agent.sinks.influxdb.schema import LineTable

Engine = Literal["auto", "numba", "python"]
Compressor = Callable[[], Any]

_WIDEST_NUMBER: Final = 24  # -1.2345678901234567e-300
_WIDEST_TIME: Final = 20
_GZIP: Final = 31


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Data rows in line order: sorted by time and machine, no tag twice at one time, values finite numbers.

    `time` counts in the precision of the request; `bits` and `kind` are as in a frame.
    """

    tag: Int32
    time: Int64
    bits: UInt64
    kind: UInt8

    def __len__(self) -> int:
        return len(self.tag)

    def part(self, which: slice | npt.NDArray[np.intp]) -> "Columns":
        """Some of the rows, still in line order."""
        return Columns(self.tag[which], self.time[which], self.bits[which], self.kind[which])


def line_starts(machine: Int32, time: Int64) -> npt.NDArray[np.intp]:
    """The first row of each line."""
    starts = np.ones(len(time), np.bool_)
    starts[1:] = (time[1:] != time[:-1]) | (machine[1:] != machine[:-1])
    return np.flatnonzero(starts)


class Encoder:
    """Writes lines, with the engine chosen. Keeps its buffer: what `lines` gives is valid until the next call."""

    def __init__(self, engine: Engine = "auto") -> None:
        """Imports nothing yet; `load` does."""
        self._engine = engine
        self._write_lines: Any = None
        self._out = np.empty(0, np.uint8)

    @property
    def wants_loading(self) -> bool:
        """Whether `load` has anything to do."""
        wanted = self._engine == "numba" or (self._engine == "auto" and "numba" in sys.modules)
        return wanted and self._write_lines is None

    def load(self) -> None:
        """Imports and, where the cache is cold, compiles the kernel (seconds), if this engine wants it.

        Where that fails (no place for the cache, a full disk), `auto` goes on in Python: the same bytes, more CPU.
        """
        if not self.wants_loading:
            return
        try:
            self._write_lines = import_module("edge_agent.sinks.influxdb.kernel").write_lines
        except kernel_faults():
            if self._engine != "auto":
                raise
            self._engine = "python"

    def lines(self, columns: Columns, table: LineTable, *, alone: bool = False) -> tuple[memoryview | bytes, int]:
        """The lines of these rows, and how many. With `alone` every row gets a line of its own."""
        if not len(columns):
            return b"", 0
        machine = table.machine[places(columns.tag)]
        starts = np.arange(len(columns)) if alone else line_starts(machine, columns.time)
        if self._write_lines is None:
            return write_lines_slowly(columns, machine, starts, table), len(starts)
        out = self._room(len(columns), len(starts), table)
        bits = np.ascontiguousarray(columns.bits)
        end = self._write_lines(
            np.ascontiguousarray(columns.tag),
            machine,
            np.ascontiguousarray(columns.time),
            bits,
            bits.view(np.float64),
            np.ascontiguousarray(columns.kind),
            table.heads.data,
            table.heads.at,
            table.keys.data,
            table.keys.at,
            alone,
            out,
        )
        return out[:end].data, len(starts)

    def _room(self, rows: int, lines: int, table: LineTable) -> UInt8:
        per_line = table.heads.longest + _WIDEST_TIME + 2
        need = lines * per_line + rows * (table.keys.longest + _WIDEST_NUMBER + 1) + 8
        if self._out.size < need:
            self._out = np.empty(need, np.uint8)
        return self._out


def write_lines_slowly(columns: Columns, machine: Int32, starts: npt.NDArray[np.intp], table: LineTable) -> bytes:
    """What the kernel writes, in Python."""
    heads, keys = table.heads.parts(), table.keys.parts()
    pairs = [keys[tag] + number for tag, number in zip(columns.tag.tolist(), numbers(columns), strict=True)]
    ends = [*starts[1:].tolist(), len(columns)]
    first = starts.tolist()
    return b"".join(
        b"%b%b %d\n" % (heads[m], b",".join(pairs[start:end]), time)
        for m, time, start, end in zip(
            machine[starts].tolist(), columns.time[starts].tolist(), first, ends, strict=True
        )
    )


def numbers(columns: Columns) -> list[bytes]:
    """Each value as the shortest decimal that reads back to the same bits; integers digit for digit."""
    kind = columns.kind
    if (kind == Kind.FLOAT64).all():
        return _floats(columns.bits.view(np.float64))
    out = np.empty(len(columns), object)
    for k in np.unique(kind):
        mask = kind == k
        out[mask] = _numbers_of_kind(Kind(int(k)), columns.bits[mask])
    return cast(list[bytes], out.tolist())


def _numbers_of_kind(kind: Kind, bits: UInt64) -> list[bytes]:
    match kind:
        case Kind.FLOAT64:
            return _floats(bits.view(np.float64))
        case Kind.FLOAT32:
            return _floats(_as_short_decimals(bits.view(np.float64)))
        case Kind.INT64:
            return [b"%d" % value for value in bits.view(np.int64).tolist()]
        case _:
            return [b"%d" % value for value in bits.tolist()]


def _as_short_decimals(values: Float64) -> Float64:
    """For each float32 the float64 whose shortest decimal is the float32's; others (not float32 at all) untouched."""
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    return np.where(single == values, single.astype("S32").astype(np.float64), values)


def _floats(values: Float64) -> list[bytes]:
    return [_without_padding(repr(value)) for value in values.tolist()]


def _without_padding(text: str) -> bytes:
    """`1.0` to `1`, `1e-07` to `1e-7`, `1e+16` to `1e16`."""
    mantissa, exponent, power = text.partition("e")
    mantissa = mantissa.removesuffix(".0")
    return (f"{mantissa}e{int(power)}" if exponent else mantissa).encode()


def _compressor() -> Compressor:
    try:
        from isal import isal_zlib
    except ImportError:
        return lambda: zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return lambda: isal_zlib.compressobj(level=1, wbits=_GZIP)


def gzip(chunks: Iterable[bytes | memoryview]) -> bytes:
    """One gzip member of all chunks, at the fastest level that compresses."""
    stream = _compressor()()
    parts = [stream.compress(chunk) for chunk in chunks]
    return b"".join([*parts, stream.flush()])
