"""How a Modbus link is written in the configuration: where the devices are reached, and the devices."""

from collections.abc import Sequence
from itertools import count
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from connectors.modbus.device import ModbusDevice
from connectors.modbus.fault import some
from connectors.modbus.point import Point
from connectors.modbus.tag import ModbusTag
from edge_agent.api import Duration, LinkSection


class ModbusLink(LinkSection):
    """One TCP connection to a device, or to a gateway with several units behind it."""

    connector: Literal["modbus"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    connect_timeout: Annotated[Duration, Field(ge=0.1)] = Field(default="5s")  # type: ignore[assignment]  # a number
    gateway: bool | None = None
    """Whether the units sit behind a serial gateway: one request at a time over all of them, until more were tried.

    Unless said, a link with more than one unit counts as one.
    """
    devices: Annotated[tuple[ModbusDevice, ...], Field(strict=False), AfterValidator(some)]

    @property
    def shared(self) -> bool:
        """Whether the units wait for each other: behind a gateway."""
        return len({device.unit for device in self.devices}) > 1 if self.gateway is None else self.gateway

    def tag_list(self) -> Sequence[ModbusTag]:
        """Device by device, as written."""
        return [tag for device in self.devices for tag in device.tag_list(self.machine)]

    def points(self, numbers: Sequence[int]) -> list[tuple[Point, ...]]:
        """The points of each device; `numbers[i]` is the tag number of `tag_list()[i]`."""
        at = count()
        return [tuple(tag.point(numbers[next(at)], device.order) for tag in device.tags) for device in self.devices]
