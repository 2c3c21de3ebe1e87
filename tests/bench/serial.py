"""RTU on a serial line: how near polling comes to what the wire allows (tests/servers/timed_line.py keeps the time).

The wire's limit of one reading is the request, the unit's 3.5 characters before it answers, the answer, and our 3.5
characters before the next request. `of_wire` is the time a reading took, as a multiple of that; by how much the
simulated line was late itself (it waits for a processor as we do) is taken off.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import anyio

from connectors.modbus.link import ModbusLink
from connectors.modbus.plan import Block
from connectors.modbus.point import Span
from connectors.modbus.scan import OK, Scan
from connectors.modbus.serial_line import Tempo
from connectors.modbus.session import open_link
from edge_agent.api import SystemClock
from tests.bench.record import Record

SECONDS = 6.0
BLOCKS = 8


def bench(folder: Path) -> list[Record]:
    """9,600 and 115,200 baud, with blocks of 125 and of 10 registers."""
    return [_measure(baud, registers) for baud in (9600, 115_200) for registers in (125, 10)]


def _measure(baud: int, registers: int) -> Record:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servers.timed_line", str(baud), "10"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as line:
        assert line.stdout is not None
        path = json.loads(line.stdout.readline())["path"]
        began = time.process_time()
        times = anyio.run(_read, path, baud, registers)
        cpu = time.process_time() - began
        told, _ = line.communicate(timeout=30)
    facts = json.loads(told)
    tempo = Tempo.rtu(baud, 10)
    late = [sum(facts["late"][at : at + BLOCKS]) for at in range(BLOCKS, len(facts["late"]), BLOCKS)]
    own = sorted(took - by for took, by in zip(times, late, strict=True))
    limit = BLOCKS * ((8 + 5 + 2 * registers) * tempo.character + 2 * tempo.silence)
    return Record(
        f"rtu_{baud}_{registers}",
        cpu_s_per_million=cpu / (len(times) * BLOCKS * registers) * 1e6,
        p50_ms=1e3 * median(times) / BLOCKS,
        of_wire=own[len(own) // 10] / limit,
        lost=facts["early"],
    )


async def _read(path: str, baud: int, registers: int) -> list[float]:
    """How long each scan of all blocks took (s)."""
    tags = [{"tag": "t", "address": "HR:0", "type": "int16"}]
    head = {"name": "bench", "connector": "modbus", "machine": "m", "port": path, "baud": baud}
    link = ModbusLink.model_validate(head | {"devices": [{"unit": 1, "tags": tags}]})
    size = 2 * registers
    blocks = [Block(Span(3, at * registers, (at + 1) * registers), at * size) for at in range(BLOCKS)]
    scan = Scan(1, blocks, BLOCKS * size)
    connection = await open_link(link, SystemClock())
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    before = 0.0
    while before < end:
        scan.begin()
        await connection.read(scan)
        assert set(scan.outcome) == {OK}
        now = time.perf_counter()
        if before:
            times.append(now - before)
        before = now
    await connection.close()
    return times
