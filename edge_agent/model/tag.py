"""Tags: the named signals of a site, and the table that numbers them.

A tag's number is its row in the site's `TagTable`. Numbers are given by the configuration's order at start; they are
valid for one run only. What outlives a run (journal, checkpoints, hub) speaks of tags by `Tag.path`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from edge_agent.model.event_class import EventClass


class Role(StrEnum):
    """What a tag means to its machine; detection and dashboards choose by it."""

    PV = "pv"
    """Process value (현재값)."""
    SV = "sv"
    """Set value in use (설정값)."""
    MV = "mv"
    """Manipulated value: controller output (출력)."""
    STATE = "state"
    COUNTER = "counter"
    SETPOINT = "setpoint"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Label:
    """A name for people in both languages. Either may be empty; `in_language` falls back to the other."""

    ko: str = ""
    en: str = ""

    def in_language(self, language: str, default: str = "") -> str:
        """The label in `language` ('ko' or 'en'), else in the other one, else `default`."""
        first, second = (self.ko, self.en) if language == "ko" else (self.en, self.ko)
        return first or second or default


@dataclass(frozen=True, slots=True)
class Machine:
    """A piece of equipment (설비). `machine_class` is the InfluxDB measurement (snake_case)."""

    site: str
    line: str
    name: str
    machine_class: str
    label: Label = field(default_factory=Label)
    cycle: str = ""
    """The tag that counts its cycles or tells its phases; empty where its cycles are not watched."""
    shares: tuple[str, ...] = ()
    """Utilities that it has in common with other machines: compressed air, cooling water …"""

    @property
    def path(self) -> str:
        """ISA-95 path: site/line/machine."""
        return f"{self.site}/{self.line}/{self.name}"


@dataclass(frozen=True, slots=True)
class Tag:
    """One named signal.

    `name` is the signal (snake_case, the InfluxDB field). `interval_ns` is how often a new value or a sign of life is
    expected; 0 says that it only comes on change. `low`/`high` is the instrument's range (EURange), None where unknown.
    `states` says what the numbers of a state mean. `novelty`: its course is compared with all of its own past.
    """

    name: str
    machine: Machine
    link: str
    role: Role = Role.PV
    unit: str = ""
    interval_ns: int = 1_000_000_000
    low: float | None = None
    high: float | None = None
    label: Label = field(default_factory=Label)
    states: tuple[tuple[int, Label], ...] = ()
    event_class: EventClass | None = None
    """Where the cause lies if this signal is not as usual, as a person said; None leaves it to `cause`."""
    novelty: bool = False

    @property
    def cause(self) -> EventClass | None:
        """The class of events about its values: as a person said; a controller's output shows the machine, which it
        has to make up for. None where nobody can say."""
        return self.event_class or (EventClass.MACHINE if self.role is Role.MV else None)

    @property
    def path(self) -> str:
        """ISA-95 path: site/line/machine/tag. Unique in a site; the tag's identity across restarts."""
        return f"{self.machine.path}/{self.name}"

    def meaning(self, value: float | str | None) -> Label | None:
        """What `states` says of this value; None where it says nothing."""
        said = (label for number, label in self.states if number == value)
        return next((label for label in said if label.in_language("en")), None)

    def described(self, by: "Description") -> "Tag":
        """The tag with what it leaves open filled in; what a person wrote stays."""
        low, high = (by.low, by.high) if self.low is None and self.high is None else (self.low, self.high)
        return replace(self, unit=self.unit or by.unit, low=low, high=high, states=self.states or by.states)


@dataclass(frozen=True, slots=True)
class Description:
    """What the source of a tag says of it, where it says anything: unit, instrument's range, texts of states."""

    unit: str = ""
    low: float | None = None
    high: float | None = None
    states: tuple[tuple[int, Label], ...] = ()


NO_TAG: Final = -1
"""Tag number of a journal row whose tag the present configuration no longer has."""


class TagTable(Sequence[Tag]):
    """All tags of the site in configuration order; a tag's number is its index here (int32 in frames)."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        """`tags` must have unique paths; raises ValueError naming the first path that comes twice."""
        self._tags = list(tags)
        self._numbers: dict[str, int] = {}
        for number, tag in enumerate(self._tags):
            if self._numbers.setdefault(tag.path, number) != number:
                raise ValueError(f"tag path used twice: {tag.path}")
        self.paths: tuple[str, ...] = tuple(self._numbers)
        self.fingerprint: str = hashlib.sha256("\n".join(self.paths).encode()).hexdigest()[:32]
        """Changes exactly when paths or their order change: what a stored tag number is checked against."""

    def __len__(self) -> int:
        return len(self._tags)

    def __getitem__(self, number: int) -> Tag:  # type: ignore[override]  # a slice of a table has no meaning
        return self._tags[number]

    def __iter__(self) -> Iterator[Tag]:
        return iter(self._tags)

    def describe(self, number: int, by: Description) -> None:
        """Fills in what the configuration leaves open of a tag. Paths and the fingerprint stay."""
        self._tags[number] = self._tags[number].described(by)

    def number(self, path: str) -> int:
        """The number of the tag with this path, or NO_TAG."""
        return self._numbers.get(path, NO_TAG)

    def of_link(self, link: str) -> Mapping[int, Tag]:
        """Tags read over one link, by number, in configuration order."""
        return {number: tag for number, tag in enumerate(self._tags) if tag.link == link}
