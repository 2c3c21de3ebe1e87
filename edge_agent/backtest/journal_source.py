"""An agent's journal as a source: rows in the order in which the agent took them, at the time when it had them.

The clock of the backtest is then what the agent's clock was, as exact as its frames were: a value that came late comes
late again. Rows of a backfill are left out, as live does; a clock that was set back stands still until it catches up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge_agent.backtest.matching import match
from edge_agent.backtest.remarks import Remarks
from edge_agent.backtest.source import Span, Step
from edge_agent.errors import SourceError, Words
from edge_agent.journal import disk
from edge_agent.journal.history import History
from edge_agent.journal.segment import SUFFIX
from edge_agent.journal.summary import summary
from edge_agent.model import Flag, Frame, TagTable
from edge_agent.model.frame import Int32


@dataclass(slots=True)
class JournalSource:
    """Bound to a tag table. Beside the running agent too: nothing is written and no lock taken."""

    name: str
    tags: TagTable
    paths: tuple[str, ...]
    """As the journal has them; `numbers` are the tags that they mean."""
    numbers: tuple[int, ...]
    span: Span
    unknown: list[str]
    missing: list[str]
    remarks: Remarks = field(default_factory=Remarks)

    def steps(self) -> Iterator[Step]:
        """See `Source`."""
        self.remarks = Remarks()
        numbers = np.array(self.numbers, np.int32)
        latest = np.iinfo(np.int64).min
        try:
            raw = summary(Path(self.name))["raw"]
            begin, end = max(raw["first_ns"] or 0, self.span[0]), min(raw["last_ns"] or 0, self.span[1])
            reading = History(Path(self.name)).frames(self.paths, self.span)
            for frame in reading:
                live = frame.without(Flag.BACKFILL)
                self.remarks.add("history", len(frame) - len(live))
                if not len(live):
                    continue
                when = np.maximum(np.maximum.accumulate(live.received), latest)
                latest = int(when[-1])
                rows = _renumbered(live, numbers)
                yield Step(rows, when, (latest - begin) / max(end - begin, 1))
        except OSError as error:
            raise disk.refused("read journal", Path(self.name), error) from error
        self.remarks.add("skipped", reading.skipped.rows)

    def whole(self) -> None:
        """Never needed: the journal has its own order."""


def _renumbered(frame: Frame, numbers: Int32) -> Frame:
    tag = numbers[frame.tag]
    return Frame(tag, frame.time, frame.received, frame.bits, frame.kind, frame.status, frame.flags, frame.texts)


def open_journal(folder: Path, tags: TagTable | None, span: Span) -> JournalSource:
    """The journal in `folder`, for the tags of a configuration or those of its own newest table. Raises SourceError."""
    if not any(folder.glob(f"*{SUFFIX}")):
        raise SourceError(
            "read journal",
            str(folder),
            Words("이 폴더에는 저널이 없습니다", "there is no journal in this folder"),
            Words("journal.path 폴더를 지정하십시오", "name the folder of journal.path"),
        )
    history = History(folder)
    try:
        paths = history.paths()
        tags = tags or history.table() or TagTable([])
    except OSError as error:
        raise disk.refused("read journal", folder, error) from error
    found = match(paths, tags, str(folder))
    chosen = sorted(found.numbers)
    return JournalSource(
        str(folder),
        tags,
        tuple(paths[place] for place in chosen),
        tuple(found.numbers[place] for place in chosen),
        span,
        found.unknown,
        found.missing,
    )
