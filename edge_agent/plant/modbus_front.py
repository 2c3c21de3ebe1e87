"""The furnace's instruments on one Modbus TCP address: three temperature controllers and a power meter.

As on the serial pair that it stands for, one request at a time: pymodbus's server forgets a request when the next one
arrives on the same connection before it has answered.
"""

from collections.abc import Mapping
from typing import Any, Final

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.clock import Clock
from edge_agent.model import Status
from edge_agent.plant.point import Value
from edge_agent.plant.record import Record
from edge_agent.plant.register import HOLDING, INPUT, Image, images, raw_of, registers

_WRITES: Final = (5, 6, 15, 16, 22, 23)


class ModbusFront:
    """See `edge_agent.plant.front.Front`. Each unit's registers are filled from the newest values as it is asked."""

    def __init__(self, machine: str, port: int, clock: Clock, record: Record) -> None:
        self._machine = machine
        self._port = port
        self._clock = clock
        self._record = record
        self._registers = registers()
        self._images: dict[int, Image] = {}
        self._raw: dict[str, int | float] = {}
        self._server: ModbusTcpServer | None = None

    async def open(self) -> Mapping[str, Any]:
        """Listens; at least one `show` must have come first."""
        devices = [self._device(unit, image) for unit, image in self._images.items()]
        self._server = ModbusTcpServer(devices, address=("127.0.0.1", self._port))
        await self._server.serve_forever(background=True)
        return {"port": self._port, "units": sorted(self._images)}

    async def show(self, values: Mapping[str, Value], time: int, machine_time: float) -> None:
        """Takes over all values of the furnace; those without a register are passed over."""
        self._images = images(values)
        for tag, register in self._registers.items():
            raw = raw_of(values[tag], register)
            if raw == self._raw.get(tag):
                continue
            self._raw[tag] = raw
            bad = values[tag] is None
            self._record.write(
                machine=self._machine,
                tag=tag,
                time=time,
                value=None if bad else raw if register.scale == 1.0 else raw * register.scale,
                raw=raw,
                status=int(Status.BAD_SENSOR_FAILURE) if bad else 0,
            )

    async def close(self) -> None:
        """Closes the listening socket and the connections."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus left it without types

    def _device(self, unit: int, image: Image) -> SimDevice:
        def blocks(function: int) -> list[SimData]:
            found = [
                SimData(first, values=words, datatype=DataType.REGISTERS, readonly=True)
                for (kind, first), words in image.items()
                if kind == function
            ]
            return found or [SimData(0, values=[0], datatype=DataType.REGISTERS, readonly=True)]

        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS, readonly=True)]

        async def answer(
            function: int, start: int, address: int, count: int, current: list[int], values: Any
        ) -> ExcCodes | None:
            return self._answer(unit, function, start, address, count, current)

        return SimDevice(unit, (bits, list(bits), blocks(HOLDING), blocks(INPUT)), action=answer)

    def _answer(
        self, unit: int, function: int, start: int, address: int, count: int, current: list[int]
    ) -> ExcCodes | None:
        """Fills `current` (all registers of the function, from `start`) before the server reads from it."""
        if function in _WRITES:
            return ExcCodes.ILLEGAL_FUNCTION
        for (kind, first), words in self._images[unit].items():
            if kind == function:
                current[first - start : first - start + len(words)] = words
        self._record.write(
            machine=self._machine,
            read={"unit": unit, "function": function, "address": address, "count": count},
            time=self._clock.wall(),
        )
        return None
