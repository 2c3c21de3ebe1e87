"""From a file to a checked configuration: read, fill in tag tables, validate each section, check across sections.

Everything that can be found is found in one go. What one section gets wrong does not hide what is wrong elsewhere: each
link and sink is validated with its own class, and the cross-checks work on the file's data, not on the sections that
came through.
"""

import gc
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from pydantic import ValidationError

from edge_agent.config import advice
from edge_agent.config.agent import AgentConfig
from edge_agent.config.base import LinkSection, ProfileSection, Section, SinkSection, TagSection
from edge_agent.config.crosscheck import Crosscheck, cycle_faults, journal_faults, warnings_of
from edge_agent.config.document import Document, ListNode, MapNode, Node, parse
from edge_agent.config.document import Path as Steps
from edge_agent.config.numbering import number, with_paths
from edge_agent.config.place import Place
from edge_agent.config.profile import Shelf
from edge_agent.config.refusal import Refusals
from edge_agent.config.schema import annotation_at, takes_text
from edge_agent.config.source import read
from edge_agent.config.table import read_table
from edge_agent.config.words import fault
from edge_agent.errors import ConfigError, Fault, Words
from edge_agent.model.tag import TagTable

MAX_ALIKE: Final = 3
"""Faults with the same words in one file that are listed each; the rest is one line."""
MAX_OF_A_CODE: Final = 50
"""The same for faults of one code, whatever their words."""
MAX_LINES: Final = 30
"""Lines that this one line names."""


class SectionTable(Protocol):
    """Which connectors and sinks there are, and the class of the section of each."""

    @property
    def connectors(self) -> Collection[str]:
        """Types of links."""
        ...

    @property
    def sinks(self) -> Collection[str]:
        """Types of sinks."""
        ...

    def link_section(self, connector: str, /) -> type[LinkSection]:
        """The section's class of a connector type."""
        ...

    def sink_section(self, sink: str, /) -> type[SinkSection]:
        """The section's class of a sink type."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A configuration without faults."""

    config: AgentConfig
    """Paths in it are absolute."""
    tags: TagTable
    numbers: Mapping[str, list[int]]
    """Link's name -> tag numbers, aligned with the link's `tag_list()`."""
    warnings: tuple[Fault, ...] = ()
    """What works but should be looked at."""


def load(path: Path, sections: SectionTable, *, secrets_later: bool = False) -> Loaded:
    """The configuration in the file at `path`. Raises ConfigError with all faults, in file order.

    With `secrets_later` a secret's missing file is a warning: collection can begin without it.
    """
    with _without_collector():
        return _Loading(path, sections, secrets_later).load()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Thousands of small objects that all stay: the cyclic collector would walk them again and again (4x the time)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


SectionT = TypeVar("SectionT", bound=Section)


@dataclass(slots=True)
class _Loading:
    """One run of `load`."""

    path: Path
    sections: SectionTable
    secrets_later: bool = False
    faults: list[Fault] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Names in the order in which faults are listed."""
    cautions: list[Fault] = field(default_factory=list)
    silent: set[Steps] = field(default_factory=set)
    """Places whose fault is told already: what validation says about them is only its consequence."""

    def load(self) -> Loaded:
        name = str(self.path)
        self.files.append(name)
        source = read(self.path, name)
        if isinstance(source, Fault):
            raise ConfigError(name, (source,))
        document, faults = parse(source)
        self.faults += faults
        if document is None:
            raise self._error()
        return self._checked(document)

    def _checked(self, document: Document) -> Loaded:
        data = document.root.data
        for place, node in enumerate(_items(document, "links")):
            self._fill_tables(document, node, ("links", place))
            self._fill_profiles(document, node, ("links", place))
        links = [self._link(document, place) for place, _ in enumerate(_items(document, "links"))]
        sinks = [self._sink(document, place) for place, _ in enumerate(_items(document, "sinks"))]
        whole = dict(data)
        if links:
            whole["links"] = links
        if sinks:
            whole["sinks"] = sinks
        config = self._validated(document, AgentConfig, whole)
        check = Crosscheck(document, self.path.parent, [_sound(link) for link in links])
        self.faults += check.faults(self.silent)
        missing = tuple(check.missing_secrets())
        self.faults += () if self.secrets_later else missing
        self.faults += journal_faults(document, config) if config is not None else ()
        if self.faults or config is None:
            raise self._error()
        config = with_paths(config, self.path.parent)
        tags, numbers = number(config)
        self.faults += cycle_faults(document, config, tags)
        if self.faults:
            raise self._error()
        return Loaded(config, tags, numbers, (*missing, *self.cautions, *warnings_of(document, config, tags)))

    def _error(self) -> ConfigError:
        unique = {(one.code, one.file, one.line, one.column, one.cause): one for one in self.faults}
        order = {file: place for place, file in enumerate(self.files)}

        def in_file_order(one: Fault) -> tuple[int, int, int]:
            return order.get(one.file, 0), one.line, one.column

        faults = _shortened(sorted(unique.values(), key=in_file_order))
        return ConfigError(str(self.path), tuple(sorted(faults, key=in_file_order)))

    # Sections.

    def _link(self, document: Document, place: int) -> Any:
        steps: Steps = ("links", place)
        section = self._class(document, steps, "connector", self.sections.connectors)
        if section is None:
            return self._stand_in(document, steps, LinkSection, "connector")
        link = self._validated(document, self.sections.link_section(section), _data(document, steps), steps)
        return link or self._stand_in(document, steps, LinkSection, None)

    def _sink(self, document: Document, place: int) -> Any:
        steps: Steps = ("sinks", place)
        section = self._class(document, steps, "sink", self.sections.sinks)
        if section is None:
            return self._stand_in(document, steps, SinkSection, "sink")
        sink = self._validated(document, self.sections.sink_section(section), _data(document, steps), steps)
        return sink or self._stand_in(document, steps, SinkSection, None)

    def _class(self, document: Document, steps: Steps, key: str, known: Collection[str]) -> str | None:
        """The type that the section names; None, with a fault where it is not told otherwise, for none that we know."""
        data = _data(document, steps)
        if not isinstance(data, dict):
            return None
        if key not in data:  # a slip in the key itself: what it says is used, so that the rest is checked too
            slip = next((other for other in data if isinstance(other, str) and advice.close(other, (key,))), None)
            return data[slip] if slip is not None and data[slip] in tuple(known) else None
        kind = data[key]
        if not isinstance(kind, str):
            return None
        if kind in known:
            return kind
        place = document.value_place(document.find((*steps, key)))
        got = Words(f"'{kind}'", f"'{kind}'")
        self.faults.append(fault("type.unknown", place, key=key, got=got, advice=advice.instead(kind, known)))
        return None

    def _stand_in(self, document: Document, steps: Steps, section: type[Section], check: str | None) -> Any:
        """What takes a refused section's place in the whole, so that the rest can be validated.

        With `check` (key of the type) no class is known, and only the keys that every link or sink has are looked at.
        """
        data = _data(document, steps)
        if not isinstance(data, dict):
            return data
        if check is not None:
            general = {key: data[key] for key in ("name", check) if key in data}
            self._validated(document, section, general, steps)
        return section.model_construct(name="")

    def _validated(self, document: Document, section: type[SectionT], data: Any, prefix: Steps = ()) -> SectionT | None:
        try:
            return section.model_validate(data, context={"folder": self.path.parent.absolute()})
        except ValidationError as error:
            told = Refusals(document, section, prefix).faults(error.errors(include_url=False))
            for steps, one in told:
                if not any(steps[: len(path)] == path for path in self.silent):
                    self.faults.append(one)
            return None

    # Tag tables.

    def _fill_tables(self, document: Document, node: Node, steps: Steps) -> None:
        """Replaces each `tags_file` of a link by the tags in that file, behind those in `tags`."""
        if isinstance(node, ListNode):
            for place, item in enumerate(node.items):
                self._fill_tables(document, item, (*steps, place))
        if not isinstance(node, MapNode):
            return
        for key, below in list(node.items.items()):
            if key != "tags":
                self._fill_tables(document, below, (*steps, key))
        if "tags_file" in node.items:
            self._fill_table(document, node, steps)

    def _fill_table(self, document: Document, node: MapNode, steps: Steps) -> None:
        given, mark = node.items["tags_file"], node.keys["tags_file"]
        node.drop("tags_file")
        tags = node.items.get("tags")
        if not isinstance(tags, ListNode):
            tags = ListNode(mark)
            node.put("tags", tags, mark)
        if not isinstance(given.data, str):
            self._silence(fault("table.name", given.place(document.source)), (*steps, "tags"))
            return
        name = str(self.path.parent / given.data)
        if name not in self.files:
            self.files.append(name)
        source = read(self.path.parent / given.data, name, table=True)
        if isinstance(source, Fault):
            at = given.place(document.source)
            if source.line == 0:  # about the whole file: told where the file is named
                source = replace(source, file=at.file, line=at.line, column=at.column, excerpt=at.excerpt)
            self._silence(source, (*steps, "tags"))
            return
        rows, faults = read_table(source, self._is_text(document, steps))
        self.faults += faults
        if faults:
            self.silent.add((*steps, "tags"))
        for row in rows:
            tags.add(row)

    # Profiles.

    def _fill_profiles(self, document: Document, link: Node, steps: Steps) -> None:
        """Puts the profiles that the link's devices name into them, and what the profiles say of the line into it."""
        kind = link.data.get("connector") if isinstance(link, MapNode) else None
        known = isinstance(kind, str) and kind in self.sections.connectors
        section = self.sections.link_section(kind).profile_section() if known and isinstance(kind, str) else None
        devices = link.child("devices")
        if section is None or not isinstance(link, MapNode) or not isinstance(devices, ListNode):
            return
        shelf = Shelf(self.path.parent)
        for place, node in enumerate(devices.items):
            if isinstance(node, MapNode) and "profile" in node.items:
                self._fill_profile(document, link, node, (*steps, "devices", place), shelf, section)

    def _fill_profile(
        self, document: Document, link: MapNode, node: MapNode, steps: Steps, shelf: Shelf, kind: type[ProfileSection]
    ) -> None:
        filling = shelf.fill(document, node, steps, kind)
        self.faults += filling.faults
        self.files += {one.file for one in filling.faults}.difference(self.files)
        self.cautions += filling.cautions
        if filling.profile is None:
            self.silent.add((*steps, "tags"))
            return
        line = filling.profile.section.line(filling.profile.data, link.data)
        for key, value in line.items():
            if key not in link.items:
                link.put(key, Node(value, node.items["profile"].mark), node.items["profile"].mark)

    def _silence(self, one: Fault, steps: Steps) -> None:
        self.faults.append(one)
        self.silent.add(steps)

    def _is_text(self, document: Document, steps: Steps) -> Any:
        """Whether a column's field takes text, by the section of the link's connector."""
        data = _data(document, steps[:2])
        kind = data.get("connector") if isinstance(data, dict) else None
        known = isinstance(kind, str) and kind in self.sections.connectors
        section = self.sections.link_section(kind) if known and isinstance(kind, str) else TagSection
        inner = (*steps[2:], "tags") if known else ()

        def is_text(key: str) -> bool:
            annotation = annotation_at(section, (*inner, *key.split(".")))
            return key not in ("low", "high") and (annotation is None or takes_text(annotation))

        return is_text


def _sound(link: Any) -> LinkSection | None:
    """A link that came through; a stand-in has no name."""
    return link if isinstance(link, LinkSection) and link.name else None


def _items(document: Document, key: str) -> list[Node]:
    node = document.root.child(key)
    return node.items if isinstance(node, ListNode) else []


def _data(document: Document, steps: Steps) -> Any:
    found = document.find(steps)
    return found.node.data if found.path == tuple(steps) else None


def _shortened(faults: list[Fault]) -> list[Fault]:
    """Of many faults alike (a wrong header is wrong on each line) the first ones, and the lines of the others."""
    causes: Counter[tuple[str, str, str]] = Counter()
    codes: Counter[tuple[str, str]] = Counter()
    shown: list[Fault] = []
    rest: dict[tuple[str, str], list[Fault]] = {}
    for one in faults:
        cause, code = (one.code, one.file, one.cause.en), (one.code, one.file)
        causes[cause] += 1
        if causes[cause] > MAX_ALIKE or codes[code] >= MAX_OF_A_CODE:
            rest.setdefault(code, []).append(one)
        else:
            codes[code] += 1
            shown.append(one)
    return shown + [group[0] if len(group) == 1 else _rest(group) for group in rest.values()]


def _rest(faults: list[Fault]) -> Fault:
    first = faults[0]
    lines = list(dict.fromkeys(one.line for one in faults))
    listed = ", ".join(map(str, lines[:MAX_LINES])) + (" …" if len(lines) > MAX_LINES else "")
    place = Place(first.file, first.line, first.column)
    return fault("more", place, code=first.code, count=len(faults), lines=listed)
