"""Checkpoint: what detection knows, on disk, so that a restart goes on where the agent stopped.

`<path>.npz` holds `state` (int64 words, bit for bit), `parameters`, `context`, and `meta` (JSON as bytes: schema, tag
paths). `<path>.json` holds what is under way: deviations, outages, recent events; it is small and written whenever an
event opens or closes, so that a killed agent doesn't open its events a second time. Both are replaced as a whole (new
file, fsync, rename): a reader sees the old or the new one.

Tags are matched by path. A tag whose parameters are not the stored ones learns anew; the others go on. A file that
cannot be read is set aside as `….damaged` and detection starts fresh: opening never fails.
"""

import io
import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from analytics.kernels import layout as at
from analytics.kernels.layout import Float64, Int64
from edge_agent.detect.book import Book
from edge_agent.detect.cycle_book import CycleBook
from edge_agent.detect.deviation import Deviation, Group
from edge_agent.detect.novelty_book import NoveltyBook
from edge_agent.detect.outage import Outage
from edge_agent.errors import DetectionError, Words
from edge_agent.model import Event, EventClass, TagTable
from edge_agent.model.event import event_of as read_event
from edge_agent.replacement import replace

SCHEMA: Final = 1
UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile, zlib.error)


class Checkpoint:
    """The two files beside `path`."""

    def __init__(self, path: Path, tags: TagTable) -> None:
        self._state, self._book = path.with_suffix(".npz"), path.with_suffix(".json")
        self._tags = tags

    # -- state ---------------------------------------------------------------------------------------------------------

    def save_state(self, state: Int64, parameters: Float64, context: Float64) -> None:
        """Raises DetectionError where the disk refuses."""
        meta = json.dumps({"schema": SCHEMA, "width": at.WIDTH, "paths": self._tags.paths}).encode()
        packed = io.BytesIO()
        columns = {"state": state, "parameters": parameters, "context": context}
        np.savez_compressed(packed, allow_pickle=False, **columns, meta=np.frombuffer(meta, np.uint8))
        replace_file(self._state, packed.getvalue())

    def load_state(self, state: Int64, parameters: Float64, context: Float64) -> list[DetectionError]:
        """Fills in the rows of tags whose parameters have not changed; what could not be read is set aside."""
        if not self._state.exists():
            return []
        try:
            stored, old, memory, paths = _read_state(self._state)
        except UNREADABLE as error:
            return [set_aside(self._state, error)]
        for number, path in enumerate(paths):
            tag = self._tags.number(path)
            if tag < 0:
                continue
            context[tag] = memory[number]
            if np.array_equal(old[number], parameters[tag]):
                state[tag] = stored[number]
        return []

    # -- what is under way ---------------------------------------------------------------------------------------------

    def save_book(self, book: Book, cycles: CycleBook, novelties: NoveltyBook) -> None:
        """Raises DetectionError where the disk refuses."""
        paths = self._tags.paths
        unit = {number: paths[min(outage.members)] for number, outage in book.outages.items() if outage.members}
        document = {
            "schema": SCHEMA,
            "deviations": [
                {**asdict(known), "tag": paths[known.tag], "begun": 0.0, "ceased": 0.0}
                for known in book.deviations.values()
            ],
            "outages": [
                {"event": asdict(outage.event), "ended": outage.ended, "of": unit[number],
                 "members": [paths[tag] for tag in sorted(outage.members)]}
                for number, outage in book.outages.items() if number in unit
            ],
            "cycles": cycles.document(),
            "novelty": novelties.document(),
            "recent": {paths[tag]: past for tag, past in book.recent.items()},
            "row_time": {paths[known.tag]: int(book.row_time[known.tag]) for known in book.deviations.values()},
            "peak": {paths[known.tag]: float(book.peak[known.tag]) for known in book.deviations.values()},
        }  # fmt: skip  # one line a list
        replace_file(self._book, json.dumps(document, ensure_ascii=False).encode())

    def load_book(self, book: Book, cycles: CycleBook, novelties: NoveltyBook, now: float) -> list[DetectionError]:
        """Goes on with what was under way; events of tags that are gone are closed at the next occasion."""
        try:
            document = json.loads(self._book.read_bytes()) if self._book.exists() else None
            if document is not None and document["schema"] != SCHEMA:
                raise ValueError(f"schema {document['schema']}")
            book.restore(*self._under_way(document or {}, book), now)
            cycles.restore((document or {}).get("cycles", []), event_of)
            novelties.restore((document or {}).get("novelty", []), event_of)
        except UNREADABLE as error:
            return [set_aside(self._book, error)]
        return []

    def _under_way(self, document: dict[str, Any], book: Book) -> tuple[list[Deviation], list[Outage]]:
        number, deviations, outages = self._tags.number, [], []
        for item in document.get("deviations", ()):
            event = event_of(item["event"])
            tag = number(item["tag"])
            if tag >= 0:
                known = {**item, "tag": tag, "group": Group(item["group"]), "event": event}
                deviations.append(Deviation(**{**known, "event_class": EventClass(item["event_class"])}))
            elif event is not None:
                book.orphans.append(event)
        for item in document.get("outages", ()):
            event, members = event_of(item["event"]), {number(path) for path in item["members"]} - {-1}
            if event is not None and members:
                outages.append(Outage(book.unit_of(min(members)), members, event, item["ended"]))
            elif event is not None:
                book.orphans.append(event)
        known_tags = {number(path): path for path in document.get("row_time", ()) if number(path) >= 0}
        for tag, path in known_tags.items():
            book.row_time[tag], book.peak[tag] = document["row_time"][path], document["peak"][path]
        for path, past in document.get("recent", {}).items():
            if number(path) >= 0:
                book.recent[number(path)] = [(int(start), float(peak)) for start, peak in past]
        return deviations, outages


def event_of(item: dict[str, Any] | None) -> Event | None:
    """The event that is stored as `item`."""
    return None if item is None else read_event(item)


def _read_state(path: Path) -> tuple[Int64, Float64, Float64, list[str]]:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        state, parameters, context = file["state"], file["parameters"], file["context"]
        meta = json.loads(file["meta"].tobytes())
    tags = len(meta["paths"])
    if meta["schema"] != SCHEMA or meta["width"] != at.WIDTH:
        raise ValueError(f"schema {meta['schema']}, width {meta['width']}")
    shapes = (state.shape, parameters.shape, context.shape)
    if shapes != ((tags, at.WIDTH), (tags, at.PARAMETERS), (tags, 4)) or state.dtype != np.int64:
        raise ValueError(f"columns of shapes {shapes}")
    _check_words(state)
    return state, parameters, context, meta["paths"]


def _check_words(state: Int64) -> None:
    """The kernels index by these words without looking: nothing else may ever stand in them."""
    ranges = ((at.I_POS, at.WINDOW - 1), (at.I_FILL, at.WINDOW), (at.I_PHASE, at.READY), (at.I_SETTLE, 1))
    for column, most in ranges:
        if ((state[:, column] < 0) | (state[:, column] > most)).any():
            raise ValueError(f"impossible state in word {column}")


def replace_file(path: Path, content: bytes) -> None:
    """Raises DetectionError where the disk refuses."""
    try:
        replace(path, content)
    except OSError as error:
        raise DetectionError(
            "write checkpoint",
            str(path),
            Words(f"디스크가 거부했습니다: {error}", f"the disk refused: {error}"),
            Words("남은 공간과 쓰기 권한을 확인하십시오", "check free space and write permission"),
        ) from error


def set_aside(path: Path, error: Exception) -> DetectionError:
    """Moves a file that cannot be read out of the way, and says so."""
    aside = path.with_name(path.name + ".damaged")
    moved = True
    try:
        path.replace(aside)
    except OSError:
        moved = False
    where = str(aside) if moved else str(path)
    return DetectionError(
        "read checkpoint",
        str(path),
        Words(f"파일을 읽을 수 없습니다: {error!r}", f"the file cannot be read: {error!r}"),
        Words(
            f"학습을 새로 시작합니다. 손상된 파일: {where}",
            f"learning starts anew; the damaged file is kept: {where}",
        ),
    )
