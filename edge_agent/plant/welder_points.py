"""What the welding robot shows (OPC UA) and what can go wrong with it."""

from typing import Final

from edge_agent.model import EventClass, Label, Role
from edge_agent.plant.fault import Fault, Shape
from edge_agent.plant.point import Point, classed

FAST: Final = 0.05
"""Seconds between two averages of the arc."""
BEAD: Final = 26.3
"""Mean seconds from bead to bead; growth times below are counted in beads of this length."""


def _bead(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Cycle.{node}", Label(ko, en), unit=unit, interval=BEAD, low=0, high=high)


def _fast(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Process.{node}", Label(ko, en), unit=unit, interval=FAST, low=0, high=high)


_POINTS: Final = (
    Point("part", "Identification.PartId", Label("제품", "part"), Role.STATE, "", "String", 0),
    Point("welding", "State.Welding", Label("용접 중", "welding"), Role.STATE, "", "Boolean", 0),
    Point("bead_count", "Cycle.BeadNo", Label("비드 수", "bead count"), Role.COUNTER, "", "UInt32", BEAD),
    _bead("current_mean", "CurrentMean", "비드 평균전류", "mean current of the bead", "A", 600),
    _bead("current_deviation", "CurrentDeviation", "비드 전류 편차", "deviation of the current", "A", 300),
    _bead("current_min", "CurrentMin", "비드 최소전류", "lowest current of the bead", "A", 600),
    _bead("current_max", "CurrentMax", "비드 최대전류", "highest current of the bead", "A", 900),
    _bead("voltage_mean", "VoltageMean", "비드 평균전압", "mean voltage of the bead", "V", 100),
    _bead("voltage_deviation", "VoltageDeviation", "비드 전압 편차", "deviation of the voltage", "V", 50),
    _bead("shorts", "ShortCircuitRate", "단락 빈도", "short circuits a second", "1/s", 500),
    _bead("weld_time", "WeldTime", "용접시간", "welding time", "s", 60),
    _bead("start_time", "ArcStartTime", "아크 발생시간", "arc start time", "s", 10),
    _bead("start_tries", "ArcStartTries", "아크 발생 시도", "arc start tries", "", 20),
    _fast("current", "Current", "용접전류", "welding current", "A", 900),
    _fast("voltage", "Voltage", "용접전압", "welding voltage", "V", 100),
    _fast("wire_speed", "WireSpeed", "송급속도", "wire speed", "m/min", 30),
    _fast("gas_flow", "GasFlow", "보호가스 유량", "shielding gas flow", "l/min", 40),
    _fast("feeder_current", "FeederCurrent", "송급모터 전류", "feeder motor current", "A", 20),
    _fast("travel_speed", "TravelSpeed", "용접속도", "travel speed", "mm/s", 50),
)

WELDER_POINTS: Final = classed(
    _POINTS,
    machine="start_time start_tries weld_time wire_speed feeder_current",
    process="current_mean current_deviation current_min current_max voltage_mean voltage_deviation shorts "
    "current voltage gas_flow travel_speed",
)

_ARC: Final = ("current", "current_mean", "current_min", "current_max", "current_deviation")
_VOLTS: Final = ("voltage", "voltage_mean", "voltage_deviation")
_MACHINE, _PROCESS, _OPERATOR = EventClass.MACHINE, EventClass.PROCESS, EventClass.OPERATOR

WELDER_FAULTS: Final = (
    Fault("gas_loss", "WD-01", Shape.STEP, _PROCESS, ("gas_flow", "shorts", *_ARC, *_VOLTS)),
    Fault("tip_wear", "WD-02", Shape.RAMP, _MACHINE, ("shorts", *_VOLTS, *_ARC), grow=400 * BEAD),
    Fault("feed_slip", "WD-03", Shape.STEP, _MACHINE, ("wire_speed", "feeder_current", *_ARC, *_VOLTS)),
    Fault("ctwd", "WD-04", Shape.STEP, _PROCESS, _ARC),
    Fault("ground", "WD-05", Shape.WALK, _MACHINE, _VOLTS, grow=600.0),
    Fault("gap", "WD-06", Shape.BURST, _PROCESS, (*_ARC, *_VOLTS), grow=20.0),
    Fault("no_arc_start", "WD-07", Shape.INTERMITTENT, _MACHINE, ("start_time", "start_tries"), chance=0.05),
    Fault("wrong_job", "WD-08", Shape.STEP, _OPERATOR, ("wire_speed", *_ARC, *_VOLTS)),
    Fault("wire_runout", "WD-09", Shape.STEP, _PROCESS, (*_ARC, *_VOLTS)),
)
