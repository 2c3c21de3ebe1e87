"""The welding robot `weld1`: GMAW, 1.2 mm wire, constant-voltage source. The arc, in steps of 2 ms:

    v_m = 0.30·I + 5.2e-5·(CTWD - la)·I²      melting rate, mm/s
    dla/dt = v_m - v_feed                     arc length, 0.3 to 14 mm
    V_arc = 15.8 + 1.05·la + 0.0155·I
    dI/dt = (27.4 - V_arc - R·I)/0.35 mH·0.25,  R = 12 mΩ
    in each step with probability 0.010 a short circuit: la -= U(0, 1.2)

A bead is 0.8 s of gas and start, 8 to 20 s of arc, 1.5 s of crater and gas, 10 s of travel. The arc is published as
averages 20 times a second, a bead when it ends.
"""

from collections.abc import Mapping, Sequence
from math import floor
from typing import Final

import numpy as np

from edge_agent.plant.fault import Faults
from edge_agent.plant.point import Reading, Value
from edge_agent.plant.sensor import Sensor, SensorBank
from edge_agent.plant.welder_points import FAST, WELDER_FAULTS

MACHINE: Final = "weld1"
MACHINE_NO: Final = 5
STEP: Final = 0.002
INNER: Final = round(FAST / STEP)
SOURCE: Final = 27.4
FEED: Final = 118.0
CTWD: Final = 16.0
SHORT: Final = 0.010
BEFORE: Final = 0.5
AFTER: Final = 11.5

_SENSORS: Final = (
    Sensor("current", noise=0.5, low=0.0, high=900.0),
    Sensor("voltage", noise=0.02, low=0.0, high=100.0),
    Sensor("wire_speed", noise=0.01, low=0.0, high=30.0),
    Sensor("gas_flow", noise=0.1, low=0.0, high=40.0),
    Sensor("feeder_current", noise=0.05, low=0.0, high=20.0),
    Sensor("travel_speed", noise=0.02, low=0.0, high=50.0),
)


class Welder:
    """See the module's head. One step is 0.05 s. Starts before a bead."""

    machine = MACHINE
    dt = FAST

    def __init__(self, seed: int) -> None:
        self._steps = 0
        self.time = 0.0
        self._rng = np.random.Generator(np.random.PCG64([seed, MACHINE_NO]))
        self.faults = Faults(MACHINE, WELDER_FAULTS, (seed, MACHINE_NO))
        self._sensors = SensorBank(_SENSORS, self._rng)
        self.count = 7_300
        self._next_bead(0.0)

    def _next_bead(self, retry: float) -> None:
        """A new joint: its length, its distance from the tip, and how the arc starts."""
        draw = self._rng.uniform(0.0, 1.0, 3)
        self._tries = 1 + (1 + int(draw[2] > 0.5)) * int(retry > 0.0)
        self._start = 1.2 if retry > 0.0 else 0.3
        self._weld = 8.0 + 12.0 * float(draw[0])
        self._distance = CTWD + 0.3 * (2.0 * float(draw[1]) - 1.0)
        self._in_bead = 0.0
        self._amperes, self._length = 260.0, 4.5
        self._currents: list[float] = []
        self._voltages: list[float] = []
        self._shorts = 0

    def step(self) -> Sequence[Reading]:
        """Goes on by 0.05 s; answers the bead that was done in it, if any, and the averages."""
        self._steps += 1
        self.time = self._steps * self.dt
        self._in_bead += self.dt
        ends = self._in_bead >= BEFORE + self._start + self._weld + AFTER
        f = self.faults.strengths(self.time, cycle=ends)
        arc = self._averages(f)
        if not ends:
            return (arc,)
        bead = self._bead()
        self._next_bead(f["no_arc_start"])
        return (bead, arc)

    def _averages(self, f: Mapping[str, float]) -> Reading:
        since = self._in_bead - BEFORE - self._start
        welding = 0.0 < since <= self._weld
        gassing = self._in_bead <= BEFORE + self._start + self._weld + 1.5
        slip = 0.18 * f["feed_slip"] * float(floor(6.0 * self.time) % 2)
        feed = FEED * (1.0 - slip) * (1.0 - 0.15 * f["wrong_job"]) * (1.0 + 0.004 * float(self._rng.standard_normal()))
        current, voltage = self._arc(f, feed) if welding else (0.0, 0.0)
        true = [current, voltage, feed * 0.06 if welding else 0.0]
        true += [15.0 * (1.0 - 0.75 * f["gas_loss"]) if gassing else 0.0]
        true += [1.8 + 0.6 * f["feed_slip"] if welding else 0.0, 6.7 if welding else 0.0]
        shown = self._sensors.read(np.array(true), self.dt)
        values: dict[str, Value] = dict(zip(self._sensors.names, map(float, shown), strict=True))
        if welding and since > 0.5:
            self._currents.append(float(shown[0]))
            self._voltages.append(float(shown[1]))
        return Reading(self.time, values | {"part": "FRM-7001", "welding": welding}, {"arc_length": self._length})

    def _arc(self, f: Mapping[str, float], feed: float) -> tuple[float, float]:
        """25 steps of the arc: mean current and voltage."""
        chance = SHORT * (1.0 + 5.0 * f["gas_loss"]) * (1.0 + 3.7 * f["tip_wear"])
        source = SOURCE - 1.6 * f["tip_wear"] - 2.5 * f["wrong_job"]
        distance = self._distance + 5.0 * f["ctwd"]
        luck = self._rng.uniform(0.0, 1.0, (INNER, 2)).tolist()
        noise = 0.35 * (1.0 + 1.2 * f["gas_loss"]) * self._rng.standard_normal(INNER)
        amperes, length = self._amperes, self._length
        sum_current = sum_voltage = 0.0
        for short, depth in luck:
            melting = 0.30 * amperes + 5.2e-5 * (distance - length) * amperes * amperes
            length += (melting - feed) * STEP
            if short < chance:
                length -= 1.2 * depth
                self._shorts += 1
            length = min(max(length, 0.3), 14.0)
            arc = 15.8 + 1.05 * length + 0.0155 * amperes
            sum_voltage += arc + 0.012 * amperes
            amperes += (source - arc - 0.012 * amperes) / 0.35e-3 * 0.25 * STEP
            sum_current += amperes
        self._amperes, self._length = amperes, length
        if f["wire_runout"] > 0.0:
            return 0.0, 0.0
        voltage = sum_voltage / INNER + float(noise.mean()) - 2.0 * f["ground"] + 2.0 * f["gap"]
        return sum_current / INNER - 60.0 * f["gap"], voltage

    def _bead(self) -> Reading:
        self.count += 1
        current, voltage = np.array(self._currents), np.array(self._voltages)
        values: dict[str, Value] = {
            "bead_count": self.count,
            "current_mean": float(current.mean()),
            "current_deviation": float(current.std()),
            "current_min": float(current.min()),
            "current_max": float(current.max()),
            "voltage_mean": float(voltage.mean()),
            "voltage_deviation": float(voltage.std()),
            "shorts": self._shorts / self._weld,
            "weld_time": self._weld,
            "start_time": self._start + 0.01 * float(self._rng.standard_normal()),
            "start_tries": self._tries,
        }
        return Reading(self.time, values, cycle=True)
