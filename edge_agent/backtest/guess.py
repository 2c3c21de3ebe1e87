"""Guess: tags for a table that comes without a configuration. All columns are tags of one machine.

Texts and numbers that are only 0 and 1 are states, whole numbers that only grow (or begin again at 0) are counters, a
column named as a set value is one, and everything else is a process value with the learned detectors. The interval is
the usual one of the column's own values. What was guessed is shown, since it decides which detectors speak.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

import numpy as np

from edge_agent.backtest.cells import Column, column
from edge_agent.backtest.csv_table import plain
from edge_agent.backtest.moments import UNREADABLE
from edge_agent.backtest.table import Cells
from edge_agent.model import Kind, Label, Machine, Role, Tag, TagTable
from edge_agent.model.frame import Int64

SITE: Final = "backtest"
_SET: Final = re.compile(r"(^|[_\s.])(sv|sp|set|setpoint)([_\s.\d]|$)|설정|목표|지령", re.IGNORECASE)
_OUTPUT: Final = re.compile(r"(^|[_\s.])(mv|out|output)([_\s.\d]|$)|출력|조작량|개도", re.IGNORECASE)
_UNIT: Final = re.compile(r"[(\[]([^)\]]{1,12})[)\]]\s*$")
_ONLY_NUMBER: Final = re.compile(r"(no|번호|순번|index|id|seq)\.?", re.IGNORECASE)


def machine_of(source: str) -> Machine:
    """The machine that a file without a configuration is taken for: its name is the file's."""
    stem = PurePath(source).name.split(".")[0]
    return Machine(SITE, "data", stem.replace("/", "_") or "data", "data", Label(stem, stem))


def tags_of_columns(
    source: str, names: Mapping[int, str], units: Sequence[str], cells: Mapping[int, Cells], times: Int64
) -> tuple[TagTable, dict[int, int]]:
    """The tags, and the number of each column's; columns without a value in the sample are process values."""
    machine = machine_of(source)
    tags: list[Tag] = []
    numbers: dict[int, int] = {}
    seen: set[str] = set()
    for place, name in names.items():
        if _ONLY_NUMBER.fullmatch(plain(name)):
            continue
        own = name.replace("/", "_") or f"column_{place + 1}"
        own = own if own not in seen else f"{own}_{place + 1}"
        seen.add(own)
        numbers[place] = len(tags)
        tags.append(guessed(machine, own, units[place], cells[place], times))
    return TagTable(tags), numbers


def guessed(machine: Machine, name: str, unit: str, cells: Cells, times: Int64) -> Tag:
    """One tag by its name and some of its values; `times` in ns, UNREADABLE where there is none."""
    found = column(cells, texts=True)
    role = _role(name, found)
    in_name = _UNIT.search(name)
    there = times[found.rows]
    steps = np.diff(there[there != UNREADABLE])
    steps = steps[steps > 0]
    interval = int(np.median(steps)) if len(steps) else 1_000_000_000
    label = _UNIT.sub("", name).strip() or name
    return Tag(
        name, machine, machine.name, role, unit or (in_name[1] if in_name else ""), interval, label=Label(label, label)
    )


def _role(name: str, found: Column) -> Role:
    numbers = found.kind == Kind.FLOAT64
    texts = int(((found.kind == Kind.TEXT) | (found.kind == Kind.BOOL)).sum())
    if texts > int(numbers.sum()):
        return Role.STATE
    values = found.bits[numbers].view(np.float64)
    if len(values) and np.isin(values, (0.0, 1.0)).all():
        return Role.STATE
    if _counts(values):
        return Role.COUNTER
    if _SET.search(name):
        return Role.SV
    return Role.MV if _OUTPUT.search(name) else Role.PV


def _counts(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    """Whole numbers of many kinds that grow in small steps; back only to nearly nothing."""
    if len(values) < 20 or not (values == np.floor(values)).all():
        return False
    step = np.diff(values)
    back = step < 0
    return bool(
        len(np.unique(values)) > 5 and back.mean() < 0.02 and (values[1:][back] <= 1).all() and (step <= 5).all()
    )
