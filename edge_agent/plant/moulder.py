"""The injection moulding machine `imm110`: 110 t, with its mould's water and the chiller behind it. Once a cycle:

mu = exp(-0.016·(T_melt - 230))·(1 + v_lot)             v_lot ~ N(0, 0.015), new with each resin lot (90 cycles)
P_transfer = 92·mu·(1 + 0.012·(52 - T_mouldA))          [MPa]
P_cavity = 41·mu^-0.3·k_check·k_vent                    [MPa]
T_mould += 0.08·(T_in + 3.4/(0.34·(Q/9)^0.8)·{1, 0.92} - T_mould)
T_out = T_in + 3.4/(Q/60·4.18),  T_in = 40 + 0.15·(T_ambient - 24), the ambient a daily sine of 3 K
weight = 24.30 + 0.012·(P_cavity - 41) - 0.02·(T_mouldA - 52)    [g], known to the laboratory only
"""

from collections.abc import Mapping, Sequence
from math import exp, pi, sin
from typing import Final

import numpy as np

from edge_agent.plant.fault import Faults
from edge_agent.plant.moulder_points import CYCLE, MOULDER_FAULTS
from edge_agent.plant.point import Reading, Value
from edge_agent.plant.sensor import Sensor, SensorBank

MACHINE: Final = "imm110"
MACHINE_NO: Final = 4
LOT_CYCLES: Final = 90
FLOW: Final = 9.0
HEAT: Final = 3.4
"""kW from the mould into its water."""
BARREL: Final = 230.0
BARREL_TIME: Final = 300.0
DAY: Final = 86_400.0

_SENSORS: Final = (
    Sensor("mould_a", noise=0.08, low=0.0, high=200.0),
    Sensor("mould_b", noise=0.08, low=0.0, high=200.0),
    Sensor("water_in", noise=0.1, low=0.0, high=150.0),
    Sensor("water_out", noise=0.1, low=0.0, high=150.0),
    Sensor("water_flow", noise=0.08, low=0.0, high=60.0),
    Sensor("barrel_pv", noise=0.2, drift=0.2, low=0.0, high=450.0),
    Sensor("barrel_mv", noise=1.0, low=0.0, high=100.0),
)


class Moulder:
    """See the module's head. One step is a second. Starts running, warm, with a new lot of resin."""

    machine = MACHINE
    dt = 1.0

    def __init__(self, seed: int) -> None:
        self._steps = 0
        self.time = 0.0
        self._rng = np.random.Generator(np.random.PCG64([seed, MACHINE_NO]))
        self.faults = Faults(MACHINE, MOULDER_FAULTS, (seed, MACHINE_NO))
        self._sensors = SensorBank(_SENSORS, self._rng)
        self.count = 310_000
        self._first = self.count
        self.lot = 0
        self.mould = np.array([50.0, 49.2])
        self._cooled = 0.0
        self._late = 0.0
        self._ended = 0.0
        self._take_lot()
        self._period = self._next_period()

    def _take_lot(self) -> None:
        self.lot += 1
        self._viscosity = float(self._rng.normal(0.0, 0.015))

    def _next_period(self) -> float:
        return CYCLE + float(self._rng.normal(0.0, 0.03))

    def step(self) -> Sequence[Reading]:
        """Goes on by a second; answers the cycle that ended in it, if any, and the signals of every second."""
        self._steps += 1
        self.time = self._steps * self.dt
        readings = []
        if self._ended + self._period + self._late <= self.time:
            took = self._period + self._late
            self._ended += took
            readings.append(self._cycle(self.faults.strengths(self._ended), took))
            self._period = self._next_period()
        readings.append(self._signals(self.faults.strengths(self.time, cycle=False)))
        return readings

    def _water(self, f: Mapping[str, float]) -> tuple[float, float]:
        """What the water is when it enters (°C), and its flow (l/min)."""
        return 40.0 + 0.45 * sin(2 * pi * self.time / DAY) + 7.0 * f["chiller"], FLOW * (1.0 - 0.5 * f["water_clog"])

    def _signals(self, f: Mapping[str, float]) -> Reading:
        self._cooled += (f["heater_band"] - self._cooled) / BARREL_TIME * self.dt
        enters, flow = self._water(f)
        true = [*self.mould, enters, enters + HEAT / (flow / 60.0 * 4.18), flow]
        true += [BARREL - 12.0 * self._cooled, 45.0 + 50.0 * f["heater_band"]]
        shown = self._sensors.read(np.array(true), self.dt)
        values: dict[str, Value] = dict(zip(self._sensors.names, map(float, shown), strict=True))
        values |= {"part": "CONN-0815", "lot": self.lot, "running": True, "barrel_sv": BARREL}
        return Reading(self.time, values, {"viscosity": round(self._viscosity, 5)})

    def _cycle(self, f: Mapping[str, float], took: float) -> Reading:
        draw = [float(each) for each in self._rng.standard_normal(12)]
        self.count += 1
        if (self.count - self._first) % LOT_CYCLES == 0:
            self._take_lot()
        enters, flow = self._water(f)
        lift = HEAT / (0.34 * (flow / FLOW) ** 0.8) * np.array([1.0, 0.92])
        self.mould = self.mould + 0.08 * (enters + lift - self.mould) + 0.08 * np.array(draw[:2])
        melt = 229.9 + 0.3 * draw[2] - 12.0 * self._cooled
        thickness = exp(-0.016 * (melt - 230.0)) * (1.0 + self._viscosity) * (1.0 - 0.12 * f["wet"])
        worn = (1.0 - 0.107 * f["check_ring"]) * (1.0 - 0.165 * f["vent"]) * (1.0 - 0.06 * f["mould_wear"])
        cavity = 41.0 * thickness**-0.3 * worn + 0.35 * draw[3]
        bridged = min(f["hopper"], 1.0)
        self._late = bridged * (0.85 + 0.1 * draw[4])
        values: dict[str, Value] = {
            "shot_count": self.count,
            "cycle_time": took,
            "injection_time": 1.18 + 0.006 * draw[5],
            "transfer_pressure": 92.0 * thickness * (1.0 + 0.012 * (52.0 - float(self.mould[0]))) + 0.5 * draw[6],
            "cavity_pressure": cavity,
            "cushion": 6.0 - 3.6 * f["check_ring"] + 0.09 * (1.0 + 1.45 * f["check_ring"]) * draw[7],
            "dosing_time": 7.79 + 0.10 * draw[8] + 0.4 * self._cooled + 1.9 * bridged,
            "screw_torque": 61.0 + 0.8 * draw[9] + 8.8 * self._cooled,
            "melt_temperature": melt + 0.4 * draw[10],
            "clamp_force": 1100.0 + 3.0 * draw[11] - 66.0 * f["tie"],
        }
        weight = 24.30 + 0.012 * (cavity - 41.0) - 0.02 * (float(self.mould[0]) - 52.0) + 0.05 * f["mould_wear"]
        return Reading(self._ended, values, {"weight": round(weight, 4)}, cycle=True)
