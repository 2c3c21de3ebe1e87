"""The die-casting machine `dc350`: cold chamber, 350 t, ADC12.

A shot, in steps of 0.5 ms from the start of the piston:

    x < x_sw:  v* = v1·min(1, x/0.06 + 0.35);  dv/dt = (v* - v)/0.030
    x >= x_sw: v* = v2;                        dv/dt = (v* - v)/0.010;   P = 1.2 + 2.3·v²    [MPa]
    full at x_full = 0.620 - (m_dose - m_cast)/(ρ·A); then, s seconds later,
               P = (P_int - (P_int - P_imp)·exp(-s/τ_i))·exp(-s/25 s),  P_imp = 1.9·P(full)

and the piston runs on by v·2.1 ms (which gives the biscuit its 29.6 mm). Both die halves take up and lose heat once a
shot. Values of a shot are published at its end, those of furnace, water and hydraulics every second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, pi
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.plant.caster_points import CASTER_FAULTS, SHOT
from edge_agent.plant.controller import PiController
from edge_agent.plant.fault import Faults
from edge_agent.plant.point import Reading, Value
from edge_agent.plant.sensor import Sensor, SensorBank

Float64 = npt.NDArray[np.float64]

MACHINE: Final = "dc350"
MACHINE_NO: Final = 3
STEP: Final = 0.0005
AREA: Final = pi * 0.04**2
GATE: Final = 300e-6
DENSITY: Final = 2550.0
CASTING: Final = 2.55
DOSE: Final = 3.00
END: Final = 1.2
"""Seconds after the cavity is full at which the end pressure is taken."""
RUN_ON: Final = 0.0021
RISE: Final = 0.0184
"""τ_i, seconds: gives 33 ms from the impact to 90 % of the intensified pressure."""
WATER: Final = 28.0
FLOW: Final = 14.0
MELT: Final = 660.0
HOLD: Final = 0.44
"""Output that holds the melt at 660 °C without ladling."""
HEATING: Final = 0.2945
"""Kelvin a second at full output: with losses by radiation, a time constant of 1,800 s."""
WARM_UP: Final = 15
_AFTER: Final = np.arange(0.0, END + STEP, STEP)

_SENSORS: Final = (
    Sensor("melt_pv", noise=0.5, lag=5.0, low=0.0, high=1300.0),
    *(Sensor(f"cooling_flow{n}", noise=0.15, low=0.0, high=60.0) for n in (1, 2, 3, 4)),
    Sensor("cool_in", noise=0.1, drift=0.1),
    Sensor("cool_out", noise=0.1, lag=20.0, drift=0.1),
    Sensor("oil_temperature", noise=0.15, lag=10.0, drift=0.2),
    Sensor("accumulator", noise=0.4, low=0.0, high=250.0),
    Sensor("pump_current", noise=0.8, low=0.0, high=200.0),
)


@dataclass(frozen=True, slots=True)
class Stroke:
    """What the piston does in one shot. `switch` and `full` in metres, velocities in m/s, pressures in MPa."""

    slow: float
    fast: float
    switch: float
    full: float
    drag: float
    intensified: float
    rise: float
    leak: float
    """Share of the intensified pressure that is lost, and with it how fast it falls."""


class Caster:
    """See the module's head. One step is a second. Starts running, warm."""

    machine = MACHINE
    dt = 1.0

    def __init__(self, seed: int) -> None:
        self._steps = 0
        self.time = 0.0
        self._rng = np.random.Generator(np.random.PCG64([seed, MACHINE_NO]))
        self.faults = Faults(MACHINE, CASTER_FAULTS, (seed, MACHINE_NO))
        self._sensors = SensorBank(_SENSORS, self._rng)
        self._controller = PiController(0.02, 900.0, np.array([HOLD + 0.3 / SHOT / HEATING]))
        self._output = float(self._controller.integral[0])
        self.melt = MELT
        self._shown_melt = MELT
        self.dies = np.array([172.6, 172.6])
        self.count = 88_200
        self._warm_up = 0
        self._cold = False
        self._reject = False
        self._ended = 0.0
        self._period = self._next_period()

    def _next_period(self) -> float:
        return SHOT + float(self._rng.normal(0.0, 0.25))

    def step(self) -> Sequence[Reading]:
        """Goes on by a second; answers the shot that ended in it, if any, and the signals of every second."""
        self._steps += 1
        self.time = self._steps * self.dt
        readings = []
        if self._ended + self._period <= self.time:
            self._ended += self._period
            readings.append(self._shot(self.faults.strengths(self._ended)))
            self._period = self._next_period()
        readings.append(self._signals(self.faults.strengths(self.time, cycle=False)))
        return readings

    def _signals(self, f: Mapping[str, float]) -> Reading:
        self._heat()
        flow = FLOW * (1.0 - 0.55 * f["cool_scale"])
        out = WATER + 6.0 * FLOW / flow
        true = [self.melt - 8.0 * f["tc_drift"], flow, flow, flow, flow, WATER, out, 45.0]
        true += [145.0 - 35.0 * f["accu_n2"], 62.0]
        shown = self._sensors.read(np.array(true), self.dt)
        values: dict[str, Value] = dict(zip(self._sensors.names, map(float, shown), strict=True))
        self._shown_melt = float(shown[0])
        values |= {
            "part": "HSG-4410",
            "running": True,
            "warm_up": self._warm_up > 0 or (f["cold_start"] > 0 and not self._cold),
            "melt_sv": MELT,
            "melt_mv": 100.0 * self._output,
            "reject": self._reject,
        }
        return Reading(self.time, values, {"melt": round(self.melt, 3), "dose": DOSE - 0.20 * f["short_dose"]})

    def _heat(self) -> None:
        """The holding furnace: radiation takes what the controller gives."""
        self._output = float(self._controller.output(np.array([MELT - self._shown_melt]), self.dt)[0])
        lost = HOLD * ((self.melt + 273.15) / (MELT + 273.15)) ** 4
        self.melt += HEATING * (self._output - lost) * self.dt

    def _shot(self, f: Mapping[str, float]) -> Reading:
        self.count += 1
        self.melt -= 0.3
        self._chill(f)
        dose = DOSE + float(self._rng.normal(0.0, 0.012)) - 0.20 * f["short_dose"] + 0.0009 * (self.melt - MELT)
        self._exchange(f, dose)
        stroke = self._stroke(f, dose)
        values = self._measured(stroke) | self._beside(f)
        values["switch_position"] = 1000.0 * (stroke.switch - 0.012 * f["switch_slip"])
        self._reject = not (18.0 < float(values["biscuit"] or 0) < 42.0 and float(values["casting_pressure"] or 0) > 68)
        return Reading(self._ended, values, cycle=True)

    def _chill(self, f: Mapping[str, float]) -> None:
        """After a long stop the dies are cold, once, and the machine says that it warms up."""
        cold = f["cold_start"] > 0
        self._warm_up = max(0, self._warm_up - 1)
        if cold and not self._cold:
            self.dies = self.dies - 60.0 * f["cold_start"]
            self._warm_up = WARM_UP
        self._cold = cold

    def _exchange(self, f: Mapping[str, float], dose: float) -> None:
        """Heat into and out of both die halves, once a shot."""
        flow = (FLOW + self._rng.normal(0.0, 0.15, 2)) * (1.0 - 0.55 * f["cool_scale"])
        kept = np.exp(-SHOT / (60.0 * (FLOW / flow) ** 0.8))
        base = WATER + 100.0
        spray = np.array([10.5 - 5.28 * f["spray_clog"], 10.5])
        self.dies = base + (self.dies + 72.0 * dose / 3.0 - base) * kept - spray

    def _stroke(self, f: Mapping[str, float], dose: float) -> Stroke:
        draw = self._rng.standard_normal(4)
        lost = 0.165 * f["intens_leak"]
        return Stroke(
            slow=(0.28 + 0.004 * draw[0]) * (1.0 - 0.107 * f["tip_wear"]),
            fast=(2.60 + 0.03 * draw[1]) * (1.0 - 0.11 * f["tip_wear"]) * (1.0 - 0.16 * f["accu_n2"]),
            switch=0.460 + 0.0006 * draw[2] + 0.012 * f["switch_slip"],
            full=0.620 - (dose - CASTING) / (DENSITY * AREA),
            drag=1.2 + 2.5 * f["tip_wear"],
            intensified=(78.0 + 0.6 * draw[3]) * (1.0 - lost),
            rise=RISE * (1.0 - 0.155 * f["tip_wear"]) * (1.0 + 1.22 * f["accu_n2"]),
            leak=lost,
        )

    def _measured(self, stroke: Stroke) -> dict[str, Value]:
        """The shot in half milliseconds: what its monitor makes of it."""
        slow, fast, fill = _piston(stroke)
        impact = 1.9 * (stroke.drag + 2.3 * fast**2) * (1.0 - stroke.leak)
        pressure = stroke.intensified - (stroke.intensified - impact) * np.exp(-_AFTER / stroke.rise)
        pressure *= np.exp(-_AFTER / 25.0 - 1.9 * stroke.leak * np.maximum(_AFTER - 0.05, 0.0))
        peak = float(pressure.max())
        rising = slice(0, int(pressure.argmax()) + 1)
        noise = self._rng.standard_normal(4)
        end = stroke.full + fast * RUN_ON
        return {
            "slow_velocity": slow,
            "fast_velocity": fast,
            "gate_velocity": fast * AREA / GATE,
            "slow_pressure": stroke.drag + 0.05 * float(noise[0]),
            "fill_time": 1000.0 * fill,
            "rise_time": 1000.0 * float(np.interp(0.9 * stroke.intensified, pressure[rising], _AFTER[rising])),
            "casting_pressure": peak + 0.3 * float(noise[1]),
            "end_pressure": float(pressure[-1]) + 0.1 * float(noise[2]),
            "biscuit": 1000.0 * (0.620 - end) + 0.3 * float(noise[3]),
        }

    def _beside(self, f: Mapping[str, float]) -> dict[str, Value]:
        noise = self._rng.standard_normal(5)
        return {
            "shot_count": self.count,
            "cycle_time": self._period,
            "clamp_force": 3500.0 + 15.0 * float(noise[0]),
            "vacuum": 60.0 + 4.0 * float(noise[1]) + 120.0 * f["vac_clog"],
            "spray_time": 5.0 + 0.04 * float(noise[2]),
            "die_fixed": float(self.dies[0]) + 0.3 * float(noise[3]),
            "die_moving": float(self.dies[1]) + 0.3 * float(noise[4]),
        }


def _piston(stroke: Stroke) -> tuple[float, float, float]:
    """Velocity at the end of the slow phase and when the cavity is full (m/s), and the time between them (s)."""
    keep_slow, keep_fast = exp(-STEP / 0.030), exp(-STEP / 0.010)
    x = v = 0.0
    while x < stroke.switch:
        wanted = stroke.slow * min(1.0, x / 0.06 + 0.35)
        v = wanted + (v - wanted) * keep_slow
        x += v * STEP
    slow, start, steps = v, x, 0
    while x < stroke.full:
        v = stroke.fast + (v - stroke.fast) * keep_fast
        x += v * STEP
        steps += 1
    over = (x - stroke.full) / v - (start - stroke.switch) / slow
    return slow, v, steps * STEP - over
