"""Matching: which tag of the configuration a name in the data means."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.backtest.csv_table import plain
from edge_agent.errors import SourceError, Words
from edge_agent.model import TagTable


@dataclass(slots=True)
class Matching:
    """`numbers`: place of a name -> tag number. What is left on either side is said."""

    numbers: dict[int, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    """Names in the data that no tag has, or that more than one has."""
    missing: list[str] = field(default_factory=list)
    """Paths of tags that the data do not have."""


def match(names: Sequence[str], tags: TagTable, source: str) -> Matching:
    """By path, by the end of a path, or by label. Raises SourceError where nothing fits, or two names mean one tag."""
    known = _known(tags)
    out = Matching()
    taken: dict[int, str] = {}
    for place, name in enumerate(names):
        numbers = known.get(name.strip()) or known.get(plain(name)) or set()
        if len(numbers) != 1:
            out.unknown.append(name)
            continue
        number = next(iter(numbers))
        if number in taken:
            raise _twice(source, taken[number], name, tags.paths[number])
        taken[number] = name
        out.numbers[place] = number
    out.missing = [path for number, path in enumerate(tags.paths) if number not in taken]
    if not out.numbers:
        raise _nothing(source, names, tags)
    return out


def _known(tags: TagTable) -> dict[str, set[int]]:
    known: dict[str, set[int]] = defaultdict(set)
    for number, tag in enumerate(tags):
        parts = tag.path.split("/")
        machine = {tag.machine.name, tag.machine.label.ko, tag.machine.label.en}
        labels = {each for each in (tag.label.ko, tag.label.en) if each}
        names = {"/".join(parts[at:]) for at in range(len(parts))} | labels
        names |= {f"{of} {label}" for of in machine if of for label in (*labels, tag.name)}
        names |= {f"{of}.{tag.name}" for of in machine if of}
        for name in names:
            known[name].add(number)
            known[plain(name)].add(number)
    return known


def _twice(source: str, one: str, other: str, path: str) -> SourceError:
    return SourceError(
        "match",
        source,
        Words(
            f"열 {one!r}와 {other!r}가 같은 태그 {path}를 뜻합니다",
            f"the columns {one!r} and {other!r} mean one tag, {path}",
        ),
        Words("한 열의 이름을 바꾸거나 지우십시오", "rename or remove one of the columns"),
    )


def _nothing(source: str, names: Sequence[str], tags: TagTable) -> SourceError:
    some, ours = ", ".join(names[:5]), ", ".join(tags.paths[:5])
    return SourceError(
        "match",
        source,
        Words(
            f"설정의 태그와 맞는 이름이 없습니다. 자료: {some}; 설정: {ours}",
            f"no name fits a tag of the configuration; data: {some}; configuration: {ours}",
        ),
        Words(
            "열 이름을 태그 이름, 경로(현장/라인/설비/태그) 또는 label과 같게 하거나, 설정 없이 자료만 지정하십시오",
            "name columns like tags, paths (site/line/machine/tag) or labels, or give the data without a configuration",
        ),
    )
