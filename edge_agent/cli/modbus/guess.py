"""Guess: all that some registers can mean, and which of it fits what the instrument's display shows. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from connectors.modbus.address import Address
from connectors.modbus.point import TEXT, WORDS, Order, Point
from edge_agent.cli.modbus.sample import Sample, Value

SCALES: Final = (1.0, 0.1, 0.01, 0.001)
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
_PLAUSIBLE: Final = (1e-4, 1e7)
_LIKELY: Final = ("int16", "uint16", "float32", "int32", "uint32")
"""Types in the order in which instruments use them."""
_NEAR: Final = 0.02
"""A display and a register are read at two moments: values this near (as a part) may still be the same."""
_SHOWN: Final = re.compile(r"[-+]?\d+(?:[.,](\d+))?")


@dataclass(frozen=True, slots=True)
class Guess:
    """One way to read: where, as what, and the value that it gives."""

    address: Address
    type: str
    order: Order
    scale: float
    value: Value

    @property
    def tag(self) -> dict[str, object]:
        """The tag as the configuration writes it."""
        tag: dict[str, object] = {"tag": _name(self.address), "address": str(self.address), "type": self.type}
        if self.order != "ABCD":
            tag["order"] = self.order
        return tag | ({"scale": self.scale} if self.scale != 1 else {})


def _name(address: Address) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(address).lower())


def orders_of(kind: str) -> tuple[Order, ...]:
    """The byte orders that make a difference."""
    return ORDERS if WORDS[kind] > 1 else ("ABCD", "BADC")


def points(start: Address, count: int) -> list[Point]:
    """Every type, order and scale at each of `count` registers from `start`, as far as they reach."""
    out = []
    for at in range(count):
        address = Address(start.function, start.wire + at)
        for kind, words in WORDS.items():
            if at + words <= count:
                for order in orders_of(kind):
                    out += [Point(0, address, kind, order, scale) for scale in SCALES]
    size = min(2 * count, 250)
    return [*out, *(Point(0, start, TEXT, order, size=size, encoding="cp949") for order in ("ABCD", "BADC"))]


def guesses(samples: Iterable[Sample]) -> list[Guess]:
    """What was read, without what is no number or text."""
    return [
        Guess(s.point.address, s.point.type, s.point.order, s.point.scale, s.value)
        for s in samples
        if s.value is not None and s.status == 0
    ]


def matches(found: Sequence[Guess], shown: str) -> list[Guess]:
    """Those whose value the display may show as `shown`, the likeliest first; empty where that is no number."""
    match = _SHOWN.fullmatch(shown.strip())
    if match is None:
        return []
    target, places = float(shown.strip().replace(",", ".")), len(match[1] or "")
    ranked = sorted((rank, at) for at, guess in enumerate(found) if (rank := _rank(guess, target, places)) is not None)
    return [found[at] for _, at in ranked]


def _rank(guess: Guess, target: float, places: int) -> tuple[float, ...] | None:
    """The smaller the likelier; None where it can't be."""
    if not isinstance(guess.value, int | float) or guess.type == TEXT:
        return None
    value = float(guess.value)
    away = abs(value - target)
    exact = round(value, places) == target
    if not exact and away > max(1.5 * 10**-places, _NEAR * abs(target)):
        return None
    return (not exact, *_oddity(guess, places), away)


def _oddity(guess: Guess, places: int) -> tuple[float, ...]:
    """How unusual a reading is: odd types, orders, and scales that do not give the places shown."""
    kind = _LIKELY.index(guess.type) if guess.type in _LIKELY else len(_LIKELY)
    decimals = SCALES.index(guess.scale)
    off = decimals if guess.type.startswith("float") else abs(decimals - places)
    return (off, ORDERS.index(guess.order), kind, guess.address.wire)


def plausible(found: Sequence[Guess], start: Address) -> list[Guess]:
    """What the registers from `start` may mean where nothing is known of the display: usual types, usual sizes."""
    kept = [
        guess
        for guess in found
        if guess.address == start
        and guess.type in _LIKELY
        and guess.scale == 1
        and isinstance(guess.value, int | float)
        and (guess.value == 0 or _PLAUSIBLE[0] <= abs(guess.value) <= _PLAUSIBLE[1])
    ]
    return sorted(kept, key=lambda guess: _oddity(guess, 0))
