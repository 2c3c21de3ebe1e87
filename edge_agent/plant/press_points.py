"""What the press shows (OPC UA) and what can go wrong with it."""

from typing import Final

from edge_agent.model import EventClass, Label, Role
from edge_agent.plant.fault import Fault, Shape
from edge_agent.plant.point import Point, classed

STROKE: Final = 1.5
"""Nominal seconds a stroke at 40 strokes a minute; growth times below are counted in strokes of this length."""
FAST: Final = 0.2
"""Seconds between two values of the signals that do not wait for a stroke."""


def _stroke(name: str, node: str, ko: str, en: str, unit: str, high: float, *, low: float = 0.0) -> Point:
    return Point(name, f"Cycle.{node}", Label(ko, en), unit=unit, interval=STROKE, low=low, high=high)


def _fast(name: str, node: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Process.{node}", Label(ko, en), unit=unit, interval=FAST, low=0, high=high)


_POINTS: Final = (
    Point("part", "Identification.PartId", Label("제품", "part"), Role.STATE, "", "String", 0),
    Point("coil_no", "Identification.CoilNo", Label("코일 번호", "coil number"), Role.STATE, "", "UInt32", 0),
    Point("running", "State.Running", Label("운전 중", "running"), Role.STATE, "", "Boolean", 0),
    Point("mode", "State.Mode", Label("운전 모드", "mode"), Role.STATE, "", "UInt16", 0),
    Point("stroke_count", "Cycle.StrokeCount", Label("행정 수", "stroke count"), Role.COUNTER, "", "UInt32", STROKE),
    _stroke("peak_load", "PeakLoad", "최대 하중", "peak load", "tonf", 250),
    _stroke("load_left", "LoadLeft", "좌측 하중", "left load", "tonf", 150),
    _stroke("load_right", "LoadRight", "우측 하중", "right load", "tonf", 150),
    _stroke("load_difference", "LoadDifference", "좌우 하중차", "left-right difference", "tonf", 100, low=-100),
    _stroke("snap_load", "SnapLoad", "파단 반력", "snap-through load", "tonf", 20, low=-100),
    _stroke("peak_angle", "PeakAngle", "최대하중 각도", "angle of peak load", "°", 360),
    _stroke("stroke_work", "Work", "성형 일량", "work per stroke", "tonf·°", 10_000),
    _stroke("stop_time", "StopTime", "정지시간", "stopping time", "ms", 500),
    _stroke("cycle_time", "CycleTime", "사이클 타임", "cycle time", "s", 10),
    _stroke("feed_length", "FeedLength", "이송 길이", "feed length", "mm", 200),
    _fast("motor_current", "MotorCurrent", "주모터 전류", "main motor current", "A", 200),
    _fast("bearing_temperature", "BearingTemperature", "베어링 온도", "main bearing temperature", "°C", 150),
    _fast("counterbalance_air", "CounterbalanceAir", "카운터밸런스 공압", "counterbalance air", "MPa", 1),
    _fast("lube_pressure", "LubePressure", "윤활유 압력", "lubrication pressure", "MPa", 3),
    _fast("strokes_per_minute", "StrokesPerMinute", "분당 행정수", "strokes per minute", "spm", 120),
    Point("spm_setpoint", "Setpoint.StrokesPerMinute", Label("행정수 설정", "speed set value"), Role.SETPOINT, "spm",
          "Float", 0),
    Point("shut_height", "Setpoint.ShutHeight", Label("다이하이트 설정", "shut height"), Role.SETPOINT, "mm", "Float",
          0),
    Point("overload_alarm", "Alarm.Overload", Label("과부하 경보", "overload alarm"), Role.ALARM, "", "Boolean", 0),
    Point("lube_alarm", "Alarm.Lubrication", Label("윤활 경보", "lubrication alarm"), Role.ALARM, "", "Boolean", 0),
)  # fmt: skip

PRESS_POINTS: Final = classed(
    _POINTS,
    machine="load_difference stop_time cycle_time motor_current bearing_temperature counterbalance_air lube_pressure "
    "strokes_per_minute",
    process="peak_load load_left load_right snap_load peak_angle stroke_work feed_length",
)

_LOADS: Final = ("peak_load", "load_left", "load_right", "stroke_work")

PRESS_FAULTS: Final = (
    Fault(
        "tool_wear",
        "PR-01",
        Shape.RAMP,
        EventClass.MACHINE,
        ("snap_load", *_LOADS, "motor_current"),
        grow=30_000 * STROKE,
    ),
    Fault("hard_coil", "PR-02", Shape.STEP, EventClass.PROCESS, (*_LOADS, "snap_load", "motor_current")),
    Fault("eccentric", "PR-03", Shape.STEP, EventClass.MACHINE, ("load_difference", *_LOADS)),
    Fault(
        "double_blank",
        "PR-04",
        Shape.INTERMITTENT,
        EventClass.PROCESS,
        (*_LOADS, "snap_load", "motor_current", "overload_alarm"),
        chance=0.02,
    ),
    Fault(
        "misfeed", "PR-05", Shape.INTERMITTENT, EventClass.PROCESS, (*_LOADS, "snap_load", "feed_length"), chance=0.03
    ),
    Fault(
        "bearing", "PR-06", Shape.RAMP, EventClass.MACHINE, ("motor_current", "bearing_temperature"), grow=8 * 3600.0
    ),
    Fault(
        "lube",
        "PR-07",
        Shape.RAMP,
        EventClass.MACHINE,
        ("lube_pressure", "bearing_temperature", "motor_current", "lube_alarm"),
        grow=4 * 3600.0,
    ),
    Fault("brake", "PR-08", Shape.RAMP, EventClass.MACHINE, ("stop_time",), grow=10 * 86400.0),
    Fault(
        "counterbalance",
        "PR-09",
        Shape.RAMP,
        EventClass.MACHINE,
        ("counterbalance_air", "motor_current"),
        grow=2 * 3600.0,
    ),
    Fault(
        "load_cell_drift",
        "PR-10",
        Shape.WALK,
        EventClass.INSTRUMENT,
        ("load_left", "load_difference", "peak_load", "stroke_work"),
        grow=3600.0,
    ),
)
