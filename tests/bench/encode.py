"""The encoder alone, one core: columns to line protocol; beside it influxdb-client's Point, the plain library loop.

1,000 tags of 50 machines, whole scans, as the sink's plan hands them over. What a value costs on the wire is printed.
"""

from __future__ import annotations

import gzip
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from influxdb_client import Point, WritePrecision

from edge_agent.api import Batch, Frame, Kind, Tag, TagTable
from edge_agent.model import Machine
from edge_agent.sinks.influxdb import encode
from edge_agent.sinks.influxdb.plan import Plan, Told, make_plan
from edge_agent.sinks.influxdb.schema import LineTable
from tests.bench.record import Record

MACHINES, SIGNALS, SCANS = 50, 20, 50
T0, PERIOD, MS = 1_700_000_000_000_000_000, 100_000_000, 1_000_000
LEAST_S = 1.0


def bench(folder: Path | None = None) -> list[Record]:
    """`encode_float64`: 3 decimals; `encode_float32`: the same values; `encode_hard`: float64 with all 17 digits.

    `encode_plan` is what the sink does before: choosing and sorting rows. `encode_python` is the lite mode.
    """
    tags = TagTable(
        [
            Tag(f"zone_{j}_temperature", Machine("siheung", f"line{i % 5}", f"furnace{i}", "furnace"), "plc")
            for i in range(MACHINES)
            for j in range(SIGNALS)
        ]
    )
    walk = np.random.default_rng(0).normal(0, 0.5, (SCANS, len(tags))).cumsum(axis=0).ravel() + 850
    decimal = np.round(walk, 3)
    table = LineTable(tags)
    library = _library_loop(tags, decimal)
    records = [
        _case("encode_float64", "numba", tags, table, decimal, Kind.FLOAT64, library),
        _case("encode_float32", "numba", tags, table, decimal.astype(np.float32), Kind.FLOAT32, library),
        _case("encode_hard", "numba", tags, table, walk, Kind.FLOAT64, library),
        _case("encode_python", "python", tags, table, decimal, Kind.FLOAT64, library),
    ]
    batch = _batch(tags, decimal, Kind.FLOAT64)
    told = _told(tags, batch, table)
    planned = _measure("encode_plan", lambda: make_plan(batch, table, told, MS), len(decimal))
    return [*records, planned]


def _case(
    name: str, engine: encode.Engine, tags: TagTable, table: LineTable, values: np.ndarray, kind: Kind, library: float
) -> Record:
    encoder = encode.Encoder(engine)
    encoder.load()
    plan = _plan(tags, table, values, kind)
    record = _measure(name, lambda: encoder.lines(plan.columns, table), len(values))
    lines, _ = encoder.lines(plan.columns, table)
    packed = encode.gzip([lines])
    assert gzip.decompress(packed) == bytes(lines)
    print(
        f"{name}: {len(lines) / len(values):.1f} bytes a value, {len(packed) / len(values):.2f} after gzip", flush=True
    )
    assert record.cpu_s_per_million is not None
    record.ratio_to_library = record.cpu_s_per_million / library
    return record


def _batch(tags: TagTable, values: np.ndarray, kind: Kind) -> Batch:
    rows = np.arange(len(values))
    return Batch(tags, Frame.of_floats(rows % len(tags), T0 + rows // len(tags) * PERIOD, values, kind=kind))


def _told(tags: TagTable, batch: Batch, table: LineTable) -> Told:
    told = Told(tags)
    make_plan(batch, table, told, MS).tell(told, np.empty(0, np.intp))
    return told


def _plan(tags: TagTable, table: LineTable, values: np.ndarray, kind: Kind) -> Plan:
    batch = _batch(tags, values, kind)
    return make_plan(batch, table, _told(tags, batch, table), MS)


def _measure(name: str, work: Callable[[], object], values: int) -> Record:
    """Repeats `work` for at least a second; the best repetition says the speed, the sum the CPU."""
    work()
    times, cpu, began = [], time.process_time(), time.perf_counter()
    while time.perf_counter() - began < LEAST_S:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    spent = time.process_time() - cpu
    return Record(
        name,
        values_per_s=values / min(times),
        cpu_s_per_million=spent / (values * len(times)) * 1e6,
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    )


def _library_loop(tags: TagTable, values: np.ndarray) -> float:
    """CPU seconds per million values of `Point.to_line_protocol`, one point a value, as its users write it."""
    some = values[:10_000].tolist()
    cpu = time.process_time()
    for row, value in enumerate(some):
        tag = tags[row % len(tags)]
        machine = tag.machine
        (
            Point(machine.machine_class)
            .tag("site", machine.site)
            .tag("line", machine.line)
            .tag("machine", machine.name)
            .field(tag.name, value)
            .time((T0 + row // len(tags) * PERIOD) // MS, WritePrecision.MS)
            .to_line_protocol()
        )
    return (time.process_time() - cpu) / len(some) * 1e6
