"""The demo's configuration, in the very format that a factory writes, made from the plant's own tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from edge_agent.plant.furnace_points import METER_POINTS, PLC_POINTS, ZONE_POINTS
from edge_agent.plant.plan import Plan
from edge_agent.plant.point import Point
from edge_agent.plant.press_points import PRESS_POINTS, STROKE
from edge_agent.plant.register import METER_UNIT
from edge_agent.plant.server import FURNACE, INSTRUMENTS, PRESS

SITE: Final = "demo"
SPM: Final = 80.0
"""The demo's press is a quick one, so that a minute holds strokes enough to learn from."""
COIL_STROKES: Final = 5000
"""A coil lasts the whole demonstration: another coil is another load, which is no fault."""
DEMO_OPTIONS: Final = {PRESS: ("--spm", str(SPM), "--coil-strokes", str(COIL_STROKES))}
"""What the demo's servers are told beside the plan."""


def demo_plan(seed: int) -> Plan:
    """The furnace and the press, on free ports."""
    return Plan(dict.fromkeys((INSTRUMENTS, FURNACE, PRESS), 0), seed)


@dataclass(frozen=True, slots=True)
class Influx:
    """Where the demo ships to as well. The token stays in the environment, in `token_env`."""

    url: str
    org: str
    bucket: str
    token_env: str = "INFLUX_TOKEN"  # noqa: S105 - the name of a variable, not a secret


def demo_config(
    ports: Mapping[str, int],
    *,
    language: str = "ko",
    influx: Influx | None = None,
    learn_rows: int = 30,
    learn_time: str = "30s",
) -> dict[str, Any]:
    """The configuration as data. `ports`: server name (`furnace-instruments` …) -> TCP port on 127.0.0.1."""
    config: dict[str, Any] = {
        "site": {"name": SITE, "label": {"ko": "시연 공장", "en": "demo plant"}},
        "machines": [
            _machine("ht1", "heat", "heat_furnace", "1호 침탄로", "carburising furnace 1", cycle="phase"),
            _machine("press200", "forming", "press", "200톤 프레스", "200 t press", cycle="stroke_count"),
        ],
        "links": [
            _instruments(ports[INSTRUMENTS]),
            _opcua(FURNACE, "ht1", ports[FURNACE], PLC_POINTS, "500ms"),
            _opcua(PRESS, "press200", ports[PRESS], PRESS_POINTS, "200ms"),
        ],
        "journal": {"max_bytes": "1GiB", "segment_bytes": "4MiB", "sync_interval": "500ms"},
        "detection": {
            "learn_rows": learn_rows,
            "learn_time": learn_time,
            "on_delay": "2s",
            "off_delay": "5s",
        },
        "runtime": {"state": "state", "language": language},
    }
    if influx is not None:
        config["sinks"] = [_sink(influx)]
    return config


def write_demo_config(path: Path, config: Mapping[str, Any]) -> None:
    """Writes it as YAML, with a word on what it is."""
    head = (
        "# 가상 공장 시연용 설정. 실제 공장의 설정과 형식이 같습니다.\n"
        "# The demo's configuration: the same format as that of a real factory.\n"
    )
    text = yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False, width=120)
    path.write_text(head + text, encoding="utf-8")


def expected_paths() -> list[str]:
    """The paths (site/line/machine/tag) of every tag that the demo must see."""
    furnace = [point.name for zone in ZONE_POINTS for point in zone]
    furnace += [point.name for point in (*METER_POINTS, *PLC_POINTS)]
    return [f"{SITE}/heat/ht1/{name}" for name in furnace] + [
        f"{SITE}/forming/press200/{point.name}" for point in PRESS_POINTS
    ]


def _machine(name: str, line: str, machine_class: str, ko: str, en: str, *, cycle: str) -> dict[str, Any]:
    return {"name": name, "line": line, "class": machine_class, "label": {"ko": ko, "en": en}, "cycle": cycle}


def _sink(influx: Influx) -> dict[str, Any]:
    return {
        "name": "hub",
        "sink": "influxdb",
        "url": influx.url,
        "org": influx.org,
        "bucket": influx.bucket,
        "token": {"env": influx.token_env},
    }


def _tag(point: Point) -> dict[str, Any]:
    tag: dict[str, Any] = {"tag": point.name, "role": point.role.value}
    if point.unit:
        tag["unit"] = point.unit
    if point.low is not None and point.high is not None:
        tag["range"] = [float(point.low), float(point.high)]
    tag["label"] = {"ko": point.label.ko, "en": point.label.en}
    if point.event_class is not None:
        tag["event_class"] = point.event_class.value
    return tag


def _instruments(port: int) -> dict[str, Any]:
    zones = [
        {
            "unit": unit,
            "profile": "autonics-tk",
            "prefix": f"zone{unit}_",
            **_POLLED,
            "points": _ZONE,
            "tags": _said(points),
        }
        for unit, points in enumerate(ZONE_POINTS, start=1)
    ]
    points = [point.name for point in METER_POINTS]
    meter = {
        "unit": METER_UNIT,
        "profile": "schneider-iem3000",
        **_POLLED,
        "points": points,
        "tags": _said(METER_POINTS),
    }
    return {
        "name": INSTRUMENTS,
        "connector": "modbus",
        "machine": "ht1",
        "host": "127.0.0.1",
        "port": port,
        "gateway": True,  # four units on one RS-485 pair: one request at a time, which is all pymodbus can answer, too
        "devices": [*zones, meter],
    }


_POLLED: Final = {"interval": "1s", "timeout": "3s"}
_ZONE: Final = ["pv", "sv", "mv", "current"]


def _said(points: Iterable[Point]) -> list[dict[str, Any]]:
    """What the plant says of its tags; where and how they are read says the profile."""
    return [_tag(point) for point in points]


def _opcua(name: str, machine: str, port: int, points: tuple[Point, ...], publishing: str) -> dict[str, Any]:
    return {
        "name": name,
        "connector": "opcua",
        "machine": machine,
        "url": f"opc.tcp://127.0.0.1:{port}/{machine}",
        "security": {"policy": "None", "insecure": "a plant to practise with, on this machine only"},
        "publishing_interval": publishing,
        "tags": [_node(machine, point) for point in points],
    }


def _node(machine: str, point: Point) -> dict[str, Any]:
    interval = 60.0 / SPM if point.interval == STROKE else point.interval
    return _tag(point) | {"node": f"nsu=urn:demo:{machine};s={point.node}", "interval": f"{round(interval * 1000)}ms"}
