"""`edge-agent journal replay`: sends a stretch of time to a destination once more: at once where the agent runs, else
at its next start.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from edge_agent.cli import EXIT_BUSY, EXIT_FAULT
from edge_agent.cli.ask import ask, socket_of
from edge_agent.cli.journal.moment import moment
from edge_agent.cli.speech import Speech
from edge_agent.clock import SystemClock
from edge_agent.config.loader import Loaded, load
from edge_agent.errors import JournalError, NotConnected, Words
from edge_agent.journal import Journal
from edge_agent.registry import Sections

_PATIENCE_S: Final = 300.0
"""The agent looks at the head of every chunk it has, on a slow card."""


def replay(config: Path, sink: str, since: str, until: str, speech: Speech, out: TextIO) -> int:
    """Owes `sink` the rows between two times again. A running agent does it itself: only it may move its cursors.

    Gives the exit code. Raises ConfigError; JournalError where the disk refuses or there is no such sink.
    """
    loaded = load(config, Sections())
    names = [section.name for section in loaded.config.sinks]
    if sink not in names:
        raise _unknown(sink, names)
    now = SystemClock().wall()
    first, last = moment(since, now, speech.zone), moment(until, now, speech.zone) - 1 if until else now
    try:
        order = {"order": "replay", "sink": sink, "from": first, "to": last}
        return _told(sink, ask(socket_of(config), _PATIENCE_S, **order), speech, out)
    except NotConnected:
        return _alone(loaded, sink, (first, last), speech, out)


def _told(sink: str, answer: dict[str, Any], speech: Speech, out: TextIO) -> int:
    """What a running agent made of it."""
    if "error" in answer:
        out.write(answer["error"][speech.language] + "\n")
        return EXIT_FAULT
    rows = answer["rows"]
    said = speech.say(
        f"{sink}: 실행 중인 에이전트가 최대 {rows:,}개 값을 다시 보냅니다.",
        f"{sink}: up to {rows:,} values are sent again by the running agent.",
    )
    out.write(said + "\n")
    return 0


def _alone(loaded: Loaded, sink: str, span: tuple[int, int], speech: Speech, out: TextIO) -> int:
    """Without an agent: the cursor is set back on disk. An agent that starts meanwhile has the lock."""
    journal = Journal.open(loaded.config.journal.path, loaded.tags, loaded.config.journal, SystemClock())
    try:
        if journal.error is not None:
            out.write(_busy(journal.error).in_language(speech.language) + "\n")
            return EXIT_BUSY
        rows = journal.cursor(sink).send_again(*span)
        journal.sync()
    finally:
        journal.close()
    said = speech.say(
        f"{sink}: 최대 {rows:,}개 값을 다음 시작 때 다시 보냅니다.",
        f"{sink}: up to {rows:,} values are sent again after the next start.",
    )
    out.write(said + "\n")
    return 0


def _unknown(sink: str, names: Sequence[str]) -> JournalError:
    listed = ", ".join(names) or "-"
    return JournalError(
        "replay",
        sink,
        Words("설정에 그런 sink가 없습니다", "the configuration has no such sink"),
        Words(f"설정에 있는 것: {listed}", f"it has: {listed}"),
    )


def _busy(error: JournalError) -> JournalError:
    return JournalError(
        "replay",
        error.object,
        error.cause,
        Words(
            "실행 중인 에이전트가 소켓으로 응답하지 않습니다. 멈추고(systemctl stop edge-agent) 다시 시도하십시오",
            "an agent runs but does not answer on its socket: stop it (systemctl stop edge-agent) and try again",
        ),
    )
