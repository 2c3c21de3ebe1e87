"""Registers: what the furnace's instruments answer, at the addresses of the real devices.

Autonics TK (manual, mapping table): input registers (function 04) 1000… and holding registers (function 03) 0… and 50….
Schneider iEM3000: holding registers 2999… as float32 ABCD and 3203… as int64. Addresses are wire addresses (from 0).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_agent.plant.furnace_points import METER_POINTS, ZONE_POINTS, ZONES
from edge_agent.plant.point import Value

HOLDING: Final = 3
INPUT: Final = 4
SENSOR_OPEN: Final = 31000
"""What a TK shows for a broken thermocouple."""
METER_UNIT: Final = 4
METER_FIRST: Final = 2999
METER_WORDS: Final = 112
METER_FLOATS: Final[Mapping[str, int]] = {
    "current_l1": 2999,
    "current_l2": 3001,
    "current_l3": 3003,
    "voltage_l1": 3027,
    "voltage_l2": 3029,
    "voltage_l3": 3031,
    "power": 3059,
    "frequency": 3109,
}
METER_ENERGY: Final = 3203

Image = Mapping[tuple[int, int], list[int]]
"""(function, first address) -> words."""


@dataclass(frozen=True, slots=True)
class Register:
    """Where a tag is on the bus. `scale`: value = raw · scale."""

    unit: int
    function: int
    address: int
    type: str
    scale: float = 1.0
    open_sensor: bool = False
    """The raw value SENSOR_OPEN is no measurement."""


def registers() -> dict[str, Register]:
    """Every tag of the furnace's instruments and its register, in the order of the units."""
    found: dict[str, Register] = {}
    for unit, (pv, sv, mv, current) in enumerate(ZONE_POINTS, start=1):
        found[pv.name] = Register(unit, INPUT, 1000, "int16", 0.1, open_sensor=True)
        found[sv.name] = Register(unit, INPUT, 1003, "int16", 0.1)
        found[mv.name] = Register(unit, INPUT, 1004, "uint16", 0.1)
        found[current.name] = Register(unit, INPUT, 1007, "uint16", 0.1)
    for point in METER_POINTS:
        address = METER_FLOATS.get(point.name)
        energy = address is None
        found[point.name] = Register(
            METER_UNIT, HOLDING, METER_ENERGY if address is None else address, "int64" if energy else "float32"
        )
    return found


def raw_of(value: Value, register: Register) -> int | float:
    """The number that stands in the register for a value; SENSOR_OPEN for a sensor that failed."""
    if value is None:
        return SENSOR_OPEN
    if register.type == "float32":
        return float(struct.unpack(">f", struct.pack(">f", float(value)))[0])
    return round(float(value) / register.scale) if register.scale != 1.0 else int(value)


def images(values: Mapping[str, Value]) -> dict[int, Image]:
    """Unit -> all its registers, for the furnace's present values."""
    units: dict[int, Image] = {zone: _temperature_controller(values, zone) for zone in range(1, ZONES + 1)}
    return units | {METER_UNIT: _power_meter(values)}


def _temperature_controller(values: Mapping[str, Value], zone: int) -> Image:
    pv, sv, mv, current = (_tenths(values[f"zone{zone}_{part}"]) for part in ("pv", "sv", "mv", "current"))
    decimals, celsius, cooling = 1, 0, 0
    out1 = int(mv > 0) << 3
    high_alarm = sv + 300
    return {
        (INPUT, 1000): [pv, decimals, celsius, sv, mv, cooling, out1, current],
        (HOLDING, 0): [sv, mv, cooling, 0],
        (HOLDING, 50): [0, 0, current, 0, high_alarm, 0, high_alarm],
    }


def _tenths(value: Value) -> int:
    return SENSOR_OPEN if value is None else round(float(value) * 10.0) & 0xFFFF


def _power_meter(values: Mapping[str, Value]) -> Image:
    measured = {name: float(values[name] or 0.0) for name in METER_FLOATS}
    amperes = [measured[f"current_l{phase}"] for phase in (1, 2, 3)]
    volts = [measured[f"voltage_l{phase}"] for phase in (1, 2, 3)]
    phases = [a * v / 1000.0 for a, v in zip(amperes, volts, strict=True)]
    at = {address: measured[name] for name, address in METER_FLOATS.items()}
    at |= {3009: sum(amperes) / 3, 3035: sum(volts) / 3}
    at |= dict(zip((3053, 3055, 3057), phases, strict=True))
    at |= {3067: 0.18 * measured["power"], 3075: 1.016 * measured["power"]}
    block = bytearray(2 * METER_WORDS)
    for address, value in at.items():
        struct.pack_into(">f", block, 2 * (address - METER_FIRST), value)
    energy = struct.pack(">qq", int(values["energy"] or 0), 0)
    return {(HOLDING, METER_FIRST): _words(bytes(block)), (HOLDING, METER_ENERGY): _words(energy)}


def _words(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))
