"""`edge-agent opcua watch`: a live subscription on a few nodes, by the very client that the daemon uses.

On a terminal a table that is drawn again; otherwise a line for each value that came. What is shown while the link is
down is said to be old.
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TextIO

import anyio
from rich.console import Console
from rich.live import Live
from rich.table import Table

from connectors.opcua.client import OpcUaConnector
from connectors.opcua.config import OpcUaLink, OpcUaServer
from edge_agent.api import Clock, Description, EdgeAgentError, Event, Frame, Notice
from edge_agent.backoff import Backoff
from edge_agent.cli import EXIT_FAULT
from edge_agent.cli.modbus.screen import UNKNOWN, number, screen, table_of
from edge_agent.cli.opcua.door import nodes_of
from edge_agent.cli.opcua.plain import plain
from edge_agent.cli.speech import Speech
from edge_agent.cli.view_words import QUALITY, STATE
from edge_agent.model.frame import Int32
from edge_agent.model.status import Quality, quality_of, status_name

_REFRESH: Final = 0.25
_RETRY: Final = (1.0, 10.0)
Value = float | int | bool | str | None


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, as the command line says it. `nodes`: node ids, browse paths, or tags of the link."""

    server: OpcUaServer
    nodes: Sequence[str]
    speech: Speech
    seconds: float | None = None
    interval: float = 0.25
    """Publishing interval in seconds; the nodes are sampled as fast as the server can."""


@dataclass(frozen=True, slots=True)
class Row:
    """The last that came of a node. Times are ns since 1970."""

    value: Value
    status: int
    time: int


@dataclass(slots=True)
class Board:
    """What came, by number. An outlet; see `edge_agent.api.Outlet`. Bounded: only the last row of each node."""

    names: Sequence[str]
    lines: TextIO | None = None
    """Where each row is written as it comes."""
    latest: dict[int, Row] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    overflows: int = 0
    error: EdgeAgentError | None = None
    """Why the link is down; None while it is up."""
    notices: Sequence[Notice] = ()
    units: dict[int, str] = field(default_factory=dict)

    async def put(self, frame: Frame) -> None:
        """Takes the rows."""
        self.error = None
        for at in range(len(frame)):
            tag = int(frame.tag[at])
            row = Row(frame.value(at), int(frame.status[at]), int(frame.time[at]))
            self.latest[tag] = row
            self.counts[tag] = self.counts.get(tag, 0) + 1
            if self.lines is not None:
                self.lines.write(
                    f"{_moment(row.time)}  {self.names[tag]}  {_value(row.value)}  {status_name(row.status)}\n"
                )
        if self.lines is not None:
            self.lines.flush()

    def alive(self) -> None:
        """The server said that nothing changed."""
        self.error = None

    def lost(self, reason: str, count: int, tags: Sequence[int] | Int32 = ()) -> None:
        """Values that the server threw away."""
        self.overflows += count

    def describe(self, number: int, description: Description) -> None:
        """What the server says of a node."""
        self.units[number] = description.unit

    def events(self, events: Sequence[Event]) -> None:
        """None were asked for."""

    def reconnected(self, error: EdgeAgentError) -> None:
        """Nothing was missed."""

    def notice(self, notices: Sequence[Notice]) -> None:
        """What wants a person, such as a certificate that expires."""
        self.notices = notices


def watch(order: Order, clock: Clock, out: TextIO) -> int:
    """Watches until Ctrl-C, or `order.seconds`; exit code 1 where a node has no value at the end.

    Raises EdgeAgentError where no value came before the link broke.
    """
    named = nodes_of(order.server, order.nodes)
    console = screen(out)
    board = Board(list(named), None if console.is_terminal else out)
    anyio.run(_watch, _link(order, named), order, board, clock, console)
    if board.error is not None and not board.counts:
        raise board.error
    for text in _summary(board, order.speech):
        console.print(text, markup=False)
    values = [row.value for row in board.latest.values() if row.value is not None]
    return 0 if len(values) == len(named) and board.error is None else EXIT_FAULT


def _link(order: Order, named: Mapping[str, str]) -> OpcUaLink:
    """The link to read: that of the configuration, with these tags only and nothing held back."""
    server = order.server
    tags = [
        {"tag": f"t{at}", "node": node, "machine": "watch", "sampling": "0s"} for at, node in enumerate(named.values())
    ]
    keys = {"name": server.name, "connector": "opcua", "url": server.url, "security": server.security}
    more = {"user": server.user, "timeout": f"{server.timeout:g}s", "publishing_interval": f"{order.interval:g}s"}
    return OpcUaLink.model_validate({**keys, **more, "retry_items": "5s", "tags": tags})


async def _watch(link: OpcUaLink, order: Order, board: Board, clock: Clock, console: Console) -> None:
    with anyio.move_on_after(order.seconds) as scope:
        async with anyio.create_task_group() as group:

            async def run() -> None:
                await _run(link, board, clock, order.speech)
                scope.cancel()

            async def end() -> None:
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    async for _ in signals:
                        scope.cancel()

            group.start_soon(end)
            group.start_soon(run)
            if console.is_terminal:
                await _draw(board, order.speech, clock, console)


async def _run(link: OpcUaLink, board: Board, clock: Clock, speech: Speech) -> None:
    """Connects, and again when it breaks, for ever; returns where there was never a value, the reason in `board`."""
    waits = Backoff(*_RETRY)
    while True:
        before = sum(board.counts.values())
        try:
            await OpcUaConnector(link, list(range(len(link.tags))), clock).run(board)
        except EdgeAgentError as error:
            board.error = error
            if not board.counts:
                return
            if board.lines is not None:
                board.lines.write(error.in_language(speech.language) + "\n")
                board.lines.flush()
        if sum(board.counts.values()) > before:
            waits.reset()
        await anyio.sleep(waits.next())


async def _draw(board: Board, speech: Speech, clock: Clock, console: Console) -> None:
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            live.update(_table(board, speech, clock.wall()), refresh=True)
            await anyio.sleep(_REFRESH)


def _table(board: Board, speech: Speech, now: int) -> Table:
    say = speech.say
    heads = (say("값", "value"), say("품질", "quality"), say("경과(초)", "age (s)"), say("횟수", "count"))
    table = table_of(say("노드", "node"), *heads, say("상태", "status"), right=heads[2:])
    for at, name in enumerate(board.names):
        table.add_row(name, *_cells(board, at, speech, now), style=_style(board, at))
    return table


def _cells(board: Board, at: int, speech: Speech, now: int) -> tuple[str, ...]:
    row = board.latest.get(at)
    if row is None:
        return UNKNOWN, UNKNOWN, UNKNOWN, "0", ""
    words = QUALITY[speech.language]
    quality = words[quality_of(row.status).name.lower()] if board.error is None else STATE[speech.language]["down"]
    status = status_name(row.status) if board.error is None else board.error.cause.in_language(speech.language)
    value = f"{_value(row.value)} {plain(board.units.get(at, ''))}".rstrip()
    return value, quality, f"{(now - row.time) / 1e9:.1f}", str(board.counts[at]), status


def _style(board: Board, at: int) -> str:
    row = board.latest.get(at)
    if board.error is not None:
        return "dim red"
    quality = None if row is None else quality_of(row.status)
    return {None: "dim", Quality.GOOD: "", Quality.UNCERTAIN: "yellow", Quality.BAD: "red"}[quality]


def _value(value: Value) -> str:
    return plain(value) if isinstance(value, str) else number(value)


def _summary(board: Board, speech: Speech) -> list[str]:
    count, nodes = sum(board.counts.values()), len(board.latest)
    lines = [speech.say(f"노드 {nodes}개에서 값 {count}개를 받았습니다", f"{count} value(s) of {nodes} node(s)")]
    if board.overflows:
        lost = board.overflows
        lines.append(speech.say(f"서버가 버린 값: 적어도 {lost}개", f"thrown away by the server: {lost} or more"))
    return lines + [notice.text.in_language(speech.language) for notice in board.notices]


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
