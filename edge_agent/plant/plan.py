"""Plan: which servers of the plant run, where, from which seed, and what breaks when. Read from a YAML file.

    seed: 1                    # same seed, same plant
    speed: 1                   # machine seconds a wall second, 0.1 to 100
    servers:
      - {server: press-plc, port: 4842}      # without a port: any free one
    faults:                    # times in seconds of the machines' clock, from the start
      - {machine: press200, fault: eccentric, at: 60, until: 90, severity: 0.8, grow: 10}

All faults of the file are found at once, each with its place, cause and cure.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge_agent.config.document import ListNode, MapNode, Node, parse
from edge_agent.config.source import Source, read
from edge_agent.errors import ConfigError, Fault, Words
from edge_agent.plant.order import Order
from edge_agent.plant.server import MACHINE_OF, faults_of

CODE: Final = "EA-190"
_TOP: Final = ("seed", "speed", "servers", "faults")
_SERVER: Final = ("server", "port")
_FAULT: Final = ("machine", "fault", "at", "until", "severity", "grow")


@dataclass(frozen=True, slots=True)
class Breakage:
    """A fault ordered for a machine; `until` is when it is mended (seconds of the machine's clock), None: never."""

    machine: str
    order: Order
    until: float | None = None

    def lines(self) -> list[tuple[float, str]]:
        """The orders a server takes, each with its time."""
        order = self.order
        start = 0.0 if order.time is None else order.time
        grow = "" if order.grow is None else f":{order.grow}"
        lines = [(start, f"fault {order.name}@{start}:{order.severity}{grow}")]
        return lines if self.until is None else [*lines, (self.until, f"clear {order.name}@{self.until}")]


@dataclass(frozen=True, slots=True)
class Plan:
    """`servers`: name -> TCP port on 127.0.0.1, 0 for any free one."""

    servers: dict[str, int]
    seed: int = 1
    speed: float = 1.0
    faults: tuple[Breakage, ...] = ()

    def with_faults(self, faults: tuple[Breakage, ...]) -> "Plan":
        """The plan with more faults."""
        return replace(self, faults=self.faults + faults)

    @property
    def machines(self) -> list[str]:
        """The machines that its servers show, each once."""
        return list(dict.fromkeys(MACHINE_OF[server] for server in self.servers))

    def orders(self, machine: str) -> list[str]:
        """What its servers are told at their start, in the order of time: a fault is mended before it comes again."""
        timed = [line for broken in self.faults if broken.machine == machine for line in broken.lines()]
        return [line for _, line in sorted(timed, key=lambda each: each[0])]


def read_plan(path: Path) -> Plan:
    """The plan in a YAML file; raises ConfigError with all its faults."""
    source = read(path, str(path))
    if isinstance(source, Fault):
        raise ConfigError(str(path), (source,))
    document, faults = parse(source)
    if document is not None:
        reader = _Reader(source)
        plan = reader.plan(document.root)
        faults = [*faults, *reader.faults]
        if not faults:
            return plan
    raise ConfigError(str(path), tuple(faults))


class _Reader:
    """Turns the tree into a plan; what makes no sense goes to `faults`."""

    def __init__(self, source: Source) -> None:
        self.faults: list[Fault] = []
        self._source = source

    def plan(self, root: Node) -> Plan:
        self._known(root, _TOP)
        seed = int(self._number(root, "seed", 1, 0, 2**31, whole=True) or 0)
        speed = self._number(root, "speed", 1.0, 0.1, 100.0)
        servers = self._servers(root)
        machines = list(dict.fromkeys(MACHINE_OF[server] for server in servers))
        faults = [self._fault(item, machines) for item in self._list(root, "faults")]
        return Plan(servers, seed, speed or 1.0, tuple(fault for fault in faults if fault is not None))

    def _servers(self, root: Node) -> dict[str, int]:
        servers: dict[str, int] = {}
        for item in self._list(root, "servers"):
            self._known(item, _SERVER)
            name = self._choice(item, "server", tuple(MACHINE_OF))
            port = int(self._number(item, "port", 0, 1, 65535, whole=True) or 0)
            if name is None:
                continue
            if name in servers or (port and port in servers.values()):
                self._refuse(
                    item,
                    "server와 port는 한 번씩만 쓸 수 있습니다",
                    "a server or its port is named twice",
                    "중복된 줄을 지우거나 port를 바꾸십시오",
                    "remove the second one or change its port",
                )
            servers[name] = port
        if not servers and not self.faults:
            self._refuse(
                root,
                "servers에 서버가 없습니다",
                "there is no server under servers",
                f"다음 중에서 적으십시오: {', '.join(MACHINE_OF)}",
                f"name some of: {', '.join(MACHINE_OF)}",
            )
        return servers

    def _fault(self, item: Node, machines: list[str]) -> Breakage | None:
        self._known(item, _FAULT)
        machine = self._choice(item, "machine", tuple(machines))
        name = None if machine is None else self._choice(item, "fault", tuple(k.name for k in faults_of(machine)))
        at = self._number(item, "at", 0.0, 0.0, 1e9)
        until = self._number(item, "until", None, at or 0.0, 1e9)
        severity = self._number(item, "severity", 1.0, 0.01, 1.0)
        grow = self._number(item, "grow", None, 0.0, 1e9)
        if machine is None or name is None:
            return None
        return Breakage(machine, Order(name, at, 1.0 if severity is None else severity, grow), until)

    def _known(self, node: Node, keys: tuple[str, ...]) -> None:
        if not isinstance(node, MapNode):
            self._refuse(
                node,
                "'이름: 값' 형식이 아닙니다",
                "not of the form 'name: value'",
                f"쓸 수 있는 이름: {', '.join(keys)}",
                f"names that can stand here: {', '.join(keys)}",
            )
            return
        for key in node.items.keys() - set(keys):
            place = node.key_place(self._source, key)
            self._add(
                place.line,
                place.column,
                Words(f"알 수 없는 항목 {key}", f"unknown key {key}"),
                Words(f"쓸 수 있는 이름: {', '.join(keys)}", f"names that can stand here: {', '.join(keys)}"),
            )

    def _list(self, root: Node, key: str) -> list[Node]:
        node = root.child(key)
        if node is None or node.data is None:
            return []
        if isinstance(node, ListNode):
            return node.items
        self._refuse(
            node,
            f"{key}는 목록이어야 합니다",
            f"{key} must be a list",
            "각 줄을 '- '로 시작하십시오",
            "begin each line with '- '",
        )
        return []

    def _choice(self, item: Node, key: str, choices: tuple[str, ...]) -> str | None:
        node = item.child(key)
        if node is not None and node.data in choices:
            return str(node.data)
        said = "" if node is None else f" {node.data!r}"
        self._refuse(
            node or item,
            f"{key}{said}: 이 계획에 없는 이름이거나 빠졌습니다",
            f"{key}{said} is missing or not known in this plan",
            f"다음 중 하나: {', '.join(choices)}",
            f"one of: {', '.join(choices)}",
        )
        return None

    def _number(
        self, item: Node, key: str, default: float | None, low: float, high: float, *, whole: bool = False
    ) -> float | None:
        node = item.child(key)
        if node is None:
            return default
        value: Any = node.data
        fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if fits and low <= value <= high:
            return value if whole else float(value)
        kind = ("정수", "a whole number") if whole else ("숫자", "a number")
        self._refuse(
            node,
            f"{key} {value!r}은(는) 쓸 수 없는 값입니다",
            f"{key} cannot be {value!r}",
            f"{low:g}부터 {high:g}까지의 {kind[0]}를 적으십시오",
            f"write {kind[1]} from {low:g} to {high:g}",
        )
        return default

    def _refuse(self, node: Node, ko: str, en: str, cure_ko: str, cure_en: str) -> None:
        place = node.place(self._source)
        self._add(place.line, place.column, Words(ko, en), Words(cure_ko, cure_en))

    def _add(self, line: int, column: int, cause: Words, cure: Words) -> None:
        self.faults.append(Fault(CODE, self._source.name, line, column, cause, cure, self._source.line(line)))
