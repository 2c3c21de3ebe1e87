"""What a sink's answer to a batch says of its rows, by machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.api import Answer, Batch
from edge_agent.journal.place import Dropped
from edge_agent.journal.tally import NOTHING, Tally, machines_of, tally, untold

_MAX_REASONS: Final = 32
_MAX_REASON: Final = 48


@dataclass(frozen=True, slots=True)
class Counted:
    """What an answer says of a batch, by machine."""

    delivered: Tally
    refused: Tally
    dropped: Dropped


def count(batch: Batch, rows: Tally, answer: Answer) -> Counted:
    """What the answer says of the rows of a batch, which are `rows`. Raises ValueError where it does not fit them."""
    refused = _tally_of(batch, [row for refusal in answer.refused for row in refusal.rows])
    dropped = {reason[:_MAX_REASON]: NOTHING for reason, number in answer.dropped.items() if number}
    for reason, number in answer.dropped.items():
        if number < 0:
            raise ValueError("answer for fewer than no rows of the batch")
        if number:
            dropped[reason[:_MAX_REASON]] += _dropped(batch, number, answer.dropped_rows.get(reason))
    delivered = rows - refused if refused.total else rows
    for each in dropped.values():
        delivered -= each
    if delivered.total < 0:
        raise ValueError(f"answer for more than the {len(batch.frame)} rows of the batch")
    return Counted(delivered, refused, bounded({}, dropped))


def _tally_of(batch: Batch, rows: list[int]) -> Tally:
    if not rows:
        return NOTHING
    numbers = [int(row) for row in rows]
    if len(set(numbers)) != len(numbers) or any(not 0 <= row < len(batch.frame) for row in numbers):
        raise ValueError("refused rows must be rows of the batch, each once")
    return tally(batch.tags, batch.frame.tag[np.array(numbers, np.intp)])


def _dropped(batch: Batch, count: int, rows: npt.ArrayLike | None) -> Tally:
    """By machine where the sink says which rows, or where there is one machine only."""
    names = machines_of(batch.tags)
    if rows is not None:
        numbers = np.asarray(rows, np.intp)
        if len(numbers) != count or (count and not 0 <= numbers.min() <= numbers.max() < len(batch.frame)):
            raise ValueError("dropped rows must be rows of the batch, as many as are counted")
        return tally(batch.tags, batch.frame.tag[numbers])
    return Tally.of({names[1]: count}) if len(names) == 2 else untold(count)  # "" and one machine


def bounded(dropped: Mapping[str, Tally], more: Mapping[str, Tally]) -> Dropped:
    """Both. Past a number of reasons the rest are `other`, so that a state fits its file."""
    if not more:
        return dict(dropped)
    out = dict(dropped)
    for reason, count in more.items():
        name = reason if reason in out or len(out) < _MAX_REASONS else "other"
        out[name] = out.get(name, NOTHING) + count
    return {reason: count for reason, count in out.items() if count.counts.any()}
