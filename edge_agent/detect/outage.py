"""Outage: so many tags of one machine and link without a value at once that the cause is theirs in common.

One event with the machine's path speaks for all of them. It opens when `SHARE` of the machine's tags on that link are
bad or stale, or when `TOGETHER` of them lose communication in the same moment (one device of several). It is over when
fewer than half of its tags are left, and those that are left then speak for themselves.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from analytics.kernels import layout as at
from edge_agent.detect.deviation import Deviation
from edge_agent.model import Event, EventClass, Machine, TagTable

SHARE: Final = 0.8
TOGETHER: Final = 3


@dataclass(slots=True)
class Outage:
    """`members` are tag numbers; times as in `Deviation`."""

    unit: int
    members: set[int]
    event: Event
    ended: int = 0
    ceased: float = 0.0


@dataclass(frozen=True, slots=True)
class Unit:
    """The tags of one machine that come over one link."""

    machine: Machine
    link: str
    tags: list[int] = field(default_factory=list)


class Units:
    """Which tags share machine and link; `of_tag[number]` is the number of the tag's unit."""

    def __init__(self, tags: TagTable) -> None:
        numbers: dict[tuple[str, str], int] = {}
        self.units: list[Unit] = []
        self.of_tag = np.zeros(len(tags), np.int64)
        for number, tag in enumerate(tags):
            key = (tag.machine.path, tag.link)
            if key not in numbers:
                numbers[key] = len(self.units)
                self.units.append(Unit(tag.machine, tag.link))
            self.of_tag[number] = numbers[key]
            self.units[numbers[key]].tags.append(number)

    def by_unit(self, deviations: Iterable[Deviation]) -> dict[int, list[Deviation]]:
        """Deviations sorted into their units."""
        out: dict[int, list[Deviation]] = defaultdict(list)
        for deviation in deviations:
            out[int(self.of_tag[deviation.tag])].append(deviation)
        return out


def shared(due: list[Deviation], firing: list[Deviation], size: int, can_be_stale: int) -> list[Deviation]:
    """The deviations that an outage should speak for; none where each speaks for itself.

    `due` are to open now, `firing` are all of the unit (`due` among them), `size` is the number of its tags, and
    `can_be_stale` of them have a rhythm: the others can't show that they are gone when the link goes silent.
    """
    silent = any(deviation.bits & at.STALE for deviation in firing)
    able = max(can_be_stale, len(firing)) if silent else size
    if len(firing) >= 2 and len(firing) >= SHARE * able:
        return firing
    lost = [one for one in due if one.event_class is EventClass.COMMUNICATION or one.bits & at.STALE]
    return lost if len(lost) >= TOGETHER else []
