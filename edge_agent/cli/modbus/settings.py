"""Settings of a serial line, and those that instruments in the field have."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from edge_agent.errors import Unsupported, Words

Parity = Literal["N", "E", "O"]
_NAMES: Final = {"N": "none", "E": "even", "O": "odd"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Baud rate, parity and stop bits; eight data bits, as RTU has them."""

    baud: int = 9600
    parity: Parity = "N"
    stop: int = 1

    @property
    def keys(self) -> dict[str, Any]:
        """The link's keys that say the same."""
        stop = {"stop_bits": self.stop} if self.stop != 1 else {}
        return {"baud": self.baud, "parity": _NAMES[self.parity], **stop}

    def __str__(self) -> str:
        return f"{self.baud} 8{self.parity}{self.stop}"


_USUAL: Final[tuple[tuple[int, Parity], ...]] = (
    (9600, "N"),
    (19200, "E"),
    (9600, "E"),
    (19200, "N"),
    (38400, "N"),
    (38400, "E"),
    (57600, "N"),
    (115200, "N"),
    (57600, "O"),
    (9600, "O"),
    (4800, "N"),
    (2400, "N"),
)
"""The usual ones first."""


def candidates(baud: int = 0, parity: str = "") -> list[Settings]:
    """The settings to try; `baud` and `parity` narrow them. Without a parity bit two stop bits are sent: whoever waits
    for one takes the second as a pause."""
    found = [_made(rate, bit) for rate, bit in _USUAL if baud in (0, rate) and parity in ("", bit)]
    return found or [_made(baud or 9600, bit) for bit in _NAMES if parity in ("", bit)]  # type: ignore[arg-type]  # its keys are the parities


def _made(baud: int, parity: Parity) -> Settings:
    return Settings(baud, parity, 2 if parity == "N" else 1)


def parity_of(text: str) -> Parity:
    """`N`, `E` or `O`, small letters too; raises Unsupported."""
    match text.upper():
        case "N" | "E" | "O" as parity:
            return parity
    raise Unsupported(
        "open",
        text,
        Words("패리티가 아닙니다", "this is no parity"),
        Words("N(없음), E(짝수), O(홀수) 중에서 고르십시오", "choose N (none), E (even) or O (odd)"),
    )
