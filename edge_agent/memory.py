"""What connectors learned of their devices, kept over reconnections and restarts: one small file a link.

`<state>/learned/<link>.json` is UTF-8 JSON: `schema` (1), `crc` (CRC-32 of the canonical JSON of `parts`), `parts`
(name -> `identity`, `learned`). It is replaced as a whole (new file, fsync, rename), so a reader sees the old or the
new one. Whatever is in it only saves time: a file that is torn, flipped, of another schema or not writable is said
once in the log, and the link learns anew.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import anyio
import anyio.to_thread
import numpy as np
import structlog

from edge_agent.model.frame import Int64
from edge_agent.replacement import replace

_log = structlog.get_logger("memory")
SCHEMA: Final = 1
WRITE_EVERY_S: Final = 30.0
SOON_S: Final = 1.0
"""From what is pressing to the disk: what comes meanwhile goes with it."""


class Newest(Protocol):
    """Reads the journal; see `api.Memory.newest`."""

    def __call__(self, numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        """See there."""
        ...


class LinkMemory:
    """One link's. See `api.Memory` for its verbs; but for `newest` they touch the disk only at the first use."""

    def __init__(
        self, path: Path, run: str = "", newest: Newest | None = None, press: Callable[[], None] | None = None
    ) -> None:
        """`press` is called when what was kept is to be on disk soon; the others are as in `api.Memory`."""
        self.run, self._newest, self._press = run or uuid4().hex, newest, press
        self._path = path
        self._parts: dict[str, dict[str, Any]] | None = None
        self._used: set[str] = set()
        self._changed = False
        self._refused = False

    def recall(self, part: str, identity: str) -> Mapping[str, Any]:
        """See `api.Memory`."""
        self._used.add(part)
        kept = self._all().get(part)
        return kept["learned"] if kept is not None and kept["identity"] == identity else {}

    def keep(self, part: str, identity: str, learned: Mapping[str, Any], *, soon: bool = False) -> None:
        """See `api.Memory`."""
        fresh = {"identity": identity, "learned": dict(learned)}
        self._used.add(part)
        if self._all().get(part) != fresh:
            self._all()[part] = fresh
            self._changed = True
            if soon and self._press is not None:
                self._press()

    def forget(self, part: str, reason: str) -> None:
        """See `api.Memory`."""
        if self._all().pop(part, None) is not None:
            self._changed = True
            _log.warning("memory_ignored", path=str(self._path), part=part, reason=reason)

    def newest(self, numbers: Sequence[int], since: int, *, past: bool) -> tuple[Int64, Int64]:
        """See `api.Memory`; without a journal there is nothing."""
        if self._newest is None:
            return np.zeros(len(numbers), np.int64), np.zeros(len(numbers), np.int64)
        return self._newest(numbers, since, past=past)

    def take(self) -> bytes | None:
        """The file as it should be, where it is not; without the parts that nobody asked for in this run."""
        if not self._changed or self._parts is None:
            return None
        self._changed = False
        parts = {name: part for name, part in self._parts.items() if name in self._used}
        return json.dumps({"schema": SCHEMA, "crc": _crc(parts), "parts": parts}, ensure_ascii=False).encode()

    def write(self, data: bytes) -> None:
        """Replaces the file. Never fails: a disk that refuses is said once. Blocks; made for a worker thread."""
        try:
            replace(self._path, data)
        except OSError as error:
            if not self._refused:
                _log.warning("memory_not_written", path=str(self._path), reason=str(error))
            self._refused = True
        else:
            self._refused = False

    def _all(self) -> dict[str, dict[str, Any]]:
        if self._parts is None:
            try:
                self._parts = _read(self._path)
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                _log.warning("memory_ignored", path=str(self._path), reason=f"{type(error).__name__}: {error}")
                self._parts = {}
        return self._parts


class Memories:
    """The memories of all links, written together."""

    def __init__(self, folder: Path, newest: Newest | None = None) -> None:
        """`newest` reads the journal, where there is one: see `api.Memory`."""
        self._folder, self._run, self._newest = folder, uuid4().hex, newest
        self._links: dict[str, LinkMemory] = {}
        self._pressed = anyio.Event()

    def of(self, link: str) -> LinkMemory:
        """The memory of the link with this name."""
        return self._links.setdefault(
            link, LinkMemory(self._folder / f"{link}.json", self._run, self._newest, self._press)
        )

    def _press(self) -> None:
        self._pressed.set()

    async def run(self) -> None:
        """Writes what has changed now and then; never returns of itself."""
        while True:
            with anyio.move_on_after(WRITE_EVERY_S):
                await self._pressed.wait()
            await anyio.sleep(SOON_S)
            self._pressed = anyio.Event()
            await self.write()

    async def write(self) -> None:
        """Writes what has changed."""
        for memory in list(self._links.values()):
            if (data := memory.take()) is not None:
                await anyio.to_thread.run_sync(memory.write, data)


def _crc(parts: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode())


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Raises whatever a broken file makes json and Python raise; an absent one is empty."""
    if not path.exists():
        return {}
    document = json.loads(path.read_bytes())
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']}")
    parts: dict[str, dict[str, Any]] = document["parts"]
    if document["crc"] != _crc(parts):
        raise ValueError("crc")
    return parts
