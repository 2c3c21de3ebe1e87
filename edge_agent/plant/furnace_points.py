"""What the furnace shows: its instruments' values (Modbus), its PLC's variables (OPC UA), its faults."""

from typing import Final

from edge_agent.model import EventClass, Label, Role
from edge_agent.plant.fault import Fault, Shape
from edge_agent.plant.point import Point, classed

ZONES: Final = 3
ZONE_WORDS: Final = (("1존", "zone 1"), ("2존", "zone 2"), ("3존", "zone 3"))
PHASES: Final = (
    ("load", "장입", "loading"),
    ("heat", "승온", "heating"),
    ("carburise", "침탄", "carburising"),
    ("diffuse", "확산", "diffusing"),
    ("cool", "강온", "cooling"),
    ("soak", "균열 유지", "soaking"),
    ("quench", "소입", "quenching"),
)
"""Name, Korean, English; a phase's number is its place here."""


def _zone(zone: int) -> tuple[Point, ...]:
    ko, en = ZONE_WORDS[zone - 1]
    prefix, node = f"zone{zone}", f"Process.Zone{zone}"
    return (
        Point(
            f"{prefix}_pv",
            f"{node}Pv",
            Label(f"{ko} 현재온도", f"{en} temperature"),
            unit="°C",
            low=0,
            high=1300,
        ),
        Point(
            f"{prefix}_sv",
            f"{node}Sv",
            Label(f"{ko} 설정온도", f"{en} set value"),
            Role.SV,
            "°C",
            low=0,
            high=1300,
        ),
        Point(
            f"{prefix}_mv",
            f"{node}Mv",
            Label(f"{ko} 가열출력", f"{en} heater output"),
            Role.MV,
            "%",
            low=0,
            high=100,
        ),
        Point(
            f"{prefix}_current",
            f"{node}Current",
            Label(f"{ko} 히터전류", f"{en} heater current"),
            unit="A",
            low=0,
            high=300,
            event_class=EventClass.MACHINE,
        ),
    )


ZONE_POINTS: Final = tuple(_zone(zone) for zone in range(1, ZONES + 1))
"""Per zone: process value, set value, output, heater current (Autonics TK)."""


def _meter(name: str, ko: str, en: str, unit: str, high: float) -> Point:
    return Point(name, f"Energy.{name}", Label(ko, en), unit=unit, low=0, high=high)


_METER: Final = (
    _meter("current_l1", "L1 전류", "current L1", "A", 600),
    _meter("current_l2", "L2 전류", "current L2", "A", 600),
    _meter("current_l3", "L3 전류", "current L3", "A", 600),
    _meter("voltage_l1", "L1 전압", "voltage L1", "V", 300),
    _meter("voltage_l2", "L2 전압", "voltage L2", "V", 300),
    _meter("voltage_l3", "L3 전압", "voltage L3", "V", 300),
    _meter("power", "유효전력", "active power", "kW", 300),
    _meter("frequency", "주파수", "frequency", "Hz", 70),
    Point("energy", "Energy.energy", Label("유효전력량", "active energy"), Role.COUNTER, "Wh", "Int64", 1.0),
)
METER_POINTS: Final = classed(_METER, machine=" ".join(point.name for point in _METER if point.unit != "Hz"))
"""The furnace's power meter (Schneider iEM3000)."""


def _process(name: str, node: str, ko: str, en: str, unit: str, high: float, *, low: float = 0.0) -> Point:
    return Point(name, f"Process.{node}", Label(ko, en), unit=unit, low=low, high=high)


_PLC: Final = (
    Point("charge_no", "Identification.ChargeNo", Label("장입 번호", "charge number"), Role.STATE, "", "UInt32", 0),
    Point("recipe", "Identification.Recipe", Label("처리 패턴", "recipe"), Role.STATE, "", "String", 0),
    Point("phase", "State.Phase", Label("공정 단계", "phase"), Role.STATE, "", "UInt16", 0),
    Point("phase_name", "State.PhaseName", Label("공정 단계명", "phase name"), Role.STATE, "", "String", 0),
    Point("door_open", "State.DoorOpen", Label("도어 열림", "door open"), Role.STATE, "", "Boolean", 0),
    Point("phase_time", "Cycle.PhaseTime", Label("단계 경과시간", "time in phase"), Role.COUNTER, "s", "UInt32", 1),
    _process("core_temperature", "LoadCoreTemperature", "제품 중심온도", "load core temperature", "°C", 1300),
    _process("chamber_mean", "ChamberMean", "로내 평균온도", "chamber mean temperature", "°C", 1300),
    _process("overtemp_pv", "OverTemperaturePv", "과열방지 온도", "over-temperature thermocouple", "°C", 1300),
    _process("carbon_potential", "CarbonPotential", "탄소 포텐셜", "carbon potential", "%C", 2),
    Point("gas_valve", "Process.GasValve", Label("증탄가스 밸브", "enrichment gas valve"), Role.MV, "%", low=0,
          high=100),
    _process("carrier_gas", "CarrierGasFlow", "캐리어가스 유량", "carrier gas flow", "m³/h", 30),
    _process("furnace_pressure", "FurnacePressure", "로압", "furnace pressure", "Pa", 200, low=-50),
    _process("fan_current", "FanCurrent", "순환팬 전류", "circulation fan current", "A", 30),
    _process("agitator_current", "AgitatorCurrent", "교반기 전류", "agitator current", "A", 20),
    _process("oil_temperature", "OilTemperature", "소입유 온도", "quench oil temperature", "°C", 200),
    Point("cp_sv", "Setpoint.CarbonPotential", Label("CP 설정", "carbon set value"), Role.SETPOINT, "%C", "Float", 0),
    Point("temperature_sv", "Setpoint.Temperature", Label("온도 설정", "temperature set value"), Role.SETPOINT, "°C",
          "Float", 0),
    Point("overtemp_alarm", "Alarm.OverTemperature", Label("과열 경보", "over-temperature alarm"), Role.ALARM, "",
          "Boolean", 0),
    Point("burnout_alarm", "Alarm.ThermocoupleOpen", Label("열전대 단선 경보", "thermocouple open alarm"), Role.ALARM,
          "", "Boolean", 0),
)  # fmt: skip

PLC_POINTS: Final = classed(
    _PLC,
    machine="fan_current agitator_current oil_temperature",
    process="core_temperature chamber_mean overtemp_pv carbon_potential carrier_gas furnace_pressure",
)

_ALL_MV: Final = ("zone1_mv", "zone2_mv", "zone3_mv")
_POWER: Final = ("current_l1", "current_l2", "current_l3", "power", "energy")

FURNACE_FAULTS: Final = (
    Fault("element", "HT-01", Shape.STEP, EventClass.MACHINE, ("zone1_mv", "zone1_current", "current_l1")),
    Fault(
        "door_leak",
        "HT-02",
        Shape.RAMP,
        EventClass.MACHINE,
        (*_ALL_MV, "gas_valve", *_POWER),
        grow=30 * 86400.0,
    ),
    Fault(
        "tc_drift",
        "HT-03",
        Shape.RAMP,
        EventClass.INSTRUMENT,
        ("zone2_mv", "zone1_mv", "zone3_mv", "core_temperature", "overtemp_pv"),
        grow=60 * 86400.0,
    ),
    Fault(
        "tc_open",
        "HT-04",
        Shape.STEP,
        EventClass.INSTRUMENT,
        ("zone2_pv", "zone2_mv", "chamber_mean", "burnout_alarm", "overtemp_pv", "current_l2", "power", *_ALL_MV),
    ),
    Fault(
        "ssr_on",
        "HT-05",
        Shape.STEP,
        EventClass.MACHINE,
        ("zone2_pv", "overtemp_pv", "chamber_mean", "overtemp_alarm", "current_l2", "power", *_ALL_MV),
    ),
    Fault(
        "fan",
        "HT-06",
        Shape.RAMP,
        EventClass.MACHINE,
        ("fan_current", "core_temperature", "phase_time", *_POWER),
        grow=600.0,
    ),
    Fault(
        "soot",
        "HT-07",
        Shape.RAMP,
        EventClass.INSTRUMENT,
        ("gas_valve", "carbon_potential"),
        grow=14 * 86400.0,
    ),
    Fault("agitator", "HT-08", Shape.STEP, EventClass.MACHINE, ("agitator_current", "oil_temperature")),
    Fault("oil_cooler", "HT-09", Shape.EXP, EventClass.MACHINE, ("oil_temperature",), grow=1800.0),
)
