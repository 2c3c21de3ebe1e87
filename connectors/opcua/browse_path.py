"""Browse paths as people write them: `/Objects/nsu=urn:press;Line 1/Press/Load`. Pure.

Each step is a browse name. Its namespace stands before it, `nsu=<uri>;` or `<index>:` (Part 6, 5.1.14; Part 4, A.2);
without one it is that of the step before, and `Objects` is in the server's own. A `/` in a name is written `&/`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_STEP: Final = re.compile(r"/(?:nsu=(?P<nsu>[^;]+);|(?P<ns>[0-9]{1,5}):)?(?P<name>(?:[^/&]|&.)+)", re.DOTALL)
_RESERVED: Final = re.compile(r"[/&]|^(?=nsu=|[0-9]{1,5}:)")
ROOTS: Final = {"Objects": 85, "Types": 86, "Views": 87}


@dataclass(frozen=True, slots=True)
class Step:
    """A browse name. `uri` is empty where the namespace is given by `index`."""

    uri: str
    index: int
    name: str

    def namespace_index(self, namespaces: Sequence[str]) -> int | None:
        """Where the namespace is in this server's table now; None where the server doesn't have it."""
        if not self.uri:
            return self.index
        return namespaces.index(self.uri) if self.uri in namespaces else None


@dataclass(frozen=True, slots=True)
class BrowsePath:
    """`root` is a standard folder's `i=` number; `steps` lead from there."""

    root: int
    steps: tuple[Step, ...]


def parse_path(text: str) -> BrowsePath:
    """Reads `/Objects/nsu=urn:press;Line 1/Load`; raises ValueError('opcua_path') on anything else."""
    steps: list[Step] = []
    position, uri, index = 0, "", 0
    text = text.strip()
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or int(match["ns"] or 0) > 0xFFFF:
            raise ValueError("opcua_path")
        if match["nsu"] or match["ns"]:
            uri, index = match["nsu"] or "", int(match["ns"] or 0)
        steps.append(Step(uri, index, re.sub(r"&(.)", r"\1", match["name"], flags=re.DOTALL)))
        position = match.end()
    first = steps[0] if steps else Step("", 0, "")
    if len(steps) < 2 or first.uri or first.index or first.name not in ROOTS:
        raise ValueError("opcua_path")
    return BrowsePath(ROOTS[first.name], tuple(steps[1:]))


def path_text(steps: Iterable[tuple[int, str]], namespaces: Sequence[str]) -> str:
    """The path of these browse names (namespace index and name), from `Objects` down; its namespaces by URI."""
    text, before = "", 0
    for index, name in steps:
        text += "/"
        if index != before:
            uri = namespaces[index] if 0 < index < len(namespaces) else ""
            text += f"nsu={uri};" if uri and ";" not in uri else f"{index}:"
        text += _RESERVED.sub(r"&\g<0>", name)
        before = index
    return text
