"""A point: one tag at its place in a device, with all that is needed to turn its bytes into a value. Data only."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from connectors.modbus.address import WHOLE, Address

Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""Byte order on the wire: A is the highest byte of a 4-byte value.

For 8 bytes the same rule goes on (ABCDEFGH, GHEFCDAB, BADCFEHG, HGFEDCBA); for 2 bytes only the order within a word
is left (AB, AB, BA, BA); for texts too, whose words never change places.
"""

Encoding = Literal["utf-8", "cp949"]

WORDS: Final = {
    "int8": 1,
    "uint8": 1,
    "int16": 1,
    "uint16": 1,
    "float16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
    "bcd16": 1,
    "bcd32": 2,
    "bcd64": 4,
}
"""Numeric type -> registers. An 8-bit value is the low byte of its register, the high one where `order` turns it.

BCD is a decimal digit in each 4 bits: bcd16 has 4 of them, bcd64 has 16.
"""

BOOL: Final = "bool"
TEXT: Final = "text"


class Span(NamedTuple):
    """Addresses `start` up to but not including `end` of one function code: registers, coils or discrete inputs."""

    function: int
    start: int
    end: int

    def covers(self, other: "Span") -> bool:
        """Whether `other` lies wholly inside."""
        return self.function == other.function and self.start <= other.start and other.end <= self.end

    def overlaps(self, other: "Span") -> bool:
        """Whether they have an address in common."""
        return self.function == other.function and self.start < other.end and other.start < self.end


class Sentinel(NamedTuple):
    """A raw value that is no measurement, and the status that says so."""

    raw: int
    status: int


ScaleKind = Literal["decimal_point", "exponent", "factor"]
"""What a register says of another's scale: how many decimal places (0…9), a power of ten (-9…9), or a factor."""


class ScaleFrom(NamedTuple):
    """The register that says how a value is scaled."""

    address: Address
    kind: ScaleKind = "decimal_point"

    @property
    def span(self) -> Span:
        """The addresses that it occupies."""
        return register_span(self.address)


class Condition(NamedTuple):
    """A register whose bits `mask` say that a value is none: by being `value`, or with `unless` by not being it."""

    address: Address
    mask: int
    value: int
    status: int
    unless: bool = False

    @property
    def span(self) -> Span:
        """The addresses that it occupies."""
        return register_span(self.address)


def register_span(address: Address) -> Span:
    """The span of the single register at `address`."""
    return Span(address.function, address.wire, address.wire + 1)


@dataclass(frozen=True, slots=True)
class Point:
    """One tag of one device.

    `number` is the tag's number; `type` a key of WORDS, BOOL or TEXT; `size` the length of a text in bytes. With a
    `mask` the raw value is what these bits of an integer hold, moved down to its lowest bit. The value is
    raw * `scale` * (what `scale_from` says) + `offset`, held within `clamp`.
    """

    number: int
    address: Address
    type: str
    order: Order = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    size: int = 0
    encoding: Encoding = "utf-8"
    sentinels: tuple[Sentinel, ...] = ()
    mask: int = 0
    clamp: tuple[float, float] | None = None
    scale_from: ScaleFrom | None = None
    conditions: tuple[Condition, ...] = ()
    span: Span = field(init=False, compare=False)
    """The addresses that its value occupies."""

    def __post_init__(self) -> None:
        start = self.address.wire
        end = start + width(self.type, self.address.bit, self.size)
        object.__setattr__(self, "span", Span(self.address.function, start, end))

    @property
    def scaled(self) -> bool:
        """Whether the value is calculated from the raw one, and so a float64."""
        return self.scale != 1.0 or self.offset != 0.0 or self.clamp is not None or self.scale_from is not None

    @property
    def spans(self) -> tuple[Span, ...]:
        """All that must be read to know the value: its own addresses, and those that its scale and status hang on."""
        asides = [] if self.scale_from is None else [self.scale_from.span]
        asides += [condition.span for condition in self.conditions]
        return (self.span, *asides) if asides else (self.span,)


def spans_of(points: Iterable[Point]) -> set[Span]:
    """All that must be read for these points."""
    return {span for point in points for span in point.spans}


def width(kind: str, bit: int = WHOLE, size: int = 0) -> int:
    """How many addresses a value of type `kind` occupies; `bit` and `size` as in Point."""
    if kind == BOOL or bit != WHOLE:
        return 1
    return (size + 1) // 2 if kind == TEXT else WORDS[kind]
