"""Kept: what of suppression outlives a restart, in one small JSON file that is replaced as a whole.

`{"schema": 1, "shelves": [...], "standing": [{"event": ..., "told": state}, ...]}`. A file that cannot be read is set
aside as `….damaged`, and then nothing is suppressed: what is told too often is seen, what is never told is not.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edge_agent.errors import AlarmError
from edge_agent.model import Event, EventState
from edge_agent.model.event import event_of
from edge_agent.replacement import replace
from edge_agent.suppression.shelf import Shelf
from edge_agent.suppression.words import damaged, refused_by_disk

SCHEMA: Final = 1


@dataclass(slots=True)
class Standing:
    """An event that has not ended, as its source told it, and the state in which it was told on (`told`)."""

    event: Event
    told: EventState


def read(path: Path) -> tuple[list[Shelf], list[Standing], AlarmError | None]:
    """What was kept, and why it could not be read where it could not. Never fails."""
    try:
        document = json.loads(path.read_bytes()) if path.exists() else None
        if document is None:
            return [], [], None
        shelves = [_shelf(item) for item in _checked(document)["shelves"]]
        standing = [Standing(event_of(item["event"]), EventState(item["told"])) for item in document["standing"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [], [], _set_aside(path, error)
    return shelves, standing, None


def write(path: Path, shelves: Iterable[Shelf], standing: Iterable[Standing]) -> None:
    """Raises AlarmError where the disk refuses; the file is then as it was."""
    document = {
        "schema": SCHEMA,
        "shelves": [asdict(shelf) for shelf in shelves],
        "standing": [{"event": asdict(each.event), "told": each.told} for each in standing],
    }
    try:
        replace(path, json.dumps(document, ensure_ascii=False).encode())
    except OSError as error:
        raise refused_by_disk(str(path), error) from error


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']}")
    return document


def _shelf(item: dict[str, Any]) -> Shelf:
    shelf = Shelf(**item)
    texts, times = (shelf.path, shelf.detector, shelf.by, shelf.reason), (shelf.since, shelf.until)
    if not all(isinstance(text, str) for text in texts) or not all(type(time) is int for time in times):
        raise ValueError(f"not a shelf: {item}")
    return shelf


def _set_aside(path: Path, error: Exception) -> AlarmError:
    aside = path.with_name(path.name + ".damaged")
    try:
        path.replace(aside)
    except OSError:
        aside = path
    return damaged(str(path), str(aside), error)
