"""`edge-agent alarms shelve` and its like: one order to the running agent, and what it did, in one sentence a shelf."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from pydantic import TypeAdapter, ValidationError

from edge_agent.cli import EXIT_FAULT, EXIT_UNAVAILABLE
from edge_agent.cli.ask import ask, socket_of
from edge_agent.cli.speech import Speech
from edge_agent.config.base import Duration
from edge_agent.errors import NotConnected
from edge_agent.status import LONGEST_REQUEST
from edge_agent.suppression.words import unnamed, when

_PATIENCE_S: Final = 20.0
"""The agent makes it durable before it answers, on a slow card."""
_SECONDS: Final[TypeAdapter[float]] = TypeAdapter(Duration)


def seconds_of(duration: str) -> float:
    """Seconds of `8h`, `30min`, `2d`. Raises ValueError, which says how it is written, in both languages."""
    try:
        return _SECONDS.validate_python(duration)
    except ValidationError as error:
        raise ValueError(f"{duration!r}: write for example 30min, 8h, 2d. 예: 30min, 8h, 2d") from error


def send(target: Path | None, language: str, order: Mapping[str, Any], out: TextIO) -> int:
    """Gives the exit code. Raises ConfigError where `target` is a configuration with faults."""
    speech = Speech(language)
    if len(json.dumps(order)) >= LONGEST_REQUEST:
        out.write(unnamed(str(order["order"]), f"{order['alarm']:.60}").in_language(language) + "\n")
        return EXIT_FAULT
    try:
        answer = ask(socket_of(target), _PATIENCE_S, **order)
    except NotConnected as error:
        out.write(error.in_language(language) + "\n")
        return EXIT_UNAVAILABLE
    if "error" in answer:
        out.write(answer["error"][language] + "\n")
        return EXIT_FAULT
    out.writelines(_done(str(order["order"]), shelf, speech) + "\n" for shelf in answer["shelves"])
    return 0


def _done(order: str, shelf: Mapping[str, Any], speech: Speech) -> str:
    what = f"{shelf['path']} ({shelf['detector']})" if shelf["detector"] else str(shelf["path"])
    if order == "shelve":
        until = when(shelf["until"])
        return speech.say(
            f"{what}: {until}까지 보류했습니다. 알람은 기록되고, 그때 아직 남아 있으면 알립니다.",
            f"{what}: shelved until {until}. Alarms are recorded; what still stands then is told then.",
        )
    if order == "out-of-service":
        return speech.say(
            f"{what}: 사용 중지했습니다. return-to-service로 복귀시킬 때까지 알람은 기록만 됩니다.",
            f"{what}: out of service. Alarms are recorded only, until return-to-service.",
        )
    return speech.say(
        f"{what}: 다시 알립니다. 아직 남아 있는 알람은 지금 알립니다.",
        f"{what}: announced again. What still stands is told now.",
    )
