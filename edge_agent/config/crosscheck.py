"""What no section can see alone: names that come twice, machines that do not exist, tags that nobody owns.

Works on the file's data, so that it speaks even where a section was refused; the order and the names of a link's tags
come from the link itself where it came through.
"""

import stat
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_agent.config import advice
from edge_agent.config.agent import AgentConfig
from edge_agent.config.base import LinkSection
from edge_agent.config.document import Document, Found
from edge_agent.config.document import Path as Steps
from edge_agent.config.place import Place
from edge_agent.config.words import fault
from edge_agent.errors import Fault
from edge_agent.model.tag import Role, TagTable

MAX_SIGNALS: Final = 180
"""Fields of one measurement and machine that the hub's database takes gladly."""
RESERVED: Final = ("event", "quality")
"""Measurements that the agent fills itself: no machine class may be called so."""
_COUNTS_CYCLES: Final = (Role.COUNTER, Role.STATE)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A tag as the file has it."""

    steps: Steps
    name: str
    machine: str


class Crosscheck:
    """The checks of one file. `links[i]` is the section of the i-th link, None where it was refused."""

    def __init__(self, document: Document, folder: Path, links: Sequence[LinkSection | None]) -> None:
        self.document = document
        self.folder = folder
        self.links = links
        self.data: dict[Any, Any] = document.root.data
        self.machines = set(self._names("machines"))

    def faults(self, silent: Collection[Steps]) -> Iterator[Fault]:
        """All of them. What is below a path in `silent` has its fault already."""
        for key in ("machines", "links", "sinks"):
            yield from self._names_twice(key)
        yield from self._reserved_classes()
        yield from self._unknown_machines()
        claims: list[_Claim] = []
        for place, link in enumerate(self._list("links")):
            found = list(self._claims(link, ("links", place), ""))
            section = self.links[place] if place < len(self.links) else None
            if section is not None and not found and not any(told[:2] == ("links", place) for told in silent):
                yield fault("tags.none", self._place(("links", place, "name")), name=section.name)
            claims += found
        yield from self._ownerless(claims)
        yield from self._tags_twice(claims)

    # Names.

    def _list(self, key: str) -> list[Any]:
        value = self.data.get(key)
        return value if isinstance(value, list) else []

    def _names(self, key: str) -> Iterator[str]:
        for item in self._list(key):
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                yield item["name"]

    def _names_twice(self, key: str) -> Iterator[Fault]:
        first: dict[str, Place] = {}
        for place, item in enumerate(self._list(key)):
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                here = self._place((key, place, "name"))
                before = first.setdefault(item["name"], here)
                if before is not here:
                    yield fault("name.duplicate", here, name=item["name"], list=key, first=_spot(before))

    def _reserved_classes(self) -> Iterator[Fault]:
        for place, machine in enumerate(self._list("machines")):
            if isinstance(machine, dict) and machine.get("class") in RESERVED:
                yield fault("class.reserved", self._place(("machines", place, "class")), name=machine["class"])

    def _unknown_machines(self) -> Iterator[Fault]:
        if not self.machines:  # a fault of its own; every name would be unknown
            return
        for place, link in enumerate(self._list("links")):
            for steps, name in _references(link, ("links", place)):
                if name not in self.machines:
                    hint = advice.instead(name, self.machines)
                    yield fault("reference.machine", self._place(steps), name=name, advice=hint)

    # Tags.

    def _claims(self, data: Any, steps: Steps, machine: str) -> Iterator[_Claim]:
        """The tags below a link in file order, each with the machine that is written nearest."""
        if isinstance(data, list):
            for place, item in enumerate(data):
                yield from self._claims(item, (*steps, place), machine)
        elif isinstance(data, dict):
            own = data.get("machine")
            machine = own if isinstance(own, str) and own else machine
            if isinstance(data.get("tag"), str):
                yield _Claim(steps, data["tag"], machine)
            for key, value in data.items():
                if isinstance(value, list):
                    yield from self._claims(value, (*steps, key), machine)

    def _ownerless(self, claims: list[_Claim]) -> Iterator[Fault]:
        """Once for each list of tags: it mostly lacks one line above it."""
        known = ", ".join(sorted(self.machines)[: advice.MAX_LISTED]) or "-"
        told: set[Steps] = set()
        for claim in claims:
            if not claim.machine and claim.steps[:-1] not in told:
                told.add(claim.steps[:-1])
                yield fault("tag.machine", self._place((*claim.steps, "tag")), tag=claim.name, known=known)

    def _tags_twice(self, claims: list[_Claim]) -> Iterator[Fault]:
        first: dict[tuple[str, str], _Claim] = {}
        for claim in claims:
            before = first.setdefault((claim.machine, claim.name), claim)
            if before is not claim and claim.machine:
                spot = _spot(self._place((*before.steps, "tag")))
                here = self._place((*claim.steps, "tag"))
                yield fault("tag.duplicate", here, machine=claim.machine, tag=claim.name, first=spot)

    # Files.

    def missing_secrets(self) -> Iterator[Fault]:
        """Secrets whose file is not there: a fault for `check`, a warning for an agent that can wait for them."""
        for key in ("links", "sinks"):
            for place, item in enumerate(self._list(key)):
                yield from self._files_of(item, (key, place))

    def _files_of(self, data: Any, steps: Steps) -> Iterator[Fault]:
        """Secrets look like `{file: NAME}` wherever they stand."""
        for key, value in data.items() if isinstance(data, dict) else ():
            if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str):
                path = self.folder / value["file"]
                if _is_missing(path):
                    yield fault("secret.file", self._place((*steps, key, "file")), path=str(path))
            elif isinstance(value, dict):
                yield from self._files_of(value, (*steps, key))

    def _place(self, steps: Steps) -> Place:
        found: Found = self.document.find(steps)
        return self.document.value_place(found)


def _spot(place: Place) -> str:
    return f"{place.file}:{place.line}"


def _is_missing(path: Path) -> bool:
    """False too where this user may not look: a secret is often for the agent's eyes only."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        return False


def _references(data: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
    """Every `machine: NAME` below a link."""
    if isinstance(data, list):
        for place, item in enumerate(data):
            yield from _references(item, (*steps, place))
    elif isinstance(data, dict):
        name = data.get("machine")
        if isinstance(name, str) and name:
            yield (*steps, "machine"), name
        for key, value in data.items():
            if isinstance(value, list | dict):
                yield from _references(value, (*steps, key))


def journal_faults(document: Document, config: AgentConfig) -> Iterator[Fault]:
    """A journal of one segment could never delete an old one without deleting all."""
    if config.journal.max_bytes < 2 * config.journal.segment_bytes:
        found = document.find(("journal", "max_bytes"))
        found = found if found.key == "max_bytes" else document.find(("journal", "segment_bytes"))
        yield fault("journal.room", document.value_place(found))


def cycle_faults(document: Document, config: AgentConfig, tags: TagTable) -> Iterator[Fault]:
    """A machine's cycles are counted by one of its own tags."""
    for place, machine in enumerate(config.machines):
        own = {tag.name: tag for tag in tags if tag.machine.name == machine.name}
        if machine.cycle is None or not own:
            continue
        here = document.value_place(document.find(("machines", place, "cycle")))
        able = {name for name, tag in own.items() if tag.role in _COUNTS_CYCLES}
        tag = own.get(machine.cycle)
        if tag is None:
            hint = advice.instead(machine.cycle, able or set(own))
            yield fault("cycle.tag", here, machine=machine.name, tag=machine.cycle, advice=hint)
        elif machine.cycle not in able:
            yield fault("cycle.role", here, tag=machine.cycle, role=tag.role.value)


def warnings_of(document: Document, config: AgentConfig, tags: TagTable) -> Iterator[Fault]:
    """What works but should be looked at."""
    counts = Counter(tag.machine.name for tag in tags)
    for place, machine in enumerate(config.machines):
        here = document.value_place(document.find(("machines", place, "name")))
        if counts[machine.name] > MAX_SIGNALS:
            yield fault("warn.signals", here, machine=machine.name, count=counts[machine.name])
        if not counts[machine.name]:
            yield fault("warn.machine", here, machine=machine.name)
    yield from _shared_with_none(document, config)
    for place, link in enumerate(config.links):
        for key, cause, cure in link.cautions():
            yield fault("warn.link", document.value_place(document.find(("links", place, key))), cause=cause, cure=cure)
    yield from _quarrels(document, config)
    if not config.sinks:
        yield fault("warn.sinks", Place(document.source.name, 0, 0))


def _shared_with_none(document: Document, config: AgentConfig) -> Iterator[Fault]:
    """Utilities that one machine names and no other: a slip of the pen, mostly."""
    named = Counter(utility for machine in config.machines for utility in dict.fromkeys(machine.shares))
    for place, machine in enumerate(config.machines):
        for at, utility in enumerate(machine.shares):
            if named[utility] == 1:
                here = document.value_place(document.find(("machines", place, "shares", at)))
                others = ", ".join(sorted(set(named) - {utility})) or "-"
                yield fault("warn.shares", here, utility=utility, others=others)


def _quarrels(document: Document, config: AgentConfig) -> Iterator[Fault]:
    """Links that want one thing with different settings: only the first that opens it gets it."""
    first: dict[str, tuple[str, str, Place]] = {}
    for place, link in enumerate(config.links):
        agreed = link.agreement()
        if agreed is None:
            continue
        key, thing, settings = agreed
        here = document.value_place(document.find(("links", place, key)))
        other, others, spot = first.setdefault(thing, (link.name, settings, here))
        if others != settings:
            facts = {"thing": thing, "settings": settings, "other": other, "others": others, "first": _spot(spot)}
            yield fault("warn.quarrel", here, link=link.name, **facts)
