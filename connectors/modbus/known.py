"""What is known of a device beyond its manual: what it refuses, and how much it gives at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from connectors.modbus.address import HOLDING_REGISTERS
from connectors.modbus.plan import Limits
from connectors.modbus.point import Span


@dataclass(frozen=True, slots=True)
class Known:
    """`refused`: the span of a tag -> the exception code that it is answered with; `seams`: other places that no
    request may cover; `registers`, `bits`: the most in one request, where that is less than the protocol allows."""

    refused: Mapping[Span, int] = field(default_factory=dict)
    seams: frozenset[Span] = frozenset()
    registers: int | None = None
    bits: int | None = None

    def limits(self, configured: Limits) -> Limits:
        """The limits of a request: the manual's, or the device's own where those are narrower."""
        return replace(
            configured,
            registers=min(configured.registers, self.registers or configured.registers),
            bits=min(configured.bits, self.bits or configured.bits),
        )

    def limited(self, function: int, most: int) -> Self:
        """With the most that one request of this function code may ask for."""
        return replace(self, registers=most) if function >= HOLDING_REGISTERS else replace(self, bits=most)

    def without(self, function: int) -> Self:
        """Less what is known of a function code, and the limits."""
        return replace(
            self,
            refused={span: code for span, code in self.refused.items() if span.function != function},
            seams=frozenset(span for span in self.seams if span.function != function),
        )

    def document(self) -> dict[str, Any]:
        """What to keep, as JSON holds it."""
        return {
            "refused": [[*span, code] for span, code in self.refused.items()],
            "seams": sorted(list(span) for span in self.seams),
            "registers": self.registers,
            "bits": self.bits,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From what was kept; raises ValueError, KeyError or TypeError where that makes no sense."""
        return cls(
            {_span(row[:3]): within(row[3], 1, 255) for row in document["refused"]},
            frozenset(_span(row) for row in document["seams"]),
            None if document["registers"] is None else within(document["registers"], 1, 125),
            None if document["bits"] is None else within(document["bits"], 1, 2000),
        )


def _span(row: list[int]) -> Span:
    function, start, end = row
    return Span(within(function, 1, 4), within(start, 0, 65535), within(end, start + 1, 65536))


def within(value: int, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(value)
    return value
