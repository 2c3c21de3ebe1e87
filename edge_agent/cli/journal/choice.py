"""Choosing tags by path, by the end of a path, or by pattern; and saying what was perhaps meant."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from edge_agent.errors import JournalError, Words


def chosen(paths: Iterable[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The paths that any of `wanted` names, in their order; all where nothing is wanted. Raises JournalError."""
    known = tuple(paths)
    if not wanted:
        return known
    found: set[str] = set()
    for pattern in wanted:
        matches = {path for path in known if _matches(path, pattern)}
        if not matches:
            raise _unknown(pattern, known)
        found |= matches
    return tuple(path for path in known if path in found)


def _matches(path: str, pattern: str) -> bool:
    return path == pattern or fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}")


def _unknown(pattern: str, known: Sequence[str]) -> JournalError:
    names = {path.rsplit("/", pattern.count("/") + 1)[-1]: path for path in known}
    names = {"/".join(path.split("/")[-pattern.count("/") - 1 :]): path for path in known} | names
    near = [names[name] for name in get_close_matches(pattern, names, n=3, cutoff=0.5)]
    listed = ", ".join(dict.fromkeys(near))
    hint = Words(f"혹시 이것입니까: {listed}", f"did you mean {listed}")
    if not near:
        few = ", ".join(known[:5])
        hint = Words(f"저널에 있는 태그 {len(known)}개, 예: {few}", f"the journal has {len(known)} tags, such as {few}")
    return JournalError("export", pattern, Words("그런 태그가 저널에 없습니다", "the journal has no such tag"), hint)
