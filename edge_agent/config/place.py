"""A spot in a configuration file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a file; `line` and `column` count from 1, 0 where the whole file is meant."""

    file: str
    line: int
    column: int
    excerpt: str = ""
    """The line as it stands, secrets masked; empty where there is none."""
