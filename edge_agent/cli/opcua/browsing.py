"""`edge-agent opcua browse`: what a server has, as a tree, or as a table of tags for the configuration."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

import anyio
from rich.console import Console
from rich.status import Status

from connectors.opcua.config import OpcUaServer
from connectors.opcua.node import node_text
from connectors.opcua.space import VARIABLE, Space
from connectors.opcua.survey import Extent, Survey, Tell, survey
from edge_agent.api import Clock
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.draft import save
from edge_agent.cli.modbus.screen import screen
from edge_agent.cli.opcua.choice import Choice
from edge_agent.cli.opcua.kept_space import kept_space
from edge_agent.cli.opcua.plain import plain
from edge_agent.cli.opcua.tag_sheet import TagSheet, tag_sheet
from edge_agent.cli.speech import Speech

_NUMBERS: Final = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, as the command line says it."""

    server: OpcUaServer
    speech: Speech
    extent: Extent = field(default_factory=Extent)
    choice: Choice = field(default_factory=Choice)
    properties: bool = False
    anew: bool = False
    lines: int = 200
    output: Path | None = None


def browsed(order: Order, clock: Clock, out: TextIO, report: TextIO) -> int:
    """Prints the tree, or writes the table and says the rest on `report`; exit code 1 where nothing was chosen.

    Raises EdgeAgentError.
    """
    extent = order.extent
    shelf = kept_space(order.server.url, f"{extent.start} {extent.with_server} {extent.most}", clock, anew=order.anew)

    def choose(space: Space) -> Sequence[int]:
        return chosen(space, order.choice, properties=order.properties)

    wants_traits = order.output is not None
    with _progress(order.speech) as tell:

        async def ask() -> Survey:
            return await survey(order.server, extent, shelf, choose, clock, tell, traits=wants_traits)

        found = anyio.run(ask)
    if order.output is None:
        _print_tree(found, order, screen(out))
        return 0 if found.variables else EXIT_FAULT
    sheet = tag_sheet(found)
    if sheet.rows:
        save(sheet.text(order.speech.language), order.output, report)
    report.write("\n".join(_report(found, sheet, order)) + "\n")
    return 0 if sheet.rows else EXIT_FAULT


def chosen(space: Space, choice: Choice, *, properties: bool = False) -> list[int]:
    """The wanted variables in the order of their paths, `t2` before `t10`."""
    found = [
        (path, at)
        for at in space.variables()
        if (properties or not space.nodes[at].is_property) and choice.takes(path := space.path(at))
    ]
    return [at for _, at in sorted(found, key=lambda one: natural(one[0]))]


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in texts by their size."""
    parts = _NUMBERS.split(text)
    return [(int(part), "") if at % 2 else (-1, part) for at, part in enumerate(parts)]


def _print_tree(found: Survey, order: Order, console: Console) -> None:
    """The chosen variables with the folders above them."""
    space, shown = found.space, 0
    above: list[int] = []
    for one in found.variables:
        line = _places(space, one.place)
        same = sum(1 for _ in _alike(above, line))
        for depth in range(same, len(line)):
            if shown >= order.lines:
                break
            console.print(_tree_line(space, line[depth], depth), markup=False)
            shown += 1
        above = line
    for text in _remarks(found, order):
        console.print(text, style="yellow", markup=False)
    left = len(found.variables)
    say = order.speech.say
    console.print(
        say(f"변수 {left}개", f"{left} variable(s)")
        + (say(", 나머지는 줄임: --lines", ", shortened: --lines") if shown >= order.lines else "")
    )


def _places(space: Space, at: int) -> list[int]:
    found = []
    while at >= 0:
        found.append(at)
        at = space.nodes[at].parent
    return found[::-1]


def _alike(first: Sequence[int], second: Sequence[int]) -> Iterator[int]:
    for one, other in zip(first, second, strict=False):
        if one != other:
            return
        yield one


def _tree_line(space: Space, at: int, depth: int) -> str:
    node = space.nodes[at]
    name = node.name if node.node_class == VARIABLE else f"{node.name}/"
    label = f"  ({node.label})" if node.label and node.label != node.name else ""
    address = node_text(node.id.NamespaceIndex, node.id.Identifier, space.namespaces)
    return plain(f"{'  ' * depth}{name}{label}  {address}")


def _report(found: Survey, sheet: TagSheet, order: Order) -> Iterator[str]:
    say = order.speech.say
    count = len(sheet.rows)
    yield (
        say(f"태그 {count}개를 썼습니다", f"{count} tag(s) written")
        if count
        else say("조건에 맞는 변수가 없습니다", "no variable fits")
    )
    for reason, number in sheet.skipped.items():
        yield say(f"  뺀 변수 {number}개: {reason.ko}", f"  {number} left out: {reason.en}")
    yield from _remarks(found, order)
    if count:
        yield say(
            "표를 살펴보고 필요 없는 줄을 지운 뒤 링크에 tags_file 로 적고 edge-agent check 하십시오",
            "look through the table, delete what is not wanted, name it as tags_file of the link, run edge-agent check",
        )


def _remarks(found: Survey, order: Order) -> Iterator[str]:
    say = order.speech.say
    if found.was_kept:
        yield say("저장해 둔 트리를 썼습니다. 다시 읽으려면 --anew", "from the tree kept on disk; --anew walks again")
    if not found.space.is_whole:
        most = len(found.space.nodes)
        yield say(
            f"트리가 너무 커서 노드 {most}개에서 멈추었습니다. --start 로 나누거나 --most 를 늘리십시오",
            f"the tree is too large: stopped at {most} nodes; divide it with --start, or raise --most",
        )


@contextmanager
def _progress(speech: Speech) -> Iterator[Tell]:
    """A line on standard error, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda what, count: None
        return
    words = {"browse": speech.say("노드", "nodes"), "read": speech.say("변수 읽음", "variables read")}
    with Status("", console=Console(stderr=True)) as status:
        yield lambda what, count: status.update(f"{count} {words[what]}")
