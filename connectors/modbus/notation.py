"""How a device's manual writes addresses, as the configuration says it, and the addresses of its tags read so."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, model_validator

from connectors.modbus.address import HEXADECIMAL, Address, AddressFault, Area, Digits, Notation, parse_address
from connectors.modbus.aside import AnyAddress
from connectors.modbus.fault import fault
from connectors.modbus.point import Span
from edge_agent.api import Section, Words

_FIRST: Final = re.compile(r"(%?[A-Za-z]{1,3}?)(\d[0-9A-Fa-f]*)")
_FUNCTIONS: Final = {"CO": 1, "DI": 2, "HR": 3, "IR": 4}


class AreaSection(Section):
    """Where an area of a PLC lies in Modbus; `D0: HR:0` is short for `D0: {at: HR:0}`."""

    at: AnyAddress
    digits: Digits | None = None
    """How its addresses count: decimal, or hex for W, B, X, Y, SW, SB, unless said (octal for X and Y of FX)."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, written: Any) -> Any:
        return {"at": written} if isinstance(written, str | int | float) else written


def _range(written: Any) -> Any:
    if isinstance(written, Span):
        return written
    try:
        first, _, last = str(written).rpartition("-") if "-" in str(written) else (str(written), "", "")
        start = parse_address(first)
        end = parse_address(f"{str(start).partition(':')[0]}:{last}") if last else start
    except AddressFault as error:
        fault(error.code, error.cause, error.cure)
    if end < start:
        fault(
            "forbidden",
            Words(f"{written}: 끝이 시작보다 앞입니다", f"{written} ends before it begins"),
            Words("예: HR:100-120", "for example HR:100-120"),
        )
    return Span(start.function, start.wire, end.wire + 1)


AddressRange = Annotated[Span, BeforeValidator(_range)]
"""Addresses of one area: `HR:100-120`, `IR:7`."""


def notation_of(data: Mapping[str, Any]) -> Notation:
    """What the keys `area`, `base` and `areas` of a device say, once they are validated."""
    area = _FUNCTIONS.get(data.get("area") or "")
    found = [made for first, section in (data.get("areas") or {}).items() if (made := _area(first, section))]
    return Notation(area, data.get("base"), tuple(found))


def _area(first: str, section: AreaSection) -> Area | None:
    match = _FIRST.fullmatch(first)
    if match is None:
        return None
    letters = match[1].upper()
    digits: Digits = section.digits or ("hex" if letters in HEXADECIMAL else "decimal")
    number = int(match[2], {"decimal": 10, "hex": 16, "octal": 8}[digits])
    return Area(letters, number, section.at, digits)


def resolved(listed: Any, data: Mapping[str, Any]) -> Any:
    """Tags as plain data with their addresses read in the device's own notation; what is wrong stays to be told."""
    notation = notation_of(data)
    if notation == Notation() or not isinstance(listed, list | tuple):
        return listed
    return [_resolved(tag, notation) if isinstance(tag, dict) else tag for tag in listed]


def _resolved(tag: dict[str, Any], notation: Notation) -> dict[str, Any]:
    out = dict(tag)
    if "address" in tag:
        out["address"] = _address(tag["address"], notation)
    for key in ("scale_from", "valid_from"):
        below = tag.get(key)
        if isinstance(below, dict) and "address" in below:
            out[key] = below | {"address": _address(below["address"], notation)}
        elif isinstance(below, str | int) and key == "scale_from":
            out[key] = {"address": _address(below, notation)}
    return out


def _address(written: Any, notation: Notation) -> Address | AddressFault:
    try:
        return written if isinstance(written, Address) else parse_address(written, notation)
    except AddressFault as error:
        return error
