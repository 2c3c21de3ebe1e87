"""`edge-agent modbus scan`: who answers at a place, what it says of itself, and the YAML to begin with."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TextIO

import anyio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from connectors.modbus.address import Address
from connectors.modbus.scan import OK
from edge_agent.api import SystemClock
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.door import Place, opened
from edge_agent.cli.modbus.draft import device_lines, link_head, save
from edge_agent.cli.modbus.recognition import only_one
from edge_agent.cli.modbus.sample import outcome_words
from edge_agent.cli.modbus.screen import number, screen, table_of
from edge_agent.cli.modbus.serial_line import Traffic, listen, sweep, traffic
from edge_agent.cli.modbus.settings import Settings
from edge_agent.cli.modbus.survey import Manner, Opener, Survey, Unit, survey
from edge_agent.cli.speech import Speech
from edge_agent.errors import EdgeAgentError, Unsupported, Words

_LIKELY: Final = 3
"""So many instruments are named for one unit."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted."""

    place: Place
    units: Sequence[int]
    manner: Manner
    speech: Speech
    as_json: bool = False
    output: Path | None = None
    tried: Sequence[Settings] = ()
    """Of a serial line: the settings to try, in their order."""
    listen: float = 0.0
    """Seconds to listen for another master before the first question."""


def units_of(text: str) -> list[int]:
    """`1-32`, `1,3,10-12`: unit numbers in their order; raises Unsupported."""
    found: list[int] = []
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise _no_units(text)
        found += range(int(first), int(last or first) + 1)
    if not found or max(found) > 255:
        raise _no_units(text)
    return list(dict.fromkeys(found))


def _no_units(text: str) -> Unsupported:
    return Unsupported(
        "scan",
        text,
        Words("국번으로 읽을 수 없습니다", "these are no unit numbers"),
        Words("예: --units 1-32 또는 --units 1,3,10-12 (0부터 255까지)", "for example 1-32 or 1,3,10-12, of 0 to 255"),
    )


def scan(order: Order, out: TextIO) -> int:
    """Asks and prints, also what was found before Ctrl-C; exit code 1 where nobody answers. Raises EdgeAgentError."""
    if order.place.is_serial and (other := _other_master(order)) is not None:
        return _give_way(other, order, out)
    done, error, stopped = Survey(), None, False
    found: list[Place] = []
    with _progress(order) as tell:
        try:
            anyio.run(_survey, order, done, tell, found)
        except KeyboardInterrupt:
            stopped = True
        except EdgeAgentError as reason:
            if len(done.asked) <= 1:
                raise
            error = reason
    order = replace(order, place=found[0]) if found else order
    if order.as_json:
        out.write(json.dumps(facts(done, order), ensure_ascii=False) + "\n")
    else:
        _print(done, order, stopped, error, screen(out), out)
    return 0 if done.found else EXIT_FAULT


async def _survey(order: Order, done: Survey, tell: Tell, found: list[Place]) -> None:
    """Adds to `found` the place with the settings at which somebody answered."""
    clock, place = SystemClock(), order.place

    def opener(place: Place) -> Opener:
        section = place.section
        return lambda: opened(section, clock)

    if not place.is_serial:
        await survey(opener(place), order.units, order.manner, done, tell)
        return
    at = await sweep(order.tried, lambda at: opener(place.at(at)), order.units, order.manner, done, tell)
    found += [place.at(at)] if at else []


def _other_master(order: Order) -> Traffic | None:
    """Listens before a word is said."""
    place, say = order.place, order.speech.say
    if order.listen <= 0:
        return None
    if sys.stderr.isatty() and not order.as_json:
        sys.stderr.write(say("먼저 회선을 듣습니다 …\n", "listening to the line first …\n"))
    return traffic(order.tried, order.listen, lambda at, seconds: listen(place.at(at).section, seconds))


def _give_way(other: Traffic, order: Order, out: TextIO) -> int:
    """Two masters on one line spoil each other's answers: says who is there, and asks nothing."""
    if order.as_json:
        heard = sorted({(one.unit, one.function) for one in other.frames})
        line = str(other.settings) if other.settings else None
        out.write(json.dumps({"place": order.place.name, "traffic": other.bytes, "line": line, "heard": heard}) + "\n")
    else:
        out.write("\n".join(traffic_lines(other, order.speech)) + "\n")
    return EXIT_FAULT


def traffic_lines(other: Traffic, speech: Speech) -> Iterator[str]:
    """Who talks, and what to do."""
    say = speech.say
    yield say(
        f"이 회선에서는 이미 누가 통신하고 있습니다({other.bytes}바이트). 아무것도 보내지 않았습니다",
        f"Somebody talks on this line already ({other.bytes} bytes). Nothing was sent",
    )
    if other.settings is not None:
        units = ", ".join(map(str, sorted({one.unit for one in other.frames})))
        codes = ", ".join(f"{code:02d}" for code in sorted({one.function for one in other.frames}))
        yield say(
            f"  통신 설정 {other.settings}, 국번 {units}, 기능 코드 {codes}",
            f"  the line is {other.settings}, units {units}, function codes {codes}",
        )
        yield say(
            "마스터(PLC, 표시기)를 멈춘 뒤 다시 하거나, 그 마스터에서 값을 받으십시오",
            "stop that master (a PLC, a panel) and try again, or get the values from it",
        )
    else:
        yield say(
            "통신 설정을 알 수 없는 신호입니다. 다른 마스터나 잡음(종단저항, 접지)입니다. 그래도 물으려면 --listen 0",
            "It makes no sense at any setting: another master or noise (termination, ground); --listen 0 asks anyway",
        )


@contextmanager
def _progress(order: Order) -> Iterator[Tell]:
    """A bar beside the output, on a terminal only."""
    console = Console(stderr=True)
    if not sys.stderr.isatty() or order.as_json:
        yield lambda unit: None
        return
    words = TextColumn(order.speech.say("국번 {task.fields[unit]}", "unit {task.fields[unit]}"))
    with Progress(
        words, BarColumn(), TextColumn("{task.completed}/{task.total}"), console=console, transient=True
    ) as bar:
        task = bar.add_task("scan", total=len(order.units) * max(1, len(order.tried)), unit="")
        yield lambda unit: bar.update(task, advance=1, unit=unit)


def facts(done: Survey, order: Order) -> dict[str, Any]:
    """The findings for programs."""
    return {
        "place": order.place.name,
        "asked": done.asked,
        "any_unit": done.any_unit,
        "units": [
            {
                "unit": unit.number,
                "ms": round(1e3 * unit.trip, 3),
                "areas": {str(code): outcome for code, outcome in sorted(unit.areas.items())},
                "identity": dict(unit.identity.objects),
                "server_id": unit.identity.server_id.hex(),
                "profiles": [
                    {"profile": one.profile, "value": one.value, "named": one.named, "complete": one.complete}
                    for one in unit.matches
                ],
            }
            for unit in done.found
        ],
    }


def _print(
    done: Survey, order: Order, stopped: bool, error: EdgeAgentError | None, console: Console, out: TextIO
) -> None:
    speech = order.speech
    for line in lines(done, order, stopped):
        console.print(line)
    if done.found:
        console.print(_table(done.found, speech))
        save(_yaml(done, order), order.output, out)
    if error is not None:
        console.print(error.in_language(speech.language))


def lines(done: Survey, order: Order, stopped: bool = False) -> Iterator[str]:
    """The findings in words."""
    say, asked, found = order.speech.say, len(done.asked), len(done.found)
    yield say(
        f"{order.place.name}: 국번 {asked}개에 물어 {found}개가 답했습니다",
        f"{order.place.name}: {asked} unit(s) asked, {found} answered",
    )
    if stopped:
        yield say("도중에 멈추었습니다", "stopped before the end")
    if done.any_unit:
        yield say(
            "이 장치는 어떤 국번에도 답합니다: 회선이 아니라 한 대입니다",
            "It answers to every unit number: one device, not a line of them",
        )
    if not done.found:
        yield say(
            "전원, 케이블, 국번, 통신속도를 확인하십시오. RS-485라면 A와 B를 바꾸어 보십시오",
            "Check power, cable, unit numbers and baud rate; on RS-485 try A and B the other way round",
        )


def _table(found: Sequence[Unit], speech: Speech) -> Any:
    say = speech.say
    heads = ("ms", "FC03", "FC04", "FC01", "FC02", say("식별", "identification"), say("프로파일", "profile"))
    table = table_of(say("국번", "unit"), *heads, right=("ms",))
    for unit in found:
        areas = (_area(unit.areas.get(code), speech) for code in (3, 4, 1, 2))
        table.add_row(str(unit.number), f"{1e3 * unit.trip:.1f}", *areas, unit.identity.text, _likeness(unit))
    return table


def _likeness(unit: Unit) -> str:
    """The instruments that it may be, with what their probe reads."""
    shown = [f"{one.profile} ({number(one.value)} {one.unit})".replace(" )", ")") for one in unit.matches[:_LIKELY]]
    return ", ".join(shown)


def _area(outcome: int | None, speech: Speech) -> str:
    """`ok`, `exc 2`, `–`: short, for a narrow column."""
    if outcome is None or outcome < 0:
        return "–"
    if outcome == OK:
        return outcome_words(OK).in_language(speech.language)
    return speech.say(f"예외 {outcome}", f"exc {outcome}")


def _yaml(done: Survey, order: Order) -> str:
    """A link with each unit and its profile or one first tag; units that gave no value are left as remarks."""
    lines = [line for unit in done.found for line in _device(unit)]
    place = order.place.lasting()
    return "\n".join(["", *link_head(place.link_name, place.keys), "    devices:", *lines]) + "\n"


def _device(unit: Unit) -> Iterator[str]:
    yield from (f"      # {text}" for text in (unit.identity.text, _likeness(unit)) if text)
    tag = _first_tag(unit)
    if (match := only_one(unit.matches)) is not None:
        yield from device_lines({"unit": unit.number, "profile": match.profile})
    elif tag is not None:
        yield from device_lines({"unit": unit.number, "tags": [tag]})
    else:
        device = {"unit": unit.number, "tags": [_any_tag(unit.number)]}
        yield from (f"      #{line[6:]}" for line in device_lines(device))


def _first_tag(unit: Unit) -> dict[str, Any] | None:
    codes = [code for code in (3, 4, 1, 2) if unit.areas.get(code) == OK]
    if not codes:
        return None
    address = Address(codes[0], 0)
    tag = {"tag": f"unit{unit.number}_first", "address": str(address)}
    return tag | ({"type": "uint16"} if address.is_register else {"role": "state"})


def _any_tag(unit: int) -> dict[str, Any]:
    return {"tag": f"unit{unit}_first", "address": "HR:0", "type": "uint16"}
