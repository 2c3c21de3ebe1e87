"""What the injection moulding machine shows (OPC UA) and what can go wrong with it."""

from typing import Final

from edge_agent.model import EventClass, Label, Role
from edge_agent.plant.fault import Fault, Shape
from edge_agent.plant.point import Point, classed

CYCLE: Final = 30.2
"""Nominal seconds a cycle; growth times below are counted in cycles of this length."""


def _cycle(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Cycle.{node}", Label(ko, en), unit=unit, interval=CYCLE, low=0, high=high)


def _second(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Process.{node}", Label(ko, en), unit=unit, low=0, high=high)


_POINTS: Final = (
    Point("part", "Identification.PartId", Label("제품", "part"), Role.STATE, "", "String", 0),
    Point("lot", "Identification.MaterialLot", Label("수지 로트", "resin lot"), Role.STATE, "", "UInt32", 0),
    Point("running", "State.Running", Label("운전 중", "running"), Role.STATE, "", "Boolean", 0),
    Point("shot_count", "Cycle.ShotCount", Label("쇼트 수", "shot count"), Role.COUNTER, "", "UInt32", CYCLE),
    _cycle("cycle_time", "CycleTime", "사이클 타임", "cycle time", "s", 120),
    _cycle("injection_time", "InjectionTime", "사출시간", "injection time", "s", 20),
    _cycle("transfer_pressure", "TransferPressure", "절환압력", "transfer pressure", "MPa", 250),
    _cycle("cavity_pressure", "CavityPressure", "형내압 최대", "peak cavity pressure", "MPa", 150),
    _cycle("cushion", "Cushion", "쿠션량", "cushion", "mm", 50),
    _cycle("dosing_time", "PlasticisingTime", "계량시간", "plasticising time", "s", 60),
    _cycle("screw_torque", "ScrewTorque", "스크류 토크", "screw torque", "%", 120),
    _cycle("melt_temperature", "MeltTemperature", "수지온도", "melt temperature", "°C", 450),
    _cycle("clamp_force", "ClampForce", "형체력", "clamping force", "kN", 2000),
    _second("mould_a", "MouldTemperatureA", "고정측 금형온도", "mould temperature, fixed half", "°C", 200),
    _second("mould_b", "MouldTemperatureB", "가동측 금형온도", "mould temperature, moving half", "°C", 200),
    _second("water_in", "WaterIn", "금형수 입구온도", "mould water in", "°C", 150),
    _second("water_out", "WaterOut", "금형수 출구온도", "mould water out", "°C", 150),
    _second("water_flow", "WaterFlow", "금형수 유량", "mould water flow", "l/min", 60),
    _second("barrel_pv", "BarrelPv", "실린더 온도", "barrel temperature", "°C", 450),
    Point("barrel_sv", "Setpoint.Barrel", Label("실린더 설정온도", "barrel set value"), Role.SV, "°C", "Float", 0, 0,
          450),
    Point("barrel_mv", "Process.BarrelMv", Label("실린더 히터출력", "barrel heater output"), Role.MV, "%", low=0,
          high=100),
)  # fmt: skip

MOULDER_POINTS: Final = classed(
    _POINTS,
    machine="cycle_time injection_time cushion dosing_time screw_torque clamp_force mould_a mould_b water_in water_out "
    "water_flow barrel_pv",
    process="transfer_pressure cavity_pressure melt_temperature",
)

_MACHINE, _PROCESS = EventClass.MACHINE, EventClass.PROCESS

MOULDER_FAULTS: Final = (
    Fault("check_ring", "IM-01", Shape.RAMP, _MACHINE, ("cushion", "cavity_pressure"), grow=5000 * CYCLE),
    Fault("water_clog", "IM-02", Shape.RAMP, _MACHINE,
          ("water_flow", "mould_a", "mould_b", "water_out", "transfer_pressure"), grow=1000 * CYCLE),
    Fault("chiller", "IM-03", Shape.EXP, _MACHINE,
          ("water_in", "water_out", "mould_a", "mould_b", "transfer_pressure"), grow=1800.0),
    Fault("heater_band", "IM-04", Shape.STEP, _MACHINE,
          ("barrel_pv", "barrel_mv", "melt_temperature", "transfer_pressure", "cavity_pressure", "screw_torque",
           "dosing_time")),
    Fault("vent", "IM-05", Shape.RAMP, _MACHINE, ("cavity_pressure",), grow=2000 * CYCLE),
    Fault("wet", "IM-06", Shape.STEP, _PROCESS, ("transfer_pressure", "cavity_pressure")),
    Fault("hopper", "IM-07", Shape.INTERMITTENT, EventClass.OPERATOR, ("dosing_time", "cycle_time"), chance=0.3),
    Fault("tie", "IM-08", Shape.RAMP, _MACHINE, ("clamp_force",), grow=2000 * CYCLE),
    Fault("mould_wear", "IM-09", Shape.RAMP, _MACHINE, ("cavity_pressure",), grow=20_000 * CYCLE),
)  # fmt: skip
