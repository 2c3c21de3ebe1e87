"""What the die-casting machine shows (OPC UA) and what can go wrong with it."""

from typing import Final

from edge_agent.model import EventClass, Label, Role
from edge_agent.plant.fault import Fault, Shape
from edge_agent.plant.point import Point, classed

SHOT: Final = 45.0
"""Nominal seconds from shot to shot; growth times below are counted in shots of this length."""


def _shot(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Cycle.{node}", Label(ko, en), unit=unit, interval=SHOT, low=0, high=high)


def _second(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Process.{node}", Label(ko, en), unit=unit, low=0, high=high)


_POINTS: Final = (
    Point("part", "Identification.PartId", Label("제품", "part"), Role.STATE, "", "String", 0),
    Point("running", "State.Running", Label("운전 중", "running"), Role.STATE, "", "Boolean", 0),
    Point("warm_up", "State.WarmUp", Label("예열 중", "warming up"), Role.STATE, "", "Boolean", 0),
    Point("shot_count", "Cycle.ShotNo", Label("쇼트 수", "shot count"), Role.COUNTER, "", "UInt32", SHOT),
    _shot("cycle_time", "CycleTime", "사이클 타임", "cycle time", "s", 200),
    _shot("slow_velocity", "V1", "저속 사출속도", "slow shot velocity", "m/s", 1),
    _shot("fast_velocity", "V2", "고속 사출속도", "fast shot velocity", "m/s", 8),
    _shot("gate_velocity", "GateVelocity", "게이트 속도", "gate velocity", "m/s", 120),
    _shot("switch_position", "SwitchPos", "고속 전환위치", "switch-over position", "mm", 700),
    _shot("slow_pressure", "SlowPressure", "저속 압력", "slow shot pressure", "MPa", 20),
    _shot("fill_time", "FillTime", "충전시간", "fill time", "ms", 500),
    _shot("rise_time", "PressureRiseTime", "승압시간", "pressure rise time", "ms", 500),
    _shot("casting_pressure", "CastingPressure", "주조압력", "casting pressure", "MPa", 150),
    _shot("end_pressure", "PressureEnd", "보압 종료압력", "pressure at the end", "MPa", 150),
    _shot("biscuit", "BiscuitThickness", "비스킷 두께", "biscuit thickness", "mm", 100),
    _shot("clamp_force", "ClampForce", "형체력", "clamping force", "kN", 5000),
    _shot("vacuum", "VacuumAtFast", "진공도", "vacuum at the fast phase", "mbar", 1013),
    _shot("spray_time", "SprayTime", "스프레이 시간", "spray time", "s", 30),
    _shot("die_fixed", "DieTempFix", "고정금형 온도", "fixed die temperature", "°C", 500),
    _shot("die_moving", "DieTempMov", "가동금형 온도", "moving die temperature", "°C", 500),
    _second("melt_pv", "MeltTempPv", "용탕 온도", "melt temperature", "°C", 1300),
    Point("melt_sv", "Setpoint.MeltTemp", Label("용탕 설정온도", "melt set value"), Role.SV, "°C", "Float", 0, 0, 1300),
    Point("melt_mv", "Process.MeltTempMv", Label("보온로 출력", "holding furnace output"), Role.MV, "%", low=0,
          high=100),
    *(_second(f"cooling_flow{n}", f"CoolingFlow{n}", f"냉각수 유량 {n}", f"cooling flow {n}", "l/min", 60)
      for n in (1, 2, 3, 4)),
    _second("cool_in", "CoolInTemp", "냉각수 입구온도", "cooling water in", "°C", 100),
    _second("cool_out", "CoolOutTemp", "냉각수 출구온도", "cooling water out", "°C", 100),
    _second("oil_temperature", "HydOilTemp", "작동유 온도", "hydraulic oil temperature", "°C", 120),
    _second("accumulator", "AccumulatorN2", "축압기 질소압", "accumulator nitrogen", "bar", 250),
    _second("pump_current", "PumpCurrent", "펌프 전류", "pump current", "A", 200),
    Point("reject", "Alarm.Reject", Label("불량 판정", "reject"), Role.ALARM, "", "Boolean", 0),
)  # fmt: skip

CASTER_POINTS: Final = classed(
    _POINTS,
    machine="cycle_time slow_velocity fast_velocity switch_position slow_pressure casting_pressure end_pressure "
    "clamp_force vacuum spray_time die_fixed die_moving cooling_flow1 cooling_flow2 cooling_flow3 cooling_flow4 "
    "cool_in cool_out oil_temperature accumulator pump_current",
    process="gate_velocity fill_time rise_time biscuit melt_pv",
)

_SHOT: Final = ("fast_velocity", "gate_velocity", "fill_time", "rise_time", "reject")
_DIES: Final = ("die_fixed", "die_moving")
_MACHINE, _PROCESS, _INSTRUMENT = EventClass.MACHINE, EventClass.PROCESS, EventClass.INSTRUMENT

CASTER_FAULTS: Final = (
    Fault("short_dose", "DC-01", Shape.STEP, _PROCESS, ("biscuit", "fill_time", "reject", *_DIES)),
    Fault("tip_wear", "DC-02", Shape.RAMP, _MACHINE, ("slow_velocity", "slow_pressure", *_SHOT), grow=2000 * SHOT),
    Fault("accu_n2", "DC-03", Shape.RAMP, _MACHINE, ("accumulator", "biscuit", *_SHOT), grow=800 * SHOT),
    Fault("switch_slip", "DC-04", Shape.STEP, _INSTRUMENT, ("fill_time",)),
    Fault("intens_leak", "DC-05", Shape.RAMP, _MACHINE, ("casting_pressure", "end_pressure", "reject"),
          grow=500 * SHOT),
    Fault("cool_scale", "DC-06", Shape.RAMP, _MACHINE,
          (*_DIES, "cool_out", *(f"cooling_flow{n}" for n in (1, 2, 3, 4))), grow=3000 * SHOT),
    Fault("spray_clog", "DC-07", Shape.STEP, _MACHINE, ("die_fixed",)),
    Fault("vac_clog", "DC-08", Shape.RAMP, _MACHINE, ("vacuum",), grow=300 * SHOT),
    Fault("tc_drift", "DC-09", Shape.RAMP, _INSTRUMENT, ("melt_mv", "biscuit", "fill_time"), grow=86400.0),
    Fault("cold_start", "DC-00", Shape.STEP, EventClass.OPERATOR, ("warm_up", *_DIES)),
)  # fmt: skip
"""`cold_start` is a trap: after a stop the first shots are cold, `warm_up` says so, and nothing must alarm."""
