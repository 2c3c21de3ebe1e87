"""What was learned of a link, its units and its devices: handed to the pollers, and kept in the agent's memory."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from connectors.modbus.config import ModbusLink
from connectors.modbus.known import Known, within
from connectors.modbus.point import Point, spans_of
from connectors.modbus.price import Trips
from connectors.modbus.unit import Unit
from connectors.modbus.window import Kept, Window
from edge_agent.api import Clock, Memory

T = TypeVar("T")


class Learned:
    """One link's. Units that wait for each other behind a gateway share one window."""

    def __init__(
        self, link: ModbusLink, name: str, points: Sequence[Sequence[Point]], clock: Clock, memory: Memory | None
    ) -> None:
        """`name` says where the link leads; `points` of each device. Without `memory` it begins with nothing."""
        self._name, self._memory, self._clock = name, memory, clock
        self._identities = [
            _digest(name, device.unit, device.max_registers, device.max_bits, device.max_gap, sorted(spans_of(own)))
            for device, own in zip(link.devices, points, strict=True)
        ]
        self.trips = self._recall("line", _digest(name), lambda kept: Trips(_sums(kept["sums"]))) or Trips()
        self.known = [
            self._recall(f"device {place}", identity, Known.of) or Known()
            for place, identity in enumerate(self._identities)
        ]
        self.gateway = self._window("gateway", link.bound) if link.shared else None
        self.units = {number: self._unit(number, link) for number in sorted({device.unit for device in link.devices})}

    def keep(self, known: Sequence[Known], *, broken: bool) -> None:
        """Puts all into memory; `known` of each device. `broken`: the connection was lost, so a trial that was on its
        way is remembered as begun."""
        if self._memory is None:
            return
        keep = self._memory.keep
        keep("line", _digest(self._name), {"sums": [round(value, 9) for value in self.trips.sums]})
        for place, (identity, one) in enumerate(zip(self._identities, known, strict=True)):
            keep(f"device {place}", identity, one.document())
        if self.gateway is not None:
            keep("gateway", _digest(self._name, "gateway"), _window_document(self.gateway, broken))
        for number, unit in self.units.items():
            keep(f"unit {number}", _digest(self._name, number), unit.document())
            if self.gateway is None:
                keep(f"window {number}", _digest(self._name, f"window {number}"), _window_document(unit.window, broken))

    def _unit(self, number: int, link: ModbusLink) -> Unit:
        sections = [device for device in link.devices if device.unit == number]
        timeout = max(device.timeout for device in sections)
        window = self.gateway or self._window(f"window {number}", min(device.window for device in sections))
        made = self._recall(
            f"unit {number}", _digest(self._name, number), lambda kept: Unit(number, timeout, window, kept)
        )
        return made or Unit(number, timeout, window)

    def _window(self, part: str, bound: int) -> Window:
        kept = self._recall(part, _digest(self._name, part), _kept_window)
        return Window(bound, self._clock.monotonic(), kept)

    def _recall(self, part: str, identity: str, make: Callable[[Mapping[str, Any]], T]) -> T | None:
        kept = self._memory.recall(part, identity) if self._memory is not None else {}
        if not kept:
            return None
        try:
            return make(kept)
        except (ValueError, KeyError, TypeError) as error:
            assert self._memory is not None  # noqa: S101 - something was recalled from it, for the checker
            self._memory.forget(part, f"{type(error).__name__}: {error}")
            return None


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _sums(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 6 or not all(type(value) in (int, float) and 0 <= value < 1e15 for value in values):
        raise ValueError(values)
    return tuple(float(value) for value in values)


def _window_document(window: Window, broken: bool) -> dict[str, Any]:
    kept = window.kept
    return {"proven": kept.proven, "trying": kept.trying and broken, "doubts": kept.doubts}


def _kept_window(document: Mapping[str, Any]) -> Kept:
    return Kept(within(document["proven"], 1, 64), document["trying"] is True, within(document["doubts"], 0, 1_000_000))
