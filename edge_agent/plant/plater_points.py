"""What the nickel line shows (OPC UA) and what can go wrong with it."""

from typing import Final

from edge_agent.model import EventClass, Label, Role
from edge_agent.plant.fault import Fault, Shape
from edge_agent.plant.point import Point, classed

STEP: Final = 2.0
"""Seconds between two values of the bath."""
RACK: Final = 1680.0
"""Seconds a rack: 2 minutes to load, 25 to plate, 1 to drain."""


def _bath(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Process.{node}", Label(ko, en), unit=unit, interval=STEP, low=0, high=high)


def _rack(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Cycle.{node}", Label(ko, en), unit=unit, interval=RACK, low=0, high=high)


_POINTS: Final = (
    Point("job", "Identification.Job", Label("작업 지시", "job"), Role.STATE, "", "String", 0),
    Point("plating", "State.Plating", Label("도금 중", "plating"), Role.STATE, "", "Boolean", 0),
    Point("acid_pump", "State.AcidPump", Label("산 투입 펌프", "acid pump"), Role.STATE, "", "Boolean", 0),
    Point("rack_count", "Cycle.RackNo", Label("랙 번호", "rack count"), Role.COUNTER, "", "UInt32", RACK),
    _rack("rack_voltage", "MeanVoltage", "랙 평균전압", "mean voltage of the rack", "V", 15),
    _rack("rack_heater", "MeanHeater", "랙 평균 히터출력", "mean heater output of the rack", "%", 100),
    _rack("acid_time", "AcidTime", "산 투입시간", "acid pump time of the rack", "s", 2000),
    _rack("refills", "Refills", "랙당 보충 횟수", "refills of the rack", "", 100),
    _bath("voltage", "RectifierVoltage", "정류기 전압", "rectifier voltage", "V", 15),
    _bath("current", "RectifierCurrent", "정류기 전류", "rectifier current", "A", 1000),
    _bath("ripple", "RectifierRipple", "리플", "ripple", "%", 100),
    _bath("temperature", "BathTemperature", "욕 온도", "bath temperature", "°C", 100),
    _bath("ph", "Ph", "pH", "pH", "", 14),
    _bath("filter_pressure", "FilterPressure", "여과기 차압", "filter differential pressure", "bar", 5),
    _bath("filter_flow", "FilterFlow", "여과 유량", "filter flow", "m³/h", 30),
    _bath("level", "BathLevel", "액위", "bath level", "%", 100),
    _bath("acid_level", "AcidTankLevel", "산 탱크 액위", "acid tank level", "%", 100),
    Point("heater_mv", "Process.HeaterMv", Label("히터 출력", "heater output"), Role.MV, "%", interval=STEP, low=0,
          high=100),
    Point("refill_count", "Process.RefillCount", Label("보충 횟수", "refills"), Role.COUNTER, "", "UInt32", STEP),
    Point("temperature_sv", "Setpoint.BathTemperature", Label("온도 설정", "temperature set value"), Role.SV, "°C",
          "Float", 0, 0, 100),
    Point("current_sv", "Setpoint.Current", Label("전류 설정", "current set value"), Role.SETPOINT, "A", "Float", 0),
)  # fmt: skip

PLATER_POINTS: Final = classed(
    _POINTS,
    machine="ripple filter_pressure filter_flow rack_heater refills refill_count",
    process="rack_voltage voltage current acid_time temperature ph level acid_level",
)

_MACHINE, _PROCESS, _INSTRUMENT = EventClass.MACHINE, EventClass.PROCESS, EventClass.INSTRUMENT
_VOLTAGE: Final = ("voltage", "rack_voltage")
_HEATER: Final = ("heater_mv", "rack_heater")

PLATER_FAULTS: Final = (
    Fault("contact", "NI-01", Shape.STEP, EventClass.OPERATOR, (*_VOLTAGE, *_HEATER)),
    Fault("anode", "NI-02", Shape.RAMP, _PROCESS, (*_VOLTAGE, *_HEATER), grow=3 * 86_400.0),
    Fault("phase_loss", "NI-03", Shape.STEP, _MACHINE, ("ripple", "voltage")),
    Fault("heater", "NI-04", Shape.STEP, _MACHINE, _HEATER),
    Fault("ph_drift", "NI-05", Shape.RAMP, _INSTRUMENT, ("acid_pump", "acid_time", "acid_level"), grow=7 * 86_400.0),
    Fault("ph_stuck", "NI-06", Shape.STEP, _INSTRUMENT, ("ph", "acid_pump", "acid_time", "acid_level")),
    Fault("dosing_stuck", "NI-07", Shape.STEP, _MACHINE, ("ph", "acid_pump", "acid_time", "acid_level")),
    Fault("filter", "NI-08", Shape.RAMP, _MACHINE, ("filter_pressure", "filter_flow"), grow=3600.0),
    Fault("leak", "NI-09", Shape.STEP, _MACHINE, ("refill_count", "refills", "level")),
    Fault("area_error", "NI-10", Shape.STEP, EventClass.OPERATOR, (*_VOLTAGE, *_HEATER)),
)  # fmt: skip
