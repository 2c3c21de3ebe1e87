"""How one tag of a Modbus device is written in the configuration."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from connectors.modbus.address import WHOLE, Address, AddressFault, parse_address
from connectors.modbus.fault import fault
from connectors.modbus.point import BOOL, TEXT, WORDS, Encoding, Order, Point, Sentinel, width
from edge_agent.api import Status, TagSection, Words

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
"""What a sentinel says; STATUS tells how."""

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
_TYPE: Final = re.compile(r"text([1-9]\d{0,2})")
_MAX_TEXT: Final = 250


def _address(written: Any) -> Address:
    if isinstance(written, Address):
        return written
    try:
        return parse_address(written)
    except AddressFault as error:
        fault(error.code, error.cause, error.cure)


def _type(written: Any) -> Any:
    if isinstance(written, str) and written not in (*WORDS, BOOL) and not _is_text(written):
        fault(
            "type_unknown",
            Words(f"모르는 형식입니다: {written}", f"unknown type: {written}"),
            Words(
                f"다음 중에서 고르십시오: {', '.join(WORDS)}, bool, text1…text{_MAX_TEXT}",
                f"choose one of {', '.join(WORDS)}, bool, text1…text{_MAX_TEXT}",
            ),
        )
    return written


def _is_text(written: str) -> bool:
    text = _TYPE.fullmatch(written)
    return text is not None and int(text[1]) <= _MAX_TEXT


Finite = Annotated[float, Field(allow_inf_nan=False)]


class ModbusTag(TagSection):
    """One tag of a device. `interval` is the device's unless given, and then not shorter than that."""

    address: Annotated[Address, BeforeValidator(_address)]
    """See address.py for the notations."""
    type: Annotated[str | None, BeforeValidator(_type)] = None
    """int8 … uint64, float32, float64, bool, `text8` (8 bytes). Needed for registers; coils and bits are bool."""
    text: Annotated[int, Field(ge=1, le=_MAX_TEXT)] | None = None
    """`text: 8` is another way to write `type: text8`."""
    order: Order | None = None
    """Byte order; the device's unless given."""
    encoding: Encoding = "utf-8"
    """Of texts: `cp949` for Korean panels."""
    scale: Finite = 1.0
    offset: Finite = 0.0
    """The value is raw * scale + offset."""
    sentinels: dict[int, Reason] = Field(default_factory=dict)
    """Raw values, as the manual writes them (32770 and -32766 are the same int16), that are no measurement."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._check_type()
        self._check_calculation()
        if self.address.wire + self.addresses > 65536:
            fault(
                "address_range",
                Words(
                    f"{self.address}: 값이 주소 65535를 넘어갑니다",
                    f"{self.address}: the value ends after address 65535",
                ),
                Words("주소와 형식을 다시 확인하십시오", "check the address and the type"),
            )
        return self

    @property
    def kind(self) -> str:
        """The type without its size: a key of point.WORDS, `bool` or `text`."""
        if not self.address.is_register or self.address.bit != WHOLE:
            return BOOL
        return TEXT if self.size else str(self.type)

    @property
    def size(self) -> int:
        """Bytes of a text, else 0."""
        match = _TYPE.fullmatch(self.type or "")
        return self.text or (int(match[1]) if match else 0)

    @property
    def addresses(self) -> int:
        """How many registers or coils the value occupies."""
        return width(self.kind, self.address.bit, self.size)

    def _check_type(self) -> None:
        one_bit = not self.address.is_register or self.address.bit != WHOLE
        if one_bit and (self.text is not None or self.type not in (None, BOOL)):
            fault(
                "type_mismatch",
                Words(f"{self.address}: 한 비트이므로 bool 만 됩니다", f"{self.address} is one bit: only bool fits"),
                Words("type 줄을 지우거나 주소를 고치십시오", "remove `type`, or correct the address"),
            )
        if not one_bit and (self.type is None) == (self.text is None):
            fault(
                "type_missing",
                Words(f"{self.address}: type 이 하나 있어야 합니다", f"{self.address}: one type is needed"),
                Words("예: type: int16, type: float32, text: 8", "for example type: int16, type: float32, text: 8"),
            )
        if not one_bit and self.type == BOOL:
            fault(
                "type_mismatch",
                Words(
                    f"{self.address}: 레지스터의 몇 번째 비트인지 없습니다",
                    f"{self.address}: which bit of the register?",
                ),
                Words(f"예: {self.address}.0 (가장 낮은 비트)", f"for example {self.address}.0 (the lowest bit)"),
            )

    def _check_calculation(self) -> None:
        if self.scale == 0:
            fault(
                "scale_zero",
                Words("scale 이 0이면 값이 모두 같아집니다", "a scale of 0 makes all values equal"),
                Words("예: scale: 0.1", "for example scale: 0.1"),
            )
        if self.kind in (BOOL, TEXT) and (self.scale != 1 or self.offset != 0 or self.sentinels):
            fault(
                "scale_useless",
                Words(
                    "bool 과 text 는 scale, offset, sentinels 를 쓰지 않습니다",
                    "bool and text take no scale or sentinels",
                ),
                Words("그 줄을 지우십시오", "remove those lines"),
            )
        if self.kind in WORDS and not self.kind.startswith("float"):
            bits = int(self.kind.lstrip("uint"))
            for raw in self.sentinels:
                if not -(1 << (bits - 1)) <= raw < 1 << bits:
                    fault(
                        "sentinel_range",
                        Words(f"{raw}은(는) {self.kind}에 없는 값입니다", f"{raw} is no value of {self.kind}"),
                        Words("설명서의 값을 다시 확인하십시오", "look the value up in the manual again"),
                    )

    def point(self, number: int, order: Order) -> Point:
        """The tag as the planner and the decoder want it; `order` is the device's."""
        return Point(
            number,
            self.address,
            self.kind,
            self.order or order,
            self.scale,
            self.offset,
            self.size,
            self.encoding,
            tuple(Sentinel(raw, STATUS[reason]) for raw, reason in self.sentinels.items()),
        )
