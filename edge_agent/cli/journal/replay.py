"""`edge-agent journal replay`: sends a stretch of time to a destination once more, at the next start."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from edge_agent.cli import EXIT_BUSY
from edge_agent.cli.journal.moment import moment
from edge_agent.cli.speech import Speech
from edge_agent.clock import SystemClock
from edge_agent.config.loader import load
from edge_agent.errors import JournalError, Words
from edge_agent.journal import Journal
from edge_agent.registry import Sections


def replay(config: Path, sink: str, since: str, until: str, speech: Speech, out: TextIO) -> int:
    """Owes `sink` the rows between two times again; the store must be free. Gives the exit code."""
    loaded = load(config, Sections())
    names = [section.name for section in loaded.config.sinks]
    if sink not in names:
        raise _unknown(sink, names)
    clock = SystemClock()
    now = clock.wall()
    first, last = moment(since, now, speech.zone), moment(until, now, speech.zone) - 1 if until else now
    journal = Journal.open(loaded.config.journal.path, loaded.tags, loaded.config.journal, clock)
    try:
        if journal.error is not None:
            out.write(_busy(journal.error).in_language(speech.language) + "\n")
            return EXIT_BUSY
        rows = journal.cursor(sink).send_again(first, last)
        journal.sync()
    finally:
        journal.close()
    out.write(
        speech.say(
            f"{sink}: 최대 {rows:,}개 값을 다음 시작 때 다시 보냅니다.",
            f"{sink}: up to {rows:,} values are sent again after the next start.",
        )
        + "\n"
    )
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
            "에이전트를 멈추고(systemctl stop edge-agent) 다시 시도하십시오",
            "stop the agent (systemctl stop edge-agent) and try again",
        ),
    )
