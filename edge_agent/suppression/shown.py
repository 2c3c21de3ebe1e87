"""What the status says of suppression: facts for JSON, times in ns since 1970 UTC."""

from typing import Any

from edge_agent.errors import AlarmError
from edge_agent.model import Label
from edge_agent.suppression.flood import Flood
from edge_agent.suppression.kept import Standing
from edge_agent.suppression.shelf import Shelf
from edge_agent.suppression.utility import Common

Facts = dict[str, Any]


def shelf_facts(shelf: Shelf, name: Label) -> Facts:
    """A shelf; `until_ns` is 0 where it is out of service."""
    return {
        "path": shelf.path,
        "detector": shelf.detector,
        "label": {"ko": name.ko, "en": name.en},
        "by": shelf.by,
        "reason": shelf.reason,
        "since_ns": shelf.since,
        "until_ns": shelf.until,
    }


def flood_facts(flood: Flood, name: Label) -> Facts:
    """A flood under way: how many alarms it gathered, and how many of them still stand."""
    return {"path": flood.path, "label": {"ko": name.ko, "en": name.en}} | _group(flood)


def common_facts(common: Common) -> Facts:
    """Machines that went off together, and what they share."""
    return {"utilities": list(common.utilities), "machines": list(common.machines)} | _group(common)


def _group(group: Flood | Common) -> Facts:
    return {"since_ns": group.since, "gathered": group.count, "standing": len(group.members)}


def standing_facts(standing: Standing) -> Facts:
    """An event under way, in its source's words, and the state in which it was told."""
    event = standing.event
    return {
        "id": event.id,
        "path": event.path,
        "detector": event.detector,
        "severity": event.severity.name.lower(),
        "state": standing.told.value,
        "start_ns": event.start,
        "text": {"ko": event.text.ko, "en": event.text.en},
    }


def error_facts(error: AlarmError | None) -> Facts | None:
    """Why the file could not be written; None where it could."""
    return None if error is None else {"ko": error.in_language("ko"), "en": error.in_language("en"), "code": error.code}
