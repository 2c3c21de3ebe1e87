"""Sheet: the tables that an export is made of, column by column, a piece at a time."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_agent.cli.view_words import QUALITY, SEVERITY, STATE, WORDS
from edge_agent.journal.archive import Span
from edge_agent.journal.history import History
from edge_agent.journal.rollup import MINUTE_NS, Rollups
from edge_agent.journal.rollup_reader import RollupReader
from edge_agent.model import Event, EventState, Frame, Kind, Tag
from edge_agent.model.frame import Float64
from edge_agent.model.status import quality_of, status_name

_CELLS: Final = 200_000
"""Rows of a piece, about."""
_COLUMNS: Final = {
    "time": ("현지 시각", "local time"),
    "time_utc": ("UTC 시각", "UTC time"),
    "tag": ("태그", "tag"),
    "label": ("이름", "name"),
    "value": ("값", "value"),
    "text": ("문자 값", "text"),
    "unit": ("단위", "unit"),
    "quality": ("품질", "quality"),
    "status": ("상태 코드", "status"),
    "flags": ("표시", "flags"),
    "count": ("개수", "count"),
    "good_percent": ("양호 비율(%)", "good share (%)"),
    "min": ("최소", "min"),
    "mean": ("평균", "mean"),
    "max": ("최대", "max"),
    "last": ("마지막 값", "last"),
    "end": ("종료(현지)", "end (local)"),
    "severity": ("심각도", "severity"),
    "state": ("진행", "state"),
    "class": ("분류", "class"),
    "path": ("대상", "path"),
    "detector": ("탐지기", "detector"),
    "description": ("내용", "description"),
    "evidence": ("근거", "evidence"),
    "id": ("번호", "id"),
}
RAW: Final = ("time", "time_utc", "tag", "label", "value", "text", "unit", "quality", "status", "flags")
MINUTES: Final = ("time", "time_utc", "tag", "label", "unit", "count", "good_percent", "min", "mean", "max", "last")
EVENTS: Final = (
    *("time", "time_utc", "end", "severity", "state", "class", "path", "detector"),
    *("description", "evidence", "id"),
)
Piece = dict[str, Any]
"""Column name -> numpy column or list. `time` is ns since 1970 UTC; `end` too, None while open."""


def header(names: tuple[str, ...], language: str) -> list[str]:
    """What stands over the columns."""
    return [_COLUMNS[name][0 if language == "ko" else 1] for name in names]


@dataclass(frozen=True, slots=True)
class Labels:
    """What is said of each tag, by its place among the chosen paths."""

    paths: tuple[str, ...]
    tags: Mapping[str, Tag]
    language: str

    def column(self, numbers: "np.ndarray[Any, Any]") -> Piece:
        """Tag, label and unit of each row."""
        tags = [self.tags.get(path) for path in self.paths]
        names = ["" if tag is None else tag.label.in_language(self.language) for tag in tags]
        units = ["" if tag is None else tag.unit for tag in tags]
        places = numbers.tolist()
        return {
            "tag": [self.paths[place] for place in places],
            "label": [names[place] for place in places],
            "unit": [units[place] for place in places],
        }


def raw_pieces(store: Path, labels: Labels, span: Span) -> Iterator[Piece]:
    """Every row, in the order in which it was accepted."""
    for frame in History(store).frames(labels.paths, span):
        for start in range(0, len(frame), _CELLS):
            yield _raw_piece(frame.rows(slice(start, start + _CELLS)), labels)


def _raw_piece(frame: Frame, labels: Labels) -> Piece:
    status = frame.status.tolist()
    words = {code: (QUALITY[labels.language][quality_of(code).name.lower()], status_name(code)) for code in set(status)}
    text = frame.kind == Kind.TEXT
    return labels.column(frame.tag) | {
        "time": np.ascontiguousarray(frame.time),
        "value": _values(frame),
        "text": [frame.texts[int(bits)] if is_text else None for bits, is_text in zip(frame.bits, text, strict=True)]
        if text.any()
        else [None] * len(frame),
        "quality": [words[code][0] for code in status],
        "status": [words[code][1] for code in status],
        "flags": frame.flags.tolist(),
    }


def _values(frame: Frame) -> list[float | int | None]:
    """Numbers as they are: 64-bit integers exact, float32 in its shortest form, None for texts and nothing."""
    values: list[Any] = [None] * len(frame)
    for kind in set(frame.kind.tolist()) - {Kind.NONE, Kind.TEXT}:
        rows = np.flatnonzero(frame.kind == kind)
        part = frame.rows(rows)
        found: list[Any]
        if kind == Kind.FLOAT32:
            found = [float(str(value)) for value in part.floats().astype(np.float32)]
        elif kind == Kind.FLOAT64:
            found = part.floats().tolist()
        else:
            found = part.bits.view(np.int64).tolist() if kind == Kind.INT64 else part.bits.tolist()
        for row, value in zip(rows.tolist(), found, strict=True):
            values[row] = value
    return values


def minute_pieces(reader: RollupReader, labels: Labels, span: Span) -> Iterator[Piece]:
    """One row a tag and minute, some hours at a time; within these by tag and minute."""
    step = max(60, _CELLS // max(1, len(labels.paths))) * MINUTE_NS
    for start, end in reader.windows(span, step, _CELLS):
        rows = reader.rollups(labels.paths, start, end)
        if len(rows):
            yield _minute_piece(rows, labels)


def _minute_piece(rows: Rollups, labels: Labels) -> Piece:
    numbers = {"min": rows.low, "mean": rows.mean, "max": rows.high, "last": rows.last}
    return (
        labels.column(rows.tag)
        | {"time": rows.minute * MINUTE_NS, "count": rows.count.tolist()}
        | {"good_percent": np.round(rows.good_share * 100, 2).tolist()}
        | {name: _shortest(column) for name, column in numbers.items()}
    )


def _shortest(column: Float64) -> list[float | None]:
    """What was a float32 reads as one: 250.13, not 250.1300048828125. None for NaN."""
    with np.errstate(over="ignore"):
        single = column.astype(np.float32)
    return [
        None if isnan(value) else float(str(narrow)) if narrow == value else value
        for value, narrow in zip(column.tolist(), single, strict=True)
    ]


def event_pieces(reader: RollupReader, labels: Labels, span: Span) -> Iterator[Piece]:
    """Each event once, as it was told last, by its beginning."""
    newest: dict[str, Event] = {}
    for event in reader.events(span[0], span[1] + 1):
        newest[event.id] = event
    events = sorted(newest.values(), key=lambda event: (event.start, event.id))
    if events:
        yield event_piece(events, labels.language)


def event_piece(events: list[Event], language: str) -> Piece:
    """One row an event, columns as in EVENTS."""
    return {
        "time": np.array([event.start for event in events], np.int64),
        "end": [event.end if event.state == EventState.CLOSED else None for event in events],
        "severity": [SEVERITY[language][event.severity.name.lower()] for event in events],
        "state": [_state(event, language) for event in events],
        "class": [event.event_class.value for event in events],
        "path": [event.path for event in events],
        "detector": [event.detector for event in events],
        "description": [event.text.in_language(language) for event in events],
        "evidence": [json.dumps(event.evidence, ensure_ascii=False) if event.evidence else "" for event in events],
        "id": [event.id for event in events],
    }


def _state(event: Event, language: str) -> str:
    return WORDS[language].get(event.state.value, STATE[language].get(event.state.value, event.state.value))
