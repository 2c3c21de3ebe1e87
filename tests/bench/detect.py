"""What detection costs: the pass alone, and the whole stage (block building, pass, events), per million values.

`detect_fused` is the commonest call, one row of each of 10,000 tags; `detect_fused_rows` is a backtest's block, 1,000
rows of each of 1,000 tags; `detect_scan` is one scan of 1,000 tags; `detect_frame` is `Detection.score` on frames of
10,000 rows as they come from links; `left_profile` is what a tag with `novelty: true` takes besides: a window of 100, a
full history of 10,000. All tags have learned, all detectors are on, the values are noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from analytics.kernels import layout as at
from analytics.kernels import left_profile, left_profile_numba
from analytics.kernels.block import Block
from edge_agent.clock import SystemClock
from edge_agent.config.agent import DetectionSection
from edge_agent.detect import Detection
from edge_agent.detect.engine import Engine, load_engine
from edge_agent.detect.parameters import parameters
from edge_agent.model import Frame, Kind, Machine, Tag, TagTable
from tests.bench.record import Record

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
LEARN = 340
"""Scans until every tag has learned (300 rows, and learn_time, by default)."""


def bench(_folder: Path | None = None) -> list[Record]:
    """One record a case, for each engine that runs here."""
    engine, _ = load_engine("numba")
    plain, _ = load_engine("numpy")
    return [
        _scans("detect_fused", engine, 10_000, 100),
        _rows("detect_fused_rows", engine, 1_000, 1_000),
        _scans("detect_scan", engine, 1_000, 300),
        _scans("detect_scan_numpy", plain, 1_000, 50),
        _frames("detect_frame", 10_000, 100),
        _left_profile("left_profile", 100, 50),
    ]


def _table(tags: int) -> TagTable:
    machines = [Machine("site", "line", f"machine{n}", "bench") for n in range(max(tags // 100, 1))]
    return TagTable(
        [Tag(f"tag{n}", machines[n % len(machines)], f"link{n % 4}", low=-100, high=100) for n in range(tags)]
    )


def _blocks(tags: int, scans: int, seed: int, rows: int = 1) -> list[Block]:
    rng, tag = np.random.default_rng(seed), np.repeat(np.arange(tags), rows)
    code = np.zeros(tags * rows, np.uint8)
    times = [np.tile(np.arange(rows), tags) + START // SECOND + (seed * LEARN + scan) * rows for scan in range(scans)]
    return [Block.of_rows(tag, t * SECOND, rng.normal(size=tags * rows), code, tags) for t in times]


def _learned(engine: Engine, tags: int) -> tuple[np.ndarray, np.ndarray]:
    state, told = at.new_state(tags), parameters(_table(tags), DetectionSection())
    for block in _blocks(tags, LEARN, 0):
        engine.score_block(block, state, told)
    if not (state[:, at.I_PHASE] == at.READY).all():
        raise AssertionError("not every tag has learned: the figure would be too good")
    return state, told


def _record(name: str, values: int, calls: list[Callable[[], object]]) -> Record:
    cpu, wall = [], []
    for call in calls:
        began, ran = time.perf_counter(), time.thread_time()
        call()
        cpu.append(time.thread_time() - ran)
        wall.append(time.perf_counter() - began)
    p50, p99 = np.percentile(wall, [50, 99]) * 1e3
    per_million = float(np.sum(cpu)) / (values * len(calls)) * 1e6
    return Record(name, values * len(calls) / float(np.sum(wall)), per_million, None, float(p50), float(p99))


def _scans(name: str, engine: Engine, tags: int, scans: int) -> Record:
    state, told = _learned(engine, tags)
    blocks = _blocks(tags, scans, 1)
    return _record(name, tags, [lambda block=block: engine.score_block(block, state, told) for block in blocks])


def _rows(name: str, engine: Engine, tags: int, rows: int) -> Record:
    state, told = _learned(engine, tags)
    blocks = _blocks(tags, 3, 2, rows)
    return _record(name, tags * rows, [lambda block=block: engine.score_block(block, state, told) for block in blocks])


def _frames(name: str, tags: int, count: int) -> Record:
    detection = Detection(_table(tags), DetectionSection(), SystemClock())
    rng, tag = np.random.default_rng(4), np.arange(tags, dtype=np.int32)

    def frame(n: int) -> Frame:
        values = rng.normal(size=tags).astype(np.float32).astype(np.float64)
        return Frame.of_floats(tag, START + n * SECOND, values, kind=Kind.FLOAT32)

    for n in range(LEARN):
        detection.score(frame(n))
    frames = [frame(LEARN + n) for n in range(count)]
    return _record(name, tags, [lambda frame=frame: detection.score(frame) for frame in frames])


def _left_profile(name: str, rows: int, calls: int) -> Record:
    rng, state = np.random.default_rng(5), left_profile.new_left_profiles(1)
    one = np.zeros(1, np.int64)

    def judge(count: int) -> None:
        left_profile_numba.distances(one, np.array([0, count]), rng.normal(size=count), state)

    judge(left_profile.ROWS)
    return _record(name, rows, [lambda: judge(rows)] * calls)


if __name__ == "__main__":
    for record in bench():
        print(record.line())
