"""Files: events for Excel and for programs, a summary, and a report for a browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.backtest.comparison import Comparison
from edge_agent.cli.backtest.account import Account
from edge_agent.cli.backtest.report import report
from edge_agent.cli.journal import sheet
from edge_agent.cli.journal.export import Order, write_csv
from edge_agent.cli.journal.moment import utc_texts
from edge_agent.cli.speech import Speech
from edge_agent.errors import SourceError, Words
from edge_agent.model import Event


def write(
    folder: Path, account: Account, other: Account | None, comparison: Comparison | None, speech: Speech
) -> Iterator[Path]:
    """Writes each file and says which. Raises SourceError where the disk refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield _events_csv(folder / "events.csv", account, speech)
        yield _json(folder / "events.json", [_event(event, account) for event in account.outcome.events])
        summary = account.summary()
        if other is not None and comparison is not None:
            summary["against"] = other.summary() | {"comparison": _compared(comparison)}
        yield _json(folder / "summary.json", summary)
        page = folder / "report.html"
        page.write_text(report(account, other, comparison, speech), "utf-8")
        yield page
    except OSError as error:
        raise SourceError(
            "write",
            str(folder),
            Words(f"결과를 쓸 수 없습니다 ({error.strerror})", f"the results cannot be written ({error.strerror})"),
            Words("폴더의 쓰기 권한과 남은 공간을 확인하십시오", "look at the right to write there and the space left"),
        ) from error


def _events_csv(path: Path, account: Account, speech: Speech) -> Path:
    order = Order("events", (), "", "", "csv", path, speech.language, speech.zone)
    events = account.outcome.events
    pieces = [sheet.event_piece(events, speech.language)] if events else []
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        write_csv(sheet.EVENTS, iter(pieces), order, stream)
    return path


def _event(event: Event, account: Account) -> dict[str, Any]:
    start, told = utc_texts(np.array([event.start, account.outcome.told_at[event.id]], np.int64)).tolist()
    end = utc_texts(np.array([event.end], np.int64))[0] if event.end else None
    return {
        "id": event.id,
        "path": event.path,
        "detector": event.detector,
        "class": event.event_class.value,
        "severity": event.severity.name.lower(),
        "state": event.state.value,
        "start": start,
        "end": None if end is None else str(end),
        "told": told,
        "text": {"ko": event.text.ko, "en": event.text.en},
        "evidence": dict(event.evidence),
    }


def _compared(comparison: Comparison) -> dict[str, Any]:
    return {
        "both": [[one.id, other.id] for one, other in comparison.both],
        "first_only": [event.id for event in comparison.first_only],
        "second_only": [event.id for event in comparison.second_only],
    }


def _json(path: Path, facts: Any) -> Path:
    path.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return path
