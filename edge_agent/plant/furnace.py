"""The heat-treatment furnace `ht1`: a three-zone batch carburising furnace with an integral oil quench.

Recipe: load (850 °C) → heat to 930 until the core is at 922 → carburise 2 h (Cp 1.05) → diffuse 1 h (0.80) → cool to
850 → soak 20 min → quench in oil 20 min. Per zone, temperatures in °C (T_K in K), powers in kW:

    C dT/dt   = P·u - U·(T-25) - q - 0.12·door·(T-25) + k·(difference to the neighbours)
    C_l dT_l  = q ,  q = 1.5e-11·(T_K⁴ - T_l,K⁴)·fan^0.6
    900 s·dCp = 0.20 + 2.0·g·(1-leak) - Cp

Closed loops hide faults from the process values: a leaking door or a broken element leaves the temperatures as they
are and shows in the heater outputs, the gas valve and the energy.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.plant.controller import PiController
from edge_agent.plant.fault import Faults
from edge_agent.plant.furnace_points import FURNACE_FAULTS, PHASES, ZONE_POINTS, ZONES
from edge_agent.plant.point import Reading, Value
from edge_agent.plant.sensor import Sensor, SensorBank

Float64 = npt.NDArray[np.float64]

MACHINE: Final = "ht1"
MACHINE_NO: Final = 1
HEAT_CAPACITY: Final = np.array([110.0, 95.0, 110.0])
HEATER_POWER: Final = np.array([75.0, 60.0, 75.0])
LOSS: Final = np.array([0.030, 0.022, 0.034])
COUPLING: Final = 0.06
_NEIGHBOURS: Final = COUPLING * np.array([[-1.0, 1.0, 0.0], [1.0, -2.0, 1.0], [0.0, 1.0, -1.0]])
LOAD_CAPACITY: Final = 100.0
RADIATION: Final = 1.5e-11
AMBIENT: Final = 25.0
DOOR_LOSS: Final = 0.12
DOOR_OPEN: Final = 30.0
"""Seconds that the door stands open while a charge goes in."""
LEAK_DOOR: Final = 0.09 * np.array([1.0, 0.8, 1.1])
"""A worn door seal, as a share of an open door per zone: heater output +0.13 each."""
LEAK_GAS: Final = 0.346
"""The same for the atmosphere: gas valve 0.43 → 0.65."""
FAN_LOSS: Final = 0.70
"""Share of the circulation that a failing fan loses."""
WELDED: Final = 0.65
"""Mean power of a zone whose contactor has welded, as a share of the full power."""
OIL_CAPACITY: Final = 5200.0 * 1.83
OIL_TEMPERATURE: Final = 60.0
OVER_TEMPERATURE: Final = 960.0
FAN_POWER: Final = 5.5
AUXILIARY_POWER: Final = 2.6
LINE_VOLTAGE: Final = 0.38
"""kV between phases; each heater zone hangs on one phase to neutral, the auxiliaries on all three."""
PHASE_VOLTAGE: Final = 220.0
FULL_CURRENT: Final = HEATER_POWER / (np.sqrt(3.0) * LINE_VOLTAGE)
RECIPES: Final = ("SCM415-0.8mm", "SCM420-1.0mm", "SCr420-0.6mm")
SET_TEMPERATURE: Final = {"load": 850.0, "cool": 850.0, "soak": 850.0, "quench": 850.0}
SET_CARBON: Final = {"load": 0.40, "heat": 0.40, "carburise": 1.05}
DURATION: Final = {"load": 300.0, "carburise": 7200.0, "diffuse": 3600.0, "soak": 1200.0, "quench": 1200.0}

_ZONE_NAMES: Final = tuple(tuple(point.name for point in points) for points in ZONE_POINTS)
_SENSORS: Final = (
    *(Sensor(f"zone{zone}_pv", noise=0.25, drift=0.35) for zone in range(1, ZONES + 1)),
    *(Sensor(f"zone{zone}_current", noise=0.35, resolution=0.1, low=0.0) for zone in range(1, ZONES + 1)),
    Sensor("core_temperature", noise=0.30, lag=60.0),
    Sensor("overtemp_pv", noise=0.30, drift=0.1, lag=8.0, offset=1.2),
    Sensor("carbon_potential", noise=0.006),
    Sensor("carrier_gas", noise=0.05),
    Sensor("furnace_pressure", noise=0.8),
    Sensor("fan_current", noise=0.06),
    Sensor("agitator_current", noise=0.05),
    Sensor("oil_temperature", noise=0.15, lag=10.0),
    Sensor("current_l1", noise=0.4, low=0.0),
    Sensor("current_l2", noise=0.4, low=0.0),
    Sensor("current_l3", noise=0.4, low=0.0),
    Sensor("voltage_l1", noise=0.35),
    Sensor("voltage_l2", noise=0.35),
    Sensor("voltage_l3", noise=0.35),
    Sensor("power", noise=0.15, low=0.0),
    Sensor("frequency", noise=0.012),
)


class Furnace:
    """See the module's head. One step is one second. Starts in the middle of carburising, everything settled."""

    machine = MACHINE
    dt = 1.0

    def __init__(self, seed: int, *, phase: str = "carburise", phase_time: float = 1200.0) -> None:
        """`phase` and `phase_time` (seconds): where in the recipe the furnace starts, in equilibrium."""
        self._steps = 0
        self.time = 0.0
        self._rng = np.random.Generator(np.random.PCG64([seed, MACHINE_NO]))
        self.faults = Faults(MACHINE, FURNACE_FAULTS, (seed, MACHINE_NO))
        self._sensors = SensorBank(_SENSORS, self._rng)
        self.phase = [name for name, _, _ in PHASES].index(phase)
        self.phase_time = phase_time
        self.charge = 1
        self._recipe = RECIPES[0]
        self.energy = 184_250_000.0
        self._settle()

    def _settle(self) -> None:
        """Puts every state where it would come to rest in the present phase."""
        self.temperature = np.full(ZONES, self.set_temperature)
        self.load = np.full(ZONES, self.set_temperature)
        self.capacity = np.full(ZONES, LOAD_CAPACITY)
        self.output = LOSS * (self.set_temperature - AMBIENT) / HEATER_POWER
        self._heat = PiController(0.02, 900.0, self.output)
        self.carbon = self.set_carbon
        self.valve = (self.set_carbon - 0.20) / 2.0
        self._gas = PiController(2.0, 1500.0, np.array([self.valve - 0.35]), bias=0.35)
        self.oil = OIL_TEMPERATURE
        self._power = HEATER_POWER * self.output
        self._shown = self._sensors.read(self._true(1.0, 1.0), self.dt)

    @property
    def phase_name(self) -> str:
        """The recipe phase, by its name in `PHASES`."""
        return PHASES[self.phase][0]

    @property
    def set_temperature(self) -> float:
        """Set value of all zones, °C."""
        return SET_TEMPERATURE.get(self.phase_name, 930.0)

    @property
    def set_carbon(self) -> float:
        """Set value of the carbon potential, %C."""
        return SET_CARBON.get(self.phase_name, 0.80)

    def step(self) -> Sequence[Reading]:
        """Goes on by one second; answers one reading of everything."""
        self._steps += 1
        self.time = self._steps * self.dt
        f = self.faults.strengths(self.time)
        self._control(f)
        self._move_heat(f)
        self._move_gas(f)
        self._move_oil(f)
        self.energy += float(self._power.sum() + self._auxiliary()) / 3.6 * self.dt
        self._sensors.offset[1] = -12.0 * f["tc_drift"]
        self._sensors.offset[8] = -0.10 * f["soot"]
        self._shown = self._sensors.read(self._true(self._fan(f), 1.0 - 0.66 * f["agitator"]), self.dt)
        self._go_on()
        return (Reading(self.time, self._values(f), self._truth()),)

    def _control(self, f: Mapping[str, float]) -> None:
        open_circuit = f["tc_open"] > 0
        measured = self._shown[:ZONES].copy()
        self.output = self._heat.output(self.set_temperature - measured, self.dt)
        if open_circuit:
            self.output[1] = 0.0
        health = np.array([1.0 - f["element"] / 3.0, 1.0, 1.0])
        driven = self.output.copy()
        driven[1] = max(float(driven[1]), WELDED * f["ssr_on"])
        self._power = HEATER_POWER * health * driven
        self._full = FULL_CURRENT * health

    def _fan(self, f: Mapping[str, float]) -> float:
        return 1.0 - FAN_LOSS * f["fan"]

    def _move_heat(self, f: Mapping[str, float]) -> None:
        t = self.temperature
        quenched = self.phase_name == "quench"
        flow = np.zeros(ZONES)
        if not quenched:
            flow = RADIATION * ((t + 273.15) ** 4 - (self.load + 273.15) ** 4) * self._fan(f) ** 0.6
            self.load = self.load + flow / self.capacity * self.dt
        neighbours = _NEIGHBOURS @ t
        door = float(self.door_open) + LEAK_DOOR * f["door_leak"]
        gain = self._power - LOSS * (t - AMBIENT) - flow - DOOR_LOSS * door * (t - AMBIENT) + neighbours
        self.temperature = t + gain / HEAT_CAPACITY * self.dt

    def _move_gas(self, f: Mapping[str, float]) -> None:
        error = np.array([self.set_carbon - self._shown[8]])
        self.valve = float(self._gas.output(error, self.dt)[0])
        effect = 2.0 * self.valve * (1.0 - LEAK_GAS * f["door_leak"])
        self.carbon += (0.20 + effect - self.carbon) / 900.0 * self.dt

    def _move_oil(self, f: Mapping[str, float]) -> None:
        rest = OIL_TEMPERATURE + 18.0 * f["oil_cooler"]
        self.oil += (rest - self.oil) / 1500.0 * self.dt
        if self.phase_name == "quench":
            agitation = 1.0 - 0.75 * f["agitator"]
            cooled = (self.load - self.oil) / (60.0 / agitation**0.7) * self.dt
            self.load = self.load - cooled
            self.oil += float((self.capacity * cooled).sum()) / OIL_CAPACITY

    @property
    def door_open(self) -> bool:
        """Whether a charge is just going in."""
        return self.phase_name == "load" and self.phase_time < DOOR_OPEN

    def _go_on(self) -> None:
        self.phase_time += self.dt
        match self.phase_name:
            case "heat":
                over = float(self.load.min()) >= 922.0
            case "cool":
                over = float(self._shown[:ZONES].max()) <= 853.0
            case name:
                over = self.phase_time >= DURATION[name]
        if over:
            self.phase = (self.phase + 1) % len(PHASES)
            self.phase_time = 0.0
            if self.phase == 0:
                self._take_charge()

    def _take_charge(self) -> None:
        self.charge += 1
        self._recipe = RECIPES[self.charge % len(RECIPES)]
        self.load = np.full(ZONES, AMBIENT)
        self.capacity = np.full(ZONES, LOAD_CAPACITY * (1.0 + 0.08 * float(self._rng.uniform(-1.0, 1.0))))

    def _auxiliary(self) -> float:
        return FAN_POWER + AUXILIARY_POWER

    def _true(self, fan: float, agitator: float) -> Float64:
        """True values in the order of the sensors."""
        full = getattr(self, "_full", FULL_CURRENT)
        auxiliary = self._auxiliary()
        currents = (self._power + auxiliary / 3.0) * 1000.0 / PHASE_VOLTAGE
        voltages = PHASE_VOLTAGE - 0.004 * currents
        core = float(self.load.sum()) / ZONES
        single = (core, float(self.temperature[1]), self.carbon, 12.0, 20.0, 6.0 + 5.4 * fan, 6.2 * agitator, self.oil)
        power = float(self._power.sum()) + auxiliary
        return np.concatenate((self.temperature, full, single, currents, voltages, (power, 60.0)))

    def _truth(self) -> dict[str, float]:
        one, two, three = (round(t, 3) for t in self.temperature.tolist())
        core = round(float(self.load.sum()) / ZONES, 3)
        return {"zone1": one, "zone2": two, "zone3": three, "core": core, "carbon": round(self.carbon, 5)}

    def _values(self, f: Mapping[str, float]) -> dict[str, Value]:
        measured = self._shown.tolist()
        shown: dict[str, Value] = dict(zip(self._sensors.names, measured, strict=True))
        open_circuit = f["tc_open"] > 0
        for zone, output in enumerate(self.output.tolist()):
            pv, sv, mv, _ = _ZONE_NAMES[zone]
            shown[pv] = None if open_circuit and zone == 1 else round(measured[zone], 1)
            shown[sv] = self.set_temperature
            shown[mv] = round(output * 100.0, 1)
        return shown | self._states(open_circuit)

    def _states(self, open_circuit: bool) -> dict[str, Value]:
        _, ko, en = PHASES[self.phase]
        return {
            "chamber_mean": None if open_circuit else float(self._shown[:ZONES].sum()) / ZONES,
            "gas_valve": self.valve * 100.0,
            "energy": int(self.energy),
            "charge_no": self.charge,
            "recipe": self._recipe,
            "phase": self.phase,
            "phase_name": f"{ko} {en}",
            "phase_time": int(self.phase_time),
            "door_open": self.door_open,
            "cp_sv": self.set_carbon,
            "temperature_sv": self.set_temperature,
            "overtemp_alarm": float(self._shown[7]) > OVER_TEMPERATURE,
            "burnout_alarm": open_circuit,
        }
