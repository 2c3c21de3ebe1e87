"""`edge-agent alarms list`: what stands, what is shelved, what is out of service."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from edge_agent.cli import EXIT_FAULT, EXIT_UNAVAILABLE
from edge_agent.cli.alarms.words import heading, line_of
from edge_agent.cli.ask import ask, socket_of
from edge_agent.cli.view_words import SEVERITY, WORDS
from edge_agent.errors import NotConnected

SHOWN_ID: Final = 8
"""So much of an alarm's number is shown, and enough to name it."""


def show(target: Path | None, as_json: bool, language: str, out: TextIO) -> int:
    """Gives the exit code. Raises ConfigError where `target` is a configuration with faults."""
    try:
        answer = ask(socket_of(target), order="alarms")
    except NotConnected as error:
        out.write(error.in_language(language) + "\n")
        return EXIT_UNAVAILABLE
    if "alarms" not in answer:  # an agent of before
        out.write(answer["error"][language] + "\n")
        return EXIT_FAULT
    if as_json:
        out.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return 0
    out.write("\n".join(lines(answer, language)) + "\n")
    return 0


def lines(answer: Mapping[str, Any], language: str) -> list[str]:
    """The list as text, a line each."""
    told: Sequence[Mapping[str, Any]] = answer["alarms"]
    out = [heading("standing", sum(answer["standing"].values()), language)]
    out += [_alarm(alarm, language) for alarm in told]
    for kind in ("shelved", "out_of_service", "floods", "shared"):
        out += [heading(kind, len(answer[kind]), language)]
        out += [f"  {line_of(one, language)}" for one in answer[kind]]
    return [*out, *([f"! {answer['error'][language]}"] if answer["error"] else [])]


def _alarm(alarm: Mapping[str, Any], language: str) -> str:
    begin = datetime.fromtimestamp(alarm["start_ns"] / 1e9).astimezone()
    severity, state = SEVERITY[language][alarm["severity"]], WORDS[language][alarm["state"]]
    head = f"  {alarm['id'][:SHOWN_ID]} {begin:%m-%d %H:%M:%S} {severity} {state}"
    return f"{head} {alarm['path']}: {alarm['text'][language]}"
