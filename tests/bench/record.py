"""One bench case's figures: a record in the JSON list that `./run bench --json FILE` writes."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Record:
    """None where a field has no meaning for the case. `ratio_to_library`: our CPU seconds per value over the library's.

    `lost` counts values that were published inside the measured window and did not arrive.
    Bytes on the wire are those of the requests; bytes on disk are what the process had the kernel write.
    """

    name: str
    values_per_s: float | None = None
    cpu_s_per_million: float | None = None
    rss_mb: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    lost: int | None = None
    ratio_to_library: float | None = None
    bytes_per_value: float | None = None
    wire_bytes_per_value: float | None = None
    disk_bytes_per_value: float | None = None
    of_wire: float | None = None
    """Time of a reading as a multiple of what the wire allows: the best tenth, where the machine was not busy."""

    seen_s: float | None = None
    """Seconds from the start until every tag had a value."""
    kept: float | None = None
    """What share of the readings that its interval asks for the unit got that got fewest."""

    def as_json(self) -> dict[str, Any]:
        """Rounded to what the measurement can carry."""
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}

    def line(self) -> str:
        """One line for a person."""
        shown = [f"{k}={v}" for k, v in self.as_json().items() if k != "name" and v is not None]
        return f"{self.name:24} " + "  ".join(shown)
