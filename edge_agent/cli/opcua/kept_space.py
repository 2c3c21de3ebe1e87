"""Kept space: a walked server on disk, so that another filter does not walk it again. Used within a day at most."""

import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.opcua.space import Space
from connectors.opcua.space_file import dump, parse
from edge_agent.api import Clock

_KEPT_NS: Final = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class KeptSpace:
    """The file of one server and extent. See `connectors.opcua.survey.Shelf`."""

    path: Path
    clock: Clock
    anew: bool = False
    """Walk again whatever is kept."""

    def take(self, namespaces: list[str], started: str) -> Space | None:
        """What was kept, unless the server started again since, or has other namespaces, or it is old."""
        try:
            age = self.clock.wall() - self.path.stat().st_mtime_ns
            if self.anew or not 0 <= age <= _KEPT_NS:
                return None
            return parse(self.path.read_bytes(), namespaces, started)
        except OSError:
            return None

    def put(self, space: Space, started: str) -> None:
        """Keeps it; where there is no place for it, the next call walks again."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                file.write(dump(space, started))
            Path(file.name).replace(self.path)


def kept_space(url: str, extent: str, clock: Clock, *, anew: bool) -> KeptSpace:
    """Where the space of this server and extent is kept: below $XDG_CACHE_HOME, else ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(f"{url} {extent}".encode()).hexdigest()[:24]
    return KeptSpace(Path(home) / "edge-agent" / "opcua" / f"{name}.json.zst", clock, anew)
