"""Directory: what people call machines, tags and alarms, and what they mean when they name one."""

from collections.abc import Iterable, Sequence
from typing import Final

from edge_agent.model import Event, Label, TagTable
from edge_agent.suppression.shelf import Shelf
from edge_agent.suppression.words import no_such_alarm, not_in_force

_SHORTEST_ID: Final = 4
"""So much of an alarm's number names it."""
_NEAR: Final = 5


class Directory:
    """Of the machines and tags of the configuration."""

    def __init__(self, tags: TagTable) -> None:
        self._tags = tags

    def name(self, path: str) -> Label:
        """What people call it; the path where the configuration no longer has it."""
        number = self._tags.number(path)
        tag = self._tags[number] if number >= 0 else next((t for t in self._tags if t.machine.path == path), None)
        if tag is None:
            return Label(path, path)
        parts = [(tag.machine.label, tag.machine.name), *([(tag.label, tag.name)] if number >= 0 else [])]
        ko, en = (" ".join(label.in_language(language, name) for label, name in parts) for language in ("ko", "en"))
        return Label(ko, en)

    def meant(self, operation: str, name: str, standing: Iterable[Event]) -> tuple[str, str]:
        """Path and detector of what a person names: a path, the end of one, or the number of an alarm that stands.

        The detector is empty but for an alarm. Raises AlarmError where nothing is called that, or more than one thing.
        """
        name = name.strip().strip("/")
        paths = (*dict.fromkeys(tag.machine.path for tag in self._tags), *self._tags.paths)
        if name in paths:
            return name, ""
        ends = [path for path in paths if _is_end(name, path)]
        told = [event for event in standing if len(name) >= _SHORTEST_ID and event.id.startswith(name)]
        if len(ends) + len(told) == 1:
            return (ends[0], "") if ends else (told[0].path, told[0].detector)
        near = ends or [path for path in paths if name.casefold() in path.casefold()]
        raise no_such_alarm(operation, name, near[:_NEAR], several=len(ends) + len(told) > 1)

    def among(self, shelves: Sequence[Shelf], operation: str, name: str, standing: Iterable[Event]) -> list[Shelf]:
        """Those of `shelves` that a person means: by their path, whether or not the configuration still has it.

        Raises AlarmError where it is none, or where several paths are called that.
        """
        paths = {shelf.path for shelf in shelves if _is_end(name.strip().strip("/"), shelf.path)}
        if len(paths) > 1:
            raise no_such_alarm(operation, name, sorted(paths)[:_NEAR], several=True)
        if paths:
            return [shelf for shelf in shelves if shelf.path in paths]
        meant = self.meant(operation, name, standing)
        found = [shelf for shelf in shelves if (shelf.path, shelf.detector) == meant]
        if not found:
            raise not_in_force(operation, name, shelves)
        return found


def _is_end(name: str, path: str) -> bool:
    return bool(name) and (path == name or path.endswith(f"/{name}"))
