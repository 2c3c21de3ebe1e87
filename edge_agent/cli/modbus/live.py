"""`edge-agent check --live`: every configured device asked once, read-only, and each tag shown as it came."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TextIO

import anyio
from rich.console import Console
from rich.table import Table

from connectors.modbus.address import WHOLE
from connectors.modbus.config import ModbusDevice, ModbusLink, ModbusTag
from connectors.modbus.connection import Reader
from connectors.modbus.point import Point
from connectors.modbus.scan import OK
from edge_agent.api import Clock, SystemClock
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.door import opened
from edge_agent.cli.modbus.planning import limits_of
from edge_agent.cli.modbus.sample import Sample, outcome_words, take
from edge_agent.cli.modbus.screen import number, screen, table_of
from edge_agent.cli.speech import Speech
from edge_agent.cli.view_words import QUALITY
from edge_agent.config.base import LinkSection
from edge_agent.config.loader import load
from edge_agent.errors import EdgeAgentError
from edge_agent.model import Label
from edge_agent.model.status import status_name
from edge_agent.registry import Sections

_DOUBTFUL: Final = 5
"""Tags of a device beside which it is looked for a better reading."""
_LEAST: Final = 1e-3
"""Part of a tag's range."""
_LAST: Final = 65536
_RAW: Final = 8
"""Bytes of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One tag of one device and what it said."""

    unit: int
    tag: ModbusTag
    sample: Sample
    better: tuple[Sample, ...] = ()
    """Of a strange value: readings beside it that lie within the range."""

    @property
    def sound(self) -> bool:
        """Whether there is a value, within the range that the instrument can show."""
        return self.sample.outcome == OK and self.sample.value is not None and not self.strange

    @property
    def strange(self) -> bool:
        """Whether the value is outside the tag's range: a wrong address or scale looks like that."""
        return self.tag.range is not None and self.sample.value is not None and not _inside(self.sample, self.tag)


def _inside(sample: Sample, tag: ModbusTag) -> bool:
    value, ends = sample.value, tag.range
    return ends is not None and isinstance(value, int | float) and ends[0] <= value <= ends[1]


def check_live(config: Path, speech: Speech, out: TextIO) -> int:
    """Asks every Modbus device once; exit code 1 where a tag has no sound value. Raises ConfigError."""
    console = screen(out)
    verdicts = [_link(link, speech, console) for link in load(config, Sections()).config.links]
    return 0 if all(verdicts) else EXIT_FAULT


def _link(link: LinkSection, speech: Speech, console: Console) -> bool:
    say = speech.say
    console.print()
    if not isinstance(link, ModbusLink):
        console.print(f"{link.name}: " + say("지금은 모드버스만 시험합니다", "for now only Modbus links are probed"))
        return True
    console.print(f"{link.name} ({link.place})", style="bold")
    probes: list[Probe] = []
    error = anyio.run(_probe, link, probes)
    if probes:
        console.print(_table(probes, speech))
    for line in _remarks(probes, speech):
        console.print(line)
    if error is not None:
        console.print(error.in_language(speech.language), style="red")
    return error is None and all(probe.sound for probe in probes)


async def _probe(link: ModbusLink, probes: list[Probe]) -> EdgeAgentError | None:
    """Fills `probes` device by device; the error that ended it early, if any."""
    clock = SystemClock()
    tags = link.tag_list()
    try:
        async with opened(link, clock) as connection:
            for device, points in zip(link.devices, link.points(range(len(tags))), strict=True):
                samples = await _asked(connection, device, points, clock)
                found = [
                    Probe(device.unit, tags[point.number], sample)
                    for point, sample in zip(points, samples, strict=True)
                ]
                beside = [probe for probe in found if probe.strange][:_DOUBTFUL]
                known = {id(probe): await _better(connection, probe, device, clock) for probe in beside}
                probes += [replace(probe, better=known.get(id(probe), ())) for probe in found]
    except EdgeAgentError as error:
        return error
    return None


async def _asked(reader: Reader, device: ModbusDevice, points: Sequence[Point], clock: Clock) -> list[Sample]:
    """The points as the device wants to be asked: each alone where it is so, and never at a forbidden address."""
    limits, forbidden = limits_of(device), device.refused
    parts = [[point] for point in points] if device.singles else [list(points)] if points else []
    found: list[Sample] = []
    for part in parts:
        found += await take(reader, device.unit, part, limits, device.timeout, clock, forbidden=forbidden)
        await anyio.sleep(device.pause)
    return found


async def _better(reader: Reader, probe: Probe, device: ModbusDevice, clock: Clock) -> tuple[Sample, ...]:
    """What is read one address lower, one higher, or with the words the other way round, and lies within the range."""
    point, address = probe.sample.point, probe.tag.address
    beside = [
        replace(point, address=replace(address, wire=address.wire + by))
        for by in (-1, 1)
        if 0 <= address.wire + by <= _LAST - probe.tag.addresses
    ]
    if probe.tag.addresses > 1:
        beside.append(replace(point, order="CDAB" if point.order == "ABCD" else "ABCD"))
    forbidden = device.refused
    beside = [point for point in beside if not any(span.covers(no) for span in point.spans for no in forbidden)]
    samples = await _asked(reader, device, beside, clock)
    return tuple(one for one in samples if _inside(one, probe.tag) and not _tiny(one, probe.tag))


def _tiny(sample: Sample, tag: ModbusTag) -> bool:
    """Whether a value is so near to nothing that it says nothing: words in a wrong order often read 1e-30."""
    value, ends = sample.value, tag.range or (0.0, 0.0)
    return isinstance(value, int | float) and abs(value) < _LEAST * (ends[1] - ends[0])


def _table(probes: Sequence[Probe], speech: Speech) -> Table:
    say = speech.say
    heads = ("FC", say("와이어 주소", "wire address"), say("원시값", "raw"), say("값", "value"), "ms")
    table = table_of(say("국번", "unit"), say("태그", "tag"), *heads, say("품질", "quality"), right=("FC", "ms"))
    for probe in probes:
        table.add_row(*_row(probe, speech), style="" if probe.sound else "red")
    return table


def _row(probe: Probe, speech: Speech) -> tuple[str, ...]:
    address, sample = probe.tag.address, probe.sample
    wire = f"{address.wire}" + ("" if address.bit == WHOLE else f".{address.bit}")
    raw = sample.raw[:_RAW].hex(" ", 2).upper() + (" …" if len(sample.raw) > _RAW else "")
    value = _value(sample, probe.tag, speech) if sample.outcome == OK else ""
    trip = f"{1e3 * sample.trip:.1f}" if sample.outcome >= OK else ""
    return str(probe.unit), probe.tag.tag, f"{address.function:02d}", wire, raw, value, trip, _quality(probe, speech)


def _value(sample: Sample, tag: ModbusTag, speech: Speech) -> str:
    """The number with its unit, and what it means where it is a state."""
    value = sample.value
    state = tag.states.get(int(value)) if isinstance(value, int | float) and value == int(value) else None
    text = Label(state.ko, state.en).in_language(speech.language) if state is not None else ""
    return f"{text} ({number(value)})" if text else f"{number(value)} {tag.unit}".strip()


def _quality(probe: Probe, speech: Speech) -> str:
    sample = probe.sample
    if sample.outcome != OK:
        return outcome_words(sample.outcome).in_language(speech.language)
    if sample.status:
        return status_name(sample.status)
    return speech.say("범위 밖", "outside its range") if probe.strange else QUALITY[speech.language]["good"]


def _remarks(probes: Sequence[Probe], speech: Speech) -> Iterator[str]:
    say = speech.say
    good = sum(probe.sound for probe in probes)
    yield say(f"태그 {len(probes)}개 가운데 {good}개 양호", f"{good} of {len(probes)} tag(s) good")
    for probe in probes:
        for one in probe.better:
            order = f" order: {one.point.order}" if one.point.order != probe.sample.point.order else ""
            reads = f"{number(one.value)} {probe.tag.unit}".strip()
            yield f"  {probe.tag.tag}: {one.point.address}{order} " + say(
                f"에서 범위 안의 값이 읽힙니다: {reads}. 표시기와 비교하십시오",
                f"reads {reads}, within range: compare with the display",
            )
    if any(probe.strange for probe in probes):
        yield say(
            "범위 밖의 값은 주소가 하나 어긋났거나 배율·워드 순서가 다를 때 나옵니다: edge-agent modbus read … --guess",
            "a value outside its range means an address off by one, or another scale or word order: "
            "edge-agent modbus read … --guess",
        )
