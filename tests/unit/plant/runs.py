"""Runs of the models, as columns."""

from collections.abc import Sequence

import numpy as np

from edge_agent.plant.furnace import Furnace
from edge_agent.plant.point import Model, Value
from edge_agent.plant.press import Press

Order = tuple[str, float, float, float | None]
"""Fault, start, severity, growth time."""
Columns = dict[str, np.ndarray]


def columns(rows: Sequence[dict[str, Value]]) -> Columns:
    """A column a name; None becomes NaN, texts are left out."""
    names = [name for name, value in rows[0].items() if not isinstance(value, str)]
    return {name: np.array([np.nan if row[name] is None else row[name] for row in rows], float) for name in names}


def furnace(seconds: int, *orders: Order, seed: int = 1, skip: int = 0, phase: str = "carburise") -> Columns:
    """`seconds` of the furnace from the start of carburising, without the first `skip`."""
    machine = Furnace(seed, phase=phase, phase_time=0.0)
    for order in orders:
        machine.faults.start(*order)
    rows = [dict(machine.step()[0].values) for _ in range(seconds)]
    return columns(rows[skip:])


def press(strokes: int, *orders: Order, seed: int = 1, skip: int = 0) -> tuple[Columns, Columns]:
    """Strokes and fast signals of the press, without the first `skip` strokes."""
    machine = Press(seed)
    for order in orders:
        machine.faults.start(*order)
    slow: list[dict[str, Value]] = []
    fast: list[dict[str, Value]] = []
    while len(slow) < strokes:
        for reading in machine.step():
            (slow if reading.cycle else fast).append(dict(reading.values))
    return columns(slow[skip:]), columns(fast[len(fast) * skip // strokes :])


def cycles(machine: Model, count: int, *orders: Order, skip: int = 0) -> Columns:
    """`count` cycles of a machine without the first `skip`: columns of a row a cycle, and of a row a step."""
    for order in orders:
        machine.faults.start(*order)
    slow: list[dict[str, Value]] = []
    fast: list[dict[str, Value]] = []
    while len(slow) < count:
        for reading in machine.step():
            (slow if reading.cycle else fast).append(dict(reading.values))
    return columns(slow[skip:]) | columns(fast[len(fast) * skip // count :])


def shift(normal: Columns, fault: Columns, name: str) -> float:
    """How far a fault moves a mean, in standard deviations of normal running."""
    return float((fault[name].mean() - normal[name].mean()) / normal[name].std())
