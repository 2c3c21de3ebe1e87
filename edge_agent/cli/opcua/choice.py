"""Choice: which of a server's variables are wanted, by globs and regular expressions on their browse paths."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Choice:
    """A path is chosen where any glob or regex fits (or none is given) and no `exclude` glob does.

    A glob without `/` is for the last name (`*Temp*`); with one for the whole path, where `*` stays within a name,
    `**` does not, and one that does not begin with `/` may begin at any name. Small and capital letters are alike.
    """

    globs: Sequence[str] = ()
    regexes: Sequence[str] = ()
    exclude: Sequence[str] = field(default=())

    @cached_property
    def _wanted(self) -> list[re.Pattern[str]]:
        return [*map(glob_pattern, self.globs), *(re.compile(text, re.IGNORECASE) for text in self.regexes)]

    @cached_property
    def _unwanted(self) -> list[re.Pattern[str]]:
        return [glob_pattern(text) for text in self.exclude]

    @property
    def is_open(self) -> bool:
        """Whether it leaves out nothing."""
        return not (self._wanted or self._unwanted)

    def takes(self, path: str) -> bool:
        """Whether this browse path is wanted."""
        wanted = not self._wanted or any(one.search(path) for one in self._wanted)
        return wanted and not any(one.search(path) for one in self._unwanted)


def glob_pattern(glob: str) -> re.Pattern[str]:
    """The glob as a regular expression for `search` in a whole path."""
    head = "^" if glob.startswith("/") else "(?:^|/)"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        head + "".join(signs.get(part, re.escape(part)) for part in parts) + "$", re.IGNORECASE | re.DOTALL
    )
