"""Profiles: an instrument's register map, written once, put into each device that names it.

A device with `profile: NAME` gets the settings that the profile has and it has not, and the profile's tags before its
own. What a device says itself wins: a tag of the same name in `tags` changes the profile's tag, key by key. A profile
is `profiles/NAME.yaml` beside the configuration, else one of those shipped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge_agent.config import advice
from edge_agent.config.base import ProfileSection
from edge_agent.config.document import Document, ListNode, MapNode, Node, parse
from edge_agent.config.refusal import Refusals, own_words
from edge_agent.config.source import read
from edge_agent.config.words import fault
from edge_agent.errors import Fault
from edge_agent.shipped import shipped

FOLDER: Final = "profiles"
_SUFFIX: Final = ".yaml"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile without faults: its section, and the same as plain data, as it is written."""

    section: ProfileSection
    data: Mapping[str, Any]


def read_profile(path: Path, kind: type[ProfileSection], name: str | None = None) -> tuple[Profile | None, list[Fault]]:
    """The profile in a file, None with its faults; `name` is how faults call the file."""
    called = str(path) if name is None else name
    source = read(path, called)
    if isinstance(source, Fault):
        return None, [source]
    document, faults = parse(source)
    if document is None:
        return None, faults
    try:
        section = kind.model_validate(document.root.data)
    except ValidationError as error:
        refused = Refusals(document, kind).faults(error.errors(include_url=False))
        return None, [*faults, *(one for _, one in refused)]
    if section.profile != path.stem:
        place = document.value_place(document.find(("profile",)))
        faults.append(fault("profile.name", place, name=section.profile, file=f"{section.profile}{_SUFFIX}"))
    return (None if faults else Profile(section, document.root.data)), faults


@dataclass(slots=True)
class Filling:
    """What came of one device."""

    faults: list[Fault] = field(default_factory=list)
    cautions: list[Fault] = field(default_factory=list)
    profile: Profile | None = None


class Shelf:
    """The profiles that the configuration in `folder` can name; each file is read once."""

    def __init__(self, folder: Path) -> None:
        self._folders = (folder / FOLDER, shipped("configs") / FOLDER)
        self._read: dict[tuple[str, type[ProfileSection]], Profile | None] = {}

    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted({path.stem for folder in self._folders for path in folder.glob(f"*{_SUFFIX}")})

    def path(self, name: str) -> Path | None:
        """The file of a profile; the one beside the configuration where there are two."""
        paths = (folder / f"{name}{_SUFFIX}" for folder in self._folders)
        plain = Path(name).name == name and name not in ("", ".", "..")
        return next((path for path in paths if path.is_file()), None) if plain else None

    def fill(
        self, document: Document, node: MapNode, steps: tuple[str | int, ...], kind: type[ProfileSection]
    ) -> Filling:
        """Puts the profile that the device `node` names into it; `steps` lead there in `document`."""
        filling, named = Filling(), node.items["profile"]
        if not isinstance(named.data, str):  # validation says what is wrong
            return filling
        filling.profile = self._open(document, named, kind, filling.faults)
        if filling.profile is None:
            return filling
        section, data = filling.profile.section, filling.profile.data
        filling.faults += self._misuse(document, node, steps, section)
        for cause, cure in section.cautions(node.data):
            filling.cautions.append(own_words(named.place(document.source), cause, cure, "warn.profile"))
        tags = [_grown(tag, named.mark) for tag in section.tags(data, node.data)]
        for key, value in section.settings(data).items():
            if key not in node.items:
                node.put(key, _grown(value, named.mark), named.mark)
        _put_tags(node, tags, named.mark)
        return filling

    def _open(self, document: Document, named: Node, kind: type[ProfileSection], faults: list[Fault]) -> Profile | None:
        key = (named.data, kind)
        if key not in self._read:
            path = self.path(named.data)
            if path is None:
                hint = advice.instead(named.data, self.names())
                faults.append(fault("profile.unknown", named.place(document.source), name=named.data, advice=hint))
                return None
            self._read[key], told = read_profile(path, kind)
            faults += told
        return self._read[key]

    def _misuse(
        self, document: Document, node: MapNode, steps: tuple[str | int, ...], section: ProfileSection
    ) -> Iterator[Fault]:
        """Points that the profile does not have, and what it says itself."""
        wanted = node.items.get("points")
        known = section.signals()
        for item in wanted.items if isinstance(wanted, ListNode) else ():
            if isinstance(item.data, str) and item.data not in known:
                hint, name = advice.instead(item.data, known), section.profile
                yield fault("profile.point", item.place(document.source), name=item.data, profile=name, advice=hint)
        for key, cause, cure in section.misuse(node.data):
            place = document.value_place(document.find((*steps, key)))
            yield own_words(place, cause, cure)


def _put_tags(node: MapNode, tags: list[Node], mark: tuple[int, int]) -> None:
    """The profile's tags, each changed by the device's own one of that name, then the device's other tags."""
    before = node.items.get("tags")
    if before is not None and not isinstance(before, ListNode):
        return
    own = list(before.items) if before is not None else []
    by_name = {item.items["tag"].data: item for item in own if isinstance(item, MapNode) and "tag" in item.items}
    joined = ListNode(mark if before is None else before.mark)
    for tag in tags:
        name = tag.data["tag"]
        changed = by_name.get(name) if isinstance(tag, MapNode) else None
        if changed is None:
            joined.add(tag)
            continue
        own = [item for item in own if item is not changed]
        _complete(changed, tag)
        joined.add(changed)
    for item in own:
        joined.add(item)
    if before is not None:
        node.drop("tags")
    node.put("tags", joined, mark)


def _complete(own: MapNode, tag: Node) -> None:
    """Keys of the profile's tag that the device's own lacks; a fixed scale takes the place of a read one."""
    for key, below in tag.items.items() if isinstance(tag, MapNode) else ():
        if key not in own.items and not (key == "scale_from" and "scale" in own.items):
            own.put(key, below, below.mark)


def _grown(data: Any, mark: tuple[int, int]) -> Node:
    """Plain data as a part of the document, all at one place."""
    if isinstance(data, Mapping):
        mapping = MapNode(mark)
        for key, value in data.items():
            mapping.put(key, _grown(value, mark), mark)
        return mapping
    if isinstance(data, list | tuple):
        items = ListNode(mark)
        for value in data:
            items.add(_grown(value, mark))
        return items
    return Node(data, mark)
