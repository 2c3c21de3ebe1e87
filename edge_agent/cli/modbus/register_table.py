"""Register table: the rows of a vendor's sheet -> tags, and a fault for every row that is not understood."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError

from connectors.modbus.address import WHOLE, Address
from connectors.modbus.config import ModbusTag
from connectors.modbus.point import BOOL
from edge_agent.cli.modbus.address_cell import address_of, area_of, bit_of, reference_of
from edge_agent.cli.modbus.cell import (
    CellFault,
    Reading,
    decimals_of,
    is_places,
    number_of,
    order_of,
    plain,
    scale_of,
    unit_of,
)
from edge_agent.cli.modbus.heading import Heading
from edge_agent.cli.modbus.sheet import Row, Sheet
from edge_agent.cli.modbus.signal_name import free_name, is_signal, signal_name
from edge_agent.cli.modbus.type_cell import type_of
from edge_agent.config.table import ROLES
from edge_agent.errors import Fault, Words

Tag = dict[str, Any]
"""A tag as the configuration writes it: `tag`, `address` and what differs from the default; `note` for people."""

_COUNTED: Final = re.compile(r"k?(?:wh|varh|vah)", re.IGNORECASE)
_ALARM: Final = re.compile(r"alarm|fault|trip|error|경보|알람|고장|이상|에러", re.IGNORECASE)
_WRITES: Final = re.compile(r"w|wo|writeonly|write|쓰기|쓰기전용|쓰기만")


@dataclass(slots=True)
class Import:
    """What became of a sheet."""

    sheet: Sheet
    heading: Heading
    address: int
    """Column of the address."""
    tags: list[Tag] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    named: int = 0
    """Tags whose name was made from a description or an address."""
    enlarged: int = 0
    """Tags with a scale above 1: in some manuals that means the reverse."""
    sections: list[tuple[int, int]] = field(default_factory=list)
    """(line, function code) of titles that name the area of the rows below them."""


def import_sheet(sheet: Sheet, heading: Heading, reading: Reading) -> Import:
    """Reads all rows below the headings; of several columns with addresses the one that is understood best."""
    done = [_Reader(sheet, heading, column, reading).read() for column in heading.addresses]
    return max(done, key=lambda one: len(one.tags))


class _Reader:
    """One pass over the rows with one column as the address."""

    def __init__(self, sheet: Sheet, heading: Heading, address: int, reading: Reading) -> None:
        self.out = Import(sheet, heading, address)
        self.reading = reading
        self.hexadecimal = address in heading.hexadecimal
        self.area = 0
        self.names: set[str] = set()
        self.places: dict[tuple[Any, ...], int] = {}
        self.lines: dict[str, str] = {}
        """Address of each line by the names that it has."""
        self.pointed: list[tuple[Row, Tag, Address, str]] = []
        """Tags whose decimal point another register holds, with the words that say which."""

    def read(self) -> Import:
        sheet, heading = self.out.sheet, self.out.heading
        for row in sheet.rows[sheet.rows.index(heading.row) + 1 :]:
            if row.cells == heading.row.cells or self._is_title(row):
                continue
            try:
                self._take(row)
            except CellFault as fault:
                self.out.faults.append(self._fault(row, fault))
        for row, tag, address, text in self.pointed:
            try:
                tag["scale_from"] = self._pointed_at(tag, address, text)
                _check(tag)
            except CellFault as fault:
                self.out.tags.remove(tag)
                self.out.faults.append(self._fault(row, fault))
        self.out.faults.sort(key=lambda one: one.line)
        return self.out

    def _cell(self, row: Row, name: str) -> str:
        column = self.out.heading.columns.get(name)
        return "" if column is None else row[column]

    def _is_title(self, row: Row) -> bool:
        """`■ Input Register (FC04)` alone on its line: the area of what follows."""
        filled = set(row.filled)
        if len(filled) > 1 or row[self.out.address].isdigit():
            return False
        area = area_of(next(iter(filled)))
        if area:
            self.area = area
            self.out.sections.append((row.line, area))
        return bool(area)

    def _take(self, row: Row) -> None:
        address, count = self._address(row)
        tag = self._tag(row, address, count)
        _check(tag)
        self._once(row, tag)
        self._name(row, tag, address)
        self.out.tags.append(tag)
        for text in (self._cell(row, name) for name in ("tag", "label", "label.ko", "label.en")):
            self.lines.setdefault(plain(text), tag["address"])
        if (text := self._reference(row)) and tag.get("type", "text")[:4] != "text":
            self.pointed.append((row, tag, address, text))

    def _reference(self, row: Row) -> str:
        """What the row says of the register that holds its decimal point; empty where it says nothing."""
        places, own = self._cell(row, "decimals"), self._cell(row, "scale_from")
        return own.strip(" -") or ("" if is_places(places) else places)

    def _pointed_at(self, tag: Tag, address: Address, text: str) -> str:
        """The register with the decimal point: its line's name, or its address. Raises CellFault."""
        if tag.get("scale", 1) != 1:
            raise _scaled_twice(tag["scale"], text)
        if named := self.lines.get(plain(text)):
            return named
        if not any(sign.isdigit() for sign in text):
            decimals_of(text)
        return str(reference_of(text, address.function, self.reading))

    def _address(self, row: Row) -> tuple[Address, int]:
        """The address, and the registers that it spans where the row says so, else 0."""
        text = row[self.out.address]
        if not text:
            raise _no_address()
        area = self._area(row)
        if area == 0 or _WRITES.fullmatch(plain(self._cell(row, "access"))):
            raise _written()
        address, count = address_of(text, area or 0, self.reading, hexadecimal=self.hexadecimal)
        bit = bit_of(self._cell(row, "bit"))
        if bit != WHOLE and address.is_register:
            address = replace(address, bit=bit)
        return address, count or int(number_of(self._cell(row, "count"), "count") or 0)

    def _area(self, row: Row) -> int | None:
        """The row's own function code; an empty cell means that of the row above, as in joined cells."""
        text = self._cell(row, "function")
        if not text:
            return self.area or None
        area = area_of(text)
        if area is None:
            raise _unknown_area(text)
        self.area = area or self.area
        return area

    def _tag(self, row: Row, address: Address, count: int) -> Tag:
        tag: Tag = {"tag": "", "address": str(address)}
        written = self._cell(row, "type")
        if not address.is_register or address.bit != WHOLE:
            tag["role"] = "alarm" if _ALARM.search(" ".join(row.cells)) else "state"
        else:
            tag["type"] = type_of(written, count, self.reading)
            tag |= self._numbers(row, written) if not tag["type"].startswith("text") else {}
        tag |= self._words(row)
        if _COUNTED.fullmatch(tag.get("unit", "")):
            tag.setdefault("role", "counter")
        return tag

    def _numbers(self, row: Row, written: str) -> Tag:
        scale = scale_of(self._cell(row, "scale")) * _places(self._cell(row, "decimals"))
        self.out.enlarged += scale > 1
        low, high = (number_of(self._cell(row, name), name) for name in ("low", "high"))
        order = order_of(self._cell(row, "order")) or order_of(written)
        found: Tag = {
            "order": order if order != "ABCD" else "",
            "scale": scale if scale != 1 else None,
            "offset": number_of(self._cell(row, "offset"), "offset") or None,
            "range": [low, high] if low is not None and high is not None and low < high else None,
        }
        return {key: value for key, value in found.items() if value not in (None, "")}

    def _words(self, row: Row) -> Tag:
        found: Tag = {"unit": unit_of(self._cell(row, "unit")), "machine": self._cell(row, "machine")}
        role = self._cell(row, "role")
        found["role"] = ROLES.get(role, role if role in ROLES.values() else "")
        found["label"] = self._label(row)
        found["note"] = self._cell(row, "note")
        return {key: value for key, value in found.items() if value}

    def _label(self, row: Row) -> dict[str, str]:
        label = {key[6:]: text for key in ("label.ko", "label.en") if (text := self._cell(row, key))}
        for text in (self._cell(row, "label"), self._cell(row, "tag")):
            if text and not (text == self._cell(row, "tag") and is_signal(text)):
                label.setdefault("ko" if re.search(r"[가-힣]", text) else "en", text)
        return {key: " ".join(label[key].split()) for key in ("ko", "en") if key in label}

    def _once(self, row: Row, tag: Tag) -> None:
        """The same point on two lines is one too many."""
        what = (tag["address"], tag.get("type", BOOL))
        first = self.places.setdefault(what, row.line)
        if first != row.line:
            raise _twice(tag["address"], first)

    def _name(self, row: Row, tag: Tag, address: Address) -> None:
        own = self._cell(row, "tag")
        name = own if is_signal(own) and own not in self.names else ""
        if not name:
            self.out.named += 1
            written = (own, self._cell(row, "label.en"), self._cell(row, "label"), self._cell(row, "label.ko"))
            made = next(filter(None, map(signal_name, written)), "") or signal_name(str(address))
            name = free_name(made, self.names)
        self.names.add(name)
        tag["tag"] = name

    def _fault(self, row: Row, fault: CellFault) -> Fault:
        columns = self.out.heading.columns
        column = self.out.address if fault.column == "address" else columns.get(fault.column, -1)
        quoted = " | ".join(" ".join(cell.split()) for cell in row.cells)
        return Fault(fault.code, self.out.sheet.name, row.line, column + 1, fault.cause, fault.cure, quoted)


def _places(text: str) -> float:
    return decimals_of(text) if is_places(text) else 1.0


def _check(tag: Tag) -> None:
    """Whether the configuration would take it. Raises CellFault."""
    try:
        ModbusTag.model_validate({key: value for key, value in tag.items() if key != "note"} | {"tag": "tag"})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = first.get("ctx", {})
        where = str(first["loc"][0]) if first["loc"] else "address"
        cause = Words(str(said.get("ko", first["msg"])), str(said.get("en", first["msg"])))
        cure = Words("표의 값을 확인하십시오", "look at the values in the table")
        raise CellFault(
            "EA-166", where, cause, Words(str(said.get("cure_ko", cure.ko)), str(said.get("cure_en", cure.en)))
        ) from None


def _no_address() -> CellFault:
    return CellFault(
        "EA-161",
        "address",
        Words("주소 칸이 비어 있습니다", "there is no address"),
        Words("제목이나 설명 줄이면 그대로 두십시오", "leave it if it is a title or an explanation"),
    )


def _scaled_twice(scale: float, text: str) -> CellFault:
    return CellFault(
        "EA-164",
        "scale",
        Words(
            f"배율 {scale:g} 와 소수점 레지스터 {text} 가 함께 있어 두 번 나눌 수 있습니다",
            f"a scale of {scale:g} beside the decimal point in {text}: both may mean the same division",
        ),
        Words(
            "표시기와 비교해 하나만 남기십시오. 둘 다 맞으면 설정에 scale 과 scale_from 을 쓰십시오",
            "compare with the display and keep one; where both are right write scale and scale_from yourself",
        ),
    )


def _written() -> CellFault:
    return CellFault(
        "EA-167",
        "function",
        Words("쓰기 전용 항목입니다", "this can only be written"),
        Words("에이전트는 읽기만 하므로 그대로 두십시오", "leave it: the agent only reads"),
    )


def _unknown_area(text: str) -> CellFault:
    return CellFault(
        "EA-165",
        "function",
        Words(f"기능 코드나 영역이 아닙니다: {text}", f"neither a function code nor an area: {text}"),
        Words(
            "03, 04, 01, 02, 또는 Holding, Input, Coil, Discrete 로 쓰십시오. 다른 뜻의 열이면 --map '제목=-'",
            "write 03, 04, 01 or 02, or Holding, Input, Coil, Discrete; --map 'HEADING=-' if it means another thing",
        ),
    )


def _twice(address: str, first: int) -> CellFault:
    return CellFault(
        "EA-166",
        "address",
        Words(f"{address} 는 {first}번째 줄에 이미 있습니다", f"{address} is on line {first} already"),
        Words("한 줄만 두거나, 비트라면 비트 번호를 쓰십시오", "keep one, or give the number of the bit"),
    )


def gathered(faults: Sequence[Fault], most: int = 3) -> Iterator[tuple[Fault, list[int]]]:
    """Faults with the same words together: the first of them, and the lines of all the others (all if few)."""
    alike: dict[tuple[str, str, str], list[Fault]] = {}
    for one in faults:
        alike.setdefault((one.code, one.cause.en, one.cure.en if one.code != "EA-162" else ""), []).append(one)
    for group in alike.values():
        if len(group) <= most:
            yield from ((one, []) for one in group)
        else:
            yield group[0], [one.line for one in group[1:]]
