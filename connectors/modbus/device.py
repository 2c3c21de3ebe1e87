"""How one unit on a Modbus link is written in the configuration: what it can take, and its tags."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from connectors.modbus.fault import fault, some
from connectors.modbus.notation import AddressRange, AreaSection, resolved
from connectors.modbus.plan import Limits
from connectors.modbus.point import Order, Span
from connectors.modbus.tag import ModbusTag
from edge_agent.api import Duration, LabelSection, Section, Words


def numbers_of(written: Any) -> list[int]:
    """Modules as they are written: `4` means 1 to 4, a list means those."""
    if type(written) is int:
        return list(range(1, written + 1)) if 0 < written <= 1000 else [written]
    return [number for number in written if type(number) is int] if isinstance(written, list | tuple) else []


def _counted(written: Any) -> Any:
    return tuple(numbers_of(written)) if type(written) is int else written


class Notations(Section):
    """How a unit's manual writes addresses, and what the unit cannot take. Keys of a device and of a profile."""

    area: Literal["CO", "DI", "HR", "IR"] | None = None
    """The area of addresses that name none: hexadecimal ones, and with `base` all bare numbers."""
    base: Literal[0, 1] | None = None
    """From where bare numbers count: 0 for wire addresses, 1 for register numbers. Then 40001 is just a number."""
    areas: dict[str, AreaSection] = Field(default_factory=dict)
    """Where a PLC's areas lie: `D0: HR:0` says that D0 is holding register 0, so D100 is HR:100."""
    pause: Annotated[Duration, Field(ge=0, le=10)] = Field(default="0s")  # type: ignore[assignment]  # made a number
    """Quiet that the unit needs between an answer and the next question."""
    singles: bool = False
    """Each tag is read alone."""
    forbidden: Annotated[tuple[AddressRange, ...], Field(strict=False)] = ()
    """Addresses that no request may touch: `HR:100-120`."""

    @field_validator("tags", "points", mode="before", check_fields=False)
    @classmethod
    def _resolve(cls, listed: Any, info: ValidationInfo) -> Any:
        return resolved(listed, info.data)

    @field_validator("modules", mode="before", check_fields=False)
    @classmethod
    def _resolve_modules(cls, written: Any, info: ValidationInfo) -> Any:
        if not isinstance(written, dict) or "points" not in written:
            return written
        return written | {"points": resolved(written["points"], info.data)}


class ModbusDevice(Notations):
    """One unit on the link. The same unit may come twice, with tags at different intervals."""

    profile: str = ""
    """The instrument that it is; the configuration's loader puts what its profile says into the keys below."""
    prefix: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]*)?$")] = ""
    """Before the names of the profile's tags."""
    modules: Annotated[tuple[int, ...], Field(strict=False), BeforeValidator(_counted)] = ()
    """How many modules of the profile, or which."""
    points: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The points of the profile that are read; all but the optional ones unless said."""
    label: LabelSection = LabelSection()
    """Before the labels of the profile's tags."""

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
        self._check_profile()
        for tag in self.tags:
            self._check_width(tag)
            self._check_interval(tag)
            self._check_forbidden(tag)
        return self

    def _check_profile(self) -> None:
        useless = [key for key in ("prefix", "modules", "points", "label") if key in self.model_fields_set]
        if useless and not self.profile:
            fault(
                f"profile_{useless[0]}_alone",
                Words(f"{useless[0]} 는 profile 과 함께 씁니다", f"`{useless[0]}` goes with `profile` only"),
                Words(f"profile: 을 쓰거나 {useless[0]} 줄을 지우십시오", f"name a profile, or remove `{useless[0]}`"),
            )

    def _check_forbidden(self, tag: ModbusTag) -> None:
        for span in tag.spans:
            found = next((no for no in self.forbidden if no.overlaps(span)), None)
            if found is not None:
                fault(
                    "address_forbidden",
                    Words(f"{tag.tag}: 읽으면 안 되는 주소입니다", f"{tag.tag} lies where no request may read"),
                    Words("forbidden 을 확인하십시오", "look at `forbidden`"),
                )

    @property
    def refused(self) -> frozenset[Span]:
        """What no request may cover."""
        return frozenset(Span(no.function, at, at + 1) for no in self.forbidden for at in range(no.start, no.end))

    @property
    def limits(self) -> Limits:
        """What one request may span."""
        return Limits(self.max_registers, self.max_bits, self.max_gap, self.singles, self.refused)

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
