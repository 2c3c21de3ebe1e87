"""Orders about alarms as they come over the status socket, one JSON object each.

`{"order": "alarms"}` gives the `alarms` part of the status with `alarms` (those under way, as they were told) and no
change. `{"order": "shelve", "alarm": NAME, "seconds": s, "by": WHO, "reason": WHY}` and `{"order": "out-of-service",
"alarm": …, "by": …, "reason": …}` begin, `{"order": "unshelve" or "return-to-service", "alarm": …, "by": …}` end; they
answer with `shelves`: those that began or ended.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from edge_agent.suppression.shelf import Shelf
from edge_agent.suppression.suppression import Suppression
from edge_agent.suppression.words import bad_duration

LIST: Final = "alarms"
ORDERS: Final = frozenset({LIST, "shelve", "out-of-service", "unshelve", "return-to-service"})


def obey(suppression: Suppression, request: Mapping[str, Any]) -> dict[str, Any]:
    """Carries out one of ORDERS, and answers. Blocks for the disk. Raises AlarmError."""
    order = request["order"]
    name, by, reason = (_text(request, key) for key in ("alarm", "by", "reason"))
    match order:
        case "shelve":
            return _answer([suppression.shelve(name, _seconds(request, name), by, reason)])
        case "out-of-service":
            return _answer([suppression.take_out_of_service(name, by, reason)])
        case "unshelve":
            return _answer(suppression.unshelve(name, by))
        case "return-to-service":
            return _answer(suppression.return_to_service(name, by))
    return suppression.snapshot() | {"alarms": suppression.standing()}


def _answer(shelves: list[Shelf]) -> dict[str, Any]:
    return {"shelves": [asdict(shelf) for shelf in shelves]}


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key, "")
    return value if isinstance(value, str) else ""


def _seconds(request: Mapping[str, Any], name: str) -> float:
    value = request.get("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad_duration(name)
    return float(value)
