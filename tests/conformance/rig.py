"""What a protocol brings to the connectors' conformance suite (`test_connectors.py`): a `Rig`.

A rig is a real server in a process of its own, on a port that it keeps over restarts, whose values the suite sets, and
the section of a link that reads them. A new protocol is one `rig_<name>.py` beside this file with a subclass of
`ProcessRig`, and one line in `RIGS`. `Collector` is the outlet that the suite and other tests listen with.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import anyio
from anyio.lowlevel import checkpoint

from edge_agent.api import Description, EdgeAgentError, Event, Frame, Kind, LinkSection, Notice
from tests.servers.process import ServerProcess, free_port

Value = float | int | bool | str
Seen = Value | None

RIGS = {
    "modbus": "tests.conformance.rig_modbus:ModbusRig",
    "opcua": "tests.conformance.rig_opcua:OpcUaRig",
}
"""Connector type -> its rig, built as `Class(folder)` with a folder for the server's files."""

VARIANTS = {"opcua_poll": "tests.conformance.rig_opcua:OpcUaPollRig"}
"""The same of connectors that have another way to their values."""

FIRST: Mapping[Kind, Value] = {
    Kind.FLOAT64: 0.0,
    Kind.FLOAT32: 0.0,
    Kind.INT64: 0,
    Kind.UINT64: 0,
    Kind.BOOL: False,
    Kind.TEXT: "",
}
"""What a tag of a kind has when its server starts."""

BAD_TAG = "no_such_tag"
"""The tag that `link(bad_tag=True)` adds at the end: its address is valid in form but not on the server."""


class Rig(Protocol):
    """One protocol's plant. Times are seconds."""

    name: str
    """The connector's type, as in the registry."""
    kinds: Mapping[str, Kind]
    """The plant's tags by signal name, each with the kind that a good row of it has; at least six tags.

    There must be `number` (any numeric kind, exact for whole numbers to 1e6) and, of the kinds that the protocol has,
    at least one tag each: FLOAT64, FLOAT32, INT64, UINT64, BOOL, TEXT. The first tag of an integer kind is 64 bits
    wide.
    """
    deadline: float
    """Within this time `run` must notice that the server is absent, stopped or frozen, with the timeouts in `link`."""

    async def start(self) -> None:
        """Starts the server, again on the same port if it ran before; returns when clients can connect. If it runs,
        every tag gets the value again that it has at the start.
        """
        ...

    async def stop(self) -> None:
        """Ends the server, and with it its connections; nothing happens if it does not run."""
        ...

    def freeze(self) -> None:
        """The server keeps its connections and answers nothing (SIGSTOP)."""
        ...

    def thaw(self) -> None:
        """The server goes on (SIGCONT); nothing happens if it does not run."""
        ...

    def link(self, tags: Sequence[str] | None = None, *, bad_tag: bool = False) -> LinkSection:
        """A link that reads `tags` (all when None) in this order, as fast as is sensible (about 50 ms)."""
        ...

    async def publish(self, values: Mapping[str, Value]) -> None:
        """Sets tags on the running server; returns when the server has them. Leaves no connection open."""
        ...

    def open_connections(self) -> int:
        """Connections that the server has open at this moment."""
        ...


class ProcessRig(ABC):
    """A rig whose server is one process that prints a JSON ready line (tests/servers/process.py)."""

    name: str
    kinds: Mapping[str, Kind]
    deadline: float = 10.0

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.process = ServerProcess(f"rig-{self.name}-{self.port}", self.command(), folder)

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The server's command line; `self.port` and `self.folder` are set."""

    @abstractmethod
    def link(self, tags: Sequence[str] | None = None, *, bad_tag: bool = False) -> LinkSection:
        """See `Rig.link`."""

    @abstractmethod
    async def publish(self, values: Mapping[str, Value]) -> None:
        """See `Rig.publish`."""

    async def start(self) -> None:
        if self.process.running:
            await self.publish({tag: FIRST[kind] for tag, kind in self.kinds.items()})
        else:
            await anyio.to_thread.run_sync(self.process.start)

    async def stop(self) -> None:
        await anyio.to_thread.run_sync(self.process.stop)

    def freeze(self) -> None:
        self.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.process.running:
            self.process.signal(signal.SIGCONT)

    def open_connections(self) -> int:
        return established(self.port)


def established(port: int) -> int:
    """Established TCP connections of this machine whose own end is `port` (IPv4 and IPv6): the server's view."""
    count = 0
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        fields = [row.split() for row in rows]
        count += sum(int(row[1].rpartition(":")[2], 16) == port and row[3] == "01" for row in fields)
    return count


def make_rig(name: str, folder: Path) -> Rig:
    """The rig of a connector type or of a variant; raises KeyError for one without."""
    module, _, cls = (RIGS | VARIANTS)[name].partition(":")
    return cast(Rig, getattr(import_module(module), cls)(folder))


class Collector:
    """An outlet that keeps everything and can be slow: `gate` closed makes `put` wait.

    `frames` in the order they were put; `latest[number]` is the last row of a tag as (value, status, time ns).
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.latest: dict[int, tuple[Seen, int, int]] = {}
        self.descriptions: dict[int, Description] = {}
        self.signs = 0
        self.losses: Counter[str] = Counter()
        self.waiting = 0
        self.waiting_most = 0
        self.notices: list[Notice] = []
        self.reconnections = 0
        self.happened: list[Event] = []
        """Events in the order they were told."""
        self._gate = anyio.Event()
        self._gate.set()
        self._came = anyio.Event()

    async def put(self, frame: Frame) -> None:
        self.waiting += 1
        self.waiting_most = max(self.waiting_most, self.waiting)
        try:
            await self._gate.wait()
            await checkpoint()
        finally:
            self.waiting -= 1
        self.frames.append(frame)
        for row in range(len(frame)):
            self.latest[int(frame.tag[row])] = (frame.value(row), int(frame.status[row]), int(frame.time[row]))
        self._came.set()
        self._came = anyio.Event()

    def alive(self) -> None:
        self.signs += 1

    def describe(self, number: int, description: Description) -> None:
        self.descriptions[number] = description

    def events(self, events: Sequence[Event]) -> None:
        self.happened += events

    def reconnected(self, error: EdgeAgentError) -> None:
        self.reconnections += 1

    def notice(self, notices: Sequence[Notice]) -> None:
        self.notices = list(notices)

    def lost(self, reason: str, count: int, tags: Sequence[int] = ()) -> None:
        self.losses[reason] += count

    def shut(self) -> None:
        """From now on `put` waits."""
        self._gate = anyio.Event()

    def open(self) -> None:
        """Lets all waiting and coming `put` through."""
        self._gate.set()

    @property
    def rows(self) -> Frame:
        """All rows so far, in order."""
        return Frame.concat(self.frames)

    def of(self, number: int) -> Frame:
        """All rows of one tag, in order."""
        rows = self.rows
        return rows.rows(rows.tag == number)

    def clear(self) -> None:
        """Forgets the rows so far."""
        self.frames.clear()
        self.latest.clear()

    async def came(self) -> None:
        """Waits for the next frame."""
        await self._came.wait()

    async def until_value(self, number: int, value: Value, timeout: float = 30.0) -> None:
        """Waits until the tag's last row is good and has exactly this value (and type)."""
        with anyio.fail_after(timeout):
            while not self._is(number, value):
                await self.came()

    def _is(self, number: int, value: Value) -> bool:
        seen, status, _ = self.latest.get(number, (None, 1 << 31, 0))
        return status < 1 << 30 and type(seen) is type(value) and seen == value

    async def until_bad(self, number: int, timeout: float = 30.0) -> int:
        """Waits until the tag's last row is bad; answers its status."""
        with anyio.fail_after(timeout):
            while self.latest.get(number, (None, 0, 0))[1] < 1 << 31:
                await self.came()
        return self.latest[number][1]

    async def until_all(self, numbers: Sequence[int], timeout: float = 30.0) -> None:
        """Waits until every tag has a row."""
        with anyio.fail_after(timeout):
            while not self.latest.keys() >= set(numbers):
                await self.came()
