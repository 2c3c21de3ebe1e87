"""Recognition: which of the known instruments a unit may be: by what it says of itself, and by the profiles' probes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.modbus.connection import Reader
from connectors.modbus.identity import Identity
from connectors.modbus.plan import Limits
from connectors.modbus.point import Point
from connectors.modbus.profile import Profile
from connectors.modbus.scan import OK, TIMED_OUT
from edge_agent.api import Clock
from edge_agent.cli.modbus.sample import Sample, Value, take
from edge_agent.config.profile import Shelf, read_profile

_PATIENCE: Final = 2
"""After so many probes in a row without an answer a unit is left alone: it does not say what it does not have."""


@dataclass(frozen=True, slots=True)
class Match:
    """A profile whose probe fits. `named`: the unit's own identification names its maker or model."""

    profile: str
    value: Value
    unit: str
    named: bool
    complete: bool
    """Whether all points of the profile could be read."""

    @property
    def sure(self) -> bool:
        """Whether it is worth writing down: a value of 0 fits many ranges, and so says little."""
        return self.complete and (self.named or bool(self.value))


def only_one(matches: Sequence[Match]) -> Match | None:
    """The match to write down: the one that the unit names itself, else the only one worth it; None where in doubt."""
    sure = [one for one in matches if one.sure]
    named = [one for one in sure if one.named]
    return next(iter(named or sure), None) if len(named or sure) == 1 else None


def known_profiles(folder: Path) -> list[Profile]:
    """The profiles that have a probe: those shipped, and those in `profiles/` below the folder."""
    return list(_probing(Shelf(folder)))


def _probing(shelf: Shelf) -> Iterator[Profile]:
    for name in shelf.names():
        path = shelf.path(name)
        found = read_profile(path, Profile)[0] if path is not None else None
        if found is not None and isinstance(found.section, Profile) and found.section.probe is not None:
            yield found.section


async def recognise(
    reader: Reader, unit: int, identity: Identity, profiles: Sequence[Profile], timeout: float, clock: Clock
) -> list[Match]:
    """The profiles that the unit may be, the likeliest first. Asks one at a time; raises when the connection breaks."""
    found: list[Match] = []
    silent = 0
    for profile in profiles:
        tag = profile.probe_tag
        if tag is None or profile.probe is None:
            continue
        probe = (await _taken(reader, unit, [tag.point(0, profile.order)], profile, timeout, clock))[0]
        silent = silent + 1 if probe.outcome == TIMED_OUT else 0
        if silent >= _PATIENCE:
            break
        if _inside(probe.value, profile.probe.range):
            complete = await _complete(reader, unit, profile, timeout, clock)
            found.append(Match(profile.profile, probe.value, tag.unit, _named(identity, profile), complete))
    return sorted(found, key=lambda one: (not one.named, not one.complete, not one.value))


async def _taken(
    reader: Reader, unit: int, points: Sequence[Point], profile: Profile, timeout: float, clock: Clock
) -> list[Sample]:
    limits = Limits(profile.max_registers, profile.max_bits, profile.max_gap)
    return await take(reader, unit, points, limits, timeout, clock, apart=False)


async def _complete(reader: Reader, unit: int, profile: Profile, timeout: float, clock: Clock) -> bool:
    """Whether the unit gives every point that is read unless said otherwise."""
    points = [tag.point(at, profile.order) for at, tag in enumerate(profile.points) if not tag.optional]
    samples = await _taken(reader, unit, points, profile, timeout, clock) if points else []
    return all(sample.outcome == OK for sample in samples)


def _inside(value: Value, ends: tuple[float, float]) -> bool:
    return isinstance(value, int | float) and ends[0] <= value <= ends[1]


def _named(identity: Identity, profile: Profile) -> bool:
    """Whether the unit calls itself by the maker's name or by one of the models."""
    said = re.sub(r"\W+", "", identity.text.lower())
    words = [re.sub(r"\W+", "", word.lower()) for word in (profile.vendor, *profile.models)]
    return any(word in said for word in words if len(word) > 2)
