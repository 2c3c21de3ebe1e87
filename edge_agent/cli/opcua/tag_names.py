"""Tag names for browse names: as short as they can be and still differ, with the folders above where they must."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from edge_agent.cli.modbus.signal_name import signal_name

_LONGEST: Final = 63


def tag_names(lines: Sequence[Sequence[str]]) -> list[str]:
    """A name for each variable; `lines[i]` are the browse names from the root down to it. No two are the same.

    `Temperature` below `Zone1` and below `Zone2` are `zone1_temperature` and `zone2_temperature`.
    """
    depths = [1] * len(lines)
    names = [_name(line, 1) for line in lines]
    for _ in range(max(map(len, lines), default=0)):
        counts = Counter(names)
        longer = [at for at, name in enumerate(names) if counts[name] > 1 and depths[at] < len(lines[at]) - 1]
        if not longer:
            break
        for at in longer:
            depths[at] += 1
            names[at] = _name(lines[at], depths[at])
    return _numbered(names)


def _name(line: Sequence[str], depth: int) -> str:
    return signal_name(" ".join(line[-depth:])) or "tag"


def _numbered(names: Sequence[str]) -> list[str]:
    """The same names, with _2, _3 … where one comes again."""
    taken, last, found = set(names), Counter[str](), []
    seen: set[str] = set()
    for name in names:
        if name in seen:
            base = name[: _LONGEST - 7]
            number = last[base] + 2
            while (other := f"{base}_{number}") in taken:
                number += 1
            last[base] = number - 1
            taken.add(other)
            name = other
        seen.add(name)
        found.append(name)
    return found
