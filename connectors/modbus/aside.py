"""What other registers say of a tag, as the configuration writes it: how it is scaled, whether its value is one."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from connectors.modbus.address import WHOLE, Address, AddressFault, parse_address
from connectors.modbus.fault import fault
from connectors.modbus.point import Condition, ScaleFrom, ScaleKind
from edge_agent.api import Section, Status, Words

Reason = Literal[
    "sensor_open",
    "sensor_short",
    "sensor_error",
    "over_range",
    "under_range",
    "not_ready",
    "not_available",
    "device_error",
    "out_of_service",
]
"""Why a value is none; STATUS tells how."""

STATUS: Final[dict[Reason, Status]] = {
    "sensor_open": Status.BAD_SENSOR_FAILURE,
    "sensor_short": Status.BAD_SENSOR_FAILURE,
    "sensor_error": Status.BAD_SENSOR_FAILURE,
    "over_range": Status.BAD_OUT_OF_RANGE,
    "under_range": Status.BAD_OUT_OF_RANGE,
    "not_ready": Status.BAD_WAITING_FOR_INITIAL_DATA,
    "not_available": Status.BAD_NO_DATA,
    "device_error": Status.BAD_DEVICE_FAILURE,
    "out_of_service": Status.BAD_OUT_OF_SERVICE,
}


def _address(written: Any) -> Address:
    if isinstance(written, Address):
        return written
    try:
        if isinstance(written, AddressFault):  # found by the device, which knows its own notations
            raise written
        return parse_address(written)
    except AddressFault as error:
        fault(error.code, error.cause, error.cure)


def _register(written: Any) -> Address:
    address = _address(written)
    if not address.is_register or address.bit != WHOLE:
        fault(
            "address_register",
            Words(f"{address}: 레지스터 하나의 주소가 필요합니다", f"{address}: the address of a register is needed"),
            Words("예: HR:16", "for example HR:16"),
        )
    return address


def _whole(written: Any) -> Any:
    """Raw values are mostly written in hexadecimal, which YAML leaves as text."""
    if isinstance(written, str) and written.strip().lower().startswith("0x"):
        try:
            return int(written.strip(), 16)
        except ValueError:
            return written
    return written


AnyAddress = Annotated[Address, BeforeValidator(_address)]
"""See address.py for the notations."""
RegisterAddress = Annotated[Address, BeforeValidator(_register)]
"""The address of one whole register."""
RawNumber = Annotated[int, BeforeValidator(_whole)]
"""A number as a manual writes it: decimal, or hexadecimal with 0x."""
Word = Annotated[RawNumber, Field(ge=-0x8000, le=0xFFFF)]


class ScaleFromSection(Section):
    """Another register says how the value is scaled."""

    address: RegisterAddress
    kind: ScaleKind = "decimal_point"

    @property
    def scale_from(self) -> ScaleFrom:
        """As the decoder wants it."""
        return ScaleFrom(self.address, self.kind)


class ValidFromSection(Section):
    """Another register says whether the value is one: by its bits, by its value, or by being anything but `good`."""

    address: RegisterAddress
    bits: dict[Annotated[int, Field(ge=0, le=15)], Reason] = Field(default_factory=dict)
    """Bits (0 is the lowest) that say that there is no value."""
    values: dict[Word, Reason] = Field(default_factory=dict)
    """Values that say so."""
    good: Word | None = None
    """The only value that says that there is one."""
    reason: Reason = "not_available"
    """Of any other than `good`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.bits) + bool(self.values) + (self.good is not None) != 1:
            fault(
                "valid_from",
                Words("bits, values, good 가운데 하나가 필요합니다", "one of bits, values and good is needed"),
                Words(
                    "예: {address: HR:16, bits: {0: sensor_open}}",
                    "for example {address: HR:16, bits: {0: sensor_open}}",
                ),
            )
        return self

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """As the decoder wants them."""
        at = self.address
        if self.good is not None:
            return (Condition(at, 0xFFFF, self.good & 0xFFFF, STATUS[self.reason], unless=True),)
        flags = [Condition(at, 1 << bit, 1 << bit, STATUS[reason]) for bit, reason in self.bits.items()]
        return (*flags, *(Condition(at, 0xFFFF, raw & 0xFFFF, STATUS[why]) for raw, why in self.values.items()))
