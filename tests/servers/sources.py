"""The machines' side, as processes: OPC UA and Modbus servers whose every value is known beforehand.

The formulas are those at the head of each server's own source, and are repeated here as Python. Each server keeps its
port over ``stop`` and ``start``; its ticks begin at 0 again, with a new ``t0_ns``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.servers import cache
from tests.servers.process import ServerProcess, free_port

USER = "plant"
PASSWORD = "plant-password"

Value = float | int | bool | str


class Source:
    """What they have in common. After ``start``: ``facts`` holds the ready line."""

    name: str

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.facts: dict[str, Any] = {}
        self.process = ServerProcess(f"{self.name}-{self.port}", self._command(), folder)

    def _command(self) -> list[str | Path]:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self, deadline_s: float = 30.0) -> Self:
        """Start the server, again on the same port if it ran before, and wait until clients can connect."""
        self.facts = self.process.start(deadline_s)
        return self

    def stop(self) -> dict[str, Any]:
        """End the server; answers its last line: ``ticks`` and what else it counted."""
        return self.process.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _OpcUa(Source):
    def __init__(self, folder: Path, *, pki: Path | None, period_ms: int, ticks: int | None, port: int | None) -> None:
        self.pki = pki or folder / f"{self.name}-pki"
        self.period_ms = period_ms
        self.ticks = ticks
        super().__init__(folder, port=port)
        self.url = f"opc.tcp://127.0.0.1:{self.port}/"

    def _common(self) -> list[str | Path]:
        arguments: list[str | Path] = ["--port", str(self.port), "--pki", self.pki]
        arguments += ["--period-ms", str(self.period_ms)]
        return arguments if self.ticks is None else [*arguments, "--ticks", str(self.ticks)]

    @property
    def ns(self) -> int:
        """The index of the server's own namespace."""
        return int(self.facts["ns"])

    @property
    def t0_ns(self) -> int:
        """The source time of tick 0."""
        return int(self.facts["t0_ns"])

    def source_ns(self, c: int) -> int:
        """The source time of tick c, Unix ns."""
        return self.t0_ns + c * self.period_ms * 1_000_000

    def tick_of(self, source_ns: int) -> int:
        """The tick of a source time.

        :raises ValueError: if no tick of this run has that time.
        """
        c, rest = divmod(source_ns - self.t0_ns, self.period_ms * 1_000_000)
        if rest or c < 0:
            raise ValueError(f"{source_ns} is not the time of a tick")
        return c


class Uafast(_OpcUa):
    """The fast OPC UA server: n tags ``ns=2;i=1000+k``, all set every ``period_ms``.

    :param mixed: eight data types in turn in place of Double.
    :param ticks: stop changing after this many ticks.
    :param bad_every: tag k is bad, without a value, at tick c > 0 when (k + c) is a multiple of this.
    :param pki: folder of the server's certificates; give the same to spare the key generation.
    """

    name = "uafast"

    def __init__(
        self,
        folder: Path,
        n: int = 1000,
        period_ms: int = 100,
        *,
        mixed: bool = False,
        ticks: int | None = None,
        bad_every: int = 0,
        pki: Path | None = None,
        port: int | None = None,
    ) -> None:
        self.n = n
        self.mixed = mixed
        self.bad_every = bad_every
        super().__init__(folder, pki=pki, period_ms=period_ms, ticks=ticks, port=port)

    def _command(self) -> list[str | Path]:
        command = [cache.built("uafast"), *self._common(), "--tags", str(self.n)]
        if self.bad_every:
            command += ["--bad-every", str(self.bad_every)]
        return [*command, "--mixed"] if self.mixed else command

    def node_id(self, k: int) -> str:
        return f"ns={self.ns};i={1000 + k}"

    def value(self, k: int, c: int) -> Value | None:
        """What tag k is at tick c; None where it is bad."""
        if self.bad_every and c > 0 and (k + c) % self.bad_every == 0:
            return None
        return uafast_value(k, c, mixed=self.mixed)


def uafast_value(k: int, c: int, *, mixed: bool) -> Value:
    """The table at the head of uafast/src/main.rs."""
    sign = -1 if c % 2 else 1
    values: list[Value] = [
        k + c / 1024,
        k % 4096 + (c % 1024) / 1024,
        sign * (k * 1000 + c % 1000),
        (k + c) % 65536,
        sign * (2**62 + (k << 32) + c),
        2**63 + (k << 32) + c,
        (k + c) % 2 == 1,
        f"값 {k}/{c}",
    ]
    return values[k % 8 if mixed else 0]


class NodeOpcua(_OpcUa):
    """An OPC UA server of another make, with every scalar type; its variables are listed in node_opcua/server.js.

    It takes about 1.5 s to start, and 1 s more when it has to make its certificate first.

    :param history: how many values of each moving variable it keeps for HistoryRead.
    :param alarms: whether there is a tank that raises events and alarms.
    """

    name = "node-opcua"

    def __init__(
        self,
        folder: Path,
        period_ms: int = 100,
        *,
        ticks: int | None = None,
        history: int = 0,
        alarms: bool = False,
        pki: Path | None = None,
        port: int | None = None,
    ) -> None:
        self.history, self.alarms = history, alarms
        super().__init__(folder, pki=pki, period_ms=period_ms, ticks=ticks, port=port)

    def _command(self) -> list[str | Path]:
        node = cache.program("node", ".ci/services node-opcua")
        more = ["--alarms"] if self.alarms else []
        return [node, cache.built("node-opcua"), *self._common(), "--history", str(self.history), *more]

    def node_id(self, name: str) -> str:
        return f"ns={self.ns};s={name}"


class MbServer(Source):
    """The Modbus server on libmodbus; the map is at the head of modbus/mbserver.c.

    :param units: the unit ids that answer; the others are silent.
    :param illegal: ranges of registers, (first, last) both included, that answer exception 2.
    :param ticks: stop changing after this many ticks.
    :param delay_ms: time before each answer.
    :param rtu: the serial port it is on, in place of TCP; `units` is then the one unit that it is.
    """

    name = "mbserver"
    tick_register = 65520
    unit_register = 65524

    def __init__(
        self,
        folder: Path,
        period_ms: int = 100,
        *,
        units: Iterable[int] = range(1, 248),
        illegal: Iterable[tuple[int, int]] = (),
        ticks: int | None = None,
        delay_ms: int = 0,
        rtu: str | None = None,
        port: int | None = None,
    ) -> None:
        self.period_ms = period_ms
        self.rtu = rtu
        self.units = tuple(units)
        self.illegal = tuple(illegal)
        self.ticks = ticks
        self.delay_ms = delay_ms
        self.host = "127.0.0.1"
        super().__init__(folder, port=port)

    def _command(self) -> list[str | Path]:
        command: list[str | Path] = [cache.built("modbus")]
        command += ["--port", str(self.port)] if self.rtu is None else ["--rtu", self.rtu]
        command += ["--period-ms", str(self.period_ms), "--delay-ms", str(self.delay_ms)]
        command += ["--units", ",".join(str(unit) for unit in self.units)]
        for first, last in self.illegal:
            command += ["--illegal", f"{first}-{last}"]
        return command if self.ticks is None else [*command, "--ticks", str(self.ticks)]

    def float_at(self, address: int, unit: int, c: int) -> float:
        """The float32 in registers ``address`` (even) and the next, high word first, at tick c."""
        return address // 2 % 4096 + unit * 4096 + (c % 8) / 8

    def bit_at(self, address: int, unit: int, c: int) -> bool:
        """The coil or discrete input at this address at tick c."""
        return (address + unit + c) % 2 == 1


class Gateway(Source):
    """A Modbus gateway of another make: one TCP port, and behind it a line that carries one request at a time.

    :param units: unit id -> for how long it holds the line before it answers (ms); None for a dead one.
    :param gives_up_ms: after which the gateway answers in the unit's place, with exception 11.
    """

    name = "gateway"

    def __init__(
        self, folder: Path, units: Mapping[int, int | None], *, gives_up_ms: int = 1000, port: int | None = None
    ) -> None:
        self.units = units
        self.gives_up_ms = gives_up_ms
        super().__init__(folder, port=port)

    def _command(self) -> list[str | Path]:
        java = cache.program("java", ".ci/services gateway")
        built = cache.built("gateway").parent
        command = [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{built}:{built}/lib/*", "Gateway"]
        command += ["--port", str(self.port), "--gives-up-ms", str(self.gives_up_ms)]
        for unit, takes in self.units.items():
            command += ["--dead", str(unit)] if takes is None else ["--unit", f"{unit}:{takes}"]
        return command

    def register(self, unit: int, address: int) -> int:
        """What a holding register holds."""
        return (1000 * unit + address) % 65536
