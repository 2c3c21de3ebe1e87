"""How one tag of a Modbus device is written in the configuration."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from connectors.modbus.address import WHOLE
from connectors.modbus.aside import (
    STATUS,
    AnyAddress,
    RawNumber,
    Reason,
    ScaleFromSection,
    ValidFromSection,
)
from connectors.modbus.fault import fault
from connectors.modbus.point import BOOL, TEXT, WORDS, Encoding, Order, Point, Sentinel, Span, width
from edge_agent.api import TagSection, Words

_TYPE: Final = re.compile(r"text([1-9]\d{0,2})")
_MAX_TEXT: Final = 250
_TURNED: Final[dict[Order, Order]] = {"ABCD": "BADC", "CDAB": "DCBA", "BADC": "ABCD", "DCBA": "CDAB"}
"""The order with the two bytes of each word exchanged."""


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

    address: AnyAddress
    type: Annotated[str | None, BeforeValidator(_type)] = None
    """int8 … uint64, float16 … float64, bcd16 … bcd64, bool, `text8` (8 bytes). Needed for registers; bits are bool."""
    text: Annotated[int, Field(ge=1, le=_MAX_TEXT)] | None = None
    """`text: 8` is another way to write `type: text8`."""
    order: Order | None = None
    """Byte order; the device's unless given."""
    byte: Literal["low", "high"] = "low"
    """Which half of its register an int8 or uint8 is."""
    mask: RawNumber = 0
    """The bits of an integer that are the value, moved down to the lowest: 0x00F0 makes 0…15 of bits 4 to 7."""
    encoding: Encoding = "utf-8"
    """Of texts: `cp949` for Korean panels."""
    scale: Finite = 1.0
    offset: Finite = 0.0
    """The value is raw * scale + offset."""
    scale_from: ScaleFromSection | None = None
    """A register with the decimal point, exponent or factor, beside `scale`."""
    clamp: Annotated[tuple[Finite, Finite], Field(strict=False)] | None = None
    """Values below the first are told as the first, above the second as the second."""
    sentinels: dict[RawNumber, Reason] = Field(default_factory=dict)
    """Raw values, as the manual writes them (32770 and -32766 are the same int16), that are no measurement."""
    valid_from: ValidFromSection | None = None
    """A register that says whether there is a value."""

    @field_validator("scale_from", mode="before")
    @classmethod
    def _address_alone(cls, written: Any) -> Any:
        """`scale_from: HR:1` is a decimal point."""
        return written if isinstance(written, dict | ScaleFromSection | None) else {"address": written}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._check_type()
        self._check_calculation()
        self._check_mask()
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

    @property
    def spans(self) -> tuple[Span, ...]:
        """All addresses that must be read to know the value."""
        return self.point(0, "ABCD").spans

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
        if self.clamp is not None and not self.clamp[0] < self.clamp[1]:
            fault(
                "clamp_order",
                Words("clamp 의 하한이 상한보다 작아야 합니다", "the lower end of clamp must be below the upper one"),
                Words("예: clamp: [0, 100]", "for example clamp: [0, 100]"),
            )
        calculated = self.scale != 1 or self.offset != 0 or self.clamp is not None or self.scale_from is not None
        if self.kind in (BOOL, TEXT) and (calculated or self.sentinels):
            fault(
                "scale_useless",
                Words(
                    "bool 과 text 는 scale, offset, sentinels 를 쓰지 않습니다",
                    "bool and text take no scale or sentinels",
                ),
                Words("그 줄을 지우십시오", "remove those lines"),
            )
        if self.kind in WORDS and not self.kind.startswith("float"):
            for raw in self.sentinels:
                if not -(1 << (self._bits - 1)) <= raw < 1 << self._bits:
                    fault(
                        "sentinel_range",
                        Words(f"{raw}은(는) {self.kind}에 없는 값입니다", f"{raw} is no value of {self.kind}"),
                        Words("설명서의 값을 다시 확인하십시오", "look the value up in the manual again"),
                    )

    def _check_mask(self) -> None:
        if self.mask and (self.kind not in WORDS or self.kind.startswith(("float", "bcd"))):
            fault(
                "mask_useless",
                Words("mask 는 정수에만 씁니다", "only integers take a mask"),
                Words("mask 줄을 지우거나 type 을 고치십시오", "remove `mask`, or correct the type"),
            )
        if self.mask and not 0 < self.mask < 1 << self._bits:
            fault(
                "mask_range",
                Words(f"{self.mask:#x}: {self.kind}의 비트가 아닙니다", f"{self.mask:#x} are no bits of {self.kind}"),
                Words("예: mask: 0x00F0", "for example mask: 0x00F0"),
            )
        if self.byte == "high" and self.kind not in ("int8", "uint8"):
            fault(
                "byte_useless",
                Words("byte 는 int8, uint8 에만 씁니다", "only int8 and uint8 take `byte`"),
                Words("byte 줄을 지우거나 type 을 고치십시오", "remove `byte`, or correct the type"),
            )

    @property
    def _bits(self) -> int:
        return int(re.sub(r"\D", "", self.kind))

    def point(self, number: int, order: Order) -> Point:
        """The tag as the planner and the decoder want it; `order` is the device's."""
        own = self.order or order
        return Point(
            number,
            self.address,
            self.kind,
            _TURNED[own] if self.byte == "high" else own,
            self.scale,
            self.offset,
            self.size,
            self.encoding,
            tuple(Sentinel(raw, STATUS[reason]) for raw, reason in self.sentinels.items()),
            self.mask,
            self.clamp,
            self.scale_from.scale_from if self.scale_from is not None else None,
            self.valid_from.conditions if self.valid_from is not None else (),
        )
