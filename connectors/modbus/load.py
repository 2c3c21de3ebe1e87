"""What polling asks of a line: the plan of each device, the share of the line's time, and what to do where it is too
much. Pure: for `modbus plan` and for tests.

Times are seconds. A share is the part of the line's time: 1.0 is a line that never rests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor, log10
from typing import Final, Literal

from connectors.modbus.plan import Block, Limits, Plan, make_plan
from connectors.modbus.point import Span
from connectors.modbus.price import Price
from edge_agent.api import Words

ROOM: Final = 0.9
"""The most that polling may ask of a line; the rest is kept for devices that are silent and for repetitions."""
BAUDS: Final = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
NETWORK: Final = Price(0.003, 2e-6)
"""What a request costs on Ethernet where nothing was measured: most controllers answer within some milliseconds."""


@dataclass(frozen=True, slots=True)
class Serial:
    """A serial line: RTU at `baud`, `bits` a character with start, parity and stop; the devices begin to answer after
    `turnaround` s."""

    baud: int
    bits: int = 11
    turnaround: float = 0.005

    @property
    def price(self) -> Price:
        """What a request costs."""
        return Price.serial(self.baud, self.bits, self.turnaround)


@dataclass(frozen=True, slots=True)
class Demand:
    """What is wanted of one device: `wanted` every `interval` s, and `pause` s of quiet that it needs before each
    request. No request may cover one of `refused` (as in make_plan)."""

    name: str
    unit: int
    interval: float
    wanted: tuple[Span, ...]
    limits: Limits = field(default_factory=Limits)
    pause: float = 0.0
    refused: frozenset[Span] = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """One device's part. `seconds` is how long one reading takes on the line."""

    demand: Demand
    plan: Plan
    seconds: float

    @property
    def share(self) -> float:
        """Part of the line's time."""
        return self.seconds / self.demand.interval

    def unused(self, block: Block) -> int:
        """Registers (or coils) that a block reads and no tag wants: the gaps that are cheaper than a request."""
        used = {a for s in self.demand.wanted if block.span.covers(s) for a in range(s.start, s.end)}
        return block.span.end - block.span.start - len(used)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to meet the wish. `value` is the baud rate, the factor on all intervals, or the number of lines."""

    kind: Literal["baud", "interval", "lines"]
    value: float
    words: Words


@dataclass(frozen=True, slots=True)
class LineLoad:
    """A whole line. `remedies` is empty where the wish can be met; else any one of them meets it."""

    devices: tuple[DeviceLoad, ...]
    price: Price
    remedies: tuple[Remedy, ...]

    @property
    def share(self) -> float:
        """Part of the line's time that all devices ask for together."""
        return sum(device.share for device in self.devices)

    @property
    def met(self) -> bool:
        """Whether the line can do it."""
        return _fits(self.share)


def line_load(demands: Sequence[Demand], line: Serial | Price) -> LineLoad:
    """The load of devices that share one line, one request at a time: a serial line, or at a price that was measured
    (through a gateway, say)."""
    price = line.price if isinstance(line, Serial) else line
    devices = tuple(_device(demand, price) for demand in demands)
    load = LineLoad(devices, price, ())
    return load if load.met else replace(load, remedies=tuple(_remedies(load, line)))


def _device(demand: Demand, price: Price) -> DeviceLoad:
    dear = replace(price, request=price.request + demand.pause)
    plan = make_plan(demand.wanted, demand.limits, demand.refused, dear.worth)
    return DeviceLoad(demand, plan, sum(dear.of(block.size) for block in plan.blocks))


def _remedies(load: LineLoad, line: Serial | Price) -> list[Remedy]:
    remedies = []
    demands = [device.demand for device in load.devices]
    if isinstance(line, Serial):
        quicker = (replace(line, baud=baud) for baud in BAUDS if baud > line.baud)
        enough = next((at for at in quicker if _fits(sum(_device(d, at.price).share for d in demands))), None)
        if enough is not None:
            remedies.append(_faster(enough.baud))
    remedies.append(_slower(load.share / ROOM, min(demands, key=lambda demand: demand.interval).interval))
    if len(demands) > 1 and _fits(max(device.share for device in load.devices)):
        remedies.append(_more_lines(_lines([device.share for device in load.devices])))
    return remedies


def _lines(shares: Sequence[float]) -> int:
    """How many lines hold the devices: each, the largest first, goes to the first line with room for it."""
    lines: list[float] = []
    for share in sorted(shares, reverse=True):
        at = next((i for i, used in enumerate(lines) if _fits(used + share)), None)
        if at is None:
            lines.append(share)
        else:
            lines[at] += share
    return len(lines)


def _fits(share: float) -> bool:
    """Whether a line has room for it; a part in 10⁹ too much is the arithmetic's, not the line's."""
    return share <= ROOM * (1 + 1e-9)


def _up(value: float) -> float:
    """The next larger number of two digits: nobody writes an interval of 1.3718 s."""
    step = 10.0 ** (floor(log10(value)) - 1)
    return round(ceil(value / step - 1e-9) * step, 9)


def _faster(baud: int) -> Remedy:
    return Remedy(
        "baud",
        baud,
        Words(
            f"통신 속도를 {baud} bps 로 올리십시오(장치와 게이트웨이 모두)",
            f"raise the baud rate to {baud}, on the devices and on the gateway",
        ),
    )


def _slower(factor: float, shortest: float) -> Remedy:
    factor = _up(factor)
    return Remedy(
        "interval",
        factor,
        Words(
            f"모든 주기를 {factor:g}배로 늘리십시오(가장 짧은 주기는 {_up(shortest * factor):g}초)",
            f"make all intervals {factor:g} times as long (the shortest becomes {_up(shortest * factor):g} s)",
        ),
    )


def _more_lines(lines: int) -> Remedy:
    return Remedy(
        "lines",
        lines,
        Words(f"장치를 {lines}개의 회선으로 나누십시오", f"spread the devices over {lines} lines"),
    )
