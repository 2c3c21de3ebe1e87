"""How one unit on a Modbus link is written in the configuration: what it can take, and its tags."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.modbus.fault import fault, some
from connectors.modbus.point import Order
from connectors.modbus.tag import ModbusTag
from edge_agent.api import Duration, Section, Words


class ModbusDevice(Section):
    """One unit on the link. The same unit may come twice, with tags at different intervals."""

    unit: Annotated[int, Field(ge=0, le=255)] = 1
    machine: str = ""
    """Machine of all tags of this device that name none themselves."""
    interval: Annotated[Duration, Field(ge=0.001)] = Field(default="1s")  # type: ignore[assignment]  # made a number
    """How often all tags are read."""
    timeout: Annotated[Duration, Field(ge=0.01)] = Field(default="1s")  # type: ignore[assignment]  # made a number
    """How long one request may take."""
    window: Annotated[int, Field(ge=1, le=64)] = 4
    """Most requests in flight. It begins with one; more are tried, and kept where the device answers them all."""
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125
    max_bits: Annotated[int, Field(ge=1, le=2000)] = 2000
    """Most registers, or coils, in one request: the manual's figure."""
    max_gap: Annotated[int, Field(ge=0, le=124)] = 124
    """Two tags are read in one request over at most this many unused registers; fewer where that costs too much."""
    order: Order = "ABCD"
    tags: Annotated[tuple[ModbusTag, ...], Field(strict=False), AfterValidator(some)]

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for tag in self.tags:
            self._check_width(tag)
            self._check_interval(tag)
        return self

    def _check_width(self, tag: ModbusTag) -> None:
        need, most = tag.addresses, self.max_registers
        if tag.address.is_register and need > most:
            fault(
                "type_too_wide",
                Words(
                    f"{tag.tag}: 레지스터 {need}개가 필요하지만 max_registers 는 {most}입니다",
                    f"{tag.tag} needs {need} registers, but max_registers is {most}",
                ),
                Words("max_registers 를 늘리거나 형식을 줄이십시오", "raise max_registers or choose a smaller type"),
            )

    def _check_interval(self, tag: ModbusTag) -> None:
        if "interval" in tag.model_fields_set and tag.interval < self.interval:
            fault(
                "interval_too_short",
                Words(
                    f"{tag.tag}: 장치의 주기({self.interval:g}초)보다 짧은 주기입니다",
                    f"{tag.tag}: its interval is shorter than the device's ({self.interval:g} s)",
                ),
                Words("장치의 interval 을 줄이십시오", "shorten the device's interval instead"),
            )

    def tag_list(self, machine: str) -> Iterator[ModbusTag]:
        """The tags with `machine` (the link's) and the interval filled in where they name none."""
        for tag in self.tags:
            interval = tag.interval if "interval" in tag.model_fields_set else self.interval
            yield tag.model_copy(
                update={"machine": tag.machine or self.machine or machine, "interval": interval},
            )
