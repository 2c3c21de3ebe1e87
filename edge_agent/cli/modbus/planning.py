"""`edge-agent modbus plan`: the requests that a configuration makes, the load of each line, and what would cure it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from connectors.modbus.config import ModbusDevice, ModbusLink
from connectors.modbus.load import NETWORK, Demand, DeviceLoad, LineLoad, Serial, line_load
from connectors.modbus.plan import Block, Limits
from connectors.modbus.point import Point
from connectors.modbus.price import Price
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.door import name_of, serial_of
from edge_agent.cli.speech import Speech
from edge_agent.config.loader import load
from edge_agent.errors import Unsupported, Words
from edge_agent.registry import Sections

_SHOWN: Final = 6
"""Tags named for one request."""
_FULL: Final = 0.7
"""From here on a line has little room."""


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """What one link asks for: `line` is its serial line, None where it is Ethernet and nothing is known behind it."""

    link: ModbusLink
    line: Serial | None
    load: LineLoad
    points: Sequence[Sequence[Point]]
    """Of each device, numbered as in the link's `tag_list`."""

    @property
    def tags(self) -> list[str]:
        """Names by the points' numbers."""
        return [tag.tag for tag in self.link.tag_list()]


def plan(config: Path, behind: Serial | None, speech: Speech, as_json: bool, out: TextIO) -> int:
    """Prints the plan of every Modbus link; exit code 1 where a line can not do it. Raises EdgeAgentError."""
    plans = [link_plan(link, behind) for link in modbus_links(config)]
    if as_json:
        out.write(json.dumps({"links": [facts(one) for one in plans]}, ensure_ascii=False) + "\n")
    else:
        out.write("\n".join(line for one in plans for line in lines(one, speech)) + "\n")
    return 0 if all(one.load.met for one in plans) else EXIT_FAULT


def modbus_links(config: Path) -> list[ModbusLink]:
    """The Modbus links of a configuration. Raises ConfigError, and Unsupported where there is none."""
    links = [link for link in load(config, Sections()).config.links if isinstance(link, ModbusLink)]
    if links:
        return links
    raise Unsupported(
        "read",
        str(config),
        Words("모드버스 링크가 없습니다", "it has no Modbus link"),
        Words("connector: modbus 인 링크가 있는 설정을 지정하십시오", "name a configuration with `connector: modbus`"),
    )


def link_plan(link: ModbusLink, behind: Serial | None = None) -> LinkPlan:
    """The plan of a link. `behind` is the serial line behind a gateway on Ethernet."""
    line = serial_of(link) or behind
    points = link.points(range(len(link.tag_list())))
    demands = [_demand(device, of) for device, of in zip(link.devices, points, strict=True)]
    price: Serial | Price = NETWORK if line is None else line
    return LinkPlan(link, line, line_load(demands, price), points)


def limits_of(device: ModbusDevice) -> Limits:
    """What one request to a device may span."""
    return Limits(device.max_registers, device.max_bits, device.max_gap)


def _demand(device: ModbusDevice, points: Sequence[Point]) -> Demand:
    spans = tuple(sorted({point.span for point in points}))
    return Demand(device.machine, device.unit, device.interval, spans, limits_of(device))


def facts(one: LinkPlan) -> dict[str, Any]:
    """The plan for programs. Shares are parts of 1, times seconds."""
    return {
        "link": one.link.name,
        "place": name_of(one.link),
        "baud": one.line.baud if one.line else None,
        "load": round(one.load.share, 6),
        "met": one.load.met,
        "remedies": [
            {"kind": remedy.kind, "value": remedy.value, "text": remedy.words.en} for remedy in one.load.remedies
        ],
        "devices": [_device_facts(one, at) for at in range(len(one.load.devices))],
    }


def _device_facts(one: LinkPlan, at: int) -> dict[str, Any]:
    device = one.load.devices[at]
    return {
        "unit": device.demand.unit,
        "interval": device.demand.interval,
        "seconds": round(device.seconds, 6),
        "load": round(device.share, 6),
        "requests": [
            {
                "function": block.span.function,
                "address": block.span.start,
                "count": block.span.end - block.span.start,
                "unused": device.unused(block),
                "tags": _tags(one, at, block),
            }
            for block in device.plan.blocks
        ],
    }


def _tags(one: LinkPlan, at: int, block: Block) -> list[str]:
    names = one.tags
    inside = sorted((p.span, p.address, p.number) for p in one.points[at] if block.span.covers(p.span))
    return [names[number] for _, _, number in inside]


def lines(one: LinkPlan, speech: Speech) -> Iterator[str]:
    """The plan for people."""
    say, load = speech.say, one.load
    count, requests = len(load.devices), sum(len(device.plan.blocks) for device in load.devices)
    yield f"{one.link.name} ({name_of(one.link)}): " + say(
        f"국번 {count}개, 요청 {requests}개, 회선 부하 {_percent(load.share)}",
        f"{count} device(s), {requests} request(s), bus load {_percent(load.share)}",
    )
    yield "  " + _assumption(one, speech)
    for at, device in enumerate(load.devices):
        yield from _device_lines(one, at, device, speech)
    if not load.met:
        yield "  " + say(
            "이 회선으로는 지킬 수 없습니다. 다음 중 하나면 됩니다:",
            "The line can not do this. Any one of these would:",
        )
        yield from (f"    - {remedy.words.in_language(speech.language)}" for remedy in load.remedies)
    elif load.share > _FULL:
        yield "  " + say(
            "여유가 적습니다: 응답 없는 국번이 하나만 있어도 늦어집니다",
            "There is little room: one silent unit is enough to make it late",
        )


def _assumption(one: LinkPlan, speech: Speech) -> str:
    """What the figures rest on."""
    say = speech.say
    if one.line is not None:
        baud, bits = one.line.baud, one.line.bits
        return say(
            f"RTU {baud} bps, 한 글자 {bits}비트로 계산", f"reckoned for RTU at {baud} baud, {bits} bits a character"
        )
    cost = f"{1e3 * NETWORK.request:g} ms"
    text = say(f"이더넷 기준 요청당 {cost}로 계산", f"reckoned at {cost} a request on Ethernet")
    if not one.link.shared:
        return text
    return text + say(
        ". 게이트웨이 뒤가 RS-485라면 --baud 9600 처럼 지정하십시오",
        "; for RS-485 behind a gateway give --baud 9600 or so",
    )


def _device_lines(one: LinkPlan, at: int, device: DeviceLoad, speech: Speech) -> Iterator[str]:
    say, demand = speech.say, device.demand
    yield say(
        f"  국번 {demand.unit}, {demand.interval:g}초마다: {1e3 * device.seconds:.1f} ms, {_percent(device.share)}",
        f"  unit {demand.unit}, every {demand.interval:g} s: {1e3 * device.seconds:.1f} ms, {_percent(device.share)}",
    )
    for block in device.plan.blocks:
        span, unused = block.span, device.unused(block)
        count = span.end - span.start
        gap = say(f", 안 쓰는 {unused}개 포함", f", {unused} unused") if unused else ""
        names = _tags(one, at, block)
        shown = ", ".join(names[:_SHOWN]) + (f" … (+{len(names) - _SHOWN})" if len(names) > _SHOWN else "")
        yield f"    FC{span.function:02d} {span.start}-{span.end - 1} ({count}{gap}): {shown}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
