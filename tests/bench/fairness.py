"""Ten units on one line, six well, one late, three dead: what share of their readings the six get from the start.

`gateway`: a Modbus gateway of another make over one TCP connection; `serial`: units of libmodbus on a serial line.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import anyio

from connectors.modbus.config import ModbusLink
from tests.bench.record import Record
from tests.real.test_modbus_fairness import DEAD, GOOD, LATE, TIMEOUT_MS, first_of, link_to, polled
from tests.servers.serial_bus import SerialBus
from tests.servers.sources import Gateway, MbServer

SECONDS = 30.0
INTERVAL = 0.5


def bench(folder: Path) -> list[Record]:
    return [_gateway(folder), _serial(folder)]


def _gateway(folder: Path) -> Record:
    units: dict[int, int | None] = dict.fromkeys(GOOD, 10) | {LATE: TIMEOUT_MS + 100} | dict.fromkeys(DEAD, None)
    with Gateway(folder, units, gives_up_ms=TIMEOUT_MS + 200) as box:
        return _kept("modbus_fairness_gateway", link_to("uint16", host="127.0.0.1", port=box.port))


def _serial(folder: Path) -> Record:
    with ExitStack() as units, SerialBus() as bus:
        for unit in (*GOOD, LATE):
            delay = TIMEOUT_MS + 100 if unit == LATE else 2
            units.enter_context(MbServer(folder, units=[unit], delay_ms=delay, rtu=bus.join()))
        return _kept("modbus_fairness_serial", link_to("float32", port=bus.path, baud=9600))


def _kept(name: str, link: ModbusLink) -> Record:
    async def read() -> float:
        async with polled(link) as outlet:
            await anyio.sleep(SECONDS)
            rows = min(int((outlet.of(first_of(unit)).status == 0).sum()) for unit in GOOD)
        return rows / (SECONDS / INTERVAL)

    return Record(name, kept=anyio.run(read))
