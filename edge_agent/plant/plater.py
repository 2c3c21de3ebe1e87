"""The nickel line `ni3`: one cell of 3 m³, 480 A, racks of N(120, 3) dm². In steps of 2 s:

    V = 1.9 + 0.0068·(120/area)/(1 + 0.018(T - 55))·I,  I = 480·(1 - exp(-t/8 s)) while it plates
    C dT/dt = 42 kW·u + 0.85·V·I/1000 - 0.55·(T - 22) - 2.2 kW,  C = 12,000 kJ/K, PI at 55 °C
    dpH/dt = +8.8e-8·I; the acid pump goes on above 4.20 and off below 4.00: -1.2e-4/s
    filter dP += 0.55 bar in 40 h, then a new filter;  flow = 18·(1 - 0.55(dP - 0.35)) m³/h
    level -0.9 %/h, refilled from 90 to 92 %
    thickness = 12.3·0.955·I/area·t [µm], known to the laboratory only

Values of a rack are published when it has drained.
"""

from collections.abc import Mapping, Sequence
from math import exp
from typing import Final

import numpy as np

from edge_agent.plant.controller import PiController
from edge_agent.plant.fault import Faults
from edge_agent.plant.plater_points import PLATER_FAULTS, RACK, STEP
from edge_agent.plant.point import Reading, Value
from edge_agent.plant.sensor import Sensor, SensorBank

MACHINE: Final = "ni3"
MACHINE_NO: Final = 6
CURRENT: Final = 480.0
AREA: Final = 120.0
LOAD: Final = 120.0
PLATE: Final = 1500.0
SET: Final = 55.0
HEATER: Final = 42.0
CAPACITY: Final = 12_000.0
HOLD: Final = 0.44
FILTER_LIFE: Final = 40 * 3600.0
CLEAN: Final = 0.35
PH_HIGH: Final = 4.20
PH_LOW: Final = 4.00
PUMP: Final = 1.2e-4
"""pH that the acid pump takes away a second."""
DOSE: Final = 0.0008
"""Percent of the acid tank that the pump takes a second."""

_SENSORS: Final = (
    Sensor("voltage", noise=0.02, low=0.0, high=15.0),
    Sensor("current", noise=0.5, low=0.0, high=1000.0),
    Sensor("ripple", noise=0.15, low=0.0, high=100.0),
    Sensor("temperature", noise=0.05, lag=10.0, low=0.0, high=100.0),
    Sensor("ph", noise=0.004, lag=10.0, low=0.0, high=14.0),
    Sensor("filter_pressure", noise=0.005, low=0.0, high=5.0),
    Sensor("filter_flow", noise=0.1, low=0.0, high=30.0),
    Sensor("level", noise=0.03, low=0.0, high=100.0),
    Sensor("acid_level", noise=0.03, low=0.0, high=100.0),
)


class Plater:
    """See the module's head. One step is 2 s. Starts warm, with a rack to load and a clean filter."""

    machine = MACHINE
    dt = STEP

    def __init__(self, seed: int) -> None:
        self._steps = 0
        self.time = 0.0
        self._rng = np.random.Generator(np.random.PCG64([seed, MACHINE_NO]))
        self.faults = Faults(MACHINE, PLATER_FAULTS, (seed, MACHINE_NO))
        self._sensors = SensorBank(_SENSORS, self._rng)
        self._controller = PiController(0.35, 900.0, np.array([HOLD]))
        self.temperature = SET
        self._shown_temperature = SET
        self.ph = 4.10
        self._shown_ph = 4.10
        self._pumping = False
        self._pressure = CLEAN
        self._level = 91.0
        self._acid = 90.0
        self.count = 42_000
        self._refills = 0
        self._next_rack()

    def _next_rack(self) -> None:
        self._area = float(self._rng.normal(AREA, 3.0))
        self._in_rack = 0.0
        self._acid_time = 0.0
        self._refilled = self._refills
        self._volts: list[float] = []
        self._heat: list[float] = []

    def step(self) -> Sequence[Reading]:
        """Goes on by 2 s; answers the rack that was done in it, if any, and the bath."""
        self._steps += 1
        self.time = self._steps * self.dt
        self._in_rack += self.dt
        f = self.faults.strengths(self.time)
        bath = self._bath(f)
        if self._in_rack < RACK:
            return (bath,)
        rack = self._rack(f)
        self._next_rack()
        return (rack, bath)

    def _bath(self, f: Mapping[str, float]) -> Reading:
        since = self._in_rack - LOAD
        plating = 0.0 < since <= PLATE
        current = CURRENT * (1.0 - exp(-since / 8.0)) if plating else 0.0
        volts = self._voltage(f, current) if plating else 0.0
        output = self._warm(f, volts * current / 1000.0)
        self._sour(f, current)
        self._drain(f)
        flow = max(1.0, 18.0 * (1.0 - 0.55 * (self._pressure - CLEAN)))
        ripple = 2.2 + 6.5 * f["phase_loss"] if plating else 0.0
        true = [volts, current, ripple, self.temperature, self.ph + 0.35 * f["ph_drift"]]
        true += [self._pressure, flow, self._level, self._acid]
        shown = self._sensors.read(np.array(true), self.dt)
        values: dict[str, Value] = dict(zip(self._sensors.names, map(float, shown), strict=True))
        self._shown_temperature = float(shown[3])
        if f["ph_stuck"] == 0.0:
            self._shown_ph = float(shown[4])
        if plating:
            self._volts.append(float(shown[0]))
        self._heat.append(100.0 * output)
        values |= {
            "job": "NI-STD-20",
            "plating": plating,
            "acid_pump": self._pumping,
            "ph": self._shown_ph,
            "heater_mv": 100.0 * output,
            "refill_count": self._refills,
            "temperature_sv": SET,
            "current_sv": CURRENT,
        }
        return Reading(self.time, values, {"ph": round(self.ph, 4), "area": round(self._true_area(f), 2)})

    def _true_area(self, f: Mapping[str, float]) -> float:
        return self._area * (1.0 + 0.2 * f["area_error"])

    def _voltage(self, f: Mapping[str, float], current: float) -> float:
        """A bad contact is noisy, a passive anode is not, a lost phase is noise alone."""
        noise = self._rng.standard_normal()
        resistance = 0.0068 * (AREA / self._true_area(f)) / (1.0 + 0.018 * (self.temperature - SET))
        resistance += (1.4 * f["contact"] + 0.9 * f["anode"]) / CURRENT
        return float(1.9 + resistance * current + (0.15 * f["contact"] + 0.12 * f["phase_loss"]) * noise)

    def _warm(self, f: Mapping[str, float], power: float) -> float:
        output = float(self._controller.output(np.array([SET - self._shown_temperature]), self.dt)[0])
        gained = HEATER * (1.0 - 0.5 * f["heater"]) * output + 0.85 * power
        self.temperature += (gained - 0.55 * (self.temperature - 22.0) - 2.2) / CAPACITY * self.dt
        return output

    def _sour(self, f: Mapping[str, float], current: float) -> None:
        """The pH climbs with the current; the pump follows the instrument, and stands still when that does."""
        if self._shown_ph > PH_HIGH:
            self._pumping = True
        if self._shown_ph < PH_LOW or f["ph_stuck"] > 0.0:
            self._pumping = False
        leaking = 0.67 * f["dosing_stuck"] * min(max((self.ph - 3.5) / 0.64, 0.0), 1.0)
        dosing = float(self._pumping) + leaking
        self.ph += (8.8e-8 * (1.0 + 0.4 * f["ph_drift"]) * current - PUMP * dosing) * self.dt
        self._acid -= DOSE * dosing * self.dt
        if self._acid < 20.0:
            self._acid = 90.0
        self._acid_time += self.dt * self._pumping

    def _drain(self, f: Mapping[str, float]) -> None:
        """Filter and level."""
        self._pressure += 0.55 / FILTER_LIFE * (1.0 + 14.0 * f["filter"]) * self.dt
        if self.time % FILTER_LIFE < self.dt:
            self._pressure = CLEAN
        self._level -= 0.9 / 3600.0 * (1.0 + 6.0 * f["leak"]) * self.dt
        if self._level < 90.0:
            self._level = 92.0
            self._refills += 1

    def _rack(self, f: Mapping[str, float]) -> Reading:
        self.count += 1
        values: dict[str, Value] = {
            "rack_count": self.count,
            "rack_voltage": float(np.mean(self._volts)),
            "rack_heater": float(np.mean(self._heat)),
            "acid_time": self._acid_time,
            "refills": self._refills - self._refilled,
        }
        thickness = 12.3 * 0.955 * CURRENT / self._true_area(f) * PLATE / 3600.0
        return Reading(self.time, values, {"thickness": round(thickness, 3)}, cycle=True)
