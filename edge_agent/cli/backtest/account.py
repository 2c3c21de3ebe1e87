"""Account: one backtest with all that a person wants to know of how it came about."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_agent.backtest.outcome import Outcome
from edge_agent.backtest.source import Source
from edge_agent.cli.journal.moment import utc_texts


@dataclass(frozen=True, slots=True)
class Account:
    """`config` is the file's name, empty where tags were guessed; `took` the seconds of a real clock."""

    config: str
    source: Source
    outcome: Outcome
    took: float
    guessed: bool

    @property
    def missing(self) -> list[str]:
        """Paths of tags without a value."""
        return [tag.path for tag, count in zip(self.outcome.tags, self.outcome.seen, strict=True) if not count]

    @property
    def times_real(self) -> float:
        """How many times faster than real time."""
        return (self.outcome.last - self.outcome.first) * 1e-9 / max(self.took, 1e-9)

    @property
    def rate(self) -> float:
        """Values a second."""
        return self.outcome.values / max(self.took, 1e-9)

    def summary(self) -> dict[str, Any]:
        """Figures for machines. Times in ISO 8601 UTC."""
        outcome, source = self.outcome, self.source
        ends = utc_texts(np.array([outcome.first, outcome.last], np.int64)).tolist()
        ready = outcome.learning
        return {
            "config": self.config,
            "source": source.name,
            "engine": outcome.engine,
            "from": ends[0],
            "to": ends[1],
            "days": round(outcome.days, 6),
            "values": outcome.values,
            "tags": len(outcome.tags),
            "tags_with_values": int((outcome.seen > 0).sum()),
            "events": len(outcome.told),
            "events_per_tag_week": round(outcome.events_per_tag_week, 6),
            "events_by": outcome.counts(),
            "seconds": round(self.took, 3),
            "times_real_time": round(self.times_real, 1),
            "values_per_second": round(self.rate),
            "remarks": source.remarks.counts,
            "unknown_names": source.unknown,
            "tags_without_data": self.missing,
            "learning": {
                tag.path: [
                    utc_texts(np.array(span, np.int64)).tolist()
                    for span in ready.spans(number, outcome.first, outcome.last)
                ]
                for number, tag in enumerate(outcome.tags)
                if outcome.seen[number] and tag.role.value in ("pv", "mv")
            },
            "tag_list": [
                {
                    "path": tag.path,
                    "role": tag.role.value,
                    "unit": tag.unit,
                    "interval_s": tag.interval_ns * 1e-9,
                    "values": int(outcome.seen[number]),
                }
                for number, tag in enumerate(outcome.tags)
            ],
        }
