"""Modbus TCP's rig: pymodbus's server (`python -m tests.conformance.rig_modbus PORT`), set by pymodbus's client."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.modbus.config import ModbusLink
from edge_agent.api import Kind, LinkSection
from tests.conformance.rig import BAD_TAG, ProcessRig, Value

UNIT: Final = 7
REGISTERS: Final = 200
DATA = AsyncModbusTcpClient.DATATYPE
TAGS: Final[dict[str, tuple[Kind, str, int, str]]] = {
    "number": (Kind.FLOAT64, "HR:0", 0, "float64"),
    "f32": (Kind.FLOAT32, "40011", 10, "float32"),
    "i64": (Kind.INT64, "4x0021", 20, "int64"),
    "u64": (Kind.UINT64, "HR:30", 30, "uint64"),
    "flag": (Kind.BOOL, "CO:5", 5, "bool"),
    "text": (Kind.TEXT, "HR:40", 40, "text24"),
    "f64": (Kind.FLOAT64, "HR:60", 60, "float64"),
}


class ModbusRig(ProcessRig):
    """All tags in one unit; the timeouts are short, so that a frozen server is noticed within the deadline."""

    name = "modbus"
    kinds: Mapping[str, Kind] = {tag: kind for tag, (kind, *_) in TAGS.items()}
    deadline = 5.0

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", "tests.conformance.rig_modbus", str(self.port)]

    def link(self, tags: Sequence[str] | None = None, *, bad_tag: bool = False) -> LinkSection:
        sections = [self._tag(tag) for tag in (TAGS if tags is None else tags)]
        if bad_tag:
            sections.append({"tag": BAD_TAG, "address": f"HR:{REGISTERS + 5}", "type": "int16"})
        device = {"unit": UNIT, "interval": "50ms", "timeout": "1s", "tags": sections}
        section = {"name": "rig", "connector": "modbus", "machine": "press", "host": "127.0.0.1", "port": self.port}
        return ModbusLink.model_validate(section | {"devices": [device]})

    @staticmethod
    def _tag(tag: str) -> dict[str, object]:
        _, address, _, kind = TAGS[tag]
        return {"tag": tag, "address": address, "type": kind}

    async def publish(self, values: Mapping[str, Value]) -> None:
        async with AsyncModbusTcpClient("127.0.0.1", port=self.port, timeout=5) as client:
            for tag, value in values.items():
                await self._set(client, tag, value)

    async def _set(self, client: AsyncModbusTcpClient, tag: str, value: Value) -> None:
        _, _, wire, kind = TAGS[tag]
        if isinstance(value, bool):
            answer = await client.write_coil(wire, value, device_id=UNIT)
        else:
            answer = await client.write_registers(wire, registers_of(kind, value), device_id=UNIT)
        assert not answer.isError(), answer


def registers_of(kind: str, value: Value) -> list[int]:
    """What pymodbus makes of a value; texts are filled up with NUL."""
    if isinstance(value, str):
        raw = value.encode().ljust(24, b"\0")
        return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, 24, 2)]
    return AsyncModbusTcpClient.convert_to_registers(value, DATA[kind.upper()])


async def serve(port: int) -> None:
    """Runs the server until SIGTERM; registers and coils from 0 to REGISTERS - 1 exist."""
    registers = SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)
    bits = SimData(0, count=REGISTERS, values=False, datatype=DataType.BITS)
    device = SimDevice(UNIT, simdata=([bits], [bits], [registers], [registers]))
    server = ModbusTcpServer(device, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps({"event": "ready", "port": port}), flush=True)
    await stop.wait()
    await server.shutdown()
    print(json.dumps({"event": "stopped"}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
