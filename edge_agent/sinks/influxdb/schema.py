"""What the hub's database looks like: names, escapes, the lines that are not data. Pure; the table is in README.md.

Line protocol has no way to write an empty tag value, a control character in a name, or a backslash at a name's end.
Names from a configuration (`Name`, `Signal`) have none of these; for others an empty tag is left out, a control
character becomes a space and a final backslash a slash. Texts in string fields are exact, line breaks and quotes
included.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from edge_agent.api import Event, Tag, TagTable
from edge_agent.model.status import quality_of
from edge_agent.model.tag import Machine

Precision = Literal["ms", "us", "ns"]
NS_PER_UNIT: Final[dict[Precision, int]] = {"ms": 1_000_000, "us": 1_000, "ns": 1}

EVENT: Final = "event"
QUALITY: Final = "quality"
RESERVED: Final = frozenset({EVENT, QUALITY})
"""Measurements of the sink's own: no machine class may have these names."""
NOT_FIELDS: Final = frozenset({"site", "line", "machine", "time"})
"""InfluxDB drops a field called `time`, version 3 refuses one named like a tag: such signals get a `_` at the end."""
TEXT_DETECTOR: Final = "text"
"""The `detector` tag of points that hold a tag's text value."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NAME_ESCAPES: Final = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_TEXT_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\""})


def name(text: str) -> str:
    """A measurement, tag or field name, or a tag value, escaped."""
    clean = _CONTROL.sub(" ", text)
    if clean.endswith("\\"):
        clean = clean[:-1] + "/"
    return clean.translate(_NAME_ESCAPES)


def text(value: str) -> str:
    """A string field's value, quoted and escaped."""
    return f'"{value.translate(_TEXT_ESCAPES)}"'


def head(measurement: str, tags: Iterable[tuple[str, str]]) -> str:
    """`measurement,tag=value…` and the space before the fields; tags in the order given, empty ones left out."""
    return ",".join([name(measurement), *(f"{key}={name(value)}" for key, value in tags if value)]) + " "


def field_name(signal: str) -> str:
    """The field of a signal."""
    return f"{signal}_" if signal in NOT_FIELDS else signal


def field_key(signal: str) -> str:
    """The field of a signal, escaped."""
    return name(field_name(signal))


def _place(machine: Machine) -> list[tuple[str, str]]:
    return [("site", machine.site), ("line", machine.line), ("machine", machine.name)]


def quality_head(tag: Tag) -> str:
    """The head of a tag's points in `quality`."""
    signal = f",signal={name(tag.name)}" if tag.name else ""
    return f"{_quality_of_machine(tag.machine)}{signal} "


@lru_cache(maxsize=1024)
def _quality_of_machine(machine: Machine) -> str:
    """After a start or an outage the status of every tag is told at once: most of a line is its machine's."""
    return head(QUALITY, _place(machine))[:-1]


@lru_cache(maxsize=256)
def quality_fields(status: int, *, past: bool = False) -> str:
    """`quality` 0 good, 1 uncertain, 2 bad, and the whole status code; `backfill` where a history filled a gap."""
    return f"quality={quality_of(status).value},status={status}" + (",backfill=1" if past else "")


def text_head(tag: Tag) -> str:
    """The head of a tag's text values in `event`."""
    return head(EVENT, [*_place(tag.machine), ("signal", tag.name), ("detector", TEXT_DETECTOR)])


def event_line(event: Event, ns_per_unit: int) -> bytes:
    """An event's point: at its start, under tags that do not change until it closes, so that closing updates it."""
    places = [*event.path.split("/"), "", "", "", ""]
    keys = ("site", "line", "machine", "signal")
    fields = [
        f"id={text(event.id)}",
        f"class={text(event.event_class)}",
        f"severity={event.severity.value}",
        f"state={text(event.state)}",
        f"text_ko={text(event.text.ko)}",
        f"text_en={text(event.text.en)}",
        f"evidence={text(_evidence(event))}",
    ]
    if event.end:
        fields.append(f"end_ms={event.end // 1_000_000}")
    tags = [*zip(keys, places, strict=False), ("detector", event.detector)]
    return line(head(EVENT, tags), ",".join(fields), event.start // ns_per_unit)


def _evidence(event: Event) -> str:
    """JSON; NaN and infinities, which JSON has not, become null."""
    finite = {
        key: value if isinstance(value, str) or np.isfinite(value) else None for key, value in event.evidence.items()
    }
    return json.dumps(finite, ensure_ascii=False, sort_keys=True)


def line(line_head: str, fields: str, time: int) -> bytes:
    """One line; a lone surrogate, which UTF-8 has not, becomes a question mark."""
    return f"{line_head}{fields} {time}\n".encode(errors="replace")


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """Byte strings end to end: number i is `data[at[i]:at[i+1]]`; eight spare bytes follow, for copying in eights."""

    data: npt.NDArray[np.uint8]
    at: npt.NDArray[np.int64]

    @classmethod
    def of(cls, parts: list[str]) -> "Blob":
        """The strings in UTF-8."""
        encoded = [part.encode(errors="replace") for part in parts]
        at = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(part) for part in encoded], out=at[1:])
        return cls(np.frombuffer(b"".join([*encoded, bytes(8)]), np.uint8).copy(), at)

    def parts(self) -> list[bytes]:
        """The byte strings one by one."""
        whole, at = self.data.tobytes(), self.at.tolist()
        return [whole[start:end] for start, end in pairwise(at)]

    @property
    def longest(self) -> int:
        """Bytes of the longest string."""
        return int(np.diff(self.at).max(initial=0))


class LineTable:
    """A tag table as the encoder needs it: line heads by machine number, field keys by tag number."""

    def __init__(self, tags: TagTable) -> None:
        """Machines are told apart by their line heads: two with the same one share their lines."""
        self.tags = tags
        heads: dict[str, int] = {}
        self.machine = np.array(
            [heads.setdefault(head(t.machine.machine_class, _place(t.machine)), len(heads)) for t in tags], np.int32
        )
        self.heads = Blob.of(list(heads))
        self.keys = Blob.of([f"{field_key(t.name)}=" for t in tags])
        self.rank = np.empty(len(tags), np.int64)
        self.rank[np.argsort(self.machine, kind="stable")] = np.arange(len(tags))
        """A tag's place when tags are ordered by machine: rows of one line become neighbours when sorted by it."""
