"""Where the servers built by ``.ci/services`` are. That script computes the same keys."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from pathlib import Path

SOURCES = Path(__file__).parent

# The file that proves that a server is built, by the name .ci/services gives the server.
ARTEFACTS = {
    "influxdb": "influxd",
    "uafast": "uafast",
    "modbus": "mbserver",
    "gateway": "Gateway.class",
    "node-opcua": "server.js",
    "sparkplug": "decode.js",
}
_OTHERS = {"node_modules", "target"}


class MissingService(RuntimeError):
    """A server the tests need is not on this machine.

    :ivar name: which one.
    :ivar how: the command that gets it.
    """

    def __init__(self, name: str, how: str) -> None:
        super().__init__(f"{name} is not here; to get it: {how}")
        self.name = name
        self.how = how


def folder() -> Path:
    """The cache folder, outside every checkout."""
    chosen = os.environ.get("EDGE_AGENT_TEST_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "edge-agent-tests"


def key(name: str) -> str:
    """A hash of the machine's kind and of every file the server is built from."""
    source = SOURCES / name.replace("-", "_")
    seen = hashlib.sha256(f"{platform.machine()}\n".encode())
    for path in sorted(f"./{p.relative_to(source).as_posix()}" for p in source.rglob("*") if p.is_file()):
        parts = path.split("/")[1:]
        if any(part.startswith(".") for part in parts) or _OTHERS & set(parts[:-1]):
            continue
        seen.update(f"{path}\n".encode() + (source / path).read_bytes())
    return seen.hexdigest()[:12]


def path_of(name: str) -> Path:
    """Where the server is when it is built from the sources of this checkout."""
    return folder() / f"{name}-{key(name)}" / ARTEFACTS[name]


def built(name: str) -> Path:
    """The built server.

    :raises MissingService: if it was not built yet, or from other sources.
    """
    path = path_of(name)
    if not path.exists():
        raise MissingService(name, f".ci/services {name}")
    return path


def program(name: str, how: str) -> Path:
    """A program of the system.

    :raises MissingService: if it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise MissingService(name, how)
    return Path(found)
