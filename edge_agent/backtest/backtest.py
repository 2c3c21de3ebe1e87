"""One backtest: a source through a simulation."""

from collections.abc import Callable

import numpy as np

from edge_agent.backtest.order import OutOfOrder
from edge_agent.backtest.outcome import Outcome
from edge_agent.backtest.simulation import Simulation
from edge_agent.backtest.source import Source
from edge_agent.backtest.trace import Trace
from edge_agent.config.agent import DetectionSection
from edge_agent.errors import SourceError, Words

_ROWS = 5_000
"""So many are fed before it is told how far it is."""
Told = Callable[[float, int], None]
"""Is told how far it is: the part of the source, and the time that the data have reached (ns since 1970 UTC)."""


def backtest(source: Source, config: DetectionSection, told: Told, *, drawn: bool = False) -> Outcome:
    """What detection says of the source's rows; with `drawn`, its trace too. Raises SourceError."""
    try:
        return _once(source, config, told, drawn=drawn)
    except OutOfOrder:
        source.whole()
        return _once(source, config, told, drawn=drawn)


def _once(source: Source, config: DetectionSection, told: Told, *, drawn: bool) -> Outcome:
    outcome = Outcome(source.tags, Trace(len(source.tags)) if drawn else None)
    simulation = Simulation(source.tags, config, outcome)
    done = 0.0
    for step in source.steps():
        frame = step.frame
        if len(frame):
            outcome.first = outcome.first if outcome.values else int(frame.time.min())
            outcome.last = max(outcome.last, int(frame.time.max()))
            outcome.values += len(frame)
            outcome.seen += np.bincount(frame.tag, minlength=len(source.tags))
            if outcome.trace is not None:
                outcome.trace.values(frame)
        for start in range(0, len(frame), _ROWS):
            part = slice(start, start + _ROWS)
            simulation.feed(frame.rows(part), None if step.when is None else step.when[part])
            reached = int(frame.time[min(start + _ROWS, len(frame)) - 1])
            told(done + (step.done - done) * min(1.0, (start + _ROWS) / len(frame)), reached)
        done = step.done
    if not outcome.values:
        raise SourceError(
            "backtest",
            source.name,
            Words("이 기간에 값이 하나도 없습니다", "there is not one value in this span"),
            Words(
                "--from, --to 와 자료의 시각을 확인하십시오. 시간대는 --zone 으로 정합니다",
                "look at --from, --to and the times in the data; --zone sets the time zone",
            ),
        )
    return simulation.finish()
