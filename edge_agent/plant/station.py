"""Station: one machine, going with the clock, behind one server. A process holds one."""

from collections.abc import Sequence
from typing import Any, Final

import anyio

from edge_agent.plant.front import Front
from edge_agent.plant.order import Order
from edge_agent.plant.pace import Pace
from edge_agent.plant.point import Model, Reading
from edge_agent.plant.record import Record

MISSED: Final = 2.0
"""Cycles that ended longer ago than this (wall seconds) while nobody served them are not shown any more."""
TRUTH_EVERY: Final = 10.0


class Station:
    """Runs a model by the pace and shows its readings."""

    def __init__(self, model: Model, front: Front, pace: Pace, published: Record, labels: Record) -> None:
        self._model = model
        self._front = front
        self._pace = pace
        self._published = published
        self._labels = labels
        self._truth_at = 0.0

    def order(self, order: Order) -> None:
        """Starts or clears a fault; raises KeyError for a name that this machine does not know."""
        time = self._model.time if order.time is None else order.time
        if order.clear:
            self._model.faults.clear(order.name, time)
        else:
            self._model.faults.start(order.name, time, order.severity, order.grow)

    async def open(self) -> dict[str, Any]:
        """Brings the machine to the present, shows it, and opens the server."""
        await anyio.sleep(self._pace.seconds_until(self._model.dt))
        await self._show(self._catch_up())
        return {
            "machine": self._model.machine,
            "epoch_ns": self._pace.epoch,
            "speed": self._pace.speed,
            **await self._front.open(),
        }

    async def run(self) -> None:
        """Goes on until cancelled; shows what is new every `dt` seconds of wall time."""
        tick = self._model.dt * self._pace.speed
        while True:
            await anyio.sleep(self._pace.seconds_until(self._model.time + tick))
            await self._show(self._catch_up())

    async def close(self) -> None:
        """Stops the server and closes the records."""
        try:
            await self._front.close()
        finally:
            self._published.close()
            self._labels.close()

    def _catch_up(self) -> Sequence[Reading]:
        """Steps up to the present; answers the cycles of it and the newest of the other readings."""
        present = self._pace.machine_time() + 1e-9
        cycles: list[Reading] = []
        newest: list[Reading] = []
        while self._model.time + self._model.dt <= present:
            readings = self._model.step()
            cycles += [reading for reading in readings if reading.cycle]
            newest = [reading for reading in readings if not reading.cycle] or newest
            self._write_labels()
        oldest = present - MISSED * self._pace.speed
        return [reading for reading in cycles if reading.time >= oldest] + newest

    async def _show(self, readings: Sequence[Reading]) -> None:
        for reading in readings:
            await self._front.show(reading.values, self._pace.wall(reading.time), reading.time)
            self._write_truth(reading)
        self._write_labels()
        self._published.flush()
        self._labels.flush()

    def _write_truth(self, reading: Reading) -> None:
        if reading.truth and reading.time >= self._truth_at:
            self._truth_at = reading.time + TRUTH_EVERY * self._pace.speed
            self._labels.write(machine=self._model.machine, time=self._pace.wall(reading.time), truth=reading.truth)

    def _write_labels(self) -> None:
        for label in self._model.faults.labels():
            times = {key: None if label[key] is None else self._pace.wall(label[key]) for key in ("t_start", "t_end")}
            self._labels.write(**label | times)
