"""`edge-agent opcua read`: all attributes of a few nodes that are worth knowing, once."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import anyio

from connectors.opcua.config import OpcUaServer
from connectors.opcua.reading import Reading, read_nodes
from edge_agent.api import PLAUSIBLE_NS, Clock
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.screen import UNKNOWN, number, screen
from edge_agent.cli.opcua.door import nodes_of
from edge_agent.cli.opcua.plain import plain
from edge_agent.cli.speech import Speech
from edge_agent.cli.view_words import QUALITY
from edge_agent.model.status import Quality, quality_of, status_name

_ACCESS: Final = {0: "CurrentRead", 1: "CurrentWrite", 2: "HistoryRead", 3: "HistoryWrite", 4: "SemanticChange"}
"""Bits of AccessLevel (Part 3, 8.57)."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, as the command line says it. `nodes`: node ids, browse paths, or tags of the link."""

    server: OpcUaServer
    nodes: Sequence[str]
    speech: Speech
    as_json: bool = False


def read(order: Order, clock: Clock, out: TextIO) -> int:
    """Reads and prints; exit code 1 where a node has no good value. Raises EdgeAgentError."""
    named = nodes_of(order.server, order.nodes)
    found = anyio.run(read_nodes, order.server, list(named.values()), clock)
    console = screen(out)
    if order.as_json:
        console.print_json(data=[_facts(name, one) for name, one in zip(named, found, strict=True)], default=str)
    else:
        for name, one in zip(named, found, strict=True):
            console.print()
            console.print(_title(name, one), style="bold", markup=False)
            for head, text in lines(one, order.speech):
                console.print(f"  {head}  {plain(text)}", markup=False, style=_style(one, head))
    good = all(quality_of(one.status) is Quality.GOOD for one in found)
    return 0 if good else EXIT_FAULT


def _facts(name: str, one: Reading) -> dict[str, Any]:
    return {"asked": name, "quality": quality_of(one.status).name.lower()} | asdict(one) | {"asked": name}


def _title(name: str, one: Reading) -> str:
    label = one.label[1]
    more = f" ({label})" if label and label not in (name, one.name) else ""
    return plain(f"{one.name}{more}  {one.node}") if one.node else name


def _style(one: Reading, head: str) -> str | None:
    quality = quality_of(one.status)
    return None if quality is Quality.GOOD or head not in ("status", "상태") else "red"


def lines(one: Reading, speech: Speech) -> Iterator[tuple[str, str]]:
    """What is known, a line each; what the server does not tell is left out."""
    say, traits = speech.say, one.traits
    yield say("값", "value"), f"{value_text(one)} {traits.unit}".rstrip()
    quality = QUALITY[speech.language][quality_of(one.status).name.lower()]
    yield say("상태", "status"), f"{quality}  {status_name(one.status)}  0x{one.status:08X}"
    yield say("원천 시각", "source time"), _moment(one.source_time, one.received, speech)
    yield say("서버 시각", "server time"), _moment(one.server_time, one.received, speech)
    if traits.type:
        array = say(" 배열", " array") if traits.is_array else ""
        yield say("형식", "type"), traits.type + (f" ({traits.type_name})" if traits.type_name else "") + array
    if traits.range is not None:
        yield say("범위", "range"), f"{number(traits.range[0])} … {number(traits.range[1])} {traits.unit}".rstrip()
    if traits.states:
        yield say("상태 이름", "states"), ", ".join(f"{key} {text[1]}" for key, text in traits.states)
    if one.access is not None:
        yield say("접근", "access"), _access(one, speech)
    if one.historizing is not None:
        yield say("이력 기록", "historizing"), say("예", "yes") if one.historizing else say("아니오", "no")
    if one.sampling is not None and one.sampling >= 0:
        yield say("최소 샘플링", "min. sampling"), f"{one.sampling:g} ms"
    if traits.description[1]:
        yield say("설명", "description"), traits.description[1]


def value_text(one: Reading) -> str:
    """The value, with the name of its state where it has one."""
    if one.value is None:
        return UNKNOWN
    text = number(one.value) if isinstance(one.value, bool | int | float) else plain(str(one.value))
    names = {key: name for key, (_, name) in one.traits.states}
    name = names.get(int(one.value)) if isinstance(one.value, bool | int) else None
    return f"{text} ({name})" if name else text


def _moment(at: int | None, now: int, speech: Speech) -> str:
    if at is None:
        return speech.say("없음", "none")
    age = (now - at) / 1e9
    text = datetime.fromtimestamp(at / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    since = speech.say(f"{age:.3f}초 전", f"{age:.3f} s ago")
    if abs(now - at) <= PLAUSIBLE_NS:
        return f"{text}  {since}"
    doubt = speech.say("오래 바뀌지 않았거나 시계가 다릅니다", "it has not changed for long, or a clock is wrong")
    return f"{text}  {since}: {doubt}"


def _access(one: Reading, speech: Speech) -> str:
    text = ", ".join(name for bit, name in _ACCESS.items() if (one.access or 0) >> bit & 1) or UNKNOWN
    if one.user_access is None or one.user_access == one.access:
        return text
    own = ", ".join(name for bit, name in _ACCESS.items() if one.user_access >> bit & 1) or UNKNOWN
    return text + speech.say(f" (이 사용자: {own})", f" (this user: {own})")
