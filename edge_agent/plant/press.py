"""The press `press200`: a 200 t mechanical press with a progressive die.

A stroke is 256 samples of the load over the crank angle θ, in two columns (left, right), tonf:

    F(θ) = 118·h·{ sin(90°·(θ-138)/34)^0.8              138 < θ < 172   forming
                 - 0.14·exp(-((θ-175)/2.2)²)·cos(1.2(θ-175))            snap-through (negative peak)
                 + 0.35·exp(-((θ-180)/4)²) }            172 < θ < 190   coining

h is the material: 1 + the coil's own deviation + scatter. Values of a stroke are published when it ends; motor current,
bearing temperature, air and lubrication every 0.2 s.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.plant.fault import Faults
from edge_agent.plant.point import Reading, Value
from edge_agent.plant.press_points import FAST, PRESS_FAULTS
from edge_agent.plant.sensor import Sensor, SensorBank

Float64 = npt.NDArray[np.float64]

MACHINE: Final = "press200"
MACHINE_NO: Final = 2
SAMPLES: Final = 256
FORCE: Final = 118.0
COIL_STROKES: Final = 120
OVERLOAD: Final = 150.0
LOW_LUBE: Final = 0.9
BEARING_TIME: Final = 900.0

_THETA: Final = np.linspace(0.0, 360.0, SAMPLES, endpoint=False)
_DEGREES: Final = 360.0 / SAMPLES
_FORMING: Final = np.where(
    (_THETA > 138) & (_THETA < 172), np.sin(np.deg2rad(90.0 * (np.clip(_THETA, 138, 172) - 138) / 34)) ** 0.8, 0.0
)
_SNAP: Final = -0.14 * np.exp(-(((_THETA - 175) / 2.2) ** 2)) * np.cos(1.2 * (_THETA - 175))
_COINING: Final = np.where((_THETA > 172) & (_THETA < 190), 0.35 * np.exp(-(((_THETA - 180) / 4) ** 2)), 0.0)

_SENSORS: Final = (
    Sensor("motor_current", noise=0.6, low=0.0, high=200.0),
    Sensor("bearing_temperature", noise=0.12, lag=5.0, drift=0.05),
    Sensor("counterbalance_air", noise=0.002, low=0.0, high=1.0),
    Sensor("lube_pressure", noise=0.03, low=0.0, high=3.0),
    Sensor("strokes_per_minute", noise=0.1, low=0.0),
)


class Press:
    """See the module's head. One step is 0.2 s. Starts running, warm, with a new coil."""

    machine = MACHINE
    dt = FAST

    def __init__(self, seed: int, *, spm: float = 40.0, coil_strokes: int = COIL_STROKES) -> None:
        """`spm`: strokes a minute. `coil_strokes`: strokes after which a new coil, of other hardness, comes."""
        self._steps = 0
        self.time = 0.0
        self.spm = spm
        self._coil_strokes = coil_strokes
        self._rng = np.random.Generator(np.random.PCG64([seed, MACHINE_NO]))
        self.faults = Faults(MACHINE, PRESS_FAULTS, (seed, MACHINE_NO))
        self._sensors = SensorBank(_SENSORS, self._rng)
        self.count = 1_204_500
        self.coil = 0
        self._first = self.count
        self._bearing = 31.1
        self._peak = 119.0
        self._ended = 0.0
        self._period = self._next_period()
        self._overload = False
        self._take_coil()

    def _take_coil(self) -> None:
        self.coil += 1
        self._hardness = float(self._rng.normal(0.0, 0.012))

    def _next_period(self) -> float:
        return 60.0 / (self.spm + float(self._rng.normal(0.0, 0.1)))

    def step(self) -> Sequence[Reading]:
        """Goes on by 0.2 s; answers the strokes that ended in it and the fast signals."""
        self._steps += 1
        self.time = self._steps * self.dt
        readings = []
        while self._ended + self._period <= self.time:
            self._ended += self._period
            readings.append(self._stroke())
            self._period = self._next_period()
        return (*readings, self._signals(self.faults.strengths(self.time, cycle=False)))

    def _signals(self, f: Mapping[str, float]) -> Reading:
        target = 31.1 + 9.0 * f["bearing"] + 14.0 * f["lube"]
        self._bearing += (target - self._bearing) / BEARING_TIME * self.dt
        ripple = 1.6 * f["counterbalance"] * float(self._rng.standard_normal())
        motor = 38.0 + 0.0385 * self._peak + 6.6 * f["bearing"] + 3.0 * f["lube"] + ripple
        air, lube = 0.52 - 0.09 * f["counterbalance"], 1.2 - 0.4 * f["lube"]
        shown = self._sensors.read(np.array([motor, self._bearing, air, lube, self.spm]), self.dt)
        values: dict[str, Value] = dict(zip(self._sensors.names, map(float, shown), strict=True))
        values |= {
            "part": "BRKT-2200",
            "coil_no": self.coil,
            "running": True,
            "mode": 3,
            "spm_setpoint": self.spm,
            "shut_height": 320.5,
            "overload_alarm": self._overload,
            "lube_alarm": float(shown[3]) < LOW_LUBE,
        }
        return Reading(self.time, values, {"bearing": round(self._bearing, 3), "hardness": self._hardness})

    def _stroke(self) -> Reading:
        f = self.faults.strengths(self._ended)
        self.count += 1
        if (self.count - self._first) % self._coil_strokes == 0:
            self._take_coil()
        left, right = self._columns(f)
        load = left + right
        self._peak = float(load.max())
        self._overload = self._peak > OVERLOAD
        return Reading(self._ended, self._stroke_values(f, left, right, load), cycle=True)

    def _columns(self, f: Mapping[str, float]) -> tuple[Float64, Float64]:
        """Left and right column, 256 samples each."""
        rng = self._rng
        material = 1.0 + self._hardness + float(rng.normal(0.0, 0.004))
        material *= 1.0 + 0.085 * f["tool_wear"] + 0.047 * f["hard_coil"] - 0.012 * f["eccentric"]
        material *= (1.0 + 0.42 * min(f["double_blank"], 1.0)) * (1.0 - 0.44 * min(f["misfeed"], 1.0))
        shape = _FORMING + (1.0 + 1.35 * f["tool_wear"]) * _SNAP + _COINING
        force = FORCE * material * shape + rng.normal(0.0, 0.35, SAMPLES)
        share = 0.5 + float(rng.normal(0.0, 0.004)) + 0.05 * f["eccentric"]
        left = force * share
        return left * (1.0 + 0.05 * f["load_cell_drift"]), force - left

    def _stroke_values(self, f: Mapping[str, float], left: Float64, right: Float64, load: Float64) -> dict[str, Value]:
        peak = int(load.argmax())
        rng = self._rng
        feed = 60.0 + float(rng.normal(0.0, 0.02)) - 24.0 * min(f["misfeed"], 1.0)
        return {
            "stroke_count": self.count,
            "peak_load": float(load[peak]),
            "load_left": float(left.max()),
            "load_right": float(right.max()),
            "load_difference": float(left.max() - right.max()),
            "snap_load": float(load.min()),
            "peak_angle": float(_THETA[peak] + rng.normal(0.0, 0.05)),
            "stroke_work": float(load.sum() * _DEGREES),
            "stop_time": 165.0 + float(rng.normal(0.0, 3.0)) + 45.0 * f["brake"],
            "cycle_time": self._period,
            "feed_length": feed,
        }
