"""Kept: what of suppression outlives a restart, in one small JSON file that is replaced as a whole.

`{"schema": 1, "crc": of the rest, "shelves": [...], "standing": [{"event": ..., "told": state}, ...],
"floods": [...], "shared": {...}}`. A file that cannot be read is set aside as `….damaged`, and then nothing is
suppressed: what is told too often is seen, what is never told is not.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edge_agent.errors import AlarmError
from edge_agent.model import Event, EventState
from edge_agent.model.event import event_of
from edge_agent.replacement import replace
from edge_agent.suppression.flood import Floods
from edge_agent.suppression.shelf import Shelf
from edge_agent.suppression.utility import Utilities
from edge_agent.suppression.words import damaged, refused_by_disk

SCHEMA: Final = 1


@dataclass(slots=True)
class Standing:
    """An event that has not ended, as its source told it, and the state in which it was told on (`told`)."""

    event: Event
    told: EventState


def read(path: Path, floods: Floods, utilities: Utilities) -> tuple[list[Shelf], list[Standing], AlarmError | None]:
    """What was kept, and why it could not be read where it could not; restores the groups. Never fails."""
    try:
        body = _checked(path.read_bytes())
        shelves = [Shelf(**item) for item in body["shelves"]]
        standing = [Standing(event_of(item["event"]), EventState(item["told"])) for item in body["standing"]]
        floods.restore(body["floods"])
        utilities.restore(body["shared"])
    except FileNotFoundError:
        return [], [], None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return [], [], _set_aside(path, error)
    return shelves, standing, None


def write(path: Path, shelves: Iterable[Shelf], standing: Iterable[Standing], groups: dict[str, Any]) -> None:
    """Raises AlarmError where the disk refuses; the file is then as it was."""
    body = {
        "shelves": [asdict(shelf) for shelf in shelves],
        "standing": [{"event": asdict(each.event), "told": each.told} for each in standing],
        **groups,
    }
    document = {"schema": SCHEMA, "crc": _crc(body), **body}
    try:
        replace(path, json.dumps(document).encode())
    except OSError as error:
        raise refused_by_disk(str(path), error) from error


def _checked(content: bytes) -> dict[str, Any]:
    """The parts of the file; raises whatever a broken file makes json and Python raise."""
    document = json.loads(content)
    body = {part: document[part] for part in ("shelves", "standing", "floods", "shared")}
    if (document["schema"], document["crc"]) != (SCHEMA, _crc(body)):
        raise ValueError(f"schema {document['schema']}, crc {document['crc']}")
    return body


def _crc(body: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


def _set_aside(path: Path, error: Exception) -> AlarmError:
    aside = path.with_name(path.name + ".damaged")
    try:
        path.replace(aside)
    except OSError:
        aside = path
    return damaged(str(path), str(aside), error)
