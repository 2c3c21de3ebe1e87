"""Orders to a plant server: faults to start and to clear, from the command line and from standard input.

--fault eccentric@40            at second 40 of the machine's time, severity 1
--fault door_leak@60:0.5:120    severity 0.5, growing over 120 s instead of its usual time
fault eccentric 1.0             (a line on standard input) now, with severity 1
fault element@35 0.8            at second 35
clear eccentric
clear element@80
"""

import re
from dataclasses import dataclass
from typing import Final, Self

_ORDER: Final = re.compile(
    r"(?P<name>[a-z_]+)(?:@(?P<time>\d+(?:\.\d+)?))?(?:[:\s]+(?P<severity>\d+(?:\.\d+)?))?(?:[:\s]+(?P<grow>\d+(?:\.\d+)?))?"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with one fault. `time` in seconds of the machine's clock; None says now."""

    name: str
    time: float | None = None
    severity: float = 1.0
    grow: float | None = None
    clear: bool = False

    @classmethod
    def parse(cls, text: str, *, clear: bool = False) -> Self:
        """Reads `name[@time][:severity[:grow]]`; raises ValueError with the form that was expected."""
        match = _ORDER.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not name[@seconds][:severity[:growth seconds]]")
        time, severity, grow = (
            None if match[part] is None else float(match[part]) for part in match.groupdict() if part != "name"
        )
        return cls(match["name"], time, 1.0 if severity is None else severity, grow, clear)

    @classmethod
    def parse_line(cls, line: str) -> Self:
        """Reads a line of standard input; raises ValueError."""
        verb, _, rest = line.strip().partition(" ")
        if verb not in ("fault", "clear"):
            raise ValueError(f"{line.strip()!r} begins neither with fault nor with clear")
        return cls.parse(rest, clear=verb == "clear")
