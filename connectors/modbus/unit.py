"""One unit of a link: how it answers, as far as is known. Devices of the configuration that name it share it."""

from collections.abc import Mapping
from typing import Any

from connectors.modbus.breaker import Breaker
from connectors.modbus.known import within
from connectors.modbus.pace import LONGEST, Pace
from connectors.modbus.patience import BUCKETS, Patience
from connectors.modbus.window import Window
from edge_agent.api import Notice, Severity, Words


class Unit:
    """Breaker, time-out, pause and window of one unit, and the answers that it owes.

    `owed` are the heads (see Scan) of requests that were not answered since the unit was last in step: until it has
    answered another question, an answer of that length may be an old one.
    """

    def __init__(self, number: int, timeout: float, window: Window, kept: Mapping[str, Any] | None = None) -> None:
        """`timeout` (s) as configured; `window` may be shared by all units of a gateway; `kept`: a `document`.

        Raises ValueError, KeyError or TypeError where `kept` makes no sense.
        """
        self.number = number
        self.timeout = timeout
        self.window = window
        self.breaker = Breaker()
        self.pace = Pace(_seconds(kept["pause"]) if kept else 0.0)
        self.patience = Patience(timeout, _buckets(kept["trips"]) if kept else None)
        self.owed: set[bytes] = set()
        self.late = 0.0
        """Seconds after which its latest answer came, where that was too late and none has come in time since."""

    def answered(self) -> None:
        """It answered in time, if only with an exception of its own."""
        self.late = 0.0
        self.breaker.answered()

    def notice(self) -> Notice | None:
        """What to tell of a unit that is given up although it answers."""
        if not (self.late and self.breaker.open):
            return None
        came, most = round(1000 * self.late), round(1000 * self.timeout)
        return Notice(
            f"late {self.number}",
            Severity.WARNING,
            Words(
                f"국번 {self.number}: 답은 하지만 {came} ms 뒤에 옵니다. 제한 시간은 {most} ms입니다. "
                "timeout 을 늘리거나 수집 주기(interval)를 늘리십시오",
                f"unit {self.number} answers, but after {came} ms; the time-out is {most} ms: "
                "raise timeout or slow the poll (interval)",
            ),
        )

    def document(self) -> dict[str, Any]:
        """What to keep, as JSON holds it."""
        return {
            "pause": self.pace.pause,
            "trips": [[bucket, count] for bucket, count in self.patience.buckets.items()],
        }


def _seconds(value: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= LONGEST:
        raise ValueError(value)
    return float(value)


def _buckets(rows: list[tuple[int, float]]) -> dict[int, float]:
    counts = {}
    for bucket, count in rows:
        if type(count) not in (int, float) or not 0 <= count <= 1e9:
            raise ValueError(count)
        counts[within(bucket, 0, BUCKETS - 1)] = float(count)
    return counts
