"""Screen: how the tools print, on a terminal and into a file."""

from collections.abc import Collection
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table

from edge_agent.cli.modbus.sample import Value

UNKNOWN: Final = "–"
_PAGE: Final = 100
"""Columns where there is no terminal."""
_LONG: Final = 10**12


def screen(out: TextIO) -> Console:
    """A console on `out`; numbers are not coloured by guess."""
    console = Console(file=out, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, _PAGE)
    return console


def table_of(*heads: str, right: Collection[str] = ()) -> Table:
    """A table without lines; the last column is folded where the terminal is narrow."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, head in enumerate(heads):
        last = at == len(heads) - 1
        table.add_column(head, justify="right" if head in right else "left", no_wrap=not last, overflow="fold")
    return table


def number(value: Value) -> str:
    """A value in at most 12 signs or so."""
    if value is None:
        return UNKNOWN
    if isinstance(value, float) or (isinstance(value, int) and abs(value) >= _LONG):
        return f"{value:.7g}"
    return str(int(value)) if isinstance(value, bool) else str(value)
