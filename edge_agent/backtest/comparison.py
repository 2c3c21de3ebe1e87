"""Comparison: which events two configurations have in common over the same data."""

from collections import defaultdict
from dataclasses import dataclass

from edge_agent.backtest.outcome import Outcome
from edge_agent.model import Event


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two events are one where path and class are the same and their times overlap; each has one partner at most."""

    both: tuple[tuple[Event, Event], ...]
    first_only: tuple[Event, ...]
    second_only: tuple[Event, ...]


def compare(first: Outcome, second: Outcome) -> Comparison:
    """Partners are found in order of time."""
    last = max(first.last, second.last)
    free: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in second.events:
        free[event.path, event.event_class].append(event)
    both, alone = [], []
    for event in first.events:
        others = free[event.path, event.event_class]
        partner = next((other for other in others if _overlap(event, other, last)), None)
        if partner is None:
            alone.append(event)
        else:
            others.remove(partner)
            both.append((event, partner))
    left = {event.id for others in free.values() for event in others}
    return Comparison(tuple(both), tuple(alone), tuple(event for event in second.events if event.id in left))


def _overlap(one: Event, other: Event, last: int) -> bool:
    return one.start <= (other.end or last) and other.start <= (one.end or last)
