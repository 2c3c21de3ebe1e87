"""What is known of machines' cycles, on disk: one file beside the checkpoint, `<path>.cycles.npz`, replaced as a whole.

`state` holds the rows of all courses one after the other (bit for bit), `meta` (JSON as bytes) whose they are: of each
machine its path, cycle tag, figures and kind of cycles, and of each course its key and pace. A machine
whose figures are not the stored ones (a tag was added) learns anew, and that is said. The cycle that was under way at
the end is not kept: after a start the first whole one is compared.
"""

import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from analytics.cycles.course import WIDTH, Course
from analytics.kernels.layout import Float64
from edge_agent.detect.checkpoint import UNREADABLE, replace_file, set_aside
from edge_agent.detect.cycle import Cycles, CyclingMachine, Pace
from edge_agent.detect.cycle_kind import CycleKind
from edge_agent.errors import DetectionError, Words
from edge_agent.model import TagTable

SCHEMA: Final = 1


class CycleCheckpoint:
    """The file beside `path`."""

    def __init__(self, path: Path, tags: TagTable, cycles: Cycles) -> None:
        self._file, self._tags, self._cycles = path.with_suffix(".cycles.npz"), tags, cycles

    def save(self) -> None:
        """Raises DetectionError where the disk refuses."""
        if not self._cycles.machines:
            return
        states = [course.state for machine in self._cycles.machines for course in machine.courses.values()]
        state = np.concatenate([np.zeros((0, WIDTH)), *states])
        machines = [self._meta(number, machine) for number, machine in enumerate(self._cycles.machines)]
        meta = json.dumps({"schema": SCHEMA, "width": WIDTH, "machines": machines}).encode()
        packed = io.BytesIO()
        np.savez_compressed(packed, allow_pickle=False, state=state, meta=np.frombuffer(meta, np.uint8))
        replace_file(self._file, packed.getvalue())

    def _meta(self, number: int, machine: CyclingMachine) -> dict[str, Any]:
        courses = [
            [list(key), pace.usual, pace.seen] for key, pace in ((key, machine.pace(key)) for key in machine.courses)
        ]
        return {"path": machine.path, "figures": self._names(number), "kind": machine.kind.document(),
                "courses": courses}  # fmt: skip  # one line a list

    def _names(self, number: int) -> list[str]:
        """What a stored course is checked against: the cycle tag, then what each figure is of."""
        machine = self._cycles.machines[number]
        names = [f"{self._tags[tag].name} {shape}" if tag >= 0 else shape for tag, shape in self._cycles.names(number)]
        return [self._tags[machine.cycle].name, *names]

    def load(self) -> list[DetectionError]:
        """Fills in what is stored of the machines; says what could not be used."""
        if not self._cycles.machines or not self._file.exists():
            return []
        try:
            return self._fill(*_read(self._file))
        except UNREADABLE as error:
            for machine in self._cycles.machines:
                machine.courses.clear()
                machine.paces.clear()
            return [set_aside(self._file, error)]

    def _fill(self, state: Float64, machines: list[dict[str, Any]]) -> list[DetectionError]:
        number = {machine.path: at for at, machine in enumerate(self._cycles.machines)}
        notices: list[DetectionError] = []
        at = 0
        for item in machines:
            rows = len(item["figures"]) - 1
            stored = state[at : at + rows * len(item["courses"])].reshape(len(item["courses"]), rows, WIDTH)
            at += rows * len(item["courses"])
            known = number.get(item["path"])
            if known is None:
                continue
            if self._names(known) != item["figures"]:
                notices.append(_anew(item["path"]))
                continue
            machine = self._cycles.machines[known]
            machine.kind = CycleKind.of(machine.kind.states, item["kind"])
            for (key, usual, seen), rows_of in zip(item["courses"], stored, strict=True):
                machine.courses[tuple(map(float, key))] = Course(rows_of.copy(), machine.floor)
                machine.paces[tuple(map(float, key))] = Pace(float(usual), float(seen))
        return notices


def _read(path: Path) -> tuple[Float64, list[dict[str, Any]]]:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        state, meta = file["state"], json.loads(file["meta"].tobytes())
    if meta["schema"] != SCHEMA or meta["width"] != WIDTH:
        raise ValueError(f"schema {meta['schema']}, width {meta['width']}")
    expected = sum((len(item["figures"]) - 1) * len(item["courses"]) for item in meta["machines"])
    if state.shape != (expected, WIDTH) or state.dtype != np.float64 or not np.isfinite(state).all():
        raise ValueError(f"courses of shape {state.shape}")
    return state, meta["machines"]


def _anew(path: str) -> DetectionError:
    return DetectionError(
        "read checkpoint",
        path,
        Words("설비의 태그 구성이 바뀌었습니다", "the machine has other tags than before"),
        Words("이 설비의 사이클은 새로 학습합니다", "the cycles of this machine are learned anew"),
    )
