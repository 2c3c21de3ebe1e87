"""Tags, frames and sections for the sink's tests."""

from pathlib import Path

import numpy as np

from edge_agent.api import Batch, Event, Frame, Kind, Secret, Tag, TagTable
from edge_agent.model import EventClass, EventState, Label, Machine, Severity
from edge_agent.sinks.influxdb.config import InfluxDb1Section, InfluxDb3Section, InfluxDbSection

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
FURNACE = Machine("siheung", "line1", "furnace1", "furnace")
PRESS = Machine("siheung", "line2", "press1", "press")


def tag_table(furnace: int = 3, press: int = 2) -> TagTable:
    tags = [Tag(f"zone_{i}", FURNACE, "plc") for i in range(furnace)]
    return TagTable(tags + [Tag(f"force_{i}", PRESS, "plc") for i in range(press)])


def frame_of(*rows: tuple, texts: tuple[str, ...] = ()) -> Frame:
    """Rows of (tag, ms after T0, value, status = 0): the value's Python type says the kind, None is no value."""
    columns = []
    texts_seen = list(texts)
    for tag, ms, value, *rest in rows:
        kind, bits = _bits(value, texts_seen)
        columns.append((tag, T0 + int(ms * MS), bits, kind, rest[0] if rest else 0))
    tag, time, bits, kind, status = zip(*columns, strict=True) if columns else ((), (), (), (), ())
    n = len(columns)
    return Frame(
        np.array(tag, np.int32),
        np.array(time, np.int64),
        np.array(time, np.int64),
        np.array(bits, np.uint64),
        np.array(kind, np.uint8),
        np.array(status, np.uint32),
        np.zeros(n, np.uint16),
        tuple(texts_seen),
    )


def _bits(value: object, texts: list[str]) -> tuple[Kind, int]:
    match value:
        case None:
            return Kind.NONE, 0
        case bool():
            return Kind.BOOL, int(value)
        case np.float32():
            return Kind.FLOAT32, int(np.float64(value).view(np.uint64))
        case float():
            return Kind.FLOAT64, int(np.float64(value).view(np.uint64))
        case np.uint64():
            return Kind.UINT64, int(value)
        case int():
            return Kind.INT64, value & 0xFFFF_FFFF_FFFF_FFFF
        case str():
            texts.append(value)
            return Kind.TEXT, len(texts) - 1
    raise TypeError(type(value))


def batch_of(*rows: tuple, tags: TagTable | None = None, events: tuple[Event, ...] = ()) -> Batch:
    return Batch(tags or tag_table(), frame_of(*rows), events)


def scan(n: int, tags: TagTable | None = None) -> Batch:
    """n rows of whole scans, 100 ms apart, each value its row number and a half."""
    table = tags or tag_table()
    rows = np.arange(n)
    return Batch(table, Frame.of_floats(rows % len(table), T0 + rows // len(table) * 100 * MS, rows + 0.5))


def event_of(state: EventState = EventState.OPEN, end_ms: int = 0, **changes: object) -> Event:
    facts = {
        "id": "e1",
        "path": "siheung/line1/furnace1/zone_0",
        "detector": "hampel",
        "event_class": EventClass.PROCESS,
        "severity": Severity.WARNING,
        "state": state,
        "start": T0,
        "end": T0 + end_ms * MS if end_ms else 0,
        "text": Label('존 0 온도 "급변"', "zone 0\njumped \\"),
        "evidence": {"value": 903.5, "limit": float("inf")},
    }
    return Event(**(facts | changes))  # type: ignore[arg-type]  # a test may change any of them


def section_of(url: str, token: Path | Secret, **more: object) -> InfluxDbSection:
    """A section as the configuration would give it; `token` is a file or a secret."""
    return InfluxDbSection.model_validate(_facts("influxdb", url, token, org="factory", bucket="line") | more)


def section1_of(url: str, token: Path | Secret, **more: object) -> InfluxDb1Section:
    """The same for version 1."""
    return InfluxDb1Section.model_validate(_facts("influxdb1", url, token, database="line") | more)


def section3_of(url: str, token: Path | Secret, **more: object) -> InfluxDb3Section:
    """The same for version 3."""
    return InfluxDb3Section.model_validate(_facts("influxdb3", url, token, database="line") | more)


def _facts(sink: str, url: str, token: Path | Secret, **place: str) -> dict[str, object]:
    secret = {"file": str(token)} if isinstance(token, Path) else token.model_dump()
    return {"name": "hub", "sink": sink, "url": url, "token": secret} | place
