"""How a Modbus link is written in the configuration: where the devices are reached, and the devices."""

from collections.abc import Sequence
from itertools import count
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from connectors.modbus.device import ModbusDevice
from connectors.modbus.fault import some
from connectors.modbus.place import ModbusPlace
from connectors.modbus.point import Point
from connectors.modbus.profile import Profile
from connectors.modbus.tag import ModbusTag
from edge_agent.api import ProfileSection


class ModbusLink(ModbusPlace):
    """One connection to a device, to a gateway with several units behind it, or to the units on a serial line."""

    connector: Literal["modbus"]
    gateway: bool | None = None
    """Whether the units sit behind a serial gateway: one request at a time over all of them, until more were tried.

    Unless said, a link with more than one unit counts as one. Serial lines always do.
    """
    devices: Annotated[tuple[ModbusDevice, ...], Field(strict=False), AfterValidator(some)]

    @property
    def shared(self) -> bool:
        """Whether the units wait for each other: on a serial line or behind a gateway."""
        if self.one_at_a_time:
            return True
        return len({device.unit for device in self.devices}) > 1 if self.gateway is None else self.gateway

    @property
    def bound(self) -> int:
        """Most requests in flight over all units that may ever be tried."""
        return 1 if self.one_at_a_time else min(device.window for device in self.devices)

    @classmethod
    def profile_section(cls) -> type[ProfileSection]:
        return Profile

    def tag_list(self) -> Sequence[ModbusTag]:
        """Device by device, as written."""
        return [tag for device in self.devices for tag in device.tag_list(self.machine)]

    def points(self, numbers: Sequence[int]) -> list[tuple[Point, ...]]:
        """The points of each device; `numbers[i]` is the tag number of `tag_list()[i]`."""
        at = count()
        return [tuple(tag.point(numbers[next(at)], device.order) for tag in device.tags) for device in self.devices]
