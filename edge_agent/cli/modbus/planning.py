"""`edge-agent modbus plan`: the requests that a configuration makes, the load of each line, and what would cure it."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from connectors.modbus.config import ModbusDevice, ModbusLink
from connectors.modbus.known import Known
from connectors.modbus.learned import Learned
from connectors.modbus.load import NETWORK, Demand, DeviceLoad, LineLoad, Serial, line_load
from connectors.modbus.plan import Block, Limits
from connectors.modbus.point import Point, spans_of
from connectors.modbus.price import Price
from connectors.modbus.unit import Unit
from edge_agent.api import Memory, SystemClock
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.door import serial_of
from edge_agent.cli.modbus.sample import outcome_words
from edge_agent.cli.speech import Speech
from edge_agent.config.loader import Loaded, load
from edge_agent.errors import Unsupported, Words
from edge_agent.memory import Memories
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
    learned: Learned
    """What an agent that ran with this configuration found out."""

    @property
    def tags(self) -> list[str]:
        """Names by the points' numbers."""
        return [tag.tag for tag in self.link.tag_list()]


def plan(config: Path, behind: Serial | None, speech: Speech, as_json: bool, out: TextIO) -> int:
    """Prints the plan of every Modbus link; exit code 1 where a line can not do it. Raises EdgeAgentError."""
    loaded = loaded_of(config)
    state = loaded.config.runtime.state
    plans = [link_plan(link, behind, memory_of(state, link)) for link in modbus_links(loaded, config)]
    if as_json:
        out.write(json.dumps({"links": [facts(one) for one in plans]}, ensure_ascii=False) + "\n")
    else:
        out.write("\n".join(line for one in plans for line in lines(one, speech)) + "\n")
    return 0 if all(one.load.met for one in plans) else EXIT_FAULT


def loaded_of(config: Path) -> Loaded:
    """The configuration. Raises ConfigError."""
    return load(config, Sections())


def modbus_links(loaded: Loaded, config: Path) -> list[ModbusLink]:
    """The Modbus links of a configuration; raises Unsupported where there is none."""
    links = [link for link in loaded.config.links if isinstance(link, ModbusLink)]
    if links:
        return links
    raise Unsupported(
        "read",
        str(config),
        Words("모드버스 링크가 없습니다", "it has no Modbus link"),
        Words("connector: modbus 인 링크가 있는 설정을 지정하십시오", "name a configuration with `connector: modbus`"),
    )


def memory_of(state: Path, link: ModbusLink) -> Memory | None:
    """What an agent on this state folder has learned of the link, where we may read it."""
    folder = state / "learned"
    return Memories(folder).of(link.name) if os.access(folder / f"{link.name}.json", os.R_OK) else None


def link_plan(link: ModbusLink, behind: Serial | None = None, memory: Memory | None = None) -> LinkPlan:
    """The plan of a link. `behind` is the serial line behind a gateway on Ethernet."""
    line = serial_of(link) or behind
    points = link.points(range(len(link.tag_list())))
    learned = Learned(link, link.place, points, SystemClock(), memory)
    price: Serial | Price = (learned.trips.price or NETWORK) if line is None else line
    demands = [
        _demand(device, of, known, learned.units[device.unit])
        for device, of, known in zip(link.devices, points, learned.known, strict=True)
    ]
    return LinkPlan(link, line, line_load(demands, price), points, learned)


def limits_of(device: ModbusDevice) -> Limits:
    """What one request to a device may span."""
    return device.limits


def _demand(device: ModbusDevice, points: Sequence[Point], known: Known, unit: Unit) -> Demand:
    spans = tuple(sorted(spans_of(points)))
    refused = frozenset(known.refused) | known.seams | device.refused
    limits = known.limits(limits_of(device))
    return Demand(
        device.machine, device.unit, device.interval, spans, limits, max(unit.pace.pause, device.pause), refused
    )


def facts(one: LinkPlan) -> dict[str, Any]:
    """The plan for programs. Shares are parts of 1, times seconds."""
    return {
        "link": one.link.name,
        "place": one.link.place,
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
        "pause": round(device.demand.pause, 6),
        "max_registers": device.demand.limits.registers,
        "refused": [[*span, code] for span, code in sorted(one.learned.known[at].refused.items())],
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
    yield f"{one.link.name} ({one.link.place}): " + say(
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
    if (price := one.learned.trips.price) is not None:
        cost = f"{1e3 * price.request:.2g} ms"
        return say(f"이 링크에서 잰 값: 요청당 {cost}", f"as measured on this link: {cost} a request")
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
    if found := _found(one, at, speech):
        yield "    " + say("에이전트가 알아낸 것: ", "learned by the agent: ") + found
    for block in device.plan.blocks:
        span, unused = block.span, device.unused(block)
        count = span.end - span.start
        gap = say(f", 안 쓰는 {unused}개 포함", f", {unused} unused") if unused else ""
        names = _tags(one, at, block)
        shown = ", ".join(names[:_SHOWN]) + (f" … (+{len(names) - _SHOWN})" if len(names) > _SHOWN else "")
        yield f"    FC{span.function:02d} {span.start}-{span.end - 1} ({count}{gap}): {shown}"


def _found(one: LinkPlan, at: int, speech: Speech) -> str:
    """What the agent knows of the device beyond its configuration."""
    say, known, device = speech.say, one.learned.known[at], one.link.devices[at]
    said = []
    if known.registers is not None and known.registers < device.max_registers:
        said.append(
            say(f"한 요청에 레지스터 {known.registers}개까지", f"at most {known.registers} registers a request")
        )
    if (pause := one.load.devices[at].demand.pause) > 0:
        said.append(say(f"요청 사이 {1e3 * pause:.0f} ms", f"{1e3 * pause:.0f} ms between requests"))
    for span, code in sorted(known.refused.items()):
        where = f"FC{span.function:02d} {span.start}-{span.end - 1}"
        said.append(f"{where}: {outcome_words(code).in_language(speech.language)}")
    return ", ".join(said)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
